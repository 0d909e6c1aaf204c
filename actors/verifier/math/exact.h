// Exact rational arithmetic over a tree, with the size of every result bounded before it is made.
#pragma once

#include <cstdint>
#include <vector>

#include "actors/verifier/math/fuel.h"
#include "actors/verifier/math/rational.h"
#include "actors/verifier/math/tree.h"

namespace troupe::actors {

enum class ExactStatus : uint8_t {
  kUnused,  // Not part of the term.
  kRational,
  kUndefined,  // A division by zero, 0^0 and the like.
  kTooLarge,   // Rational, but above the cap.
  kOther,      // Not rational, or not known to be: roots, variables, pi.
};

struct ExactValue {
  ExactStatus status = ExactStatus::kUnused;
  Rational value{};
};

// The cap on numerator and denominator of any value.
constexpr uint64_t kExactBitsMax = 65'536;

// A term with what is known of each of its nodes; index 0 is the first node of its subtree.
struct ExactTerm {
  Term term{};
  NodeIndex first = 0;
  std::vector<ExactValue> values{};

  const ExactValue& at(NodeIndex node) const { return values[node - first]; }
  const ExactValue& root() const { return values.back(); }
  bool is_rational() const { return root().status == ExactStatus::kRational; }
};

// A relation with two sides has the value left - right. When fuel runs out, what is left is kOther.
ExactTerm evaluate_exact(Term term, Fuel& fuel);

}  // namespace troupe::actors
