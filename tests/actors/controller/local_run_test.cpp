// The loop, against a second, plainest telling of the same rules: in one file, because that is read
// from its beginning to its end.
#include "actors/controller/local_run.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>

#include "actors/controller/evaluate.h"
#include "actors/job/prepared_job.h"
#include "actors/verifier/judge.h"
#include "actors/verifier/verifier_table.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/random.h"
#include "model/data/arithmetic.h"
#include "model/data/draw_order.h"
#include "model/formats/checkpoint.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "model/training/advantage.h"
#include "model/training/learner.h"
#include "model/training/learning_rate.h"
#include "tests/model/tokenizer/family_vocabulary.h"
#include "tests/support/recording_sink.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_policy.h"

namespace troupe::actors {
namespace {

namespace fs = std::filesystem;
using model::ByteTokenizer;
using tests::RecordingSink;

const kernels::Backend& backend() { return *kernels::cpu_backends().front(); }

model::TransformerConfig tiny_byte_config() {
  auto config = tests::tiny_config();
  config.vocab_size = ByteTokenizer::kVocabularySize;
  config.bos_token_id = ByteTokenizer::kBos;
  config.eos_token_id = ByteTokenizer::kEos;
  return config;
}

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
  job.learner.microbatch_tokens = 64;
  job.sft.batch_tokens = 256;
  job.grpo.prompts_per_round = 4;
  job.grpo.group_size = 4;
  job.optimizer.warmup_steps = 2;
  job.schedule.checkpoint_every_steps = 0;
  job.eval.every_steps = 0;
  job.eval.problems = 0;
  job.resources.threads_per_worker = 1;
  job.rewards = {{.name = "accuracy", .verifier = "math", .weight = 1.0},
                 {.name = "format", .verifier = "r1_format", .weight = 0.1}};
  return job;
}

RunOutcome run(const JobSpec& job, RecordingSink& sink, const LocalRunOptions& options = {}) {
  auto outcome = run_local(backend(), job, options, sink);
  REQUIRE_MESSAGE(outcome, outcome.error().message);
  return std::move(*outcome);
}

// Data, fresh weights, and a policy that answers in the right form with a digit that it guesses, so
// that some groups have variance and some have none. Made once.
struct World {
  World() {
    REQUIRE(model::make_arithmetic({.train = 40,
                                    .cold_start_clean = 40,
                                    .cold_start_noisy = 400,
                                    .held_out = 20,
                                    .share_guess = 1.0},
                                   data));
    const auto config = tiny_byte_config();
    const model::ParameterLayout layout(config);
    REQUIRE(model::save_checkpoint(
        fresh, {.config = config, .values = model::initial_parameters(config, layout, 1)}));
    JobSpec job = base_job(data, fresh);
    job.sft.steps = 150;
    job.sft.learning_rate = 1e-2;
    RecordingSink sink;
    guesser = run(job, sink, {.home = dir.file("guesser")}).checkpoint;
    REQUIRE(sink.steps.back().loss < 1);
  }

  tests::TempDir dir{};
  std::string data = dir.file("data");
  std::string fresh = dir.file("fresh");
  std::string guesser{};
};

const World& world() {
  static const World instance;
  return instance;
}

JobSpec guesser_job(int64_t steps, int64_t minibatches) {
  JobSpec job = base_job(world().data, world().guesser);
  job.grpo.steps = steps;
  job.grpo.minibatches_per_round = minibatches;
  job.grpo.learning_rate = 1e-3;
  job.grpo.prompts_per_round = 6;
  job.grpo.kl_coef = 0.01;
  job.rollout.temperature = 1.4;  // Responses of different lengths.
  return job;
}

// What the design says of one job without a cold start, told a second time: groups by (round,
// ordinal) one after another, every rule in place.
struct Oracle {
  struct Group {
    const PromptTokens* prompt = nullptr;
    std::vector<model::Response> responses{};
    std::vector<float> rewards{};
    bool has_variance() const { return std::set<float>(rewards.begin(), rewards.end()).size() > 1; }
  };

  explicit Oracle(const JobSpec& spec)
      : job(spec),
        checkpoint(*model::load_checkpoint(job.policy.model)),
        layout(checkpoint.config),
        data(*load_job_data(job, checkpoint.text, checkpoint.config)),
        learner(backend(), checkpoint.config, layout, threads, checkpoint.values,
                {.microbatch_tokens = job.learner.microbatch_tokens,
                 .context_max = 64,
                 .gradient_lanes = job.learner.gradient_lanes,
                 .has_reference = true}) {}

