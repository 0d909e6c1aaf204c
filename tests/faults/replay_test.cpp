// A history that depends on when things happened is written down, and comes out the same from that.
#include <doctest/doctest.h>

#include "tests/support/killed_run.h"

namespace troupe {
namespace {

// From random weights responses are long, and they are few, so that learning is the faster of the
// two and policies come in flight.
const std::vector<std::string> kJob =
    tests::with(tests::kKilledJob,
                {"sft.steps=0", "grpo.steps=60", "grpo.prompts_per_round=1", "grpo.group_size=2",
                 "grpo.minibatches_per_round=1", "rollout.max_response_tokens=200",
                 "learner.microbatch_tokens=512", "eval.every_steps=0", "schedule.mode=async",
                 "schedule.staleness_max_steps=15", "resources.placement=split"});

// Trajectories of a job, and those of them that more than one policy wrote.
std::pair<size_t, size_t> count_trajectories(const std::string& home) {
  const auto store = actors::ReplayStore::open(cluster::store_folder(home));
  REQUIRE_MESSAGE(store, store.error().message);
  const auto groups = (*store)->list(1, actors::RecordKind::kGroup);
  REQUIRE(groups);
  size_t all = 0, switched = 0;
  for (const auto& stored : *groups) {
    const auto group = decode_group_record(stored.value);
    REQUIRE(group);
    for (const Trajectory& trajectory : group->trajectories) {
      ++all;
      switched += trajectory.versions.size() > 1 ? 1 : 0;
    }
  }
  return {all, switched};
}

TEST_CASE("replay: an async run is learned again from its groups, to the same weights") {
  const tests::ShortJob job;
  const auto kept = tests::with(kJob, {"schedule.keep_groups=true"});
  const auto first = tests::result_of(tests::troupe(job.run("first", kept)));
  const auto [all, switched] = count_trajectories(job.file("first"));
  CHECK(all == static_cast<size_t>(first["trajectories"]["learned"].get<int64_t>()));
  CHECK(switched > 0);

  const auto again =
      tests::result_of(tests::troupe(tests::replayed(job.run("again", kept), job.file("first"))));
  CHECK(again["weights_sha256"] == first["weights_sha256"]);
  CHECK(again["trajectories"]["learned"] == first["trajectories"]["learned"]);
  CHECK(again["trajectories"]["generated"] == 0);
  CHECK(again["ledger"]["tokens_learned"] == first["ledger"]["tokens_learned"]);

  const auto refusal = [&](const tests::Invocation& run) {
    const tests::Ended ended = tests::troupe(run);
    CHECK(ended.exit_code == 2);
    return ended.error;
  };
  CHECK(refusal(tests::replayed(job.run("other", tests::with(kept, {"seed=2"})), job.file("first")))
            .find("the job is not the one") != std::string::npos);
  CHECK(refusal(tests::replayed(job.run("first", kept), job.file("first")))
            .find("a --home of its own") != std::string::npos);
  CHECK(refusal(tests::replayed(job.run("none", kept), job.file("nowhere")))
            .find("holds no job to replay") != std::string::npos);
}

TEST_CASE("replay: a run that has forgotten its groups says how to keep them") {
  const tests::ShortJob job;
  tests::result_of(tests::troupe(job.run("first", {"schedule.checkpoints_kept=1"})));
  const tests::Ended ended = tests::troupe(
      tests::replayed(job.run("again", {"schedule.checkpoints_kept=1"}), job.file("first")));
  CHECK(ended.exit_code == 2);
  CHECK(ended.error.find("schedule.keep_groups=true") != std::string::npos);
}

}  // namespace
}  // namespace troupe
