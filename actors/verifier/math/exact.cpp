#include "actors/verifier/math/exact.h"

#include <flint/fmpz.h>

#include <algorithm>
#include <cmath>

#include "actors/verifier/math/tokens.h"

namespace troupe::actors {
namespace {

using Status = ExactStatus;

constexpr uint64_t kBitsPerDigit = 4;      // Rounded up.
constexpr uint64_t kFactorialMax = 5'900;  // 5900! has about 65,000 bits.

class Evaluator {
 public:
  Evaluator(Term term, Fuel& fuel) : fuel_(fuel), tree_(*term.tree) {
    out_.term = term;
    out_.first = term.node().first;
    out_.values.resize(term.root - out_.first + 1);
  }

  ExactTerm run() {
    mark();
    for (size_t i = 0; i < out_.values.size(); ++i) {
      if (out_.values[i].status == Status::kUnused) continue;
      node_ = static_cast<NodeIndex>(out_.first + i);
      out_.values[i].status = Status::kOther;
      if (!fuel_.spend(2)) continue;
      evaluate(out_.values[i]);
    }
    return std::move(out_);
  }

 private:
  // Only nodes that are part of the term are computed.
  void mark() {
    out_.values.back().status = Status::kOther;
    for (size_t i = out_.values.size(); i-- > 0;) {
      if (out_.values[i].status == Status::kUnused) continue;
      for (NodeIndex child : tree_.children(static_cast<NodeIndex>(out_.first + i))) {
        out_.values[child - out_.first].status = Status::kOther;
      }
    }
  }

  const ExactValue& child(size_t which) const { return out_.at(tree_.child(node_, which)); }

  static bool is_small(uint64_t bits) { return bits <= kExactBitsMax; }

  // Charges for a product of these sizes, with the reduction of a fraction.
  bool charge(uint64_t bits_a, uint64_t bits_b) {
    const uint64_t limbs_a = 1 + bits_a / 64;
    const uint64_t limbs_b = 1 + bits_b / 64;
    return fuel_.spend(2 + limbs_a * limbs_b / 8);
  }

  void set_other(ExactValue& out, Status status) { out.status = status; }

  void evaluate(ExactValue& out) {
    const Node& node = tree_[node_];
    Status worst = Status::kRational;
    for (size_t i = 0; i < node.num_children; ++i) {
      const Status status = child(i).status;
      if (status == Status::kUndefined) return set_other(out, Status::kUndefined);
      if (status == Status::kOther) worst = Status::kOther;
      if (status == Status::kTooLarge && worst != Status::kOther) worst = Status::kTooLarge;
    }
    if (worst != Status::kRational) {
      // Only what is certainly wrong for every value of the others is said.
      const bool divides_by_zero = node.kind == NodeKind::kDivide &&
                                   child(1).status == Status::kRational && child(1).value.is_zero();
      return set_other(out, divides_by_zero ? Status::kUndefined : worst);
    }
    switch (node.kind) {
      case NodeKind::kNumber:
        return literal(out, tree_.literal(node_));
      case NodeKind::kNegate:
        fmpq_neg(out.value.raw(), child(0).value.raw());
        return set_other(out, Status::kRational);
      case NodeKind::kAdd:
        return add(out, 1);
      case NodeKind::kRelation:
        return node.num_children == 2 ? add(out, -1) : void();
      case NodeKind::kPlusMinus:
      case NodeKind::kMinusPlus:
        return plus_minus(out, node);
      case NodeKind::kMultiply:
        return multiply(out);
      case NodeKind::kDivide:
        return divide(out);
      case NodeKind::kPower:
        return power(out);
      case NodeKind::kFactorial:
        return factorial(out);
      case NodeKind::kBinomial:
        return binomial(out);
      case NodeKind::kPercent: {
        if (!is_small(child(0).value.bits() + 8)) return set_other(out, Status::kTooLarge);
        const Rational hundred(100);
        fmpq_div(out.value.raw(), child(0).value.raw(), hundred.raw());
        return set_other(out, Status::kRational);
      }
      case NodeKind::kFunction:
        if (node.detail >= kGcd) return list_function(out, node.detail, node.num_children);
        return function(out, node.detail);
      default:
        return;
    }
  }

