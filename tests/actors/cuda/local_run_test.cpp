// A whole job, cold start and reinforcement learning, on the kernels of CUDA: actors/ runs
// unchanged. Each round scores a sample of its responses again and fails unless the bits are the
// rollout's.
#include "actors/controller/local_run.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/cpu_backend.h"
#include "model/data/arithmetic.h"
#include "model/formats/checkpoint.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "tests/support/cuda_emulated/cuda_emulated.h"
#include "tests/support/recording_sink.h"
#include "tests/support/simt/simt.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_policy.h"

namespace troupe::actors {
namespace {

using model::ByteTokenizer;
using tests::RecordingSink;

JobSpec base_job(const std::string& data, const std::string& model) {
  JobSpec job;
  job.policy.config.clear();
  job.policy.model = model;
  job.data.train = data + "/train.jsonl";
  job.data.cold_start = {data + "/cold_start_noisy.jsonl"};
  job.data.held_out = data + "/held_out.jsonl";
  job.data.template_name = "plain";
  job.data.max_prompt_tokens = 16;
  job.rollout.max_response_tokens = 8;
  job.rollout.cache_mb = 4;
  job.rollout.rescore_every_rounds = 1;
  job.rollout.temperature = 1.4;
  job.learner.microbatch_tokens = 64;
  job.sft.batch_tokens = 128;
  job.sft.learning_rate = 1e-2;
  job.grpo.prompts_per_round = 4;
  job.grpo.group_size = 4;
  job.grpo.learning_rate = 1e-3;
  job.grpo.kl_coef = 0.01;
  job.grpo.zero_variance_groups = "keep";
  job.optimizer.warmup_steps = 2;
  job.schedule.checkpoint_every_steps = 0;
  job.eval.every_steps = 0;
  job.eval.problems = 0;
  job.resources.threads_per_worker = 1;
  job.rewards = {{.name = "accuracy", .verifier = "math", .weight = 1.0},
                 {.name = "format", .verifier = "r1_format", .weight = 0.1}};
  return job;
}

RunOutcome run(const kernels::Backend& backend, const JobSpec& job, RecordingSink& sink,
               const std::string& home = "") {
  auto outcome = run_local(backend, job, {.home = home}, sink);
  REQUIRE_MESSAGE(outcome, outcome.error().message);
  return std::move(*outcome);
}

TEST_CASE("cuda run: SFT and GRPO from beginning to end, twice the same bits, near the CPU's") {
  const kernels::Backend& cpu = *kernels::cpu_backends().front();
  const tests::TempDir dir;
  const std::string data = dir.file("data"), fresh = dir.file("fresh");
  REQUIRE(model::make_arithmetic({.train = 40,
                                  .cold_start_clean = 40,
                                  .cold_start_noisy = 400,
                                  .held_out = 20,
                                  .share_guess = 1.0},
                                 data));
  model::TransformerConfig config = tests::tiny_config();
  config.vocab_size = ByteTokenizer::kVocabularySize;
  config.bos_token_id = ByteTokenizer::kBos;
  config.eos_token_id = ByteTokenizer::kEos;
  const model::ParameterLayout layout(config);
  REQUIRE(model::save_checkpoint(
      fresh, {.config = config, .values = model::initial_parameters(config, layout, 1)}));
  // A policy that answers in the right form with a digit that it guesses, so that rewards differ.
  JobSpec cold_start = base_job(data, fresh);
  cold_start.sft.steps = 150;
  cold_start.sft.batch_tokens = 256;
  RecordingSink guessing;
  const std::string guesser = run(cpu, cold_start, guessing, dir.file("guesser")).checkpoint;

  JobSpec job = base_job(data, guesser);
  job.sft.steps = 2;
  job.grpo.steps = 2;
  const kernels::Backend& cuda = tests::cuda_emulated();
  RecordingSink first, second, on_cpu;
  const uint64_t launches = simt::counts().launches;
  const RunOutcome outcome = run(cuda, job, first);
  CHECK(simt::counts().launches > launches + 1000);
  CHECK(outcome.steps == 4);
  CHECK(run(cuda, job, second).weights_sha256 == outcome.weights_sha256);
  CHECK(run(cpu, job, on_cpu).weights_sha256 != outcome.weights_sha256);

  REQUIRE(first.steps.size() == 4);
  for (size_t i = 0; i < first.steps.size(); ++i) {
    CAPTURE(i);
    CHECK(first.steps[i].grad_norm > 0);
    // Up to the first update, and with the first of responses that were sampled, the runs are one.
    if (i > 2) continue;
    CHECK(std::abs(first.steps[i].loss - on_cpu.steps[i].loss) < 2e-2);
    CHECK(std::abs(first.steps[i].grad_norm - on_cpu.steps[i].grad_norm) <
          0.1 * on_cpu.steps[i].grad_norm);
  }
}

}  // namespace
}  // namespace troupe::actors
