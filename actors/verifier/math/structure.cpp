#include "actors/verifier/math/structure.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "actors/verifier/math/tokens.h"

namespace troupe::actors {
namespace {

// Equal ids mean equal subtrees, across both trees.
class Interner {
 public:
  explicit Interner(Fuel& fuel) : fuel_(fuel) {}

  std::optional<uint32_t> id_of(Term term) {
    const Tree& tree = *term.tree;
    const NodeIndex first = term.node().first;
    std::vector<uint32_t> ids(term.root - first + 1);
    std::vector<bool> has_matrix(ids.size());
    for (NodeIndex node = first; node <= term.root; ++node) {
      if (!fuel_.spend(40)) return {};
      Key key{static_cast<uint32_t>(tree[node].kind),
              static_cast<uint32_t>(static_cast<unsigned char>(tree[node].detail)),
              payload(tree, node)};
      const NodeKind kind = tree[node].kind;
      size_t num_matrices = 0;
      for (NodeIndex child : tree.children(node)) {
        key.push_back(ids[child - first]);
        num_matrices += has_matrix[child - first];
      }
      has_matrix[node - first] = kind == NodeKind::kMatrix || num_matrices > 0;
      // Matrices do not commute.
      const bool is_product = kind == NodeKind::kMultiply && num_matrices < 2;
      const bool is_list = kind == NodeKind::kFunction && tree[node].detail >= kGcd;
      if (kind == NodeKind::kAdd || is_product || is_list || kind == NodeKind::kSet) {
        std::sort(key.begin() + 3, key.end());
      }
      ids[node - first] = intern(keys_, std::move(key));
    }
    return ids.back();
  }

 private:
  using Key = std::vector<uint32_t>;

  template <class Map, class Value>
  static uint32_t intern(Map& map, Value value) {
    return map.emplace(std::move(value), static_cast<uint32_t>(map.size())).first->second;
  }

  uint32_t payload(const Tree& tree, NodeIndex node) {
    switch (tree[node].kind) {
      case NodeKind::kNumber: {
        const Literal& literal = tree.literal(node);
        return intern(texts_, literal.digits + "." + std::to_string(literal.num_decimals) + "." +
                                  std::to_string(literal.num_repeating) + "e" +
                                  std::to_string(literal.exponent));
      }
      case NodeKind::kSymbol:
      case NodeKind::kBased:
      case NodeKind::kRelation:
        return intern(texts_, tree.name(node));
      case NodeKind::kQuantity: {
        const Unit& unit = tree.units[tree[node].payload];
        std::string text = "u" + unit.noun + std::to_string(unit.factor_numerator) + "/" +
                           std::to_string(unit.factor_denominator);
        for (int8_t power : unit.powers) text += "," + std::to_string(power);
        return intern(texts_, std::move(text));
      }
      default:
        return tree[node].payload;
    }
  }

  Fuel& fuel_;
  std::map<Key, uint32_t> keys_{};
  std::map<std::string, uint32_t> texts_{};
};

}  // namespace

bool is_same_structure(Term a, Term b, Fuel& fuel) {
  Interner interner(fuel);
  const auto id = interner.id_of(a);
  return id && id == interner.id_of(b);
}

}  // namespace troupe::actors
