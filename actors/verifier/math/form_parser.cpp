#include "actors/verifier/math/form_parser.h"

#include <algorithm>
#include <utility>

#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/number_words.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

bool is_choice_letter(const Token& token) {
  return token.kind == Kind::kLetter && (token.text == "C" || token.text == "P");
}

}  // namespace

// 204_5
void FormParser::base(std::string_view digits) {
  ++at_;
  const auto text = raw_argument();
  if (!text) return fail();
  std::string_view written = *text;
  if (written.starts_with("base")) written.remove_prefix(4);
  const auto number = number_in_words(written);
  const std::string base = number ? std::to_string(*number) : std::string(written);
  if (base.empty() || base.size() > 2 || !std::all_of(base.begin(), base.end(), is_digit)) {
    return fail();
  }
  push_operand({.node = builder_.based(std::string(digits) + "_" + base)});
}

// The tokens of a subscript as text.
std::optional<std::string> FormParser::raw_argument() {
  constexpr size_t kBytesMax = 32;
  const Token* token = peek();
  if (!token) return {};
  const auto spelling = [](const Token& one) {
    if (!one.text.empty()) return one.text;
    return std::string(1, static_cast<char>('A' + static_cast<char>(one.kind)));
  };
  if (token->kind != Kind::kOpen) {
    if (token->kind != Kind::kNumber && token->kind != Kind::kLetter) return {};
    ++at_;
    return spelling(*token);
  }
  if (token->detail != '{') return {};
  std::string text;
  for (++at_; (token = peek()); ++at_) {
    if (token->kind == Kind::kClose && token->detail == '{') {
      ++at_;
      return text;
    }
    if (token->kind == Kind::kOpen || text.size() > kBytesMax) return {};
    text += spelling(*token);
  }
  return {};
}

// A whole number at `at`, also in braces; moves it behind.
const Token* FormParser::whole_number_at(size_t& at) const {
  const bool is_braced =
      at < tokens_.size() && tokens_[at].kind == Kind::kOpen && tokens_[at].detail == '{';
  const size_t number = at + (is_braced ? 1 : 0);
  const size_t end = number + (is_braced ? 2 : 1);
  if (end > tokens_.size() || tokens_[number].kind != Kind::kNumber) return nullptr;
  if (is_braced && tokens_[end - 1].kind != Kind::kClose) return nullptr;
  const std::string& digits = tokens_[number].text;
  if (digits.size() > 9 || !std::all_of(digits.begin(), digits.end(), is_digit)) return nullptr;
  at = end;
  return &tokens_[number];
}

// Moves behind it.
bool FormParser::take_choice(const Token& letter, const Token& n, const Token& k, size_t end) {
  if (std::stol(k.text) > std::stol(n.text)) return false;
  begin_operand();
  at_ = end;
  push_choice(letter, n, k);
  return true;
}

void FormParser::push_choice(const Token& letter, const Token& n, const Token& k) {
  const NodeIndex top = builder_.number(n.text);
  NodeIndex node = builder_.add(NodeKind::kBinomial, {top, builder_.number(k.text)});
  if (letter.text == "P") {
    const NodeIndex orders = builder_.add(NodeKind::kFactorial, {builder_.number(k.text)});
    node = builder_.add(NodeKind::kMultiply, {node, orders});
  }
  push_operand({.node = node});
}

// C_{10}^{5}. One digit below may be the index of a constant whose power is meant, unless the
// letter is upright.
bool FormParser::marked_choice() {
  const Token& letter = tokens_[at_];
  if (letter.text != "C") return false;
  size_t at = at_ + 1;
  const Token* n = nullptr;
  const Token* k = nullptr;
  for (int i = 0; i < 2; ++i) {
    if (at >= tokens_.size()) return false;
    const Kind mark = tokens_[at++].kind;
    if (mark != Kind::kUnderscore && mark != Kind::kCaret) return false;
    (mark == Kind::kUnderscore ? n : k) = whole_number_at(at);
  }
  if (n == nullptr || k == nullptr) return false;
  // Where the upper number is written first, it is the larger one.
  const bool is_swapped =
      tokens_[at_ + 1].kind == Kind::kCaret && std::stol(k->text) > std::stol(n->text);
  if (is_swapped) std::swap(n, k);
  const bool may_be_index = !letter.is_upright && n->text.size() == 1 && n->text[0] < '3';
  return !may_be_index && take_choice(letter, *n, *k, at);
}

