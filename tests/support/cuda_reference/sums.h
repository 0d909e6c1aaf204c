// Sums in the orders that kernels/cuda/README.md has.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace troupe::cuda_reference {

inline constexpr size_t kPartials = 256;

// values[i] += values[i + half], ... , until one is left.
template <class T, size_t n>
T folded(std::array<T, n> values) {
  for (size_t half = n / 2; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) values[i] += values[i + half];
  }
  return values[0];
}

// The sum of a[i] b[i]. Partial p has the elements with index / 4 mod 256 = p, in order. They are
// folded in groups of 32, then the eight groups.
template <class A, class B>
float sum_of_products(int64_t D, const A& a, const B& b) {
  std::array<float, kPartials> partials{};
  for (int64_t d = 0; d < D; ++d) {
    float& partial = partials[static_cast<size_t>(d / 4) % kPartials];
    partial = std::fma(a(static_cast<size_t>(d)), b(static_cast<size_t>(d)), partial);
  }
  std::array<float, kPartials / 32> groups;
  for (size_t g = 0; g < groups.size(); ++g) {
    std::array<float, 32> group;
    std::copy_n(&partials[g * 32], 32, group.begin());
    groups[g] = folded(group);
  }
  return folded(groups);
}

// `before` with the sum over N rows. Segments of rows, in each sixteen partials by row;
// with_row(partial, n) is a partial to which row n was added.
template <class WithRow>
float sum_over_rows(float before, size_t N, const WithRow& with_row) {
  constexpr size_t kSegment = 8192;
  for (size_t begin = 0; begin < N; begin += kSegment) {
    std::array<float, 16> partials{};
    for (size_t n = begin; n < std::min(N, begin + kSegment); ++n) {
      partials[n % 16] = with_row(partials[n % 16], n);
    }
    before += folded(partials);
  }
  return before;
}

}  // namespace troupe::cuda_reference
