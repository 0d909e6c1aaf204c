#include "cluster/nodes/inventory.h"

#include <doctest/doctest.h>

using namespace troupe::cluster;

TEST_CASE("inventory: slots are GPUs unless there are more of them, or no GPUs") {
  CHECK(slots_are_gpus(8, 8));
  CHECK(slots_are_gpus(2, 8));
  CHECK_FALSE(slots_are_gpus(9, 8));
  CHECK_FALSE(slots_are_gpus(1, 0));
  CHECK_FALSE(slots_are_gpus(0, 8));
}

TEST_CASE("inventory: a host has what is said, else a slot for each core where it has no GPU") {
  CHECK(take_inventory("/", 3).slots == 3);
  const auto facts = take_inventory("/");
  CHECK(facts.slots == (facts.devices.empty() ? facts.cores : facts.devices.size()));
  CHECK(facts.cores > 0);
}