  Group play(int64_t round, int64_t ordinal) {
    model::PromptOrder order({.seed = job.seed,
                              .count = static_cast<int64_t>(data.train.size()),
                              .prompts_per_round = job.grpo.prompts_per_round});
    auto generator = model::Generator::create(backend(), checkpoint.config, threads,
                                              {.cache_bytes = 1 << 20, .context_max = 64});
    REQUIRE(generator);
    Group group;
    group.prompt = &data.train[static_cast<size_t>(order.at(round, ordinal))];
    const model::GroupRequest request{
        .prompt = group.prompt->tokens,
        .num_samples = static_cast<int32_t>(job.grpo.group_size),
        .key = {.seed = job.seed,
                .round = static_cast<uint64_t>(round),
                .stream = static_cast<uint32_t>(kernels::StreamId::kSample),
                .ordinal = static_cast<uint32_t>(ordinal)}};
    group.responses = (*generator)
                          ->generate(learner.weights(), std::span(&request, 1),
                                     {.temperature = static_cast<float>(job.rollout.temperature),
                                      .max_response_tokens = job.rollout.max_response_tokens,
                                      .stop_tokens = {ByteTokenizer::kEos}})
                          .at(0);
    auto judge = Judge::create(job.rewards);
    REQUIRE(judge);
    for (const auto& response : group.responses) {
      const std::string text = ByteTokenizer::decode(response.tokens);
      group.rewards.push_back((*judge)->judge({.text = text, .gold = group.prompt->gold}).reward());
    }
    generated += job.grpo.group_size;
    return group;
  }

  std::vector<Group> admit(int64_t round) {
    const int64_t P = job.grpo.prompts_per_round;
    const std::string& rule = job.grpo.zero_variance_groups;
    std::vector<Group> admitted;
    int64_t ordinal = 0;
    for (int64_t attempt = 0; attempt <= (rule == "replace" ? job.grpo.replacement_rounds_max : 0);
         ++attempt) {
      const int64_t end = ordinal + P - static_cast<int64_t>(admitted.size());
      for (; ordinal < end; ++ordinal) {
        Group group = play(round, ordinal);
        if (rule == "keep" || group.has_variance()) {
          admitted.push_back(std::move(group));
        } else {
          dropped += job.grpo.group_size;
        }
      }
    }
    admitted_by_round.push_back(admitted.size());
    return admitted;
  }

  void learn(const std::vector<Group>& groups, int64_t step) {
    struct Row {
      std::vector<int32_t> tokens{};
      std::vector<uint8_t> mask{};
      std::vector<float> logprobs{};
      double advantage = 0;
      double length = 0;
    };
    std::vector<Row> rows;
    double total = 0;
    for (const auto& group : groups) {
      const auto advantages =
          model::group_advantages(group.rewards, model::advantage_kind(job.grpo.advantage));
      for (size_t i = 0; i < group.responses.size(); ++i) {
        const auto& response = group.responses[i];
        Row row{.tokens = group.prompt->tokens, .mask = {}, .logprobs = {}};
        row.mask.assign(row.tokens.size(), 0);
        row.logprobs.assign(row.tokens.size(), 0);
        row.tokens.insert(row.tokens.end(), response.tokens.begin(), response.tokens.end());
        row.logprobs.insert(row.logprobs.end(), response.logprobs.begin(), response.logprobs.end());
        row.mask.resize(row.tokens.size(), 1);
        row.advantage = advantages[i];
        row.length = static_cast<double>(response.tokens.size());
        total += row.length;
        lengths.insert(response.tokens.size());
        rows.push_back(std::move(row));
      }
    }
    std::vector<model::LearnSequence> batch;
    for (const auto& row : rows) {
      const double weight = job.grpo.loss_aggregation == "token_mean"
                                ? 1 / total
                                : 1 / (static_cast<double>(rows.size()) * row.length);
      batch.push_back({.tokens = row.tokens,
                       .loss_mask = row.mask,
                       .rollout_logprobs = row.logprobs,
                       .advantage = row.advantage,
                       .token_weight = weight});
    }
    const double warm =
        std::min(1.0, static_cast<double>(step) / static_cast<double>(job.optimizer.warmup_steps));
    const auto result =
        learner.step(batch, {.grpo = model::GrpoObjective{.clip_low = job.grpo.clip_low,
                                                          .clip_high = job.grpo.clip_high,
                                                          .kl_coef = job.grpo.kl_coef},
                             .temperature = static_cast<float>(job.rollout.temperature),
                             .learning_rate = job.grpo.learning_rate * warm,
                             .balance_bias_rate = job.learner.balance_bias_rate});
    learned += static_cast<int64_t>(rows.size());
    REQUIRE(result);
    losses.push_back(result->loss);
    if (step % job.grpo.reference_refresh_steps == 0) learner.refresh_reference();
  }

