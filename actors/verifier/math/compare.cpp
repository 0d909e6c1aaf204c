#include "actors/verifier/math/compare.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/math/asked.h"
#include "actors/verifier/math/based.h"
#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/congruence.h"
#include "actors/verifier/math/interval.h"
#include "actors/verifier/math/items.h"
#include "actors/verifier/math/matrix.h"
#include "actors/verifier/math/measure.h"
#include "actors/verifier/math/series.h"
#include "actors/verifier/math/statement.h"
#include "actors/verifier/math/structure.h"

namespace troupe::actors {
namespace {

constexpr int kNestingMax = 8;        // Sets of tuples of matrices ...
constexpr uint64_t kPairUnits = 200;  // Charged for looking at two items of collections.

Outcome compare(Term gold, Term candidate, Comparison& comparison, int nesting);

// Same only if both are; the first that is not says why.
Outcome both(Outcome a, Outcome b) {
  if (a == Outcome::kOther || b == Outcome::kOther) return Outcome::kOther;
  return a == Outcome::kSame ? b : a;
}

Outcome compare_pair(Term gold, Term candidate, Comparison& comparison, int nesting) {
  if (!comparison.fuel.spend(kPairUnits)) return Outcome::kUnknown;
  return compare(gold, candidate, comparison, nesting + 1);
}

Outcome compare_in_order(const std::vector<Term>& gold, const std::vector<Term>& candidate,
                         Comparison& comparison, int nesting) {
  if (gold.size() != candidate.size()) return Outcome::kOther;
  Outcome all = Outcome::kSame;
  for (size_t i = 0; i < gold.size() && all != Outcome::kOther; ++i) {
    all = both(all, compare_pair(gold[i], candidate[i], comparison, nesting));
  }
  return all;
}

// x = 1, y = 2 in any order.
Outcome compare_by_name(const Items& gold, const Items& candidate, Comparison& comparison,
                        int nesting) {
  if (gold.values.size() != candidate.values.size()) return Outcome::kOther;
  Outcome all = Outcome::kSame;
  for (size_t i = 0; i < gold.values.size() && all != Outcome::kOther; ++i) {
    const auto found = std::find(candidate.names.begin(), candidate.names.end(), gold.names[i]);
    if (found == candidate.names.end()) return Outcome::kOther;
    const Term value = candidate.values[static_cast<size_t>(found - candidate.names.begin())];
    all = both(all, compare_pair(gold.values[i], value, comparison, nesting));
  }
  return all;
}

// The values in the order of their names: "y = 2, x = 1" is the pair (1, 2).
std::vector<Term> values_by_name(const Items& items) {
  std::vector<size_t> order(items.values.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return items.names[a] < items.names[b]; });
  std::vector<Term> values;
  for (size_t i : order) values.push_back(items.values[i]);
  return values;
}

// x for x_1.
std::string without_index(const std::string& name) { return name.substr(0, name.find('_')); }

// Named values on both sides: those of one variable in any order, otherwise each for its own.
bool has_same_names(const Items& gold, const Items& candidate) {
  const auto has_one = [&](const Items& items) {
    return std::all_of(items.names.begin(), items.names.end(), [&](const std::string& name) {
      return without_index(name) == without_index(gold.names[0]);
    });
  };
  if (has_one(gold)) return has_one(candidate);
  return gold.names == candidate.names;
}

bool is_all_named(const Items& items) {
  return !items.names.empty() && std::none_of(items.names.begin(), items.names.end(),
                                              [](const std::string& name) { return name.empty(); });
}

bool is_joined_symbols(Term term) {
  if (term.kind() != NodeKind::kList || term.node().detail == ',') return false;
  for (size_t i = 0; i < term.num_children(); ++i) {
    if (term.child(i).kind() != NodeKind::kSymbol) return false;
  }
  return true;
}

// Lists of inequalities, where it matters how they are joined.
bool has_inequality(Term term) {
  if (term.kind() != NodeKind::kList) return false;
  for (size_t i = 0; i < term.num_children(); ++i) {
    if (is_inequality(term.child(i))) return true;
  }
  return false;
}

bool has_duplicates(const std::vector<Term>& items, Comparison& comparison, int nesting) {
  for (size_t i = 1; i < items.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (compare_pair(items[i], items[j], comparison, nesting) == Outcome::kSame) return true;
    }
  }
  return false;
}

