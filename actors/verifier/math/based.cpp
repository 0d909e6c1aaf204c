#include "actors/verifier/math/based.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/exact.h"

namespace troupe::actors {
namespace {

// 52_8 is worth 42; nothing for digits that its base does not have.
std::optional<Rational> based_value(Term term) {
  const std::string& name = term.tree->name(term.root);
  const size_t mark = name.find('_');
  const int base = std::stoi(name.substr(mark + 1));
  const std::string digits = name.substr(0, mark);
  constexpr size_t kDigitsMax = 200;
  Rational value;
  if (base < 2 || base > 36 || digits.size() > kDigitsMax) return {};
  if (fmpz_set_str(value.numerator(), digits.c_str(), base) != 0) return {};
  return value;
}

std::string_view without_leading_zeros(std::string_view digits) {
  while (digits.size() > 1 && digits[0] == '0') digits.remove_prefix(1);
  return digits;
}

}  // namespace

bool is_based_text(Term gold, std::string_view text) {
  constexpr size_t kBytesMax = 64;
  const std::string& name = gold.tree->name(gold.root);
  const std::string_view digits = std::string_view(name).substr(0, name.find('_'));
  if (text.size() > kBytesMax || std::none_of(digits.begin(), digits.end(), is_capital)) {
    return false;
  }
  std::string spelled;
  for (const char c : text) {
    const bool is_small = c >= 'a' && c <= 'z';
    if (std::string_view(" {}$").find(c) != std::string_view::npos) continue;
    spelled += is_small ? static_cast<char>(c - 'a' + 'A') : c;
  }
  for (const std::string_view wrapper : {"\\TEXT", "\\MATHRM"}) {
    if (spelled.starts_with(wrapper)) spelled.erase(0, wrapper.size());
  }
  const bool is_sixteen = name.ends_with("_16");
  if (is_sixteen && spelled.starts_with("0X")) spelled.erase(0, 2);
  return spelled == name || spelled == digits;
}

Outcome compare_based(Term gold, Term candidate, Comparison& comparison) {
  if (gold.kind() == candidate.kind()) {
    return gold.tree->name(gold.root) == candidate.tree->name(candidate.root) ? Outcome::kSame
                                                                              : Outcome::kOther;
  }
  if (gold.kind() == NodeKind::kBased) {
    if (candidate.kind() != NodeKind::kNumber) return Outcome::kOther;
    const Literal& literal = candidate.tree->literal(candidate.root);
    const std::string& name = gold.tree->name(gold.root);
    const bool is_same =
        !literal.has_point && literal.exponent == 0 &&
        without_leading_zeros(literal.digits) ==
            without_leading_zeros(std::string_view(name).substr(0, name.find('_')));
    return is_same ? Outcome::kSame : Outcome::kOther;
  }
  if (!is_scalar(gold)) return Outcome::kOther;
  const auto value = based_value(candidate);
  const ExactTerm exact = evaluate_exact(gold, comparison.fuel);
  return value && exact.is_rational() && exact.root().value == *value ? Outcome::kSame
                                                                      : Outcome::kOther;
}

}  // namespace troupe::actors
