#include "actors/verifier/math/tokens.h"

#include <algorithm>
#include <utility>

#include "actors/verifier/math/answer_tokenizer.h"
#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/end_marks.h"
#include "actors/verifier/math/lexicon.h"
#include "actors/verifier/math/numeral.h"
#include "actors/verifier/math/unicode.h"
#include "actors/verifier/math/units.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

constexpr size_t kCapitalsMax = 3;  // A name like ABC; more capitals are a word.

}  // namespace

std::vector<Token> AnswerTokenizer::run() {
  text_ = without_end_marks(text_);
  while (at_ < text_.size()) step();
  // The full stop inside \text{...}.
  const bool ends_in_stop = tokens_.size() > 1 && tokens_.back().kind == Kind::kUnknown &&
                            tokens_.back().text == "." && tokens_.back().is_upright;
  if (ends_in_stop) tokens_.pop_back();
  return std::move(tokens_);
}

void AnswerTokenizer::emit(Kind kind, char detail, std::string_view text) {
  if (std::exchange(is_line_pending_, false)) next_line(kind);
  tokens_.push_back({kind, detail, has_space_, is_upright(), std::string(text)});
  has_space_ = false;
}

// What begins with a relation or an operator goes on with the line before it; other lines are
// further values.
void AnswerTokenizer::next_line(Kind kind) {
  constexpr Kind kJoining[] = {Kind::kRelation, Kind::kPlus,      Kind::kTimes, Kind::kComma,
                               Kind::kOr,       Kind::kAnd,       Kind::kArrow, Kind::kSemicolon,
                               Kind::kDivide,   Kind::kPlusMinus, Kind::kClose, Kind::kModulo};
  const auto joins = [&](Kind one) {
    return std::find(std::begin(kJoining), std::end(kJoining), one) != std::end(kJoining);
  };
  if (tokens_.empty() || joins(kind)) return;
  if (joins(tokens_.back().kind) && tokens_.back().kind != Kind::kClose) return;
  tokens_.push_back({Kind::kComma, 0, false, false, {}});
}

void AnswerTokenizer::step() {
  const char c = peek();
  if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
  if (is_letter(c)) return letters();
  if (c == '\\') return backslash();
  if (rest(at_).starts_with("...")) {
    at_ += 3;
    return emit(Kind::kUnknown, 0, "\\ldots");
  }
  ++at_;
  switch (c) {
    case ' ':
    case '~':
      has_space_ = true;
      return;
    case '$':
      // A delimiter, unless it has no partner and a number behind it and nothing else.
      return is_digit(peek()) && has_single_dollar() ? emit(Kind::kCurrency, 0, "dollar") : void();
    case '{':
      open_brace(Brace::kPlain);
      return;
    case '}':
      close_brace();
      return;
    case '^':
      return caret();
    case '*':
      if (peek() != '*') return emit(Kind::kTimes);
      ++at_;
      return emit(Kind::kCaret);
    default:
      return symbol(c);
  }
}

void AnswerTokenizer::symbol(char c) {
  const auto relation = [&](char detail, size_t length) {
    at_ += length;
    emit(Kind::kRelation, detail);
  };
  const bool has_equals = peek() == '=';
  switch (c) {
    case '+':
      return emit(Kind::kPlus);
    case '-':
      return emit(Kind::kMinus);
    case '/':
      return emit(Kind::kDivide);
    case '_':
      return emit(Kind::kUnderscore);
    case '\'':
      return emit(Kind::kPrime);
    case '%':
      return emit(Kind::kPercent);
    case ',':
      return emit(Kind::kComma);
    case ';':
      return emit(Kind::kSemicolon);
    case '&':
      return num_matrices_ == 0 && num_lines_ > 0 ? void() : emit(Kind::kColumnBreak);
    case '|':
      return emit(Kind::kBar);
    case '(':
    case '[':
      ++depth_;
      return emit(Kind::kOpen, c);
    case ')':
    case ']':
      --depth_;
      return emit(Kind::kClose, c == ')' ? '(' : '[');
    case '=':
      return relation('=', has_equals ? 1 : 0);
    case '<':
      return has_equals ? relation('l', 1) : relation('<', 0);
    case '>':
      return has_equals ? relation('g', 1) : relation('>', 0);
    case '!':
      return has_equals ? relation('n', 1) : emit(Kind::kBang);
    case ':':
      return has_equals ? relation('=', 1) : emit(Kind::kColon);
    default:
      emit(Kind::kUnknown, 0, std::string_view(&c, 1));
  }
}

bool AnswerTokenizer::has_single_dollar() const {
  size_t num_dollars = 0;
  for (size_t i = 0; i < text_.size() && num_dollars < 2; ++i) {
    if (text_[i] == '\\') {
      ++i;
    } else if (text_[i] == '$') {
      ++num_dollars;
    }
  }
  return num_dollars == 1 &&
         std::none_of(text_.begin() + static_cast<std::ptrdiff_t>(at_), text_.end(), is_letter);
}

