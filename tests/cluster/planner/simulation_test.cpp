// Simulated runs: the real controller and pool over played workers, where the answer is known.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "cluster/planner/simulation.h"
#include "cluster/planner/simulation_text.h"
#include "tests/cluster/planner/r1_subject.h"
#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

doctest::Approx near(double value, double share = 0.01) {
  return doctest::Approx(value).epsilon(share);
}

// Four workers and a learner; a response has 50 tokens a second, whoever is beside it, a step of
// the learner takes 5 s, a verdict 8, a recovery point 3, new weights 12 and, where they are
// loaded, 6 more.
struct Case {
  PlanSubject subject{};
  DrawnInputs inputs{};
  PlanLayout layout{};

  explicit Case(const std::string& mode, int64_t lag = 0, int64_t steps = 32) {
    JobSpec& job = subject.job;
    job.grpo.steps = steps;
    job.grpo.prompts_per_round = 32;
    job.grpo.group_size = 8;
    job.grpo.minibatches_per_round = 4;
    job.grpo.kl_coef = 0;
    job.schedule.mode = mode;
    job.schedule.lag = lag;
    job.schedule.staleness_max_steps = 11;
    job.schedule.checkpoint_every_steps = 4;
    job.resources.placement = mode == "sync" ? "colocated" : "split";
    job.resources.verifier = 32;
    job.rewards = {{.name = "accuracy", .verifier = "math", .weight = 1.0}};
    subject.cluster.nodes = 1;
    subject.cluster.devices_per_node = mode == "sync" ? 4 : 8;
    CostInputs& in = inputs.costs;
    in.policy.experts = 0;
    in.policy.layers = 1;
    in.policy.parameters = 3;
    in.policy.linear_flops = 1;
    in.policy.cache_values = 1;
    in.policy.everywhere = 1;
    in.step_overhead = 1.0 / 50;
    in.weights_bytes = in.gemm_flops = in.attention_flops = in.attention_bytes = 1e18;
    in.prefill_flops = in.train_flops = 1e18;
    in.optimizer_seconds = 5;
    in.last_verdict = 8;
    in.storage_bytes = 8;  // 24 bytes take 3 s.
    in.publish_bytes = 2.0 / 12;
    in.load_bytes = 2.0 / 6;
    in.restart_seconds = 100;
    layout.is_split = mode != "sync";
    layout.generating_devices = 4;
    layout.width = 1;
    layout.learner.devices = 4;
    layout.generating.parts = {{"cache", 1e18}};
    lengths(1000);
  }

  // All of one length, but for a share that goes on to a limit.
  Case& lengths(double usual, double limit = 0, double share = 0) {
    LengthCourse& l = inputs.lengths;
    const double most = limit > 0 ? limit : usual;
    l.mean_by_step = {{0, usual * (1 - share) + most * share}};
    l.limit_by_step = {{0, most}};
    l.sigma = 0;
    l.runaway = share;
    l.late_from_step = 1e9;
    return *this;
  }

  SimulationResult run(SimulationOptions options = {}) const {
    auto result = simulate_job(subject, inputs, layout, options);
    REQUIRE_MESSAGE(result, result.error().message);
    return *std::move(result);
  }
};

// Between the ends of two rounds, when all has settled.
double seconds_per_round(const SimulationResult& r, size_t from = 3) {
  const auto& ends = r.round_ends;
  return (ends.back() - ends[from - 1]) / static_cast<double>(ends.size() - from);
}

TEST_CASE("simulation: equal responses, one round after another") {
  const SimulationResult r = Case("sync").run();
  CHECK(r.rounds == 8);
  CHECK(r.steps == 32);
  CHECK(seconds_per_round(r) == near(1000 / 50.0 + 8 + 4 * 5 + 3 + 12));
  CHECK(r.staleness_max == 3);
  CHECK(r.learn_seconds == near(32 * 5.0));
}

TEST_CASE("simulation: a round takes as long as its longest response") {
  const SimulationResult r = Case("sync").lengths(1000, 8000, 0.1).run();
  CHECK(seconds_per_round(r) == near(8000 / 50.0 + 8 + 4 * 5 + 3 + 12));
}

TEST_CASE("simulation: the learner bounds rounds that overlap") {
  Case one("pipelined", 1);
  one.inputs.costs.optimizer_seconds = 20;
  const SimulationResult r = one.run();
  // Publications and points are the learner's, too.
  CHECK(seconds_per_round(r) == near(4 * 20 + 3 + 12, 0.02));
  CHECK(r.staleness_max == 7);
  CHECK(1 - r.learning_busy / r.learning_all < 0.15);
}

TEST_CASE("simulation: a long response holds its worker, whatever the lag") {
  for (const int64_t lag : {1, 2}) {
    Case one("pipelined", lag, 48);
    one.inputs.costs.optimizer_seconds = 1;
    one.inputs.costs.load_bytes = 2.0 / 60;
    const SimulationResult r = one.lengths(500, 30000, 0.2).run();
    CAPTURE(lag);
    CHECK(seconds_per_round(r, 4) == near(30000 / 50.0 + 60, 0.02));
    CHECK(r.staleness_max == 4 * (lag + 1) - 1);
  }
}