  void run() {
    const int64_t M = job.grpo.minibatches_per_round, P = job.grpo.prompts_per_round;
    for (int64_t step = 0; step < job.grpo.steps;) {
      const auto groups = admit(step / M);
      for (int64_t m = 0; m < M; ++m) {
        std::vector<Group> part;
        for (int64_t i = m * P / M; i < (m + 1) * P / M; ++i) {
          if (i < static_cast<int64_t>(groups.size()))
            part.push_back(groups[static_cast<size_t>(i)]);
        }
        learn(part, ++step);
      }
    }
  }

  JobSpec job;
  model::Checkpoint checkpoint;
  model::ParameterLayout layout;
  JobData data;
  model::Threads threads{1};
  model::Learner learner;
  int64_t generated = 0, learned = 0, dropped = 0;
  std::vector<size_t> admitted_by_round{};
  std::vector<double> losses{};
  std::set<size_t> lengths{};  // Of the responses that were learned.
};

void check_against_oracle(const JobSpec& job) {
  CAPTURE(job.grpo.zero_variance_groups);
  CAPTURE(job.grpo.loss_aggregation);
  Oracle oracle(job);
  oracle.run();
  RecordingSink sink;
  const RunOutcome outcome = run(job, sink);
  CHECK(outcome.weights_sha256 ==
        model::checkpoint_sha256(oracle.checkpoint.config, oracle.learner.published()));
  CHECK(outcome.steps == job.grpo.steps);
  const Ledger& ledger = outcome.ledger;
  CHECK(ledger.trajectories_generated == oracle.generated);
  CHECK(ledger.trajectories_learned == oracle.learned);
  int64_t dropped = 0;
  for (const auto& [reason, count] : ledger.trajectories_dropped) {
    CHECK(reason == "zero_variance");
    dropped += count;
  }
  CHECK(dropped == oracle.dropped);
  CHECK(oracle.generated == oracle.learned + oracle.dropped);
  CHECK(oracle.lengths.size() > 2);  // Else it would not matter how sequences are weighed.
  REQUIRE(sink.steps.size() == oracle.losses.size());
  for (size_t i = 0; i < oracle.losses.size(); ++i) {
    CHECK(sink.steps[i].loss == oracle.losses[i]);
  }
}

TEST_CASE("run: keep, drop and replace give the history that the rules give") {
  JobSpec job = guesser_job(4, 2);
  job.learner.balance_bias_rate = 0.01;
  job.grpo.reference_refresh_steps = 3;
  for (const char* rule : {"keep", "drop", "replace"}) {
    job.grpo.zero_variance_groups = rule;
    check_against_oracle(job);
  }
  // The rules were not idle.
  job.grpo.zero_variance_groups = "drop";
  Oracle dropping(job);
  dropping.run();
  CHECK(dropping.dropped > 0);
  CHECK(dropping.learned > 0);
  job.grpo.zero_variance_groups = "replace";
  Oracle replacing(job);
  replacing.run();
  CHECK(replacing.generated > 2 * 6 * 4);
  CHECK(replacing.learned > dropping.learned);
}

TEST_CASE("run: aggregation and advantage are the job's") {
  JobSpec job = guesser_job(2, 1);
  job.grpo.loss_aggregation = "token_mean";
  check_against_oracle(job);
  job.grpo.advantage = "group_centred";
  check_against_oracle(job);
}

TEST_CASE("run: every sequence weighs the same unless tokens do") {
  // At ratio one and without divergence the loss is minus the mean advantage, which is zero in
  // every group, whatever the lengths of its responses.
  JobSpec job = guesser_job(1, 1);
  job.grpo.kl_coef = 0;
  RecordingSink by_sequence, by_token;
  run(job, by_sequence);
  CHECK(std::fabs(by_sequence.steps[0].loss) < 1e-9);
  CHECK(by_sequence.steps[0].advantage_abs_mean > 0);
  job.grpo.loss_aggregation = "token_mean";
  run(job, by_token);
  CHECK(std::fabs(by_token.steps[0].loss) > 1e-6);
}

TEST_CASE("run: without any variance, drop learns nothing and says so, replace gives up") {
  JobSpec job = base_job(world().data, world().fresh);  // Never right.
  job.grpo.steps = 4;
  job.grpo.minibatches_per_round = 2;
  job.learner.balance_bias_rate = 0.01;
  for (const auto& [rule, rounds] : {std::pair("drop", 1), {"replace", 3}}) {
    CAPTURE(rule);
    job.grpo.zero_variance_groups = rule;
    job.grpo.replacement_rounds_max = 2;
    RecordingSink sink;
    const RunOutcome outcome = run(job, sink);
    CHECK(outcome.steps == 4);
    CHECK(outcome.weights_sha256 == sink.first_weights);
    CHECK(outcome.ledger.trajectories_generated == 2 * 16 * rounds);
    CHECK(outcome.ledger.trajectories_learned == 0);
    CHECK(outcome.ledger.trajectories_dropped.at("zero_variance") == 2 * 16 * rounds);
    for (const auto& step : sink.steps) {
      CHECK(step.was_skipped);
      CHECK(step.frac_reward_zero_std == 1);
    }
  }
}

TEST_CASE("run: the sink hears every step, evaluation and the end, in order") {
  JobSpec job = base_job(world().data, world().fresh);
  job.sft.steps = 3;
  job.grpo.steps = 4;
  job.grpo.minibatches_per_round = 2;
  job.eval.every_steps = 2;
  job.eval.problems = 6;
  job.schedule.checkpoint_every_steps = 1;
  job.schedule.checkpoints_kept = 2;
  const tests::TempDir dir;
  RecordingSink sink;
  const RunOutcome outcome = run(job, sink, {.home = dir.file("home")});
  CHECK(sink.events == std::vector<std::string>{"started", "sft 1/3 v1", "sft 2/3 v2", "sft 3/3 v3",
                                                "evaluated v3", "grpo 1/4 v4", "grpo 2/4 v5",
                                                "evaluated v5", "grpo 3/4 v6", "grpo 4/4 v7",
                                                "evaluated v7", "ended finished"});
  CHECK(sink.is_progress_sane);
  CHECK(sink.first_weights != sink.last_weights);
  CHECK(sink.last_weights == outcome.weights_sha256);
  CHECK(outcome.state == JobState::kFinished);
  CHECK(outcome.steps == 7);
  REQUIRE(outcome.evaluations.size() == 3);
  CHECK(outcome.evaluations[2].metrics.problems == 6);

  // The newest two checkpoints, whole.
  std::set<std::string> left;
  for (const auto& entry : fs::directory_iterator(dir.file("home/checkpoints"))) {
    left.insert(entry.path().filename());
  }
  CHECK(left == std::set<std::string>{"step_6", "step_7"});
  CHECK(outcome.checkpoint == dir.file("home/checkpoints/step_7"));
  const auto checkpoint = model::load_checkpoint(outcome.checkpoint);
  REQUIRE(checkpoint);
  CHECK(model::checkpoint_sha256(checkpoint->config, checkpoint->values) == outcome.weights_sha256);
  CHECK(checkpoint->text.prompt_template == "plain");

  // Sums.
  int64_t generated = 0, learned = 0;
  for (const auto& step : sink.steps) {
    generated += step.tokens_generated;
    learned += step.tokens_learned;
  }
  CHECK(outcome.ledger.tokens_generated == generated);
  CHECK(outcome.ledger.tokens_learned == learned);
  CHECK(outcome.ledger.trajectories_generated == 2 * 4 * 4);
  CHECK(outcome.ledger.trajectories_learned == 2 * 4 * 4);
  int64_t verdicts = 0;
  for (const auto& [kind, count] : outcome.ledger.verdicts) verdicts += count;
  CHECK(verdicts == 2 * 4 * 4);
  const std::vector<uint64_t> rounds = {0, 0, 1, 1};
  for (size_t i = 0; i < 4; ++i) {
    const StepMetrics& step = sink.steps[3 + i];
    CHECK(number(step.round) == rounds[i]);
    CHECK((step.tokens_generated > 0) == (i % 2 == 0));
    CHECK(step.learning_rate == job.grpo.learning_rate * (i == 0 ? 0.5 : 1.0));
  }
}

TEST_CASE("run: a job is a function of its seed, not of its threads or of the home it has") {
  JobSpec job = guesser_job(2, 2);
  job.sft.steps = 2;
  job.eval.problems = 4;
  const tests::TempDir dir;
  RecordingSink sink;
  const auto first = run(job, sink, {.home = dir.file("home")});
  for (int64_t threads : {1, 2, 3}) {
    job.resources.threads_per_worker = threads;
    RecordingSink other;
    const auto again = run(job, other);
    CHECK(again.weights_sha256 == first.weights_sha256);
    CHECK(again.ledger.tokens_generated == first.ledger.tokens_generated);
    for (size_t i = 0; i < sink.steps.size(); ++i) {
      CHECK(other.steps[i].loss == sink.steps[i].loss);
      CHECK(other.steps[i].reward_mean == sink.steps[i].reward_mean);
    }
  }
  job.seed = 2;
  RecordingSink other;
  CHECK(run(job, other).weights_sha256 != first.weights_sha256);
}

TEST_CASE(
    "run: where every round is learned by the policy that wrote it a correction changes nothing") {
  JobSpec job = guesser_job(6, 3);
  job.grpo.zero_variance_groups = "replace";  // Rounds may be short.
  RecordingSink plain;
  const RunOutcome want = run(job, plain);
  job.grpo.importance_cap = 1;
  for (const std::string correction : {"decoupled", "truncated"}) {
    CAPTURE(correction);
    job.grpo.off_policy_correction = correction;
    RecordingSink sink;
    CHECK(run(job, sink).weights_sha256 == want.weights_sha256);
    for (size_t i = 0; i < sink.steps.size(); ++i) {
      const StepMetrics& step = sink.steps[i];
      CHECK(step.loss == plain.steps[i].loss);
      CHECK(step.grad_norm == plain.steps[i].grad_norm);
      CHECK(step.ratio_max == plain.steps[i].ratio_max);
      CHECK(step.importance_truncated_share == 0);
      CHECK(plain.steps[i].importance_weight_max == 0);
      if (step.was_skipped) continue;
      CHECK(step.importance_weight_mean == 1);
      CHECK(step.importance_weight_max == 1);
      CHECK(step.staleness_steps_mean == static_cast<double>(i % 3));
      CHECK(step.staleness_steps_max == static_cast<int64_t>(i % 3));
      CHECK(step.staleness_steps_by_length.at("0-63") == static_cast<double>(i % 3));
      CHECK((step.log_ratio_abs_by_length.at("0-63") > 0) == (i % 3 > 0));
      CHECK(step.log_ratio_abs_by_length == plain.steps[i].log_ratio_abs_by_length);
    }
    CHECK_FALSE(sink.steps[1].was_skipped);
  }
}

TEST_CASE("run: with a correction there are recovery points between rounds only") {
  JobSpec job = guesser_job(6, 3);
  job.sft.steps = 2;
  job.schedule.checkpoints_kept = 100;
  const auto points = [&](const std::string& correction, int64_t every) {
    const tests::TempDir dir;
    job.grpo.off_policy_correction = correction;
    job.schedule.checkpoint_every_steps = every;
    RecordingSink sink;
    run(job, sink, {.home = dir.file("home")});
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(dir.file("home/checkpoints"))) {
      found.insert(entry.path().filename());
    }
    return found;
  };
  using Names = std::set<std::string>;
  CHECK(points("none", 2) == Names{"step_2", "step_4", "step_6", "step_8"});
  CHECK(points("decoupled", 2) == Names{"step_2", "step_5", "step_8"});
  // The first boundary after the step that was due.
  CHECK(points("truncated", 5) == Names{"step_2", "step_8"});
  CHECK(points("truncated", 3) == Names{"step_2", "step_5", "step_8"});
}

