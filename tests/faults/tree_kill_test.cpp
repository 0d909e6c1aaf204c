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

TEST_CASE("a run that is killed at any moment and resumed ends with the same history") {
  const tests::ShortJob job;
  const auto want = tests::result_of(tests::troupe(job.run("undisturbed", kJob)));
  const auto whole_ms = static_cast<int>(1000 * want["seconds"].get<double>());
  std::mt19937 random(5);
  for (int i = 0; i < 3; ++i) {
    // One in each third of the run.
    const int ms =
        static_cast<int>((static_cast<unsigned>(i) * 100 + random() % 100)) * whole_ms / 300;
    CAPTURE(ms);
    const std::string name = "killed" + std::to_string(i);
    const auto survived = tests::survive(job.run(name, kJob), job.file(name),
                                         {tests::after(std::chrono::milliseconds(ms))});
    CHECK(tests::history_of(survived.result) == tests::history_of(want));
    tests::check_store(job.file(name), kSteps, kSftSteps, kGroupsPerStep);
  }
}

}  // namespace
}  // namespace troupe
