// A sample of what power_loss_slow_test.cpp does.
#include "tests/faults/power_loss.h"

namespace troupe {
namespace {

TEST_CASE("power loss: a store has what it acknowledged, and opens") {
  constexpr uint64_t kHistories = 40;
  const auto counts = tests::lose_power(kHistories);
  tests::check_power_losses(counts, kHistories);
}

TEST_CASE("power loss: whatever its creation met, a store is there after its first commit") {
  const tests::TempDir dir;
  for (const auto fault : {tests::LossyDisk::Fault::kPowerLoss, tests::LossyDisk::Fault::kKill,
                           tests::LossyDisk::Fault::kError}) {
    uint64_t call = 1;
    CAPTURE(static_cast<int>(fault));
    CAPTURE(call);
    while (tests::lose_new_store(fault, call, dir.file("disk"))) ++call;
    CHECK(call > 20);
  }
}

TEST_CASE("power loss: a recovery point has its name when it is whole, and keeps it") {
  tests::lose_points({tests::LossyDisk::Fault::kPowerLoss});
}

}  // namespace
}  // namespace troupe
