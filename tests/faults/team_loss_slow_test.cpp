// A learner of several ranks, at length: the same history for every number of ranks whatever the
// schedule, the placement, the lanes and the threads, and whoever of the ranks is killed or
// stopped.
#include <doctest/doctest.h>

#include "tests/support/team_run.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::Process;
using tests::ShortJob;
using namespace std::chrono_literals;

using Settings = std::vector<std::string>;

const ShortJob& job() {
  static const ShortJob instance;
  return instance;
}

json history_of_run(const std::string& name, const Settings& set) {
  const std::string home = job().file(name);
  const json result = tests::result_of(tests::troupe(job().run(name, set)));
  const json history = tests::team_history_of(result, home);
  std::filesystem::remove_all(home);
  return history;
}

TEST_CASE("one history for every number of ranks, in all ways of working") {
  const Settings job_settings =
      tests::with(tests::kKilledJob, {"sft.steps=6", "grpo.steps=12", "eval.every_steps=6"});
  const std::vector<Settings> schedules = {
      {},
      {"grpo.off_policy_correction=truncated", "grpo.minibatches_per_round=4"},
      {"schedule.mode=pipelined", "schedule.lag=1", "resources.placement=split",
       "grpo.off_policy_correction=decoupled"},
      {"schedule.mode=pipelined", "schedule.lag=2", "resources.placement=split",
       "grpo.zero_variance_groups=drop"},
  };
  int runs = 0;
  for (const int lanes : {2, 4, 8}) {
    for (const Settings& schedule : schedules) {
      CAPTURE(lanes);
      CAPTURE(json(schedule).dump());
      const Settings base = tests::with(
          tests::with(job_settings, {"learner.gradient_lanes=" + std::to_string(lanes)}), schedule);
      const json alone = history_of_run("one", base);
      for (int ranks = 2; ranks <= std::min(lanes, 4); ranks *= 2) {
        for (const int threads : {1, 2}) {
          for (const std::string placement : {"colocated", "split"}) {
            if (placement == "colocated" && schedule.size() > 2) continue;  // It must be split.
            CAPTURE(ranks);
            CAPTURE(threads);
            CAPTURE(placement);
            CHECK(history_of_run("several",
                                 tests::with(base, {"resources.placement=" + placement,
                                                    "resources.learner=" + std::to_string(ranks),
                                                    "resources.threads_per_worker=" +
                                                        std::to_string(threads)})) == alone);
            ++runs;
          }
        }
      }
    }
  }
  CHECK(runs == 60);
}

TEST_CASE("async: a team of two switches versions in flight like a learner that is alone") {
  const json result = tests::result_of(tests::troupe(job().run(
      "async", tests::with(tests::kKilledJob, {"schedule.mode=async", "resources.placement=split",
                                               "resources.learner=2", "eval.every_steps=0"}))));
  CHECK(result["state"] == "finished");
  CHECK(result["steps"] == 50);
}

// So long that all strikes find it at work.
TEST_CASE("ranks are killed 60 times and stopped 20 times, to the undisturbed weights") {
  const Settings long_job =
      tests::with(tests::kKilledJob, {"sft.steps=40", "grpo.steps=1600", "eval.every_steps=800",
                                      "schedule.checkpoint_every_steps=10"});
  const json undisturbed = history_of_run("undisturbed", long_job);
  const struct {
    int ranks;
    const char* placement;
    tests::Strikes strikes;
  } teams[] = {{2, "colocated", {20, 7}}, {4, "split", {20, 7}}, {4, "colocated", {20, 6}}};
  for (const auto& team : teams) {
    CAPTURE(team.ranks);
    CAPTURE(team.placement);
    const std::string name = team.placement + std::to_string(team.ranks);
    const std::string home = job().file(name);
    Process run(job().run(
        name, tests::with(long_job, {"resources.learner=" + std::to_string(team.ranks),
                                     "resources.placement=" + std::string(team.placement)})));
    REQUIRE(run.waits_for([&] { return tests::lines_in(home + "/metrics.jsonl") > 0; }, 60s));
    tests::strike_ranks(run, home, team.ranks, team.strikes, 11);
    const json result = tests::result_of(run.wait());
    CHECK(tests::team_history_of(result, home) == undisturbed);
    CHECK(tests::workers_of(home).empty());
  }
}

}  // namespace
}  // namespace troupe
