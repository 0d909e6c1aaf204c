#include "actors/verifier/math/polynomial.h"

#include <flint/fmpq_mpoly.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>

namespace troupe::actors {
namespace {

using Limits = PolynomialLimits;

class Context {
 public:
  explicit Context(size_t num_variables) : num_variables_(num_variables) {
    fmpq_mpoly_ctx_init(raw_, static_cast<slong>(std::max<size_t>(num_variables, 1)), ORD_LEX);
  }
  ~Context() { fmpq_mpoly_ctx_clear(raw_); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const fmpq_mpoly_ctx_struct* raw() const { return raw_; }
  size_t num_variables() const { return num_variables_; }

 private:
  size_t num_variables_;
  fmpq_mpoly_ctx_t raw_;
};

class Polynomial {
 public:
  explicit Polynomial(const Context& context) : context_(&context) {
    fmpq_mpoly_init(raw_, context.raw());
  }
  Polynomial(const Polynomial& other) : Polynomial(*other.context_) {
    fmpq_mpoly_set(raw_, other.raw_, context_->raw());
  }
  Polynomial(Polynomial&& other) noexcept : Polynomial(*other.context_) {
    fmpq_mpoly_swap(raw_, other.raw_, context_->raw());
  }
  Polynomial& operator=(Polynomial other) noexcept {
    fmpq_mpoly_swap(raw_, other.raw_, context_->raw());
    return *this;
  }
  ~Polynomial() { fmpq_mpoly_clear(raw_, context_->raw()); }

  static Polynomial constant(const Context& context, const Rational& value) {
    Polynomial made(context);
    fmpq_mpoly_set_fmpq(made.raw_, value.raw(), context.raw());
    return made;
  }

  fmpq_mpoly_struct* raw() { return raw_; }
  const fmpq_mpoly_struct* raw() const { return raw_; }
  const Context& context() const { return *context_; }

  bool is_zero() const { return fmpq_mpoly_is_zero(raw_, context_->raw()) != 0; }
  bool is_one() const { return fmpq_mpoly_is_one(raw_, context_->raw()) != 0; }
  bool operator==(const Polynomial& other) const {
    return fmpq_mpoly_equal(raw_, other.raw_, context_->raw()) != 0;
  }
  uint64_t terms() const { return static_cast<uint64_t>(fmpq_mpoly_length(raw_, context_->raw())); }
  uint64_t degree() const {
    return is_zero() ? 0 : static_cast<uint64_t>(fmpq_mpoly_total_degree_si(raw_, context_->raw()));
  }
  uint64_t bits() const {
    const auto of_parts = static_cast<uint64_t>(std::abs(fmpz_mpoly_max_bits(raw_->zpoly)));
    return of_parts + fmpz_bits(fmpq_numref(raw_->content)) + fmpz_bits(fmpq_denref(raw_->content));
  }

 private:
  const Context* context_;
  fmpq_mpoly_t raw_;
};

// The number of monomials of this degree or less, saturated at the limit.
uint64_t monomials(uint64_t num_variables, uint64_t degree) {
  double count = 1;
  for (uint64_t i = 1; i <= num_variables; ++i) {
    count = count * static_cast<double>(degree + i) / static_cast<double>(i);
    if (count > static_cast<double>(Limits::kTermsMax)) return Limits::kTermsMax + 1;
  }
  return static_cast<uint64_t>(count + 0.5);
}

struct Fraction {
  Polynomial numerator;
  Polynomial denominator;
};

class Evaluator {
 public:
  Evaluator(const ExactTerm& term, const Context& context,
            const std::vector<std::string>& variables, Fuel& fuel)
      : term_(term),
        tree_(*term.term.tree),
        context_(context),
        variables_(variables),
        fuel_(fuel) {}

