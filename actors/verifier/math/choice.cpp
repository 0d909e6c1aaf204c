#include "actors/verifier/math/choice.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

char letter_of(const Token& token) {
  const bool is_letter = token.kind == Kind::kLetter && token.text.size() == 1 &&
                         token.text[0] >= 'A' && token.text[0] <= 'J';
  return is_letter ? token.text[0] : '\0';
}

bool is_bracket(const Token& token, Kind kind) {
  return token.kind == kind && (token.detail == '(' || token.detail == '[');
}

bool is_bracketed_letter(const std::vector<Token>& tokens, size_t at) {
  return at + 2 < tokens.size() && is_bracket(tokens[at], Kind::kOpen) &&
         letter_of(tokens[at + 1]) && is_bracket(tokens[at + 2], Kind::kClose);
}

bool is_stop(const Token& token) { return token.kind == Kind::kUnknown && token.text == "."; }

// What stands after a letter names another one, or takes the letter back.
bool has_second_thoughts(const std::vector<Token>& tokens, size_t begin) {
  bool has_other = false;
  for (size_t i = begin; i < tokens.size(); ++i) {
    const Token& token = tokens[i];
    if (token.kind == Kind::kWord) {
      const bool denies = token.text == "wrong" || token.text == "incorrect";
      const bool is_statement = i == begin && token.text == "is";
      if (denies || is_statement) return true;
    }
    const bool is_set_off = i == begin || token.has_space_before || token.is_upright;
    has_other = has_other || (is_set_off && is_bracketed_letter(tokens, i));
    if (!letter_of(token)) continue;
    const bool is_alone = begin + 1 == tokens.size();
    const bool is_marked =
        i + 1 < tokens.size() &&
        (is_stop(tokens[i + 1]) || tokens[i + 1].kind == Kind::kColon ||
         (is_bracket(tokens[i + 1], Kind::kClose) && !is_bracket(tokens[i - 1], Kind::kOpen)));
    has_other = has_other || is_alone || is_marked;
  }
  return has_other;
}

}  // namespace

char choice_letter(const std::vector<Token>& tokens) {
  size_t at = 0;
  const bool is_announced =
      tokens.size() > 1 && tokens[0].kind == Kind::kWord &&
      (tokens[0].text == "option" || tokens[0].text == "choice" || tokens[0].text == "answer");
  if (is_announced) ++at;
  if (is_announced && tokens[at].kind == Kind::kColon) ++at;
  while (at < tokens.size() && tokens[at].kind == Kind::kOpen && tokens[at].detail == '{') ++at;
  const bool is_bracketed = at < tokens.size() && is_bracket(tokens[at], Kind::kOpen);
  if (is_bracketed) ++at;
  if (at >= tokens.size()) return 0;
  const char letter = letter_of(tokens[at++]);
  if (!letter) return 0;
  while (at < tokens.size() && tokens[at].kind == Kind::kClose && tokens[at].detail == '{') ++at;
  if (at == tokens.size()) return is_bracketed ? '\0' : letter;
  const Token& after = tokens[at];
  if (is_bracketed) {
    if (!is_bracket(after, Kind::kClose)) return 0;
    // (A)(B) is a product, (A) + 1 a sum.
    const bool is_end = at + 1 == tokens.size();
    if (is_end) return letter;
    const Token& next = tokens[at + 1];
    const bool is_set_off = next.has_space_before || next.kind == Kind::kColon;
    const bool is_operator =
        next.kind == Kind::kPlus || next.kind == Kind::kMinus || next.kind == Kind::kTimes ||
        next.kind == Kind::kDivide || next.kind == Kind::kRelation || next.kind == Kind::kComma ||
        next.kind == Kind::kOr || next.kind == Kind::kAnd || is_bracket(next, Kind::kOpen);
    return is_set_off && !is_operator && !has_second_thoughts(tokens, at + 1) ? letter : '\0';
  }
  const bool is_mark =
      is_stop(after) || is_bracket(after, Kind::kClose) || after.kind == Kind::kColon;
  if (!is_mark) return 0;
  // "A) or B)" names two.
  for (size_t i = at + 1; i < tokens.size(); ++i) {
    if (tokens[i].kind == Kind::kOr || tokens[i].kind == Kind::kAnd) return 0;
  }
  return has_second_thoughts(tokens, at + 1) ? '\0' : letter;
}

}  // namespace troupe::actors
