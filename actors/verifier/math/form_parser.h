// The forms of an answer that are read by looking ahead: numbers of choices, integrals, digits in a
// base.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/math/parse_stack.h"

namespace troupe::actors {

class FormParser : protected ParseStack {
 protected:
  explicit FormParser(const std::vector<Token>& tokens) : tokens_(tokens) {}

  const Token* peek(size_t ahead = 0) const {
    return at_ + ahead < tokens_.size() ? &tokens_[at_ + ahead] : nullptr;
  }
  bool is_next(TokenKind kind, char detail = 0) const {
    const Token* token = peek();
    return token && token->kind == kind && (detail == 0 || token->detail == detail);
  }

  // 204_5, whose digits were read.
  void base(std::string_view digits);
  // The tokens of a subscript as text.
  std::optional<std::string> raw_argument();

  // C_{10}^{5}. One digit below may be the index of a constant whose power is meant, unless the
  // letter is upright. False where nothing of the kind stands here.
  bool marked_choice();
  bool infix_choice();     // 10C5
  void prefixed_choice();  // _{10}C_5 and ^{10}C_5; also ^3\sqrt 8, which begins alike.

  // What stands behind \int_a^b, up to dx.
  bool begins_integrand(const Token& token) const;
  void open_integrand();
  bool is_differential() const;
  void close_integrand();

  const std::vector<Token>& tokens_;
  size_t at_ = 0;

 private:
  // A whole number at `at`, also in braces; moves it behind.
  const Token* whole_number_at(size_t& at) const;
  // Moves behind it.
  bool take_choice(const Token& letter, const Token& n, const Token& k, size_t end);
  void push_choice(const Token& letter, const Token& n, const Token& k);
};

}  // namespace troupe::actors
