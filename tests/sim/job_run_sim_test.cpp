// Scheduler, controller, workers and store under one seeded clock: whatever happens to a job, its
// history is the one that it has undisturbed. A failure prints its seed; TROUPE_SIM_SEED=<seed>
// replays that one and prints its trace.
#include "tests/sim/job_run_sim.h"

namespace troupe::tests {
namespace {

TEST_CASE("sim: a job's history does not depend on what happens to its workers and its head") {
  constexpr uint64_t kSeeds = 1000;
  check_all_happened(simulate_all(0, kSeeds), kSeeds);
}

TEST_CASE("sim: a step of other bits than before, or than another rank's, fails the job") {
  Counts counts;
  uint64_t failed = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    failed += simulate_unsound(seed, counts) ? 1 : 0;
  }
  CHECK(failed > 10);
  CHECK(failed < 100);
  CHECK(counts.wrong_steps + counts.ranks_differed >= failed);
  CHECK(counts.wrong_steps > 10);
  CHECK(counts.ranks_differed > 10);
}

TEST_CASE("sim: the same seed is the same simulation") {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    CAPTURE(seed);
    CHECK(simulate(seed).digest == simulate(seed).digest);
  }
  CHECK(simulate(0).digest != simulate(1).digest);
}

}  // namespace
}  // namespace troupe::tests
