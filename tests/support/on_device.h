// One backend with one stream, and host vectors that go there and come back: what a test of an
// operation needs. Buffers live as long as the object.
#pragma once

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/random.h"

namespace troupe::tests {

using kernels::Device;
using kernels::Precision;
using kernels::Stored;

inline constexpr kernels::WorkspacePlan kTestPlan{.tokens_max = 256,
                                                  .width_max = 256,
                                                  .heads = 4,
                                                  .key_width = 96,
                                                  .value_width = 96,
                                                  .context_max = 256,
                                                  .experts = 16};

// To nearest, ties to even; any NaN stays one.
inline uint16_t to_bf16(float x) {
  if (x != x) return 0x7fc0;
  const uint32_t u = std::bit_cast<uint32_t>(x);
  return static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}
inline float from_bf16(uint16_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }
inline float rounded(float x) { return from_bf16(to_bf16(x)); }

class OnDevice {
 public:
  explicit OnDevice(const kernels::Backend& backend, Precision precision = Precision::kBf16,
                    const kernels::WorkspacePlan& plan = kTestPlan)
      : backend_(backend), precision_(precision), stream_(backend.create_stream(precision, plan)) {}
  ~OnDevice() {
    for (uint64_t address : owned_) backend_.release(address);
    backend_.destroy_stream(stream_);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  const kernels::Backend& backend() const { return backend_; }
  const kernels::Backend* operator->() const { return &backend_; }
  kernels::Stream* stream() const { return stream_; }
  Precision precision() const { return precision_; }
  uint8_t element_bytes() const { return precision_ == Precision::kBf16 ? 2 : 4; }

  template <class T>
  Device<T> send(const std::vector<T>& values) {
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
    const uint64_t address = reserve(bytes);
    backend_.upload(stream_, address, values.data(), bytes);
    return {address};
  }
  template <class T>
  Device<T> filled(int64_t count, T value) {
    return send(std::vector<T>(static_cast<size_t>(count), value));
  }
  // The values in the stored type.
  Stored send_stored(const std::vector<float>& values) {
    if (precision_ == Precision::kFp32) return {send(values).address, 4};
    std::vector<uint16_t> halves;
    for (float x : values) halves.push_back(to_bf16(x));
    return {send(halves).address, 2};
  }
  Stored filled_stored(int64_t count, float value) {
    return send_stored(std::vector<float>(static_cast<size_t>(count), value));
  }
  kernels::Packed pack(const std::vector<float>& w, int64_t rows, int64_t cols,
                       bool is_transposed = false) {
    const kernels::Packed to{reserve(backend_.packed_bytes(precision_, rows, cols)), rows, cols};
    backend_.pack(stream_, to, send(w), is_transposed ? rows : cols, is_transposed);
    return to;
  }

  template <class T>
  std::vector<T> receive(Device<T> from, int64_t count) {
    std::vector<T> values(static_cast<size_t>(count));
    backend_.download(stream_, values.data(), from.address,
                      count * static_cast<int64_t>(sizeof(T)));
    return values;
  }
  std::vector<float> receive(Stored from, int64_t count) {
    if (precision_ == Precision::kFp32) return receive(Device<float>{from.address}, count);
    std::vector<float> values;
    for (uint16_t x : receive(Device<uint16_t>{from.address}, count)) {
      values.push_back(from_bf16(x));
    }
    return values;
  }

  uint64_t reserve(int64_t bytes) {
    owned_.push_back(backend_.allocate(bytes));
    REQUIRE(owned_.back() != 0);
    return owned_.back();
  }

 private:
  const kernels::Backend& backend_;
  Precision precision_;
  kernels::Stream* stream_;
  std::vector<uint64_t> owned_{};
};

// Uniform in [-scale, scale), a function of the seed alone.
inline std::vector<float> random_values(int64_t count, uint64_t seed, float scale = 1) {
  kernels::RandomStream random(seed, kernels::StreamId::kInit);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& x : values) x = static_cast<float>(2 * random.uniform() - 1) * scale;
  return values;
}

inline std::vector<float> joined(std::initializer_list<std::vector<float>> parts) {
  std::vector<float> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}
inline std::vector<float> as_floats(const std::vector<int32_t>& values) {
  return {values.begin(), values.end()};
}

// Equal bits; any two NaN are equal.
inline bool is_same(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (a != a && b != b);
}
inline void require_same(const std::vector<float>& got, const std::vector<float>& want) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (!is_same(got[i], want[i])) {
      CAPTURE(i);
      CAPTURE(got[i]);
      CAPTURE(want[i]);
      REQUIRE(is_same(got[i], want[i]));
    }
  }
}

// An operation gives the same bits with every instruction set, in both precisions. `run` returns
// all outputs; it gets a fresh OnDevice.
inline void require_same_everywhere(const std::function<std::vector<float>(OnDevice&)>& run) {
  for (Precision precision : {Precision::kBf16, Precision::kFp32}) {
    const auto& backends = kernels::cpu_backends();
    OnDevice definition(*backends.back(), precision);
    const auto want = run(definition);
    for (const kernels::Backend* backend : backends) {
      CAPTURE(backend->name);
      OnDevice device(*backend, precision);
      require_same(run(device), want);
    }
  }
}

inline double dot(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// Central differences of `loss` at x against its gradient. The step balances float's rounding
// (1e-7 / step) with the third derivative (step^2), which leaves some 1e-4 of the largest element.
inline void require_gradient(const std::vector<float>& x, const std::vector<float>& gradient,
                             const std::function<double(const std::vector<float>&)>& loss,
                             double tolerance = 2e-3) {
  REQUIRE(x.size() == gradient.size());
  double scale = 1e-3;
  for (float g : gradient) scale = std::max(scale, std::fabs(static_cast<double>(g)));
  constexpr float kStep = 1.0f / 128;
  const size_t stride = x.size() > 60 ? x.size() / 60 + 1 : 1;
  for (size_t i = 0; i < x.size(); i += stride) {
    auto moved = x;
    moved[i] = x[i] + kStep;
    const double up = moved[i];
    const double loss_up = loss(moved);
    moved[i] = x[i] - kStep;
    const double slope = (loss_up - loss(moved)) / (up - static_cast<double>(moved[i]));
    CAPTURE(i);
    CAPTURE(slope);
    CAPTURE(gradient[i]);
    REQUIRE(std::fabs(slope - static_cast<double>(gradient[i])) < tolerance * scale);
  }
}

}  // namespace troupe::tests
