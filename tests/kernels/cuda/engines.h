// What runs kernels in a program of these tests, and a loop over all of it.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/simt/simt.h"

namespace troupe::tests {

struct Engine {
  std::string name{};
  cuda_reference::TensorCore tensor_core = cuda_reference::TensorCore::kSm90;
  bool is_checked = false;
  simt::Interpreter* interpreter = nullptr;
};

// Each program has its own: see engines_*.cpp.
const std::vector<Engine>& engines();

// Makes an engine run kernels, under the schedule of a seed.
inline void use(const Engine& engine, uint64_t seed) {
  simt::settings() = {.seed = seed,
                      .is_checked = engine.is_checked,
                      .tensor_core = engine.tensor_core,
                      .interpreter = engine.interpreter};
}

inline std::string text_of(const std::vector<simt::Problem>& problems) {
  std::string text;
  for (const simt::Problem& problem : problems) text += problem.text + "\n";
  return text;
}

// Runs `body` on every engine under schedules 1, 2, ... and requires that nothing is found wrong.
// Not more than kSchedules, unless TROUPE_SCHEDULES asks for more of them.
inline constexpr uint64_t kSchedules = 4;
inline void on_every_engine(uint64_t num_schedules, const std::function<void()>& body) {
  if (const char* asked = std::getenv("TROUPE_SCHEDULES")) {
    num_schedules = std::max<uint64_t>(num_schedules, std::strtoull(asked, nullptr, 10));
  } else {
    num_schedules = std::min(num_schedules, kSchedules);
  }
  for (const Engine& engine : engines()) {
    for (uint64_t seed = 1; seed <= num_schedules; ++seed) {
      CAPTURE(engine.name);
      CAPTURE(seed);
      use(engine, seed);
      body();
      const std::string found = text_of(simt::take_problems());
      REQUIRE_MESSAGE(found.empty(), found);
    }
  }
}

template <class T>
bool has_same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

// Numbers that a test needs: the same in every run.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u | 1) {}
  uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ >> 16;
  }
  int in(int low, int high) {
    return low + static_cast<int>(next() % static_cast<uint64_t>(high - low + 1));
  }
  // Between -2 and 2.
  float uniform() { return static_cast<float>(in(-2000, 2000)) / 1000; }
  std::vector<float> numbers(int64_t size) {
    std::vector<float> values(static_cast<size_t>(size));
    for (float& v : values) v = uniform();
    return values;
  }
  // A finite bf16 of either sign, exponents from low to high.
  uint16_t bf16(int low, int high) {
    return static_cast<uint16_t>(next() % 2 << 15 |
                                 static_cast<unsigned>(in(low, high) + 127) << 7 | next() % 128);
  }

 private:
  uint64_t state_;
};

// An array of rows `ld` apart. What lies between them stays unwritten: to read it is a fault.
template <class T>
class Rows {
 public:
  Rows(const std::vector<T>& values, int64_t rows, int64_t width, int64_t ld)
      : array_(static_cast<size_t>(rows > 0 ? (rows - 1) * ld + width : 0)),
        rows_(rows),
        width_(width),
        ld_(ld) {
    for (int64_t r = 0; r < rows; ++r) {
      simt::upload(array_.get() + r * ld, values.data() + r * width, row_bytes());
    }
  }
  kernels::Device<T> device() const { return array_.device(); }
  kernels::Stored stored() const { return array_.stored(); }
  // Without what lies between rows.
  std::vector<T> values() const {
    std::vector<T> all(static_cast<size_t>(rows_ * width_));
    for (int64_t r = 0; r < rows_; ++r) {
      simt::download(all.data() + r * width_, array_.get() + r * ld_, row_bytes());
    }
    return all;
  }

 private:
  size_t row_bytes() const { return static_cast<size_t>(width_) * sizeof(T); }

  simt::Array<T> array_;
  int64_t rows_, width_, ld_;
};

}  // namespace troupe::tests
