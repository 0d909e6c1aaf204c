// The queue of a cluster under a seeded clock: whatever happens to hosts and jobs, no job is half
// placed, no slot is used twice, and nobody starves. A failure prints its seed; TROUPE_SIM_SEED
// replays that one and prints its trace.
#include "tests/sim/cluster_sim.h"

namespace troupe::tests {
namespace {

TEST_CASE("cluster sim: every job gets its turn, and every slot has one user") {
  constexpr uint64_t kSeeds = 200;
  check_all_happened(simulate_clusters(0, kSeeds), kSeeds);
}

TEST_CASE("cluster sim: the same seed is the same simulation") {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    CAPTURE(seed);
    CHECK(simulate_cluster(shape_of(seed), seed).digest ==
          simulate_cluster(shape_of(seed), seed).digest);
  }
  CHECK(simulate_cluster(shape_of(0), 0).digest != simulate_cluster(shape_of(1), 1).digest);
}

}  // namespace
}  // namespace troupe::tests
