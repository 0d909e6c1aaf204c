// Adds nodes to a tree, children first, within a limit on their number.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "actors/verifier/math/tree.h"

namespace troupe::actors {

class TreeBuilder {
 public:
  explicit TreeBuilder(size_t nodes_max) : nodes_max_(nodes_max) {}

  NodeIndex add(NodeKind kind, std::span<const NodeIndex> children, char detail = 0,
                uint32_t payload = 0);
  NodeIndex add(NodeKind kind, std::initializer_list<NodeIndex> children = {}, char detail = 0) {
    return add(kind, std::span(children.begin(), children.size()), detail);
  }
  NodeIndex symbol(std::string name);
  // A number token's text; its exponent must have at most 9 digits (see is_literal).
  NodeIndex number(std::string_view text);
  NodeIndex based(std::string digits_and_base);
  NodeIndex relation(std::span<const NodeIndex> sides, std::string relations);
  // The unit stays outside: -(5 cm) is (-5) cm, and the same for percent and degrees.
  NodeIndex negate(NodeIndex node);
  NodeIndex quantity(NodeIndex value, Unit unit);

  void set_grouped(NodeIndex node) { tree_.nodes[node].is_grouped = true; }
  bool is_full() const { return tree_.nodes.size() >= nodes_max_; }
  const Tree& tree() const { return tree_; }
  Tree take() { return std::move(tree_); }

 private:
  size_t nodes_max_;
  Tree tree_{};
};

bool is_literal(std::string_view number_text);

}  // namespace troupe::actors
