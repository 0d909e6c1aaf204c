// Sets of real numbers that are made of intervals, however they are written: "(1, 2]", a union,
// "1 < x \le 2", "2x < 4".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "actors/verifier/math/outcome.h"
#include "actors/verifier/math/scalar.h"

namespace troupe::actors {

struct Interval {
  std::optional<Term> low{};  // Empty: there is no bound.
  std::optional<Term> high{};
  bool has_low = false;  // The bound belongs to the interval.
  bool has_high = false;
};

struct RealSet {
  std::string variable{};  // Empty when none was named.
  std::vector<Interval> intervals{};
  std::vector<Term> points{};
};

// Nothing for terms that are no such set, or none that can be solved.
std::optional<RealSet> read_real_set(Term term, Comparison& comparison);

Outcome compare_real_sets(const RealSet& gold, const RealSet& candidate, Comparison& comparison);

// 1 for infinity, -1 for its negative, 0 for anything else.
int infinity_sign(Term term);

}  // namespace troupe::actors
