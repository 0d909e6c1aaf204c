// The catalogue of attacks, fifty times each: what leaks a little shows by then.
#include <doctest/doctest.h>

#include "tests/actors/verifier/sandbox/attack_range.h"
#include "tests/actors/verifier/sandbox/attacks_answers.h"
#include "tests/actors/verifier/sandbox/attacks_reach.h"
#include "tests/actors/verifier/sandbox/attacks_resources.h"

namespace troupe::actors {
namespace {

void attack_often(const std::vector<tests::Attack>& attacks) {
  tests::AttackRange range;
  const tests::HostState before = tests::look_at_host();
  for (int run = 0; run < 50; ++run) {
    for (const tests::Attack& attack : attacks) range.attack(attack);
  }
  tests::check_same(before, tests::look_at_host());
}

TEST_CASE("sandbox: attacks on limits leak nothing in fifty runs") {
  attack_often(tests::resource_attacks());
}

TEST_CASE("sandbox: attacks on the host leak nothing in fifty runs") {
  attack_often(tests::reach_attacks());
}

TEST_CASE("sandbox: attacks on answers leak nothing in fifty runs") {
  attack_often(tests::answer_attacks());
}

}  // namespace
}  // namespace troupe::actors
