// The catalogue of 44 attacks, each once.
#include <doctest/doctest.h>

#include <set>

#include "tests/actors/verifier/sandbox/attack_range.h"
#include "tests/actors/verifier/sandbox/attacks_answers.h"
#include "tests/actors/verifier/sandbox/attacks_reach.h"
#include "tests/actors/verifier/sandbox/attacks_resources.h"

namespace troupe::actors {
namespace {

TEST_CASE("sandbox: the catalogue of attacks is complete") {
  std::set<int> numbers;
  for (const auto& attacks :
       {tests::resource_attacks(), tests::reach_attacks(), tests::answer_attacks()}) {
    for (const tests::Attack& attack : attacks) numbers.insert(attack.number);
  }
  CHECK(numbers.size() == 44);
  CHECK(*numbers.begin() == 1);
  CHECK(*numbers.rbegin() == 44);
}

TEST_CASE("sandbox: attacks on processes, memory, disk, output and time end at their limits") {
  tests::AttackRange range;
  for (const tests::Attack& attack : tests::resource_attacks()) range.attack(attack);
}

TEST_CASE("sandbox: attacks on processes, network, files and kernel reach nothing") {
  tests::AttackRange range;
  for (const tests::Attack& attack : tests::reach_attacks()) range.attack(attack);
}

TEST_CASE("sandbox: attacks on answers, compilers and parsers stay in the box") {
  tests::AttackRange range;
  for (const tests::Attack& attack : tests::answer_attacks()) range.attack(attack);
}

}  // namespace
}  // namespace troupe::actors
