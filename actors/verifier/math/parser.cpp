#include "actors/verifier/math/parser.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "actors/verifier/math/characters.h"
#include "actors/verifier/math/compound.h"
#include "actors/verifier/math/form_parser.h"
#include "actors/verifier/math/rewrite.h"
#include "actors/verifier/math/unit_parser.h"

namespace troupe::actors {
namespace {

using Kind = TokenKind;

class Parser : FormParser {
 public:
  explicit Parser(const std::vector<Token>& tokens) : FormParser(tokens) {}

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
  // --- tokens ----------------------------------------------------------------------------------

  void step() {
    const Token& token = tokens_[at_];
    if (begins_integrand(token)) return open_integrand();
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
      case Kind::kChoose:
        return over(token);
      case Kind::kModulo:
        return modulo();
      case Kind::kCaret:
        return expect_operand_ ? prefixed_choice() : caret(token);
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
        return expect_operand_ ? prefixed_choice() : grouped_base();
      case Kind::kPrime:
      case Kind::kArrow:
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
    if (std::any_of(token.text.begin(), token.text.end(), is_capital)) {  // 1A_{16}
      if (!expect_operand_) return fail();
      ++at_;
      return is_next(Kind::kUnderscore) ? base(token.text) : fail();
    }
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

  void letter(const Token& token) {
    if (is_differential()) return close_integrand();
    if (marked_choice() || infix_choice()) return;
    const bool is_unit = token.is_upright && find_unit(token.text);
    if (!expect_operand_ && (is_unit || is_temperature(token) || is_micro(tokens_, at_))) {
      return unit();
    }
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
      if (open_[i].token == Kind::kOver || open_[i].token == Kind::kChoose) return fail();
    }
    if (is_in_relation) return fail();
    infix(token, kOverStrength);
  }

  // Its cross product is none of numbers.
  bool is_vector(NodeIndex node) const {
    const Tree& tree = builder_.tree();
    return tree[node].kind == NodeKind::kSymbol && tree.name(node).starts_with("vec{");
  }

  // The currency before a number that "per hour" or "/hour" follows.
  bool has_open_currency() const {
    return has_open(OpenPart::kPrefix) && open_.back().token == Kind::kCurrency;
  }

  void divide(const Token& token) {
    if (expect_operand_) return fail();
    const Token* next = peek(1);
    if (has_open_currency() && next && next->kind == Kind::kWord) {
      return apply_rate(parse_unit(tokens_, at_ + 1, true));
    }
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
    if (has_open_currency() && tokens_[at_].text == "per") {
      return apply_rate(parse_unit(tokens_, at_));
    }
    apply_unit(tokens_[at_].kind == Kind::kFraction ? parse_unit_fraction(tokens_, at_)
                                                    : parse_unit(tokens_, at_));
  }

  // \$5 per hour
  void apply_rate(std::optional<ParsedUnit> parsed) {
    const auto rate = parsed ? times_power(open_.back().unit, parsed->unit, 1) : std::nullopt;
    if (!rate) return fail();
    open_.back().unit = *rate;
    at_ = parsed->end;
    reduce(kMultiplyStrength);
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
    const bool is_single = bracket == '|' || bracket == 'f' || bracket == 'c' || bracket == 'I';
    if (is_matrix != is_break || is_single) return fail();
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

  // 7 mod 12, as a relation of its own kind.
  void modulo() {
    const std::string& relations = group().relations;
    const bool is_twice = relations.find('m') != relations.npos;
    if (expect_operand_ || is_twice || (group().bracket != 0 && group().bracket != '{')) {
      return fail();
    }
    reduce(kLoosest);
    if (!ok_ || num_current() != 1) return fail();
    ++at_;
    group().relations += 'm';
    expect_operand_ = true;
  }

  void relation(const Token& token) {
    if (expect_operand_) return fail();
    const char bracket = group().bracket;
    const bool may_hold =
        bracket == 0 || bracket == '(' || bracket == 'S' || bracket == '{' || bracket == 'M';
    if (!may_hold) return fail();
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

  size_t digit_ = 0;  // Of the number at at_, how many digits were arguments already.
};

}  // namespace

ParsedAnswer parse_answer(std::string_view text, TokenOptions options) {
  ParsedAnswer answer;
  answer.tokens = tokenize(text, options);
  answer.meant = meant_tokens(answer.tokens);
  if (std::vector<Token> quantity = single_quantity(answer.meant); !quantity.empty()) {
    answer.meant = std::move(quantity);
    answer.is_compound = true;
  }
  answer.is_math = Parser(answer.meant).run(answer.tree, answer.root);
  if (answer.is_math || options.has_unit_letters) return answer;
  // "5 m/sec" is nothing else than a number with a unit.
  options.has_unit_letters = true;
  ParsedAnswer with_units = parse_answer(text, options);
  const bool is_quantity = with_units.is_math && with_units.term().kind() == NodeKind::kQuantity;
  return is_quantity ? with_units : answer;
}

}  // namespace troupe::actors
