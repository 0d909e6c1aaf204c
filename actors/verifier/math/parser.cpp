#include "actors/verifier/math/parser.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/parse_stack.h"
#include "actors/verifier/math/unit_parser.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

class Parser : ParseStack {
 public:
  explicit Parser(const std::vector<Token>& tokens) : tokens_(tokens) {}

  bool run(Tree& tree, NodeIndex& root) {
    if (tokens_.empty()) return false;
    while (ok_ && at_ < tokens_.size()) {
      step();
      if (std::exchange(has_marked_, false)) function_marks();
      if (builder_.is_full() || open_.size() > ParsedAnswer::kDepthMax) return false;
    }
    if (!ok_ || groups_.size() != 1 || !finish_item()) return false;
    root = values_.size() == 1 ? values_[0].node
                               : builder_.add(NodeKind::kList, nodes_from(0), groups_[0].joiner);
    tree = builder_.take();
    return true;
  }

 private:
  const Token* peek(size_t ahead = 0) const {
    return at_ + ahead < tokens_.size() ? &tokens_[at_ + ahead] : nullptr;
  }
  bool is_next(Kind kind, char detail = 0) const {
    const Token* token = peek();
    return token && token->kind == kind && (detail == 0 || token->detail == detail);
  }

  // --- tokens ----------------------------------------------------------------------------------

  void step() {
    const Token& token = tokens_[at_];
    switch (token.kind) {
      case Kind::kNumber:
        return number(token);
      case Kind::kLetter:
        return letter(token);
      case Kind::kWord:
        return expect_operand_ ? title() : unit();
      case Kind::kFunction:
      case Kind::kSeries:
        return function(token);
      case Kind::kConstant:
        begin_operand();
        ++at_;
        return push_operand({.node = token.text == "pi" ? builder_.add(NodeKind::kConstant, {}, 'p')
                                                        : builder_.add(NodeKind::kInfinity)});
      case Kind::kEmptySet:
        begin_operand();
        ++at_;
        return push_operand({.node = builder_.add(NodeKind::kSet)});
      case Kind::kPlus:
      case Kind::kMinus:
      case Kind::kPlusMinus:
      case Kind::kMinusPlus:
        return expect_operand_ ? sign(token) : infix(token, kAddStrength);
      case Kind::kTimes:
        return infix(token, kMultiplyStrength);
      case Kind::kDivide:
        return divide(token);
      case Kind::kUnion:
      case Kind::kIntersection:
      case Kind::kSetMinus:
        return infix(token, kUnionStrength);
      case Kind::kColon:
        return infix(token, kRatioStrength);
      case Kind::kOver:
        return over(token);
      case Kind::kCaret:
        return caret(token);
      case Kind::kBang:
      case Kind::kPercent:
      case Kind::kDegree:
        return postfix(token);
      case Kind::kCurrency:
        return currency(token);
      case Kind::kComma:
      case Kind::kSemicolon:
      case Kind::kOr:
      case Kind::kAnd:
      case Kind::kColumnBreak:
      case Kind::kRowBreak:
        return separator(token);
      case Kind::kOpen:
        return open_group(token.detail);
      case Kind::kBegin:
        return open_group('M');
      case Kind::kClose:
        return close_group(token.detail);
      case Kind::kEnd:
        return close_group('M');
      case Kind::kBar:
        return bar(token);
      case Kind::kRelation:
        return relation(token);
      case Kind::kFraction:
      case Kind::kBinomial:
      case Kind::kRoot:
        if (token.kind == Kind::kFraction && !expect_operand_ &&
            parse_unit_fraction(tokens_, at_)) {
          return unit();
        }
        begin_operand();
        ++at_;
        open_.push_back(
            {.what = OpenPart::kCollector,
             .token = token.kind,
             .waits_for_index = token.kind == Kind::kRoot && is_next(Kind::kOpen, '[')});
        return;
      case Kind::kWrap:
        return wrap(token);
      case Kind::kUnderscore:
        return grouped_base();
      case Kind::kPrime:
      case Kind::kUnknown:
        return fail();
    }
  }

