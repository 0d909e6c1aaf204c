// Where the time of a backend goes: a table that calls another one and measures each operation.
#pragma once

#include <string>
#include <vector>

#include "kernels/backend.h"

namespace troupe::kernels {

struct OperationTime {
  std::string name{};
  double seconds = 0;  // Of all threads together.
  int64_t calls = 0;
};

// A table like `backend` whose operations are measured. One is alive at a time; `backend` must
// outlive its use.
Backend profiled(const Backend& backend);

// What was measured since the last call of profiled(), the most expensive first.
std::vector<OperationTime> operation_times();

}  // namespace troupe::kernels