// 10C5
bool FormParser::infix_choice() {
  const Token* k = peek(1);
  if (expect_operand_ || at_ == 0 || !is_choice_letter(tokens_[at_]) || !k) return false;
  const Token& n = tokens_[at_ - 1];
  if (n.kind != Kind::kNumber || k->kind != Kind::kNumber || !values_.back().is_bare_integer) {
    return false;
  }
  if (tokens_[at_].has_space_before || k->has_space_before) return false;
  size_t end = at_ + 1;
  if (n.text.size() > 9 || !whole_number_at(end) || std::stol(k->text) > std::stol(n.text)) {
    return false;
  }
  const Token& letter = tokens_[at_];
  values_.pop_back();
  expect_operand_ = true;
  at_ = end;
  push_choice(letter, n, *k);
  return true;
}

// _{10}C_5 and ^{10}C_5
void FormParser::prefixed_choice() {
  size_t at = at_ + 1;
  const Token* n = whole_number_at(at);
  if (n == nullptr || at + 1 >= tokens_.size()) return fail();
  const bool is_root = tokens_[at].kind == Kind::kRoot && tokens_[at_].kind == Kind::kCaret;
  if (is_root) {
    begin_operand();
    const ParsedValue index{.node = builder_.number(n->text)};
    at_ = at + 1;
    open_.push_back({.what = OpenPart::kCollector,
                     .token = Kind::kRoot,
                     .num_arguments = 1,
                     .arguments = {ParsedValue{}, index}});
    return;
  }
  if (!is_choice_letter(tokens_[at])) return fail();
  const Token& letter = tokens_[at++];
  if (tokens_[at++].kind != Kind::kUnderscore) return fail();
  const Token* k = whole_number_at(at);
  if (k == nullptr || !take_choice(letter, *n, *k, at)) return fail();
}

// What stands behind \int_a^b, up to dx.
bool FormParser::begins_integrand(const Token& token) const {
  const bool is_waiting = has_open(OpenPart::kFunctionCall) &&
                          open_.back().token == Kind::kSeries && open_.back().detail == 'I';
  return is_waiting && expect_operand_ && token.kind != Kind::kUnderscore &&
         token.kind != Kind::kCaret;
}

void FormParser::open_integrand() {
  if (open_.back().num_arguments != 3) return fail();  // Without bounds it is no number.
  open_.push_back({.what = OpenPart::kGroup, .detail = 'I'});
  groups_.push_back({.bracket = 'I', .value_base = values_.size(), .item_base = values_.size()});
}

bool FormParser::is_differential() const {
  const Token* variable = peek(1);
  if (groups_.back().bracket != 'I' || tokens_[at_].text != "d" || !variable) return false;
  const bool is_empty = values_.size() == groups_.back().value_base;
  return variable->kind == Kind::kLetter &&
         (!expect_operand_ || (is_empty && has_open(OpenPart::kGroup)));
}

void FormParser::close_integrand() {
  if (expect_operand_) push_operand({.node = builder_.number("1")});
  if (!finish_item()) return;
  const NodeIndex body = values_.back().node;
  const NodeIndex variable = builder_.symbol(tokens_[at_ + 1].text);
  at_ += 2;
  values_.resize(group().value_base);
  groups_.pop_back();
  open_.pop_back();
  const OpenPart integral = std::move(open_.back());
  open_.pop_back();
  expect_operand_ = true;
  push_operand(
      {.node = builder_.add(
           NodeKind::kSeries,
           {integral.arguments[1].node, integral.arguments[0].node, body, variable}, 'I')});
}

}  // namespace troupe::actors
