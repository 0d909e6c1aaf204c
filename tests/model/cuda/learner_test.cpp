// Whole steps of training on the kernels of CUDA: model/ runs unchanged, its promises hold, and
// what it learns is what it learns on a CPU.
#include "model/training/learner.h"

#include <doctest/doctest.h>

#include <cmath>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/random.h"
#include "model/generation/generator.h"
#include "tests/support/cuda_emulated/gpu.h"
#include "tests/support/learn_batch.h"
#include "tests/support/tiny_policy.h"

namespace troupe::model {
namespace {

using cuda_reference::TensorCore;
using Responses = std::vector<std::vector<Response>>;

constexpr int64_t kContextMax = 96;

// A policy with a learner, whose weights are also those that generate.
struct World {
  World(const kernels::Backend& table, const TransformerConfig& architecture)
      : backend(table),
        config(architecture),
        layout(config),
        learner(backend, config, layout, threads, tests::lively_parameters(config, layout, 5),
                {.microbatch_tokens = 96, .context_max = kContextMax, .has_reference = true}) {}

  StepResult step(const tests::LearnBatch& batch, StepOptions options) {
    if (!config.has_router_bias()) options.balance_bias_rate = 0;
    const auto view = batch.view();
    auto result = learner.step(view, options);
    REQUIRE_MESSAGE(result, (result ? "" : result.error().message));
    return *std::move(result);
  }

