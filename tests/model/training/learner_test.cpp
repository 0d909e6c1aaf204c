// The learner: its arithmetic against the reference implementation, and its promises: results do
// not depend on threads or instruction sets, and a step that is refused leaves no trace. In one
// file, because all of it drives the same policy and batches.
#include "model/training/learner.h"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/random.h"
#include "model/formats/checkpoint.h"
#include "tests/support/learn_batch.h"
#include "tests/support/tiny_policy.h"
#include "tests/support/training_batch.h"

namespace troupe::model {
namespace {

using kernels::Precision;
using tests::grpo_options;
using tests::random_batch;
using tests::sft_options;
using Batch = tests::LearnBatch;

const kernels::Backend& best_backend() { return *kernels::cpu_backends().front(); }

struct Setup {
  const kernels::Backend* backend = kernels::cpu_backends().front();
  TransformerConfig config = tests::tiny_config();
  int threads = 1;
  Precision precision = Precision::kBf16;
  int64_t microbatch_tokens = 64;
  int64_t gradient_lanes = 4;
  bool has_reference = false;
  bool recomputes = false;
  std::vector<float> initial{};  // Empty: of seed 5.
};

// A learner with what it refers to.
struct Policy {
  explicit Policy(Setup setup)
      : config(setup.config),
        layout(config),
        threads(setup.threads),
        learner(*setup.backend, config, layout, threads,
                setup.initial.empty() ? tests::lively_parameters(config, layout, 5) : setup.initial,
                {.precision = setup.precision,
                 .microbatch_tokens = setup.microbatch_tokens,
                 .context_max = 64,
                 .gradient_lanes = setup.gradient_lanes,
                 .recomputes = setup.recomputes,
                 .has_reference = setup.has_reference}) {}

  std::string hash() const { return tests::digest(learner.published()); }
  StepResult step(std::span<const LearnSequence> minibatch, const StepOptions& options) {
    auto result = learner.step(minibatch, options);
    REQUIRE_MESSAGE(result, (result ? "" : result.error().message));
    return *std::move(result);
  }

  TransformerConfig config;
  ParameterLayout layout;
  Threads threads;
  Learner learner;
};

struct GoldenCase {
  GoldenCase() {
    const std::string folder = std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/case_a";
    auto loaded = load_checkpoint(folder);
    REQUIRE(loaded);
    checkpoint = *loaded;
    std::ifstream file(folder + "/golden.json");
    json = nlohmann::json::parse(file);
    for (const auto& tokens : json["sequences"]) {
      auto& row = batch.rows.emplace_back();
      row.tokens = tokens.get<std::vector<int32_t>>();
      row.loss_mask.assign(row.tokens.size(), 1);
      row.loss_mask[0] = 0;
      row.token_weight = 1.0 / 24;
    }
  }

