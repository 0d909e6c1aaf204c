// What is left open while tokens are read: operators, brackets and commands that wait for their
// operands, and the values between them. The stack is in vectors, so no nesting recurses.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "actors/verifier/math/builder.h"
#include "actors/verifier/math/parser.h"
#include "actors/verifier/math/tokens.h"

namespace troupe::actors {

// Binding strengths. A function takes factors that are written side by side (sin 2x), but not what
// follows a multiplication sign.
enum BindingStrength : int {
  kLoosest = 0,
  kOverStrength = 3,
  kUnionStrength = 5,
  kRatioStrength = 8,
  kAddStrength = 10,
  kSignStrength = 15,
  kMultiplyStrength = 20,
  kFunctionStrength = 25,
  kPowerStrength = 50,
};

struct ParsedValue {
  NodeIndex node = 0;
  bool is_bare_integer = false;    // Digits, as the whole part of a mixed number has.
  bool is_plain_fraction = false;  // \frac of two integers, the first smaller.
  bool is_group = false;           // In brackets, bars or braces.
};

// Something left open: a bracket, a command that waits for arguments, or an operator.
struct OpenPart {
  enum What : uint8_t { kGroup, kCollector, kBinary, kPrefix, kFunctionCall };

  What what = kGroup;
  TokenKind token = TokenKind::kUnknown;
  char detail = 0;
  int strength = kLoosest;
  bool is_implicit = false;      // A multiplication without a sign.
  bool waits_for_index = false;  // \sqrt before [
  uint32_t num_arguments = 0;
  std::array<ParsedValue, 2> arguments{};
  Unit unit{};
};

struct OpenGroup {
  char bracket = 0;  // As in tokens; 'M' for a matrix, '|' for bars, 0 for the whole answer.
  size_t value_base = 0;
  size_t item_base = 0;  // Where the item that is being read began.
  std::string relations{};
  uint32_t num_columns = 0;
  uint32_t row_items = 0;
  char joiner = ',';  // 'o'(r) and 'a'(nd) where one of them stands between items.
};

class ParseStack {
 public:
  ParseStack() : builder_(ParsedAnswer::kNodesMax) { groups_.push_back({}); }

 protected:
  void fail() { ok_ = false; }
  OpenGroup& group() { return groups_.back(); }
  bool has_open(OpenPart::What what) const { return !open_.empty() && open_.back().what == what; }
  std::vector<NodeIndex> nodes_from(size_t base) const;
  // Values of the expression that is being read.
  size_t num_current() const;
  bool is_operator(const OpenPart& open) const;
  void reduce(int strength, bool stop_at_function = false);
  bool is_integer_literal(NodeIndex node) const;
  // Before anything that begins an operand: two of them side by side are a product.
  void begin_operand(bool is_function = false);
  void push_operand(ParsedValue value);
  NodeIndex root_of(NodeIndex radicand, NodeIndex index);
  // Whether a/b may be the fraction of a mixed number: integers with 0 < a < b.
  bool is_proper(NodeIndex a, NodeIndex b) const;
  bool finish_item();
  void end_row();
  bool has_open_operator() const;
  // One item in brackets.
  ParsedValue single(char bracket);
  void close_with(ParsedValue value);

  bool ok_ = true;
  bool expect_operand_ = true;
  bool has_marked_ = false;  // An exponent or a base was added to the function on top.
  TreeBuilder builder_;
  std::vector<ParsedValue> values_{};
  std::vector<OpenPart> open_{};
  std::vector<OpenGroup> groups_{};

 private:
  void apply_top();
  NodeIndex binary(TokenKind token, NodeIndex left, NodeIndex right);
  NodeIndex power(NodeIndex base, NodeIndex exponent);
  NodeIndex prefix(const OpenPart& open, NodeIndex value);
  // The arguments are an exponent (sin^2) and a base (log_2).
  NodeIndex call(const OpenPart& open, NodeIndex argument);
  static bool takes_list(const OpenPart& open);
  NodeIndex list_function(const OpenPart& open, NodeIndex argument);
  bool close_choice(NodeIndex pair);
  bool is_minus_one(NodeIndex node) const;
  bool is_function_name(NodeIndex node) const;
  bool is_applied(NodeIndex left) const;
  NodeIndex application(NodeIndex left, NodeIndex argument);
  std::string differential(NodeIndex node) const;
  std::optional<NodeIndex> derivative(NodeIndex above, NodeIndex below);
  // Gives the command on top its next argument. True when that completes an operand.
  bool collect(ParsedValue& value);
};

}  // namespace troupe::actors
