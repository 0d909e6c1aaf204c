#include "actors/verifier/math/series.h"

#include <flint/fmpq_poly.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/verifier/math/exact.h"
#include "actors/verifier/math/rational.h"

namespace troupe::actors {
namespace {

constexpr long kTermsMax = 2'000;  // Of a sum or product.
constexpr long kDegreeMax = 64;
constexpr uint64_t kBitsMax = 4'096;     // Of the coefficients of a polynomial together.
constexpr uint64_t kUnitsPerStep = 200;  // Charged for one operation on polynomials.
constexpr int kNestingMax = 3;           // A sum of sums of sums.

class Polynomial {
 public:
  Polynomial() { fmpq_poly_init(raw_); }
  Polynomial(const Polynomial& other) : Polynomial() { fmpq_poly_set(raw_, other.raw_); }
  Polynomial(Polynomial&& other) noexcept : Polynomial() { fmpq_poly_swap(raw_, other.raw_); }
  Polynomial& operator=(Polynomial other) noexcept {
    fmpq_poly_swap(raw_, other.raw_);
    return *this;
  }
  ~Polynomial() { fmpq_poly_clear(raw_); }

  fmpq_poly_struct* raw() { return raw_; }
  const fmpq_poly_struct* raw() const { return raw_; }
  long degree() const { return fmpq_poly_degree(raw_); }
  uint64_t bits() const {
    const slong above = fmpq_poly_length(raw_) == 0
                            ? 0
                            : _fmpz_vec_max_bits(fmpq_poly_numref(raw_), fmpq_poly_length(raw_));
    return static_cast<uint64_t>(std::abs(above)) + fmpz_bits(fmpq_poly_denref(raw_));
  }

 private:
  fmpq_poly_t raw_;
};

std::optional<Rational> rational_of(Term term, Fuel& fuel) {
  ExactTerm exact = evaluate_exact(term, fuel);
  if (!exact.is_rational()) return {};
  return std::move(exact.values.back().value);
}

// A term as a polynomial in one variable; nothing for other terms.
class PolynomialReader {
 public:
  PolynomialReader(Term term, const std::string& variable, Fuel& fuel)
      : exact_(evaluate_exact(term, fuel)), variable_(variable), fuel_(fuel) {}

  std::optional<Polynomial> run() {
    const Tree& tree = *exact_.term.tree;
    std::vector<std::optional<Polynomial>> values(exact_.values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      if (exact_.values[i].status == ExactStatus::kUnused) continue;
      const auto node = static_cast<NodeIndex>(exact_.first + i);
      const auto child = [&](size_t which) -> const std::optional<Polynomial>& {
        return values[tree.child(node, which) - exact_.first];
      };
      values[i] = read(exact_.values[i], node, child);
      if (values[i] && (values[i]->degree() > kDegreeMax || values[i]->bits() > kBitsMax))
        return {};
    }
    return values.back();
  }