TEST_CASE(
    "run: with a correction an interrupt stops between rounds, and passes no evaluation over") {
  JobSpec job = guesser_job(6, 3);
  job.grpo.off_policy_correction = "decoupled";
  for (size_t after : {0, 1, 2, 3, 4, 5}) {
    CAPTURE(after);
    const tests::TempDir dir;
    RecordingSink sink;
    const auto outcome = run(job, sink, {.home = dir.file("home"), .is_interrupted = [&] {
                                           return sink.steps.size() >= after;
                                         }});
    CHECK(outcome.state == JobState::kPaused);
    CHECK(outcome.steps % 3 == 0);
    CHECK(outcome.steps >= static_cast<int64_t>(after));
    CHECK(sink.steps.size() == static_cast<size_t>(outcome.steps));
    CHECK(outcome.checkpoint.empty() == (outcome.steps == 0));
    if (outcome.steps == 0) continue;
    CHECK(fs::path(outcome.checkpoint).filename() == "step_" + std::to_string(outcome.steps));
  }
  // Without recovery points there is nothing to wait for.
  RecordingSink without;
  const auto outcome =
      run(job, without, {.is_interrupted = [&] { return without.steps.size() >= 1; }});
  CHECK(outcome.state == JobState::kPaused);
  CHECK(outcome.steps < 6);

  job.eval.every_steps = 2;
  job.eval.problems = 4;
  const tests::TempDir dir;
  RecordingSink sink;
  const auto evaluating =
      run(job, sink,
          {.home = dir.file("home"), .is_interrupted = [&] { return sink.steps.size() >= 1; }});
  CHECK(evaluating.state == JobState::kPaused);
  CHECK(evaluating.steps == 2);  // Due for an evaluation.
  CHECK(evaluating.checkpoint.empty());
}

