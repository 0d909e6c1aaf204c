#include "actors/verifier/math/scalar.h"

#include <algorithm>
#include <array>
#include <optional>

#include "actors/verifier/math/ball.h"
#include "actors/verifier/math/polynomial.h"
#include "actors/verifier/math/structure.h"
#include "actors/verifier/math/tokens.h"

namespace troupe::actors {
namespace {

constexpr long kAccuracyBitsMin = 100;
constexpr std::array<long, 3> kPrecisions = {128, 512, 2048};
constexpr long kConfirmBitsMax = 4096;
// A value that cannot be told from 0 at 512 bits, with a radius below this, is 0.
constexpr long kZeroBits = 400;

std::vector<bool> used_nodes(Term term) {
  const Tree& tree = *term.tree;
  const NodeIndex first = term.node().first;
  std::vector<bool> is_used(term.root - first + 1);
  is_used.back() = true;
  for (size_t i = is_used.size(); i-- > 0;) {
    if (!is_used[i]) continue;
    for (NodeIndex child : tree.children(static_cast<NodeIndex>(first + i))) {
      is_used[child - first] = true;
    }
  }
  return is_used;
}

bool is_scalar_kind(NodeKind kind, int sign) {
  switch (kind) {
    case NodeKind::kNumber:
    case NodeKind::kSymbol:
    case NodeKind::kConstant:
    case NodeKind::kNegate:
    case NodeKind::kAdd:
    case NodeKind::kMultiply:
    case NodeKind::kDivide:
    case NodeKind::kPower:
    case NodeKind::kFunction:
    case NodeKind::kLogarithm:
    case NodeKind::kFactorial:
    case NodeKind::kBinomial:
    case NodeKind::kPercent:
    case NodeKind::kDegree:
      return true;
    case NodeKind::kPlusMinus:
    case NodeKind::kMinusPlus:
      return sign != 0;
    default:
      return false;
  }
}

// Functions that are not what they are on the real line when the point is complex.
bool has_real_function(Term term) {
  const auto is_used = used_nodes(term);
  for (size_t i = 0; i < is_used.size(); ++i) {
    const Node& node = (*term.tree)[static_cast<NodeIndex>(term.node().first + i)];
    if (!is_used[i] || node.kind != NodeKind::kFunction) continue;
    if (node.detail == kAbs || node.detail == kFloor || node.detail == kCeiling) return true;
    if (node.detail >= kGcd) return true;
  }
  return false;
}

bool has_imaginary_unit(Term term) {
  const auto is_used = used_nodes(term);
  for (size_t i = 0; i < is_used.size(); ++i) {
    const Node& node = (*term.tree)[static_cast<NodeIndex>(term.node().first + i)];
    if (is_used[i] && node.kind == NodeKind::kConstant && node.detail == 'i') return true;
  }
  return false;
}

// Functions made of several pieces, and those with branches: what holds on one says nothing of the
// others.
bool has_pieces(Term term) {
  const auto is_used = used_nodes(term);
  for (size_t i = 0; i < is_used.size(); ++i) {
    const Node& node = (*term.tree)[static_cast<NodeIndex>(term.node().first + i)];
    if (!is_used[i]) continue;
    if (node.kind == NodeKind::kPower || node.kind == NodeKind::kLogarithm) return true;
    if (node.kind != NodeKind::kFunction) continue;
    const bool is_entire = (node.detail >= kSin && node.detail <= kCsc) || node.detail == kExp ||
                           (node.detail >= kSinh && node.detail <= kTanh);
    if (!is_entire) return true;
  }
  return false;
}

std::vector<std::string> merged(const std::vector<std::string>& a,
                                const std::vector<std::string>& b) {
  std::vector<std::string> all;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
  return all;
}

// A decimal as it is written: where its last digit stands and how many digits say something.
struct Decimal {
  int64_t last_place = 0;  // The last digit counts 10^last_place.
  size_t num_significant = 0;
};

std::optional<Decimal> decimal_of(Term term) {
  const Tree& tree = *term.tree;
  NodeIndex node = term.root;
  int64_t shift = 0;
  if (tree[node].kind == NodeKind::kNegate) node = tree.child(node, 0);
  if (tree[node].kind == NodeKind::kMultiply) {  // 1.5 * 10^3
    const NodeIndex right = tree.child(node, 1);
    if (tree[right].kind != NodeKind::kPower) return {};
    const NodeIndex ten = tree.child(right, 0);
    NodeIndex exponent = tree.child(right, 1);
    if (tree[ten].kind != NodeKind::kNumber || tree.literal(ten).digits != "10") return {};
    const bool is_negative = tree[exponent].kind == NodeKind::kNegate;
    if (is_negative) exponent = tree.child(exponent, 0);
    if (tree[exponent].kind != NodeKind::kNumber) return {};
    const std::string& digits = tree.literal(exponent).digits;
    if (digits.size() > 6 || tree.literal(exponent).has_point) return {};
    for (char c : digits) shift = shift * 10 + (c - '0');
    if (is_negative) shift = -shift;
    node = tree.child(node, 0);
    if (tree[node].kind == NodeKind::kNegate) node = tree.child(node, 0);
  }
  if (tree[node].kind != NodeKind::kNumber) return {};
  const Literal& literal = tree.literal(node);
  if (!literal.has_point || literal.num_repeating > 0) return {};
  const size_t first = literal.digits.find_first_not_of('0');
  if (first == literal.digits.npos) return {};
  return Decimal{shift + literal.exponent - int64_t{literal.num_decimals},
                 literal.digits.size() - first};
}

// Whether the value lies within half a unit of the decimal's last place.
bool rounds_to(const ExactTerm& value, const ExactTerm& decimal, int64_t last_place,
               Comparison& comparison) {
  constexpr int64_t kPlacesMax = 5'000;
  if (!decimal.is_rational() || last_place < -kPlacesMax || last_place > kPlacesMax) return false;
  Rational half(10);
  fmpq_pow_si(half.raw(), half.raw(), static_cast<slong>(last_place));
  fmpq_div_2exp(half.raw(), half.raw(), 1);
  if (!comparison.fuel.spend(1'000)) return false;
  if (value.is_rational()) {
    Rational distance;
    fmpq_sub(distance.raw(), value.root().value.raw(), decimal.root().value.raw());
    fmpq_abs(distance.raw(), distance.raw());
    return fmpq_cmp(distance.raw(), half.raw()) <= 0;
  }
  const SamplePoints none(comparison.gold_text, {});
  for (long precision : kPrecisions) {
    const BallValue ball = evaluate_ball(value, none, 0, precision, comparison.fuel);
    if (ball.status != BallStatus::kFinite) continue;
    if (!arb_contains_zero(acb_imagref(ball.ball.raw()))) return false;
    Ball distance;
    Ball limit;
    acb_set_fmpq(distance.raw(), decimal.root().value.raw(), precision);
    acb_set_fmpq(limit.raw(), half.raw(), precision);
    arb_sub(acb_realref(distance.raw()), acb_realref(distance.raw()), acb_realref(ball.ball.raw()),
            precision);
    arb_abs(acb_realref(distance.raw()), acb_realref(distance.raw()));
    if (arb_lt(acb_realref(distance.raw()), acb_realref(limit.raw()))) return true;
    if (arb_gt(acb_realref(distance.raw()), acb_realref(limit.raw()))) return false;
  }
  return false;
}

// 0.123123... is no rounding of anything.
bool has_dots(Term term) {
  return term.kind() == NodeKind::kNumber && term.tree->literal(term.root).has_dots;
}

// The rounding of exact golds by decimals with many digits, and of any candidate to such golds.
bool is_rounding(const ExactTerm& gold, const ExactTerm& candidate, Comparison& comparison) {
  constexpr size_t kSignificantMin = 6;
  if (has_dots(gold.term)) return false;
  if (const auto decimal = decimal_of(gold.term)) {
    return decimal->num_significant >= kSignificantMin &&
           rounds_to(candidate, gold, decimal->last_place, comparison);
  }
  const auto decimal = decimal_of(candidate.term);
  return decimal && decimal->num_significant >= kSignificantMin &&
         rounds_to(gold, candidate, decimal->last_place, comparison);
}

bool is_accurate(const Ball& ball) { return acb_rel_accuracy_bits(ball.raw()) >= kAccuracyBitsMin; }

bool is_zero_at(const Ball& ball) {
  if (!acb_contains_zero(ball.raw())) return false;
  mag_t bound;
  mag_init(bound);
  acb_get_mag(bound, ball.raw());
  const bool is_tiny = mag_cmp_2exp_si(bound, -kZeroBits) < 0;
  mag_clear(bound);
  return is_tiny;
}

enum class PointOutcome : uint8_t { kSame, kOther, kUnknown, kSkipped };

// Whether two balls are one value, given the precision they were computed with.
PointOutcome compare_balls(const Ball& a, const Ball& b, long precision) {
  if (!acb_overlaps(a.raw(), b.raw())) return PointOutcome::kOther;
  if (is_accurate(a) && is_accurate(b)) return PointOutcome::kSame;
  if (precision >= 512 && is_zero_at(a) && is_zero_at(b)) return PointOutcome::kSame;
  return PointOutcome::kUnknown;
}

PointOutcome compare_at(const ExactTerm& gold, const ExactTerm& candidate,
                        const SamplePoints& points, size_t point, long precision_min,
                        bool& is_gold_real, Comparison& comparison) {
  long magnitude_bits = 0;
  const auto at = [&](long precision) {
    const BallValue a = evaluate_ball(gold, points, point, precision, comparison.fuel);
    if (a.status == BallStatus::kUndefined) return PointOutcome::kSkipped;
    const BallValue b = evaluate_ball(candidate, points, point, precision, comparison.fuel);
    if (a.status != BallStatus::kFinite) return PointOutcome::kUnknown;
    is_gold_real = arb_contains_zero(acb_imagref(a.ball.raw())) != 0;
    if (b.status == BallStatus::kUndefined) return PointOutcome::kOther;
    if (b.status != BallStatus::kFinite) return PointOutcome::kUnknown;
    magnitude_bits = std::max(a.magnitude_bits, b.magnitude_bits);
    return compare_balls(a.ball, b.ball, precision);
  };
  PointOutcome outcome = PointOutcome::kUnknown;
  for (long precision : kPrecisions) {
    outcome = at(precision);
    if (outcome == PointOutcome::kSame && precision_min > 0) {
      // Values that share their first 100 bits may still be two.
      const long confirming = std::max(precision_min, 2 * magnitude_bits + 256);
      if (confirming > kConfirmBitsMax) return PointOutcome::kUnknown;
      return precision < confirming ? at(confirming) : outcome;
    }
    if (outcome != PointOutcome::kUnknown) return outcome;
  }
  return outcome;
}

// What balls may say: with numbers of n bits around, relative differences may be as small as 2^-n.
struct Confirmation {
  long precision = 512;
  bool is_possible = true;
};

Confirmation confirmation_for(const ExactTerm& gold, const ExactTerm& candidate) {
  uint64_t bits = 0;
  Confirmation confirmation;
  for (const ExactTerm* term : {&gold, &candidate}) {
    for (const ExactValue& value : term->values) {
      if (value.status == ExactStatus::kTooLarge) confirmation.is_possible = false;
      if (value.status == ExactStatus::kRational) bits = std::max(bits, value.value.bits());
    }
  }
  confirmation.precision = static_cast<long>(std::max<uint64_t>(512, 2 * bits + 256));
  if (confirmation.precision > kConfirmBitsMax) confirmation.is_possible = false;
  return confirmation;
}

struct PointCounts {
  size_t num_same = 0;
  size_t num_other = 0;
  size_t num_unknown = 0;

  void add(PointOutcome outcome) {
    num_same += outcome == PointOutcome::kSame;
    num_other += outcome == PointOutcome::kOther;
    num_unknown += outcome == PointOutcome::kUnknown;
  }
  void add(const PointCounts& other) {
    num_same += other.num_same;
    num_other += other.num_other;
    num_unknown += other.num_unknown;
  }
};

bool is_far_point_needed(const ExactTerm& gold, const ExactTerm& candidate,
                         const SamplePoints& points) {
  return !points.variables().empty() && (has_pieces(gold.term) || has_pieces(candidate.term));
}

// Where only values count: poles far out are nobody's concern.
bool is_other_far_out(const ExactTerm& gold, const ExactTerm& candidate, const SamplePoints& points,
                      bool is_real_gold, Comparison& comparison) {
  if (!is_far_point_needed(gold, candidate, points)) return false;
  for (size_t i = 0; i < SamplePoints::kFarCount; ++i) {
    const size_t point = SamplePoints::kCount + i;
    const BallValue a = evaluate_ball(gold, points, point, kPrecisions[0], comparison.fuel);
    if (a.status != BallStatus::kFinite) continue;
    if (is_real_gold && !arb_contains_zero(acb_imagref(a.ball.raw()))) continue;
    const BallValue b = evaluate_ball(candidate, points, point, kPrecisions[0], comparison.fuel);
    if (b.status != BallStatus::kFinite) continue;
    if (!acb_overlaps(a.ball.raw(), b.ball.raw())) return true;
  }
  return false;
}

Outcome compare_by_balls(const ExactTerm& gold, const ExactTerm& candidate,
                         const std::vector<std::string>& variables, Comparison& comparison) {
  const Confirmation confirmation = confirmation_for(gold, candidate);
  const SamplePoints points(comparison.gold_text, variables);
  const bool is_real_only = has_real_function(gold.term) || has_real_function(candidate.term);
  const size_t num_points = variables.empty() ? 1
                            : is_real_only    ? SamplePoints::kComplexFrom
                                              : SamplePoints::kCount;
  // Where a formula over the reals has no real value, it is not meant: sqrt(x^3) and x sqrt(x)
  // differ below zero. These points count only if there is no other.
  const bool may_leave_reals = !variables.empty() && !has_imaginary_unit(gold.term);
  PointCounts meant;
  PointCounts outside;
  bool has_real = false;
  for (size_t point = 0; point < num_points; ++point) {
    const bool is_first = meant.num_same + outside.num_same == 0;
    const long precision_min = is_first && confirmation.is_possible ? confirmation.precision : 0;
    const bool is_real_point = point < SamplePoints::kComplexFrom;
    bool is_gold_real = true;
    const PointOutcome outcome =
        compare_at(gold, candidate, points, point, precision_min, is_gold_real, comparison);
    const bool is_outside = may_leave_reals && is_real_point && !is_gold_real;
    has_real = has_real || (is_real_point && is_gold_real && outcome == PointOutcome::kSame);
    (is_outside ? outside : meant).add(outcome);
    if (comparison.fuel.is_empty()) return Outcome::kUnknown;
    if (meant.num_other > 0) return Outcome::kOther;
  }
  if (!has_real) meant.add(outside);
  if (meant.num_other > 0) return Outcome::kOther;
  const bool has_unknown = meant.num_unknown > 0 || !confirmation.is_possible;
  const size_t num_same = meant.num_same;
  if (num_same == 0 || has_unknown) return Outcome::kUnknown;
  const bool is_other =
      is_other_far_out(gold, candidate, points, may_leave_reals && has_real, comparison);
  return is_other ? Outcome::kOther : Outcome::kSame;
}

Outcome compare_values(const ExactTerm& gold, const ExactTerm& candidate, Comparison& comparison) {
  if (gold.is_rational() && candidate.is_rational()) {
    return gold.root().value == candidate.root().value ? Outcome::kSame : Outcome::kOther;
  }
  if (gold.root().status == ExactStatus::kUndefined) return Outcome::kUnknown;
  if (candidate.root().status == ExactStatus::kUndefined) return Outcome::kOther;
  const auto variables = merged(variables_of(gold.term), variables_of(candidate.term));
  if (!variables.empty()) {
    const Outcome outcome = compare_polynomials(gold, candidate, variables, comparison.fuel);
    if (outcome != Outcome::kUnknown) return outcome;
  }
  return compare_by_balls(gold, candidate, variables, comparison);
}

}  // namespace

bool is_scalar(Term term) {
  const auto is_used = used_nodes(term);
  for (size_t i = 0; i < is_used.size(); ++i) {
    const Node& node = (*term.tree)[static_cast<NodeIndex>(term.node().first + i)];
    if (is_used[i] && !is_scalar_kind(node.kind, term.sign)) return false;
  }
  return true;
}

std::vector<std::string> variables_of(Term term) {
  const auto is_used = used_nodes(term);
  std::vector<std::string> names;
  for (size_t i = 0; i < is_used.size(); ++i) {
    const auto node = static_cast<NodeIndex>(term.node().first + i);
    if (is_used[i] && (*term.tree)[node].kind == NodeKind::kSymbol) {
      names.push_back(term.tree->name(node));
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Outcome compare_scalars(Term gold, Term candidate, Comparison& comparison) {
  const ExactTerm exact_gold = evaluate_exact(gold, comparison.fuel);
  const ExactTerm exact_candidate = evaluate_exact(candidate, comparison.fuel);
  const Outcome outcome = compare_values(exact_gold, exact_candidate, comparison);
  if (outcome == Outcome::kSame) return outcome;
  if (outcome == Outcome::kOther) {
    return is_rounding(exact_gold, exact_candidate, comparison) ? Outcome::kSame : outcome;
  }
  return is_same_structure(gold, candidate, comparison.fuel) ? Outcome::kSame : outcome;
}

bool is_far_apart(Term a, Term b, Comparison& comparison) {
  constexpr long kBits = 128;
  constexpr ulong kParts = 16;  // A sixteenth: 0.3 is about 1/3, 13 is not about 12.
  for (Term term : {a, b}) {
    if (!is_scalar(term) || !variables_of(term).empty()) return false;
  }
  const SamplePoints none(comparison.gold_text, {});
  const auto value = [&](Term term) {
    return evaluate_ball(evaluate_exact(term, comparison.fuel), none, 0, kBits, comparison.fuel);
  };
  const BallValue x = value(a);
  const BallValue y = value(b);
  if (x.status != BallStatus::kFinite || y.status != BallStatus::kFinite) return true;
  Ball distance;
  acb_sub(distance.raw(), x.ball.raw(), y.ball.raw(), kBits);
  acb_abs(acb_realref(distance.raw()), distance.raw(), kBits);
  arb_mul_ui(acb_realref(distance.raw()), acb_realref(distance.raw()), kParts, kBits);
  Ball size;
  acb_abs(acb_realref(size.raw()), x.ball.raw(), kBits);
  return arb_gt(acb_realref(distance.raw()), acb_realref(size.raw())) != 0;
}

RelationOutcome compare_factor(Term gold, Term candidate, Comparison& comparison) {
  const ExactTerm exact_gold = evaluate_exact(gold, comparison.fuel);
  const ExactTerm exact_candidate = evaluate_exact(candidate, comparison.fuel);
  const auto variables = merged(variables_of(gold), variables_of(candidate));
  const Proportion proportion =
      compare_proportional(exact_gold, exact_candidate, variables, comparison.fuel);
  if (proportion.outcome != Outcome::kUnknown) return {proportion.outcome, proportion.sign};
  const Confirmation confirmation = confirmation_for(exact_gold, exact_candidate);
  if (!confirmation.is_possible) return {};
  // The quotient must be one constant at all points.
  const SamplePoints points(comparison.gold_text, variables);
  const bool is_real_only = has_real_function(gold) || has_real_function(candidate);
  const bool has_far = is_far_point_needed(exact_gold, exact_candidate, points);
  const size_t num_points = SamplePoints::kCount + (has_far ? SamplePoints::kFarCount : 0);
  const long precision = confirmation.precision;
  std::optional<Ball> factor;
  for (size_t point = 0; point < num_points; ++point) {
    const bool is_far = point >= SamplePoints::kCount;
    if (is_real_only && !is_far && point >= SamplePoints::kComplexFrom) continue;
    const BallValue a = evaluate_ball(exact_gold, points, point, precision, comparison.fuel);
    if (a.status == BallStatus::kUndefined) continue;
    const BallValue b = evaluate_ball(exact_candidate, points, point, precision, comparison.fuel);
    if (is_far && (a.status != BallStatus::kFinite || b.status != BallStatus::kFinite ||
                   acb_contains_zero(a.ball.raw()))) {
      continue;
    }
    if (a.status != BallStatus::kFinite) return {};
    if (b.status == BallStatus::kUndefined) return {Outcome::kOther, 0};
    if (b.status != BallStatus::kFinite || acb_contains_zero(a.ball.raw())) return {};
    Ball quotient;
    acb_div(quotient.raw(), b.ball.raw(), a.ball.raw(), precision);
    if (!is_accurate(quotient) && !is_far) return {};
    if (!factor) {
      factor = quotient;
    } else if (!acb_overlaps(factor->raw(), quotient.raw())) {
      return {Outcome::kOther, 0};
    }
  }
  if (!factor) return {};
  if (acb_contains_zero(factor->raw())) return {Outcome::kOther, 0};  // 0 = 0 says nothing.
  const arb_struct* real = acb_realref(factor->raw());
  const bool is_real = arb_contains_zero(acb_imagref(factor->raw())) != 0;
  const int sign = !is_real ? 0 : arb_is_positive(real) ? 1 : arb_is_negative(real) ? -1 : 0;
  return {Outcome::kSame, sign};
}

}  // namespace troupe::actors
