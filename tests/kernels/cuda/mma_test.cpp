// The formula of the tensor cores against its definition in exact fractions.
#include <doctest/doctest.h>
#include <gmp.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

using cuda_reference::from_bf16;
using cuda_reference::TensorCore;

// A fraction that frees itself.
class Fraction {
 public:
  Fraction() { mpq_init(value_); }
  explicit Fraction(double x) : Fraction() { mpq_set_d(value_, x); }
  ~Fraction() { mpq_clear(value_); }
  Fraction(const Fraction&) = delete;
  Fraction& operator=(const Fraction&) = delete;

  void add(const Fraction& other) { mpq_add(value_, value_, other.value_); }
  void multiply(const Fraction& other) { mpq_mul(value_, value_, other.value_); }
  void scale(int exponent) {  // By 2^exponent.
    if (exponent >= 0) {
      mpq_mul_2exp(value_, value_, static_cast<mp_bitcnt_t>(exponent));
    } else {
      mpq_div_2exp(value_, value_, static_cast<mp_bitcnt_t>(-exponent));
    }
  }
  // Toward zero, to a multiple of 2^exponent.
  void cut(int exponent) {
    scale(-exponent);
    mpz_t whole;
    mpz_init(whole);
    mpz_tdiv_q(whole, mpq_numref(value_), mpq_denref(value_));
    mpq_set_z(value_, whole);
    mpz_clear(whole);
    scale(exponent);
  }
  int sign() const { return mpq_sgn(value_); }
  // Of a value that is not zero: the e with 2^e <= size < 2^(e + 1).
  int exponent() const {
    Fraction size;
    mpq_abs(size.value_, value_);
    int e = 0;
    while (mpq_cmp_ui(size.value_, 2, 1) >= 0) size.scale(-1), ++e;
    while (mpq_cmp_ui(size.value_, 1, 1) < 0) size.scale(1), --e;
    return e;
  }
  double to_double() const { return mpq_get_d(value_); }

 private:
  mpq_t value_;
};

// Of a bf16 or a float: subnormals and zero have the smallest one.
int exponent_of(float x) { return x == 0 ? -126 : std::max(std::ilogb(x), -126); }

// README.md's definition, word by word.
float defined_sum(const uint16_t* a, const uint16_t* b, int count, int fraction, float c) {
  int largest = exponent_of(c);
  for (int i = 0; i < count; ++i) {
    largest = std::max(largest, exponent_of(from_bf16(a[i])) + exponent_of(from_bf16(b[i])));
  }
  Fraction sum{double{c}};
  sum.cut(largest - fraction);
  for (int i = 0; i < count; ++i) {
    Fraction product{double{from_bf16(a[i])}};
    product.multiply(Fraction{double{from_bf16(b[i])}});
    product.cut(largest - fraction);
    sum.add(product);
  }
  if (sum.sign() == 0) return 0;
  sum.cut(std::max(sum.exponent(), -126) - 23);
  return static_cast<float>(sum.to_double());
}

float defined(TensorCore core, const uint16_t* a, const uint16_t* b, float c) {
  if (core == TensorCore::kSm90) return defined_sum(a, b, 16, 25, c);
  const float half = defined_sum(a, b, 8, 24, c);
  return std::isinf(half) ? half : defined_sum(a + 8, b + 8, 8, 24, half);
}

struct Terms {
  uint16_t a[16], b[16];
  float c;
};

// From equal exponents to the whole range, with zeros, subnormals and sums that cancel.
Terms random_terms(Random& random) {
  const int spreads[] = {0, 1, 5, 20, 60, 126};
  const int spread = spreads[random.in(0, 5)];
  Terms t;
  for (int i = 0; i < 16; ++i) {
    t.a[i] = random.bf16(-spread, spread);
    t.b[i] = random.bf16(-spread, spread);
    if (random.in(0, 9) == 0) t.a[i] &= 0x8000;   // A zero.
    if (random.in(0, 19) == 0) t.b[i] &= 0x807F;  // A subnormal.
  }
  if (random.in(0, 3) == 0) {  // Pairs that cancel.
    for (int i = 0; i < 16; i += 2) {
      t.a[i + 1] = t.a[i] ^ 0x8000;
      t.b[i + 1] = t.b[i];
    }
  }
  const int exponent = random.in(-spread - 5, spread + 5);
  const uint32_t field = static_cast<uint32_t>(std::min(std::max(exponent + 127, 0), 254));
  t.c = std::bit_cast<float>(static_cast<uint32_t>(random.next() % 2) << 31 | field << 23 |
                             static_cast<uint32_t>(random.next() & 0x7FFFFF));
  return t;
}

