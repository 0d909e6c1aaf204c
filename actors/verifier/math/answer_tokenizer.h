// How an answer is cut into tokens: the state, for the two files that work on it: tokens.cpp reads
// characters and letters, latex_commands.cpp what begins with a backslash.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/verifier/math/tokens.h"

namespace troupe::actors {

class AnswerTokenizer {
 public:
  AnswerTokenizer(std::string text, TokenOptions options)
      : ascii_(std::move(text)), text_(ascii_), options_(options) {}

  std::vector<Token> run();

 private:
  enum class Brace : char { kPlain, kDropped, kUpright };

  std::string_view rest(size_t from) const {
    return from < text_.size() ? text_.substr(from) : std::string_view();
  }
  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool is_upright() const { return num_upright_ > 0; }

  void emit(TokenKind kind, char detail = 0, std::string_view text = {});
  void next_line(TokenKind kind);
  void step();
  void symbol(char c);

  // Characters and letters.
  bool has_single_dollar() const;
  void open_brace(Brace brace);
  void close_brace();
  void skip_spaces();
  void caret();
  bool digits_of_large_base();
  void number();
  bool is_times_sign() const;
  bool is_currency_before(std::string_view run);
  bool is_union_sign() const;
  void letters();
  static std::string unit_name(std::string_view run, const std::string& word);
  bool follows_value() const;
  bool follows_operator() const;
  bool is_operator_next() const;
  void letter(std::string_view name);
  bool is_angle_next() const;
  bool is_bracket_next() const;
  bool named(std::string_view run, const std::string& word);
  bool is_cent_next() const;
  void base_of_log();
  void single_letters(std::string_view run);
  bool joined_functions(std::string_view run);

  // Behind a backslash.
  void backslash();
  void escaped();
  bool is_between_equations() const;
  void row_break();
  void skip_row_distance();
  bool is_command_at(size_t at) const;
  void environment(bool is_begin);
  void lines(bool is_begin, std::string_view name);
  void skip_argument();
  void circled();

  std::string ascii_;
  std::string_view text_;
  TokenOptions options_;
  size_t at_ = 0;
  bool has_space_ = false;
  int depth_ = 0;  // Of brackets that may hold a list.
  int num_upright_ = 0;
  int num_matrices_ = 0;
  int num_lines_ = 0;             // Environments of lines.
  bool is_line_pending_ = false;  // One of their lines has ended.
  std::vector<Brace> braces_{};
  std::vector<Token> tokens_{};
};

}  // namespace troupe::actors
