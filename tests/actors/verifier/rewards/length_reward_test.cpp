#include <doctest/doctest.h>

#include "actors/verifier/judge.h"

namespace troupe::actors {
namespace {

float value_of(int64_t tokens, double max_tokens, double buffer_tokens) {
  auto judge = Judge::create(
      {{"brevity", "length", 2, {{"buffer_tokens", buffer_tokens}, {"max_tokens", max_tokens}}}});
  REQUIRE(judge);
  const Verdict verdict = (*judge)->judge({.num_tokens = tokens});
  CHECK(verdict.parts[0].kind == VerdictKind::kScored);
  CHECK(verdict.parts[0].weight == 2);
  return verdict.parts[0].value;
}

TEST_CASE("length reward: DAPO's soft overlong penalty, shifted by one") {
  CHECK(value_of(0, 100, 20) == 1);
  CHECK(value_of(80, 100, 20) == 1);
  CHECK(value_of(85, 100, 20) == 0.75f);
  CHECK(value_of(90, 100, 20) == 0.5f);
  CHECK(value_of(100, 100, 20) == 0);
  CHECK(value_of(1000, 100, 20) == 0);
}

TEST_CASE("length reward: without a buffer it is all or nothing") {
  CHECK(value_of(100, 100, 0) == 1);
  CHECK(value_of(101, 100, 0) == 0);
}

}  // namespace
}  // namespace troupe::actors
