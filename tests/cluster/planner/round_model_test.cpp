// Rounds whose answer is known in closed form, within one per cent.
#include <doctest/doctest.h>

#include <vector>

#include "cluster/planner/cost_model.h"
#include "cluster/planner/round_model.h"

namespace troupe::cluster {
namespace {

doctest::Approx near(double value, double share = 0.01) {
  return doctest::Approx(value).epsilon(share);
}

constexpr int kResponses = 8192;

// All of one length, and one of another in each of sixteen minibatches.
RoundLengths lengths(double usual, double longest = 0) {
  std::vector<double> all(kResponses, usual);
  for (size_t i = 0; longest > 0 && i < 16; ++i) all[i * 512] = longest;
  return exact_lengths(std::move(all), 180);
}

RoundCosts costs(double rate, double learn) {
  RoundCosts c;
  c.rate = [rate](double, double) { return rate; };
  c.devices = 512, c.workers = 16;
  c.verdict = 8, c.learn = 16 * learn, c.point = 3;
  return c;
}

RoundCosts colocated(double rate, double learn) {
  RoundCosts c = costs(rate, learn);
  c.switching = 40;
  return c;
}

RoundCosts split(double rate, double learn) {
  RoundCosts c = costs(rate, learn);
  c.devices = 320, c.workers = 10, c.publish = 12, c.load = 6;
  return c;
}

TEST_CASE("rounds: all responses are equal") {
  const RoundSeconds round = sync_round(lengths(10000), colocated(50, 5));
  CHECK(round.total == near(10000 / 50.0 + 8 + 80 + 3 + 40));
  CHECK(round.tail == 0);
}

TEST_CASE("rounds: one straggler in each minibatch") {
  const RoundSeconds round = sync_round(lengths(1000, 32768), colocated(50, 5));
  CHECK(round.total == near(32768 / 50.0 + 8 + 80 + 3 + 40));
  CHECK(round.tail == near(31768 / 50.0));
  CHECK(round.bound == "the longest response");
}

TEST_CASE("rounds: a response is faster when fewer are beside it") {
  RoundCosts c = colocated(1, 5);
  c.rate = [](double responses, double) { return responses * 32 > 100 ? 20.0 : 80.0; };
  CHECK(sync_round(lengths(2000, 10000), c).total == near(2000 / 20.0 + 8000 / 80.0 + 131));
}

TEST_CASE("rounds: a response is slower the longer it is") {
  RoundCosts c = colocated(1, 5);
  c.rate = [](double, double context) { return 1e6 / (context + 10000); };
  // The integral of (10180 + x) / 1e6 from 0 to 30000.
  CHECK(sync_round(lengths(30000), c).total ==
        near((10180 * 30000.0 + 30000.0 * 30000 / 2) / 1e6 + 131));
}

TEST_CASE("rounds: the learner bounds those that overlap") {
  for (const Stragglers stragglers : {Stragglers::kHeld, Stragglers::kMoved}) {
    const RoundSeconds round = lag_round(lengths(1000), split(50, 20), 1, stragglers);
    CHECK(round.total == near(16 * 20 + 3));
    CHECK(round.bound == "the learner");
  }
}

TEST_CASE("rounds: the longest response bounds them, lag + 1 of them at a time") {
  for (const int64_t lag : {1, 2, 3}) {
    const RoundSeconds round =
        lag_round(lengths(500, 60000), split(50, 2), lag, Stragglers::kMoved);
    CAPTURE(lag);
    CHECK(round.total == near((6 + 60000 / 50.0 + 8 + 32 + 3 + 12) / static_cast<double>(lag + 1)));
  }
}

TEST_CASE(
    "rounds: a worker that has one request is held by its longest response, whatever the lag") {
  for (const int64_t lag : {1, 2, 3}) {
    const RoundSeconds round = lag_round(lengths(500, 60000), split(50, 2), lag, Stragglers::kHeld);
    CHECK(round.total == near(60000 / 50.0 + 6));
    CHECK(round.bound == "workers that a long response holds");
  }
}

TEST_CASE("rounds: a cache with few places bounds them by throughput") {
  RoundCosts c = split(50, 0);
  c.cache_tokens = 4 * (8000 + 180);
  CHECK(generation_seconds(lengths(8000), c, c.devices) ==
        near(kResponses * 8000 / (320 * 4 * 50.0)));
}

TEST_CASE("rounds: failures cost half a round and a restart each") {
  CostInputs in;
  in.mtbf_seconds = 50677 * 3600.0, in.restart_seconds = 900;
  CHECK(failure_seconds(in, 198 * 3600, 512, 548) / 3600 ==
        near(198.0 * 512 / 50677 * (548 + 900) / 3600, 1e-9));
}

TEST_CASE("rounds: what is expected of lengths is what a sample of them gives") {
  for (const double mean : {1450.0, 9000.0}) {
    const auto distribution = LengthDistribution::with_mean(
        mean, {.sigma = 0.9, .within_share = 0.4, .runaway = 0.001, .limit = 32768});
    RoundCosts c = colocated(1, 5);
    c.rate = [](double responses, double context) {
      return 60 / (1 + responses / 4 + context / 40000);
    };
    const RoundLengths expected = expected_lengths(distribution, kResponses, 180, 0.5);
    double generate = 0, squares = 0;
    constexpr int kRounds = 16;
    for (int i = 0; i < kRounds; ++i) {
      const RoundLengths exact = exact_lengths(sample_lengths(distribution, 512, 16, 1, i), 180);
      generate += generation_seconds(exact, c, 512) / kRounds;
      squares += exact.squares / kRounds;
    }
    CAPTURE(mean);
    CHECK(generation_seconds(expected, c, 512) == near(generate, 0.01));
    CHECK(expected.squares == near(squares, 0.05));
  }
}

TEST_CASE("rounds: a round's phases are its time, and more lag is never slower") {
  const auto distribution = LengthDistribution::with_mean(
      6000, {.sigma = 0.9, .within_share = 0.4, .runaway = 0.001, .limit = 32768});
  const RoundLengths expected = expected_lengths(distribution, kResponses, 180, 0.5);
  const RoundSeconds sync = sync_round(expected, colocated(50, 5));
  CHECK(sync.total ==
        near(sync.generate + sync.verdict + sync.learn + sync.reference + sync.point + sync.change,
             1e-12));
  double before = 1e9;
  for (const int64_t lag : {1, 2, 3}) {
    const double held = lag_round(expected, split(50, 2), lag, Stragglers::kHeld).total;
    const double moved = lag_round(expected, split(50, 2), lag, Stragglers::kMoved).total;
    CHECK(moved <= held * 1.001);
    CHECK(moved <= before * 1.001);
    before = moved;
  }
}

}  // namespace
}  // namespace troupe::cluster
