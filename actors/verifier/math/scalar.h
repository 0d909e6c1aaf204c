// Equality of two single values, in stages: exact fractions, rational functions, rounded decimals,
// balls at fixed points, structure.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/math/exact.h"
#include "actors/verifier/math/fuel.h"
#include "actors/verifier/math/outcome.h"
#include "actors/verifier/math/tree.h"

namespace troupe::actors {

// What every comparison within one verdict shares.
struct Comparison {
  std::string_view gold_text{};
  Fuel fuel{};
  // The gold's values stand in an order that means something, though it is a list.
  bool is_ordered = false;
  std::deque<Tree> made{};  // Terms that nobody wrote, such as the solution of an inequality.
};

// True for terms without lists, units, relations and the like in them.
bool is_scalar(Term term);

// The names of variables in a term, sorted, once each.
std::vector<std::string> variables_of(Term term);

// Both must be scalars; the gold's form decides how a decimal counts.
Outcome compare_scalars(Term gold, Term candidate, Comparison& comparison);

struct RelationOutcome {
  Outcome outcome = Outcome::kUnknown;
  int sign = 0;  // Of the factor between the two; 0 when not known.
};

// Whether one constant is no approximation of the other. False for terms that are no constants.
bool is_far_apart(Term a, Term b, Comparison& comparison);

// Two relations of two sides each: is left - right the same up to a constant factor?
RelationOutcome compare_factor(Term gold, Term candidate, Comparison& comparison);

}  // namespace troupe::actors