TEST_CASE("run: the divergence starts again at zero where the reference is refreshed") {
  JobSpec job = guesser_job(5, 1);
  job.grpo.reference_refresh_steps = 2;
  RecordingSink sink;
  run(job, sink);
  std::vector<bool> is_zero;
  for (const auto& step : sink.steps) is_zero.push_back(step.kl == 0);
  CHECK(is_zero == std::vector<bool>{true, false, true, false, true});
}

// Every trajectory that was generated is somewhere.
void check_all_counted(const Ledger& ledger) {
  int64_t dropped = 0;
  for (const auto& [reason, count] : ledger.trajectories_dropped) dropped += count;
  CHECK(ledger.trajectories_generated == ledger.trajectories_learned + dropped);
}

TEST_CASE("run: an interrupt stops at a step's boundary with a checkpoint") {
  JobSpec job = guesser_job(8, 2);
  job.sft.steps = 2;
  for (size_t after : {0, 1, 2, 3, 4, 5}) {
    CAPTURE(after);
    const tests::TempDir dir;
    RecordingSink sink;
    const auto outcome = run(job, sink, {.home = dir.file("home"), .is_interrupted = [&] {
                                           return sink.steps.size() >= after;
                                         }});
    CHECK(outcome.state == JobState::kPaused);
    CHECK(sink.events.back() == "ended stopped");
    // The steps that the learner had been given are finished.
    CHECK(sink.steps.size() >= after);
    CHECK(sink.steps.size() <= after + 6);
    CHECK(outcome.steps == static_cast<int64_t>(sink.steps.size()));
    CHECK(outcome.steps < job.sft.steps + job.grpo.steps);
    if (outcome.steps > 0) {
      const auto checkpoint = model::load_checkpoint(outcome.checkpoint);
      REQUIRE(checkpoint);
      CHECK(model::checkpoint_sha256(checkpoint->config, checkpoint->values) ==
            outcome.weights_sha256);
    }
    check_all_counted(outcome.ledger);
  }
}

