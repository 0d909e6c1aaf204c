#include "actors/controller/timetable.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

JobSpec job_of(const std::string& mode) {
  JobSpec job;
  job.sft.steps = 3;
  job.grpo.steps = 8;
  job.grpo.minibatches_per_round = 2;
  job.schedule.mode = mode;
  return job;
}

TEST_CASE("timetable: steps of the cold start come first, then each round's in order") {
  const JobSpec job = job_of("sync");
  const Timetable timetable(job);
  CHECK(timetable.last_version() == 11);
  CHECK(timetable.num_rounds() == 4);
  CHECK(timetable.round_at(0) == 0);
  CHECK(timetable.round_at(4) == 0);
  CHECK(timetable.round_at(5) == 1);
  CHECK(timetable.minibatch_at(5) == 0);
  CHECK(timetable.minibatch_at(6) == 1);
  for (uint64_t round = 0; round < 4; ++round) {
    const uint64_t after = timetable.version_after(round);
    CHECK(timetable.round_at(after - 1) == round);
    CHECK(timetable.round_at(after) == round + 1);
    CHECK(timetable.begins_round(after));
    CHECK_FALSE(timetable.begins_round(after - 1));
  }
  CHECK(timetable.begins_round(3));  // The first round's, without a round before it.
}

TEST_CASE("timetable: a lag is kept for rounds that a longer job would have") {
  JobSpec job = job_of("pipelined");
  job.schedule.lag = 2;
  const Timetable timetable(job);
  CHECK(timetable.generates(0) == 3);
  CHECK(timetable.generates(2) == 3);
  CHECK(timetable.generates(3) == 5);
  CHECK(timetable.num_rounds_provided_for() == 6);
  job.grpo.steps = 0;  // What has no rounds has none to come.
  CHECK(timetable.num_rounds_provided_for() == 0);
}

TEST_CASE(
    "timetable: an asynchronous schedule is as far ahead as staleness allows, and no further") {
  JobSpec job = job_of("async");
  job.schedule.staleness_max_steps = 5;
  const Timetable timetable(job);
  CHECK(timetable.num_rounds_provided_for() == timetable.num_rounds());
  for (uint64_t round = 0; round < 4; ++round) {
    // Its last step begins at this version.
    const uint64_t last = timetable.version_after(round) - 1;
    CHECK(last - timetable.generates(round) <= 5);
  }
  CHECK(timetable.version_after(3) - 1 - timetable.generates(3) == 5);
}

}  // namespace
}  // namespace troupe::actors
