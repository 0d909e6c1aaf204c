// A run's home: what is in it is replaced on request only, and a run that has ended goes on longer
// to the weights of one that was to be so long from the beginning.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/short_job.h"

namespace troupe {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using tests::contents;
using tests::Ended;
using tests::Invocation;
using tests::ShortJob;
using Texts = std::vector<std::string>;

Invocation with(Invocation invocation, const std::string& flag) {
  invocation.arguments.push_back(flag);
  return invocation;
}

json result_of(const Ended& ended) {
  REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
  return json::parse(ended.out);
}

TEST_CASE("home: an ended run is replaced by --overwrite only") {
  const ShortJob job;
  const json first = result_of(tests::troupe(job.run("home")));
  const std::string manifest = contents(first["checkpoint"].get<std::string>() + "/manifest.json");
  const Texts other = {"seed=2", "grpo.learning_rate=1e-2"};
  const Ended refused = tests::troupe(job.run("home", other));
  CHECK(refused.exit_code == 2);
  CHECK(refused.error.find("home holds a finished job (step 6 of 6) and its checkpoints") !=
        std::string::npos);
  CHECK(refused.error.find("--overwrite") != std::string::npos);
  CHECK(contents(first["checkpoint"].get<std::string>() + "/manifest.json") == manifest);
  // The same job again is not done again either.
  CHECK(result_of(tests::troupe(with(job.run("home"), "--resume")))["weights_sha256"] ==
        first["weights_sha256"]);
  const json second = result_of(tests::troupe(with(job.run("home", other), "--overwrite")));
  CHECK(second["weights_sha256"] != first["weights_sha256"]);
  CHECK(second["weights_sha256"] ==
        result_of(tests::troupe(job.run("away", other)))["weights_sha256"]);
  CHECK(tests::troupe(with(with(job.run("home"), "--overwrite"), "--resume")).exit_code == 2);
}

TEST_CASE("home: folders that no run made are not removed") {
  const ShortJob job;
  fs::create_directories(job.file("mine/checkpoints"));
  tests::write_text(job.file("mine/checkpoints/notes.txt"), "mine");
  const Ended refused = tests::troupe(job.run("mine"));
  CHECK(refused.exit_code == 2);
  CHECK(refused.error.find("mine/checkpoints is there already") != std::string::npos);
  CHECK(contents(job.file("mine/checkpoints/notes.txt")) == "mine");
}

TEST_CASE("home: a resume of another job names the keys that differ, with both values") {
  const ShortJob job;
  result_of(tests::troupe(job.run("home")));
  const auto refusal = [&](const Texts& set) {
    const Ended ended = tests::troupe(with(job.run("home", set), "--resume"));
    CHECK(ended.exit_code == 2);
    return ended.error;
  };
  CHECK(refusal({"grpo.learning_rate=1e-2", "seed=3"})
            .find("seed is 3, there it is 1; grpo.learning_rate is 0.01, there it is ") !=
        std::string::npos);
  CHECK(refusal({"rewards.format.weight=0.2"})
            .find("rewards.format is { verifier = \"r1_format\", weight = 0.2 }, there it is") !=
        std::string::npos);
  CHECK(refusal({"grpo.steps=0"}).find("grpo.steps is 0, there it is 2") != std::string::npos);
}

TEST_CASE("home: a finished run goes on longer, to the same weights in every schedule") {
  const ShortJob job;
  const Texts rare = {"schedule.checkpoint_every_steps=0"};
  const std::vector<Texts> schedules = {
      {},
      {"grpo.off_policy_correction=truncated"},
      {"schedule.mode=pipelined", "schedule.lag=1", "resources.placement=split"},
      {"schedule.mode=pipelined", "schedule.lag=3", "resources.placement=split"},
      {"schedule.mode=pipelined", "schedule.lag=2", "resources.placement=split",
       "grpo.off_policy_correction=decoupled", "schedule.checkpoint_every_steps=3"}};
  for (size_t i = 0; i < schedules.size(); ++i) {
    CAPTURE(i);
    const auto steps = [&](const char* count) {
      Texts set = rare;
      set.insert(set.end(), schedules[i].begin(), schedules[i].end());
      set.push_back(std::string("grpo.steps=") + count);
      return set;
    };
    const std::string once = "once" + std::to_string(i), twice = "twice" + std::to_string(i);
    const json whole = result_of(tests::troupe(job.run(once, steps("8"))));
    const json part = result_of(tests::troupe(job.run(twice, steps("2"))));
    CHECK(part["steps"] == 6);
    const json more = result_of(tests::troupe(with(job.run(twice, steps("4")), "--resume")));
    CHECK(more["steps"] == 8);
    const json all = result_of(tests::troupe(with(job.run(twice, steps("8")), "--resume")));
    CHECK(all["steps"] == 12);
    CHECK(all["weights_sha256"] == whole["weights_sha256"]);
    CHECK(all["trajectories"]["learned"] == whole["trajectories"]["learned"]);
  }
}

TEST_CASE("home: no evaluation and no recovery point but the last where 0 is said") {
  const ShortJob job;
  const json result = result_of(tests::troupe(
      job.run("home", {"eval.problems=0", "schedule.checkpoint_every_steps=0", "grpo.steps=4"})));
  CHECK(result["cost_per_solved_problem"].is_null());
  CHECK(contents(job.file("home/metrics.jsonl")).find("pass_at_1") == std::string::npos);
  size_t checkpoints = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(job.file("home/checkpoints"))) {
    ++checkpoints;
  }
  CHECK(checkpoints == 1);
}

}  // namespace
}  // namespace troupe
