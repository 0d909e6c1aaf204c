#include "actors/verifier/reward.h"

#include <doctest/doctest.h>

#include <limits>

namespace troupe::actors {
namespace {

const std::vector<RewardSpec> kRewards = {{"accuracy", "math", 1.0}, {"format", "r1_format", 0.5}};

TEST_CASE("reward: parts come in the job's order with its names and weights") {
  const Verdict verdict = judge(kRewards, "<think>2+3=5</think><answer>5</answer>", "5");
  REQUIRE(verdict.parts.size() == 2);
  CHECK(verdict.parts[0].name == "accuracy");
  CHECK(verdict.parts[0].kind == VerdictKind::kEqual);
  CHECK(verdict.parts[1].name == "format");
  CHECK(verdict.parts[1].weight == 0.5f);
  CHECK(verdict.reward() == 1.5f);
  CHECK(verdict.is_payable());
}

TEST_CASE("reward: a failed part is worth nothing and the others still count") {
  CHECK(judge(kRewards, "<think></think><answer>6</answer>", "5").reward() == 0.5f);
  CHECK(judge(kRewards, "<answer>5</answer>", "5").reward() == 1.0f);
  CHECK(judge(kRewards, "", "5").reward() == 0.0f);
  CHECK(judge(kRewards, "<think></think><answer>banana</answer>", "5").reward() == 0.5f);
}

TEST_CASE("reward: an unreadable gold answer makes the verdict unpayable") {
  CHECK(!judge(kRewards, "<think></think><answer>5</answer>", " ").is_payable());
}

TEST_CASE("reward: an unknown verifier is refused with the known ones, the nearest first") {
  CHECK(find_verifiers(kRewards)->size() == 2);
  CHECK(find_verifiers({{"format", "r1-format", 1}}).error().message ==
        "rewards.format: unknown verifier 'r1-format'; known: r1_format, math");
  CHECK(find_verifiers({}).error().code == ErrorCode::kInvalidArgument);
  CHECK(!find_verifiers({{"accuracy", "math", std::numeric_limits<double>::quiet_NaN()}}));
}

}  // namespace
}  // namespace troupe::actors