  void literal(ExactValue& out, const Literal& literal) {
    const uint64_t digits = literal.digits.size();
    const auto shift = static_cast<uint64_t>(std::abs(int64_t{literal.exponent}));
    const uint64_t bits = kBitsPerDigit * (2 * digits + literal.num_decimals + shift);
    if (!is_small(bits)) return set_other(out, Status::kTooLarge);
    if (!charge(bits, bits)) return;
    Rational& value = out.value;
    if (fmpz_set_str(value.numerator(), literal.digits.c_str(), 10) != 0) return;
    if (literal.num_repeating > 0) {
      // 0.1(6) is (16 - 1) / 90.
      const std::string fixed = "0" + literal.digits.substr(0, digits - literal.num_repeating);
      Rational begin;
      if (fmpz_set_str(begin.numerator(), fixed.c_str(), 10) != 0) return;
      fmpz_sub(value.numerator(), value.numerator(), begin.numerator());
      fmpz_set_ui(value.denominator(), 10);
      fmpz_pow_ui(value.denominator(), value.denominator(), literal.num_repeating);
      fmpz_sub_ui(value.denominator(), value.denominator(), 1);
      fmpq_canonicalise(value.raw());
    }
    const int64_t places =
        int64_t{literal.exponent} - int64_t{literal.num_decimals} + int64_t{literal.num_repeating};
    Rational ten(10);
    fmpq_pow_si(ten.raw(), ten.raw(), static_cast<slong>(places));
    fmpq_mul(value.raw(), value.raw(), ten.raw());
    set_other(out, Status::kRational);
  }

  void add(ExactValue& out, int sign) {
    const Rational& a = child(0).value;
    const Rational& b = child(1).value;
    if (!is_small(a.bits() + b.bits() + 1)) return set_other(out, Status::kTooLarge);
    if (!charge(a.bits(), b.bits())) return;
    if (sign > 0) {
      fmpq_add(out.value.raw(), a.raw(), b.raw());
    } else {
      fmpq_sub(out.value.raw(), a.raw(), b.raw());
    }
    set_other(out, Status::kRational);
  }

  void plus_minus(ExactValue& out, const Node& node) {
    int sign = out_.term.sign;
    if (sign == 0) return;
    if (node.kind == NodeKind::kMinusPlus) sign = -sign;
    if (node.num_children == 2) return add(out, sign);
    out.value = child(0).value;
    if (sign < 0) fmpq_neg(out.value.raw(), out.value.raw());
    set_other(out, Status::kRational);
  }

  void multiply(ExactValue& out) {
    const Rational& a = child(0).value;
    const Rational& b = child(1).value;
    if (!is_small(a.bits() + b.bits())) return set_other(out, Status::kTooLarge);
    if (!charge(a.bits(), b.bits())) return;
    fmpq_mul(out.value.raw(), a.raw(), b.raw());
    set_other(out, Status::kRational);
  }

  void divide(ExactValue& out) {
    const Rational& a = child(0).value;
    const Rational& b = child(1).value;
    if (b.is_zero()) return set_other(out, Status::kUndefined);
    if (!is_small(a.bits() + b.bits())) return set_other(out, Status::kTooLarge);
    if (!charge(a.bits(), b.bits())) return;
    fmpq_div(out.value.raw(), a.raw(), b.raw());
    set_other(out, Status::kRational);
  }

  void power(ExactValue& out) {
    const Rational& base = child(0).value;
    const Rational& exponent = child(1).value;
    if (base.is_zero()) {
      if (exponent.sign() <= 0) return set_other(out, Status::kUndefined);
      return set_other(out, Status::kRational);
    }
    if (!exponent.is_integer()) {
      const bool is_root =
          fmpz_equal_si(exponent.denominator(), 2) && fmpz_is_one(exponent.numerator());
      return is_root ? square_root(out, base) : void();
    }
    const bool is_unit = base.is_integer() && fmpz_is_pm1(base.numerator());
    if (is_unit) {
      out.value = base;
      if (fmpz_is_even(exponent.numerator())) fmpq_abs(out.value.raw(), base.raw());
      return set_other(out, Status::kRational);
    }
    if (fmpz_bits(exponent.numerator()) > 20) return set_other(out, Status::kTooLarge);
    const slong n = fmpz_get_si(exponent.numerator());
    Rational positive;
    fmpq_abs(positive.raw(), base.raw());
    const double log2 =
        (fmpz_dlog(positive.numerator()) + fmpz_dlog(positive.denominator())) / std::log(2.0);
    const uint64_t bits = 2 + static_cast<uint64_t>(log2 * static_cast<double>(std::abs(n)));
    if (!is_small(bits)) return set_other(out, Status::kTooLarge);
    if (!charge(bits, bits / 2)) return;
    fmpq_pow_si(out.value.raw(), base.raw(), n);
    set_other(out, Status::kRational);
  }

