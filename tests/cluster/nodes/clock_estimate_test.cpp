#include "cluster/nodes/clock_estimate.h"

#include <doctest/doctest.h>

#include <random>
#include <vector>

namespace troupe::cluster {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST_CASE("clock estimate: what all exchanges allow is what is known") {
  // There in 1 ms and back in 3, and the other way round: together they leave no doubt.
  const std::vector<ClockExchange> both = {{0, 501 * kMs, 4 * kMs},
                                           {10 * kMs, 513 * kMs, 14 * kMs}};
  const auto clock = estimate_clock(both);
  CHECK(clock.ahead_seconds == doctest::Approx(0.5));
  CHECK(clock.uncertainty_seconds == doctest::Approx(0.001));
  CHECK(clock.round_trip_seconds == doctest::Approx(0.004));
  const auto one = estimate_clock(std::span(both).first(1));
  CHECK(one.ahead_seconds == doctest::Approx(0.499));
  CHECK(one.uncertainty_seconds == doctest::Approx(0.002));
}

TEST_CASE("clock estimate: a clock that is set meanwhile leaves the shortest exchange") {
  const std::vector<ClockExchange> set = {{0, 2 * kMs, 4 * kMs}, {10 * kMs, 7'011 * kMs, 12 * kMs}};
  const auto clock = estimate_clock(set);
  CHECK(clock.ahead_seconds == doctest::Approx(7));
  CHECK(clock.uncertainty_seconds == doctest::Approx(0.001));
}

TEST_CASE("clock estimate: the truth is within the uncertainty, for any delays and any date") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 1'000; ++round) {
    const int64_t ahead = static_cast<int64_t>(random() % 2'000'000'000) - 1'000'000'000;
    int64_t now = 1'790'000'000'000'000'000 + static_cast<int64_t>(random() % 1'000'000'000);
    std::vector<ClockExchange> exchanges;
    for (int i = 0; i < 12; ++i) {
      const auto delay = [&] { return static_cast<int64_t>(random() % 5'000'000); };
      const int64_t asked = now;
      const int64_t answered = asked + delay();
      now = answered + delay();
      exchanges.push_back({asked, answered + ahead, now});
      now += delay();
    }
    const auto clock = estimate_clock(exchanges);
    const double error = clock.ahead_seconds - static_cast<double>(ahead) * 1e-9;
    CHECK(std::abs(error) <= clock.uncertainty_seconds + 1e-9);
    CHECK(clock.uncertainty_seconds <= clock.round_trip_seconds / 2 + 1e-12);
  }
}

}  // namespace
}  // namespace troupe::cluster
