#include "actors/verifier/judge.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

const std::vector<RewardSpec> kRewards = {{"accuracy", "math", 1.0}, {"format", "r1_format", 0.5}};

Verdict judged(std::string_view text, std::string_view gold) {
  auto judge = Judge::create(kRewards);
  REQUIRE(judge);
  return (*judge)->judge({.text = text, .gold = gold});
}

TEST_CASE("judge: parts come in the job's order with its names and weights") {
  const Verdict verdict = judged("<think>2+3=5</think><answer>5</answer>", "5");
  REQUIRE(verdict.parts.size() == 2);
  CHECK(verdict.parts[0].name == "accuracy");
  CHECK(verdict.parts[0].kind == VerdictKind::kEqual);
  CHECK(verdict.parts[1].name == "format");
  CHECK(verdict.parts[1].weight == 0.5f);
  CHECK(verdict.reward() == 1.5f);
  CHECK(verdict.is_payable());
}

TEST_CASE("judge: a failed part is worth nothing and the others still count") {
  CHECK(judged("<think></think><answer>6</answer>", "5").reward() == 0.5f);
  CHECK(judged("<answer>5</answer>", "5").reward() == 1.0f);
  CHECK(judged("", "5").reward() == 0.0f);
  CHECK(judged("<think></think><answer>banana</answer>", "5").reward() == 0.5f);
}

TEST_CASE("judge: an unreadable gold answer makes the verdict unpayable") {
  CHECK(!judged("<think></think><answer>5</answer>", " ").is_payable());
}

TEST_CASE("judge: what rewards may not be is refused") {
  CHECK(Judge::create({}).error().code == ErrorCode::kInvalidArgument);
  CHECK(Judge::create({{"format", "r1-format", 1}}).error().code == ErrorCode::kInvalidArgument);
  // A program is never taken from a job.
  const RewardSpec command{
      .name = "mine", .verifier = "command", .settings = {{"trusted", std::string("checker")}}};
  const auto refused = Judge::create({command});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kInvalidArgument);
  CHECK(refused.error().message.find("--trusted-verifier") != std::string::npos);
}

}  // namespace
}  // namespace troupe::actors