// Each item of one side has a partner on the other: its own one in lists, any one in sets.
Outcome compare_unordered(const std::vector<Term>& gold, const std::vector<Term>& candidate,
                          bool are_sets, Comparison& comparison, int nesting) {
  if (!are_sets && gold.size() > candidate.size()) return Outcome::kOther;
  // A solution that is listed twice is still one, unless the gold counts them.
  if (!are_sets && gold.size() < candidate.size()) {
    if (has_duplicates(gold, comparison, nesting)) return Outcome::kOther;
    are_sets = true;
  }
  if (gold.size() == candidate.size() &&
      compare_in_order(gold, candidate, comparison, nesting) == Outcome::kSame) {
    return Outcome::kSame;
  }
  bool has_unknown = false;
  const auto find_partner = [&](Term wanted, bool is_gold, const std::vector<Term>& others,
                                std::vector<bool>& is_taken) {
    for (size_t i = 0; i < others.size(); ++i) {
      if (!are_sets && is_taken[i]) continue;
      const Outcome outcome = is_gold ? compare_pair(wanted, others[i], comparison, nesting)
                                      : compare_pair(others[i], wanted, comparison, nesting);
      has_unknown = has_unknown || outcome == Outcome::kUnknown;
      if (outcome != Outcome::kSame) continue;
      is_taken[i] = true;
      return true;
    }
    return false;
  };
  std::vector<bool> is_taken(candidate.size());
  for (Term wanted : gold) {
    if (!find_partner(wanted, true, candidate, is_taken)) {
      return has_unknown ? Outcome::kUnknown : Outcome::kOther;
    }
  }
  if (!are_sets) return Outcome::kSame;
  std::vector<bool> is_gold_taken(gold.size());
  for (size_t i = 0; i < candidate.size(); ++i) {
    if (is_taken[i] || find_partner(candidate[i], false, gold, is_gold_taken)) continue;
    return has_unknown ? Outcome::kUnknown : Outcome::kOther;
  }
  return Outcome::kSame;
}

std::vector<Term> children_of(Term term) {
  std::vector<Term> children;
  for (size_t i = 0; i < term.num_children(); ++i) children.push_back(term.child(i));
  return children;
}

Outcome compare_collections(Term gold, Term candidate, Comparison& comparison, int nesting) {
  // x < 1 or x > 3, in intervals or in inequalities.
  if (gold.kind() == NodeKind::kList || candidate.kind() == NodeKind::kList) {
    const auto a = read_real_set(gold, comparison);
    const auto b = a ? read_real_set(candidate, comparison) : std::nullopt;
    if (a && b) return compare_real_sets(*a, *b, comparison);
    const bool is_joined_alike =
        gold.kind() == candidate.kind() && gold.node().detail == candidate.node().detail;
    if ((has_inequality(gold) || has_inequality(candidate)) && !is_joined_alike) {
      return Outcome::kUnknown;
    }
  }
  // p and q, p or q: of statements, not of values.
  if (is_joined_symbols(gold) && is_joined_symbols(candidate) &&
      gold.node().detail != candidate.node().detail) {
    return Outcome::kOther;
  }
  const Items a = items_of(gold);
  const Items b = items_of(candidate);
  if (candidate.kind() == NodeKind::kTuple && !has_plus_minus(candidate)) {
    if (has_plus_minus(gold)) return Outcome::kOther;
    if (!a.has_distinct_names() || a.values.size() < 2) return Outcome::kOther;
    return compare_in_order(values_by_name(a), children_of(candidate), comparison, nesting);
  }
  if (gold.kind() == NodeKind::kTuple && !has_plus_minus(gold)) {
    if (has_plus_minus(candidate)) return Outcome::kOther;
    if (!b.has_distinct_names() || b.values.size() < 2) return Outcome::kOther;
    return compare_in_order(children_of(gold), values_by_name(b), comparison, nesting);
  }
  if (a.has_distinct_names() && b.has_distinct_names() && a.values.size() > 1) {
    return compare_by_name(a, b, comparison, nesting);
  }
  if (is_all_named(a) && is_all_named(b) && a.values.size() > 1) {
    if (!has_same_names(a, b)) return Outcome::kOther;
    const bool has_one = without_index(a.names.front()) == without_index(a.names.back());
    if (!has_one) return compare_in_order(a.values, b.values, comparison, nesting);
  }
  const bool has_names = std::any_of(b.names.begin(), b.names.end(),
                                     [](const std::string& name) { return !name.empty(); });
  if (a.has_distinct_names() && a.values.size() > 1 && !has_names) {
    return compare_in_order(a.values, b.values, comparison, nesting);  // "1, 2" for x = 1, y = 2
  }
  const bool are_sets = gold.kind() == NodeKind::kSet || candidate.kind() == NodeKind::kSet;
  // One value is not a list of values, unless braces say so.
  const auto is_plain = [](Term term) { return !is_list_or_set(term) && !has_plus_minus(term); };
  if (is_plain(candidate) && gold.kind() != NodeKind::kSet) return Outcome::kOther;
  if (is_plain(gold)) return Outcome::kOther;
  if (comparison.is_ordered && nesting == 0) {
    return compare_in_order(a.values, b.values, comparison, nesting);
  }
  return compare_unordered(a.values, b.values, are_sets, comparison, nesting);
}

