// A learner of several ranks: however many there are, and whoever of them is killed or stopped, the
// history of the undisturbed learner that is alone.
#include <doctest/doctest.h>

#include "tests/support/team_run.h"
#include "tests/support/tree_kill.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::Process;
using tests::ShortJob;
using namespace std::chrono_literals;

const std::vector<std::string> kJob = tests::with(
    tests::kKilledJob,
    {"sft.steps=10", "grpo.steps=30", "eval.every_steps=15", "resources.threads_per_worker=1"});

const ShortJob& job() {
  static const ShortJob instance;
  return instance;
}

std::vector<std::string> of_ranks(int num_ranks, const std::vector<std::string>& more = {}) {
  return tests::with(tests::with(kJob, {"resources.learner=" + std::to_string(num_ranks)}), more);
}

json run(const std::string& home, const std::vector<std::string>& set) {
  return tests::team_history_of(tests::result_of(tests::troupe(job().run(home, set))),
                                job().file(home));
}

const json& alone() {
  static const json history = run("alone", of_ranks(1));
  return history;
}

TEST_CASE("a team of ranks, apart or with the rollouts, learns what one learner learns") {
  CHECK(run("two", of_ranks(2, {"resources.threads_per_worker=2"})) == alone());
  CHECK(run("four", of_ranks(4, {"resources.placement=split", "resources.rollout=2"})) == alone());
}

TEST_CASE("a team whose ranks are killed and stopped ends as if nothing had been") {
  for (const std::string placement : {"colocated", "split"}) {
    CAPTURE(placement);
    const std::string home = job().file(placement);
    Process process(job().run(
        placement, of_ranks(4, {"resources.placement=" + placement, "resources.rollout=2"})));
    REQUIRE(process.waits_for([&] { return tests::lines_in(home + "/metrics.jsonl") > 0; }, 60s));
    tests::strike_ranks(process, home, 4, {.kills = 3, .stops = 1}, 7);
    const json result = tests::result_of(process.wait());
    CHECK(tests::team_history_of(result, home) == alone());
    CHECK(tests::workers_of(home).empty());
  }
}

TEST_CASE("a job goes on with another number of ranks, to the same end") {
  const std::string home = job().file("changed");
  Process first(job().run("changed", of_ranks(4)));
  REQUIRE(first.waits_for([&] { return tests::lines_in(home + "/metrics.jsonl") > 12; }, 60s));
  static_cast<void>(tests::kill_tree(first, home));
  Process second(tests::resumed(job().run("changed", of_ranks(1))));
  REQUIRE(second.waits_for([&] { return tests::lines_in(home + "/metrics.jsonl") > 30; }, 60s));
  static_cast<void>(tests::kill_tree(second, home));
  const json result =
      tests::result_of(tests::troupe(tests::resumed(job().run("changed", of_ranks(2)))));
  CHECK(tests::team_history_of(result, home) == alone());
}

TEST_CASE("a number of ranks that does not divide the lanes is refused with those that do") {
  const tests::Ended ended = tests::troupe(job().run("three", of_ranks(3)));
  CHECK(ended.exit_code == 2);
  CHECK(ended.error.find("resources.learner is 3; with learner.gradient_lanes = 4 it may be 1, 2, "
                         "4") != std::string::npos);
  CHECK(tests::troupe(job().run("eight", of_ranks(8))).exit_code == 2);
}

}  // namespace
}  // namespace troupe
