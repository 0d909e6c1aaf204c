// Who does the work does not reach the history: any number of workers, together or apart.
#include <doctest/doctest.h>

#include "tests/support/killed_run.h"

namespace troupe {
namespace {

const std::vector<std::string> kJob =
    tests::with(tests::kKilledJob, {"sft.steps=10", "grpo.steps=10"});

// All layouts of one job: one history.
void check_layouts(const std::vector<std::string>& changes,
                   const std::vector<std::vector<std::string>>& layouts) {
  const tests::ShortJob job;
  nlohmann::json first;
  for (size_t i = 0; i < layouts.size(); ++i) {
    CAPTURE(i);
    const std::string home = "layout" + std::to_string(i);
    const auto result = tests::result_of(
        tests::troupe(job.run(home, tests::with(tests::with(kJob, changes), layouts[i]))));
    const auto history = tests::history_of(result);
    if (first.is_null()) first = history;
    CHECK(history == first);
    CHECK(result["ledger"]["workers_lost"] == 0);
    CHECK(result["trajectories"]["regenerated"] == 0);
  }
}

TEST_CASE("layouts: the same history for any number of workers and threads") {
  check_layouts({},
                {
                    {},
                    {"resources.threads_per_worker=2", "resources.verifier=2"},
                    {"resources.rollout=3"},
                    {"resources.placement=split"},
                    {"resources.placement=split", "resources.rollout=2", "resources.verifier=2",
                     "resources.threads_per_worker=2"},
                    {"resources.placement=split", "resources.rollout=3", "resources.verifier=2"},
                });
}

TEST_CASE("layouts: the same history for any number of workers where generation runs ahead") {
  for (const char* lag : {"schedule.lag=1", "schedule.lag=2"}) {
    CAPTURE(std::string(lag));
    check_layouts({"schedule.mode=pipelined", lag, "resources.placement=split"},
                  {{}, {"resources.rollout=2", "resources.verifier=2"}, {"resources.rollout=4"}});
  }
}

}  // namespace
}  // namespace troupe
