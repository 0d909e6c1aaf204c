#include "actors/verifier/math/rewrite.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "actors/verifier/math/answer_words.h"
#include "actors/verifier/math/number_words.h"
#include "actors/verifier/math/unit_parser.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_word(const Token& token, std::initializer_list<std::string_view> words) {
  return token.kind == Kind::kWord && is_one_of(token.text, words);
}

bool is_token(const std::vector<Token>& tokens, size_t at, Kind kind, char detail) {
  return at < tokens.size() && tokens[at].kind == kind && tokens[at].detail == detail;
}

std::vector<Token> without_first(const std::vector<Token>& tokens, size_t count) {
  return {tokens.begin() + static_cast<std::ptrdiff_t>(count), tokens.end()};
}

// "= 5", "\approx 5", "\Rightarrow x = 5": what they follow is not part of the answer.
void drop_leading_signs(std::vector<Token>& tokens) {
  size_t count = 0;
  while (count < tokens.size()) {
    const Token& token = tokens[count];
    const bool is_equal =
        token.kind == Kind::kRelation && (token.detail == '=' || token.detail == '~');
    if (!is_equal && token.kind != Kind::kArrow) break;
    ++count;
  }
  if (count > 0 && count < tokens.size()) tokens = without_first(tokens, count);
}

// Words that turn a sentence into something else than a statement of the answer.
bool is_doubt(const Token& token) {
  return is_word(
      token, {"not",      "no",       "never",  "wrong",   "incorrect", "false", "than",  "if",
              "unless",   "except",   "either", "neither", "cannot",    "isn",   "maybe", "perhaps",
              "possibly", "probably", "might",  "could",   "may",       "below", "above", "least",
              "most",     "nor",      "when",   "square",  "root"});
}

// Words around an answer that name nothing.
bool is_filler(std::string_view word) {
  return is_one_of(word,
                   {"the",     "final",    "answer",  "value",  "values",    "of",     "result",
                    "correct", "solution", "so",      "thus",   "therefore", "hence",  "it",
                    "this",    "that",     "our",     "think",  "we",        "get",    "have",
                    "option",  "choice",   "measure", "length", "required",  "desired"});
}

// "The value of x is 5" says x = 5, "The answer is 5" just 5, "Answer: 5" as well.
void drop_sentence(std::vector<Token>& tokens) {
  constexpr size_t kWordsMax = 16;
  const auto is_article = [&](size_t at) {
    return at == 0 && tokens.size() > 1 && tokens[0].kind == Kind::kLetter &&
           is_one_of(tokens[0].text, {"A", "a", "I"}) && tokens[1].kind == Kind::kWord;
  };
  size_t verb = 0;
  size_t num_words = 0;  // In front of what is named.
  for (;; ++verb) {
    if (verb >= tokens.size() || verb > kWordsMax) return;
    const Token& token = tokens[verb];
    if (is_doubt(token)) return;
    if (is_word(token, {"is", "equals", "are"})) break;
    if (token.kind == Kind::kColon) break;
    const bool is_named = token.kind == Kind::kWord || is_article(verb);
    if (is_named && num_words != verb) return;  // Words behind an expression.
    if (is_named) {
      ++num_words;
      continue;
    }
    const bool is_separator = token.kind == Kind::kOr || token.kind == Kind::kAnd ||
                              token.kind == Kind::kComma || token.kind == Kind::kRelation ||
                              token.kind == Kind::kSemicolon || token.kind == Kind::kUnknown;
    if (is_separator) return;
  }
  const bool has_name = verb > num_words;
  if (verb == 0 || (tokens[verb].kind == Kind::kColon && has_name)) return;
  size_t begin = verb + 1;
  if (is_token(tokens, begin, Kind::kColon, 0)) ++begin;
  for (auto filler :
       {"equal", "to", "approximately", "about", "exactly", "simply", "option", "choice"}) {
    if (begin < tokens.size() && is_word(tokens[begin], {filler})) ++begin;
  }
  if (begin >= tokens.size() || is_doubt(tokens[begin])) return;
  const std::span<const Token> words(tokens.data(), num_words);
  const bool is_value = std::all_of(words.begin(), words.end(), [](const Token& token) {
    return token.kind != Kind::kWord || is_filler(token.text);
  });
  // "The reciprocal of x is 2" names something else than x.
  const bool is_text =
      !has_name && std::all_of(tokens.begin() + static_cast<std::ptrdiff_t>(begin), tokens.end(),
                               [](const Token& token) { return token.kind == Kind::kWord; });
  const size_t name_begin = is_value ? num_words : 0;
  std::vector<Token> meant;
  if (!is_text && verb > name_begin) {
    meant.assign(tokens.begin() + static_cast<std::ptrdiff_t>(name_begin),
                 tokens.begin() + static_cast<std::ptrdiff_t>(verb));
    meant.push_back({.kind = Kind::kRelation, .detail = '='});
  }
  meant.insert(meant.end(), tokens.begin() + static_cast<std::ptrdiff_t>(begin), tokens.end());
  tokens = std::move(meant);
}