Outcome compare_tuples(Term gold, Term candidate, Comparison& comparison, int nesting) {
  const auto bracket = [](Term term) {
    return term.node().detail == '<' ? '(' : term.node().detail;
  };
  if (bracket(gold) != bracket(candidate)) return Outcome::kOther;
  return compare_in_order(children_of(gold), children_of(candidate), comparison, nesting);
}

// 12:30 is a time of day and 3:4 a ratio.
bool is_time(Term term) {
  if (term.num_children() != 2) return false;
  const Term minutes = term.child(1);
  return minutes.kind() == NodeKind::kNumber &&
         minutes.tree->literal(minutes.root).digits.size() == 2 &&
         !minutes.tree->literal(minutes.root).has_point;
}

Outcome compare_ratios(Term gold, Term candidate, Comparison& comparison, int nesting) {
  const bool are_both = candidate.kind() == gold.kind();
  if (are_both) {
    const Outcome parts =
        compare_in_order(children_of(gold), children_of(candidate), comparison, nesting);
    // 5:07 is a time and 5:7 is none.
    if (parts == Outcome::kSame && is_time(gold) != is_time(candidate)) return Outcome::kOther;
    if (parts == Outcome::kSame || is_time(gold) || is_time(candidate)) return parts;
    if (gold.num_children() != candidate.num_children()) return Outcome::kOther;
  } else if (is_time(gold) || gold.num_children() != 2 || !is_scalar(candidate)) {
    return Outcome::kOther;
  }
  // a : b is c : d when ad = bc.
  std::vector<ExactTerm> left;
  std::vector<ExactTerm> right;
  const auto evaluate = [&](Term term, std::vector<ExactTerm>& out) {
    for (Term part : children_of(term)) {
      if (!is_scalar(part)) return false;
      out.push_back(evaluate_exact(part, comparison.fuel));
      if (!out.back().is_rational() || out.back().root().value.is_zero()) return false;
    }
    return true;
  };
  if (!evaluate(gold, left)) return Outcome::kUnknown;
  const auto quotient = [](const ExactTerm& a, const ExactTerm& b) {
    Rational result;
    fmpq_div(result.raw(), a.root().value.raw(), b.root().value.raw());
    return result;
  };
  if (!are_both) {
    const ExactTerm exact = evaluate_exact(candidate, comparison.fuel);
    if (!exact.is_rational()) return Outcome::kOther;
    return exact.root().value == quotient(left[0], left[1]) ? Outcome::kSame : Outcome::kOther;
  }
  if (!evaluate(candidate, right)) return Outcome::kUnknown;
  for (size_t i = 1; i < left.size(); ++i) {
    if (!(quotient(left[0], left[i]) == quotient(right[0], right[i]))) return Outcome::kOther;
  }
  return Outcome::kSame;
}

char mirrored(char relation) {
  constexpr std::string_view kFrom = "<>lg";
  constexpr std::string_view kTo = "><gl";
  const size_t at = kFrom.find(relation);
  return at == kFrom.npos ? relation : kTo[at];
}

