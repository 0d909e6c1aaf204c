// What a parsed answer is: a small tree in one vector. Children stand before their parents, so
// every walk over it is a loop and no depth of nesting can exhaust the stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "actors/verifier/math/units.h"

namespace troupe::actors {

using NodeIndex = uint32_t;

enum class NodeKind : uint8_t {
  // Scalars.
  kNumber,    // payload: literals
  kSymbol,    // payload: names
  kConstant,  // detail: p(i) e i
  kInfinity,
  kNegate,
  kAdd,
  kMultiply,
  kDivide,
  kPower,
  kFunction,   // detail: FunctionId; children: argument, or several
  kLogarithm,  // children: base, argument
  kFactorial,
  kBinomial,   // detail: C where it is written C(n, k), which may be a point
  kPlusMinus,  // children: a, b or only b
  kMinusPlus,
  kPercent,
  kDegree,
  kQuantity,  // payload: units
  kBased,     // 204_5. payload: names, the digits and the base
  kSeries,    // detail: S(um), P(roduct) or I(ntegral); children: what stands below, above and
              // behind it, for integrals also the variable
  // Several values.
  kApplication,  // f(x + 1): of a function that is only a name. Children: name, argument
  kTuple,        // detail: '(' for (), '[' for [], 'l' for [), 'r' for (], '<' for angles
  kSet,
  kList,    // detail: ',', 'o'(r) or 'a'(nd)
  kMatrix,  // payload: number of columns
  kRatio,
  kUnion,
  kIntersection,
  kSetMinus,
  kRelation,  // payload: names, one letter per relation between the children; m is "mod"
};

struct Literal {
  std::string digits{};  // Without the point.
  uint32_t num_decimals = 0;
  uint32_t num_repeating = 0;  // Of the decimals, those that repeat without end.
  int32_t exponent = 0;        // Of ten, from 1e-5.
  bool has_point = false;
  bool has_dots = false;  // 0.333..., where dots say what repeats.
};

struct Node {
  NodeKind kind = NodeKind::kNumber;
  char detail = 0;
  bool is_grouped = false;  // Written in brackets of its own.
  NodeIndex first = 0;      // The subtree is among [first, this].
  uint32_t child_begin = 0;
  uint32_t num_children = 0;
  uint32_t payload = 0;
};

struct Tree {
  std::vector<Node> nodes{};
  std::vector<NodeIndex> child_list{};
  std::vector<Literal> literals{};
  std::vector<std::string> names{};
  std::vector<Unit> units{};

  const Node& operator[](NodeIndex index) const { return nodes[index]; }
  std::span<const NodeIndex> children(NodeIndex index) const {
    const Node& node = nodes[index];
    return std::span(child_list).subspan(node.child_begin, node.num_children);
  }
  NodeIndex child(NodeIndex index, size_t which) const {
    return child_list[nodes[index].child_begin + which];
  }
  const std::string& name(NodeIndex index) const { return names[nodes[index].payload]; }
  const Literal& literal(NodeIndex index) const { return literals[nodes[index].payload]; }
};

// One side of a comparison: a tree and the node in it that is meant.
struct Term {
  const Tree* tree = nullptr;
  NodeIndex root = 0;
  int sign = 0;  // Which of the two values \pm stands for, 1 or -1; 0: neither.

  const Node& node() const { return (*tree)[root]; }
  NodeKind kind() const { return node().kind; }
  size_t num_children() const { return node().num_children; }
  Term child(size_t which) const { return {tree, tree->child(root, which), sign}; }
};

}  // namespace troupe::actors
