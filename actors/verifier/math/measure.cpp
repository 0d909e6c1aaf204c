#include "actors/verifier/math/measure.h"

#include <initializer_list>

#include "actors/verifier/math/units.h"

namespace troupe::actors {
namespace {

Outcome compare_plain(Term gold, Term candidate, Comparison& comparison) {
  if (!is_scalar(gold) || !is_scalar(candidate)) return Outcome::kUnknown;
  return compare_scalars(gold, candidate, comparison);
}

struct Pair {
  Term gold;
  Term candidate;
};

// The same in one of several readings.
Outcome compare_any(std::initializer_list<Pair> readings, Comparison& comparison) {
  Outcome outcome = Outcome::kOther;
  for (const Pair& pair : readings) {
    const Outcome one = compare_plain(pair.gold, pair.candidate, comparison);
    if (one == Outcome::kSame) return one;
    if (one == Outcome::kUnknown) outcome = one;
  }
  return outcome;
}

const Unit& unit_of(Term term) { return term.tree->units[term.node().payload]; }

Outcome compare_quantities(Term gold, Term candidate, Comparison& comparison) {
  const Unit& a = unit_of(gold);
  const Unit& b = unit_of(candidate);
  if (!a.is_commensurable(b)) return Outcome::kOther;
  if (a.factor_numerator == b.factor_numerator && a.factor_denominator == b.factor_denominator) {
    return compare_plain(gold.child(0), candidate.child(0), comparison);
  }
  if (!is_scalar(gold.child(0)) || !is_scalar(candidate.child(0))) return Outcome::kUnknown;
  ExactTerm left = evaluate_exact(gold.child(0), comparison.fuel);
  ExactTerm right = evaluate_exact(candidate.child(0), comparison.fuel);
  if (!left.is_rational() || !right.is_rational()) return Outcome::kUnknown;
  const auto in_base = [](const ExactTerm& exact, const Unit& unit) {
    Rational factor;
    fmpz_set_ui(factor.numerator(), unit.factor_numerator);
    fmpz_set_ui(factor.denominator(), unit.factor_denominator);
    fmpq_canonicalise(factor.raw());
    fmpq_mul(factor.raw(), factor.raw(), exact.root().value.raw());
    return factor;
  };
  return in_base(left, a) == in_base(right, b) ? Outcome::kSame : Outcome::kOther;
}

// 50 for 50%: only where the gold cannot be the fraction itself.
bool may_be_percentage(Term gold, Comparison& comparison) {
  const ExactTerm exact = evaluate_exact(gold, comparison.fuel);
  if (!exact.is_rational()) return false;
  return fmpz_cmpabs(exact.root().value.numerator(), exact.root().value.denominator()) > 0;
}

}  // namespace

bool is_measured(Term term) {
  const NodeKind kind = term.kind();
  return kind == NodeKind::kQuantity || kind == NodeKind::kPercent || kind == NodeKind::kDegree;
}

Outcome compare_measured(Term gold, Term candidate, Comparison& comparison) {
  if (is_measured(gold) && is_measured(candidate)) {
    if (gold.kind() != candidate.kind()) return Outcome::kOther;
    if (gold.kind() == NodeKind::kQuantity) return compare_quantities(gold, candidate, comparison);
    return compare_plain(gold.child(0), candidate.child(0), comparison);
  }
  if (is_measured(gold)) {
    if (gold.kind() == NodeKind::kQuantity) {
      return compare_plain(gold.child(0), candidate, comparison);
    }
    return compare_any({{gold.child(0), candidate}, {gold, candidate}}, comparison);
  }
  const Term inside = candidate.child(0);
  if (candidate.kind() == NodeKind::kQuantity) return compare_plain(gold, inside, comparison);
  if (candidate.kind() == NodeKind::kPercent && !may_be_percentage(gold, comparison)) {
    return compare_plain(gold, candidate, comparison);
  }
  return compare_any({{gold, inside}, {gold, candidate}}, comparison);
}

}  // namespace troupe::actors