  const kernels::Backend& backend;
  TransformerConfig config;
  ParameterLayout layout;
  Threads threads{1};
  Learner learner;
};

// Both arithmetics round to bf16 at the same places; what lies between differs by parts of 1e-7,
// and now and then a number is rounded to its other neighbour: 8e-4 of a gradient was seen of that.
// A step of AdamW makes more of it, since it moves a weight as far by a small gradient as by a
// large.
constexpr double kSameWeights = 5e-3, kOwnWeights = 2e-2;

void check_close(const StepResult& got, const StepResult& want, double tolerance) {
  CAPTURE(got.loss);
  CAPTURE(want.loss);
  CAPTURE(got.gradient_norm);
  CAPTURE(want.gradient_norm);
  CHECK_FALSE(got.was_skipped);
  CHECK(got.tokens == want.tokens);
  CHECK(got.tokens_learned == want.tokens_learned);
  CHECK(std::abs(got.loss - want.loss) < tolerance);
  CHECK(std::abs(got.gradient_norm - want.gradient_norm) < tolerance * want.gradient_norm);
  CHECK(std::abs(got.entropy - want.entropy) < tolerance);
}

TEST_CASE("cuda learner: steps of SFT are the CPU's within bf16, in every family") {
  for (const Family family : tests::kFamilies) {
    CAPTURE(static_cast<int>(family));
    const TransformerConfig config = tests::tiny_config(family);
    World cuda(tests::cuda_emulated(), config), cpu(*kernels::cpu_backends().front(), config);
    const tests::LearnBatch batch = tests::random_batch(7, 4);
    const StepResult first = cuda.step(batch, tests::sft_options());
    check_close(first, cpu.step(batch, tests::sft_options()), kSameWeights);
    const StepResult second = cuda.step(batch, tests::sft_options());
    check_close(second, cpu.step(batch, tests::sft_options()), kOwnWeights);
    CHECK(second.loss < first.loss - 0.01);  // It learns.
  }
}

// And wherever: on a GPU, where there is one.
TEST_CASE("cuda learner: a step is the same bits whenever it is made") {
  std::string hashes[2];
  const kernels::Backend* const gpu = tests::gpu();
  for (std::string& hash : hashes) {
    const bool is_on_gpu = gpu != nullptr && &hash == &hashes[1];
    const kernels::Backend& emulated =
        tests::cuda_emulated(gpu != nullptr ? tests::core_of(*gpu) : TensorCore::kSm90);
    World world(is_on_gpu ? *gpu : emulated, tests::tiny_config());
    for (uint64_t i = 0; i < 2; ++i) {
      world.step(tests::random_batch(8 + i, 6), tests::sft_options());
    }
    hash = tests::digest(world.learner.published());
  }
  CHECK(hashes[0] == hashes[1]);
}

std::vector<GroupRequest> requests() {
  kernels::RandomStream random(21, kernels::StreamId::kMakeData);
  std::vector<GroupRequest> all;
  for (const size_t length : {1, 31, 33}) {
    GroupRequest request;
    for (size_t t = 0; t < length; ++t) {
      request.prompt.push_back(2 + static_cast<int32_t>(random.below(46)));
    }
    request.num_samples = 3;
    request.key = {.seed = 9,
                   .round = 3,
                   .stream = static_cast<uint32_t>(kernels::StreamId::kSample),
                   .ordinal = static_cast<uint32_t>(all.size())};
    all.push_back(std::move(request));
  }
  return all;
}

Responses generate(World& world, std::span<const GroupRequest> asked, float temperature,
                   int64_t batch_tokens_max) {
  auto generator = Generator::create(world.backend, world.config, world.threads,
                                     {.cache_bytes = 4 << 20,
                                      .context_max = kContextMax,
                                      .sequences_max = 8,
                                      .batch_tokens_max = batch_tokens_max});
  REQUIRE_MESSAGE(generator, generator.error().message);
  return (*generator)
      ->generate(world.learner.weights(), asked,
                 {.temperature = temperature, .max_response_tokens = 12, .stop_tokens = {1}});
}

TEST_CASE("cuda generator: a recorded log-probability is the learner's, whatever the batch") {
  for (const Family family : {Family::kLlama, Family::kDeepseekV3}) {
    CAPTURE(static_cast<int>(family));
    for (const TensorCore core : {TensorCore::kSm90, TensorCore::kSm80}) {
      World world(tests::cuda_emulated(core), tests::tiny_config(family));
      const std::vector<GroupRequest> asked = requests();
      const Responses together = generate(world, asked, 0.8f, 23);
      tests::LearnBatch batch;
      for (size_t i = 0; i < asked.size(); ++i) {
        const Responses alone = generate(world, std::span(&asked[i], 1), 0.8f, 512);
        for (size_t s = 0; s < together[i].size(); ++s) {
          REQUIRE(together[i][s].tokens == alone[0][s].tokens);
          REQUIRE(together[i][s].logprobs == alone[0][s].logprobs);
          auto& row = batch.rows.emplace_back();
          row.tokens = asked[i].prompt;
          row.loss_mask.assign(row.tokens.size(), 0);
          const auto& tokens = together[i][s].tokens;
          row.tokens.insert(row.tokens.end(), tokens.begin(), tokens.end());
          row.loss_mask.resize(row.tokens.size(), 1);
          row.rollout_logprobs.assign(asked[i].prompt.size(), 0);
          const auto& logprobs = together[i][s].logprobs;
          row.rollout_logprobs.insert(row.rollout_logprobs.end(), logprobs.begin(), logprobs.end());
          row.advantage = s == 0 ? 1.2 : -0.6;
          row.token_weight = 1.0 / static_cast<double>(tokens.size() * 9);
        }
      }
      const auto view = batch.view();
      const auto scores = world.learner.score(view, 0.8f);
      for (size_t r = 0; r < batch.rows.size(); ++r) {
        REQUIRE(scores[r] == batch.rows[r].rollout_logprobs);
      }

      // And a step of GRPO learns from it.
      StepOptions options = tests::grpo_options();
      options.learning_rate = 1e-3;
      const StepResult got = world.step(batch, options);
      CHECK(got.ratio_max == 1);  // Equal bits.
      CHECK(got.clip_fraction == 0);
      World cpu(*kernels::cpu_backends().front(), world.config);
      check_close(got, cpu.step(batch, options), kSameWeights);
    }
  }
}

}  // namespace
}  // namespace troupe::model
