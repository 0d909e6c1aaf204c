#include "model/loaded_policy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/cpu/cpu_backend.h"
#include "model/training/learner.h"

namespace troupe::model {
namespace {

using Sequences = std::vector<std::vector<int32_t>>;

const std::string kFolder = std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/case_b";

std::unique_ptr<LoadedPolicy> load(kernels::Precision precision, int threads = 1) {
  auto policy = LoadedPolicy::load(*kernels::cpu_backends().front(), kFolder,
                                   {.precision = precision, .threads = threads});
  REQUIRE(policy);
  return std::move(*policy);
}

TEST_CASE("loaded policy: scores agree with the reference, closely in float") {
  std::ifstream file(kFolder + "/golden.json");
  const auto json = nlohmann::json::parse(file);
  const auto sequences = json["sequences"].get<Sequences>();
  for (const auto& [precision, tolerance] :
       {std::pair(kernels::Precision::kFp32, 2e-5), {kernels::Precision::kBf16, 0.15}}) {
    const auto scores = load(precision)->score(sequences);
    REQUIRE(scores);
    for (size_t s = 0; s < sequences.size(); ++s) {
      const auto want = json["logprobs"][s].get<std::vector<double>>();
      REQUIRE((*scores)[s].size() == want.size());
      for (size_t t = 0; t < want.size(); ++t) {
        CHECK(std::fabs(static_cast<double>((*scores)[s][t]) - want[t]) < tolerance);
      }
    }
  }
}

TEST_CASE("loaded policy: scores are the learner's, bit for bit, for any number of threads") {
  Sequences sequences = {{3, 4, 5, 6}, {7}, {1, 2}};
  sequences.emplace_back(60, 9);
  for (auto precision : {kernels::Precision::kFp32, kernels::Precision::kBf16}) {
    const auto policy = load(precision);
    const auto scores = policy->score(sequences, 0.5f);
    REQUIRE(scores);
    CHECK(*load(precision, 3)->score(sequences, 0.5f) == *scores);
    const ParameterLayout layout(policy->config());
    Threads threads(1);
    Learner learner(*kernels::cpu_backends().front(), policy->config(), layout, threads,
                    policy->checkpoint().values,
                    {.precision = precision, .microbatch_tokens = 64, .context_max = 64});
    for (size_t s = 0; s < sequences.size(); ++s) {
      std::vector<uint8_t> mask(sequences[s].size(), 1);
      const LearnSequence one{.tokens = sequences[s], .loss_mask = mask};
      const auto want = learner.score(std::span(&one, 1), 0.5f)[0];
      CHECK((*scores)[s] == std::vector<float>(want.begin() + 1, want.end()));
    }
  }
}

TEST_CASE("loaded policy: what cannot be scored is named") {
  const auto policy = load(kernels::Precision::kBf16);
  const auto refusal = [&](const Sequences& sequences) {
    const auto scores = policy->score(sequences);
    REQUIRE_FALSE(scores);
    CHECK(scores.error().code == ErrorCode::kInvalidArgument);
    return scores.error().message;
  };
  CHECK(refusal({{1, 2}, {}}).find("sequence 2 ") == 0);
  CHECK(refusal({{1, 48}}).find("token 48") != std::string::npos);
  CHECK(refusal({{1, -1}}).find("token -1") != std::string::npos);
  CHECK(refusal({std::vector<int32_t>(65, 1)}).find("limit is 64") != std::string::npos);
  CHECK(policy->score(Sequences{std::vector<int32_t>(64, 1)}));
  CHECK(policy->score(Sequences{})->empty());
  CHECK_FALSE(LoadedPolicy::load(*kernels::cpu_backends().front(), kFolder + "x", {}));
}

}  // namespace
}  // namespace troupe::model