void AnswerTokenizer::open_brace(Brace brace) {
  braces_.push_back(brace);
  if (brace == Brace::kUpright) ++num_upright_;
  if (brace == Brace::kPlain) emit(Kind::kOpen, '{');
}

void AnswerTokenizer::close_brace() {
  const Brace brace = braces_.empty() ? Brace::kPlain : braces_.back();
  if (!braces_.empty()) braces_.pop_back();
  if (brace == Brace::kUpright) --num_upright_;
  if (brace == Brace::kPlain) emit(Kind::kClose, '{');
}

void AnswerTokenizer::skip_spaces() {
  while (is_space(peek())) ++at_;
}

// ^\circ and ^{\circ} are the degree sign, ^\prime is '.
void AnswerTokenizer::caret() {
  size_t end = at_;
  const auto skip = [&] {
    while (end < text_.size() && is_space(text_[end])) ++end;
  };
  skip();
  const bool is_braced = rest(end).starts_with('{');
  if (is_braced) ++end;
  skip();
  for (const auto& [name, kind] : {std::pair<std::string_view, Kind>{"\\circ", Kind::kDegree},
                                   {"\\degree", Kind::kDegree},
                                   {"\\prime", Kind::kPrime}}) {
    if (!rest(end).starts_with(name)) continue;
    size_t after = end + name.size();
    if (after < text_.size() && is_letter(text_[after])) continue;
    while (after < text_.size() && is_space(text_[after])) ++after;
    if (is_braced && !rest(after).starts_with('}')) continue;
    at_ = after + (is_braced ? 1 : 0);
    return emit(kind);
  }
  // 60^o and 60^{\text{o}}: the letter stands for the sign.
  if (!tokens_.empty() && tokens_.back().kind == Kind::kNumber) {
    for (const std::string_view sign :
         {"^o", "^{o}", "^{\\text{o}}", "^\\text{o}", "^{\\mathrm{o}}", "^\\mathrm{o}"}) {
      if (!rest(at_ - 1).starts_with(sign)) continue;
      const size_t after = at_ - 1 + sign.size();
      if (after < text_.size() && is_letter(text_[after])) continue;
      at_ = after;
      return emit(Kind::kDegree);
    }
  }
  emit(Kind::kCaret);
}

// 1A_{16}, FF_{16}: capitals among the digits, which the base must have. False for anything else.
bool AnswerTokenizer::digits_of_large_base() {
  size_t end = at_;
  size_t num_capitals = 0;
  int largest = 0;
  for (; end < text_.size() && (is_digit(text_[end]) || is_capital(text_[end])); ++end) {
    const bool is_one = is_capital(text_[end]);
    num_capitals += is_one ? 1 : 0;
    largest = std::max(largest, is_one ? text_[end] - 'A' + 10 : text_[end] - '0');
  }
  const size_t mark = end + (is_upright() && rest(end).starts_with('}') ? 1 : 0);
  if (num_capitals == 0 || end - at_ < 2 || !rest(mark).starts_with('_')) return false;
  const bool is_braced = rest(mark + 1).starts_with('{');
  const std::string_view base = rest(mark + (is_braced ? 2 : 1));
  if (base.size() < 2 || !is_digit(base[0]) || !is_digit(base[1])) return false;
  if (is_braced != base.substr(2).starts_with('}')) return false;
  const int value = (base[0] - '0') * 10 + (base[1] - '0');
  if (value > 36 || value <= 10 || largest >= value) return false;
  emit(Kind::kNumber, 0, text_.substr(at_, end - at_));
  at_ = end;
  return true;
}

void AnswerTokenizer::number() {
  if (digits_of_large_base()) return;
  const bool is_in_list = depth_ > 0 || (!tokens_.empty() && tokens_.back().kind == Kind::kComma);
  const Numeral numeral =
      read_numeral(rest(at_), options_, {.is_in_list = is_in_list, .is_first = tokens_.empty()});
  at_ += numeral.length;
  emit(Kind::kNumber, 0, numeral.text);
  if (numeral.has_stop) return emit(Kind::kUnknown, 0, ".");
  at_ += ordinal_suffix(numeral.text, rest(at_));
}

// The x of "1.2 x 10^5": a sign between a number and a power of ten.
bool AnswerTokenizer::is_times_sign() const {
  if (peek() != 'x' || is_letter(peek(1)) || tokens_.empty()) return false;
  if (tokens_.back().kind != Kind::kNumber || !has_space_) return false;
  const std::string_view after = rest(at_ + 1);
  const std::string_view power = trimmed(after);
  return after.size() > power.size() && (power.starts_with("10^") || power.starts_with("10**"));
}

