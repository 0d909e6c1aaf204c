#include "actors/verifier/math/builder.h"

#include <algorithm>

#include "actors/verifier/math/characters.h"

namespace troupe::actors {
namespace {

constexpr size_t kExponentDigitsMax = 9;

}  // namespace

bool is_literal(std::string_view number_text) {
  const size_t e = number_text.find('e');
  return e == number_text.npos || number_text.size() - e - 1 <= kExponentDigitsMax;
}

NodeIndex TreeBuilder::add(NodeKind kind, std::span<const NodeIndex> children, char detail,
                           uint32_t payload) {
  const auto index = static_cast<NodeIndex>(tree_.nodes.size());
  Node node{.kind = kind,
            .detail = detail,
            .first = index,
            .child_begin = static_cast<uint32_t>(tree_.child_list.size()),
            .num_children = static_cast<uint32_t>(children.size()),
            .payload = payload};
  for (NodeIndex child : children) {
    node.first = std::min(node.first, tree_.nodes[child].first);
    tree_.child_list.push_back(child);
  }
  tree_.nodes.push_back(node);
  return index;
}

NodeIndex TreeBuilder::symbol(std::string name) {
  tree_.names.push_back(std::move(name));
  return add(NodeKind::kSymbol, std::span<const NodeIndex>(), 0,
             static_cast<uint32_t>(tree_.names.size() - 1));
}

NodeIndex TreeBuilder::number(std::string_view text) {
  Literal literal;
  bool is_after_point = false;
  bool is_repeating = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.') {
      is_after_point = true;
    } else if (c == '(' || c == '[') {
      is_repeating = true;
      literal.has_dots = c == '[';
    } else if (c == 'e') {
      int32_t exponent = 0;
      const bool is_negative = i + 1 < text.size() && text[i + 1] == '-';
      for (++i; i < text.size(); ++i) {
        if (is_digit(text[i])) exponent = exponent * 10 + (text[i] - '0');
      }
      literal.exponent = is_negative ? -exponent : exponent;
    } else if (is_digit(c)) {
      literal.digits += c;
      literal.num_decimals += is_after_point;
      literal.num_repeating += is_repeating;
    }
  }
  literal.has_point = is_after_point;
  tree_.literals.push_back(std::move(literal));
  return add(NodeKind::kNumber, std::span<const NodeIndex>(), 0,
             static_cast<uint32_t>(tree_.literals.size() - 1));
}

NodeIndex TreeBuilder::based(std::string digits_and_base) {
  const NodeIndex index = symbol(std::move(digits_and_base));
  tree_.nodes[index].kind = NodeKind::kBased;
  return index;
}

NodeIndex TreeBuilder::relation(std::span<const NodeIndex> sides, std::string relations) {
  tree_.names.push_back(std::move(relations));
  return add(NodeKind::kRelation, sides, 0, static_cast<uint32_t>(tree_.names.size() - 1));
}

NodeIndex TreeBuilder::negate(NodeIndex node) {
  const Node inner = tree_.nodes[node];
  const bool is_outer = inner.kind == NodeKind::kPercent || inner.kind == NodeKind::kDegree ||
                        inner.kind == NodeKind::kQuantity;
  if (!is_outer) return add(NodeKind::kNegate, {node});
  const NodeIndex negated = add(NodeKind::kNegate, {tree_.child(node, 0)});
  return add(inner.kind, std::span(&negated, 1), inner.detail, inner.payload);
}

NodeIndex TreeBuilder::quantity(NodeIndex value, Unit unit) {
  tree_.units.push_back(std::move(unit));
  return add(NodeKind::kQuantity, std::span(&value, 1), 0,
             static_cast<uint32_t>(tree_.units.size() - 1));
}

}  // namespace troupe::actors
