// What a verdict may spend, in units of about 10 ns on a current core. Work is charged before it is
// done and by the size of its operands, never by a clock: a verdict is a function of the two texts.
#pragma once

#include <cstdint>

namespace troupe::actors {

class Fuel {
 public:
  static constexpr uint64_t kVerdictUnits = 4'000'000;

  explicit Fuel(uint64_t units = kVerdictUnits) : left_(units), start_(units) {}

  // False, for good, when there is not enough left.
  [[nodiscard]] bool spend(uint64_t units) {
    if (units > left_) {
      left_ = 0;
      return false;
    }
    left_ -= units;
    return true;
  }
  bool is_empty() const { return left_ == 0; }
  uint64_t spent() const { return start_ - left_; }

 private:
  uint64_t left_;
  uint64_t start_;
};

}  // namespace troupe::actors
