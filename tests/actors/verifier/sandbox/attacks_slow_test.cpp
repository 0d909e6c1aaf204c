// The catalogue of attacks, many times each: what leaks a little shows by then. Ten by default;
// TROUPE_ATTACK_RUNS sets another number.
#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/actors/verifier/sandbox/attack_range.h"
#include "tests/actors/verifier/sandbox/attacks_answers.h"
#include "tests/actors/verifier/sandbox/attacks_reach.h"
#include "tests/actors/verifier/sandbox/attacks_resources.h"

namespace troupe::actors {
namespace {

void attack_often(const std::vector<tests::Attack>& attacks) {
  tests::AttackRange range;
  const tests::HostState before = tests::look_at_host();
  const char* asked = std::getenv("TROUPE_ATTACK_RUNS");
  const int num_runs = asked ? std::atoi(asked) : 10;
  REQUIRE(num_runs > 0);
  for (int run = 0; run < num_runs; ++run) {
    for (const tests::Attack& attack : attacks) range.attack(attack);
  }
  tests::check_same(before, tests::look_at_host());
}

TEST_CASE("sandbox: attacks on limits leak nothing in many runs") {
  attack_often(tests::resource_attacks());
}

TEST_CASE("sandbox: attacks on the host leak nothing in many runs") {
  attack_often(tests::reach_attacks());
}

TEST_CASE("sandbox: attacks on answers leak nothing in many runs") {
  attack_often(tests::answer_attacks());
}

}  // namespace
}  // namespace troupe::actors