TEST_CASE("run: an interrupt while generating or evaluating loses no step") {
  for (const char* activity : {"generating", "evaluating"}) {
    CAPTURE(activity);
    JobSpec job = guesser_job(2, 1);
    job.eval.problems = 10;
    RecordingSink sink;
    bool is_interrupted = false;
    sink.on_progress = [&](std::string_view now) { is_interrupted = now == activity; };
    const auto outcome = run(job, sink, {.is_interrupted = [&] { return is_interrupted; }});
    CHECK(outcome.state == JobState::kPaused);
    CHECK(outcome.steps == 0);
    CHECK(outcome.weights_sha256 == sink.first_weights);
    check_all_counted(outcome.ledger);
  }
}

// The seam is the table of functions: a device whose sampler reports a log-probability that is one
// bit off.
const kernels::Backend* honest = nullptr;
void sample_wrongly(kernels::Stream* stream, const kernels::Sample& args) {
  honest->sample(stream, args);
  std::vector<uint32_t> bits(static_cast<size_t>(args.N));
  honest->download(stream, bits.data(), args.logprob.address, args.N * 4);
  for (auto& b : bits) b ^= 1;
  honest->upload(stream, args.logprob.address, bits.data(), args.N * 4);
}

TEST_CASE("run: one wrong bit in a recorded log-probability stops the job, saying where") {
  honest = &backend();
  kernels::Backend lying = backend();
  lying.sample = sample_wrongly;
  JobSpec job = guesser_job(1, 1);
  RecordingSink sink;
  const auto refused = run_local(lying, job, {}, sink);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kInternal);
  CHECK(refused.error().message.find("round 0, ordinal 0, sample 0, token ") != std::string::npos);
  CHECK(sink.steps.empty());
  job.rollout.rescore_every_rounds = 0;
  CHECK(run_local(lying, job, {}, sink));
}

