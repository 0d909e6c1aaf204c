#include "model/chat_template/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "model/chat_template/expression_parser.h"

namespace troupe::model::chat_template {
namespace {

using Kind = Statement::Kind;
using Word = Token::Kind;
using Names = std::initializer_list<std::string_view>;

constexpr size_t kSourceBytesMax = 1 << 20;
constexpr int kNestingMax = 40;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : words_(std::move(tokens)) {}

  Result<Statements> run() {
    Statements all = statements({});
    if (words_.has_failed()) return words_.error();
    return all;
  }

 private:
  bool is_one_of(Names names) const {
    return std::any_of(names.begin(), names.end(),
                       [this](std::string_view name) { return words_.is_name(name); });
  }

  // Up to a tag with one of these names, which is then the current word.
  Statements statements(Names ends) {
    Statements all;
    if (++nesting_ > kNestingMax) words_.fail("tags are nested too deeply");
    while (!words_.has_failed() && !words_.is(Word::kEnd)) {
      const int line = words_.current().line;
      if (words_.is(Word::kText)) {
        all.push_back({.kind = Kind::kText, .line = line, .text = words_.next().text});
      } else if (words_.is(Word::kPrintBegin)) {
        words_.next();
        Statement& print = all.emplace_back();
        print = {.kind = Kind::kPrint, .line = line};
        print.expressions.push_back(words_.tuple());
        words_.expect(Word::kPrintEnd);
      } else {
        words_.next();  // {%
        if (is_one_of(ends)) break;
        all.push_back(tag(line));
      }
    }
    if (ends.size() > 0 && !is_one_of(ends)) {
      words_.fail(fmt::format("the tag '{}' is missing", *(ends.end() - 1)));
    }
    --nesting_;
    return all;
  }

  Statements body(Names ends) {
    words_.expect(Word::kTagEnd);
    return statements(ends);
  }

  void end_tag() {
    words_.next();
    words_.expect(Word::kTagEnd);
  }

  Statement tag(int line) {
    Statement made{.line = line};
    const std::string name = words_.name();
    if (name == "if") {
      read_if(made);
    } else if (name == "for") {
      read_for(made);
    } else if (name == "set") {
      read_set(made);
    } else if (name == "macro") {
      read_macro(made);
    } else if (name == "with") {
      read_with(made);
    } else if (name == "generation") {
      read_generation(made);
    } else if (name == "filter") {
      made.kind = Kind::kFilterText;
      made.expressions.push_back(words_.filters(words_.make(Expression::Kind::kConstant)));
      made.bodies.push_back(body({"endfilter"}));
      end_tag();
    } else if (name == "break" || name == "continue") {
      made.kind = name == "break" ? Kind::kBreak : Kind::kContinue;
      if (loops_ == 0) words_.fail_at(line, fmt::format("the tag '{}' is in no loop", name));
      words_.expect(Word::kTagEnd);
    } else if (!words_.has_failed()) {
      words_.fail_at(line, fmt::format("the tag '{}' is not known", name));
    }
    return made;
  }

  void read_if(Statement& made) {
    made.kind = Kind::kIf;
    while (true) {
      made.expressions.push_back(words_.tuple(/*has_conditional=*/false));
      made.bodies.push_back(body({"elif", "else", "endif"}));
      if (!words_.is_name("elif")) break;
      words_.next();
    }
    read_else(made, "endif");
  }

  void read_else(Statement& made, std::string_view end) {
    if (words_.is_name("else")) {
      words_.next();
      made.bodies.push_back(body({end}));
    }
    end_tag();
  }

  void read_for(Statement& made) {
    made.kind = Kind::kFor;
    made.targets.push_back(target(/*can_be_attribute=*/false));
    words_.expect(Word::kName, "in");
    made.expressions.push_back(words_.tuple(/*has_conditional=*/false));
    made.expressions.push_back(words_.skip(Word::kName, "if") ? words_.expression() : nullptr);
    if (words_.is_name("recursive")) words_.fail("a loop that is 'recursive' is not known");
    ++loops_;
    made.bodies.push_back(body({"else", "endfor"}));
    --loops_;
    read_else(made, "endfor");
  }