std::string words_of(std::span<const Token> tokens) {
  std::string words;
  for (const Token& token : tokens) {
    if (token.kind == Kind::kMinus || token.kind == Kind::kAnd) {
      words += token.kind == Kind::kAnd ? " and" : "";
      continue;
    }
    if (token.kind != Kind::kWord) return {};
    words += (words.empty() ? "" : " ") + token.text;
  }
  return words;
}

// Where the brackets open that the last token closes; 0 if it closes none.
size_t last_bracket(const std::vector<Token>& tokens) {
  if (tokens.empty() || tokens.back().kind != Kind::kClose || tokens.back().detail != '(') return 0;
  int depth = 0;
  for (size_t i = tokens.size(); i-- > 0;) {
    depth += (tokens[i].kind == Kind::kClose) - (tokens[i].kind == Kind::kOpen);
    if (depth == 0) return i;
  }
  return 0;
}

// A reason that goes on to another answer is none: "42 since x > 0, but 43 otherwise".
bool turns(std::span<const Token> reason) {
  return std::any_of(reason.begin(), reason.end(), [](const Token& token) {
    return token.kind == Kind::kOr || (token.kind == Kind::kWord && is_turn(token.text));
  });
}

// "(since 6 * 7 = 42)", "(Option B)", "(forty-two)" and "because of ..." explain what stands before
// them.
void drop_explanation(std::vector<Token>& tokens) {
  const auto explains = [](const Token& token) {
    return is_word(token, {"since", "because", "as", "option", "choice", "by", "using", "from",
                           "due", "rounded", "exactly", "exact", "namely"});
  };
  const size_t open = last_bracket(tokens);
  if (open > 0 && open + 2 < tokens.size()) {
    const std::span<const Token> inside(tokens.data() + open + 1, tokens.size() - open - 2);
    const auto number = number_in_words(words_of(inside));
    const Token& before = tokens[open - 1];
    const bool is_same =
        number && before.kind == Kind::kNumber && before.text == std::to_string(*number);
    if ((explains(inside[0]) || is_same) && !turns(inside)) tokens.resize(open);
  }
  int depth = 0;
  for (size_t i = 1; i < tokens.size(); ++i) {
    depth += (tokens[i].kind == Kind::kOpen) - (tokens[i].kind == Kind::kClose);
    if (depth != 0 || !is_word(tokens[i], {"since", "because"})) continue;
    if (turns(std::span(tokens).subspan(i))) return;
    const bool follows_comma = i > 1 && tokens[i - 1].kind == Kind::kComma;
    tokens.resize(follows_comma ? i - 1 : i);
    return;
  }
}

