// How far another host's clock is ahead, from questions that it answered with its time.
#pragma once

#include <cstdint>
#include <span>

namespace troupe::cluster {

// One question and its answer. Times are nanoseconds since 1970 on the clock of the host that asked
// and, for `answered`, of the other one.
struct ClockExchange {
  int64_t asked_ns = 0;
  int64_t answered_ns = 0;
  int64_t heard_ns = 0;
};

struct ClockEstimate {
  double ahead_seconds = 0;  // Of the other host's clock, give or take ...
  double uncertainty_seconds = 0;
  double round_trip_seconds = 0;  // The shortest.
};

// The other clock read `answered` at some time between `asked` and `heard`: what all exchanges
// allow is what is known. Where they contradict each other, because a clock was set meanwhile, the
// shortest counts alone. At least one exchange.
ClockEstimate estimate_clock(std::span<const ClockExchange> exchanges);

}  // namespace troupe::cluster