  Target target(bool can_be_attribute) {
    Target made;
    const bool has_parentheses = words_.skip(Word::kOperator, "(");
    do {
      if (words_.has_failed() || words_.is_name("in") || words_.is_operator(")")) break;
      if (words_.is_operator("(")) words_.fail("names in brackets within names are not known");
      made.names.push_back(target_name());
      if (!words_.is_operator(",")) break;
      made.is_tuple = true;
    } while (words_.skip(Word::kOperator, ","));
    if (has_parentheses) words_.expect(Word::kOperator, ")");
    if (can_be_attribute && !made.is_tuple && words_.skip(Word::kOperator, ".")) {
      made.attribute = words_.name();
    }
    if (made.names.empty()) words_.fail("a name is missing");
    return made;
  }

  std::string target_name() {
    const std::string name = words_.name();
    for (const char* constant : {"true", "false", "none", "True", "False", "None", "loop"}) {
      if (name == constant) words_.fail(fmt::format("'{}' cannot be set", name));
    }
    return name;
  }

  void read_set(Statement& made) {
    made.targets.push_back(target(/*can_be_attribute=*/true));
    if (words_.skip(Word::kOperator, "=")) {
      made.kind = Kind::kSet;
      made.expressions.push_back(words_.tuple());
      words_.expect(Word::kTagEnd);
      return;
    }
    made.kind = Kind::kSetText;
    if (made.targets[0].is_tuple) words_.fail("a text cannot be set to several names");
    if (words_.skip(Word::kOperator, "|")) {
      made.expressions.push_back(words_.filters(words_.make(Expression::Kind::kConstant)));
    }
    made.bodies.push_back(body({"endset"}));
    end_tag();
  }

  // A macro that is made within a loop or another macro would have to keep what is set there.
  void read_macro(Statement& made) {
    made.kind = Kind::kMacro;
    made.text = words_.name();
    words_.expect(Word::kOperator, "(");
    while (!words_.has_failed() && !words_.is_operator(")")) {
      made.parameters.push_back(target_name());
      const bool has_default = words_.skip(Word::kOperator, "=");
      if (!has_default && !made.expressions.empty() && made.expressions.back() != nullptr) {
        words_.fail("a parameter without a default follows one with a default");
      }
      made.expressions.push_back(has_default ? words_.expression() : nullptr);
      if (!words_.skip(Word::kOperator, ",")) break;
    }
    words_.expect(Word::kOperator, ")");
    if (loops_ > 0 || macros_ > 0 || scopes_ > 0) {
      words_.fail_at(made.line,
                     "a macro within another tag that has names of its own is not known");
    }
    ++macros_;
    made.bodies.push_back(body({"endmacro"}));
    --macros_;
    end_tag();
  }

  // What it writes is a function's, so that a loop around it cannot be left from there.
  void read_generation(Statement& made) {
    made.kind = Kind::kGeneration;
    const int loops = std::exchange(loops_, 0);
    ++scopes_;
    made.bodies.push_back(body({"endgeneration"}));
    --scopes_;
    loops_ = loops;
    end_tag();
  }

  void read_with(Statement& made) {
    made.kind = Kind::kWith;
    while (!words_.has_failed() && !words_.is(Word::kTagEnd)) {
      made.targets.push_back(target(/*can_be_attribute=*/false));
      words_.expect(Word::kOperator, "=");
      made.expressions.push_back(words_.expression());
      if (!words_.skip(Word::kOperator, ",")) break;
    }
    ++scopes_;
    made.bodies.push_back(body({"endwith"}));
    --scopes_;
    end_tag();
  }

  ExpressionParser words_;
  int nesting_ = 0;
  int loops_ = 0;
  int macros_ = 0;
  int scopes_ = 0;
};

}  // namespace

Result<Statements> parse(std::string_view source) {
  if (source.size() > kSourceBytesMax) {
    return error_at(1, fmt::format("the template has {} bytes, at most {} are read", source.size(),
                                   kSourceBytesMax));
  }
  auto tokens = tokens_of(source);
  if (!tokens) return tokens.error();
  return Parser(std::move(*tokens)).run();
}

}  // namespace troupe::model::chat_template
