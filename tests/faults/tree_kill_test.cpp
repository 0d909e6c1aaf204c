// kill -9 of the head: the job goes on and ends with the same history.
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

// A schedule's job, and how it ends when nothing happens.
class Schedule {
 public:
  explicit Schedule(const std::vector<std::string>& changes, const std::string& name)
      : changes_(tests::with(kJob, changes)),
        name_(name),
        undisturbed_(tests::result_of(tests::troupe(job().run(name + "_undisturbed", changes_)))) {}

  const nlohmann::json& undisturbed() const { return undisturbed_; }

  // How many kills hit it while it ran.
  size_t check_killed(const std::string& name, const tests::Moment& moment) const {
    const std::string home = name_ + "_" + name;
    const auto survived = tests::survive(job().run(home, changes_), job().file(home), {moment});
    CHECK(tests::history_of(survived.result) == tests::history_of(undisturbed_));
    tests::check_store(job().file(home), kSteps, kSftSteps, kGroupsPerStep);
    return survived.kills;
  }

 private:
  std::vector<std::string> changes_;
  std::string name_;
  nlohmann::json undisturbed_;
};

const Schedule& sync_schedule() {
  static const Schedule schedule({}, "sync");
  return schedule;
}

// Just when so many lines of metrics are there: amid the rounds.
void amid_rounds(tests::Process& run, const std::string& home) {
  static_cast<void>(
      run.waits_for([&] { return tests::lines_in(home + "/metrics.jsonl") >= kSftSteps + 7; },
                    std::chrono::seconds(60)));
}

TEST_CASE("a run that is killed at any moment and resumed ends with the same history") {
  const auto& want = sync_schedule().undisturbed();
  const auto whole_ms = static_cast<int>(1000 * want["seconds"].get<double>());
  std::mt19937 random(5);
  for (int i = 0; i < 3; ++i) {
    // One in each third of the run.
    const int ms =
        static_cast<int>((static_cast<unsigned>(i) * 100 + random() % 100)) * whole_ms / 300;
    CAPTURE(ms);
    sync_schedule().check_killed("killed" + std::to_string(i),
                                 tests::after(std::chrono::milliseconds(ms)));
  }
}

// No time hits them for certain: they are a small part of the run.
TEST_CASE("a run that is killed amid its rounds goes on with the prompts that come next") {
  CHECK(sync_schedule().check_killed("amid_rounds", amid_rounds) == 1);
}

TEST_CASE("a run whose generation runs ahead is killed amid its rounds: the same history") {
  const Schedule pipelined(
      {"schedule.mode=pipelined", "schedule.lag=2", "resources.placement=split"}, "pipelined");
  CHECK(pipelined.check_killed("amid_rounds", amid_rounds) == 1);
}

}  // namespace
}  // namespace troupe