  std::optional<Fraction> run() {
    if (!only_rational_operations()) return {};
    std::vector<std::optional<Fraction>> values(term_.values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const ExactValue& exact = term_.values[i];
      if (exact.status == ExactStatus::kUnused) continue;
      node_ = static_cast<NodeIndex>(term_.first + i);
      if (!fuel_.spend(20)) return {};
      if (exact.status == ExactStatus::kRational) {
        if (exact.value.bits() > Limits::kCoefficientBitsMax) return {};
        values[i] = Fraction{Polynomial::constant(context_, exact.value), one()};
      } else {
        values[i] = evaluate(values);
        if (!values[i]) return {};
      }
    }
    return std::move(values.back());
  }

 private:
  // Cheap, and spares most other terms the work.
  bool only_rational_operations() const {
    for (size_t i = 0; i < term_.values.size(); ++i) {
      const ExactStatus status = term_.values[i].status;
      if (status == ExactStatus::kUnused || status == ExactStatus::kRational) continue;
      if (status != ExactStatus::kOther) return false;
      switch (tree_[static_cast<NodeIndex>(term_.first + i)].kind) {
        case NodeKind::kSymbol:
        case NodeKind::kNegate:
        case NodeKind::kAdd:
        case NodeKind::kMultiply:
        case NodeKind::kDivide:
        case NodeKind::kPower:
        case NodeKind::kPercent:
        case NodeKind::kRelation:
          break;
        case NodeKind::kPlusMinus:
        case NodeKind::kMinusPlus:
          if (term_.term.sign == 0) return false;
          break;
        default:
          return false;
      }
    }
    return true;
  }

  Polynomial one() const { return Polynomial::constant(context_, Rational(1)); }

  std::optional<Fraction> evaluate(const std::vector<std::optional<Fraction>>& values) {
    const Node& node = tree_[node_];
    const auto child = [&](size_t which) -> const Fraction& {
      return *values[tree_.child(node_, which) - term_.first];
    };
    switch (node.kind) {
      case NodeKind::kSymbol:
        return symbol();
      case NodeKind::kNegate:
        return negated(child(0));
      case NodeKind::kAdd:
        return sum(child(0), child(1), 1);
      case NodeKind::kRelation:
        if (node.num_children != 2) return {};
        return sum(child(0), child(1), -1);
      case NodeKind::kPlusMinus:
      case NodeKind::kMinusPlus: {
        const int sign = node.kind == NodeKind::kPlusMinus ? term_.term.sign : -term_.term.sign;
        if (node.num_children == 2) return sum(child(0), child(1), sign);
        return sign > 0 ? child(0) : negated(child(0));
      }
      case NodeKind::kMultiply:
        return product(child(0).numerator, child(1).numerator, child(0).denominator,
                       child(1).denominator);
      case NodeKind::kDivide:
        if (child(1).numerator.is_zero()) return {};
        return product(child(0).numerator, child(1).denominator, child(0).denominator,
                       child(1).numerator);
      case NodeKind::kPower:
        return power(child(0));
      case NodeKind::kPercent: {
        const Fraction& value = child(0);
        return product(value.numerator, one(), value.denominator,
                       Polynomial::constant(context_, Rational(100)));
      }
      default:
        return {};
    }
  }

  std::optional<Fraction> symbol() {
    const auto found = std::find(variables_.begin(), variables_.end(), tree_.name(node_));
    if (found == variables_.end()) return {};
    Fraction value{Polynomial(context_), one()};
    fmpq_mpoly_gen(value.numerator.raw(), found - variables_.begin(), context_.raw());
    return value;
  }

  Fraction negated(const Fraction& value) {
    Fraction result = value;
    fmpq_mpoly_neg(result.numerator.raw(), result.numerator.raw(), context_.raw());
    return result;
  }

  std::optional<Polynomial> times(const Polynomial& a, const Polynomial& b) {
    if (a.is_one()) return b;
    if (b.is_one()) return a;
    const uint64_t degree = a.degree() + b.degree();
    const uint64_t pairs = a.terms() * b.terms();
    const uint64_t terms = std::min(pairs, monomials(context_.num_variables(), degree));
    const uint64_t bits = a.bits() + b.bits() + 16;
    if (degree > Limits::kDegreeMax || terms > Limits::kTermsMax ||
        bits > Limits::kCoefficientBitsMax) {
      return {};
    }
    const uint64_t limbs = (1 + a.bits() / 64) * (1 + b.bits() / 64);
    if (!fuel_.spend(20 + pairs * (5 + limbs))) return {};
    Polynomial result(context_);
    fmpq_mpoly_mul(result.raw(), a.raw(), b.raw(), context_.raw());
    return result;
  }