// "USD 5", "Rs. 500".
bool AnswerTokenizer::is_currency_before(std::string_view run) {
  if (!tokens_.empty() || (run != "USD" && run != "EUR" && run != "Rs")) return false;
  const size_t stop = run == "Rs" && peek() == '.' ? 1 : 0;
  const std::string_view after = trimmed(rest(at_ + stop));
  if (after.empty() || !is_digit(after[0])) return false;
  at_ += stop;
  emit(Kind::kCurrency, 0, run == "USD" ? "dollar" : run == "EUR" ? "euro" : "rupee");
  return true;
}

// The U of (-oo, 1) U (2, oo).
bool AnswerTokenizer::is_union_sign() const {
  const std::string_view after = trimmed(rest(at_ + 1));
  return peek() == 'U' && !is_letter(peek(1)) && !tokens_.empty() &&
         tokens_.back().kind == Kind::kClose && !after.empty() &&
         (after[0] == '(' || after[0] == '[');
}

void AnswerTokenizer::letters() {
  if (is_times_sign() || is_union_sign()) {
    const bool is_union = text_[at_++] == 'U';
    return emit(is_union ? Kind::kUnion : Kind::kTimes);
  }
  if (is_capital(peek()) && digits_of_large_base()) return;
  const size_t begin = at_;
  while (is_letter(peek())) ++at_;
  const std::string_view run = text_.substr(begin, at_ - begin);
  const std::string word = lowered(run);
  if (word == "a" || word == "p") {  // p.m.
    std::string_view after = rest(at_);
    if (after.starts_with(".m") || after.starts_with(".M")) {
      at_ += after.substr(2).starts_with('.') ? 3 : 2;
      return emit(Kind::kWord, 0, word + "m");
    }
  }
  if (is_currency_before(run)) return;
  if (run == "m" && is_angle_next()) return;  // The measure of an angle.
  if (run.size() == 1) return letter(run);
  const bool is_second = options_.has_unit_letters && run == "sec" && follows_value();
  if (!is_second && named(run, word)) return;
  if (follows_value() && (is_plain_unit(run) || (options_.has_unit_letters && find_unit(run)))) {
    return emit(Kind::kWord, 0, unit_name(run, word));
  }
  const bool is_all_capital = std::all_of(run.begin(), run.end(), is_capital);
  if (is_all_capital && run.size() <= kCapitalsMax) return emit(Kind::kLetter, 0, run);
  if (is_upright()) return emit(Kind::kWord, 0, unit_name(run, word));
  if (word == "cu" && has_space_ && follows_value()) return emit(Kind::kWord, 0, word);
  const bool is_product = run.size() == 2 && word != "no" &&
                          (follows_operator() || (tokens_.empty() && is_operator_next()));
  if (is_product || (run.size() <= 3 && !is_short_word(word))) return single_letters(run);
  if (run.size() > 3 && word != "since" && word != "cosine" && joined_functions(run)) return;
  emit(Kind::kWord, 0, word);
}

// A unit's symbol stays as it is written.
std::string AnswerTokenizer::unit_name(std::string_view run, const std::string& word) {
  return find_unit(run) && !find_unit(word) ? std::string(run) : word;
}

// A number, or something else that a unit may stand behind.
bool AnswerTokenizer::follows_value() const {
  if (tokens_.empty()) return false;
  const Token& last = tokens_.back();
  if (last.kind == Kind::kNumber || last.kind == Kind::kClose) return true;
  if (last.kind == Kind::kWord) {
    return options_.has_unit_letters || last.text == "sq" || last.text == "square" ||
           last.text == "cu" || last.text == "cubic";
  }
  const bool is_bracketed =
      last.kind == Kind::kOpen && last.detail == '(' && last.has_space_before && tokens_.size() > 1;
  if (is_bracketed) return tokens_[tokens_.size() - 2].kind == Kind::kNumber;  // 5 (cm)
  const bool is_short = last.kind == Kind::kUnknown && last.text == "." && tokens_.size() > 2;
  if (is_short) {  // 12 sq. ft.
    const Token& before = tokens_[tokens_.size() - 2];
    return before.kind == Kind::kWord && (before.text == "sq" || before.text == "cu");
  }
  const bool joins = last.kind == Kind::kDivide || last.kind == Kind::kTimes ||
                     (last.kind == Kind::kLetter && last.is_upright);
  return options_.has_unit_letters && joins && tokens_.size() > 1;
}

// ax + by has no word in it.
bool AnswerTokenizer::follows_operator() const {
  if (tokens_.empty()) return false;
  const Kind last = tokens_.back().kind;
  return last == Kind::kPlus || last == Kind::kMinus || last == Kind::kTimes || last == Kind::kOpen;
}

