// An operation on CUDA's kernels against the CPU's, which was written from the same headers by
// other rules of arithmetic: the second opinion beside tests/support/cuda_reference.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_backend.h"
#include "tests/support/cuda_emulated/gpu.h"
#include "tests/support/on_device.h"

namespace troupe::tests {

using Run = std::function<std::vector<float>(OnDevice&)>;

// Part of the outputs' root mean square that a difference may be. Float: sums of some hundred terms
// in another order. Stored: one unit of bf16 where another neighbour was rounded to.
inline constexpr double kFloat = 1e-5, kStored = 1.0 / 64;

inline void check(const char* name, double tolerance, const Run& run) {
  CAPTURE(std::string(name));
  OnDevice cpu(*kernels::cpu_backends().back());
  const std::vector<float> want = run(cpu);
  double squares = 0;
  for (const float w : want) squares += double{w} * double{w};
  const double size = std::sqrt(squares / static_cast<double>(want.size()));
  REQUIRE(size > 0);
  using cuda_reference::TensorCore;
  for (const TensorCore core : {TensorCore::kSm90, TensorCore::kSm80}) {
    OnDevice cuda(cuda_emulated(core));
    const std::vector<float> got = run(cuda);
    REQUIRE(got.size() == want.size());
    double worst = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      worst = std::max(worst, std::abs(double{got[i]} - double{want[i]}));
    }
    CAPTURE(worst);
    CAPTURE(size);
    CHECK(worst <= tolerance * size);
  }
  if (const kernels::Backend* const device = gpu()) {
    OnDevice real(*device);
    const std::vector<float> got = run(real);
    OnDevice emulated(cuda_emulated(core_of(*device)));
    require_same(got, run(emulated));
  }
}

}  // namespace troupe::tests
