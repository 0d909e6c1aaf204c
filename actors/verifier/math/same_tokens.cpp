#include <vector>

#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/tokens.h"
#include "actors/verifier/math/units.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

// Braces around one token say nothing.
std::vector<const Token*> without_single_braces(const std::vector<Token>& tokens) {
  std::vector<const Token*> kept;
  for (const Token& token : tokens) {
    const size_t n = kept.size();
    const bool closes_one = token.kind == Kind::kClose && token.detail == '{' && n >= 2 &&
                            kept[n - 2]->kind == Kind::kOpen && kept[n - 2]->detail == '{' &&
                            kept[n - 1]->kind != Kind::kOpen;
    if (!closes_one) {
      kept.push_back(&token);
      continue;
    }
    kept[n - 2] = kept[n - 1];
    kept.pop_back();
  }
  return kept;
}

bool is_same_token(const Token& a, const Token& b) {
  if (a.kind == b.kind && a.detail == b.detail && a.text == b.text) return true;
  // NO is three capitals' name and "no" a word.
  const auto is_letters = [](const Token& token) {
    return token.kind == Kind::kWord || token.kind == Kind::kLetter;
  };
  // mW and MW are two units.
  const auto unit_a = find_unit(a.text);
  const auto unit_b = unit_a ? find_unit(b.text) : std::nullopt;
  if (unit_b && *unit_a != *unit_b) return false;
  return is_letters(a) && is_letters(b) && (a.kind == Kind::kWord || b.kind == Kind::kWord) &&
         lowered(a.text) == lowered(b.text);
}

// \text{Tom} is a word, and Tom three letters.
bool is_word_in_letters(const std::vector<const Token*>& word,
                        const std::vector<const Token*>& letters) {
  if (word.size() != 1 || word[0]->kind != Kind::kWord) return false;
  std::string spelled;
  for (const Token* token : letters) {
    if (token->kind != Kind::kLetter || token->text.size() != 1) return false;
    if (token->has_space_before && !spelled.empty()) return false;
    spelled += token->text;
  }
  return lowered(spelled) == word[0]->text;
}

}  // namespace

bool is_same_tokens(const std::vector<Token>& a, const std::vector<Token>& b) {
  const auto kept_a = without_single_braces(a);
  const auto kept_b = without_single_braces(b);
  if (is_word_in_letters(kept_a, kept_b) || is_word_in_letters(kept_b, kept_a)) return true;
  if (kept_a.size() != kept_b.size()) return false;
  for (size_t i = 0; i < kept_a.size(); ++i) {
    if (!is_same_token(*kept_a[i], *kept_b[i])) return false;
    // "4 2" is not "42".
    const bool is_number = kept_a[i]->kind == Kind::kNumber;
    if (is_number && i > 0 && kept_a[i - 1]->kind == Kind::kNumber &&
        kept_a[i]->has_space_before != kept_b[i]->has_space_before) {
      return false;
    }
  }
  return true;
}

}  // namespace troupe::actors