  Checkpoint checkpoint{};
  nlohmann::json json{};
  Batch batch{};
};

TEST_CASE("learner: ten steps of AdamW give the reference's losses") {
  GoldenCase golden;
  const auto want = golden.json["train_losses"].get<std::vector<double>>();
  const auto& train = golden.json["train"];
  // 19 splits the minibatch in two, so that lanes matter too.
  for (int64_t microbatch_tokens : {19, 64}) {
    CAPTURE(microbatch_tokens);
    Policy policy({.config = golden.checkpoint.config,
                   .precision = Precision::kFp32,
                   .microbatch_tokens = microbatch_tokens,
                   .initial = golden.checkpoint.values});
    const StepOptions options{.learning_rate = train["lr"],
                              .beta1 = train["beta1"],
                              .beta2 = train["beta2"],
                              .epsilon = train["eps"],
                              .gradient_clip = 0};
    for (size_t i = 0; i < want.size(); ++i) {
      const StepResult step = policy.step(golden.batch.view(), options);
      CAPTURE(i);
      // Float against double: 4e-6 at most was seen; a wrong step is off by 1e-2.
      CHECK(std::fabs(step.loss - want[i]) < 5e-5);
      if (i == 0) {
        CHECK(std::fabs(step.gradient_norm - golden.json["grad_norm"].get<double>()) < 5e-5);
      }
      CHECK(step.tokens == 27);
      CHECK(step.tokens_learned == 24);
      CHECK_FALSE(step.was_skipped);
    }
    StepOptions still = options;
    still.learning_rate = 0;
    CHECK(std::fabs(policy.step(golden.batch.view(), still).loss -
                    golden.json["train_final_loss"].get<double>()) < 5e-5);
  }
}

TEST_CASE("learner: the loss is of the tokens that the mask names, weighed as they ask") {
  GoldenCase golden;
  Policy policy({.config = golden.checkpoint.config,
                 .precision = Precision::kFp32,
                 .microbatch_tokens = 20,
                 .initial = golden.checkpoint.values});
  kernels::RandomStream random(3, kernels::StreamId::kMakeData);
  for (int trial = 0; trial < 5; ++trial) {
    double want = 0;
    int64_t learned = 0;
    for (size_t s = 0; s < golden.batch.rows.size(); ++s) {
      auto& row = golden.batch.rows[s];
      row.token_weight = 0.1 + random.uniform();
      row.loss_mask[0] = trial == 0 ? 1 : 0;  // Nothing predicts the first token.
      for (size_t t = 1; t < row.tokens.size(); ++t) {
        row.loss_mask[t] = static_cast<uint8_t>(random.below(2));
        if (row.loss_mask[t] == 0) continue;
        want -= row.token_weight * golden.json["logprobs"][s][t - 1].get<double>();
        ++learned;
      }
    }
    const StepResult step = policy.step(golden.batch.view(), {.learning_rate = 0});
    CHECK(step.tokens_learned == learned);
    CHECK(std::fabs(step.loss - want) < 1e-4);
  }
}

TEST_CASE("learner: computing activations again changes nothing but the memory") {
  const Batch sft = random_batch(1, 11), grpo = random_batch(2, 13);
  for (const Family family : tests::kFamilies) {
    CAPTURE(static_cast<int>(family));
    TransformerConfig config = tests::tiny_config(family);
    config.num_hidden_layers = 4;
    if (config.n_routed_experts == 0) config.first_k_dense_replace = 4;
    std::vector<std::string> hashes;
    std::vector<double> violations;
    for (const bool recomputes : {false, true}) {
      Policy policy({.config = config, .has_reference = true, .recomputes = recomputes});
      StepOptions first = sft_options(), second = grpo_options();
      if (!config.has_router_bias()) first.balance_bias_rate = second.balance_bias_rate = 0;
      policy.step(sft.view(), first);
      const StepResult step = policy.step(grpo.view(), second);
      violations.push_back(step.expert_load_max_violation);
      hashes.push_back(policy.hash());
    }
    CHECK(hashes[0] == hashes[1]);
    CHECK(violations[0] == violations[1]);
    const ParameterLayout layout(config);
    const auto memory = [&](bool recomputes) {
      return Learner::memory_bytes(*kernels::cpu_backends().front(), config, layout, 1,
                                   TeamLayout::alone(4),
                                   {.context_max = 64, .recomputes = recomputes});
    };
    CHECK(memory(true) < memory(false));
  }
}

TEST_CASE("learner: the same weights from 1, 2 and 3 threads and every instruction set") {
  const Batch sft = random_batch(1, 11), grpo = random_batch(2, 13);
  std::string first, first_float;
  for (const kernels::Backend* backend : kernels::cpu_backends()) {
    for (int threads : {1, 2, 3}) {
      CAPTURE(backend->name);
      CAPTURE(threads);
      Policy policy({.backend = backend, .threads = threads, .has_reference = true});
      policy.step(sft.view(), sft_options());
      const StepResult step = policy.step(grpo.view(), grpo_options());
      CHECK(step.kl > 0);
      CHECK(step.clip_fraction > 0);
      policy.step(sft.view(), grpo_options());
      if (first.empty()) first = policy.hash();
      CHECK(policy.hash() == first);
    }
    Policy policy({.backend = backend,
                   .precision = Precision::kFp32,
                   .microbatch_tokens = 64,
                   .has_reference = true});
    policy.step(sft.view(), sft_options());
    if (first_float.empty()) first_float = policy.hash();
    CHECK(policy.hash() == first_float);
  }
}

TEST_CASE("learner: every lane reaches the update, and each number of lanes is stable") {
  const Batch batch = random_batch(4, 17);
  std::vector<double> norms;
  std::vector<std::string> hashes;
  for (int64_t lanes : {1, 2, 4, 8}) {
    CAPTURE(lanes);
    std::string hash;
    for (int threads : {1, 2}) {
      Policy policy({.threads = threads,
                     .precision = Precision::kFp32,
                     .microbatch_tokens = 41,
                     .gradient_lanes = lanes});
      const StepResult step = policy.step(batch.view(), {.learning_rate = 1e-3});
      norms.push_back(step.gradient_norm);
      if (hash.empty()) hash = policy.hash();
      CHECK(policy.hash() == hash);
    }
    hashes.push_back(hash);
    // The order of the additions differs, their sum hardly.
    CHECK(norms.back() == doctest::Approx(norms.front()).epsilon(1e-5));
  }
  // Four lanes that add in one lane's order would not be lanes.
  CHECK(hashes[0] != hashes[2]);
}

TEST_CASE("learner: a gradient that is not finite leaves no trace") {
  const Batch good = random_batch(6, 6);
  for (const auto& [what, advantage, weight] :
       {std::tuple("loss and gradient", std::numeric_limits<double>::infinity(), 1.0),
        std::tuple("gradient", 1e300, 1e-3),
        std::tuple("nan", std::numeric_limits<double>::quiet_NaN(), 1.0)}) {
    CAPTURE(what);
    Policy disturbed({.has_reference = true}), calm({.has_reference = true});
    for (auto* policy : {&disturbed, &calm}) policy->step(good.view(), grpo_options());
    Batch bad = random_batch(7, 6);
    bad.rows[3].advantage = advantage;
    bad.rows[3].token_weight = weight;
    const std::string before = disturbed.hash();
    const StepResult step = disturbed.step(bad.view(), grpo_options());
    CHECK(step.was_skipped);
    CHECK_FALSE(step.was_finite);
    CHECK(disturbed.hash() == before);
    // Moments, t and bias show in the steps that follow.
    for (int i = 0; i < 2; ++i) {
      const StepResult after = disturbed.step(good.view(), grpo_options());
      const StepResult wanted = calm.step(good.view(), grpo_options());
      CHECK_FALSE(after.was_skipped);
      CHECK(after.loss == wanted.loss);
      CHECK(after.gradient_norm == wanted.gradient_norm);
      CHECK(disturbed.hash() == calm.hash());
      CHECK(disturbed.hash() != before);
    }
  }
}

TEST_CASE("learner: a minibatch with nothing to learn leaves no trace") {
  const Batch good = random_batch(6, 6);
  Policy disturbed({}), calm({});
  for (auto* policy : {&disturbed, &calm}) policy->step(good.view(), sft_options());
  const std::string before = disturbed.hash();
  Batch masked = random_batch(8, 5);
  for (auto& row : masked.rows) row.loss_mask.assign(row.tokens.size(), 0);
  for (const Batch& empty : {Batch{}, masked}) {
    const StepResult step = disturbed.step(empty.view(), sft_options());
    CHECK(step.was_skipped);
    CHECK(step.was_finite);
    CHECK(step.tokens_learned == 0);
    CHECK(step.loss == 0);
    CHECK(disturbed.hash() == before);
  }
  CHECK(disturbed.step(good.view(), sft_options()).loss ==
        calm.step(good.view(), sft_options()).loss);
  CHECK(disturbed.hash() == calm.hash());
}

// The gate's bias of the layer of experts.
std::vector<float> bias_of(const Policy& policy) {
  const auto values = policy.learner.published();
  const auto at =
      static_cast<size_t>(policy.layout.offset("model.layers.1.mlp.gate.e_score_correction_bias"));
  return {values.begin() + static_cast<int64_t>(at), values.begin() + static_cast<int64_t>(at) + 4};
}

TEST_CASE("learner: the gate's bias moves by the sign of total - experts * count") {
  const Batch batch = random_batch(9, 12);
  for (int threads : {1, 2}) {
    Policy policy({.threads = threads});
    // The counts of every token of the minibatch, prompts included, from forwards of their own.
    Threads one(1);
    Transformer transformer(
        best_backend(), policy.config,
        {.tokens_max = 64, .logits_max = 64, .context_max = 64, .is_trainable = true});
    DeviceBuffer<int64_t> counts(best_backend(), 4);
    for (const auto& row : batch.rows) {
      tests::TrainingBatch data(best_backend(), transformer.stream(), {row.tokens});
      transformer.forward_training(policy.learner.weights(), data.batch, data.target, 1,
                                   counts.get());
    }
    const auto count = tests::download(best_backend(), transformer.stream(), counts.get(), 4);
    const int64_t total = count[0] + count[1] + count[2] + count[3];
    int64_t tokens = 0;
    for (const auto& row : batch.rows) tokens += static_cast<int64_t>(row.tokens.size());
    REQUIRE(total == 2 * tokens);
    const StepResult step =
        policy.step(batch.view(), {.learning_rate = 0, .balance_bias_rate = 0.25});
    const auto bias = bias_of(policy);
    int64_t largest = 0;
    for (size_t e = 0; e < 4; ++e) {
      CAPTURE(count[e]);
      const int64_t lack = total - 4 * count[e];
      CHECK(bias[e] == (lack > 0 ? 0.25f : lack < 0 ? -0.25f : 0.0f));
      largest = std::max(largest, count[e]);
    }
    CHECK(step.expert_load_max_violation ==
          doctest::Approx(4.0 * static_cast<double>(largest) / static_cast<double>(total) - 1));
  }
}

TEST_CASE("learner: a fair load moves no bias, and a rate of zero none at all") {
  TransformerConfig config = tests::tiny_config();
  config.num_experts_per_tok = 4;  // Everybody is asked.
  Policy fair({.config = config});
  fair.step(random_batch(9, 3).view(), {.learning_rate = 1e-3, .balance_bias_rate = 1});
  CHECK(bias_of(fair) == std::vector<float>(4, 0.0f));
  Policy still({});
  still.step(random_batch(9, 3).view(), {.learning_rate = 1e-3});
  CHECK(bias_of(still) == std::vector<float>(4, 0.0f));
}

// With an epsilon that dwarfs the gradient, AdamW's first update is learning_rate / epsilon times
// the gradient, so its length tells how the gradient was scaled.
TEST_CASE("learner: a gradient longer than the clip is scaled to it, a shorter one is left alone") {
  const Batch batch = random_batch(10, 6);
  const Setup setup{.precision = Precision::kFp32};
  Policy asked(setup);
  const double norm = asked.step(batch.view(), {.learning_rate = 0}).gradient_norm;
  for (double clip : {0.0, norm / 4, norm * 4}) {
    CAPTURE(clip);
    Policy policy(setup);
    const auto before = policy.learner.published();
    const StepResult step =
        policy.step(batch.view(), {.learning_rate = 1e4, .epsilon = 1e4, .gradient_clip = clip});
    CHECK(step.gradient_norm == norm);  // Before clipping.
    const auto after = policy.learner.published();
    double squares = 0;
    for (size_t i = 0; i < before.size(); ++i) {
      const double d = static_cast<double>(after[i]) - static_cast<double>(before[i]);
      squares += d * d;
    }
    const double want = clip > 0 ? std::min(clip, norm) : norm;
    CHECK(std::sqrt(squares) == doctest::Approx(want).epsilon(1e-3));
  }
}

TEST_CASE("learner: only matrices decay") {
  Policy policy({.precision = Precision::kFp32});
  Batch batch = random_batch(11, 4);
  for (auto& row : batch.rows) row.token_weight = 0;  // A gradient of exactly zero.
  const auto before = policy.learner.published();
  const StepResult step = policy.step(batch.view(), {.learning_rate = 0.5, .weight_decay = 0.5});
  CHECK(step.gradient_norm == 0);
  CHECK_FALSE(step.was_skipped);
  const auto after = policy.learner.published();
  for (const auto& [shape, offset] : policy.layout.by_name()) {
    CAPTURE(shape.name);
    for (int64_t i = offset; i < offset + shape.size(); ++i) {
      const auto at = static_cast<size_t>(i);
      REQUIRE(after[at] == (shape.is_matrix() ? 0.75f * before[at] : before[at]));
    }
  }
}

TEST_CASE("learner: reset_optimizer makes it a new learner of the same weights") {
  const Batch a = random_batch(12, 5), b = random_batch(13, 5);
  Policy policy({.precision = Precision::kFp32});
  policy.step(a.view(), sft_options());
  const auto middle = policy.learner.published();
  policy.learner.reset_optimizer();
  policy.step(b.view(), sft_options());
  Policy fresh({.precision = Precision::kFp32, .initial = middle});
  fresh.step(b.view(), sft_options());
  CHECK(policy.hash() == fresh.hash());

  Policy without({.precision = Precision::kFp32});
  without.step(a.view(), sft_options());
  without.step(b.view(), sft_options());
  CHECK(without.hash() != fresh.hash());
}

TEST_CASE("learner: the divergence is zero right after the reference is refreshed, not later") {
  const Batch batch = random_batch(14, 6);
  Policy policy({.has_reference = true});
  CHECK(policy.step(batch.view(), grpo_options()).kl == 0);
  CHECK(policy.step(batch.view(), grpo_options()).kl > 0);
  policy.learner.refresh_reference();
  CHECK(policy.step(batch.view(), grpo_options()).kl == 0);
  CHECK(policy.step(batch.view(), grpo_options()).kl > 0);
}

TEST_CASE("learner: score gives the log-probabilities that a step sees, whatever the packing") {
  Batch batch = random_batch(15, 9);
  std::vector<std::vector<float>> first;
  for (int64_t microbatch_tokens : {41, 100, 400}) {
    for (int threads : {1, 2}) {
      Policy policy({.threads = threads, .microbatch_tokens = microbatch_tokens});
      const auto scores = policy.learner.score(batch.view(), 0.7f);
      if (first.empty()) first = scores;
      CHECK(scores == first);
      for (size_t s = 0; s < scores.size(); ++s) {
        for (size_t t = 0; t < scores[s].size(); ++t) {
          CHECK((scores[s][t] < 0) == (batch.rows[s].loss_mask[t] == 1));
        }
        batch.rows[s].rollout_logprobs = scores[s];
      }
      StepOptions options{.grpo = GrpoObjective{}, .temperature = 0.7f, .learning_rate = 1e-3};
      const StepResult step = policy.step(batch.view(), options);
      CHECK(step.ratio_max == 1.0);
      CHECK(step.ppo_kl == 0.0);
      CHECK(step.clip_fraction == 0.0);
      CHECK(policy.learner.score(batch.view(), 0.7f) != first);
    }
  }
}

StepOptions corrected_options(OffPolicyCorrection correction) {
  StepOptions options = grpo_options();
  options.grpo->off_policy_correction = correction;
  options.grpo->importance_cap = 1.25;
  return options;
}

constexpr auto kCorrections = {OffPolicyCorrection::kDecoupled, OffPolicyCorrection::kTruncated};

TEST_CASE("learner: at the policy that sampled them a correction changes no bit of a step") {
  Batch batch = random_batch(17, 9);
  const Setup setup{.has_reference = true};
  Policy plain(setup);
  const auto scores = plain.learner.score(batch.view(), grpo_options().temperature);
  for (size_t s = 0; s < scores.size(); ++s) batch.rows[s].rollout_logprobs = scores[s];
  const StepResult want = plain.step(batch.view(), grpo_options());
  for (const auto correction : kCorrections) {
    for (const bool has_old : {false, true}) {
      for (auto& row : batch.rows) {
        row.old_logprobs = has_old ? row.rollout_logprobs : std::vector<float>{};
      }
      Policy policy(setup);
      const StepResult got = policy.step(batch.view(), corrected_options(correction));
      CHECK(got.loss == want.loss);
      CHECK(got.gradient_norm == want.gradient_norm);
      CHECK(policy.hash() == plain.hash());
      for (const SequenceResult& sequence : got.sequences) {
        CHECK(sequence.log_ratio_abs_sum == 0);
        CHECK(sequence.importance_weight_max == 1);
        CHECK(sequence.num_truncated == 0);
      }
    }
  }
}

TEST_CASE("learner: without old log-probabilities a correction takes those of its own forward") {
  Batch batch = random_batch(18, 9);
  for (const auto correction : kCorrections) {
    Policy own({.has_reference = true}), told({.has_reference = true});
    const StepResult want = own.step(batch.view(), corrected_options(correction));
    Batch with_old = batch;
    const auto scores = told.learner.score(batch.view(), grpo_options().temperature);
    for (size_t s = 0; s < scores.size(); ++s) with_old.rows[s].old_logprobs = scores[s];
    const StepResult got = told.step(with_old.view(), corrected_options(correction));
    CHECK(got.loss == want.loss);
    CHECK(told.hash() == own.hash());
    CHECK(want.ratio_max == 1);  // Nothing has moved yet, however stale the responses are.
    CHECK(want.clip_fraction == 0);
  }
}

// Responses of one policy, old log-probabilities of a second, learned by a third.
struct StaleCase {
  StaleCase() {
    for (auto& row : batch.rows) {
      // Near enough to the policy's own that the cap lies among the weights.
      for (float& logprob : row.rollout_logprobs) logprob = 0.3f * logprob - 2.4f;
    }
    Policy policy({.has_reference = true});
    const auto scores = policy.learner.score(batch.view(), grpo_options().temperature);
    for (size_t s = 0; s < scores.size(); ++s) batch.rows[s].old_logprobs = scores[s];
    policy.step(random_batch(20, 9).view(), sft_options());
    learned = policy.learner.published();
  }
  Batch batch = random_batch(19, 13);
  std::vector<float> learned{};
};

TEST_CASE("learner: a corrected step is that of its tokens, whatever threads and packing") {
  const StaleCase stale;
  std::vector<std::string> hashes;
  for (const auto correction : kCorrections) {
    const StepOptions options = corrected_options(correction);
    std::string hash;
    std::vector<SequenceResult> first;
    for (const int64_t microbatch_tokens : {64, 130, 600}) {
      std::string hash_of_packing;
      for (const int threads : {1, 2, 4}) {
        CAPTURE(microbatch_tokens);
        CAPTURE(threads);
        Policy policy({.threads = threads,
                       .microbatch_tokens = microbatch_tokens,
                       .has_reference = true,
                       .initial = stale.learned});
        const auto scores = policy.learner.score(stale.batch.view(), options.temperature);
        double loss = 0;
        int64_t num_truncated = 0;
        for (size_t s = 0; s < scores.size(); ++s) {
          const auto& row = stale.batch.rows[s];
          for (size_t t = 0; t < scores[s].size(); ++t) {
            if (row.loss_mask[t] == 0) continue;
            const auto current = static_cast<double>(scores[s][t]);
            const TokenLoss token =
                grpo_token_loss(*options.grpo, row.advantage,
                                {.current = current,
                                 .rollout = static_cast<double>(row.rollout_logprobs[t]),
                                 .old = static_cast<double>(row.old_logprobs[t]),
                                 .reference = current});
            loss += row.token_weight * token.loss;
            num_truncated += token.is_truncated ? 1 : 0;
          }
        }
        const StepResult step = policy.step(stale.batch.view(), options);
        CHECK(step.loss == doctest::Approx(loss).epsilon(1e-12));
        CHECK(step.ratio_max != 1);
        if (hash_of_packing.empty()) hash_of_packing = policy.hash();
        CHECK(policy.hash() == hash_of_packing);
        if (first.empty()) first = step.sequences;
        int64_t truncated_of_step = 0;
        REQUIRE(step.sequences.size() == first.size());
        for (size_t s = 0; s < first.size(); ++s) {
          CHECK(step.sequences[s].log_ratio_abs_sum == first[s].log_ratio_abs_sum);
          CHECK(step.sequences[s].importance_weight_sum == first[s].importance_weight_sum);
          CHECK(step.sequences[s].importance_weight_max == first[s].importance_weight_max);
          truncated_of_step += step.sequences[s].num_truncated;
        }
        CHECK(truncated_of_step == num_truncated);
        CHECK((num_truncated > 0) == (correction == OffPolicyCorrection::kTruncated));
      }
      if (hash.empty()) hash = hash_of_packing;
    }
    hashes.push_back(hash);
  }
  Policy plain({.has_reference = true, .initial = stale.learned});
  plain.step(stale.batch.view(), grpo_options());
  CHECK(hashes[0] != hashes[1]);
  CHECK(hashes[0] != plain.hash());
  CHECK(hashes[1] != plain.hash());
}

// A plain gradient step of a small length makes the loss fall by that times the gradient's square.
TEST_CASE("learner: the gradient of a corrected step is that of its loss") {
  const StaleCase stale;
  for (const auto correction : kCorrections) {
    Policy policy({.precision = Precision::kFp32, .has_reference = true, .initial = stale.learned});
    StepOptions options = corrected_options(correction);
    options.weight_decay = 0;
    options.balance_bias_rate = 0;
    options.gradient_clip = 0;
    options.epsilon = 1e4;
    const double length = 5e-5;
    options.learning_rate = options.epsilon * length;
    const StepResult before = policy.step(stale.batch.view(), options);
    options.learning_rate = 0;
    const StepResult after = policy.step(stale.batch.view(), options);
    const double slope = (before.loss - after.loss) / length;
    CHECK(slope == doctest::Approx(before.gradient_norm * before.gradient_norm).epsilon(0.02));
  }
}

TEST_CASE("learner: at ratio one an advantage of one is imitation, and of minus one its opposite") {
  Batch batch = random_batch(16, 6);
  const Setup setup{.precision = Precision::kFp32};
  Policy imitating(setup);
  const auto scores = imitating.learner.score(batch.view(), 1);
  for (size_t s = 0; s < scores.size(); ++s) batch.rows[s].rollout_logprobs = scores[s];
  const auto mean_score = [&](Policy& policy) {
    double sum = 0;
    for (const auto& list : policy.learner.score(batch.view(), 1)) {
      for (float x : list) sum += static_cast<double>(x);
    }
    return sum;
  };
  const double before = mean_score(imitating);
  imitating.step(batch.view(), {.learning_rate = 1e-3});
  CHECK(mean_score(imitating) > before);
  for (double advantage : {1.0, -1.0}) {
    for (auto& row : batch.rows) row.advantage = advantage;
    Policy policy(setup);
    policy.step(batch.view(), {.grpo = GrpoObjective{}, .learning_rate = 1e-3});
    if (advantage > 0) {
      CHECK(policy.hash() == imitating.hash());
    } else {
      CHECK(mean_score(policy) < before);
    }
  }
}

}  // namespace
}  // namespace troupe::model
