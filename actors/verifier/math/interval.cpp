#include "actors/verifier/math/interval.h"

#include <algorithm>
#include <utility>

#include "actors/verifier/math/ball.h"
#include "actors/verifier/math/builder.h"
#include "actors/verifier/math/polynomial.h"
#include "actors/verifier/math/statement.h"
#include "actors/verifier/math/tokens.h"

namespace troupe::actors {
namespace {

constexpr size_t kPartsMax = 64;
constexpr uint64_t kOrderUnits = 300;  // Charged for looking at two bounds.

Term make_term(const Rational& value, Comparison& comparison) {
  TreeBuilder builder(16);
  const auto part = [&](const fmpz* digits) {
    char* text = fmpz_get_str(nullptr, 10, digits);
    const NodeIndex node = builder.number(text[0] == '-' ? text + 1 : text);
    flint_free(text);
    return node;
  };
  NodeIndex root = part(value.numerator());
  if (!value.is_integer()) {
    root = builder.add(NodeKind::kDivide, {root, part(value.denominator())});
  }
  if (value.sign() < 0) root = builder.negate(root);
  comparison.made.push_back(builder.take());
  return {&comparison.made.back(), root};
}

char flipped(char relation) {
  switch (relation) {
    case '<':
      return '>';
    case '>':
      return '<';
    case 'l':
      return 'g';
    case 'g':
      return 'l';
    default:
      return relation;
  }
}

struct HalfLine {
  std::string variable{};
  char relation = 0;  // variable relation bound
  Term bound{};
};

// left relation right, solved for the one variable in it.
std::optional<HalfLine> solve(Term left, char relation, Term right, std::optional<Term> whole,
                              Comparison& comparison) {
  const auto is_side = [](Term side) { return is_scalar(side) || !spelled_name(side).empty(); };
  if (!is_side(left) || !is_side(right)) return {};
  auto left_names = variables_of(left);
  auto right_names = variables_of(right);
  if (left_names.empty()) {
    std::swap(left, right);
    std::swap(left_names, right_names);
    relation = flipped(relation);
  }
  // |x| < 2 is no statement about every number below 2.
  const bool is_absolute = left.kind() == NodeKind::kFunction;
  const std::string name = is_absolute ? "" : spelled_name(left);
  if (right_names.empty() && !name.empty()) return {{name, relation, right}};
  if (left_names.size() != 1 || !is_scalar(left) || !is_scalar(right)) return {};
  const std::string& variable = left_names[0];
  std::optional<std::pair<Rational, Rational>> line;
  Rational limit;
  if (right_names.empty()) {
    const ExactTerm exact = evaluate_exact(right, comparison.fuel);
    if (!exact.is_rational()) return {};
    limit = exact.root().value;
    line = linear_coefficients(evaluate_exact(left, comparison.fuel), variable, comparison.fuel);
  } else if (whole && right_names == left_names) {
    line = linear_coefficients(evaluate_exact(*whole, comparison.fuel), variable, comparison.fuel);
  }
  if (!line) return {};
  fmpq_sub(limit.raw(), limit.raw(), line->second.raw());
  fmpq_div(limit.raw(), limit.raw(), line->first.raw());
  if (line->first.sign() < 0) relation = flipped(relation);
  return {{variable, relation, make_term(limit, comparison)}};
}

// |ax + b| < c or > c with c > 0.
std::optional<RealSet> read_absolute(Term left, char relation, Term right, Comparison& comparison) {
  if (left.kind() != NodeKind::kFunction) {
    std::swap(left, right);
    relation = flipped(relation);
  }
  const bool is_absolute = left.kind() == NodeKind::kFunction && left.node().detail == kAbs;
  if (!is_absolute || relation == 'n' || !is_scalar(left) || !is_scalar(right)) return {};
  const auto names = variables_of(left);
  // z may be complex.
  if (names.size() != 1 || names[0] == "z" || !variables_of(right).empty()) return {};
  const ExactTerm exact = evaluate_exact(right, comparison.fuel);
  if (!exact.is_rational() || exact.root().value.sign() <= 0) return {};
  const auto line = linear_coefficients(evaluate_exact(left.child(0), comparison.fuel), names[0],
                                        comparison.fuel);
  if (!line) return {};
  const auto solution = [&](int sign) {
    Rational value;
    if (sign > 0) {
      fmpq_sub(value.raw(), exact.root().value.raw(), line->second.raw());
    } else {
      fmpq_add(value.raw(), exact.root().value.raw(), line->second.raw());
      fmpq_neg(value.raw(), value.raw());
    }
    fmpq_div(value.raw(), value.raw(), line->first.raw());
    return make_term(value, comparison);
  };
  const int direction = line->first.sign();
  const Term low = solution(-direction);
  const Term high = solution(direction);
  const bool is_closed = relation == 'l' || relation == 'g';
  RealSet set{.variable = names[0]};
  if (relation == '<' || relation == 'l') {
    set.intervals = {{.low = low, .high = high, .has_low = is_closed, .has_high = is_closed}};
  } else {
    set.intervals = {{.high = low, .has_high = is_closed}, {.low = high, .has_low = is_closed}};
  }
  return set;
}

// Bounds at infinity are none. False where infinity would be in the interval.
bool drop_infinity(Interval& interval) {
  if (infinity_sign(*interval.low) < 0) interval.low.reset();
  if (infinity_sign(*interval.high) > 0) interval.high.reset();
  return (interval.low || !interval.has_low) && (interval.high || !interval.has_high);
}

// a < x < b, whatever a and b are.
std::optional<RealSet> read_between(Term term) {
  const std::string& relations = term.tree->name(term.root);
  if (relations != "<<" && relations != "<l" && relations != "l<" && relations != "ll") return {};
  const Term middle = term.child(1);
  if (middle.kind() != NodeKind::kSymbol) return {};
  const std::string& name = middle.tree->name(middle.root);
  for (Term side : {term.child(0), term.child(2)}) {
    if (!is_scalar(side) && infinity_sign(side) == 0) return {};
    const auto names = variables_of(side);
    if (std::binary_search(names.begin(), names.end(), name)) return {};
  }
  Interval interval{.low = term.child(0),
                    .high = term.child(2),
                    .has_low = relations[0] == 'l',
                    .has_high = relations[1] == 'l'};
  if (!drop_infinity(interval)) return {};
  RealSet set{.variable = name};
  set.intervals.push_back(interval);
  return set;
}

std::optional<RealSet> read_inequality(Term term, Comparison& comparison) {
  const std::string& relations = term.tree->name(term.root);
  if (relations.size() == 1) {
    if (auto set = read_absolute(term.child(0), relations[0], term.child(1), comparison)) {
      return set;
    }
  }
  if (auto set = read_between(term)) return set;
  RealSet set;
  Interval interval;
  const bool is_chain = relations.size() > 1;
  for (size_t i = 0; i < relations.size(); ++i) {
    if (std::string_view("<>lgn").find(relations[i]) == std::string_view::npos) return {};
    const auto line = solve(term.child(i), relations[i], term.child(i + 1),
                            is_chain ? std::nullopt : std::optional<Term>(term), comparison);
    if (!line || (!set.variable.empty() && set.variable != line->variable)) return {};
    set.variable = line->variable;
    const bool is_closed = line->relation == 'l' || line->relation == 'g';
    if (line->relation == 'n') {
      if (is_chain) return {};
      set.intervals = {{.high = line->bound}, {.low = line->bound}};
      return set;
    }
    const bool is_upper = line->relation == '<' || line->relation == 'l';
    if (is_upper ? interval.high.has_value() : interval.low.has_value()) return {};
    (is_upper ? interval.high : interval.low) = line->bound;
    (is_upper ? interval.has_high : interval.has_low) = is_closed;
  }
  set.intervals.push_back(interval);
  return set;
}

std::optional<Interval> read_brackets(Term term) {
  if (term.num_children() != 2) return {};
  const char bracket = term.node().detail;
  if (bracket == '<') return {};
  Interval interval{.low = term.child(0),
                    .high = term.child(1),
                    .has_low = bracket == '[' || bracket == 'l',
                    .has_high = bracket == '[' || bracket == 'r'};
  if (!drop_infinity(interval)) return {};
  return interval;
}

bool is_reals(Term term) {
  return term.kind() == NodeKind::kSymbol && term.tree->name(term.root) == "mathbb{R}";
}

Outcome compare_bounds(const std::optional<Term>& gold, bool has_gold,
                       const std::optional<Term>& candidate, bool has_candidate,
                       Comparison& comparison) {
  if (!gold || !candidate) {
    return gold.has_value() == candidate.has_value() ? Outcome::kSame : Outcome::kOther;
  }
  if (has_gold != has_candidate) return Outcome::kOther;
  if (!is_scalar(*gold) || !is_scalar(*candidate)) return Outcome::kUnknown;
  return compare_scalars(*gold, *candidate, comparison);
}

Outcome compare_intervals(const Interval& gold, const Interval& candidate, Comparison& comparison) {
  const Outcome low =
      compare_bounds(gold.low, gold.has_low, candidate.low, candidate.has_low, comparison);
  if (low == Outcome::kOther) return low;
  const Outcome high =
      compare_bounds(gold.high, gold.has_high, candidate.high, candidate.has_high, comparison);
  return high == Outcome::kSame ? low : high;
}

// Whether each of one side has its partner on the other.
template <class Part, class Compare>
Outcome match(const std::vector<Part>& gold, const std::vector<Part>& candidate, Compare compare) {
  if (gold.size() != candidate.size()) return Outcome::kOther;
  std::vector<bool> is_taken(candidate.size());
  bool has_unknown = false;
  for (const Part& wanted : gold) {
    bool is_found = false;
    for (size_t i = 0; i < candidate.size() && !is_found; ++i) {
      if (is_taken[i]) continue;
      const Outcome outcome = compare(wanted, candidate[i]);
      has_unknown = has_unknown || outcome == Outcome::kUnknown;
      is_found = outcome == Outcome::kSame;
      if (is_found) is_taken[i] = true;
    }
    if (!is_found) return has_unknown ? Outcome::kUnknown : Outcome::kOther;
  }
  return Outcome::kSame;
}

// -1, 0 or 1 as a is below, at or above b; nothing where that cannot be told.
std::optional<int> order(Term a, Term b, Comparison& comparison) {
  constexpr long kBits = 256;
  if (!comparison.fuel.spend(kOrderUnits)) return {};
  for (Term term : {a, b}) {
    if (!is_scalar(term) || !variables_of(term).empty()) return {};
  }
  const ExactTerm left = evaluate_exact(a, comparison.fuel);
  const ExactTerm right = evaluate_exact(b, comparison.fuel);
  if (left.is_rational() && right.is_rational()) {
    const int sign = fmpq_cmp(left.root().value.raw(), right.root().value.raw());
    return sign < 0 ? -1 : sign > 0;
  }
  const SamplePoints none(comparison.gold_text, {});
  const BallValue x = evaluate_ball(left, none, 0, kBits, comparison.fuel);
  const BallValue y = evaluate_ball(right, none, 0, kBits, comparison.fuel);
  for (const BallValue* value : {&x, &y}) {
    if (value->status != BallStatus::kFinite) return {};
    if (!arb_contains_zero(acb_imagref(value->ball.raw()))) return {};
  }
  if (arb_lt(acb_realref(x.ball.raw()), acb_realref(y.ball.raw()))) return -1;
  if (arb_gt(acb_realref(x.ball.raw()), acb_realref(y.ball.raw()))) return 1;
  if (compare_scalars(a, b, comparison) == Outcome::kSame) return 0;
  return {};
}

// Whether there is a number in it; nothing where its bounds cannot be put in order.
std::optional<bool> has_number(const Interval& interval, Comparison& comparison) {
  if (!interval.low || !interval.high) return true;
  const auto sign = order(*interval.low, *interval.high, comparison);
  if (!sign) return {};
  return *sign < 0 || (*sign == 0 && interval.has_low && interval.has_high);
}

std::optional<Interval> intersection(const Interval& a, const Interval& b, Comparison& comparison) {
  Interval both = a;
  if (!both.low) {
    both.low = b.low;
    both.has_low = b.has_low;
  } else if (b.low) {
    const auto sign = order(*a.low, *b.low, comparison);
    if (!sign) return {};
    if (*sign < 0) both.low = b.low;
    both.has_low = *sign < 0 ? b.has_low : *sign > 0 ? a.has_low : a.has_low && b.has_low;
  }
  if (!both.high) {
    both.high = b.high;
    both.has_high = b.has_high;
  } else if (b.high) {
    const auto sign = order(*a.high, *b.high, comparison);
    if (!sign) return {};
    if (*sign > 0) both.high = b.high;
    both.has_high = *sign > 0 ? b.has_high : *sign < 0 ? a.has_high : a.has_high && b.has_high;
  }
  return both;
}

using Intervals = std::vector<Interval>;

std::optional<Intervals> intersection(const Intervals& a, const Intervals& b,
                                      Comparison& comparison) {
  Intervals parts;
  if (a.size() * b.size() > kPartsMax) return {};
  for (const Interval& x : a) {
    for (const Interval& y : b) {
      const auto part = intersection(x, y, comparison);
      const auto is_part = part ? has_number(*part, comparison) : std::nullopt;
      if (!is_part) return {};
      if (*is_part) parts.push_back(*part);
    }
  }
  return parts;
}

// What is left of a set without some points.
std::optional<Intervals> without_points(Intervals intervals, Term points, Comparison& comparison) {
  for (size_t i = 0; i < points.num_children(); ++i) {
    const Intervals others = {{.high = points.child(i)}, {.low = points.child(i)}};
    const auto left = intersection(intervals, others, comparison);
    if (!left) return {};
    intervals = *left;
  }
  return intervals;
}

// "x < 1 or x > 3", "x > 1 and x < 3". A comma means either: "and" before what is unequal, "or"
// where nothing is in two of them; otherwise it is left alone.
std::optional<RealSet> read_joined(Term list, Comparison& comparison) {
  RealSet all;
  const char joiner = list.node().detail;
  bool is_both = joiner == 'a';
  if (joiner == ',') {
    for (size_t i = 0; i < list.num_children(); ++i) {
      const Term item = list.child(i);
      is_both = is_both || (is_relation(item) && item.tree->name(item.root) == "n");
    }
  }
  for (size_t i = 0; i < list.num_children(); ++i) {
    if (!is_inequality(list.child(i))) return {};
    const auto one = read_inequality(list.child(i), comparison);
    if (!one || (i > 0 && one->variable != all.variable)) return {};
    all.variable = one->variable;
    if (i == 0) {
      all.intervals = one->intervals;
      continue;
    }
    if (all.intervals.size() + one->intervals.size() > kPartsMax) return {};
    if (is_both || joiner == ',') {
      const auto common = intersection(all.intervals, one->intervals, comparison);
      if (!common || common->empty() == is_both) return {};
      if (is_both) all.intervals = *common;
    }
    if (is_both) continue;
    all.intervals.insert(all.intervals.end(), one->intervals.begin(), one->intervals.end());
  }
  return all;
}

bool touches(const Interval& lower, const Interval& upper, int sign) {
  return sign > 0 || (sign == 0 && (lower.has_high || upper.has_low));
}

// Joins what overlaps or touches, so that a set has one form. False for bounds out of order; what
// cannot be put in order stays as it is.
bool normalize(RealSet& set, Comparison& comparison) {
  for (const Interval& interval : set.intervals) {
    const auto is_proper = has_number(interval, comparison);
    if (!is_proper) return true;
    if (!*is_proper) return false;
  }
  for (size_t i = 0; i < set.intervals.size(); ++i) {
    for (size_t j = 0; j < set.intervals.size(); ++j) {
      if (i == j) continue;
      Interval& a = set.intervals[i];
      const Interval& b = set.intervals[j];
      // Whether b begins in a or right behind it, and not before a.
      const auto begins = !a.low   ? std::optional<int>(-1)
                          : !b.low ? std::optional<int>(1)
                                   : order(*a.low, *b.low, comparison);
      const auto reaches =
          !a.high || !b.low ? std::optional<int>(1) : order(*a.high, *b.low, comparison);
      if (!begins || !reaches) return true;
      if (*begins > 0 || !touches(a, b, *reaches)) continue;
      const auto ends = !a.high   ? std::optional<int>(1)
                        : !b.high ? std::optional<int>(-1)
                                  : order(*a.high, *b.high, comparison);
      if (!ends) return true;
      if (*begins == 0) a.has_low = a.has_low || b.has_low;
      if (*ends < 0) a.high = b.high;
      a.has_high = *ends < 0 ? b.has_high : *ends == 0 ? a.has_high || b.has_high : a.has_high;
      set.intervals.erase(set.intervals.begin() + static_cast<std::ptrdiff_t>(j));
      i = 0;
      j = static_cast<size_t>(-1);
    }
  }
  return true;
}

}  // namespace

int infinity_sign(Term term) {
  if (term.kind() == NodeKind::kInfinity) return 1;
  const bool is_negative =
      term.kind() == NodeKind::kNegate && term.child(0).kind() == NodeKind::kInfinity;
  return is_negative ? -1 : 0;
}

std::optional<RealSet> read_real_set(Term term, Comparison& comparison) {
  RealSet set;
  std::vector<Term> parts{term};
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts.size() > kPartsMax) return {};
    const Term part = parts[i];
    switch (part.kind()) {
      case NodeKind::kUnion:
        parts.push_back(part.child(0));
        parts.push_back(part.child(1));
        break;
      case NodeKind::kList: {
        if (i > 0) return {};
        const auto joined = read_joined(part, comparison);
        if (!joined) return {};
        set = *joined;
        break;
      }
      case NodeKind::kSet:
        for (size_t j = 0; j < part.num_children(); ++j) set.points.push_back(part.child(j));
        break;
      case NodeKind::kTuple: {
        const auto interval = read_brackets(part);
        if (!interval) return {};
        set.intervals.push_back(*interval);
        break;
      }
      case NodeKind::kSymbol:
        if (!is_reals(part)) return {};
        set.intervals.push_back({});
        break;
      case NodeKind::kSetMinus: {
        const Term without = part.child(1);
        const Term whole = part.child(0);
        if (without.kind() != NodeKind::kSet) return {};
        Intervals intervals(1);
        if (!is_reals(whole)) {
          const auto interval =
              whole.kind() == NodeKind::kTuple ? read_brackets(whole) : std::nullopt;
          if (!interval) return {};
          intervals[0] = *interval;
        }
        const auto left = without_points(std::move(intervals), without, comparison);
        if (!left) return {};
        set.intervals.insert(set.intervals.end(), left->begin(), left->end());
        break;
      }
      case NodeKind::kRelation: {
        if (const auto statement = read_statement(part)) {  // x \in [1, 2]
          if (i > 0 || statement->name.empty() || !statement->between.empty()) return {};
          set.variable = statement->name;
          parts.push_back(statement->value);
          break;
        }
        const auto solved = read_inequality(part, comparison);
        if (!solved || (!set.variable.empty() && set.variable != solved->variable)) return {};
        set.variable = solved->variable;
        set.intervals.insert(set.intervals.end(), solved->intervals.begin(),
                             solved->intervals.end());
        break;
      }
      default:
        return {};
    }
  }
  if (set.intervals.empty() || !normalize(set, comparison)) return {};
  return set;
}

Outcome compare_real_sets(const RealSet& gold, const RealSet& candidate, Comparison& comparison) {
  if (!gold.variable.empty() && !candidate.variable.empty() &&
      gold.variable != candidate.variable) {
    return Outcome::kOther;
  }
  const Outcome intervals = match(
      gold.intervals, candidate.intervals,
      [&](const Interval& a, const Interval& b) { return compare_intervals(a, b, comparison); });
  if (intervals != Outcome::kSame) return intervals;
  return match(gold.points, candidate.points, [&](Term a, Term b) {
    if (!is_scalar(a) || !is_scalar(b)) return Outcome::kUnknown;
    return compare_scalars(a, b, comparison);
  });
}

}  // namespace troupe::actors
