// Workers that do not learn outlive their head: they end what they have in hand and go on under the
// next one, or end when none comes.
#include <doctest/doctest.h>

#include <random>

#include "tests/support/text.h"
#include "tests/support/tree_kill.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::Process;
using namespace std::chrono_literals;

constexpr uint64_t kSftSteps = 6;
constexpr uint64_t kSteps = kSftSteps + 30;
constexpr uint64_t kGroupsPerStep = 4;
const std::vector<std::string> kJob =
    tests::with(tests::kKilledJob,
                {"sft.steps=6", "grpo.steps=30", "eval.every_steps=0", "resources.placement=split",
                 "resources.rollout=2", "rollout.max_response_tokens=64"});
const std::vector<std::string> kAhead = {"schedule.mode=pipelined", "schedule.lag=1"};
const std::vector<std::string> kAsync = {"schedule.mode=async", "schedule.keep_groups=true"};

const tests::ShortJob& job() {
  static const tests::ShortJob instance;
  return instance;
}

std::string home_of(const std::string& name) { return job().file(name); }

// Amid the rounds.
void learns(Process& run, const std::string& home) {
  tests::behind_lines(kSftSteps + 6, 0ms)(run, home);
}

// A run that is killed amid its rounds: who is left, by slot.
std::map<int, pid_t> left_behind(const std::string& name, const std::vector<std::string>& set) {
  Process run(job().run(name, set));
  learns(run, home_of(name));
  CHECK(tests::kill_head(run, home_of(name)).exit_code == -1);
  return tests::workers_of(home_of(name));
}

bool are_gone(const std::string& home, std::chrono::milliseconds patience) {
  return tests::comes_true([&] { return tests::workers_of(home).empty(); }, patience);
}

void check_history(const std::string& name, const json& result, const json& undisturbed) {
  CHECK(tests::history_of(result) == tests::history_of(undisturbed));
  tests::check_store(home_of(name), kSteps, kSftSteps, kGroupsPerStep);
  CHECK(tests::workers_of(home_of(name)).empty());
}

const json& undisturbed(const std::string& name, const std::vector<std::string>& set) {
  static std::map<std::string, json> results;
  auto& result = results[name];
  if (result.is_null()) result = tests::result_of(tests::troupe(job().run(name, set)));
  return result;
}

TEST_CASE("survivors: rollouts and verifiers go on under the next head, to the same history") {
  size_t in_hand = 0;
  for (const auto& [name, schedule] :
       {std::pair<const char*, std::vector<std::string>>{"sync", {}}, {"ahead", kAhead}}) {
    CAPTURE(std::string(name));
    const auto set = tests::with(kJob, schedule);
    const std::string home = home_of(name);
    Process first(job().run(name, set));
    learns(first, home);
    auto before = tests::workers_of(home);
    CHECK(before.size() == 4);
    before.erase(0);
    CHECK(tests::kill_head(first, home).exit_code == -1);
    CHECK(tests::workers_of(home) == before);

    Process second(tests::resumed(job().run(name, set)));
    const size_t lines = tests::lines_in(home + "/metrics.jsonl");
    REQUIRE(
        second.waits_for([&] { return tests::lines_in(home + "/metrics.jsonl") > lines; }, 60s));
    auto after = tests::workers_of(home);
    CHECK(after.erase(0) == 1);
    CHECK(after == before);
    const auto ended = second.wait();
    CHECK(tests::count_of(ended.error, "has outlived its head") == 3);
    in_hand += tests::count_of(ended.error, "groups in hand");
    CHECK(ended.error.find("is lost") == std::string::npos);
    check_history(name, tests::result_of(ended),
                  undisturbed(std::string("undisturbed_") + name, set));
  }
  CHECK(in_hand > 0);
}

TEST_CASE("survivors: an asynchronous run goes on with them and can be replayed") {
  const auto set = tests::with(kJob, kAsync);
  CHECK(left_behind("async", set).size() == 3);
  const auto ended = tests::troupe(tests::resumed(job().run("async", set)));
  CHECK(tests::count_of(ended.error, "has outlived its head") == 3);
  const json result = tests::result_of(ended);
  tests::check_store(home_of("async"), kSteps, kSftSteps, kGroupsPerStep);
  const json replayed =
      tests::result_of(tests::troupe(tests::replayed(job().run("replay", set), home_of("async"))));
  CHECK(replayed["weights_sha256"] == result["weights_sha256"]);
}