TEST_CASE("tensor core: the formula is its definition in exact fractions") {
  Random random(11);
  int differ_between_cores = 0;
  for (int i = 0; i < 4000; ++i) {
    const Terms t = random_terms(random);
    for (const TensorCore core : {TensorCore::kSm80, TensorCore::kSm90}) {
      const float got = cuda_reference::dot16(core, t.a, t.b, t.c);
      const float want = defined(core, t.a, t.b, t.c);
      CAPTURE(i);
      REQUIRE(std::bit_cast<uint32_t>(got) == std::bit_cast<uint32_t>(want));
    }
    differ_between_cores +=
        std::bit_cast<uint32_t>(cuda_reference::dot16(TensorCore::kSm80, t.a, t.b, t.c)) !=
        std::bit_cast<uint32_t>(cuda_reference::dot16(TensorCore::kSm90, t.a, t.b, t.c));
  }
  // Otherwise they would not be two arithmetics.
  CHECK(differ_between_cores > 100);
}

TEST_CASE("tensor core: a worked example of what is cut off") {
  uint16_t a[16] = {}, b[16] = {};
  a[0] = cuda_reference::to_bf16(1.0f);
  b[0] = cuda_reference::to_bf16(1.0f);
  a[1] = cuda_reference::to_bf16(std::ldexp(1.0f, -12));
  b[1] = cuda_reference::to_bf16(std::ldexp(1.5f, -12));
  const auto dot = [&](TensorCore core, float c) { return cuda_reference::dot16(core, a, b, c); };
  // 1 + 1.5 * 2^-24 - 1: of the small term 2^-24 is left at 24 bits, all of it at 25.
  CHECK(dot(TensorCore::kSm80, -1.0f) == std::ldexp(1.0f, -24));
  CHECK(dot(TensorCore::kSm90, -1.0f) == std::ldexp(1.5f, -24));
  // Rounded to nearest it would be 1 + 2^-23.
  CHECK(dot(TensorCore::kSm90, 0.0f) == 1.0f);
}

TEST_CASE("tensor core: infinities and NaNs") {
  const float infinity = std::numeric_limits<float>::infinity();
  uint16_t a[16] = {}, b[16] = {};
  a[3] = cuda_reference::to_bf16(infinity);
  for (const TensorCore core : {TensorCore::kSm80, TensorCore::kSm90}) {
    b[3] = 0;
    CHECK(std::bit_cast<uint32_t>(cuda_reference::dot16(core, a, b, 1)) == 0x7FFFFFFF);
    b[3] = cuda_reference::to_bf16(-2.0f);
    CHECK(cuda_reference::dot16(core, a, b, 1) == -infinity);
    CHECK(std::bit_cast<uint32_t>(cuda_reference::dot16(core, a, b, infinity)) == 0x7FFFFFFF);
  }
  // A finite sum beyond the largest float.
  for (int i = 0; i < 16; ++i) a[i] = b[i] = 0x7F00;
  CHECK(cuda_reference::dot16(TensorCore::kSm90, a, b, 0) == infinity);
  CHECK(cuda_reference::dot16(TensorCore::kSm80, a, b, 0) == infinity);
}

TEST_CASE("tensor core: a whole operation has the bits of its elements") {
  Random random(12);
  for (const TensorCore core : {TensorCore::kSm80, TensorCore::kSm90}) {
    uint16_t a[16][16], b[8][16];
    float d[16][8], want[16][8];
    for (auto& row : a)
      for (uint16_t& v : row) v = random.bf16(-9, 9);
    for (auto& row : b)
      for (uint16_t& v : row) v = random.bf16(-9, 9);
    a[5][2] = 0x7F80;  // An infinity in one row.
    for (int m = 0; m < 16; ++m) {
      for (int n = 0; n < 8; ++n) {
        d[m][n] = random.uniform();
        want[m][n] = cuda_reference::dot16(core, a[m], b[n], d[m][n]);
      }
    }
    cuda_reference::mma_m16n8k16(core, d, a, b);
    CHECK(std::memcmp(d, want, sizeof d) == 0);
  }
}

}  // namespace
}  // namespace troupe::tests
