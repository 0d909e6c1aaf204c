#include "cluster/nodes/clock_estimate.h"

#include <algorithm>

#include "schemas/check.h"

namespace troupe::cluster {
namespace {

constexpr double kSecondsPerNs = 1e-9;

// Differences first: the times themselves have more digits than a double.
double seconds_between(int64_t from_ns, int64_t to_ns) {
  return static_cast<double>(to_ns - from_ns) * kSecondsPerNs;
}

double round_trip(const ClockExchange& one) { return seconds_between(one.asked_ns, one.heard_ns); }

}  // namespace

ClockEstimate estimate_clock(std::span<const ClockExchange> exchanges) {
  TROUPE_CHECK(!exchanges.empty());
  const auto& shortest =
      *std::min_element(exchanges.begin(), exchanges.end(),
                        [](const auto& a, const auto& b) { return round_trip(a) < round_trip(b); });
  double low = seconds_between(shortest.heard_ns, shortest.answered_ns);
  double high = seconds_between(shortest.asked_ns, shortest.answered_ns);
  double low_of_all = low;
  double high_of_all = high;
  for (const ClockExchange& one : exchanges) {
    low_of_all = std::max(low_of_all, seconds_between(one.heard_ns, one.answered_ns));
    high_of_all = std::min(high_of_all, seconds_between(one.asked_ns, one.answered_ns));
  }
  if (low_of_all <= high_of_all) {
    low = low_of_all;
    high = high_of_all;
  }
  return {.ahead_seconds = (low + high) / 2,
          .uncertainty_seconds = (high - low) / 2,
          .round_trip_seconds = round_trip(shortest)};
}

}  // namespace troupe::cluster