 private:
  template <class Child>
  std::optional<Polynomial> read(const ExactValue& exact, NodeIndex node, Child child) {
    if (!fuel_.spend(kUnitsPerStep)) return {};
    const Tree& tree = *exact_.term.tree;
    Polynomial out;
    if (exact.status == ExactStatus::kRational) {
      if (exact.value.bits() > kBitsMax) return {};
      fmpq_poly_set_fmpq(out.raw(), exact.value.raw());
      return out;
    }
    for (size_t i = 0; i < tree[node].num_children; ++i) {
      if (!child(i)) return {};
    }
    switch (tree[node].kind) {
      case NodeKind::kSymbol:
        if (tree.name(node) != variable_) return {};
        fmpq_poly_set_coeff_ui(out.raw(), 1, 1);
        return out;
      case NodeKind::kNegate:
        fmpq_poly_neg(out.raw(), child(0)->raw());
        return out;
      case NodeKind::kAdd:
        fmpq_poly_add(out.raw(), child(0)->raw(), child(1)->raw());
        return out;
      case NodeKind::kMultiply:
        if (child(0)->degree() + child(1)->degree() > kDegreeMax || !fuel_.spend(10'000)) return {};
        fmpq_poly_mul(out.raw(), child(0)->raw(), child(1)->raw());
        return out;
      case NodeKind::kDivide: {
        if (child(1)->degree() != 0) return {};
        Rational below;
        fmpq_poly_get_coeff_fmpq(below.raw(), child(1)->raw(), 0);
        fmpq_poly_scalar_div_fmpq(out.raw(), child(0)->raw(), below.raw());
        return out;
      }
      case NodeKind::kPower:
        return power(*child(0), *child(1));
      default:
        return {};
    }
  }

  std::optional<Polynomial> power(const Polynomial& base, const Polynomial& exponent) {
    Rational count;
    fmpq_poly_get_coeff_fmpq(count.raw(), exponent.raw(), 0);
    const bool is_count = exponent.degree() <= 0 && count.is_integer() && count.sign() >= 0 &&
                          fmpz_cmp_si(count.numerator(), kDegreeMax) <= 0;
    if (!is_count) return {};
    const slong n = fmpz_get_si(count.numerator());
    const bool is_small =
        base.degree() * n <= kDegreeMax && base.bits() * static_cast<uint64_t>(n) <= kBitsMax;
    if (!is_small || !fuel_.spend(100'000)) return {};
    Polynomial out;
    fmpq_poly_pow(out.raw(), base.raw(), static_cast<ulong>(n));
    return out;
  }

  ExactTerm exact_;
  std::string variable_;
  Fuel& fuel_;
};

class Folder {
 public:
  explicit Folder(Fuel& fuel) : fuel_(fuel) {}

  // A term whose tree may be changed.
  void fold(Tree& tree, Term term, int nesting) {
    for (NodeIndex node = term.node().first; node <= term.root; ++node) {
      if (tree[node].kind != NodeKind::kSeries) continue;
      const auto value = value_of({&tree, node, term.sign}, nesting);
      if (value) replace(tree, node, *value);
    }
  }

 private:
  std::optional<Rational> value_of(Term series, int nesting) {
    if (series.node().detail == 'I') return integral(series);
    return series.num_children() == 3 ? total(series, nesting) : std::nullopt;
  }

  std::optional<Rational> integral(Term series) {
    const auto low = rational_of(series.child(0), fuel_);
    const auto high = rational_of(series.child(1), fuel_);
    const Term variable = series.child(3);
    auto body = PolynomialReader(series.child(2), variable.tree->name(variable.root), fuel_).run();
    if (!low || !high || !body || low->bits() + high->bits() > kBitsMax / kDegreeMax) return {};
    if (!fuel_.spend(100'000)) return {};
    fmpq_poly_integral(body->raw(), body->raw());
    Rational at_low;
    Rational at_high;
    fmpq_poly_evaluate_fmpq(at_low.raw(), body->raw(), low->raw());
    fmpq_poly_evaluate_fmpq(at_high.raw(), body->raw(), high->raw());
    fmpq_sub(at_high.raw(), at_high.raw(), at_low.raw());
    return at_high;
  }

  // Of the body for every whole number from "k = 1" to the upper bound.
  std::optional<Rational> total(Term series, int nesting) {
    const Term below = series.child(0);
    if (nesting > kNestingMax || below.kind() != NodeKind::kRelation || below.num_children() != 2 ||
        below.tree->name(below.root) != "=" || below.child(0).kind() != NodeKind::kSymbol) {
      return {};
    }
    const std::string name = below.tree->name(below.child(0).root);
    const auto low = rational_of(below.child(1), fuel_);
    const auto high = rational_of(series.child(1), fuel_);
    if (!low || !high || !low->is_integer() || !high->is_integer()) return {};
    if (fmpz_bits(low->numerator()) > 32 || fmpz_bits(high->numerator()) > 32) return {};
    const slong first = fmpz_get_si(low->numerator());
    const slong last = fmpz_get_si(high->numerator());
    if (last - first >= kTermsMax) return {};
    const bool is_sum = series.node().detail == 'S';
    Rational all(is_sum ? 0 : 1);
    for (slong k = first; k <= last; ++k) {
      const auto part = part_at(series.child(2), name, k, nesting);
      if (!part || part->bits() + all.bits() > kExactBitsMax) return {};
      if (!fuel_.spend(2 + (1 + part->bits() / 64) * (1 + all.bits() / 64) / 8)) return {};
      is_sum ? fmpq_add(all.raw(), all.raw(), part->raw())
             : fmpq_mul(all.raw(), all.raw(), part->raw());
    }
    return all;
  }

  // The body with a number for the variable.
  std::optional<Rational> part_at(Term body, const std::string& name, slong number, int nesting) {
    const NodeIndex first = body.node().first;
    // Copying charges for the whole tree.
    if (!fuel_.spend(10 * body.tree->nodes.size())) return {};
    Tree tree = *body.tree;
    for (NodeIndex node = first; node <= body.root; ++node) {
      // As an index, i is no imaginary unit.
      const bool is_index =
          tree[node].kind == NodeKind::kConstant && tree[node].detail == 'i' && name == "i";
      if (is_index || (tree[node].kind == NodeKind::kSymbol && tree.name(node) == name)) {
        set_number(tree, node, Rational(number));
      }
    }
    const Term with_number{&tree, body.root, body.sign};
    fold(tree, with_number, nesting + 1);
    return rational_of(with_number, fuel_);
  }

  // Digits may have a sign here: what is made is only computed with.
  void set_number(Tree& tree, NodeIndex node, const Rational& value) {
    char* digits = fmpz_get_str(nullptr, 10, value.numerator());
    tree.literals.push_back({.digits = digits});
    flint_free(digits);
    tree.nodes[node].kind = NodeKind::kNumber;
    tree.nodes[node].detail = 0;
    tree.nodes[node].num_children = 0;
    tree.nodes[node].payload = static_cast<uint32_t>(tree.literals.size() - 1);
  }

  // The series' own parts become the fraction: children stand before their parents.
  void replace(Tree& tree, NodeIndex node, const Rational& value) {
    Rational positive;
    fmpq_abs(positive.raw(), value.raw());
    const NodeIndex above = tree.child(node, 0);
    const NodeIndex below = tree.child(node, 1);
    const NodeIndex quotient = tree.child(node, 2);
    Rational part;
    fmpz_set(part.numerator(), positive.numerator());
    set_number(tree, above, part);
    fmpz_set(part.numerator(), positive.denominator());
    set_number(tree, below, part);
    const auto set_operation = [&](NodeIndex at, NodeKind kind, std::vector<NodeIndex> children) {
      tree.nodes[at].kind = kind;
      tree.nodes[at].detail = 0;
      tree.nodes[at].child_begin = static_cast<uint32_t>(tree.child_list.size());
      tree.nodes[at].num_children = static_cast<uint32_t>(children.size());
      tree.child_list.insert(tree.child_list.end(), children.begin(), children.end());
    };
    set_operation(quotient, NodeKind::kDivide, {above, below});
    const bool is_negative = value.sign() < 0;
    if (is_negative) {
      set_operation(node, NodeKind::kNegate, {quotient});
    } else {
      set_operation(node, NodeKind::kDivide, {above, below});
    }
  }

  Fuel& fuel_;
};

}  // namespace

Term with_series_values(Term term, std::deque<Tree>& made, Fuel& fuel) {
  bool has_series = false;
  for (NodeIndex node = term.node().first; node <= term.root; ++node) {
    has_series = has_series || (*term.tree)[node].kind == NodeKind::kSeries;
  }
  if (!has_series) return term;
  made.push_back(*term.tree);
  Term folded{&made.back(), term.root, term.sign};
  Folder(fuel).fold(made.back(), folded, 0);
  return folded;
}

}  // namespace troupe::actors
