// A chat template as a tree: statements, and the expressions in them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/chat_template/value.h"

namespace troupe::model::chat_template {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

enum class Operator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Expression {
  enum class Kind : uint8_t {
    kConstant,
    kName,
    kList,
    kTuple,
    kDict,        // parts: key, value, key, value, ...
    kAttribute,   // parts[0].name
    kItem,        // parts[0][parts[1]]
    kSlice,       // parts[0][parts[1]:parts[2]:parts[3]]; missing ones are null.
    kCall,        // parts[0](parts[1], ..., named)
    kFilter,      // parts[0] | name(parts[1], ..., named)
    kTest,        // parts[0] is name(parts[1], ..., named)
    kNot,         // not parts[0]
    kNegative,    // -parts[0]
    kPositive,    // +parts[0]
    kBinary,      // parts[0] operators[0] parts[1]
    kComparison,  // parts[0] operators[0] parts[1] operators[1] parts[2] ...
    kAnd,
    kOr,
    kConcatenation,  // parts[0] ~ parts[1] ~ ...
    kConditional,    // parts[1] if parts[0] else parts[2], which may be null.
  };

  Kind kind = Kind::kConstant;
  int line = 0;
  int depth = 1;  // Of the tree; bounded, since trees are walked and destroyed by recursion.
  Value constant{};
  std::string name{};
  std::vector<ExpressionPtr> parts{};
  std::vector<std::pair<std::string, ExpressionPtr>> named{};
  std::vector<Operator> operators{};
};

// What a value is given to: names, or an attribute of a namespace.
struct Target {
  std::vector<std::string> names{};
  bool is_tuple = false;
  std::string attribute{};  // Of the namespace names[0]; empty: the name itself.
};

struct Statement;
using Statements = std::vector<Statement>;

struct Statement {
  enum class Kind : uint8_t {
    kText,
    kPrint,
    kIf,   // expressions: one for each of bodies but for that of `else`.
    kFor,  // expressions: what is gone through, then the filter or null; bodies: also `else`.
    kSet,
    kSetText,  // {% set x %}...{% endset %}; the filter's argument is the text, see kFilterText.
    kMacro,    // name, parameters; expressions: their defaults or null.
    kGeneration,
    kWith,        // targets and expressions, one each.
    kFilterText,  // expressions[0]: a filter of a constant, which the text takes the place of.
    kBreak,
    kContinue,
  };

  Kind kind = Kind::kText;
  int line = 0;
  std::string text{};  // Of kText; of kMacro its name.
  std::vector<Target> targets{};
  std::vector<std::string> parameters{};
  std::vector<ExpressionPtr> expressions{};
  std::vector<Statements> bodies{};
};

}  // namespace troupe::model::chat_template
