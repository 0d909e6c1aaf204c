// kill -9 of the head, and so of everything: the job goes on and ends with the same history.
#include <doctest/doctest.h>

#include <random>

#include "tests/support/tree_kill.h"

namespace troupe {
namespace {

const std::vector<std::string> kJob =
    tests::with(tests::kKilledJob, {"sft.steps=20", "grpo.steps=12"});
constexpr uint64_t kSftSteps = 20;
constexpr uint64_t kSteps = kSftSteps + 12;
constexpr uint64_t kGroupsPerStep = 4;

const tests::ShortJob& job() {
  static const tests::ShortJob instance;
  return instance;
}

const nlohmann::json& undisturbed() {
  static const nlohmann::json result =
      tests::result_of(tests::troupe(job().run("undisturbed", kJob)));
  return result;
}

// How many kills hit it while it ran.
size_t check_killed(const std::string& name, const tests::Moment& moment) {
  const auto survived = tests::survive(job().run(name, kJob), job().file(name), {moment});
  CHECK(tests::history_of(survived.result) == tests::history_of(undisturbed()));
  tests::check_store(job().file(name), kSteps, kSftSteps, kGroupsPerStep);
  return survived.kills;
}

TEST_CASE("a run that is killed at any moment and resumed ends with the same history") {
  const auto& want = undisturbed();
  const auto whole_ms = static_cast<int>(1000 * want["seconds"].get<double>());
  std::mt19937 random(5);
  for (int i = 0; i < 3; ++i) {
    // One in each third of the run.
    const int ms =
        static_cast<int>((static_cast<unsigned>(i) * 100 + random() % 100)) * whole_ms / 300;
    CAPTURE(ms);
    check_killed("killed" + std::to_string(i), tests::after(std::chrono::milliseconds(ms)));
  }
}

// No time hits them for certain: they are a small part of the run.
TEST_CASE("a run that is killed amid its rounds goes on with the prompts that come next") {
  const auto amid_rounds = [](tests::Process& run, const std::string& home) {
    static_cast<void>(
        run.waits_for([&] { return tests::lines_in(home + "/metrics.jsonl") >= kSftSteps + 7; },
                      std::chrono::seconds(60)));
  };
  CHECK(check_killed("amid_rounds", amid_rounds) == 1);
}

}  // namespace
}  // namespace troupe
