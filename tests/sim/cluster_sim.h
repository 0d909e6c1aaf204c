// Many seeds of ClusterWorld, each with a cluster and a load of its own.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "tests/sim/cluster_world.h"

namespace troupe::tests {

inline ClusterShape shape_of(uint64_t seed) {
  ClusterShape shape;
  SimulatedClock chance(seed ^ 0x5eed, false);
  shape.hosts = 1 + chance.below(8);
  shape.slots_max = 1 + static_cast<uint32_t>(chance.below(8));
  shape.jobs = 40 + chance.below(80);
  // From half of what the hosts can take to twice as much.
  const double load = chance.uniform(0.5, 2);
  const double slots = static_cast<double>(shape.hosts * (shape.slots_max + 1)) / 2;
  constexpr double kSlotsOfJob = 5;
  shape.arrival_seconds = shape.run_seconds * kSlotsOfJob / slots / load;
  shape.trouble_seconds = chance.chance(0.3) ? 200 : 15;
  if (chance.chance(0.5)) shape.learner_hosts_max = 1 + static_cast<uint32_t>(chance.below(2));
  if (chance.chance(0.1)) {
    shape.hosts = 1;
    shape.is_elastic = true;
  }
  return shape;
}

struct SimulatedCluster {
  ClusterCounts counts{};
  uint64_t digest = 0;
};

inline SimulatedCluster simulate_cluster(const ClusterShape& shape, uint64_t seed,
                                         bool prints = false) {
  ClusterWorld world(shape, seed, prints);
  world.run();
  return {world.counts(), world.digest()};
}

// Seeds from `first` on, or the one that TROUPE_SIM_SEED names, with its trace.
inline ClusterCounts simulate_clusters(uint64_t first, uint64_t count) {
  ClusterCounts counts;
  const auto run = [&](uint64_t seed, bool prints) {
    try {
      counts.add(simulate_cluster(shape_of(seed), seed, prints).counts);
    } catch (const std::exception& violation) {
      FAIL_CHECK("TROUPE_SIM_SEED=" << seed << ": " << std::string(violation.what()));
    }
  };
  if (const char* seed = std::getenv("TROUPE_SIM_SEED")) {
    run(std::strtoull(seed, nullptr, 10), true);
    return counts;
  }
  for (uint64_t seed = first; seed < first + count; ++seed) run(seed, false);
  return counts;
}

// A cluster where nothing happens must not pass.
inline void check_all_happened(const ClusterCounts& counts, uint64_t seeds) {
  if (std::getenv("TROUPE_SIM_SEED") != nullptr) return;
  CHECK(counts.finished > 20 * seeds);
  for (const auto& [what, count] : {std::pair<const char*, uint64_t>{"begun", counts.begun},
                                    {"began before an older one", counts.passed},
                                    {"decisions with a reservation", counts.reserved},
                                    {"slots lent", counts.lent},
                                    {"slots taken back", counts.taken_back},
                                    {"preempted", counts.preempted},
                                    {"sent back", counts.sent_back},
                                    {"rollouts moved", counts.moved},
                                    {"rollouts without a host", counts.short_of},
                                    {"jobs on several hosts", counts.several_hosts},
                                    {"slots beyond an elastic host's", counts.oversize},
                                    {"hosts gone", counts.gone},
                                    {"hosts away", counts.away},
                                    {"hosts drained", counts.drained},
                                    {"hosts back", counts.came_back},
                                    {"hosts back with fewer slots", counts.shrunk},
                                    {"cancelled", counts.cancelled},
                                    {"cancelled while being paused", counts.cancelled_over_pause},
                                    {"paused", counts.paused},
                                    {"failed", counts.failed}}) {
    CAPTURE(std::string(what));
    MESSAGE(std::string(what) << ": " << count);
    CHECK(count > 0);
  }
}

}  // namespace troupe::tests
