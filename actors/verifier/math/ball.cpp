#include "actors/verifier/math/ball.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "actors/verifier/math/tokens.h"
#include "schemas/hash.h"

namespace troupe::actors {
namespace {

// Larger arguments would make exp, sin and the like reduce by that many bits of pi or ln 2.
constexpr long kArgumentBitsMax = 4'096;
constexpr long kPowerBitsMax = 64;

uint64_t mixed(uint64_t x) {  // splitmix64
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

bool is_real(const acb_struct* z) { return arb_is_zero(acb_imagref(z)) != 0; }

bool has_small_argument(const acb_struct* z) {
  for (const arb_struct* part : {acb_realref(z), acb_imagref(z)}) {
    if (!arb_is_finite(part)) return false;
    if (arf_cmpabs_2exp_si(arb_midref(part), kArgumentBitsMax) > 0) return false;
  }
  return true;
}

class Evaluator {
 public:
  Evaluator(const ExactTerm& term, const SamplePoints& points, size_t point, long precision,
            Fuel& fuel)
      : term_(term),
        tree_(*term.term.tree),
        points_(points),
        point_(point),
        precision_(precision),
        fuel_(fuel),
        balls_(term.values.size()) {}

  BallValue run() {
    const auto limbs = static_cast<uint64_t>(precision_ / 64);
    long magnitude_bits = 0;
    for (size_t i = 0; i < balls_.size(); ++i) {
      const ExactValue& exact = term_.values[i];
      if (exact.status == ExactStatus::kUnused) continue;
      if (exact.status == ExactStatus::kUndefined) return {.status = BallStatus::kUndefined};
      if (!fuel_.spend(8 + 2 * limbs)) return {};
      if (exact.status == ExactStatus::kRational) {
        if (!fuel_.spend(exact.value.bits() / 64)) return {};
        acb_set_fmpq(balls_[i].raw(), exact.value.raw(), precision_);
        continue;
      }
      node_ = static_cast<NodeIndex>(term_.first + i);
      const BallStatus status = evaluate(balls_[i].raw());
      if (status != BallStatus::kFinite) return {.status = status};
      if (!acb_is_finite(balls_[i].raw())) return {};
      magnitude_bits = std::max(magnitude_bits, magnitude(balls_[i].raw()));
    }
    return {BallStatus::kFinite, std::move(balls_.back()), magnitude_bits};
  }

 private:
  long magnitude(const acb_struct* value) const {
    constexpr double kArgumentMax = 1e6;
    if (acb_contains_zero(value)) return 0;
    long bits = 0;
    for (const arb_struct* part : {acb_realref(value), acb_imagref(value)}) {
      if (arb_contains_zero(part)) continue;
      bits = std::max(bits, std::abs(arf_abs_bound_lt_2exp_si(arb_midref(part))));
    }
    // tanh x is 1 but for e^-2x.
    const Node& node = tree_[node_];
    if (node.kind == NodeKind::kFunction && node.detail == kTanh) {
      const double x = std::abs(arf_get_d(arb_midref(acb_realref(child(0))), ARF_RND_NEAR));
      bits = std::max(bits, static_cast<long>(3 * std::min(x, kArgumentMax)));
    }
    return bits;
  }

  const acb_struct* child(size_t which) const {
    return balls_[tree_.child(node_, which) - term_.first].raw();
  }
  const ExactValue& exact_child(size_t which) const { return term_.at(tree_.child(node_, which)); }

  bool charge(uint64_t factor) {
    const auto limbs = static_cast<uint64_t>(precision_ / 64);
    return fuel_.spend(100 + factor * limbs * limbs);
  }

  BallStatus evaluate(acb_struct* out) {
    const Node& node = tree_[node_];
    switch (node.kind) {
      case NodeKind::kSymbol:
        points_.set(out, tree_.name(node_), point_);
        break;
      case NodeKind::kConstant:
        return constant(out, node.detail);
      case NodeKind::kNumber:
        return literal(out, tree_.literal(node_));
      case NodeKind::kNegate:
        acb_neg(out, child(0));
        break;
      case NodeKind::kAdd:
        acb_add(out, child(0), child(1), precision_);
        break;
      case NodeKind::kRelation:
        if (node.num_children != 2) return BallStatus::kUnknown;
        acb_sub(out, child(0), child(1), precision_);
        break;
      case NodeKind::kPlusMinus:
      case NodeKind::kMinusPlus:
        return plus_minus(out, node);
      case NodeKind::kMultiply:
        acb_mul(out, child(0), child(1), precision_);
        break;
      case NodeKind::kDivide:
        return quotient(out, child(0), child(1));
      case NodeKind::kPower:
        return power(out);
      case NodeKind::kFunction:
        if (node.detail == kMaximum || node.detail == kMinimum) {
          return extremum(out, node.detail, node.num_children);
        }
        return function(out, node.detail);
      case NodeKind::kLogarithm:
        return logarithm(out);
      case NodeKind::kFactorial:
        acb_add_ui(out, child(0), 1, precision_);
        return gamma(out);
      case NodeKind::kBinomial:
        return binomial(out);
      case NodeKind::kPercent:
        acb_div_ui(out, child(0), 100, precision_);
        break;
      case NodeKind::kDegree: {
        Ball pi;
        if (!charge(1)) return BallStatus::kUnknown;
        acb_const_pi(pi.raw(), precision_);
        acb_mul(out, child(0), pi.raw(), precision_);
        acb_div_ui(out, out, 180, precision_);
        break;
      }
      default:
        return BallStatus::kUnknown;
    }
    return BallStatus::kFinite;
  }

  // Those that were too large to be written out.
  BallStatus literal(acb_struct* out, const Literal& literal) {
    if (literal.num_repeating > 0 || !charge(4 + literal.digits.size() / 4)) {
      return BallStatus::kUnknown;
    }
    Rational digits;
    if (fmpz_set_str(digits.numerator(), literal.digits.c_str(), 10) != 0) {
      return BallStatus::kUnknown;
    }
    acb_set_fmpz(out, digits.numerator());
    Ball ten;
    acb_set_ui(ten.raw(), 10);
    const slong places = slong{literal.exponent} - slong{literal.num_decimals};
    acb_pow_si(ten.raw(), ten.raw(), places, precision_);
    acb_mul(out, out, ten.raw(), precision_);
    return BallStatus::kFinite;
  }

  BallStatus constant(acb_struct* out, char which) {
    if (!charge(1)) return BallStatus::kUnknown;
    if (which == 'p') {
      acb_const_pi(out, precision_);
    } else if (which == 'e') {
      arb_const_e(acb_realref(out), precision_);
    } else {
      acb_onei(out);
    }
    return BallStatus::kFinite;
  }

  BallStatus plus_minus(acb_struct* out, const Node& node) {
    int sign = term_.term.sign;
    if (sign == 0) return BallStatus::kUnknown;
    if (node.kind == NodeKind::kMinusPlus) sign = -sign;
    const acb_struct* last = child(node.num_children - 1);
    if (node.num_children == 1) {
      sign > 0 ? acb_set(out, last) : acb_neg(out, last);
    } else if (sign > 0) {
      acb_add(out, child(0), last, precision_);
    } else {
      acb_sub(out, child(0), last, precision_);
    }
    return BallStatus::kFinite;
  }

  BallStatus quotient(acb_struct* out, const acb_struct* a, const acb_struct* b) {
    if (acb_is_zero(b)) return BallStatus::kUndefined;
    if (acb_contains_zero(b)) return BallStatus::kUnknown;
    acb_div(out, a, b, precision_);
    return BallStatus::kFinite;
  }

  // Where there are variables, a logarithm is that of a positive number: the principal values of
  // ln(a/b) and ln a - ln b differ by 2 pi i for some negative a and b.
  bool has_logarithm(const acb_struct* x) const {
    const bool is_negative = is_real(x) && arb_is_negative(acb_realref(x));
    return !acb_is_zero(x) && !(is_negative && !points_.variables().empty());
  }

  BallStatus power(acb_struct* out) {
    const acb_struct* base = child(0);
    const ExactValue& exact = exact_child(1);
    if (!charge(6)) return BallStatus::kUnknown;
    if (exact.status == ExactStatus::kRational) {
      const Rational& exponent = exact.value;
      if (acb_is_zero(base) && exponent.sign() <= 0) return BallStatus::kUndefined;
      if (fmpz_bits(exponent.numerator()) <= kPowerBitsMax &&
          fmpz_bits(exponent.denominator()) <= 16) {
        return rational_power(out, base, exponent);
      }
    }
    const acb_struct* exponent = child(1);
    if (acb_is_zero(base)) return BallStatus::kUnknown;
    if (!has_small_argument(base) || !has_small_argument(exponent)) return BallStatus::kUnknown;
    // e^x as exp(x) keeps real what is real.
    const Node& node = tree_[tree_.child(node_, 0)];
    if (node.kind == NodeKind::kConstant && node.detail == 'e') {
      acb_exp(out, exponent, precision_);
    } else {
      acb_pow(out, base, exponent, precision_);
    }
    return BallStatus::kFinite;
  }

  // The odd roots of negative numbers are negative; everything else is the principal value.
  BallStatus rational_power(acb_struct* out, const acb_struct* base, const Rational& exponent) {
    const fmpz* up = exponent.numerator();
    const fmpz* down = exponent.denominator();
    if (fmpz_is_one(down)) {
      acb_pow_fmpz(out, base, up, precision_);
      return BallStatus::kFinite;
    }
    if (!has_small_argument(base)) return BallStatus::kUnknown;
    const ulong index = fmpz_get_ui(down);
    if (index % 2 == 1 && is_real(base) && arb_is_negative(acb_realref(base))) {
      Ball positive;
      acb_neg(positive.raw(), base);
      acb_root_ui(out, positive.raw(), index, precision_);
      acb_neg(out, out);
    } else {
      acb_root_ui(out, base, index, precision_);
    }
    acb_pow_fmpz(out, out, up, precision_);
    return BallStatus::kFinite;
  }

  // The largest or smallest of real values that can be told apart.
  BallStatus extremum(acb_struct* out, char id, size_t count) {
    acb_set(out, child(0));
    for (size_t i = 0; i < count; ++i) {
      if (!is_real(child(i))) return BallStatus::kUnknown;
      const arb_struct* next = acb_realref(child(i));
      const bool is_more = arb_gt(next, acb_realref(out)) != 0;
      const bool is_less = arb_lt(next, acb_realref(out)) != 0;
      if (i > 0 && !is_more && !is_less) return BallStatus::kUnknown;
      if (id == kMaximum ? is_more : is_less) acb_set(out, child(i));
    }
    return BallStatus::kFinite;
  }

  BallStatus function(acb_struct* out, char id) {
    const acb_struct* x = child(0);
    if (!has_small_argument(x) || !charge(6)) return BallStatus::kUnknown;
    switch (id) {
      case kSin:
        acb_sin(out, x, precision_);
        break;
      case kCos:
        acb_cos(out, x, precision_);
        break;
      case kTan:
        acb_tan(out, x, precision_);
        break;
      case kCot:
        if (acb_is_zero(x)) return BallStatus::kUndefined;
        acb_cot(out, x, precision_);
        break;
      case kSec:
        acb_sec(out, x, precision_);
        break;
      case kCsc:
        if (acb_is_zero(x)) return BallStatus::kUndefined;
        acb_csc(out, x, precision_);
        break;
      case kArcsin:
        acb_asin(out, x, precision_);
        break;
      case kArccos:
        acb_acos(out, x, precision_);
        break;
      case kArctan:
        acb_atan(out, x, precision_);
        break;
      case kArccot: {  // Continuous on the real line: pi/2 - arctan x.
        Ball right;
        acb_const_pi(right.raw(), precision_);
        acb_mul_2exp_si(right.raw(), right.raw(), -1);
        acb_atan(out, x, precision_);
        acb_sub(out, right.raw(), out, precision_);
        break;
      }
      case kArcsec:
      case kArccsc:
        if (acb_is_zero(x)) return BallStatus::kUndefined;
        acb_inv(out, x, precision_);
        if (!acb_is_finite(out)) return BallStatus::kUnknown;
        id == kArcsec ? acb_acos(out, out, precision_) : acb_asin(out, out, precision_);
        break;
      case kSinh:
        acb_sinh(out, x, precision_);
        break;
      case kCosh:
        acb_cosh(out, x, precision_);
        break;
      case kTanh:
        acb_tanh(out, x, precision_);
        break;
      case kArsinh:
        acb_asinh(out, x, precision_);
        break;
      case kArcosh:
        acb_acosh(out, x, precision_);
        break;
      case kArtanh:
        acb_atanh(out, x, precision_);
        break;
      case kLn:
      case kLog: {
        if (!has_logarithm(x)) return BallStatus::kUndefined;
        acb_log(out, x, precision_);
        if (id == kLn) break;
        Ball ten;
        arb_const_log10(acb_realref(ten.raw()), precision_);
        acb_div(out, out, ten.raw(), precision_);
        break;
      }
      case kExp:
        acb_exp(out, x, precision_);
        break;
      case kSqrt:
        acb_sqrt(out, x, precision_);
        break;
      case kAbs:
        acb_abs(acb_realref(out), x, precision_);
        break;
      case kFloor:
      case kCeiling: {
        if (!is_real(x)) return BallStatus::kUnknown;
        Rational whole;
        Ball rounded;
        id == kFloor ? arb_floor(acb_realref(rounded.raw()), acb_realref(x), precision_)
                     : arb_ceil(acb_realref(rounded.raw()), acb_realref(x), precision_);
        if (!arb_get_unique_fmpz(whole.numerator(), acb_realref(rounded.raw()))) {
          return BallStatus::kUnknown;
        }
        acb_set_fmpz(out, whole.numerator());
        break;
      }
      case kRe:
        arb_set(acb_realref(out), acb_realref(x));
        break;
      case kIm:
        arb_set(acb_realref(out), acb_imagref(x));
        break;
      default:
        return BallStatus::kUnknown;
    }
    return BallStatus::kFinite;
  }

  BallStatus logarithm(acb_struct* out) {
    const acb_struct* base = child(0);
    const acb_struct* x = child(1);
    if (!has_logarithm(base) || !has_logarithm(x)) return BallStatus::kUndefined;
    if (!has_small_argument(base) || !has_small_argument(x) || !charge(12)) {
      return BallStatus::kUnknown;
    }
    Ball below;
    acb_log(below.raw(), base, precision_);
    acb_log(out, x, precision_);
    return quotient(out, out, below.raw());
  }

  // out = gamma(out); its Bernoulli numbers make it by far the most expensive operation.
  BallStatus gamma(acb_struct* out) {
    if (!has_small_argument(out) || !charge(400)) return BallStatus::kUnknown;
    if (acb_is_int(out) && !arb_is_positive(acb_realref(out))) return BallStatus::kUndefined;
    acb_gamma(out, out, precision_);
    return BallStatus::kFinite;
  }

  BallStatus binomial(acb_struct* out) {
    constexpr ulong kFactorsMax = 64;
    const ExactValue& lower = exact_child(1);
    const bool is_short = lower.status == ExactStatus::kRational && lower.value.is_integer() &&
                          lower.value.sign() >= 0 &&
                          fmpz_cmp_ui(lower.value.numerator(), kFactorsMax) <= 0;
    if (is_short) {
      const ulong count = fmpz_get_ui(lower.value.numerator());
      if (!charge(count)) return BallStatus::kUnknown;
      Ball factor;
      acb_one(out);
      for (ulong i = 0; i < count; ++i) {
        acb_sub_ui(factor.raw(), child(0), i, precision_);
        acb_mul(out, out, factor.raw(), precision_);
        acb_div_ui(out, out, i + 1, precision_);
      }
      return BallStatus::kFinite;
    }
    Ball rest;
    acb_sub(rest.raw(), child(0), child(1), precision_);
    acb_add_ui(rest.raw(), rest.raw(), 1, precision_);
    Ball k;
    acb_add_ui(k.raw(), child(1), 1, precision_);
    acb_add_ui(out, child(0), 1, precision_);
    for (acb_struct* each : {out, k.raw(), rest.raw()}) {
      const BallStatus status = gamma(each);
      if (status != BallStatus::kFinite) return status;
    }
    acb_mul(k.raw(), k.raw(), rest.raw(), precision_);
    return quotient(out, out, k.raw());
  }

  const ExactTerm& term_;
  const Tree& tree_;
  const SamplePoints& points_;
  size_t point_;
  slong precision_;
  Fuel& fuel_;
  std::vector<Ball> balls_;
  NodeIndex node_ = 0;
};

}  // namespace

SamplePoints::SamplePoints(std::string_view gold_text, std::vector<std::string> variables)
    : variables_(std::move(variables)) {
  if (variables_.empty()) return;
  const std::string digest = sha256_hex(std::as_bytes(std::span(gold_text)));
  for (size_t i = 0; i < 16; ++i) {
    const char c = digest[i];
    seed_ = seed_ << 4 | static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
}

void SamplePoints::set(acb_struct* out, std::string_view variable, size_t point) const {
  const auto index = static_cast<size_t>(std::find(variables_.begin(), variables_.end(), variable) -
                                         variables_.begin());
  const uint64_t random = mixed(seed_ ^ mixed(16 * index + point));
  // 62 random bits over [1, 2), then moved to where this point lies.
  fmpz_t numerator;
  fmpz_init(numerator);
  fmpz_set_ui(numerator, (uint64_t{1} << 62) | (random >> 2));
  acb_zero(out);
  arb_set_fmpz(acb_realref(out), numerator);
  if (point >= kCount) {
    fmpz_clear(numerator);
    return set_far(acb_realref(out), index, point - kCount, random);
  }
  const bool is_small = point % 2 == 1;
  arb_mul_2exp_si(acb_realref(out), acb_realref(out), is_small ? -63 : -61);
  fmpz_clear(numerator);
  const bool is_negative = point >= 2 && point < kComplexFrom &&
                           index % 4 == (point - 2) % std::min<size_t>(variables_.size(), 4);
  if (is_negative) arb_neg(acb_realref(out), acb_realref(out));
  if (point >= kComplexFrom) {
    // A small angle, so that branch cuts stay far away.
    fmpz_init(numerator);
    fmpz_set_ui(numerator, (uint64_t{1} << 60) | (mixed(random) >> 4));
    arb_set_fmpz(acb_imagref(out), numerator);
    arb_mul_2exp_si(acb_imagref(out), acb_imagref(out), is_small ? -64 : -62);
    fmpz_clear(numerator);
  }
}

// Two points for each size, the second with one negative coordinate; the sizes of the variables
// differ.
void SamplePoints::set_far(arb_struct* out, size_t index, size_t point, uint64_t random) const {
  constexpr std::array<unsigned, 4> kBits = {3, 6, 10, 16};
  const size_t which = point / 2;
  const unsigned bits = kBits[(which + index) % kBits.size()];
  const bool is_whole = which < 2;
  // The leading 1, then the bits before the point and, if there are any, 32 behind it.
  const unsigned kept = is_whole ? bits : bits + 32;
  arb_set_ui(out, (uint64_t{1} << kept) | (random >> (64 - kept)));
  arb_mul_2exp_si(out, out, static_cast<slong>(bits) - static_cast<slong>(kept));
  if (point % 2 == 1 && index == which % variables_.size()) arb_neg(out, out);
}

BallValue evaluate_ball(const ExactTerm& term, const SamplePoints& points, size_t point,
                        long precision, Fuel& fuel) {
  return Evaluator(term, points, point, precision, fuel).run();
}

}  // namespace troupe::actors
