#include "model/chat_template/expression_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace troupe::model::chat_template {
namespace {

using Kind = Expression::Kind;

// Trees deeper than this are no template's, and would take the stack of who walks them.
constexpr int kDepthMax = 120;
constexpr int kNestingMax = 60;
constexpr size_t kArgumentsMax = 64;

std::vector<ExpressionPtr> parts_of(ExpressionPtr a, ExpressionPtr b = {}, ExpressionPtr c = {},
                                    size_t count = 1) {
  std::vector<ExpressionPtr> parts;
  parts.push_back(std::move(a));
  if (count > 1) parts.push_back(std::move(b));
  if (count > 2) parts.push_back(std::move(c));
  return parts;
}

}  // namespace

// How many brackets and signs are open.
class ExpressionParser::Nesting {
 public:
  explicit Nesting(ExpressionParser& parser) : parser_(parser) {
    if (++parser_.nesting_ > kNestingMax) parser_.fail("is nested too deeply");
  }
  ~Nesting() { --parser_.nesting_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  ExpressionParser& parser_;
};

const Token& ExpressionParser::next() {
  const Token& token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool ExpressionParser::is(Token::Kind kind, std::string_view text) const {
  return current().kind == kind && (text.empty() || current().text == text);
}

bool ExpressionParser::skip(Token::Kind kind, std::string_view text) {
  if (!is(kind, text)) return false;
  next();
  return true;
}

void ExpressionParser::expect(Token::Kind kind, std::string_view text) {
  if (is(kind, text)) {
    next();
    return;
  }
  const char* wanted = kind == Token::Kind::kTagEnd     ? "%}"
                       : kind == Token::Kind::kPrintEnd ? "}}"
                                                        : "a name";
  fail(fmt::format("'{}' is missing", text.empty() ? wanted : std::string(text)));
}

std::string ExpressionParser::name() {
  if (is(Token::Kind::kName)) return next().text;
  fail("a name is missing");
  return {};
}

ExpressionPtr ExpressionParser::fail(std::string_view what) {
  return fail_at(current().line, what);
}

ExpressionPtr ExpressionParser::fail_at(int line, std::string_view what) {
  if (!has_failed_) {
    has_failed_ = true;
    error_ = error_at(line, what);
    at_ = tokens_.size() - 1;
  }
  return make(Kind::kConstant);
}

ExpressionPtr ExpressionParser::make(Kind kind, std::vector<ExpressionPtr> parts) {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->line = current().line;
  node->parts = std::move(parts);
  measure(*node);
  return node;
}

void ExpressionParser::measure(Expression& node) {
  for (const ExpressionPtr& part : node.parts) {
    if (part != nullptr) node.depth = std::max(node.depth, part->depth + 1);
  }
  for (const auto& [key, part] : node.named) node.depth = std::max(node.depth, part->depth + 1);
  if (node.depth > kDepthMax && !has_failed_) {
    has_failed_ = true;
    error_ = error_at(node.line, "an expression has too many parts in each other");
    at_ = tokens_.size() - 1;
  }
}

ExpressionPtr ExpressionParser::binary(Operator op, ExpressionPtr left, ExpressionPtr right) {
  auto node = make(Kind::kBinary, parts_of(std::move(left), std::move(right), {}, 2));
  node->operators = {op};
  return node;
}

bool ExpressionParser::ends_tuple() const {
  return is(Token::Kind::kTagEnd) || is(Token::Kind::kPrintEnd) || is_operator(")") ||
         is_name("in") || is_name("recursive") || is(Token::Kind::kEnd);
}

ExpressionPtr ExpressionParser::tuple(bool has_conditional) {
  const auto one = [&] { return has_conditional ? expression() : either(); };
  ExpressionPtr first = one();
  if (!is_operator(",")) return first;
  std::vector<ExpressionPtr> parts;
  parts.push_back(std::move(first));
  while (skip(Token::Kind::kOperator, ",") && !ends_tuple()) parts.push_back(one());
  return make(Kind::kTuple, std::move(parts));
}

ExpressionPtr ExpressionParser::expression() {
  const Nesting nesting(*this);
  if (has_failed_) return make(Kind::kConstant);
  ExpressionPtr node = either();
  while (skip(Token::Kind::kName, "if")) {
    ExpressionPtr condition = either();
    ExpressionPtr otherwise;
    if (skip(Token::Kind::kName, "else")) otherwise = expression();
    node = make(Kind::kConditional,
                parts_of(std::move(condition), std::move(node), std::move(otherwise), 3));
  }
  return node;
}

ExpressionPtr ExpressionParser::either() {
  ExpressionPtr left = both();
  while (skip(Token::Kind::kName, "or")) {
    left = make(Kind::kOr, parts_of(std::move(left), both(), {}, 2));
  }
  return left;
}

ExpressionPtr ExpressionParser::both() {
  ExpressionPtr left = negation();
  while (skip(Token::Kind::kName, "and")) {
    left = make(Kind::kAnd, parts_of(std::move(left), negation(), {}, 2));
  }
  return left;
}

ExpressionPtr ExpressionParser::negation() {
  const Nesting nesting(*this);
  if (has_failed_ || !skip(Token::Kind::kName, "not")) return comparison();
  return make(Kind::kNot, parts_of(negation()));
}

ExpressionPtr ExpressionParser::comparison() {
  constexpr std::array<std::pair<std::string_view, Operator>, 6> kComparisons = {
      {{"==", Operator::kEqual},
       {"!=", Operator::kNotEqual},
       {"<", Operator::kLess},
       {"<=", Operator::kLessEqual},
       {">", Operator::kGreater},
       {">=", Operator::kGreaterEqual}}};
  ExpressionPtr first = sum();
  std::vector<ExpressionPtr> parts;
  std::vector<Operator> operators;
  while (true) {
    const auto found =
        std::find_if(kComparisons.begin(), kComparisons.end(),
                     [this](const auto& comparison) { return is_operator(comparison.first); });
    if (found != kComparisons.end()) {
      next();
      operators.push_back(found->second);
    } else if (skip(Token::Kind::kName, "in")) {
      operators.push_back(Operator::kIn);
    } else if (is_name("not") && at_ + 1 < tokens_.size() &&
               tokens_[at_ + 1].kind == Token::Kind::kName && tokens_[at_ + 1].text == "in") {
      next();
      next();
      operators.push_back(Operator::kNotIn);
    } else {
      break;
    }
    parts.push_back(sum());
  }
  if (operators.empty()) return first;
  parts.insert(parts.begin(), std::move(first));
  auto node = make(Kind::kComparison, std::move(parts));
  node->operators = std::move(operators);
  return node;
}

ExpressionPtr ExpressionParser::sum() {
  ExpressionPtr left = concatenation();
  while (is_operator("+") || is_operator("-")) {
    const auto op = next().text == "+" ? Operator::kAdd : Operator::kSubtract;
    left = binary(op, std::move(left), concatenation());
  }
  return left;
}

ExpressionPtr ExpressionParser::concatenation() {
  ExpressionPtr first = product();
  if (!is_operator("~")) return first;
  std::vector<ExpressionPtr> parts;
  parts.push_back(std::move(first));
  while (skip(Token::Kind::kOperator, "~")) parts.push_back(product());
  return make(Kind::kConcatenation, std::move(parts));
}

ExpressionPtr ExpressionParser::product() {
  ExpressionPtr left = power();
  while (is_operator("*") || is_operator("/") || is_operator("//") || is_operator("%")) {
    const std::string op = next().text;
    left = binary(op == "*"    ? Operator::kMultiply
                  : op == "/"  ? Operator::kDivide
                  : op == "//" ? Operator::kFloorDivide
                               : Operator::kModulo,
                  std::move(left), power());
  }
  return left;
}

ExpressionPtr ExpressionParser::power() {
  ExpressionPtr left = unary(true);
  while (skip(Token::Kind::kOperator, "**")) {
    left = binary(Operator::kPower, std::move(left), unary(true));
  }
  return left;
}

ExpressionPtr ExpressionParser::unary(bool has_filters) {
  const Nesting nesting(*this);
  if (has_failed_) return make(Kind::kConstant);
  ExpressionPtr node;
  if (skip(Token::Kind::kOperator, "-")) {
    node = make(Kind::kNegative, parts_of(unary(false)));
  } else if (skip(Token::Kind::kOperator, "+")) {
    node = make(Kind::kPositive, parts_of(unary(false)));
  } else {
    node = primary();
  }
  node = postfixes(std::move(node));
  return has_filters ? filters_and_tests(std::move(node)) : std::move(node);
}

ExpressionPtr ExpressionParser::primary() {
  if (has_failed_) return make(Kind::kConstant);
  const Token token = current();
  auto node = make(Kind::kConstant);
  switch (token.kind) {
    case Token::Kind::kName:
      if (token.text == "true" || token.text == "True") {
        node->constant = Value::boolean(true);
      } else if (token.text == "false" || token.text == "False") {
        node->constant = Value::boolean(false);
      } else if (token.text == "none" || token.text == "None") {
        node->constant = Value::none();
      } else {
        node->kind = Kind::kName;
        node->name = token.text;
      }
      break;
    case Token::Kind::kInteger:
      node->constant = Value::integer(token.integer);
      break;
    case Token::Kind::kFloat:
      node->constant = Value::number(token.number);
      break;
    case Token::Kind::kString: {
      std::string text;
      while (is(Token::Kind::kString)) text += next().text;
      node->constant = Value::own(text);
      return node;
    }
    case Token::Kind::kOperator:
      if (token.text == "(") return parentheses();
      if (token.text == "[") return list();
      if (token.text == "{") return dict();
      return fail(fmt::format("'{}' is not expected here", token.text));
    default:
      return fail("an expression is missing");
  }
  next();
  return node;
}

ExpressionPtr ExpressionParser::parentheses() {
  next();
  if (skip(Token::Kind::kOperator, ")")) return make(Kind::kTuple);
  ExpressionPtr node = tuple();
  expect(Token::Kind::kOperator, ")");
  return node;
}

ExpressionPtr ExpressionParser::list() {
  next();
  std::vector<ExpressionPtr> parts;
  while (!has_failed_ && !is_operator("]")) {
    parts.push_back(expression());
    if (!skip(Token::Kind::kOperator, ",")) break;
  }
  expect(Token::Kind::kOperator, "]");
  return make(Kind::kList, std::move(parts));
}

ExpressionPtr ExpressionParser::dict() {
  next();
  std::vector<ExpressionPtr> parts;
  while (!has_failed_ && !is_operator("}")) {
    parts.push_back(expression());
    expect(Token::Kind::kOperator, ":");
    parts.push_back(expression());
    if (!skip(Token::Kind::kOperator, ",")) break;
  }
  expect(Token::Kind::kOperator, "}");
  return make(Kind::kDict, std::move(parts));
}

ExpressionPtr ExpressionParser::postfixes(ExpressionPtr node) {
  while (!has_failed_) {
    if (skip(Token::Kind::kOperator, ".")) {
      const Token token = next();
      node = make(token.kind == Token::Kind::kInteger ? Kind::kItem : Kind::kAttribute,
                  parts_of(std::move(node)));
      if (token.kind == Token::Kind::kInteger) {
        auto index = make(Kind::kConstant);
        index->constant = Value::integer(token.integer);
        node->parts.push_back(std::move(index));
      } else if (token.kind == Token::Kind::kName) {
        node->name = token.text;
      } else {
        return fail_at(token.line, "a name is missing after '.'");
      }
    } else if (is_operator("[")) {
      node = subscript(std::move(node));
    } else if (is_operator("(")) {
      node = make(Kind::kCall, parts_of(std::move(node)));
      arguments(*node);
    } else {
      break;
    }
  }
  return node;
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr node) {
  next();
  std::vector<ExpressionPtr> parts;
  parts.push_back(std::move(node));
  bool is_slice = false;
  const auto has_bound = [this] { return !is_operator(":") && !is_operator("]"); };
  parts.push_back(has_bound() ? expression() : nullptr);
  while (parts.size() < 4 && skip(Token::Kind::kOperator, ":")) {
    is_slice = true;
    parts.push_back(has_bound() ? expression() : nullptr);
  }
  if (is_operator(",")) return fail("an element by several numbers is not known");
  expect(Token::Kind::kOperator, "]");
  if (!is_slice && parts[1] == nullptr) return fail("the number of an element is missing");
  if (is_slice) parts.resize(4);
  return make(is_slice ? Kind::kSlice : Kind::kItem, std::move(parts));
}

void ExpressionParser::arguments(Expression& call) {
  next();
  while (!has_failed_ && !is_operator(")")) {
    if (is_operator("*") || is_operator("**")) {
      fail("arguments out of a list or dict ('*') are not known");
      return;
    }
    const bool is_named = is(Token::Kind::kName) && at_ + 1 < tokens_.size() &&
                          tokens_[at_ + 1].kind == Token::Kind::kOperator &&
                          tokens_[at_ + 1].text == "=";
    if (is_named) {
      std::string key = next().text;
      next();
      const auto& named = call.named;
      if (std::any_of(named.begin(), named.end(), [&](const auto& n) { return n.first == key; })) {
        fail(fmt::format("the argument '{}' is there twice", key));
      }
      call.named.emplace_back(std::move(key), expression());
    } else if (call.named.empty()) {
      call.parts.push_back(expression());
    } else {
      fail("an argument without a name follows one with a name");
      return;
    }
    if (call.parts.size() + call.named.size() > kArgumentsMax) fail("has too many arguments");
    if (!skip(Token::Kind::kOperator, ",")) break;
  }
  expect(Token::Kind::kOperator, ")");
  measure(call);
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr node) {
  while (!has_failed_) {
    if (skip(Token::Kind::kOperator, "|")) {
      node = filter(std::move(node));
    } else if (skip(Token::Kind::kName, "is")) {
      node = test(std::move(node));
    } else if (is_operator("(")) {
      node = make(Kind::kCall, parts_of(std::move(node)));
      arguments(*node);
    } else {
      break;
    }
  }
  return node;
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr value) {
  ExpressionPtr node = filter(std::move(value));
  while (skip(Token::Kind::kOperator, "|")) node = filter(std::move(node));
  return node;
}

ExpressionPtr ExpressionParser::filter(ExpressionPtr value) {
  ExpressionPtr node = make(Kind::kFilter, parts_of(std::move(value)));
  node->name = name();
  while (skip(Token::Kind::kOperator, ".")) node->name += "." + name();
  if (is_operator("(")) arguments(*node);
  return node;
}

ExpressionPtr ExpressionParser::test(ExpressionPtr value) {
  const bool is_negated = skip(Token::Kind::kName, "not");
  ExpressionPtr node = make(Kind::kTest, parts_of(std::move(value)));
  node->name = name();
  while (skip(Token::Kind::kOperator, ".")) node->name += "." + name();
  using T = Token::Kind;
  const bool has_argument = is(T::kString) || is(T::kInteger) || is(T::kFloat) ||
                            is_operator("[") || is_operator("{") ||
                            (is(T::kName) && !is_name("else") && !is_name("or") && !is_name("and"));
  if (is_operator("(")) {
    arguments(*node);
  } else if (has_argument) {
    if (is_name("is")) return fail("a test of a test ('is ... is') is not known");
    node->parts.push_back(postfixes(primary()));
    measure(*node);
  }
  if (!is_negated) return node;
  return make(Kind::kNot, parts_of(std::move(node)));
}

}  // namespace troupe::model::chat_template