bool AnswerTokenizer::is_operator_next() const {
  const std::string_view after = trimmed(rest(at_));
  return !after.empty() && std::string_view("+-*^").find(after[0]) != std::string_view::npos;
}

void AnswerTokenizer::letter(std::string_view name) {
  emit(Kind::kLetter, 0, name);
  if (!options_.has_unit_letters) return;
  const Token letter = std::move(tokens_.back());
  tokens_.pop_back();
  const bool is_set_off =
      letter.has_space_before || tokens_.empty() || tokens_.back().kind != Kind::kNumber;
  const bool is_micro = tokens_.size() > 1 && tokens_.back().kind == Kind::kLetter &&
                        tokens_.back().text == "mu" && find_unit("u" + std::string(name));
  const bool is_unit = is_micro || (is_set_off && find_unit(name) && follows_value());
  tokens_.push_back(letter);
  if (is_unit) tokens_.back().is_upright = true;
}

bool AnswerTokenizer::is_angle_next() const {
  const std::string_view after = trimmed(rest(at_));
  return after.starts_with("\\angle") || after.starts_with("\\measuredangle");
}

bool AnswerTokenizer::is_bracket_next() const {
  std::string_view after = trimmed(rest(at_));
  while (is_upright() && after.starts_with('}')) after = trimmed(after.substr(1));
  return begins_with_bracket(after);
}

// A name that has a meaning of its own.
bool AnswerTokenizer::named(std::string_view run, const std::string& word) {
  if (const auto function = find_function(run)) {
    emit(Kind::kFunction, *function);
    if (run == "log") base_of_log();
  } else if (const auto list = find_list_function(run); list && is_bracket_next()) {
    emit(Kind::kFunction, *list);
  } else if (word == "mod" || word == "modulo") {
    emit(Kind::kModulo);
  } else if (word == "choose" && !tokens_.empty() && tokens_.back().kind == Kind::kNumber) {
    emit(Kind::kChoose);
  } else if (word == "per" && is_cent_next()) {
    at_ = text_.find('t', at_) + 1;
    emit(Kind::kPercent);
  } else if (word == "pi") {
    emit(Kind::kConstant, 0, "pi");
  } else if (word == "infinity" || word == "inf" || run == "oo") {
    emit(Kind::kConstant, 0, "infty");
  } else if (word == "or") {
    emit(Kind::kOr);
  } else if (word == "and") {
    emit(Kind::kAnd);
  } else if (word == "percent" || word == "percentage" || word == "pct") {
    emit(Kind::kPercent);
  } else if (word == "degrees" || word == "degree" || word == "deg") {
    emit(Kind::kDegree);
  } else {
    return false;
  }
  return true;
}

// "per cent" is no amount of cents.
bool AnswerTokenizer::is_cent_next() const {
  const std::string_view after = trimmed(rest(at_));
  return after.starts_with("cent") && (after.size() == 4 || !is_letter(after[4]));
}

// log2(8) and log10(100): the digits are the base where brackets follow.
void AnswerTokenizer::base_of_log() {
  size_t end = at_;
  while (end < text_.size() && is_digit(text_[end])) ++end;
  const std::string_view base = rest(at_).substr(0, end - at_);
  if ((base != "2" && base != "10" && base != "3") || !rest(end).starts_with('(')) return;
  emit(Kind::kUnderscore);
  emit(Kind::kOpen, '{');
  emit(Kind::kNumber, 0, base);
  emit(Kind::kClose, '{');
  at_ = end;
}

void AnswerTokenizer::single_letters(std::string_view run) {
  for (size_t i = 0; i < run.size(); ++i) emit(Kind::kLetter, 0, run.substr(i, 1));
}

// sinx, xlnx, 2pir: names run together with a few variables.
bool AnswerTokenizer::joined_functions(std::string_view run) {
  constexpr size_t kVariablesMax = 2;
  size_t num_variables = 0;
  bool has_function = false;
  for (size_t i = 0; i < run.size();) {
    const size_t length = function_prefix(run.substr(i)).length;
    has_function = has_function || length > 0;
    num_variables += length == 0;
    i += std::max<size_t>(length, 1);
  }
  if (!has_function || num_variables > kVariablesMax) return false;
  for (size_t i = 0; i < run.size();) {
    const FunctionPrefix prefix = function_prefix(run.substr(i));
    if (prefix.length == 0) {
      emit(Kind::kLetter, 0, run.substr(i++, 1));
      continue;
    }
    if (prefix.function) {
      emit(Kind::kFunction, *prefix.function);
    } else {
      emit(Kind::kConstant, 0, "pi");
    }
    i += prefix.length;
  }
  return true;
}

std::vector<Token> tokenize(std::string_view text, TokenOptions options) {
  return AnswerTokenizer(with_ascii(text), options).run();
}

}  // namespace troupe::actors
