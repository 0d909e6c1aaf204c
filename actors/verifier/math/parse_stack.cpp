#include "actors/verifier/math/parse_stack.h"

#include <utility>

namespace troupe::actors {
namespace {

using Kind = TokenKind;

constexpr size_t kRatioPartsMax = 16;

}  // namespace

std::vector<NodeIndex> ParseStack::nodes_from(size_t base) const {
  std::vector<NodeIndex> nodes;
  for (size_t i = base; i < values_.size(); ++i) nodes.push_back(values_[i].node);
  return nodes;
}

// Values of the expression that is being read.
size_t ParseStack::num_current() const {
  const OpenGroup& group = groups_.back();
  return values_.size() - group.item_base - group.relations.size();
}

bool ParseStack::is_operator(const OpenPart& open) const {
  return open.what != OpenPart::kGroup && open.what != OpenPart::kCollector;
}

void ParseStack::reduce(int strength, bool stop_at_function) {
  while (ok_ && !open_.empty() && is_operator(open_.back())) {
    const OpenPart& top = open_.back();
    if (top.what == OpenPart::kFunctionCall && stop_at_function) return;
    if (top.strength < strength) return;
    apply_top();
  }
}

void ParseStack::apply_top() {
  const OpenPart top = std::move(open_.back());
  open_.pop_back();
  const size_t needed = top.what == OpenPart::kBinary ? 2 : 1;
  if (expect_operand_ || num_current() < needed) return fail();
  const NodeIndex right = values_.back().node;
  if (needed == 2) values_.pop_back();
  const NodeIndex left = values_.back().node;
  values_.back() = {.node = top.what == OpenPart::kBinary   ? binary(top.token, left, right)
                            : top.what == OpenPart::kPrefix ? prefix(top, right)
                                                            : call(top, right),
                    .is_plain_fraction = top.token == Kind::kOver && is_proper(left, right)};
}

NodeIndex ParseStack::binary(Kind token, NodeIndex left, NodeIndex right) {
  switch (token) {
    case Kind::kPlus:
      return builder_.add(NodeKind::kAdd, {left, right});
    case Kind::kMinus:
      return builder_.add(NodeKind::kAdd, {left, builder_.negate(right)});
    case Kind::kPlusMinus:
      return builder_.add(NodeKind::kPlusMinus, {left, right});
    case Kind::kMinusPlus:
      return builder_.add(NodeKind::kMinusPlus, {left, right});
    case Kind::kTimes:
      return builder_.add(NodeKind::kMultiply, {left, right});
    case Kind::kDivide:
    case Kind::kOver:
      return builder_.add(NodeKind::kDivide, {left, right});
    case Kind::kChoose:
      return builder_.add(NodeKind::kBinomial, {left, right});
    case Kind::kCaret:
      return power(left, right);
    case Kind::kUnion: {
      // {1, 2} and {3} are one set of values; with an interval it is a union.
      const Tree& tree = builder_.tree();
      if (tree[left].kind != NodeKind::kSet || tree[right].kind != NodeKind::kSet) {
        return builder_.add(NodeKind::kUnion, {left, right});
      }
      std::vector<NodeIndex> items(tree.children(left).begin(), tree.children(left).end());
      items.insert(items.end(), tree.children(right).begin(), tree.children(right).end());
      return builder_.add(NodeKind::kSet, items);
    }
    case Kind::kIntersection:
      return builder_.add(NodeKind::kIntersection, {left, right});
    case Kind::kSetMinus:
      return builder_.add(NodeKind::kSetMinus, {left, right});
    case Kind::kColon: {
      const Tree& tree = builder_.tree();
      std::vector<NodeIndex> parts{left, right};
      if (tree[left].kind == NodeKind::kRatio && !tree[left].is_grouped) {
        parts.assign(tree.children(left).begin(), tree.children(left).end());
        parts.push_back(right);
        if (parts.size() > kRatioPartsMax) fail();
      }
      return builder_.add(NodeKind::kRatio, parts);
    }
    default:
      fail();
      return left;
  }
}

NodeIndex ParseStack::power(NodeIndex base, NodeIndex exponent) {
  return builder_.add(NodeKind::kPower, {base, exponent});
}

NodeIndex ParseStack::prefix(const OpenPart& open, NodeIndex value) {
  switch (open.token) {
    case Kind::kMinus:
      return builder_.negate(value);
    case Kind::kPlusMinus:
      return builder_.add(NodeKind::kPlusMinus, {value});
    case Kind::kMinusPlus:
      return builder_.add(NodeKind::kMinusPlus, {value});
    case Kind::kCurrency:
      return builder_.quantity(value, open.unit);
    default:
      return value;
  }
}

// The arguments are an exponent (sin^2) and a base (log_2).
NodeIndex ParseStack::call(const OpenPart& open, NodeIndex argument) {
  const bool has_exponent = open.num_arguments & 1;
  const bool has_base = open.num_arguments & 2;
  if (open.token == Kind::kSeries) {
    if (!has_exponent || !has_base) fail();
    return builder_.add(NodeKind::kSeries,
                        {open.arguments[1].node, open.arguments[0].node, argument}, open.detail);
  }
  if (has_base) {
    argument = builder_.add(NodeKind::kLogarithm, {open.arguments[1].node, argument});
    return has_exponent ? power(argument, open.arguments[0].node) : argument;
  }
  if (takes_list(open)) return list_function(open, argument);
  if (!has_exponent) return builder_.add(NodeKind::kFunction, {argument}, open.detail);
  const NodeIndex exponent = open.arguments[0].node;
  if (is_minus_one(exponent) && open.detail >= kSin && open.detail <= kCsc) {
    const auto inverse = static_cast<char>(open.detail - kSin + kArcsin);
    return builder_.add(NodeKind::kFunction, {argument}, inverse);
  }
  if (is_minus_one(exponent)) {
    fail();  // Inverse or reciprocal?
    return argument;
  }
  return power(builder_.add(NodeKind::kFunction, {argument}, open.detail), exponent);
}

bool ParseStack::takes_list(const OpenPart& open) {
  return open.what == OpenPart::kFunctionCall && open.token == Kind::kFunction &&
         open.detail >= kGcd && open.detail <= kBinomialOf;
}

// gcd(12, 18): its arguments instead of a pair of them.
NodeIndex ParseStack::list_function(const OpenPart& open, NodeIndex argument) {
  const Tree& tree = builder_.tree();
  const NodeKind kind = tree[argument].kind;
  std::vector<NodeIndex> arguments{argument};
  if (kind == NodeKind::kTuple || kind == NodeKind::kSet) {
    arguments.assign(tree.children(argument).begin(), tree.children(argument).end());
  }
  const bool is_binomial = open.detail == kBinomialOf;
  if (open.num_arguments != 0 || arguments.empty() || (is_binomial && arguments.size() != 2)) {
    fail();
    return argument;
  }
  if (is_binomial) return builder_.add(NodeKind::kBinomial, arguments);
  return builder_.add(NodeKind::kFunction, arguments, open.detail);
}

bool ParseStack::is_integer_literal(NodeIndex node) const {
  const Tree& tree = builder_.tree();
  return tree[node].kind == NodeKind::kNumber && !tree.literal(node).has_point &&
         tree.literal(node).exponent == 0;
}

bool ParseStack::is_minus_one(NodeIndex node) const {
  const Tree& tree = builder_.tree();
  if (tree[node].kind != NodeKind::kNegate) return false;
  const NodeIndex inner = tree.child(node, 0);
  return is_integer_literal(inner) && tree.literal(inner).digits == "1";
}

// Before anything that begins an operand: two of them side by side are a product.
void ParseStack::begin_operand(bool is_function) {
  if (expect_operand_) return;
  reduce(kMultiplyStrength, !is_function);
  open_.push_back({.what = OpenPart::kBinary,
                   .token = Kind::kTimes,
                   .strength = kMultiplyStrength,
                   .is_implicit = true});
  expect_operand_ = true;
}

void ParseStack::push_operand(ParsedValue value) {
  while (ok_) {
    if (has_open(OpenPart::kCollector)) {
      if (!collect(value)) return;
      continue;
    }
    values_.push_back(value);
    expect_operand_ = false;
    const bool is_argument = builder_.tree()[value.node].is_grouped && value.is_group;
    if (is_argument && num_current() >= 2 && has_open(OpenPart::kBinary) &&
        open_.back().is_implicit && is_applied(values_[values_.size() - 2].node)) {
      open_.pop_back();
      values_.pop_back();
      values_.back() = {.node = application(values_.back().node, value.node)};
    } else if (value.is_plain_fraction && has_open(OpenPart::kBinary) && open_.back().is_implicit &&
               num_current() >= 2 && values_[values_.size() - 2].is_bare_integer) {
      open_.pop_back();
      values_.pop_back();
      values_.back() = {.node = builder_.add(NodeKind::kAdd, {values_.back().node, value.node})};
    } else if (value.is_group && has_open(OpenPart::kFunctionCall) &&
               open_.back().token != Kind::kSeries) {
      // sin(x) y: the brackets are all of the argument.
      apply_top();
      if (!ok_) return;
      value = values_.back();
      value.is_group = false;
      values_.pop_back();
      expect_operand_ = true;
      continue;
    } else if (value.is_group && has_open(OpenPart::kBinary) &&
               open_.back().token == Kind::kCaret) {
      apply_top();  // x^{2}!
    }
    return;
  }
}

// f and f', alone or with a power: the name of a function wherever brackets follow. \mathbb{Q}(x)
// is no product either.
bool ParseStack::is_function_name(NodeIndex node) const {
  const Tree& tree = builder_.tree();
  if (tree[node].is_grouped) return false;
  if (tree[node].kind == NodeKind::kPower) node = tree.child(node, 0);
  if (tree[node].kind != NodeKind::kSymbol) return false;
  const std::string& name = tree.name(node);
  const bool is_f = name.starts_with('f') && name.find_first_not_of("f'") == std::string::npos;
  return is_f || name.starts_with("mathbb{");
}

// The last factor of a product, as in 2f(x).
bool ParseStack::is_applied(NodeIndex left) const {
  const Tree& tree = builder_.tree();
  const bool is_product = tree[left].kind == NodeKind::kMultiply && !tree[left].is_grouped;
  return is_function_name(is_product ? tree.child(left, 1) : left);
}

NodeIndex ParseStack::application(NodeIndex left, NodeIndex argument) {
  const Tree& tree = builder_.tree();
  if (is_function_name(left)) return builder_.add(NodeKind::kApplication, {left, argument});
  const NodeIndex factor = tree.child(left, 0);
  const NodeIndex name = tree.child(left, 1);
  const NodeIndex applied = builder_.add(NodeKind::kApplication, {name, argument});
  return builder_.add(NodeKind::kMultiply, {factor, applied});
}

// The x of dx; empty for anything else.
std::string ParseStack::differential(NodeIndex node) const {
  const Tree& tree = builder_.tree();
  if (tree[node].kind != NodeKind::kMultiply) return {};
  const NodeIndex d = tree.child(node, 0);
  const NodeIndex variable = tree.child(node, 1);
  const bool is_differential = tree[d].kind == NodeKind::kSymbol && tree.name(d) == "d" &&
                               tree[variable].kind == NodeKind::kSymbol;
  return is_differential ? tree.name(variable) : std::string();
}

// dy/dx and d/dx are names.
std::optional<NodeIndex> ParseStack::derivative(NodeIndex above, NodeIndex below) {
  const std::string variable = differential(below);
  if (variable.empty()) return {};
  const Tree& tree = builder_.tree();
  const std::string function = differential(above);
  const bool is_operator = tree[above].kind == NodeKind::kSymbol && tree.name(above) == "d";
  if (function.empty() && !is_operator) return {};
  return builder_.symbol("d" + function + "/d" + variable);
}

// Gives the command on top its next argument. True when that completes an operand.
bool ParseStack::collect(ParsedValue& value) {
  OpenPart& top = open_.back();
  if (top.token == Kind::kFunction) {  // The exponent or the base of the function below.
    const bool is_base = top.detail == '_';
    open_.pop_back();
    OpenPart& function = open_.back();
    function.arguments[is_base ? 1 : 0] = value;
    function.num_arguments |= is_base ? 2u : 1u;
    has_marked_ = true;
    return false;
  }
  if (top.waits_for_index) {
    top.waits_for_index = false;
    top.arguments[1] = value;
    top.num_arguments = 1;
    return false;
  }
  if (top.token == Kind::kRoot) {
    const bool has_index = top.num_arguments == 1;
    const ParsedValue index = top.arguments[1];
    open_.pop_back();
    value = {.node = has_index ? root_of(value.node, index.node)
                               : builder_.add(NodeKind::kFunction, {value.node}, kSqrt)};
    return true;
  }
  top.arguments[top.num_arguments++] = value;
  if (top.num_arguments < 2) return false;
  const NodeIndex a = top.arguments[0].node;
  const NodeIndex b = top.arguments[1].node;
  const bool is_fraction = top.token == Kind::kFraction;
  open_.pop_back();
  if (const auto name = is_fraction ? derivative(a, b) : std::nullopt) {
    value = {.node = *name};
    return true;
  }
  value = {.node = builder_.add(is_fraction ? NodeKind::kDivide : NodeKind::kBinomial, {a, b}),
           .is_plain_fraction = is_fraction && is_proper(a, b)};
  return true;
}

NodeIndex ParseStack::root_of(NodeIndex radicand, NodeIndex index) {
  return power(radicand, builder_.add(NodeKind::kDivide, {builder_.number("1"), index}));
}

// Whether a/b may be the fraction of a mixed number: integers with 0 < a < b.
bool ParseStack::is_proper(NodeIndex a, NodeIndex b) const {
  if (!is_integer_literal(a) || !is_integer_literal(b)) return false;
  const std::string& up = builder_.tree().literal(a).digits;
  const std::string& down = builder_.tree().literal(b).digits;
  if (up[0] == '0' || down[0] == '0') return false;
  return up.size() != down.size() ? up.size() < down.size() : up < down;
}

bool ParseStack::finish_item() {
  reduce(kLoosest);
  OpenGroup& now = group();
  if (!ok_ || expect_operand_ || values_.size() != now.item_base + now.relations.size() + 1) {
    ok_ = false;
    return false;
  }
  if (!now.relations.empty()) {
    const NodeIndex node = builder_.relation(nodes_from(now.item_base), now.relations);
    values_.resize(now.item_base);
    values_.push_back({.node = node});
    now.relations.clear();
  }
  now.item_base = values_.size();
  return true;
}

void ParseStack::end_row() {
  OpenGroup& now = group();
  if (now.num_columns != 0 && now.num_columns != now.row_items) return fail();
  now.num_columns = now.row_items;
  now.row_items = 0;
}

bool ParseStack::has_open_operator() const { return !open_.empty() && is_operator(open_.back()); }

// One item in brackets.
ParsedValue ParseStack::single(char bracket) {
  const ParsedValue inside = values_.back();
  const char function = bracket == '|' ? kAbs : bracket == 'f' ? kFloor : kCeiling;
  if (bracket == '|' || bracket == 'f' || bracket == 'c') {
    return {.node = builder_.add(NodeKind::kFunction, {inside.node}, function), .is_group = true};
  }
  // Braces are typography: {7}\frac34.
  const bool is_bare = bracket == '{' && inside.is_bare_integer;
  const bool is_fraction = bracket == '{' && inside.is_plain_fraction;
  if (bracket != '{') builder_.set_grouped(inside.node);
  return {.node = inside.node,
          .is_bare_integer = is_bare,
          .is_plain_fraction = is_fraction,
          .is_group = true};
}

void ParseStack::close_with(ParsedValue value) {
  values_.resize(group().value_base);
  groups_.pop_back();
  if (!has_open(OpenPart::kGroup)) return fail();
  open_.pop_back();
  expect_operand_ = true;
  if (!open_.empty() && takes_list(open_.back())) value.is_group = true;
  if (close_choice(value.node)) return;
  push_operand(value);
}

// C(10, 5) is a number of choices where it cannot be a point: k is at most n.
bool ParseStack::close_choice(NodeIndex pair) {
  const Tree& tree = builder_.tree();
  const bool is_pair = tree[pair].kind == NodeKind::kTuple && tree[pair].detail == '(' &&
                       tree[pair].num_children == 2;
  if (!is_pair || !has_open(OpenPart::kBinary) || !open_.back().is_implicit || num_current() < 1) {
    return false;
  }
  const NodeIndex n = tree.child(pair, 0);
  const NodeIndex k = tree.child(pair, 1);
  if (!is_integer_literal(n) || !is_integer_literal(k)) return false;
  const std::string& above = tree.literal(n).digits;
  const std::string& below = tree.literal(k).digits;
  const bool is_choice =
      below.size() < above.size() || (below.size() == above.size() && below <= above);
  const NodeIndex left = values_.back().node;
  const bool is_product = tree[left].kind == NodeKind::kMultiply && !tree[left].is_grouped;
  const NodeIndex letter = is_product ? tree.child(left, 1) : left;
  const bool is_letter = tree[letter].kind == NodeKind::kSymbol && tree.name(letter) == "C" &&
                         !tree[letter].is_grouped;
  if (!is_choice || !is_letter) return false;
  open_.pop_back();
  NodeIndex node = left;
  if (is_product) {
    const NodeIndex factor = tree.child(left, 0);
    const NodeIndex choice = builder_.add(NodeKind::kBinomial, {n, k}, 'C');
    node = builder_.add(NodeKind::kMultiply, {factor, choice});
  } else {
    node = builder_.add(NodeKind::kBinomial, {n, k}, 'C');
  }
  values_.back() = {.node = node};
  expect_operand_ = false;
  return true;
}

}  // namespace troupe::actors