TEST_CASE("run: steps without a finite gradient are skipped, and too many in a row end the job") {
  JobSpec job = base_job(world().data, world().fresh);
  job.sft.steps = 20;
  job.sft.learning_rate = 1e30;  // After one step no number is left.
  job.optimizer.warmup_steps = 0;
  job.optimizer.non_finite_steps_max = 3;
  RecordingSink sink;
  const auto ended = run_local(backend(), job, {}, sink);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code == ErrorCode::kInternal);
  CHECK(ended.error().message.find("3 steps in a row") != std::string::npos);
  REQUIRE(sink.steps.size() >= 4);
  CHECK_FALSE(sink.steps[0].was_skipped);
  CHECK(sink.steps.back().was_skipped);
  const auto skips = std::count_if(sink.notes.begin(), sink.notes.end(), [](const auto& note) {
    return note.find("finite") != std::string::npos;
  });
  CHECK(skips == 3);
}

void sum_wrongly(kernels::Stream* stream, kernels::Device<double> sums, kernels::Device<float> x,
                 int64_t n) {
  honest->square_sums(stream, sums, x, n);
  const double infinity = HUGE_VAL;
  honest->upload(stream, sums.address, &infinity, sizeof(infinity));
}

TEST_CASE("run: a step that was skipped has learned no trajectory") {
  honest = &backend();
  kernels::Backend lying = backend();
  lying.square_sums = sum_wrongly;
  RecordingSink sink;
  const auto outcome = run_local(lying, guesser_job(2, 1), {}, sink);
  REQUIRE(outcome);
  CHECK(outcome->weights_sha256 == sink.first_weights);
  CHECK(outcome->steps == 2);
  CHECK(outcome->ledger.trajectories_learned == 0);
  CHECK(outcome->ledger.trajectories_dropped.at("not_finite") == 2 * 6 * 4);
  check_all_counted(outcome->ledger);
}

TEST_CASE("run: what is wrong is refused before anything is written") {
  const tests::TempDir dir;
  const auto refusal = [&](const JobSpec& job) {
    RecordingSink sink;
    const auto refused = run_local(backend(), job, {.home = dir.file("home")}, sink);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kInvalidArgument);
    CHECK(sink.events.empty());
    CHECK(fs::is_empty(dir.path()));
    return refused.error().message;
  };
  const JobSpec good = guesser_job(1, 1);
  JobSpec job = good;
  job.data.train += "x";
  refusal(job);
  job = good;
  job.policy.model += "x";
  refusal(job);
  job = good;
  job.rollout.max_response_tokens = 1000;
  CHECK(refusal(job).find("256") != std::string::npos);
  job = good;
  job.learner.microbatch_tokens = 10;
  CHECK(refusal(job).find("microbatch_tokens") != std::string::npos);
  // What would not fit into one message.
  job = good;
  job.grpo.prompts_per_round = 1'000'000;
  CHECK(refusal(job).find("minibatches_per_round") != std::string::npos);
  job = good;
  job.grpo.group_size = 100'000;
  CHECK(refusal(job).find("group_size") != std::string::npos);
  job = good;
  job.rewards.clear();
  refusal(job);
  job = good;
  job.rewards[0].verifier = "code";
  refusal(job);
  job = good;
  job.rollout.cache_mb = 0;
  CHECK(refusal(job).find("cache_mb") != std::string::npos);
  // A vocabulary that is not the tokenizer's.
  for (int64_t vocabulary : {48, 512}) {
    auto config = tiny_byte_config();
    config.vocab_size = vocabulary;
    const tests::TempDir other;
    const model::ParameterLayout layout(config);
    REQUIRE(model::save_checkpoint(
        other.file("m"),
        {.config = config, .values = model::initial_parameters(config, layout, 1)}));
    job = good;
    job.policy.model = other.file("m");
    CHECK(refusal(job).find("vocabulary") != std::string::npos);
  }
}