  std::optional<Polynomial> raised(const Polynomial& base, uint64_t exponent) {
    if (exponent == 1 || base.is_one()) return base;
    if (base.is_zero()) return base;
    const uint64_t degree = base.degree() * exponent;
    const uint64_t terms = std::min(monomials(context_.num_variables(), degree),
                                    monomials(base.terms() - 1, exponent));
    const uint64_t bits =
        exponent * (base.bits() + 1 + static_cast<uint64_t>(std::log2(base.terms())));
    if (degree > Limits::kDegreeMax || terms > Limits::kTermsMax ||
        bits > Limits::kCoefficientBitsMax) {
      return {};
    }
    const uint64_t limbs = 1 + bits / 64;
    if (!fuel_.spend(20 + terms * base.terms() * (5 + limbs * 2))) return {};
    Polynomial result(context_);
    if (!fmpq_mpoly_pow_ui(result.raw(), base.raw(), exponent, context_.raw())) return {};
    return result;
  }

  std::optional<Fraction> product(const Polynomial& a, const Polynomial& b, const Polynomial& c,
                                  const Polynomial& d) {
    auto numerator = times(a, b);
    if (!numerator) return {};
    auto denominator = times(c, d);
    if (!denominator) return {};
    return Fraction{std::move(*numerator), std::move(*denominator)};
  }

  std::optional<Fraction> sum(const Fraction& a, const Fraction& b, int sign) {
    const auto combine = [&](const Polynomial& x, const Polynomial& y) {
      Polynomial result(context_);
      if (sign > 0) {
        fmpq_mpoly_add(result.raw(), x.raw(), y.raw(), context_.raw());
      } else {
        fmpq_mpoly_sub(result.raw(), x.raw(), y.raw(), context_.raw());
      }
      return result;
    };
    if (!fuel_.spend(5 * (a.numerator.terms() + b.numerator.terms()))) return {};
    if (a.denominator == b.denominator) {
      return Fraction{combine(a.numerator, b.numerator), a.denominator};
    }
    const auto left = times(a.numerator, b.denominator);
    if (!left) return {};
    const auto right = times(b.numerator, a.denominator);
    if (!right) return {};
    auto denominator = times(a.denominator, b.denominator);
    if (!denominator) return {};
    return Fraction{combine(*left, *right), std::move(*denominator)};
  }

  std::optional<Fraction> power(const Fraction& base) {
    const ExactValue& exponent = term_.at(tree_.child(node_, 1));
    if (exponent.status != ExactStatus::kRational || !exponent.value.is_integer()) return {};
    if (fmpz_cmpabs(exponent.value.numerator(), Rational(Limits::kDegreeMax).numerator()) > 0) {
      return {};
    }
    const slong n = fmpz_get_si(exponent.value.numerator());
    if (n == 0) return Fraction{one(), one()};
    const bool is_inverse = n < 0;
    if (is_inverse && base.numerator.is_zero()) return {};
    auto up =
        raised(is_inverse ? base.denominator : base.numerator, static_cast<uint64_t>(std::abs(n)));
    if (!up) return {};
    auto down =
        raised(is_inverse ? base.numerator : base.denominator, static_cast<uint64_t>(std::abs(n)));
    if (!down) return {};
    return Fraction{std::move(*up), std::move(*down)};
  }

  const ExactTerm& term_;
  const Tree& tree_;
  const Context& context_;
  const std::vector<std::string>& variables_;
  Fuel& fuel_;
  NodeIndex node_ = 0;

