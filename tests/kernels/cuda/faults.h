// Small kernels with one fault each, and some that look like faults and are none.
#pragma once

#include <cstdint>

#include "tests/support/simt/simt.h"

namespace troupe::tests {

// What a fault may use: 256 floats each. Of y only the first is written, x is, host is the host's.
struct FaultMemory {
  float* y;
  const float* x;
  const float* host;
};

struct Fault {
  const char* name;
  void (*launch)(const FaultMemory& memory);
  simt::ProblemKind kind{};  // What it is found as. Of no meaning for a right one.
};

extern const Fault kFaults[];
extern const int kNumFaults;
extern const Fault kRightOnes[];
extern const int kNumRightOnes;

}  // namespace troupe::tests
