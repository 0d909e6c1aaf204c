// Advantage, objective, divergence, aggregation and off-policy corrections against values that
// torch's autograd gives in double (golden/grpo.json and off_policy.json, made by
// tests/support/oracle/make_golden.py).
#include "model/training/objective.h"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "model/training/advantage.h"

namespace troupe::model {
namespace {

using Lists = std::vector<std::vector<double>>;

nlohmann::json golden(const std::string& name) {
  std::ifstream file(std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/" + name);
  return nlohmann::json::parse(file);
}

bool is_close(double got, double want) {
  return std::fabs(got - want) <= 1e-13 * (1 + std::fabs(want));
}

// A correction's log-probability must not matter without one.
TokenLoss without_correction(const GrpoObjective& objective, double advantage, double logprob,
                             double rollout_logprob, double ref_logprob) {
  return grpo_token_loss(objective, advantage,
                         {.current = logprob,
                          .rollout = rollout_logprob,
                          .old = std::numeric_limits<double>::quiet_NaN(),
                          .reference = ref_logprob});
}

TEST_CASE("advantage: agrees with the reference, and is exactly zero without variance") {
  const auto json = golden("grpo.json");
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
  const auto json = golden("grpo.json");
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
          const TokenLoss token = without_correction(objective, advantages[s], logprob[s][t],
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
  CHECK(without_correction(objective, 1, up, 0, 0).is_clipped);
  CHECK(without_correction(objective, 1, up, 0, 0).slope == 0);
  CHECK(without_correction(objective, 1, up, 0, 0).loss == doctest::Approx(-1.2));
  CHECK_FALSE(without_correction(objective, 1, down, 0, 0).is_clipped);
  CHECK_FALSE(without_correction(objective, -1, up, 0, 0).is_clipped);
  CHECK(without_correction(objective, -1, up, 0, 0).slope == doctest::Approx(1.5));
  CHECK(without_correction(objective, -1, down, 0, 0).is_clipped);
  // Without an advantage there is nothing to clip.
  CHECK_FALSE(without_correction(objective, 0, up, 0, 0).is_clipped);
}

TEST_CASE("objective: the divergence pulls towards the reference") {
  for (const char* kind : {"k2", "k3"}) {
    CAPTURE(kind);
    const GrpoObjective objective{.kl_coef = 1, .kl_estimator = kl_estimator(kind)};
    // Likelier than under the reference: the loss falls when the log-probability does.
    CHECK(without_correction(objective, 0, -1, -1, -2).slope > 0);
    CHECK(without_correction(objective, 0, -2, -2, -1).slope < 0);
    CHECK(without_correction(objective, 0, -1, -1, -2).kl > 0);
    CHECK(without_correction(objective, 0, -2, -2, -1).kl > 0);
    CHECK(without_correction(objective, 0, -1, -1, -1).kl == 0);
  }
}

TEST_CASE("objective: the slope is the derivative of the loss") {
  const double h = 1e-6;
  for (const char* kind : {"k1", "k2", "k3"}) {
    const GrpoObjective objective{.kl_coef = 0.3, .kl_estimator = kl_estimator(kind)};
    for (double logprob : {-3.0, -1.9, -1.2, -1.0, -0.7}) {
      for (double advantage : {-1.5, 0.0, 0.5}) {
        const auto loss = [&](double x) {
          return without_correction(objective, advantage, x, -1.1, -1.4).loss;
        };
        const double want = (loss(logprob + h) - loss(logprob - h)) / (2 * h);
        CHECK(without_correction(objective, advantage, logprob, -1.1, -1.4).slope ==
              doctest::Approx(want).epsilon(1e-6));
      }
    }
  }
}

GrpoObjective corrected(std::string_view correction, double importance_cap = 2) {
  return {.clip_low = 0.2,
          .clip_high = 0.3,
          .off_policy_correction = off_policy_correction(correction),
          .importance_cap = importance_cap};
}

TEST_CASE("objective: the weight of a correction times the clipped term, region by region") {
  struct Row {
    double advantage, ratio, weight;
    double surrogate;  // min(ratio A, clip(ratio, 0.8, 1.3) A)
    bool is_clipped;
  };
  for (const auto& [advantage, ratio, weight, surrogate, is_clipped] : {
           Row{2, 0.5, 1.5, 1.0, false},  // Below: the smaller term is the plain one.
           Row{2, 1.1, 1.5, 2.2, false},
           Row{2, 2.0, 1.5, 2.6, true},    // 1.3 * 2
           Row{-2, 0.5, 1.5, -1.6, true},  // 0.8 * -2
           Row{-2, 1.1, 1.5, -2.2, false},
           Row{-2, 2.0, 1.5, -4.0, false},
           Row{2, 0.5, 3.0, 1.0, false},  // The same with a weight above the cap.
           Row{2, 1.1, 3.0, 2.2, false},
           Row{2, 2.0, 3.0, 2.6, true},
           Row{-2, 0.5, 3.0, -1.6, true},
           Row{-2, 1.1, 3.0, -2.2, false},
           Row{-2, 2.0, 3.0, -4.0, false},
           Row{-2, 1.1, 0.25, -2.2, false},
       }) {
    CAPTURE(advantage);
    CAPTURE(ratio);
    CAPTURE(weight);
    const double old = -1.5;
    const TokenLogprobs logprob{.current = old + std::log(ratio),
                                .rollout = old - std::log(weight),
                                .old = old,
                                .reference = 0};
    for (const std::string correction : {"decoupled", "truncated"}) {
      CAPTURE(correction);
      const bool is_truncated = correction == "truncated" && weight > 2;
      const double used = is_truncated ? 2 : weight;
      const TokenLoss token = grpo_token_loss(corrected(correction), advantage, logprob);
      CHECK(is_close(token.loss, -used * surrogate));
      CHECK(is_close(token.slope, is_clipped ? 0 : -used * ratio * advantage));
      CHECK(is_close(token.ratio, ratio));
      CHECK(is_close(token.importance_weight, used));
      CHECK(token.is_clipped == is_clipped);
      CHECK(token.is_truncated == is_truncated);
    }
    // Without one, both factors are one ratio and are clipped together.
    const TokenLoss plain = grpo_token_loss(corrected("none"), advantage, logprob);
    CHECK(is_close(plain.ratio, ratio * weight));
    CHECK(plain.importance_weight == 1);
  }
}

TEST_CASE("objective: a correction agrees with the reference") {
  const auto json = golden("off_policy.json");
  const auto advantages = json["advantages"].get<std::vector<double>>();
  const auto rollout = json["rollout_logprob"].get<std::vector<double>>();
  const auto old = json["old_logprob"].get<std::vector<double>>();
  const auto logprob = json["logprob"].get<std::vector<double>>();
  const auto reference = json["ref_logprob"].get<std::vector<double>>();
  for (const std::string correction : {"none", "decoupled", "truncated"}) {
    CAPTURE(correction);
    const auto& want = json[correction];
    GrpoObjective objective = corrected(correction, json["importance_cap"]);
    objective.clip_low = json["clip_low"];
    objective.clip_high = json["clip_high"];
    objective.kl_coef = json["kl_coef"];
    double loss = 0, weights = 0, truncated = 0;
    const auto count = static_cast<double>(logprob.size());
    for (size_t i = 0; i < logprob.size(); ++i) {
      const TokenLoss token = grpo_token_loss(
          objective, advantages[i],
          {.current = logprob[i], .rollout = rollout[i], .old = old[i], .reference = reference[i]});
      loss += token.loss / count;
      weights += token.importance_weight / count;
      truncated += (token.is_truncated ? 1 : 0) / count;
      CHECK(is_close(token.slope / count, want["dlogprob"][i]));
    }
    CHECK(is_close(loss, want["loss"]));
    CHECK(is_close(weights, want["importance_weight_mean"]));
    CHECK(is_close(truncated, want["truncated_share"]));
  }
}

TEST_CASE("objective: where old and rollout agree a correction changes no bit") {
  for (const std::string correction : {"decoupled", "truncated"}) {
    for (const double advantage : {-1.7, 0.0, 0.3}) {
      for (const double rollout : {-30.0, -1.1, -1e-3, 0.0}) {
        for (const double step : {-2.0, -0.21, -1e-7, 0.0, 0.1, 0.5}) {
          GrpoObjective objective = corrected(correction, 1);
          objective.kl_coef = 0.3;
          const TokenLogprobs logprob{
              .current = rollout + step, .rollout = rollout, .old = rollout, .reference = -0.7};
          const TokenLoss got = grpo_token_loss(objective, advantage, logprob);
          objective.off_policy_correction = OffPolicyCorrection::kNone;
          const TokenLoss want = grpo_token_loss(objective, advantage, logprob);
          CHECK(got.loss == want.loss);
          CHECK(got.slope == want.slope);
          CHECK(got.ratio == want.ratio);
          CHECK(got.importance_weight == 1);
          CHECK(got.is_clipped == want.is_clipped);
          CHECK_FALSE(got.is_truncated);
        }
      }
    }
  }
}

TEST_CASE("objective: the slope is the derivative of the loss with a correction too") {
  const double h = 1e-6;
  for (const std::string correction : {"decoupled", "truncated"}) {
    for (const double cap : {0.5, 3.0}) {
      GrpoObjective objective = corrected(correction, cap);
      objective.kl_coef = 0.3;
      for (double logprob : {-3.0, -1.9, -1.2, -1.0, -0.7}) {
        for (double advantage : {-1.5, 0.0, 0.5}) {
          for (double rollout : {-1.9, -1.1, -0.4}) {
            const auto at = [&](double x) {
              return grpo_token_loss(
                  objective, advantage,
                  {.current = x, .rollout = rollout, .old = -1.1, .reference = -1.4});
            };
            const double want = (at(logprob + h).loss - at(logprob - h).loss) / (2 * h);
            CHECK(at(logprob).slope == doctest::Approx(want).epsilon(1e-6));
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace troupe::model
