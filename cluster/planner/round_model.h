// Seconds of one round in closed form: who generates how long as responses end, and what waits for
// what under each schedule.
//
// The law behind the schedules that overlap: rounds are learned in order and a response is not
// divided, so round >= (load + longest response + verdict + learning + point + publication) /
// (lag + 1). Whatever is slower of that, the learner alone and the devices that generate decides.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "cluster/planner/lengths.h"

namespace troupe::cluster {

// Responses of one round in the order of their ends. Between two places the number under way goes
// along a straight line from `after` of the first to `before` of the second.
struct SurvivalPoint {
  double tokens = 0;
  double before = 0;  // Under way until here ...
  double after = 0;   // ... and from here.
};

struct RoundLengths {
  std::vector<SurvivalPoint> curve{};  // Ascending; the last one's `after` is 0.
  double responses = 0;
  double prompt_tokens = 0;
  double tokens = 0, squares = 0;  // Of whole sequences, prompts included: sums over the round.
  // Where it is expected: what the share of one of several workers follows from.
  std::optional<LengthDistribution> distribution{};

  double longest() const { return curve.back().tokens; }
};

// As expected of `responses`; the longest is that which `longest_share` of all rounds have at most.
RoundLengths expected_lengths(const LengthDistribution& lengths, double responses,
                              double prompt_tokens, double longest_share);
// Of these very lengths.
RoundLengths exact_lengths(std::vector<double> lengths, double prompt_tokens);

// What the phases of a round take, on the devices that they are on; seconds.
struct RoundCosts {
  // Tokens a second of a response, with so many responses a device and tokens of context.
  std::function<double(double responses, double context)> rate{};
  double devices = 1;            // That generate ...
  double workers = 1;            // ... in so many replicas.
  double cache_tokens = 1e18;    // Of a device.
  double prefill_tokens = 1e18;  // A second, of a device.
  double prefill = 0;            // Of the prompts.
  double verdict = 0;
  double reference = 0;          // Of the whole round.
  double learn = 0;              // Likewise, all its steps.
  double point = 0;              // Recovery points, a round's part of them.
  double switching = 0;          // Of devices that do both ...
  double publish = 0, load = 0;  // ... or from some to others.
  double move = 0;
  double pack_responses = 8;  // A device, where stragglers are moved together.
};

struct RoundSeconds {
  double generate = 0;  // Until the last response has ended; of that ...
  double tail = 0;      // ... with less than a tenth of the responses under way.
  double verdict = 0, reference = 0, learn = 0, point = 0, change = 0;
  double total = 0;          // From round to round.
  std::string_view bound{};  // What decides: "the longest response" | "the learner" | ...
};

// Until all have ended on `devices`. `tail` as above, where it is wanted.
double generation_seconds(const RoundLengths& lengths, const RoundCosts& costs, double devices,
                          double* tail = nullptr);

// Tokens of a device's responses, when they are most.
double peak_cache_tokens(const RoundLengths& lengths, double devices);

// The next round begins when this one is learned.
RoundSeconds sync_round(const RoundLengths& lengths, const RoundCosts& costs);

// What becomes of the last responses of a round when the next version is there.
enum class Stragglers : uint8_t {
  kHeld,   // Each holds its worker until it has ended.
  kMoved,  // They are moved together, and half of the workers go on with the next round.
};

// Rounds that are at most `lag` ahead of the learner, which has devices of its own.
RoundSeconds lag_round(const RoundLengths& lengths, const RoundCosts& costs, int64_t lag,
                       Stragglers stragglers);

}  // namespace troupe::cluster
