#include "actors/verifier/math/congruence.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/verifier/math/statement.h"

namespace troupe::actors {
namespace {

// What is said about one number or several: it leaves one of these residues.
struct Residues {
  std::string name{};  // Of the number; empty where it has none.
  std::vector<Term> values{};
  std::optional<Term> modulus{};
  bool is_equation = false;  // x = 7 says more than that x leaves 7.
};

bool has_modulus(Term term) {
  return is_relation(term) && term.tree->name(term.root).ends_with('m');
}

// x \equiv 7 \pmod{12}, 7 \pmod{12}, or x \equiv 1 as the first of several values.
bool add_item(Term item, Residues& residues) {
  if (!is_relation(item)) {
    residues.values.push_back(item);
    return true;
  }
  std::string relations = item.tree->name(item.root);
  size_t num_sides = item.num_children();
  const bool has_own_modulus = relations.ends_with('m');
  if (has_own_modulus) {
    residues.modulus = item.child(num_sides - 1);
    relations.pop_back();
    --num_sides;
  }
  if (relations.find_first_not_of("=~") != relations.npos) return false;
  if (num_sides > 1) {
    const std::string name = spelled_name(item.child(0));
    if (name.empty() && !has_own_modulus) return false;
    residues.is_equation =
        residues.is_equation || (!has_own_modulus && relations.find('=') != relations.npos);
    if (!residues.values.empty() && name != residues.name) return false;
    residues.name = name;
  }
  residues.values.push_back(item.child(num_sides - 1));
  return true;
}

std::optional<Residues> read_residues(Term term) {
  Residues residues;
  if (term.kind() != NodeKind::kList) {
    if (!add_item(term, residues)) return {};
    return residues;
  }
  for (size_t i = 0; i < term.num_children(); ++i) {
    if (!add_item(term.child(i), residues)) return {};
  }
  return residues;
}

std::optional<Rational> whole_number(Term term, Comparison& comparison) {
  if (!is_scalar(term)) return {};
  const ExactTerm exact = evaluate_exact(term, comparison.fuel);
  if (!exact.is_rational() || !exact.root().value.is_integer()) return {};
  return exact.root().value;
}

// Every modulus of a list is the same one.
bool has_one_modulus(Term term, Term modulus, Comparison& comparison) {
  if (term.kind() != NodeKind::kList) return true;
  for (size_t i = 0; i < term.num_children(); ++i) {
    const Term item = term.child(i);
    if (!has_modulus(item)) continue;
    const Term other = item.child(item.num_children() - 1);
    if (!is_scalar(other) || compare_scalars(modulus, other, comparison) != Outcome::kSame) {
      return false;
    }
  }
  return true;
}

// The residues from 0 to below the modulus, sorted, once each; nothing where they are not known.
std::optional<std::vector<Rational>> reduced(const Residues& residues, const Rational& modulus,
                                             Comparison& comparison) {
  std::vector<Rational> values;
  for (Term term : residues.values) {
    auto value = whole_number(term, comparison);
    if (!value || !comparison.fuel.spend(10 + modulus.bits())) return {};
    fmpz_mod(value->numerator(), value->numerator(), modulus.numerator());
    values.push_back(std::move(*value));
  }
  const auto is_less = [](const Rational& a, const Rational& b) {
    return fmpq_cmp(a.raw(), b.raw()) < 0;
  };
  std::sort(values.begin(), values.end(), is_less);
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

Outcome compare_one(Term gold, Term candidate, Comparison& comparison) {
  if (!is_scalar(gold) || !is_scalar(candidate)) return Outcome::kUnknown;
  return compare_scalars(gold, candidate, comparison);
}

Outcome compare_residues(const Residues& gold, const Residues& candidate, const Rational& modulus,
                         Comparison& comparison) {
  const auto wanted = reduced(gold, modulus, comparison);
  const auto said = wanted ? reduced(candidate, modulus, comparison) : std::nullopt;
  if (said) return *wanted == *said ? Outcome::kSame : Outcome::kOther;
  if (gold.values.size() != 1 || candidate.values.size() != 1) return Outcome::kUnknown;
  return compare_one(gold.values[0], candidate.values[0], comparison);
}

// Only one side names its modulus: the numbers must be the residues themselves.
Outcome compare_numbers(const Residues& gold, const Residues& candidate, Comparison& comparison) {
  const Residues& with = gold.modulus ? gold : candidate;
  const Residues& without = gold.modulus ? candidate : gold;
  const auto modulus = whole_number(*with.modulus, comparison);
  const bool is_positive = modulus && modulus->sign() > 0;
  const auto residues = is_positive ? reduced(with, *modulus, comparison) : std::nullopt;
  if (!residues) {
    if (gold.values.size() != 1 || candidate.values.size() != 1) return Outcome::kUnknown;
    return compare_one(gold.values[0], candidate.values[0], comparison);
  }
  std::vector<Rational> numbers;
  for (Term term : without.values) {
    const auto number = whole_number(term, comparison);
    if (!number) return is_scalar(term) ? Outcome::kOther : Outcome::kUnknown;
    numbers.push_back(*number);
  }
  if (numbers.size() != residues->size()) return Outcome::kOther;
  for (const Rational& residue : *residues) {
    if (std::find(numbers.begin(), numbers.end(), residue) == numbers.end()) return Outcome::kOther;
  }
  return Outcome::kSame;
}

// 17 mod 5 = 2 is a calculation.
std::optional<Term> remainder_said(Term term, Comparison& comparison) {
  if (!is_relation(term) || term.tree->name(term.root) != "m=") return {};
  const auto number = whole_number(term.child(0), comparison);
  const auto modulus = whole_number(term.child(1), comparison);
  const auto said = whole_number(term.child(2), comparison);
  if (!modulus || !said || modulus->sign() <= 0) return {};
  if (!number) return term.child(2);  // N mod 1000 = 42
  Rational rest;
  fmpz_mod(rest.numerator(), number->numerator(), modulus->numerator());
  return rest == *said ? std::optional(term.child(2)) : std::nullopt;
}

// 12 mod 5 is 2.
Outcome compare_remainder(Term gold, Term candidate, Comparison& comparison) {
  if (!is_relation(candidate) || candidate.tree->name(candidate.root) != "m") {
    return Outcome::kOther;
  }
  const auto number = whole_number(candidate.child(0), comparison);
  const auto modulus = whole_number(candidate.child(1), comparison);
  const auto wanted = whole_number(gold, comparison);
  if (!number || !modulus || !wanted || modulus->sign() <= 0) return Outcome::kOther;
  Rational rest;
  fmpz_mod(rest.numerator(), number->numerator(), modulus->numerator());
  return rest == *wanted ? Outcome::kSame : Outcome::kOther;
}

}  // namespace

bool is_congruence(Term term) {
  const auto has_any = [](Term item) {
    return is_relation(item) && item.tree->name(item.root).find('m') != std::string::npos;
  };
  if (term.kind() == NodeKind::kList && term.num_children() > 0) {
    return has_any(term.child(term.num_children() - 1));
  }
  return has_any(term);
}

Outcome compare_congruences(Term gold, Term candidate, Comparison& comparison) {
  if (const auto said = remainder_said(candidate, comparison)) {
    return compare_one(gold, *said, comparison);
  }
  const auto wanted = read_residues(gold);
  const auto said = read_residues(candidate);
  if (!wanted || !said) {
    const bool are_both = is_congruence(gold) && is_congruence(candidate);
    return are_both ? Outcome::kUnknown : Outcome::kOther;
  }
  const bool are_named = !wanted->name.empty() && !said->name.empty();
  if (are_named && wanted->name != said->name) return Outcome::kOther;
  for (const auto& [term, residues] : {std::pair(gold, &*wanted), std::pair(candidate, &*said)}) {
    if (residues->modulus && !has_one_modulus(term, *residues->modulus, comparison)) {
      return Outcome::kUnknown;
    }
  }
  if (wanted->modulus && said->modulus) {
    const Outcome moduli = compare_one(*wanted->modulus, *said->modulus, comparison);
    if (moduli == Outcome::kOther) return Outcome::kOther;
    const auto modulus = whole_number(*wanted->modulus, comparison);
    if (modulus && modulus->sign() <= 0) return Outcome::kUnknown;
    if (moduli == Outcome::kSame && modulus) {
      return compare_residues(*wanted, *said, *modulus, comparison);
    }
    if (moduli != Outcome::kSame || wanted->values.size() != 1 || said->values.size() != 1) {
      return Outcome::kUnknown;
    }
    return compare_one(wanted->values[0], said->values[0], comparison);
  }
  if (said->is_equation || (is_relation(gold) && !wanted->modulus)) return Outcome::kOther;
  if (wanted->modulus) return compare_numbers(*wanted, *said, comparison);
  if (!wanted->name.empty()) return Outcome::kOther;
  // A candidate that is not reduced is no number.
  for (Term value : said->values) {
    const auto number = whole_number(value, comparison);
    const auto modulus = whole_number(*said->modulus, comparison);
    if (!number || !modulus) continue;
    const bool is_residue =
        number->sign() >= 0 && fmpz_cmp(number->numerator(), modulus->numerator()) < 0;
    if (!is_residue) return compare_remainder(gold, candidate, comparison);
  }
  return compare_numbers(*wanted, *said, comparison);
}

}  // namespace troupe::actors
