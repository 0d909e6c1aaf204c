// Advantage, objective, divergence and aggregation against values that torch's autograd gives in
// double (golden/grpo.json, made by tests/support/oracle/make_golden.py).
#include "model/training/objective.h"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/training/advantage.h"

namespace troupe::model {
namespace {

using Lists = std::vector<std::vector<double>>;

nlohmann::json golden() {
  std::ifstream file(std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/grpo.json");
  return nlohmann::json::parse(file);
}

bool is_close(double got, double want) {
  return std::fabs(got - want) <= 1e-13 * (1 + std::fabs(want));
}

TEST_CASE("advantage: agrees with the reference, and is exactly zero without variance") {
  const auto json = golden();
  const auto rewards = json["rewards"].get<std::vector<float>>();
  const auto want = json["advantages"].get<std::vector<double>>();
  const size_t G = json["group_size"];
  for (size_t first = 0; first < rewards.size(); first += G) {
    const auto got =
        group_advantages(std::span(rewards).subspan(first, G), AdvantageKind::kGroupNormalised);
    for (size_t i = 0; i < G; ++i) {
      if (want[first + i] == 0) {
        CHECK(got[i] == 0);
      } else {
        CHECK(is_close(got[i], want[first + i]));
      }
    }
  }
}

TEST_CASE("advantage: the right answer is above zero, and centring only takes the mean away") {
  const std::vector<float> rewards = {1, 0, 0, 0};
  CHECK(group_advantages(rewards, advantage_kind("group_normalised"))[0] > 1.7);
  CHECK(group_advantages(rewards, advantage_kind("group_centred")) ==
        std::vector<double>{0.75, -0.25, -0.25, -0.25});
  // 0.1 + 0.1 + 0.1 is no multiple of 0.1 in binary; equal rewards are still exactly equal.
  for (double a : group_advantages(std::vector<float>(3, 0.1f), AdvantageKind::kGroupCentred)) {
    CHECK(a == 0);
  }
}

TEST_CASE("objective: loss, slope, divergence and clipping agree with the reference") {
  const auto json = golden();
  const auto advantages = json["advantages"].get<std::vector<double>>();
  const auto rollout = json["rollout_logprob"].get<Lists>();
  const auto logprob = json["logprob"].get<Lists>();
  const auto reference = json["ref_logprob"].get<Lists>();
  double tokens = 0;
  for (const auto& list : logprob) tokens += static_cast<double>(list.size());
  for (const char* kind : {"k1", "k2", "k3"}) {
    const GrpoObjective objective{.clip_low = json["clip_low"],
                                  .clip_high = json["clip_high"],
                                  .kl_coef = json["kl_coef"],
                                  .kl_estimator = kl_estimator(kind)};
    for (const std::string aggregation : {"sequence_mean_token_mean", "token_mean"}) {
      CAPTURE(kind);
      CAPTURE(aggregation);
      const auto& want = json[aggregation + "." + kind];
      const auto slopes = want["dlogprob"].get<Lists>();
      double loss = 0, kl = 0, clipped = 0;
      for (size_t s = 0; s < logprob.size(); ++s) {
        const auto length = static_cast<double>(logprob[s].size());
        const double weight = aggregation == "token_mean"
                                  ? 1 / tokens
                                  : 1 / (static_cast<double>(logprob.size()) * length);
        for (size_t t = 0; t < logprob[s].size(); ++t) {
          const TokenLoss token = grpo_token_loss(objective, advantages[s], logprob[s][t],
                                                  rollout[s][t], reference[s][t]);
          loss += weight * token.loss;
          kl += token.kl / tokens;
          clipped += (token.is_clipped ? 1 : 0) / tokens;
          CHECK(is_close(weight * token.slope, slopes[s][t]));
        }
      }
      CHECK(is_close(loss, want["loss"]));
      CHECK(is_close(kl, json["mean_kl"][kind]));
      CHECK(is_close(clipped, json["clip_fraction"]));
    }
  }
}

TEST_CASE("objective: which side is clipped depends on the sign of the advantage") {
  const GrpoObjective objective{.clip_low = 0.2, .clip_high = 0.2};
  const double up = std::log(1.5), down = std::log(0.5);
  CHECK(grpo_token_loss(objective, 1, up, 0, 0).is_clipped);
  CHECK(grpo_token_loss(objective, 1, up, 0, 0).slope == 0);
  CHECK(grpo_token_loss(objective, 1, up, 0, 0).loss == doctest::Approx(-1.2));
  CHECK_FALSE(grpo_token_loss(objective, 1, down, 0, 0).is_clipped);
  CHECK_FALSE(grpo_token_loss(objective, -1, up, 0, 0).is_clipped);
  CHECK(grpo_token_loss(objective, -1, up, 0, 0).slope == doctest::Approx(1.5));
  CHECK(grpo_token_loss(objective, -1, down, 0, 0).is_clipped);
  // Without an advantage there is nothing to clip.
  CHECK_FALSE(grpo_token_loss(objective, 0, up, 0, 0).is_clipped);
}

TEST_CASE("objective: the divergence pulls towards the reference") {
  for (const char* kind : {"k2", "k3"}) {
    CAPTURE(kind);
    const GrpoObjective objective{.kl_coef = 1, .kl_estimator = kl_estimator(kind)};
    // Likelier than under the reference: the loss falls when the log-probability does.
    CHECK(grpo_token_loss(objective, 0, -1, -1, -2).slope > 0);
    CHECK(grpo_token_loss(objective, 0, -2, -2, -1).slope < 0);
    CHECK(grpo_token_loss(objective, 0, -1, -1, -2).kl > 0);
    CHECK(grpo_token_loss(objective, 0, -2, -2, -1).kl > 0);
    CHECK(grpo_token_loss(objective, 0, -1, -1, -1).kl == 0);
  }
}

TEST_CASE("objective: the slope is the derivative of the loss") {
  const double h = 1e-6;
  for (const char* kind : {"k1", "k2", "k3"}) {
    const GrpoObjective objective{.kl_coef = 0.3, .kl_estimator = kl_estimator(kind)};
    for (double logprob : {-3.0, -1.9, -1.2, -1.0, -0.7}) {
      for (double advantage : {-1.5, 0.0, 0.5}) {
        const auto loss = [&](double x) {
          return grpo_token_loss(objective, advantage, x, -1.1, -1.4).loss;
        };
        const double want = (loss(logprob + h) - loss(logprob - h)) / (2 * h);
        CHECK(grpo_token_loss(objective, advantage, logprob, -1.1, -1.4).slope ==
              doctest::Approx(want).epsilon(1e-6));
      }
    }
  }
}

}  // namespace
}  // namespace troupe::model
