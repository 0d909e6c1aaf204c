// Long responses are recorded in parts while they are generated: whoever goes on after a loss
// begins where they end, and the history is that of a run that records nothing and loses nothing.
#include <doctest/doctest.h>

#include "tests/support/tree_kill.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::Process;
using namespace std::chrono_literals;

// A policy that has learned nothing, whose responses end by chance: most of them are long.
class LongJob {
 public:
  LongJob() {
    std::string text = tests::contents(job_.job());
    text.replace(text.find("[rewards]"), text.find("[schedule]") - text.find("[rewards]"),
                 "[rewards]\nlength = { verifier = \"length\", max_tokens = 300, "
                 "buffer_tokens = 290 }\n");
    tests::write_text(job_.file("long.toml"), text);
  }

  tests::Invocation run(const std::string& home, const std::vector<std::string>& more = {}) const {
    auto invocation =
        job_.run(home, tests::with({"sft.steps=0", "grpo.steps=6", "grpo.prompts_per_round=16",
                                    "grpo.group_size=8", "rollout.max_response_tokens=300",
                                    "learner.microbatch_tokens=1024"},
                                   more));
    invocation.arguments[1] = job_.file("long.toml");
    return invocation;
  }
  std::string file(const std::string& name) const { return job_.file(name); }

 private:
  tests::ShortJob job_{};
};

const LongJob& job() {
  static const LongJob instance;
  return instance;
}

void check(const json& result, const std::string& home, const json& undisturbed) {
  CHECK(tests::history_of(result) == tests::history_of(undisturbed));
  const json& ledger = result["ledger"];
  MESSAGE("" << ledger["tokens_kept"] << " tokens were kept, " << ledger["tokens_regenerated"]
             << " generated again, " << ledger["tokens_generated"] << " generated");
  CHECK(ledger["tokens_kept"] > 0);
  // Nobody needs them any more.
  const auto store = actors::ReplayStore::open(cluster::store_folder(home));
  REQUIRE(store);
  const auto left = (*store)->list(1, actors::RecordKind::kSegments);
  REQUIRE(left);
  CHECK(left->empty());
}

TEST_CASE("segments: rollouts are killed again and again, and others go on with what they had") {
  const std::string home = job().file("workers");
  Process run(job().run("workers", {"rollout.segment_tokens=8", "resources.placement=split"}));
  int kills = 0;
  for (const auto wait : {300ms, 450ms, 600ms, 750ms, 900ms, 1050ms}) {
    const bool is_there = run.waits_for([&] { return tests::workers_of(home).count(1) == 1; }, 20s);
    static_cast<void>(run.waits_for([] { return false; }, wait));
    const auto workers = tests::workers_of(home);
    if (!is_there || workers.count(1) == 0) break;  // The run is over.
    ::kill(workers.at(1), SIGKILL);
    ++kills;
    static_cast<void>(run.waits_for([&] { return !tests::is_running(workers.at(1)); }, 5s));
  }
  CHECK(kills >= 2);
  check(tests::result_of(run.wait()), home,
        tests::result_of(tests::troupe(job().run("undisturbed"))));
}

TEST_CASE("segments: the next head goes on from what the store has") {
  const std::vector<std::string> ahead = {"schedule.mode=pipelined", "schedule.lag=1",
                                          "resources.placement=split"};
  const std::string home = job().file("heads");
  // Amid the responses of the round behind each line.
  std::vector<tests::Moment> moments;
  for (size_t lines = 1; lines <= 5; ++lines) moments.push_back(tests::behind_lines(lines, 150ms));
  const auto survived =
      tests::survive(job().run("heads", tests::with(ahead, {"rollout.segment_tokens=8"})), home,
                     moments, /*spares=*/false);
  CHECK(survived.kills >= 2);
  check(survived.result, home, tests::result_of(tests::troupe(job().run("ahead", ahead))));
}

TEST_CASE("segments: where a policy changes in flight they are refused") {
  const auto refused = tests::troupe(job().run(
      "refused", {"rollout.segment_tokens=8", "schedule.mode=async", "resources.placement=split"}));
  CHECK(refused.exit_code == 2);
  CHECK(refused.error.find("rollout.segment_tokens must be 0 when schedule.mode is \"async\"") !=
        std::string::npos);
}

}  // namespace
}  // namespace troupe
