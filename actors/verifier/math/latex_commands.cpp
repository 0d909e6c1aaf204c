// What an answer's LaTeX commands and environments become.
#include <algorithm>
#include <string>
#include <string_view>

#include "actors/verifier/math/answer_tokenizer.h"
#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/lexicon.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

}  // namespace

void AnswerTokenizer::backslash() {
  size_t end = at_ + 1;
  while (end < text_.size() && is_letter(text_[end])) ++end;
  const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
  if (name.empty()) return escaped();
  at_ = end;
  if (const auto function = find_list_function(name); function && name != "binom") {
    return is_bracket_next() ? emit(Kind::kFunction, *function) : emit(Kind::kWord, 0, name);
  }
  const auto command = find_command(name);
  if (!command && name.starts_with("quad")) {  // \quadx
    at_ -= name.size() - 4;
    has_space_ = true;
    return;
  }
  if (!command) {
    if (name == "euro") return emit(Kind::kCurrency, 0, "euro");
    if (name == "rupee" || name == "yuan") return emit(Kind::kCurrency, 0, name);
    if (name == "pounds") return emit(Kind::kCurrency, 0, "pound sterling");
    return emit(Kind::kUnknown, 0, "\\" + std::string(name));
  }
  switch (command->action) {
    case CommandAction::kToken:
      if (command->kind == Kind::kOpen) ++depth_;
      if (command->kind == Kind::kClose) --depth_;
      if (command->kind == Kind::kLetter) return letter(command->text);
      return emit(command->kind, command->detail, command->text);
    case CommandAction::kDropped:
      has_space_ = true;
      return;
    case CommandAction::kUpright:
    case CommandAction::kBox:
      skip_spaces();
      if (peek() != '{') return;
      ++at_;
      return open_brace(command->action == CommandAction::kBox ? Brace::kDropped : Brace::kUpright);
    case CommandAction::kSided:
      skip_spaces();
      if (peek() != '.' && peek() != '|') return;
      if (peek() == '|') emit(Kind::kBar, name == "left" ? 'o' : 'c');
      ++at_;
      return;
    case CommandAction::kMatrix:
      return environment(name == "begin");
    case CommandAction::kSkipped:
      has_space_ = true;
      return skip_argument();
    case CommandAction::kCircled:
      return circled();
    case CommandAction::kNot:
      skip_spaces();
      if (peek() != '=') return emit(Kind::kUnknown, 0, "\\not");
      ++at_;
      return emit(Kind::kRelation, 'n');
  }
}

void AnswerTokenizer::escaped() {
  const char c = peek(1);
  at_ = std::min(at_ + 2, text_.size());
  switch (c) {
    case '%':
      return emit(Kind::kPercent);
    case '$':
      return emit(Kind::kCurrency, 0, "dollar");
    case '{':
    case '}':
      depth_ += c == '{' ? 1 : -1;
      return emit(c == '{' ? Kind::kOpen : Kind::kClose, 'S');
    case '|':
      return emit(Kind::kBar);
    case '\\':
      if (num_matrices_ > 0) return row_break();
      if (num_lines_ > 0) {
        is_line_pending_ = true;
        return skip_row_distance();
      }
      if (is_command_at(at_)) {
        --at_;  // \\frac, escaped once too often.
      } else if (is_between_equations()) {
        is_line_pending_ = true;  // x = 2 \\ y = 3, without an environment around it.
      }
      has_space_ = true;
      return;
    case '!':
    case ',':
    case ';':
    case ':':
    case ' ':
    case '(':
    case ')':
    case '[':
    case ']':
    case '\0':
      has_space_ = true;
      return;
    default:
      return emit(Kind::kUnknown, 0, "\\" + std::string(1, c));
  }
}

bool AnswerTokenizer::is_between_equations() const {
  const auto is_equals = [](const Token& token) {
    return token.kind == Kind::kRelation && token.detail == '=';
  };
  return depth_ == 0 && rest(at_).find('=') != std::string_view::npos &&
         std::any_of(tokens_.begin(), tokens_.end(), is_equals);
}

// \\ or \\[4pt]
void AnswerTokenizer::row_break() {
  emit(Kind::kRowBreak);
  skip_row_distance();
}

void AnswerTokenizer::skip_row_distance() {
  const size_t close = rest(at_).find(']');
  if (peek() != '[' || close == std::string_view::npos) return;
  const std::string_view length = rest(at_).substr(1, close - 1);
  const bool is_length = length.size() > 2 && is_digit(length[0]) &&
                         (length.ends_with("pt") || length.ends_with("mm") ||
                          length.ends_with("em") || length.ends_with("ex"));
  if (is_length) at_ += close + 1;
}

bool AnswerTokenizer::is_command_at(size_t at) const {
  size_t end = at;
  while (end < text_.size() && is_letter(text_[end])) ++end;
  return end > at + 1 && find_command(text_.substr(at, end - at)).has_value();
}

void AnswerTokenizer::environment(bool is_begin) {
  skip_spaces();
  const size_t close = text_.find('}', at_);
  if (peek() != '{' || close == text_.npos) return emit(Kind::kUnknown, 0, "\\begin");
  const std::string_view name = text_.substr(at_ + 1, close - at_ - 1);
  at_ = close + 1;
  if (is_lines_environment(name)) return lines(is_begin, name);
  if (!is_matrix_environment(name)) return emit(Kind::kUnknown, 0, "\\begin");
  num_matrices_ += is_begin ? 1 : -1;
  depth_ += is_begin ? 1 : -1;
  if (is_begin && name == "array") {  // Its columns' alignment.
    skip_spaces();
    const size_t end = text_.find('}', at_);
    if (peek() == '{' && end != text_.npos) at_ = end + 1;
  }
  emit(is_begin ? Kind::kBegin : Kind::kEnd);
}

// Cases with a condition beside each are a function and no lines.
void AnswerTokenizer::lines(bool is_begin, std::string_view name) {
  const std::string_view inside = rest(at_).substr(0, rest(at_).find("\\end{cases}"));
  if (is_begin && name == "cases" && inside.find('&') != inside.npos) {
    return emit(Kind::kUnknown, 0, "\\begin");
  }
  is_line_pending_ = false;
  num_lines_ += is_begin ? 1 : -1;
  has_space_ = true;
}

// {1cm}, [rgb]{1,0,0} or, without braces, 1cm.
void AnswerTokenizer::skip_argument() {
  if (peek() == '*') ++at_;
  skip_spaces();
  if (peek() == '[') at_ = std::min(text_.size(), text_.find(']', at_));
  if (peek() == ']') ++at_;
  skip_spaces();
  if (peek() != '{') {
    while (is_digit(peek()) || peek() == '.' || peek() == '-') ++at_;
    for (int i = 0; i < 2 && is_letter(peek()); ++i) ++at_;
    return;
  }
  int depth = 0;
  do {
    depth += (peek() == '{') - (peek() == '}');
    ++at_;
  } while (depth > 0 && at_ < text_.size());
}

// \circled{3} is a name that is no number.
void AnswerTokenizer::circled() {
  const size_t close = text_.find('}', at_);
  if (peek() != '{' || close == text_.npos) return emit(Kind::kUnknown, 0, "\\circled");
  const std::string name = "(" + std::string(text_.substr(at_ + 1, close - at_ - 1)) + ")";
  at_ = close + 1;
  emit(Kind::kLetter, 0, name);
}

}  // namespace troupe::actors
