#include "schemas/metrics.h"

#include <doctest/doctest.h>

namespace troupe {
namespace {

TEST_CASE("wilson interval: contains the rate, also at its ends") {
  for (int64_t trials : {1, 2, 7, 12, 20, 100, 500}) {
    for (int64_t successes = 0; successes <= trials; ++successes) {
      const auto [low, high] = wilson_interval_95(successes, trials);
      const double rate = static_cast<double>(successes) / static_cast<double>(trials);
      REQUIRE(0 <= low);
      REQUIRE(low <= rate);
      REQUIRE(rate <= high);
      REQUIRE(high <= 1);
      REQUIRE(low < high);
    }
  }
}

}  // namespace
}  // namespace troupe
