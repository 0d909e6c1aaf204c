#include "actors/verifier/math/matrix.h"

#include <utility>

#include "actors/verifier/math/exact.h"

namespace troupe::actors {
namespace {

constexpr uint64_t kEntryBitsMax = 1'024;
constexpr uint64_t kStepUnits = 40;  // Charged for one multiplication and addition of such entries.

// A matrix, or one number that multiplies or divides one.
struct Value {
  RationalMatrix matrix{};
  bool is_number = false;
};

bool is_small(const Rational& value) { return value.bits() <= kEntryBitsMax; }

std::optional<Rational> number_of(Term term, Fuel& fuel) {
  const ExactTerm exact = evaluate_exact(term, fuel);
  if (!exact.is_rational() || !is_small(exact.root().value)) return {};
  return exact.root().value;
}

std::optional<Value> literal(Term term, Fuel& fuel) {
  Value value;
  value.is_number = term.kind() != NodeKind::kMatrix;
  value.matrix.num_columns = value.is_number ? 1 : term.node().payload;
  const size_t num_entries = value.is_number ? 1 : term.num_children();
  if (num_entries == 0 || num_entries > RationalMatrix::kEntriesMax) return {};
  for (size_t i = 0; i < num_entries; ++i) {
    const auto entry = number_of(value.is_number ? term : term.child(i), fuel);
    if (!entry) return {};
    value.matrix.entries.push_back(*entry);
  }
  return value;
}

std::optional<Value> sum(const Value& a, const Value& b) {
  const bool is_alike = a.is_number == b.is_number &&
                        a.matrix.num_columns == b.matrix.num_columns &&
                        a.matrix.entries.size() == b.matrix.entries.size();
  if (!is_alike) return {};
  Value total = a;
  for (size_t i = 0; i < total.matrix.entries.size(); ++i) {
    Rational& entry = total.matrix.entries[i];
    fmpq_add(entry.raw(), entry.raw(), b.matrix.entries[i].raw());
  }
  return total;
}

Value multiple(Value matrix, const Rational& factor) {
  for (Rational& entry : matrix.matrix.entries) fmpq_mul(entry.raw(), entry.raw(), factor.raw());
  return matrix;
}

std::optional<Value> product(const Value& a, const Value& b, Fuel& fuel) {
  if (a.is_number) return multiple(b, a.matrix.entries[0]);
  if (b.is_number) return multiple(a, b.matrix.entries[0]);
  const size_t num_inner = a.matrix.num_columns;
  const size_t num_columns = b.matrix.num_columns;
  const size_t num_rows = a.matrix.num_rows();
  if (b.matrix.num_rows() != num_inner) return {};
  const size_t num_entries = num_rows * num_columns;
  if (num_entries > RationalMatrix::kEntriesMax) return {};
  if (!fuel.spend(kStepUnits * num_entries * num_inner)) return {};
  Value result;
  result.matrix.num_columns = num_columns;
  result.matrix.entries.resize(num_entries);
  for (size_t row = 0; row < num_rows; ++row) {
    for (size_t column = 0; column < num_columns; ++column) {
      Rational& entry = result.matrix.entries[row * num_columns + column];
      for (size_t i = 0; i < num_inner; ++i) {
        fmpq_addmul(entry.raw(), a.matrix.entries[row * num_inner + i].raw(),
                    b.matrix.entries[i * num_columns + column].raw());
      }
    }
  }
  return result;
}

std::optional<Value> quotient(const Value& a, const Value& b) {
  if (!b.is_number || b.matrix.entries[0].is_zero()) return {};
  Rational inverse;
  fmpq_inv(inverse.raw(), b.matrix.entries[0].raw());
  return multiple(a, inverse);
}

bool is_arithmetic(NodeKind kind) {
  return kind == NodeKind::kAdd || kind == NodeKind::kMultiply || kind == NodeKind::kDivide ||
         kind == NodeKind::kNegate;
}

}  // namespace

std::optional<RationalMatrix> evaluate_matrix(Term term, Fuel& fuel) {
  const Tree& tree = *term.tree;
  const NodeIndex first = term.node().first;
  const size_t count = term.root - first + 1;
  if (!fuel.spend(2 * count)) return {};
  // What has a matrix in it is computed here, everything else is a number.
  std::vector<bool> has_matrix(count);
  for (size_t i = 0; i < count; ++i) {
    const auto node = static_cast<NodeIndex>(first + i);
    has_matrix[i] = tree[node].kind == NodeKind::kMatrix;
    if (!is_arithmetic(tree[node].kind)) continue;
    for (NodeIndex child : tree.children(node)) {
      has_matrix[i] = has_matrix[i] || has_matrix[child - first];
    }
  }
  if (!has_matrix.back()) return {};
  std::vector<bool> is_used(count);
  is_used.back() = true;
  for (size_t i = count; i-- > 0;) {
    const auto node = static_cast<NodeIndex>(first + i);
    if (!is_used[i] || !has_matrix[i] || tree[node].kind == NodeKind::kMatrix) continue;
    for (NodeIndex child : tree.children(node)) is_used[child - first] = true;
  }
  std::vector<std::optional<Value>> values(count);
  for (size_t i = 0; i < count; ++i) {
    if (!is_used[i]) continue;
    const auto node = static_cast<NodeIndex>(first + i);
    const auto child = [&](size_t which) -> const Value& {
      return *values[tree.child(node, which) - first];
    };
    std::optional<Value>& value = values[i];
    if (!has_matrix[i] || tree[node].kind == NodeKind::kMatrix) {
      value = literal({term.tree, node, term.sign}, fuel);
    } else {
      if (!fuel.spend(kStepUnits * RationalMatrix::kEntriesMax)) return {};
      switch (tree[node].kind) {
        case NodeKind::kAdd:
          value = sum(child(0), child(1));
          break;
        case NodeKind::kMultiply:
          value = product(child(0), child(1), fuel);
          break;
        case NodeKind::kDivide:
          value = quotient(child(0), child(1));
          break;
        default:
          value = multiple(child(0), Rational(-1));
          break;
      }
    }
    if (!value) return {};
    for (const Rational& entry : value->matrix.entries) {
      if (!is_small(entry)) return {};
    }
  }
  return std::move(values.back()->matrix);
}

}  // namespace troupe::actors
