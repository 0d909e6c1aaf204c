#include "kernels/elementary.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/random.h"

namespace troupe::kernels {
namespace {

// Distance in units of the last place of the exact value, as the C library has it in long double.
double error_in_ulp(double got, long double exact) {
  int exponent = 0;
  std::frexp(static_cast<double>(exact), &exponent);
  const long double ulp = std::ldexp(1.0L, std::max(exponent - 53, -1074));
  return static_cast<double>(std::fabs((static_cast<long double>(got) - exact) / ulp));
}

// The largest error over `count` draws from [low, high).
template <class Got, class Exact>
double worst(double low, double high, Got got, Exact exact, int count = 40000) {
  RandomStream random(1, StreamId::kInit);
  double largest = 0;
  for (int i = 0; i < count; ++i) {
    const double x = low + (high - low) * random.uniform();
    largest = std::max(largest, error_in_ulp(got(x), exact(static_cast<long double>(x))));
  }
  return largest;
}

constexpr auto kExp = [](long double x) { return std::exp(x); };
constexpr auto kLog = [](long double x) { return std::log(x); };
constexpr auto kSin = [](long double x) { return std::sin(x); };
constexpr auto kCos = [](long double x) { return std::cos(x); };

TEST_CASE("elementary: exp stays within its bound") {
  const double near = worst(-1, 1, exp_exact, kExp), far = worst(-708, 709, exp_exact, kExp);
  MESSAGE("ulp: " << near << " near 0, " << far << " over the range");
  CHECK(near < kElementaryUlp);
  CHECK(far < kElementaryUlp);
}

TEST_CASE("elementary: log stays within its bound, near 1 too") {
  const double near = worst(0.5, 2, log_exact, kLog), far = worst(0, 1e300, log_exact, kLog);
  const double one = worst(1 - 1e-6, 1 + 1e-6, log_exact, kLog);
  const double small = worst(0, 1e-300, log_exact, kLog);
  MESSAGE("ulp: " << near << " in [1/2, 2], " << one << " at 1, " << far << ", " << small);
  for (double error : {near, far, one, small}) CHECK(error < kElementaryUlp);
}

TEST_CASE("elementary: sin and cos stay within their bound") {
  // Of the value where it is large, of 1 where it passes through zero far from the origin.
  RandomStream random(2, StreamId::kInit);
  double near = 0, far = 0;
  for (int i = 0; i < 40000; ++i) {
    const double x = (2 * random.uniform() - 1) * 0.7;
    near = std::max(near, error_in_ulp(sin_exact(x), std::sin(static_cast<long double>(x))));
    near = std::max(near, error_in_ulp(cos_exact(x), std::cos(static_cast<long double>(x))));
    const double y = (2 * random.uniform() - 1) * 0x1p20;
    const long double wide = y;
    far = std::max(far, static_cast<double>(std::fabs(sin_exact(y) - std::sin(wide))) * 0x1p53);
    far = std::max(far, static_cast<double>(std::fabs(cos_exact(y) - std::cos(wide))) * 0x1p53);
  }
  MESSAGE("ulp: " << near << " near 0, " << far << " of 1 up to 2^20");
  CHECK(near < kElementaryUlp);
  CHECK(far < kElementaryUlp);
}

TEST_CASE("elementary: the ends of the ranges are what they should be") {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(exp_exact(0) == 1);
  CHECK(exp_exact(-infinity) == 0);
  CHECK(exp_exact(-1000) == 0);
  CHECK(exp_exact(1000) == infinity);
  CHECK(exp_exact(infinity) == infinity);
  CHECK(std::isfinite(exp_exact(709.7)));
  CHECK(std::isnan(exp_exact(nan)));
  CHECK(log_exact(1) == 0);
  CHECK(log_exact(0) == -infinity);
  CHECK(log_exact(-0.0) == -infinity);
  CHECK(log_exact(infinity) == infinity);
  CHECK(std::isnan(log_exact(-1)));
  CHECK(std::isnan(log_exact(nan)));
  CHECK(log_exact(0x1p-1074) == doctest::Approx(-744.4400719213812));
  CHECK(sin_exact(0) == 0);
  CHECK(cos_exact(0) == 1);
}

}  // namespace
}  // namespace troupe::kernels
