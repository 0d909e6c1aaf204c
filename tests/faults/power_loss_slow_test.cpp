// Losses of power at every kind of call, each with something else left of the files.
#include "tests/faults/power_loss.h"

namespace troupe {
namespace {

TEST_CASE("power loss: in a thousand histories nothing that was acknowledged is lost") {
  constexpr uint64_t kHistories = 1000;
  const auto counts = tests::lose_power(kHistories);
  tests::check_power_losses(counts, kHistories);
  tests::check_all_met(counts);
}

TEST_CASE("power loss: a recovery point outlives kills and failed calls before it") {
  tests::lose_points({tests::LossyDisk::Fault::kKill, tests::LossyDisk::Fault::kError});
}

}  // namespace
}  // namespace troupe