  friend std::optional<Polynomial> cross(Evaluator& evaluator, const Polynomial& a,
                                         const Polynomial& b);
};

std::optional<Polynomial> cross(Evaluator& evaluator, const Polynomial& a, const Polynomial& b) {
  return evaluator.times(a, b);
}

}  // namespace

Outcome compare_polynomials(const ExactTerm& gold, const ExactTerm& candidate,
                            const std::vector<std::string>& variables, Fuel& fuel) {
  if (variables.size() > Limits::kVariablesMax) return Outcome::kUnknown;
  const Context context(variables.size());
  Evaluator of_gold(gold, context, variables, fuel);
  const auto a = of_gold.run();
  if (!a) return Outcome::kUnknown;
  const auto b = Evaluator(candidate, context, variables, fuel).run();
  if (!b) return Outcome::kUnknown;
  const auto left = cross(of_gold, a->numerator, b->denominator);
  const auto right = cross(of_gold, b->numerator, a->denominator);
  if (!left || !right) return Outcome::kUnknown;
  return *left == *right ? Outcome::kSame : Outcome::kOther;
}

Proportion compare_proportional(const ExactTerm& gold, const ExactTerm& candidate,
                                const std::vector<std::string>& variables, Fuel& fuel) {
  if (variables.size() > Limits::kVariablesMax) return {};
  const Context context(variables.size());
  auto a = Evaluator(gold, context, variables, fuel).run();
  if (!a) return {};
  auto b = Evaluator(candidate, context, variables, fuel).run();
  if (!b) return {};
  if (a->numerator.is_zero() || b->numerator.is_zero()) {
    const bool are_both = a->numerator.is_zero() && b->numerator.is_zero();
    return {are_both ? Outcome::kSame : Outcome::kOther, 1};
  }
  // The sign of a factor between inequalities is only known for constant denominators.
  const auto is_constant = [&](const Polynomial& p) {
    return fmpq_mpoly_is_fmpq(p.raw(), context.raw()) != 0;
  };
  Rational lead_a;
  Rational lead_b;
  fmpq_mpoly_get_term_coeff_fmpq(lead_a.raw(), a->numerator.raw(), 0, context.raw());
  fmpq_mpoly_get_term_coeff_fmpq(lead_b.raw(), b->numerator.raw(), 0, context.raw());
  int sign = lead_a.sign() * lead_b.sign();
  if (is_constant(a->denominator) && is_constant(b->denominator)) {
    Rational down_a;
    Rational down_b;
    fmpq_mpoly_get_fmpq(down_a.raw(), a->denominator.raw(), context.raw());
    fmpq_mpoly_get_fmpq(down_b.raw(), b->denominator.raw(), context.raw());
    sign *= down_a.sign() * down_b.sign();
  } else {
    sign = 0;
  }
  fmpq_mpoly_make_monic(a->numerator.raw(), a->numerator.raw(), context.raw());
  fmpq_mpoly_make_monic(b->numerator.raw(), b->numerator.raw(), context.raw());
  return {a->numerator == b->numerator ? Outcome::kSame : Outcome::kOther, sign};
}

std::optional<std::pair<Rational, Rational>> linear_coefficients(const ExactTerm& term,
                                                                 const std::string& variable,
                                                                 Fuel& fuel) {
  const Context context(1);
  const std::vector<std::string> variables{variable};
  const auto value = Evaluator(term, context, variables, fuel).run();
  if (!value || value->numerator.degree() != 1) return {};
  if (fmpq_mpoly_is_fmpq(value->denominator.raw(), context.raw()) == 0) return {};
  Rational down;
  fmpq_mpoly_get_fmpq(down.raw(), value->denominator.raw(), context.raw());
  std::pair<Rational, Rational> found;
  const ulong one[] = {1};
  const ulong zero[] = {0};
  fmpq_mpoly_get_coeff_fmpq_ui(found.first.raw(), value->numerator.raw(), one, context.raw());
  fmpq_mpoly_get_coeff_fmpq_ui(found.second.raw(), value->numerator.raw(), zero, context.raw());
  fmpq_div(found.first.raw(), found.first.raw(), down.raw());
  fmpq_div(found.second.raw(), found.second.raw(), down.raw());
  return found;
}

}  // namespace troupe::actors
