#include "actors/controller/round_plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

namespace troupe::actors {
namespace {

using Ordinals = std::vector<uint32_t>;

GrpoSpec spec(const std::string& zero_variance) {
  GrpoSpec grpo;
  grpo.prompts_per_round = 6;
  grpo.minibatches_per_round = 3;
  grpo.zero_variance_groups = zero_variance;
  grpo.replacement_rounds_max = 2;
  return grpo;
}

// The design's rule, one attempt after another.
Ordinals admitted_by_rule(const GrpoSpec& grpo, const std::vector<bool>& is_good) {
  Ordinals admitted;
  uint32_t next = 0;
  const bool replaces = grpo.zero_variance_groups == "replace";
  for (int64_t attempt = 0; attempt <= (replaces ? grpo.replacement_rounds_max : 0); ++attempt) {
    const auto missing = static_cast<uint32_t>(grpo.prompts_per_round) - admitted.size();
    for (size_t i = 0; i < missing; ++i, ++next) {
      if (is_good[next]) admitted.push_back(next);
    }
  }
  return admitted;
}

TEST_CASE("round plan: what is admitted does not depend on who finishes first") {
  std::mt19937 random(1);
  for (const char* rule : {"keep", "drop", "replace"}) {
    for (int trial = 0; trial < 200; ++trial) {
      const GrpoSpec grpo = spec(rule);
      std::vector<bool> is_good(32);
      for (size_t i = 0; i < is_good.size(); ++i) is_good[i] = random() % 2 == 0;
      RoundPlan plan(grpo);
      while (!plan.is_complete()) {
        CHECK(std::is_sorted(plan.wanted().begin(), plan.wanted().end()));
        const uint32_t one = plan.wanted()[random() % plan.wanted().size()];
        plan.decide(one, is_good[one]);
      }
      CHECK(plan.admitted() == admitted_by_rule(grpo, is_good));
    }
  }
}

TEST_CASE("round plan: a replacement is wanted only once its predecessors are decided") {
  RoundPlan plan(spec("replace"));
  plan.decide(0, false);
  for (uint32_t i = 1; i < 5; ++i) {
    plan.decide(i, true);
    CHECK(std::find(plan.wanted().begin(), plan.wanted().end(), 6) == plan.wanted().end());
  }
  plan.decide(5, false);
  CHECK(plan.wanted() == Ordinals{6, 7});
  plan.decide(7, true);
  plan.decide(6, false);
  CHECK(plan.wanted() == Ordinals{8});
  plan.decide(8, false);
  CHECK(plan.is_complete());
  CHECK(plan.admitted() == Ordinals{1, 2, 3, 4, 7});
}

TEST_CASE("round plan: minibatches cut the admitted groups; the last ones may be short or empty") {
  using Range = std::pair<size_t, size_t>;
  RoundPlan plan(spec("drop"));
  for (uint32_t i = 0; i < 6; ++i) plan.decide(i, i < 3);
  CHECK(plan.minibatch(0) == Range{0, 2});
  CHECK(plan.minibatch(1) == Range{2, 3});
  CHECK(plan.minibatch(2) == Range{3, 3});
}

}  // namespace
}  // namespace troupe::actors