TEST_CASE("simulation: without a lag, the same job waits for each round in turn") {
  Case one("pipelined", 1);
  one.subject.job.schedule = {.mode = "sync", .checkpoint_every_steps = 4};
  const SimulationResult r = one.lengths(500, 30000, 0.2).run();
  CHECK(seconds_per_round(r) == near(6 + 30000 / 50.0 + 8 + 20 + 3 + 12, 0.02));
}

TEST_CASE("simulation: tokens, busy time and rounds add up") {
  const Case one = Case("pipelined", 1).lengths(500, 3000, 0.3);
  const SimulationResult r = one.run();
  double tokens = 0;
  for (uint64_t round = 0; round < 8; ++round) {
    for (const double length : sample_lengths(one.inputs.lengths.at(0), 32, 8, 1, round)) {
      tokens += length;
    }
  }
  CHECK(r.tokens == tokens);
  CHECK(r.tokens_again == 0);
  CHECK(r.generating_busy <= r.generating_all);
  CHECK(r.devices_busy == doctest::Approx(r.generating_busy + r.learning_busy));
  CHECK(r.devices_all == doctest::Approx(8 * r.seconds));
  CHECK(r.round_ends.size() == 8);
  CHECK(r.hours == doctest::Approx(r.seconds / 3600));
  // How many tokens travel changes no time.
  CHECK(one.run({.token_scale = 7}).seconds == r.seconds);
}

TEST_CASE("simulation: few rounds stand for all") {
  const Case one("sync", 0, 400);
  const SimulationResult all = one.run(), few = one.run({.rounds = 10});
  CHECK(all.rounds == 100);
  CHECK(few.rounds == 10);
  CHECK(few.hours == near(all.hours));
}

TEST_CASE("simulation: the same seed gives the same run, another one another") {
  const Case one = Case("pipelined", 2).lengths(500, 3000, 0.02);
  const SimulationResult a = one.run({.seed = 3}), b = one.run({.seed = 3});
  CHECK(a.round_ends == b.round_ends);
  CHECK(a.events == b.events);
  CHECK(one.run({.seed = 4}).tokens != a.tokens);
}

TEST_CASE("simulation: asynchronous runs keep their bound, and go on by newer versions") {
  Case one("async");
  one.inputs.costs.optimizer_seconds = 1;
  const SimulationResult r = one.lengths(500, 10000, 0.1).run();
  CHECK(r.rounds == 8);
  CHECK(r.staleness_max <= 11);
  CHECK(r.staleness_mean > 0);
}

TEST_CASE("simulation: failures cost time, and the run comes to its end all the same") {
  for (const char* mode : {"sync", "pipelined"}) {
    Case one(mode, std::string(mode) == "sync" ? 0 : 1, 64);
    one.lengths(1000, 4000, 0.1);
    const SimulationResult quiet = one.run();
    one.inputs.costs.mtbf_seconds = 4000;
    const SimulationResult r = one.run({.has_failures = true});
    CAPTURE(std::string(mode));
    CHECK(r.failures > 0);
    CHECK(r.steps == quiet.steps);
    CHECK(r.tokens >= quiet.tokens);
    CHECK(r.tokens_again > 0);
    CHECK(r.seconds > quiet.seconds + 100);
  }
}

TEST_CASE("simulation: pictures have what was done") {
  const SimulationResult r = Case("pipelined", 1).run({.keeps_spans = true});
  CHECK(r.spans.size() == 8 * 4 + 32);
  CHECK(to_svg(r).find("<rect") != std::string::npos);
  const auto trace = nlohmann::json::parse(to_chrome_trace(r));
  CHECK(trace["traceEvents"].size() == r.spans.size());
}

TEST_CASE("simulate command: what it says of R1-Zero, the same bytes each time") {
  const auto run = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "simulate");
    tests::Process process({.arguments = std::move(arguments)});
    return process.wait();
  };
  const std::string job = std::string(TROUPE_SOURCE_DIR) + "/cluster/jobs/r1-zero.toml";
  const std::vector<std::string> arguments = {job, "--cluster", "64x8xH800", "--rounds",
                                              "3", "--draws",   "50",        "--json"};
  const auto first = run(arguments);
  REQUIRE(first.exit_code == 0);
  const auto json = nlohmann::json::parse(first.out);
  CHECK(json["hours"].get<double>() == doctest::Approx(198).epsilon(0.2));
  CHECK(json["hours_range"][0].get<double>() < json["hours"].get<double>());
  CHECK(json["cost"].get<double>() ==
        doctest::Approx(json["hours"].get<double>() * 1024).epsilon(1e-3));
  CHECK(json["idle"]["rollout"].get<double>() > 0);
  CHECK(json["tokens"].get<double>() > 1e10);
  CHECK(run(arguments).out == first.out);

  const auto refused = run({job, "--cluster", "1x8xH800"});
  CHECK(refused.exit_code == 2);
  CHECK(refused.error.find("GB are short") != std::string::npos);
  CHECK(run({job, "--cluster", "64x8xH800", "--schedule", "pipelind:2"})
            .error.find("the nearest: pipelined") != std::string::npos);
}

}  // namespace
}  // namespace troupe::cluster