// \textbf{(B)} 42 and 42 \text{ (B)}: the letter of the choice that the value is.
void drop_choice_letter(std::vector<Token>& tokens) {
  const auto is_choice_at = [&](size_t at) {
    if (at + 2 >= tokens.size() || !is_token(tokens, at, Kind::kOpen, '(')) return false;
    const Token& letter = tokens[at + 1];
    return letter.kind == Kind::kLetter && letter.is_upright && letter.text.size() == 1 &&
           letter.text[0] >= 'A' && letter.text[0] <= 'E' &&
           is_token(tokens, at + 2, Kind::kClose, '(');
  };
  if (tokens.size() < 4) return;
  if (is_choice_at(0)) {
    tokens = without_first(tokens, 3);
  } else if (is_choice_at(tokens.size() - 3)) {
    tokens.resize(tokens.size() - 3);
  }
}

// "no solution", "There are no real solutions", "empty set": the set is empty.
bool is_no_solution(const std::vector<Token>& tokens) {
  size_t at = 0;
  const auto skip = [&](std::initializer_list<std::string_view> words) {
    while (at < tokens.size() && is_word(tokens[at], words)) ++at;
  };
  skip({"the", "there", "is", "are", "equation", "system", "has", "have", "exist", "exists", "an"});
  const size_t empty = at;
  skip({"empty"});
  if (at > empty && at + 1 == tokens.size()) return is_word(tokens[at], {"set"});
  if (at > empty || at >= tokens.size() || !is_word(tokens[at], {"no"})) return false;
  ++at;
  skip({"real", "valid", "possible", "such"});
  if (at >= tokens.size()) return false;
  if (!is_word(tokens[at], {"solution", "solutions", "root", "roots"})) return false;
  return at + 1 == tokens.size();
}

void replace_no_solution(std::vector<Token>& tokens) {
  if (is_no_solution(tokens)) tokens = {{.kind = Kind::kEmptySet}};
}

// "All real numbers" is the set of them.
void replace_all_reals(std::vector<Token>& tokens) {
  constexpr size_t kWordsMax = 4;
  if (tokens.size() > kWordsMax) return;
  std::string words;
  for (const Token& token : tokens) {
    if (token.kind != Kind::kWord) return;
    words += (words.empty() ? "" : " ") + token.text;
  }
  if (!is_one_of(words, {"all real numbers", "all reals", "all the real numbers", "all the reals",
                         "any real number", "all real values", "every real number"})) {
    return;
  }
  tokens = {{.kind = Kind::kWrap, .text = "mathbb"},
            {.kind = Kind::kOpen, .detail = '{'},
            {.kind = Kind::kLetter, .text = "R"},
            {.kind = Kind::kClose, .detail = '{'}};
}

// 5 (cm): a unit in brackets behind a number.
bool is_bracketed_unit(const std::vector<Token>& tokens, size_t open) {
  if (open == 0 || open + 2 >= tokens.size() || tokens[open].detail != '(') return false;
  const Kind before = tokens[open - 1].kind;
  if (before != Kind::kNumber && before != Kind::kClose) return false;
  const Token& first = tokens[open + 1];
  const bool is_known =
      first.kind == Kind::kWord &&
      (find_unit(first.text) || is_one_of(first.text, {"square", "cubic", "sq", "cu"}));
  const auto unit = is_known ? parse_unit(tokens, open + 1) : std::nullopt;
  return unit && unit->end + 1 == tokens.size() && tokens[unit->end].kind == Kind::kClose;
}

// "x \equiv 7 (mod 12)" without its brackets, "52 (base 8)" as 52_8, {}_5 C_2 without its braces.
void unwrap_brackets(std::vector<Token>& tokens) {
  std::vector<Token> kept;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const Token& token = tokens[i];
    const bool opens_plain =
        token.kind == Kind::kOpen && (token.detail == '(' || token.detail == '{');
    const Token* next = i + 1 < tokens.size() ? &tokens[i + 1] : nullptr;
    const bool is_marked =
        opens_plain && next != nullptr &&
        (next->kind == Kind::kModulo || is_word(*next, {"base"}) || is_bracketed_unit(tokens, i));
    if (is_marked) {
      size_t end = i;
      int depth = 0;
      do {
        depth += (tokens[end].kind == Kind::kOpen) - (tokens[end].kind == Kind::kClose);
        ++end;
      } while (depth > 0 && end < tokens.size());
      if (depth == 0) {
        const auto from = tokens.begin() + static_cast<std::ptrdiff_t>(i) + 1;
        kept.insert(kept.end(), from, tokens.begin() + static_cast<std::ptrdiff_t>(end) - 1);
        i = end - 1;
        continue;
      }
    }
    const bool is_empty = token.kind == Kind::kOpen && token.detail == '{' && next != nullptr &&
                          next->kind == Kind::kClose;
    const bool is_before_mark =
        is_empty && i + 2 < tokens.size() &&
        (tokens[i + 2].kind == Kind::kUnderscore || tokens[i + 2].kind == Kind::kCaret);
    if (is_before_mark) {
      ++i;
      continue;
    }
    kept.push_back(token);
  }
  tokens = std::move(kept);
}

