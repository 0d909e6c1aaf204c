#include "actors/verifier/math/choice.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <string_view>

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

// "is correct", "is the right answer": all that stands behind the letter.
bool is_confirmed(const std::vector<Token>& tokens, size_t begin) {
  constexpr std::string_view kWords[] = {"is",     "the",    "correct", "right",
                                         "answer", "choice", "option"};
  for (size_t i = begin; i < tokens.size(); ++i) {
    const bool is_known =
        tokens[i].kind == Kind::kWord &&
        std::find(std::begin(kWords), std::end(kWords), tokens[i].text) != std::end(kWords);
    if (!is_known && !(is_stop(tokens[i]) && i + 1 == tokens.size())) return false;
  }
  return begin + 1 < tokens.size();
}

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

// ACD, also as a word: from four capitals on they are one.
std::string letters_together(const Token& token) {
  const bool is_name = token.kind == Kind::kLetter && token.text.size() > 1;
  const bool is_word = token.kind == Kind::kWord && token.text.size() > 3;
  std::string letters = is_name || is_word ? token.text : std::string();
  for (char& c : letters) {
    if (c >= 'a' && c <= 'z' && is_word) c = static_cast<char>(c - 32);
    if (c < 'A' || c > 'J') return {};
  }
  return letters;
}

bool is_circled(const Token& token) {
  return token.kind == Kind::kLetter && token.text.size() > 2 && token.text[0] == '(';
}

}  // namespace

std::optional<ChoiceSet> choice_set(const std::vector<Token>& tokens) {
  constexpr size_t kTokensMax = 80;
  if (tokens.size() > kTokensMax) return {};
  ChoiceSet set;
  const auto is_any = [](const Token& token, std::initializer_list<std::string_view> words) {
    return token.kind == Kind::kWord &&
           std::find(words.begin(), words.end(), token.text) != words.end();
  };
  size_t at = 0;
  if (!tokens.empty() &&
      is_any(tokens[0], {"option", "options", "choice", "choices", "answer", "answers"})) {
    at = 1;
    if (at < tokens.size() && tokens[at].kind == Kind::kColon) ++at;
  }
  for (; at < tokens.size(); ++at) {
    const Token& token = tokens[at];
    const bool is_last = at + 1 == tokens.size();
    const bool is_separator = token.kind == Kind::kComma || token.kind == Kind::kAnd ||
                              token.kind == Kind::kSemicolon || token.kind == Kind::kColumnBreak;
    const bool is_typography =
        (token.kind == Kind::kOpen || token.kind == Kind::kClose) &&
        (token.detail == '{' || token.detail == 'S' || is_bracketed_letter(tokens, at) ||
         (at >= 2 && is_bracketed_letter(tokens, at - 2)));
    set.is_one_of = set.is_one_of || token.kind == Kind::kOr;
    if (is_separator || token.kind == Kind::kOr) {
      set.is_explicit = set.is_explicit || !set.choices.empty();
    } else if (letter_of(token)) {
      set.is_explicit = set.is_explicit || (!set.choices.empty() && token.has_space_before);
      set.choices.push_back(token.text);
    } else if (is_circled(token)) {
      set.is_explicit = true;
      set.choices.push_back(token.text);
    } else if (const std::string letters = letters_together(token);
               !letters.empty() && set.choices.empty() && is_last) {
      for (char c : letters) set.choices.emplace_back(1, c);
    } else if (!is_typography && !(is_last && (is_stop(token) || is_any(token, {"only"})))) {
      return {};
    }
  }
  std::sort(set.choices.begin(), set.choices.end());
  const bool is_twice =
      std::adjacent_find(set.choices.begin(), set.choices.end()) != set.choices.end();
  if (is_twice || set.choices.size() < 2) return {};
  return set;
}

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
  const size_t behind = at + (is_bracketed && is_bracket(tokens[at], Kind::kClose) ? 1 : 0);
  if (behind < tokens.size() && tokens[behind].kind == Kind::kWord && tokens[behind].text == "is" &&
      is_confirmed(tokens, behind)) {
    return letter;
  }
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