TEST_CASE("run: a policy of any family learns with its own tokenizer and its own chat template") {
  const tests::TempDir dir;
  const auto tokenizer = tests::family_tokenizer("smollm2");
  const int32_t end = *tokenizer.find("<|im_end|>");
  for (model::Family family : tests::kFamilies) {
    auto config = tests::tiny_config(family);
    CAPTURE(static_cast<int>(family));
    config.vocab_size = tokenizer.vocabulary_size() + 8;  // Rows without a token.
    config.bos_token_id = -1;
    config.eos_token_id = end;
    const std::string folder = dir.file("policy" + std::to_string(static_cast<int>(family)));
    REQUIRE(model::save_checkpoint(
        folder, {.config = config,
                 .values = model::initial_parameters(config, model::ParameterLayout(config), 1),
                 .text = {.prompt_template = "smollm2",
                          .files = {{"tokenizer.json", tests::golden_tokenizer_file("smollm2")},
                                    {"tokenizer_config.json", "{}"}}}}));
    JobSpec job = base_job(world().data, folder);
    job.data.template_name = "model";
    job.data.max_prompt_tokens = 96;
    job.learner.microbatch_tokens = 256;
    job.sft.steps = 3;
    job.grpo.steps = 2;
    RecordingSink sink;
    const auto outcome = run(job, sink, {.home = folder + "-run"});
    CHECK(sink.steps.size() == 5);
    const auto checkpoint = model::load_checkpoint(outcome.checkpoint);
    REQUIRE(checkpoint);
    CHECK(checkpoint->config == config);
    CHECK(checkpoint->text.prompt_template == "smollm2");
    CHECK(checkpoint->text.tokenizer.special().stop == std::vector<int32_t>{end});
    CHECK(*checkpoint->text.tokenizer.encode("1+2") == *tokenizer.encode("1+2"));
  }
}

TEST_CASE("evaluate: solved is what the verifier says, and samples belong to seed and version") {
  const auto checkpoint = model::load_checkpoint(world().guesser);
  REQUIRE(checkpoint);
  const model::ParameterLayout layout(checkpoint->config);
  model::Threads threads(1);
  model::Learner learner(backend(), checkpoint->config, layout, threads, checkpoint->values,
                         {.microbatch_tokens = 64, .context_max = 64});
  auto generator = model::Generator::create(backend(), checkpoint->config, threads,
                                            {.cache_bytes = 4 << 20, .context_max = 64});
  REQUIRE(generator);
  const auto format = prompt_format("plain", checkpoint->text, checkpoint->config);
  REQUIRE(format);
  std::vector<std::string> notes;
  const std::vector<RewardSpec> rewards = {{.name = "format", .verifier = "r1_format"},
                                           {.name = "accuracy", .verifier = "math"}};
  const auto problems = load_prompts(world().data + "/train.jsonl", *format,
                                     {.max_prompt_tokens = 16, .rewards = rewards}, notes);
  REQUIRE(problems);
  CHECK(accuracy_part(rewards) == 1);
  const auto ask = [&](const EvaluateOptions& options) {
    auto evaluation =
        evaluate(**generator, learner.weights(), *format, *problems, rewards, options, {});
    REQUIRE(evaluation);
    return *evaluation;
  };
  const EvaluateOptions options{
      .temperature = 1, .max_response_tokens = 8, .num_traces = problems->size()};
  const Evaluation evaluation = ask(options);
  CHECK(evaluation.metrics.problems == 40);
  REQUIRE(evaluation.traces.size() == 40);
  int64_t solved = 0;
  for (size_t i = 0; i < 40; ++i) {
    const Trace& trace = evaluation.traces[i];
    CHECK(trace.gold == (*problems)[i].gold);
    // The guesser's form is known, so this needs no verifier.
    const bool is_right = trace.response == "<answer>" + trace.gold + "</answer>";
    if (is_right) CHECK(trace.is_solved);
    if (trace.is_solved) CHECK(trace.response.find(trace.gold) != std::string::npos);
    solved += trace.is_solved ? 1 : 0;
  }
  CHECK(evaluation.metrics.solved == solved);
  CHECK(solved > 0);
  CHECK(solved < 40);

  const auto text = [](const Evaluation& e) {
    std::string all;
    for (const auto& trace : e.traces) all += trace.response + "\n";
    return all;
  };
  CHECK(text(ask(options)) == text(evaluation));
  EvaluateOptions other = options;
  other.version = PolicyVersion{7};
  CHECK(text(ask(other)) != text(evaluation));
  other = options;
  other.seed = 2;
  CHECK(text(ask(other)) != text(evaluation));
  other.temperature = 0;
  const Evaluation greedy = ask(other);
  other.seed = 3;
  CHECK(text(ask(other)) == text(greedy));

  const auto stopped = evaluate(**generator, learner.weights(), *format, *problems, rewards,
                                options, [](int64_t) { return false; });
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == ErrorCode::kStopped);
}

}  // namespace
}  // namespace troupe::actors