// Both are relations; equal up to a constant factor, which turns inequalities when it is negative.
Outcome compare_relations(Term gold, Term candidate, Comparison& comparison, int nesting) {
  const std::string& a = gold.tree->name(gold.root);
  const std::string& b = candidate.tree->name(candidate.root);
  if (a.size() != b.size()) return Outcome::kOther;
  if (a.size() == 1) {
    const bool has_direction = mirrored(a[0]) != a[0];
    if (a[0] != b[0] && !(has_direction && mirrored(a[0]) == b[0])) return Outcome::kOther;
    for (Term term : {gold, candidate}) {
      for (Term side : children_of(term)) {
        if (is_scalar(side)) continue;
        return is_same_structure(gold, candidate, comparison.fuel) ? Outcome::kSame
                                                                   : Outcome::kUnknown;
      }
    }
    const RelationOutcome factor = compare_factor(gold, candidate, comparison);
    if (factor.outcome != Outcome::kSame || !has_direction) return factor.outcome;
    if (factor.sign == 0) return Outcome::kUnknown;
    return (factor.sign > 0) == (a[0] == b[0]) ? Outcome::kSame : Outcome::kOther;
  }
  // Chains: side by side, in either direction.
  std::vector<Term> sides = children_of(candidate);
  std::string relations = b;
  for (bool is_mirrored : {false, true}) {
    if (is_mirrored) {
      std::reverse(sides.begin(), sides.end());
      std::reverse(relations.begin(), relations.end());
      std::transform(relations.begin(), relations.end(), relations.begin(), mirrored);
    }
    if (relations != a) continue;
    const Outcome outcome = compare_in_order(children_of(gold), sides, comparison, nesting);
    if (outcome != Outcome::kOther) return outcome;
  }
  return Outcome::kOther;
}

// Without a name, an equation must hold: 4 = 5 is no answer. With one and a calculation, the last
// side is what is said, as in x = 5 + 6 = 12, whatever stands before it or follows "approximately".
// y = x + 1 = 5 is to be solved.
bool contradicts_itself(const Statement& statement, Comparison& comparison) {
  if (!is_scalar(statement.value)) return false;
  const bool is_calculation = std::all_of(statement.between.begin(), statement.between.end(),
                                          [](Term side) { return variables_of(side).empty(); });
  if (!statement.name.empty() && is_calculation) return false;
  const bool is_far = std::any_of(statement.nearby.begin(), statement.nearby.end(), [&](Term side) {
    return is_far_apart(statement.value, side, comparison);
  });
  if (is_far) return true;
  const bool is_number = variables_of(statement.value).empty();
  return std::any_of(statement.between.begin(), statement.between.end(), [&](Term side) {
    if (is_number && is_formula(side, statement.name)) return false;
    return is_scalar(side) && compare_scalars(side, statement.value, comparison) == Outcome::kOther;
  });
}

// At least one of the two is a relation.
Outcome compare_with_relation(Term gold, Term candidate, Comparison& comparison, int nesting) {
  const auto wanted = read_statement(gold);
  auto said = read_statement(candidate);
  if (!said && !is_relation(gold)) said = read_asked_value(candidate);
  if (said && contradicts_itself(*said, comparison)) return Outcome::kOther;
  if (wanted && !wanted->name.empty()) {
    // "a = b = 1" says more than "a = 1", and "3 = 3" nothing about a name.
    const bool is_chain = std::any_of(wanted->between.begin(), wanted->between.end(),
                                      [](Term side) { return !spelled_name(side).empty(); });
    if (is_chain && is_relation(candidate)) {
      return compare_relations(gold, candidate, comparison, nesting);
    }
    if (said && said->name.empty()) return Outcome::kUnknown;
  }
  if (wanted && said) {
    const bool are_named = !wanted->name.empty() && !said->name.empty();
    if (!are_named || wanted->name == said->name) {
      return compare(wanted->value, said->value, comparison, nesting + 1);
    }
    return compare_relations(gold, candidate, comparison, nesting);
  }
  if (wanted && !is_relation(candidate)) {
    return compare(wanted->value, candidate, comparison, nesting + 1);
  }
  if (said && !is_relation(gold)) return compare(gold, said->value, comparison, nesting + 1);
  if (is_inequality(gold) || is_inequality(candidate)) {
    const auto a = read_real_set(gold, comparison);
    const auto b = a ? read_real_set(candidate, comparison) : std::nullopt;
    if (a && b) return compare_real_sets(*a, *b, comparison);
  }
  if (!is_relation(gold) || !is_relation(candidate)) return Outcome::kOther;
  return compare_relations(gold, candidate, comparison, nesting);
}

