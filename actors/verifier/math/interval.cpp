#include "actors/verifier/math/interval.h"

#include <algorithm>
#include <utility>

#include "actors/verifier/math/builder.h"
#include "actors/verifier/math/polynomial.h"
#include "actors/verifier/math/statement.h"

namespace troupe::actors {
namespace {

constexpr size_t kPartsMax = 64;

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
  if (!is_scalar(left) || !is_scalar(right)) return {};
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
  if (left_names.size() != 1) return {};
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

std::optional<RealSet> read_inequality(Term term, Comparison& comparison) {
  const std::string& relations = term.tree->name(term.root);
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
  if (infinity_sign(*interval.low) < 0) interval.low.reset();
  if (infinity_sign(*interval.high) > 0) interval.high.reset();
  // Infinity is no number that an interval could end with.
  if ((!interval.low && interval.has_low) || (!interval.high && interval.has_high)) return {};
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
      case NodeKind::kList:
        for (size_t j = 0; j < part.num_children(); ++j) {
          if (!is_inequality(part.child(j))) return {};
          parts.push_back(part.child(j));
        }
        break;
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
        if (!is_reals(part.child(0)) || without.kind() != NodeKind::kSet ||
            without.num_children() != 1) {
          return {};
        }
        set.intervals.push_back({.high = without.child(0)});
        set.intervals.push_back({.low = without.child(0)});
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
  if (set.intervals.empty()) return {};
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
