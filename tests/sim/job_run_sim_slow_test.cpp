// More of the same: see job_run_sim_test.cpp.
#include "tests/sim/job_run_sim.h"

namespace troupe::tests {
namespace {

TEST_CASE("sim: ten thousand seeds") {
  constexpr uint64_t kSeeds = 10000;
  check_all_happened(simulate_all(1000, kSeeds), kSeeds);
}

}  // namespace
}  // namespace troupe::tests