  void square_root(ExactValue& out, const Rational& value) {
    if (value.sign() < 0 || !charge(value.bits(), value.bits())) return;
    if (!fmpz_is_square(value.numerator()) || !fmpz_is_square(value.denominator())) return;
    fmpz_sqrt(out.value.numerator(), value.numerator());
    fmpz_sqrt(out.value.denominator(), value.denominator());
    set_other(out, Status::kRational);
  }

  void factorial(ExactValue& out) {
    const Rational& n = child(0).value;
    if (!n.is_integer()) return;
    if (n.sign() < 0) return set_other(out, Status::kUndefined);
    if (fmpz_cmp_ui(n.numerator(), kFactorialMax) > 0) return set_other(out, Status::kTooLarge);
    const ulong count = fmpz_get_ui(n.numerator());
    if (!charge(12 * count, 12 * count)) return;
    fmpz_fac_ui(out.value.numerator(), count);
    set_other(out, Status::kRational);
  }

  void binomial(ExactValue& out) {
    const Rational& n = child(0).value;
    const Rational& k = child(1).value;
    if (!n.is_integer() || !k.is_integer() || n.sign() < 0 || k.sign() < 0) return;
    if (fmpz_cmp(k.numerator(), n.numerator()) > 0) return set_other(out, Status::kRational);
    if (fmpz_bits(n.numerator()) > 32) return set_other(out, Status::kTooLarge);
    const ulong top = fmpz_get_ui(n.numerator());
    ulong bottom = fmpz_get_ui(k.numerator());
    bottom = std::min(bottom, top - bottom);
    // (n over k) is below both 2^n and n^k.
    const uint64_t bits = std::min<uint64_t>(top, bottom * fmpz_bits(n.numerator()));
    if (!is_small(bits)) return set_other(out, Status::kTooLarge);
    if (!charge(bits, bits)) return;
    fmpz_bin_uiui(out.value.numerator(), top, bottom);
    set_other(out, Status::kRational);
  }

  // Of all children, one after the other.
  void list_function(ExactValue& out, char id, size_t count) {
    out.value = child(0).value;
    const bool is_of_integers = id == kGcd || id == kLcm;
    for (size_t i = 0; i < count; ++i) {
      const Rational& next = child(i).value;
      if (is_of_integers && !next.is_integer()) return;
      if (!is_small(out.value.bits() + next.bits())) return set_other(out, Status::kTooLarge);
      if (!charge(out.value.bits(), next.bits())) return;
      if (id == kGcd) {
        fmpz_gcd(out.value.numerator(), out.value.numerator(), next.numerator());
      } else if (id == kLcm) {
        fmpz_lcm(out.value.numerator(), out.value.numerator(), next.numerator());
      } else {
        const int order = fmpq_cmp(next.raw(), out.value.raw());
        if (id == kMaximum ? order > 0 : order < 0) out.value = next;
      }
    }
    set_other(out, Status::kRational);
  }

  void function(ExactValue& out, char id) {
    const Rational& x = child(0).value;
    switch (id) {
      case kSqrt:
        if (x.is_zero()) return set_other(out, Status::kRational);
        return square_root(out, x);
      case kAbs:
        fmpq_abs(out.value.raw(), x.raw());
        return set_other(out, Status::kRational);
      case kFloor:
        fmpz_fdiv_q(out.value.numerator(), x.numerator(), x.denominator());
        return set_other(out, Status::kRational);
      case kCeiling:
        fmpz_cdiv_q(out.value.numerator(), x.numerator(), x.denominator());
        return set_other(out, Status::kRational);
      case kRe:
        out.value = x;
        return set_other(out, Status::kRational);
      case kLn:
      case kLog:
        if (x.is_zero()) set_other(out, Status::kUndefined);
        return;
      default:
        return;
    }
  }

  Fuel& fuel_;
  const Tree& tree_;
  ExactTerm out_{};
  NodeIndex node_ = 0;
};

}  // namespace

ExactTerm evaluate_exact(Term term, Fuel& fuel) { return Evaluator(term, fuel).run(); }

}  // namespace troupe::actors
