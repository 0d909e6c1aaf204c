#include "actors/verifier/math/items.h"

#include "actors/verifier/math/statement.h"

namespace troupe::actors {
namespace {

// (x, y) = (1, 2) is x = 1, y = 2.
bool add_tuple(Term item, Items& items) {
  if (!is_relation(item) || item.tree->name(item.root) != "=") return false;
  const Term names = item.child(0);
  const Term values = item.child(1);
  if (names.kind() != NodeKind::kTuple || values.kind() != NodeKind::kTuple ||
      names.num_children() != values.num_children() || spelled_name(names).empty()) {
    return false;
  }
  for (size_t i = 0; i < names.num_children(); ++i) {
    items.names.push_back(spelled_name(names.child(i)));
    items.values.push_back(values.child(i));
  }
  return true;
}

}  // namespace

bool has_plus_minus(Term term) {
  if (term.sign != 0) return false;
  for (NodeIndex node = term.node().first; node <= term.root; ++node) {
    const NodeKind kind = (*term.tree)[node].kind;
    if (kind == NodeKind::kPlusMinus || kind == NodeKind::kMinusPlus) return true;
  }
  return false;
}

bool has_unclear_signs(Term term) {
  size_t num_upper = 0;
  size_t num_lower = 0;
  for (NodeIndex node = term.node().first; node <= term.root; ++node) {
    num_upper += (*term.tree)[node].kind == NodeKind::kPlusMinus;
    num_lower += (*term.tree)[node].kind == NodeKind::kMinusPlus;
  }
  return num_upper > 1 || num_lower > 1;
}

bool is_list_or_set(Term term) {
  return term.kind() == NodeKind::kList || term.kind() == NodeKind::kSet;
}

Items items_of(Term term) {
  Items items;
  const auto add = [&](Term item) {
    const auto statement = read_statement(item);
    std::string name;
    if (statement && statement->between.empty()) {
      item = statement->value;
      name = statement->name;
    }
    const bool is_double = has_plus_minus(item);
    for (int sign : {1, -1}) {
      if (is_double) item.sign = sign;
      items.values.push_back(item);
      items.names.push_back(name);
      if (!is_double) break;
    }
  };
  if (!is_list_or_set(term)) {
    if (!add_tuple(term, items)) add(term);
    return items;
  }
  for (size_t i = 0; i < term.num_children(); ++i) add(term.child(i));
  return items;
}

}  // namespace troupe::actors