TEST_CASE("survivors: heads that are killed one after the other, some before anybody is back") {
  const auto set = tests::with(kJob, kAhead);
  const std::string home = home_of("heads");
  left_behind("heads", set);
  std::mt19937 random(31);
  for (int i = 0; i < 8; ++i) {
    Process run(tests::resumed(job().run("heads", set)));
    static_cast<void>(
        run.waits_for([] { return false; }, std::chrono::milliseconds(random() % 500)));
    CHECK(tests::kill_head(run, home).exit_code == -1);
  }
  const auto ended = tests::troupe(tests::resumed(job().run("heads", set)));
  CHECK(tests::count_of(ended.error, "has outlived its head") > 0);
  check_history("heads", tests::result_of(ended), undisturbed("undisturbed_ahead", set));
}

TEST_CASE("survivors: one that was killed or stands still is replaced") {
  const auto set = tests::with(kJob, {"resources.rollout=1"});
  const auto left = left_behind("stopped", set);
  REQUIRE(left.size() == 2);
  REQUIRE(::kill(left.at(1), SIGSTOP) == 0);
  REQUIRE(::kill(left.at(2), SIGKILL) == 0);
  const auto ended = tests::troupe(tests::resumed(job().run("stopped", set)));
  CHECK(tests::count_of(ended.error, "has outlived its head") == 0);
  CHECK(ended.error.find("worker 1 (rollout) is lost: not back after 5 s") != std::string::npos);
  CHECK_FALSE(tests::is_running(left.at(1)));
  check_history("stopped", tests::result_of(ended), undisturbed("undisturbed_sync", kJob));
}

TEST_CASE("survivors: the next head may have a use for fewer of them, or for others") {
  const std::string home = home_of("fewer");
  CHECK(left_behind("fewer", kJob).size() == 3);
  const auto set = tests::with(kJob, {"resources.rollout=1", "resources.verifier=2"});
  const auto ended = tests::troupe(tests::resumed(job().run("fewer", set)));
  CHECK(tests::count_of(ended.error, "has outlived its head") == 3);
  check_history("fewer", tests::result_of(ended), undisturbed("undisturbed_sync", kJob));
}

TEST_CASE("survivors: they end when no head comes, at once when none is to be waited for") {
  const auto with_patience = [](const char* seconds) {
    return tests::with(kJob, {std::string("resources.reconnect_seconds=") + seconds});
  };
  left_behind("at_once", with_patience("0"));
  CHECK(are_gone(home_of("at_once"), 2s));
  CHECK(left_behind("soon", with_patience("3")).size() == 3);
  CHECK_FALSE(are_gone(home_of("soon"), 1s));
  CHECK(are_gone(home_of("soon"), 4s));
}

TEST_CASE("survivors: none is left by a head that was told to stop, however it ends then") {
  const std::string home = home_of("stops");
  Process run(job().run("stops", tests::with(kJob, {"grpo.steps=100000"})));
  learns(run, home);
  // A step that takes long, so that it is still at it.
  for (const auto& [slot, pid] : tests::workers_of(home)) REQUIRE(::kill(pid, SIGSTOP) == 0);
  run.signal(SIGINT);
  CHECK(run.waits_for([&] { return !std::filesystem::exists(home + "/credentials/head"); }, 5s));
  for (const auto& [slot, pid] : tests::workers_of(home)) REQUIRE(::kill(pid, SIGCONT) == 0);
  run.signal(SIGINT);
  static_cast<void>(run.wait());
  CHECK(are_gone(home, 2s));
}

TEST_CASE("survivors: they end when the folder is removed that the next head would be in") {
  CHECK(left_behind("removed", kJob).size() == 3);
  std::filesystem::remove_all(home_of("removed"));
  CHECK(are_gone(home_of("removed"), 2s));
}

}  // namespace
}  // namespace troupe