// A column or a row of numbers against a pair of them.
bool is_vector(Term term) {
  return term.kind() == NodeKind::kMatrix &&
         (term.node().payload == 1 || term.node().payload == term.num_children());
}

bool is_point(Term term) {
  return term.kind() == NodeKind::kTuple &&
         (term.node().detail == '(' || term.node().detail == '<');
}

// C(10, 5) is a point beside another one, otherwise a number of choices.
bool is_choice_or_point(Term term) {
  return term.kind() == NodeKind::kBinomial && term.node().detail == 'C';
}

Outcome compare_matrices(Term gold, Term candidate, Comparison& comparison, int nesting) {
  if (gold.node().payload != candidate.node().payload) return Outcome::kOther;
  return compare_in_order(children_of(gold), children_of(candidate), comparison, nesting);
}

// Sums and products with an index have no value here.
bool has_series(Term term) {
  for (NodeIndex node = term.node().first; node <= term.root; ++node) {
    if ((*term.tree)[node].kind == NodeKind::kSeries) return true;
  }
  return false;
}

// One of them is a calculation with matrices, or both are.
Outcome compare_matrix_values(Term gold, Term candidate, Comparison& comparison) {
  const auto wanted = evaluate_matrix(gold, comparison.fuel);
  const auto said = wanted ? evaluate_matrix(candidate, comparison.fuel) : std::nullopt;
  if (!said) return Outcome::kUnknown;
  const bool is_same = wanted->num_columns == said->num_columns && wanted->entries == said->entries;
  return is_same ? Outcome::kSame : Outcome::kOther;
}

Outcome compare_by_structure(Term gold, Term candidate, Comparison& comparison) {
  if (gold.sign == 0 && candidate.sign == 0 &&
      is_same_structure(gold, candidate, comparison.fuel)) {
    return Outcome::kSame;
  }
  if (has_series(gold) || has_series(candidate)) return Outcome::kUnknown;
  const Outcome matrices = compare_matrix_values(gold, candidate, comparison);
  if (matrices != Outcome::kUnknown) return matrices;
  // A number is no list; two things of one unusual shape may still be the same.
  return is_scalar(gold) != is_scalar(candidate) ? Outcome::kOther : Outcome::kUnknown;
}

// x in S or S = {...}: the set is what is said.
std::optional<Statement> read_membership(Term term) {
  if (!is_relation(term)) return {};
  auto statement = read_statement(term);
  const bool is_member = statement && !statement->name.empty() && statement->between.empty() &&
                         term.tree->name(term.root).size() == 1;
  if (!is_member || statement->value.kind() != NodeKind::kSet) return {};
  return statement;
}

// P(1, 2): a point that has a name.
Term without_point_name(Term term) {
  if (term.kind() != NodeKind::kMultiply) return term;
  const Term point = term.child(1);
  const bool is_named = term.child(0).kind() == NodeKind::kSymbol &&
                        term.tree->name(term.child(0).root).size() == 1 &&
                        is_capital(term.tree->name(term.child(0).root)[0]);
  return is_named && point.kind() == NodeKind::kTuple && point.node().detail == '(' ? point : term;
}

// A table of one entry, as some align a single line, is that entry.
Term without_table(Term term) {
  const bool is_single = term.kind() == NodeKind::kMatrix && term.num_children() == 1;
  return is_single && is_relation(term.child(0)) ? term.child(0) : term;
}