  // "Total cost =" in front of everything says what the value is called.
  void title() {
    std::string name;
    size_t end = at_;
    const auto is_part = [&](const Token& token) {
      const bool denies = token.text == "not" || token.text == "no" || token.text == "never";
      return (token.kind == Kind::kWord && !denies) || token.kind == Kind::kLetter;
    };
    for (; end < tokens_.size() && is_part(tokens_[end]); ++end) name += tokens_[end].text + " ";
    const bool is_named = at_ == 0 && end < tokens_.size() &&
                          tokens_[end].kind == Kind::kRelation && tokens_[end].detail == '=';
    if (!is_named) return fail();
    at_ = end;
    push_operand({.node = builder_.symbol(std::move(name))});
  }

  // (204)_5
  void grouped_base() {
    if (expect_operand_ || values_.empty() || !values_.back().is_group) return fail();
    const NodeIndex inside = values_.back().node;
    if (!is_integer_literal(inside) || num_current() != 1 || has_open_operator()) return fail();
    const std::string digits = builder_.tree().literal(inside).digits;
    values_.pop_back();
    expect_operand_ = true;
    base(digits);
  }

  void number(const Token& token) {
    if (!is_literal(token.text)) return fail();
    if (!expect_operand_) {
      const ParsedValue& left = values_.back();
      const bool after_number =
          left.is_bare_integer || builder_.tree()[left.node].kind == NodeKind::kNumber;
      if (after_number && left.is_bare_integer && infix_mixed(token)) return;
      // "4 2" is no number, and x2 is neither a product nor an index, unlike n2^{k}.
      const bool after_letter =
          builder_.tree()[left.node].kind == NodeKind::kSymbol && !left.is_group;
      const Token* next = peek(1);
      const bool is_power = next && next->kind == Kind::kCaret;
      if (after_number || (after_letter && !token.has_space_before && !is_power)) return fail();
    }
    const bool has_padding = token.text.size() > 1 && token.text[0] == '0' && at_ > 1 &&
                             std::all_of(token.text.begin(), token.text.end(), is_digit);
    const bool is_dated =
        has_padding && tokens_[at_ - 2].kind == Kind::kNumber &&
        (tokens_[at_ - 1].kind == Kind::kMinus || tokens_[at_ - 1].kind == Kind::kDivide);
    if (is_dated) return fail();  // 2023-01-05 is no difference.
    begin_operand();
    const bool is_digits = std::all_of(token.text.begin(), token.text.end(), is_digit);
    std::string_view text = token.text;
    // An argument without braces is one digit: \frac12. Not so for \sqrt12, which nobody means.
    const bool takes_digit = has_open(OpenPart::kCollector) && open_.back().token != Kind::kRoot &&
                             is_digits && text.size() > digit_;
    if (is_digits) text.remove_prefix(digit_);
    if (takes_digit) text = text.substr(0, 1);
    digit_ += takes_digit ? 1 : 0;
    if (!takes_digit || digit_ == token.text.size()) {
      ++at_;
      digit_ = 0;
    }
    if (at_ < tokens_.size() && is_next(Kind::kUnderscore) && is_digits) return base(text);
    push_operand({.node = builder_.number(text), .is_bare_integer = is_digits});
  }

  // 7 3/4, and nothing after it that would take the 4 away.
  bool infix_mixed(const Token& numerator) {
    const Token* slash = peek(1);
    const Token* denominator = peek(2);
    if (!slash || slash->kind != Kind::kDivide || !denominator ||
        denominator->kind != Kind::kNumber || !numerator.has_space_before) {
      return false;
    }
    const Token* after = peek(3);
    if (after && (after->kind == Kind::kCaret || after->kind == Kind::kBang)) return false;
    const NodeIndex a = builder_.number(numerator.text);
    const NodeIndex b = builder_.number(denominator->text);
    if (!is_proper(a, b)) return false;
    at_ += 3;
    const NodeIndex fraction = builder_.add(NodeKind::kDivide, {a, b});
    values_.back() = {.node = builder_.add(NodeKind::kAdd, {values_.back().node, fraction})};
    return true;
  }

  // 204_5
  void base(std::string_view digits) {
    ++at_;
    const auto text = raw_argument();
    if (!text || text->empty() || text->size() > 2 ||
        !std::all_of(text->begin(), text->end(), is_digit)) {
      return fail();
    }
    push_operand({.node = builder_.based(std::string(digits) + "_" + *text)});
  }

