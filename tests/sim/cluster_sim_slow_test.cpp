// More of the same: see cluster_sim_test.cpp.
#include "tests/sim/cluster_sim.h"

namespace troupe::tests {
namespace {

TEST_CASE("cluster sim: many seeds") {
  constexpr uint64_t kSeeds = 10000;
  check_all_happened(simulate_clusters(1000, kSeeds), kSeeds);
}

// 64 hosts of up to 8 slots and 10,000 jobs, most of which wait at the same time.
TEST_CASE("cluster sim: ten thousand jobs on 64 hosts") {
  const ClusterShape shape{.hosts = 64,
                           .slots_max = 8,
                           .jobs = 10000,
                           .arrival_seconds = 0.2,
                           .run_seconds = 600,
                           .trouble_seconds = 5};
  const auto one = simulate_cluster(shape, 1);
  CHECK(one.counts.finished > 7000);
  const double mean = one.counts.all_decisions / static_cast<double>(one.counts.decisions);
  MESSAGE("a decision: " << mean * 1e3 << " ms, the longest " << one.counts.longest_decision * 1e3
                         << " ms");
}

}  // namespace
}  // namespace troupe::tests