Outcome compare(Term gold, Term candidate, Comparison& comparison, int nesting) {
  candidate = without_table(candidate);
  if (nesting > kNestingMax || comparison.fuel.is_empty()) return Outcome::kUnknown;
  const auto wanted_set = read_membership(gold);
  const auto said_set = read_membership(candidate);
  if (wanted_set || said_set) {
    if (wanted_set && said_set && wanted_set->name != said_set->name) return Outcome::kOther;
    return compare(wanted_set ? wanted_set->value : gold, said_set ? said_set->value : candidate,
                   comparison, nesting + 1);
  }
  if (is_congruence(gold) || is_congruence(candidate)) {
    return compare_congruences(gold, candidate, comparison);
  }
  const Term wanted_point = without_point_name(gold);
  const Term said_point = without_point_name(candidate);
  const bool are_both = wanted_point.root != gold.root && said_point.root != candidate.root;
  if (are_both && spelled_name(gold.child(0)) != spelled_name(candidate.child(0)))
    return Outcome::kOther;
  if (is_choice_or_point(gold) || is_choice_or_point(candidate)) {
    if (wanted_point.root != gold.root || said_point.root != candidate.root) return Outcome::kOther;
    const bool are_points = (is_choice_or_point(gold) || is_point(gold)) &&
                            (is_choice_or_point(candidate) || is_point(candidate));
    if (are_points) {
      return compare_in_order(children_of(gold), children_of(candidate), comparison, nesting);
    }
  }
  gold = wanted_point;
  candidate = said_point;
  const auto is_any = [&](NodeKind kind) {
    return gold.kind() == kind || candidate.kind() == kind;
  };
  const auto is_each = [&](NodeKind kind) {
    return gold.kind() == kind && candidate.kind() == kind;
  };
  if (is_any(NodeKind::kRelation) && !is_any(NodeKind::kList) && !is_any(NodeKind::kSet)) {
    const auto statement = is_relation(candidate) ? read_statement(candidate) : std::nullopt;
    const bool is_double = statement && has_plus_minus(statement->value);
    if (!is_double || is_relation(gold)) {
      return compare_with_relation(gold, candidate, comparison, nesting);
    }
  }
  for (Term term : {gold, candidate}) {
    if (term.sign == 0 && !is_list_or_set(term) && has_unclear_signs(term)) {
      return compare_by_structure(gold, candidate, comparison);
    }
  }
  if (is_list_or_set(gold) || is_list_or_set(candidate) || has_plus_minus(gold) ||
      has_plus_minus(candidate)) {
    return compare_collections(gold, candidate, comparison, nesting);
  }
  if (const int sign = infinity_sign(gold); sign != 0 || infinity_sign(candidate) != 0) {
    return sign == infinity_sign(candidate) ? Outcome::kSame : Outcome::kOther;
  }
  if (is_each(NodeKind::kTuple)) return compare_tuples(gold, candidate, comparison, nesting);
  if (is_each(NodeKind::kMatrix)) return compare_matrices(gold, candidate, comparison, nesting);
  if ((is_vector(gold) && is_point(candidate)) || (is_point(gold) && is_vector(candidate))) {
    return compare_in_order(children_of(gold), children_of(candidate), comparison, nesting);
  }
  if (is_any(NodeKind::kUnion) || is_any(NodeKind::kSetMinus) || is_any(NodeKind::kTuple)) {
    const auto a = read_real_set(gold, comparison);
    const auto b = a ? read_real_set(candidate, comparison) : std::nullopt;
    if (a && b) return compare_real_sets(*a, *b, comparison);
    return compare_by_structure(gold, candidate, comparison);
  }
  if (gold.kind() == NodeKind::kRatio) return compare_ratios(gold, candidate, comparison, nesting);
  if (is_any(NodeKind::kBased)) return compare_based(gold, candidate, comparison);
  if (is_any(NodeKind::kRatio)) return Outcome::kOther;
  if (is_measured(gold) || is_measured(candidate)) {
    return compare_measured(gold, candidate, comparison);
  }
  if (is_scalar(gold) && is_scalar(candidate)) return compare_scalars(gold, candidate, comparison);
  return compare_by_structure(gold, candidate, comparison);
}

}  // namespace

bool is_collection(Term term) {
  if (const auto statement = read_statement(term)) term = statement->value;
  return is_list_or_set(term) || has_plus_minus(term);
}

Outcome compare_terms(Term gold, Term candidate, Comparison& comparison) {
  gold = with_series_values(gold, comparison.made, comparison.fuel);
  candidate = with_series_values(candidate, comparison.made, comparison.fuel);
  return compare(gold, candidate, comparison, 0);
}

}  // namespace troupe::actors