// "52 base 8" is 52_8 and "3 to 4" is 3:4, both between numbers.
void replace_small_words(std::vector<Token>& tokens) {
  for (size_t i = 1; i + 1 < tokens.size(); ++i) {
    Token& token = tokens[i];
    const bool is_between = tokens[i - 1].kind == Kind::kNumber;
    if (!is_between) continue;
    const bool is_number_next = tokens[i + 1].kind == Kind::kNumber;
    if (is_word(token, {"base"}) && is_number_next) token = {.kind = Kind::kUnderscore};
    const bool is_all = tokens.size() == 3 || (i % 2 == 1 && tokens[1].kind == Kind::kColon);
    if (is_word(token, {"to"}) && is_number_next && (is_all || i == 1)) {
      token = {.kind = Kind::kColon};
    }
  }
}

// {x | x > 1} and {x \in \mathbb{R} : x > 1} say x > 1. Nothing for other tokens.
std::vector<Token> set_condition(const std::vector<Token>& tokens) {
  const auto is_at = [&](size_t at, Kind kind, char detail) {
    return at < tokens.size() && tokens[at].kind == kind && tokens[at].detail == detail;
  };
  if (tokens.size() < 7) return {};
  const size_t end = tokens.size() - 1;
  if (!is_at(0, Kind::kOpen, 'S') || !is_at(end, Kind::kClose, 'S')) return {};
  if (tokens[1].kind != Kind::kLetter) return {};
  size_t at = 2;
  const bool is_real = is_at(2, Kind::kRelation, 'i') && is_at(3, Kind::kWrap, 0) &&
                       tokens[3].text == "mathbb" && tokens.size() > 9 && tokens[5].text == "R";
  if (is_real) at = 7;  // After \in \mathbb{R}.
  if (!is_at(at, Kind::kBar, 0) && !is_at(at, Kind::kColon, 0)) return {};
  std::vector<Token> inside(tokens.begin() + static_cast<std::ptrdiff_t>(at) + 1, tokens.end() - 1);
  bool has_inequality = false;
  bool has_letter = false;
  for (const Token& token : inside) {
    if (token.detail == 'S') return {};
    has_letter = has_letter || (token.kind == Kind::kLetter && token.text == tokens[1].text);
    has_inequality = has_inequality || (token.kind == Kind::kRelation && token.detail != '=' &&
                                        token.detail != 'i' && token.detail != '~');
  }
  return has_inequality && has_letter ? inside : std::vector<Token>();
}

struct Assignment {
  std::string name{};
  std::vector<Token> name_tokens{};
  std::vector<Token> value_tokens{};
};

// y_1 = 2. Nothing for other tokens.
std::optional<Assignment> read_assignment(std::span<const Token> tokens) {
  Assignment assignment;
  if (tokens.empty() || tokens[0].kind != Kind::kLetter) return {};
  size_t at = 0;
  const auto is_equals = [](const Token& token) {
    return token.kind == Kind::kRelation && token.detail == '=';
  };
  for (; at < tokens.size() && !is_equals(tokens[at]); ++at) {
    const Token& token = tokens[at];
    const bool is_index = at > 0 && (token.kind == Kind::kUnderscore ||
                                     token.kind == Kind::kNumber || token.kind == Kind::kPrime);
    if (at > 0 && !is_index) return {};
    assignment.name += token.text + "_";
    assignment.name_tokens.push_back(token);
  }
  if (at + 1 >= tokens.size()) return {};
  assignment.value_tokens.assign(tokens.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                                 tokens.end());
  const bool has_relation =
      std::any_of(assignment.value_tokens.begin(), assignment.value_tokens.end(),
                  [](const Token& token) { return token.kind == Kind::kRelation; });
  return has_relation ? std::nullopt : std::optional(std::move(assignment));
}

