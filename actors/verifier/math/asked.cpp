#include "actors/verifier/math/asked.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/math/scalar.h"
#include "actors/verifier/math/tokens.h"

namespace troupe::actors {
namespace {

bool is_unknown_name(std::string_view name) {
  constexpr std::string_view kUnknowns = "xyznkt";
  return name.size() == 1 && kUnknowns.find(name[0]) != kUnknowns.npos;
}

bool is_expression_kind(NodeKind kind) {
  switch (kind) {
    case NodeKind::kNumber:
    case NodeKind::kSymbol:
    case NodeKind::kConstant:
    case NodeKind::kNegate:
    case NodeKind::kAdd:
    case NodeKind::kMultiply:
    case NodeKind::kDivide:
    case NodeKind::kPower:
    case NodeKind::kFunction:
    case NodeKind::kApplication:
    case NodeKind::kDegree:
    case NodeKind::kUnion:
    case NodeKind::kIntersection:
      return true;
    default:
      return false;
  }
}

// What is known of a left side from its parts up.
struct Shape {
  std::vector<std::string> names{};  // x, |z|, f(2): sorted, once each.
  bool is_expression = true;
  bool is_linear = true;      // Sums and multiples of names.
  bool has_power = false;     // Of a name that is no unknown, or something in bars or brackets.
  bool has_angle = false;     // The sine of a name and the like.
  bool has_constant = false;  // A number is added to it.
  bool has_factor = false;    // Other than 1 and -1.
};

void merge(Shape& all, const Shape& part) {
  constexpr size_t kNamesMax = 16;  // More of them are no question.
  for (const std::string& name : part.names) all.names.push_back(name);
  std::sort(all.names.begin(), all.names.end());
  all.names.erase(std::unique(all.names.begin(), all.names.end()), all.names.end());
  if (all.names.size() > kNamesMax) all.names.resize(kNamesMax);
  const bool has_many = all.names.size() == kNamesMax;
  all.is_expression = all.is_expression && part.is_expression && !has_many;
  all.is_linear = all.is_linear && part.is_linear;
  all.has_power = all.has_power || part.has_power;
  all.has_angle = all.has_angle || part.has_angle;
  all.has_constant = all.has_constant || part.has_constant;
  all.has_factor = all.has_factor || part.has_factor;
}

Shape shape_of(Term term) {
  const Tree& tree = *term.tree;
  const NodeIndex first = term.node().first;
  std::vector<Shape> shapes(term.root - first + 1);
  for (NodeIndex node = first; node <= term.root; ++node) {
    Shape& shape = shapes[node - first];
    const NodeKind kind = tree[node].kind;
    const auto child = [&](size_t which) -> const Shape& {
      return shapes[tree.child(node, which) - first];
    };
    const std::string name =
        kind == NodeKind::kDivide ? std::string() : spelled_name({term.tree, node, term.sign});
    if (!name.empty()) {
      shape.names = {name};
      shape.is_expression = is_expression_kind(kind);
      continue;
    }
    shape.is_expression = is_expression_kind(kind);
    for (size_t i = 0; i < tree[node].num_children; ++i) merge(shape, child(i));
    const auto has_names = [&](size_t which) { return !child(which).names.empty(); };
    if (kind == NodeKind::kAdd) {
      shape.has_constant = shape.has_constant || has_names(0) != has_names(1);
    } else if (kind == NodeKind::kMultiply) {
      shape.has_factor = shape.has_factor || has_names(0) != has_names(1);
      if (has_names(0) && has_names(1)) shape.is_linear = false;
    } else if (kind == NodeKind::kFunction) {
      const char id = tree[node].detail;
      shape.is_linear = false;
      const bool is_angle = id >= kSin && id <= kCsc;
      shape.has_angle = shape.has_angle || (is_angle && has_names(0));
    } else if (kind == NodeKind::kPower) {
      shape.is_linear = false;
      const std::vector<std::string>& names = child(0).names;
      const bool is_lone_unknown = names.size() == 1 && is_unknown_name(names[0]);
      shape.has_power = shape.has_power || (!names.empty() && !is_lone_unknown);
    } else if (kind == NodeKind::kDivide) {
      if (has_names(1)) shape.is_linear = false;
      shape.has_factor = shape.has_factor || has_names(0) != has_names(1);
    }
  }
  return shapes.back();
}

// A question that asks for a sum asks for all of x, y and z up to the last; an equation that leaves
// one out or multiplies one is part of a system, or the equation of a curve.
bool is_equation_of_curve(const Shape& shape) {
  const auto is_coordinate = [](const std::string& name) {
    return name == "x" || name == "y" || name == "z";
  };
  if (!std::all_of(shape.names.begin(), shape.names.end(), is_coordinate)) return false;
  const bool is_all = shape.names.front() == "x" && shape.names[1] == "y";
  return shape.has_factor || (shape.is_linear && !is_all);
}

bool is_asked(const Shape& shape, bool is_zero) {
  if (!shape.is_expression || shape.names.empty() || shape.has_constant) return false;
  if (shape.names.size() > 1) return !is_equation_of_curve(shape);
  // sin x = 0 is to be solved, and so is 2 sin x = 1.
  return !is_zero && (shape.has_power || (shape.has_angle && !shape.has_factor));
}

bool is_zero(Term value) {
  if (value.kind() != NodeKind::kNumber) return false;
  return value.tree->literal(value.root).digits.find_first_not_of('0') == std::string::npos;
}

}  // namespace

bool is_formula(Term side, const std::string& name) {
  const Shape shape = shape_of(side);
  if (!shape.is_expression || shape.names.empty()) return false;
  const bool is_function = name.find('(') != name.npos;
  if (!name.empty() && !is_function && !is_unknown_name(name)) return true;
  return std::none_of(shape.names.begin(), shape.names.end(), is_unknown_name) ||
         (shape.names.size() > 1 && !shape.has_constant);
}

std::optional<Statement> read_asked_value(Term term) {
  if (!is_relation(term)) return {};
  const std::string& relations = term.tree->name(term.root);
  if (relations.find_first_not_of("=~") != relations.npos) return {};
  const size_t approximate = relations.find('~');
  const size_t num_sides =
      approximate == relations.npos ? term.num_children() : std::max<size_t>(approximate + 1, 2);
  Statement statement;
  statement.value = term.child(num_sides - 1);
  if (!variables_of(statement.value).empty()) return {};
  if (!is_asked(shape_of(term.child(0)), is_zero(statement.value))) return {};
  for (size_t i = 1; i + 1 < num_sides; ++i) statement.between.push_back(term.child(i));
  for (size_t i = num_sides; i < term.num_children(); ++i) {
    statement.nearby.push_back(term.child(i));
  }
  return statement;
}

}  // namespace troupe::actors
