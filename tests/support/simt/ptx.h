// Runs what nvcc made of kernels: an interpreter of PTX on the machine of simt.h. Host and device
// have the same source, but not the same inline assembly and not the same compiler; here these are
// run too, with every access looked at.
//
// Only what our kernels are compiled to is known. Anything else ends the program with its line, and
// so does arithmetic that is not IEEE's (.approx, .ftz): kernels must not have it.
#pragma once

#include <vector>

#include "tests/support/simt/ptx_program.h"
#include "tests/support/simt/simt.h"

namespace troupe::simt {

class PtxInterpreter : public Interpreter {
 public:
  // Throws ptx::Error where a source has what is not known.
  explicit PtxInterpreter(const std::vector<ptx::Source>& sources);

  void prepare(const Launch& launch) override;
  void run_thread() override;

  // Of all threads so far.
  uint64_t num_instructions() const { return num_instructions_; }

 private:
  ptx::Program program_{};
  const ptx::Kernel* kernel_ = nullptr;
  std::vector<char> parameters_{};
  // Of each thread of a block. They outlive threads that are given up.
  std::vector<std::vector<uint64_t>> registers_{};
  uint64_t num_instructions_ = 0;
};

}  // namespace troupe::simt