  // The tokens of a subscript as text.
  std::optional<std::string> raw_argument() {
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

  void letter(const Token& token) {
    const bool is_unit = token.is_upright && (find_unit(token.text) || is_unit_symbol(token.text));
    if (!expect_operand_ && (is_unit || is_temperature(token))) return unit();
    begin_operand();
    ++at_;
    std::string name = token.text;
    bool has_marks = false;
    if (is_next(Kind::kUnderscore)) {
      ++at_;
      const auto subscript = raw_argument();
      if (!subscript) return fail();
      name += "_" + *subscript;
      has_marks = true;
    }
    for (; is_next(Kind::kPrime); ++at_) {
      name += "'";
      has_marks = true;
    }
    const bool is_named = values_.size() == group().item_base && is_next(Kind::kRelation, '=');
    if (!has_marks && !is_named && (name == "e" || name == "i")) {
      return push_operand({.node = builder_.add(NodeKind::kConstant, {}, name[0])});
    }
    push_operand({.node = builder_.symbol(std::move(name))});
  }

  // \overline{AB} is a name.
  void wrap(const Token& token) {
    begin_operand();
    ++at_;
    auto name = raw_argument();
    if (!name || name->empty()) return fail();
    push_operand({.node = builder_.symbol(token.text + "{" + *name + "}")});
  }

  void function(const Token& token) {
    const bool is_series = token.kind == Kind::kSeries;  // It takes a whole product.
    begin_operand(!is_series);
    ++at_;
    open_.push_back({.what = OpenPart::kFunctionCall,
                     .token = token.kind,
                     .detail = token.detail,
                     .strength = is_series ? kSignStrength : kFunctionStrength});
    function_marks();
  }

  // An exponent or a base directly after a function's name.
  void function_marks() {
    const OpenPart& top = open_.back();
    const bool is_base = is_next(Kind::kUnderscore);
    if (!is_base && !is_next(Kind::kCaret)) return;
    if (is_base && top.detail != kLog && top.token != Kind::kSeries) return fail();
    if (top.num_arguments & (is_base ? 2u : 1u)) return fail();
    ++at_;
    open_.push_back(
        {.what = OpenPart::kCollector, .token = Kind::kFunction, .detail = is_base ? '_' : '^'});
  }

  void sign(const Token& token) {
    // --5 is nothing that anybody writes on purpose.
    if (has_open(OpenPart::kCollector) || has_open(OpenPart::kPrefix)) return fail();
    ++at_;
    int strength = kSignStrength;
    if (!open_.empty() && is_operator(open_.back())) {
      strength = std::max(strength, open_.back().strength);
    }
    open_.push_back({.what = OpenPart::kPrefix, .token = token.kind, .strength = strength});
  }

  void infix(const Token& token, int strength) {
    if (expect_operand_) return fail();
    reduce(strength);
    if (token.detail == 'x' && is_vector(values_.back().node)) return fail();
    ++at_;
    open_.push_back({.what = OpenPart::kBinary, .token = token.kind, .strength = strength});
    expect_operand_ = true;
  }

  // {1 + 2 \over 3}: everything before it over everything behind it.
  void over(const Token& token) {
    const bool is_in_relation = !group().relations.empty();
    for (size_t i = open_.size(); i-- > 0 && is_operator(open_[i]);) {
      if (open_[i].token == Kind::kOver) return fail();
    }
    if (is_in_relation) return fail();
    infix(token, kOverStrength);
  }

  // Its cross product is none of numbers.
  bool is_vector(NodeIndex node) const {
    const Tree& tree = builder_.tree();
    return tree[node].kind == NodeKind::kSymbol && tree.name(node).starts_with("vec{");
  }

  void divide(const Token& token) {
    if (expect_operand_) return fail();
    reduce(kMultiplyStrength, true);
    // sin pi/6 means half: the sine of pi alone would be no question.
    const bool is_angle =
        has_open(OpenPart::kFunctionCall) && at_ > 0 && tokens_[at_ - 1].kind == Kind::kConstant;
    if (!is_angle) return infix(token, kMultiplyStrength);
    ++at_;
    open_.push_back(
        {.what = OpenPart::kBinary, .token = token.kind, .strength = kFunctionStrength});
    expect_operand_ = true;
  }

  void caret(const Token& token) {
    if (expect_operand_) return fail();
    reduce(kPowerStrength + 1);
    ++at_;
    open_.push_back({.what = OpenPart::kBinary, .token = token.kind, .strength = kPowerStrength});
    expect_operand_ = true;
  }

  void postfix(const Token& token) {
    if (expect_operand_ || num_current() < 1) return fail();
    ++at_;
    if (token.kind == Kind::kBang) {
      if (is_next(Kind::kBang)) return fail();  // A double factorial.
      values_.back() = {.node = builder_.add(NodeKind::kFactorial, {values_.back().node})};
      return;
    }
    reduce(kMultiplyStrength, true);
    if (!ok_) return;
    const NodeKind kind = token.kind == Kind::kPercent ? NodeKind::kPercent : NodeKind::kDegree;
    values_.back() = {.node = builder_.add(kind, {values_.back().node})};
  }

  void currency(const Token& token) {
    if (!expect_operand_) return unit();
    ++at_;
    Unit unit = find_unit(token.text).value_or(Unit{.noun = token.text});
    open_.push_back({.what = OpenPart::kPrefix,
                     .token = Kind::kCurrency,
                     .strength = kSignStrength,
                     .unit = std::move(unit)});
  }

  // 1.5 million. False for other words.
  bool scale() {
    constexpr std::pair<std::string_view, std::string_view> kScales[] = {
        {"hundred", "100"},
        {"thousand", "1000"},
        {"million", "1000000"},
        {"billion", "1000000000"},
        {"trillion", "1000000000000"}};
    const NodeKind kind = builder_.tree()[values_.back().node].kind;
    const auto scale = std::find_if(std::begin(kScales), std::end(kScales), [&](const auto& pair) {
      return pair.first == tokens_[at_].text;
    });
    if (scale == std::end(kScales) || kind != NodeKind::kNumber) return false;
    ++at_;
    if (is_next(Kind::kNumber)) {  // "2 thousand 5" is no product.
      fail();
      return true;
    }
    const NodeIndex factor = builder_.number(scale->second);
    values_.back() = {.node = builder_.add(NodeKind::kMultiply, {values_.back().node, factor})};
    return true;
  }

  // The C of 20^\circ C.
  bool is_temperature(const Token& token) const {
    const bool is_letter = token.text == "C" || token.text == "F";
    const bool is_word = token.text == "celsius" || token.text == "fahrenheit";
    return (is_letter || is_word) && builder_.tree()[values_.back().node].kind == NodeKind::kDegree;
  }

  void temperature() {
    const char scale = to_lower(tokens_[at_++].text[0]);
    const NodeIndex degrees = values_.back().node;
    const NodeIndex value = builder_.tree().child(degrees, 0);
    values_.back() = {.node = builder_.quantity(value, Unit{.noun = std::string(1, scale)})};
  }

  void unit() {
    if (num_current() > 0 && is_temperature(tokens_[at_])) return temperature();
    if (num_current() > 0 && scale()) return;
    apply_unit(tokens_[at_].kind == Kind::kFraction ? parse_unit_fraction(tokens_, at_)
                                                    : parse_unit(tokens_, at_));
  }

  void apply_unit(std::optional<ParsedUnit> parsed) {
    if (!parsed) return fail();
    at_ = parsed->end;
    const Token* next = peek();
    const bool ends_item = !next || next->kind == Kind::kClose || next->kind == Kind::kRelation ||
                           next->kind == Kind::kComma || next->kind == Kind::kSemicolon ||
                           next->kind == Kind::kOr || next->kind == Kind::kAnd;
    reduce(ends_item ? kAddStrength : kMultiplyStrength);
    if (!ok_ || expect_operand_) return fail();
    const NodeKind kind = builder_.tree()[values_.back().node].kind;
    if (kind == NodeKind::kQuantity || kind == NodeKind::kPercent) return fail();
    values_.back() = {.node = builder_.quantity(values_.back().node, std::move(parsed->unit))};
  }

  // --- groups ----------------------------------------------------------------------------------

  void open_group(char bracket) {
    // Expects an operand already after a function or a command.
    begin_operand();
    ++at_;
    open_.push_back({.what = OpenPart::kGroup, .detail = bracket});
    groups_.push_back(
        {.bracket = bracket, .value_base = values_.size(), .item_base = values_.size()});
  }

  void bar(const Token& token) {
    const bool is_inside = group().bracket == '|';
    const bool opens = token.detail == 'o' || (token.detail == 0 && expect_operand_) ||
                       (token.detail == 0 && !is_inside);
    if (opens) return open_group('|');
    close_group('|');
  }

  void separator(const Token& token) {
    const char bracket = group().bracket;
    const bool is_matrix = bracket == 'M';
    const bool is_break = token.kind == Kind::kColumnBreak || token.kind == Kind::kRowBreak;
    if (is_matrix != is_break || bracket == '|' || bracket == 'f' || bracket == 'c') return fail();
    if (!open_.empty() && open_.back().what == OpenPart::kCollector) return fail();
    if (!finish_item()) return;
    ++at_;
    // ", and" and ", or" separate once.
    note_joiner(token);
    const Token* next = peek();
    const bool is_double = next && (next->kind == Kind::kOr || next->kind == Kind::kAnd);
    if (token.kind == Kind::kComma && is_double) {
      note_joiner(*next);
      ++at_;
    }
    ++group().row_items;
    if (token.kind == Kind::kRowBreak) end_row();
    expect_operand_ = true;
  }

  void note_joiner(const Token& token) {
    char& joiner = group().joiner;
    if (token.kind == Kind::kOr) joiner = 'o';
    if (token.kind == Kind::kAnd && joiner != 'o') joiner = 'a';
  }

  void relation(const Token& token) {
    if (expect_operand_) return fail();
    const char bracket = group().bracket;
    if (bracket != 0 && bracket != '(' && bracket != 'S' && bracket != '{') return fail();
    reduce(kLoosest);
    if (!ok_ || num_current() != 1) return fail();
    ++at_;
    group().relations += token.detail;
    expect_operand_ = true;
  }

  void close_group(char bracket) {
    OpenGroup& now = group();
    if (groups_.size() == 1) return fail();
    const bool is_interval =
        (now.bracket == '(' && bracket == '[') || (now.bracket == '[' && bracket == '(');
    if (now.bracket != bracket && !is_interval) return fail();
    ++at_;
    const bool is_empty = values_.size() == now.value_base;
    const bool ends_on_break = bracket == 'M' && !is_empty && now.row_items == 0;
    if (bracket == 'S' && is_empty && expect_operand_ && !has_open_operator()) {
      return close_with({.node = builder_.add(NodeKind::kSet)});
    }
    if (!(ends_on_break && expect_operand_) && !finish_item()) return;
    if (bracket == 'M') {
      if (!ends_on_break || !expect_operand_) {
        ++now.row_items;
        end_row();
      }
      if (!ok_) return;
      return close_with({.node = builder_.add(NodeKind::kMatrix, nodes_from(now.value_base), 0,
                                              now.num_columns)});
    }
    const size_t num_items = values_.size() - now.value_base;
    if (num_items == 1 && !is_interval && bracket != 'S' && bracket != '<') {
      return close_with(single(bracket));
    }
    const std::vector<NodeIndex> items = nodes_from(now.value_base);
    if (bracket == 'S' || bracket == '{') {
      return close_with({.node = builder_.add(NodeKind::kSet, items)});
    }
    if (bracket == '|' || num_items < 2) return fail();
    const char detail = is_interval ? (now.bracket == '[' ? 'l' : 'r') : bracket;
    close_with({.node = builder_.add(NodeKind::kTuple, items, detail)});
  }

  const std::vector<Token>& tokens_;
  size_t at_ = 0;
  size_t digit_ = 0;  // Of the number at at_, how many digits were arguments already.
};

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

ParsedAnswer parse_answer(std::string_view text, TokenOptions options) {
  ParsedAnswer answer;
  answer.tokens = tokenize(text, options);
  std::vector<Token> meant = set_condition(answer.tokens);
  if (meant.empty()) meant = grouped_assignments(answer.tokens);
  answer.is_math = Parser(meant.empty() ? answer.tokens : meant).run(answer.tree, answer.root);
  return answer;
}

}  // namespace troupe::actors
