// The expressions of a chat template, with Jinja's precedences.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "model/chat_template/lexer.h"
#include "model/chat_template/syntax.h"

namespace troupe::model::chat_template {

// Words, and the first error that was met. After an error there are no more words, and whatever is
// read is a constant, so that readers need not look after every step.
class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  // With commas it is a tuple. In `for` and `if` there is no inline `if`, which would take the
  // filter for its condition.
  ExpressionPtr tuple(bool has_conditional = true);
  ExpressionPtr expression();
  // The filters after `value`, of which the first one's bar is read.
  ExpressionPtr filters(ExpressionPtr value);

  const Token& current() const { return tokens_[at_]; }
  const Token& next();  // The current one; then the one behind it is.
  bool is(Token::Kind kind, std::string_view text = {}) const;
  bool is_operator(std::string_view text) const { return is(Token::Kind::kOperator, text); }
  bool is_name(std::string_view text) const { return is(Token::Kind::kName, text); }
  bool skip(Token::Kind kind, std::string_view text);
  void expect(Token::Kind kind, std::string_view text = {});
  std::string name();

  ExpressionPtr fail(std::string_view what);
  ExpressionPtr fail_at(int line, std::string_view what);
  bool has_failed() const { return has_failed_; }
  const Error& error() const { return error_; }

  ExpressionPtr make(Expression::Kind kind, std::vector<ExpressionPtr> parts = {});

 private:
  ExpressionPtr either();
  ExpressionPtr both();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool has_filters);
  ExpressionPtr primary();
  ExpressionPtr parentheses();
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr postfixes(ExpressionPtr node);
  ExpressionPtr subscript(ExpressionPtr node);
  ExpressionPtr filters_and_tests(ExpressionPtr node);
  ExpressionPtr filter(ExpressionPtr node);
  ExpressionPtr test(ExpressionPtr node);
  void arguments(Expression& call);
  bool ends_tuple() const;
  ExpressionPtr binary(Operator op, ExpressionPtr left, ExpressionPtr right);
  void measure(Expression& node);

  class Nesting;

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
  bool has_failed_ = false;
  Error error_{};
};

}  // namespace troupe::model::chat_template
