// Values of terms as complex balls: a midpoint and a radius that provably contains the value. Two
// balls that do not meet prove that two values differ.
#pragma once

#include <acb.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/math/exact.h"
#include "actors/verifier/math/fuel.h"

namespace troupe::actors {

class Ball {
 public:
  Ball() { acb_init(raw_); }
  Ball(const Ball& other) : Ball() { acb_set(raw_, other.raw_); }
  Ball(Ball&& other) noexcept : Ball() { acb_swap(raw_, other.raw_); }
  Ball& operator=(Ball other) noexcept {
    acb_swap(raw_, other.raw_);
    return *this;
  }
  ~Ball() { acb_clear(raw_); }

  acb_struct* raw() { return raw_; }
  const acb_struct* raw() const { return raw_; }

 private:
  acb_t raw_;
};

enum class BallStatus : uint8_t { kFinite, kUndefined, kUnknown };

struct BallValue {
  BallStatus status = BallStatus::kUnknown;
  Ball ball{};
  // The largest |log2| of a value on the way: two values may differ by as little as 2 to minus
  // that.
  long magnitude_bits = 0;
};

// Where terms with variables are compared: two points with positive coordinates, four with one
// negative coordinate among positive ones, two with complex ones. Several negative coordinates at
// once would tell ln(ab) from ln a + ln b, which nobody means; one tells sqrt(x^2) from x. The
// points from kCount on are far out, half of them whole numbers: |x + 5| is x + 5 near zero, and
// floors and ceilings go together but for whole numbers.
class SamplePoints {
 public:
  static constexpr size_t kCount = 8;
  static constexpr size_t kComplexFrom = 6;
  static constexpr size_t kFarCount = 8;

  // The coordinates follow from the gold's text, so the same verdict comes out everywhere, and an
  // answer cannot be made to fit them.
  SamplePoints(std::string_view gold_text, std::vector<std::string> variables);

  // Below kCount + kFarCount.
  void set(acb_struct* out, std::string_view variable, size_t point) const;
  const std::vector<std::string>& variables() const { return variables_; }

 private:
  void set_far(arb_struct* out, size_t index, size_t point, uint64_t random) const;

  uint64_t seed_ = 0;
  std::vector<std::string> variables_;
};

// The value at one point, with so many bits of working precision. kUndefined is proven; kUnknown
// also says that precision or fuel did not suffice.
BallValue evaluate_ball(const ExactTerm& term, const SamplePoints& points, size_t point,
                        long precision, Fuel& fuel);

}  // namespace troupe::actors