// The tokens between separators that stand in no brackets.
template <class IsSeparator>
std::vector<std::span<const Token>> split(std::span<const Token> tokens, IsSeparator is_separator) {
  std::vector<std::span<const Token>> parts;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const Kind kind = tokens[i].kind;
    depth += (kind == Kind::kOpen || kind == Kind::kBegin) -
             (kind == Kind::kClose || kind == Kind::kEnd);
    if (depth != 0 || !is_separator(kind)) continue;
    parts.push_back(tokens.subspan(begin, i - begin));
    begin = i + 1;
  }
  parts.push_back(tokens.subspan(begin));
  return parts;
}

// x = 1, y = 2; x = 3, y = 4 says (x, y) = (1, 2), (x, y) = (3, 4). Nothing for other tokens.
std::vector<Token> grouped_assignments(const std::vector<Token>& tokens) {
  constexpr size_t kGroupsMax = 64;
  const auto is_outer = [](Kind kind) { return kind == Kind::kSemicolon || kind == Kind::kOr; };
  const auto is_inner = [](Kind kind) { return kind == Kind::kComma || kind == Kind::kAnd; };
  if (tokens.empty() || tokens[0].kind != Kind::kLetter) return {};
  const auto groups = split(tokens, is_outer);
  if (groups.size() < 2 || groups.size() > kGroupsMax) return {};
  std::vector<Token> all;
  std::vector<std::string> names;
  for (const auto& group : groups) {
    std::vector<Assignment> items;
    for (const auto& part : split(group, is_inner)) {
      auto item = read_assignment(part);
      if (!item) return {};
      items.push_back(std::move(*item));
    }
    if (items.size() < 2) return {};
    std::sort(items.begin(), items.end(),
              [](const Assignment& a, const Assignment& b) { return a.name < b.name; });
    std::vector<std::string> group_names;
    for (const Assignment& item : items) group_names.push_back(item.name);
    const bool is_twice =
        std::adjacent_find(group_names.begin(), group_names.end()) != group_names.end();
    if (is_twice || (!names.empty() && names != group_names)) return {};
    names = group_names;
    if (!all.empty()) all.push_back({.kind = Kind::kComma});
    for (const auto part : {&Assignment::name_tokens, &Assignment::value_tokens}) {
      if (part == &Assignment::value_tokens)
        all.push_back({.kind = Kind::kRelation, .detail = '='});
      all.push_back({.kind = Kind::kOpen, .detail = '('});
      for (size_t i = 0; i < items.size(); ++i) {
        if (i > 0) all.push_back({.kind = Kind::kComma});
        all.insert(all.end(), (items[i].*part).begin(), (items[i].*part).end());
      }
      all.push_back({.kind = Kind::kClose, .detail = '('});
    }
  }
  return all;
}

}  // namespace

std::vector<Token> meant_tokens(const std::vector<Token>& tokens) {
  std::vector<Token> meant = tokens;
  drop_leading_signs(meant);
  drop_sentence(meant);
  drop_leading_signs(meant);
  drop_explanation(meant);
  drop_choice_letter(meant);
  replace_no_solution(meant);
  replace_all_reals(meant);
  unwrap_brackets(meant);
  replace_small_words(meant);
  std::vector<Token> condition = set_condition(meant);
  if (!condition.empty()) return condition;
  std::vector<Token> assignments = grouped_assignments(meant);
  return assignments.empty() ? meant : assignments;
}

}  // namespace troupe::actors
