#include "actors/controller/learning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "model/training/learning_rate.h"
#include "schemas/check.h"
#include "schemas/records_codec.h"

namespace troupe::actors {
namespace {

// Steps that the learner may have before it: enough that it never waits for a message.
constexpr uint64_t kStepsInFlight = 6;

bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

}  // namespace

Learning::Learning(const JobSpec& job, std::span<const std::vector<DemonstrationTokens>> cold_start,
                   const Timetable& timetable, const Past& past, Commits& commits, Outbox& outbox)
    : job_(job),
      cold_start_(cold_start),
      timetable_(timetable),
      commits_(commits),
      outbox_(outbox),
      frontier_(past.newest_point) {
  // What is known without a gap: a record that is missing is learned again and written.
  for (const StepRecord& step : past.steps) {
    const uint64_t version = number(step.metrics.version);
    if (version > frontier_ + 1) break;
    frontier_ = std::max(frontier_, version);
    recorded_[version] = step.metrics;
    nothing_learned_.add(step.metrics, job_);
    count_finite(step.metrics);
  }
}

bool Learning::is_full() const { return sent_ - number(learned_) >= kStepsInFlight; }

Status Learning::learner_ready(PolicyVersion version, const GateAt& gate_at) {
  TROUPE_CHECK(!is_ready_);
  is_ready_ = true;
  learned_ = version;
  sent_ = number(version);
  sft_.emplace(job_, cold_start_);
  while (static_cast<uint64_t>(sft_->steps()) < std::min(sent_, timetable_.sft_steps())) {
    if (sft_->next() == SftPlan::Next::kStep) {
      static_cast<void>(sft_->take_step());
      continue;
    }
    const auto gate = gate_at(static_cast<uint64_t>(sft_->steps()));
    if (!gate) {
      return Error{ErrorCode::kCorruption,
                   fmt::format("the store has no gate at step {}, which lies before the recovery "
                               "point of version {}",
                               sft_->steps(), number(version))};
    }
    static_cast<void>(sft_->pass_gate(*gate));
  }
  return ok();
}

void Learning::learner_lost() {
  is_ready_ = false;
  consumed_.clear();
}

// ---- What is next.

std::optional<LearnStep> Learning::next_sft_step() {
  if (sft_->next() == SftPlan::Next::kStep) return sft_->take_step();
  TROUPE_CHECK(sft_->next() == SftPlan::Next::kGate);
  return std::nullopt;
}

std::optional<std::string> Learning::pass_gate(double pass_at_1) {
  auto note = sft_->pass_gate(pass_at_1);
  // When it is gone through again, it was said before.
  return sent_ >= frontier_ ? note : std::nullopt;
}

LearnStep Learning::grpo_step(Minibatch minibatch) {
  const model::LearningRate rate{.peak = job_.grpo.learning_rate,
                                 .warmup_steps = job_.optimizer.warmup_steps,
                                 .steps = job_.grpo.steps};
  LearnStep step;
  step.version = PolicyVersion{sent_ + 1};
  const auto stage_step = static_cast<int64_t>(number(step.version) - timetable_.sft_steps());
  step.stage = Stage::kGrpo;
  step.learning_rate = rate.at(stage_step);
  step.balance_bias_rate = job_.learner.balance_bias_rate;
  step.begins_stage = stage_step == 1;
  step.refreshes_reference = stage_step % job_.grpo.reference_refresh_steps == 0;
  const int64_t every = job_.rollout.rescore_every_rounds;
  const int64_t rounds_before = (stage_step - 1) / job_.grpo.minibatches_per_round;
  step.rescores = minibatch.index == 0 && every > 0 && rounds_before % every == 0;
  step.groups = std::move(minibatch.groups);
  step.later_minibatches = std::move(minibatch.later);
  consumed_[number(step.version)] = std::move(minibatch.ids);
  return step;
}

void Learning::send(LearnStep step) {
  sent_ = number(step.version);
  outbox_.add(command::Learn{std::move(step)});
}

// ---- What was learned.

Status Learning::learned(const StepLearned& learned, const std::optional<RoundFigures>& round) {
  const uint64_t version = number(learned.metrics.version);
  if (version != number(learned_) + 1 || version > sent_) {
    return Error{ErrorCode::kInternal,
                 fmt::format("the learner says that it learned step {}, but after step {} it was "
                             "asked for steps up to {}",
                             version, number(learned_), sent_)};
  }
  learned_ = learned.metrics.version;
  auto consumed = consumed_.extract(version);
  if (version <= frontier_) return compare(learned.metrics, learned.core_seconds);
  frontier_ = version;
  TROUPE_CHECK(round.has_value() == (version > timetable_.sft_steps()));
  StepRecord record;
  record.metrics = metrics_of(learned.metrics, round);
  if (round && !consumed.empty()) record.consumed = std::move(consumed.mapped());
  const StepMetrics& metrics = record.metrics;

  Ledger& ledger = commits_.ledger();
  ledger.tokens_learned += metrics.tokens_learned;
  if (!record.consumed.empty()) {
    const auto trajectories = static_cast<int64_t>(record.consumed.size()) * job_.grpo.group_size;
    (metrics.was_finite ? ledger.trajectories_learned
                        : ledger.trajectories_dropped["not_finite"]) += trajectories;
  }
  recorded_[version] = metrics;
  nothing_learned_.add(metrics, job_);
  Batch batch = commits_.batch_with_ledger();
  // The round is complete.
  if (round && round->has_segments) {
    batch.erases.push_back({RecordKind::kSegments, 0, timetable_.round_at(version - 1) + 1});
  }
  batch.writes.push_back({commits_.key(RecordKind::kStep, version), encode(record)});
  commits_.commit(std::move(batch), {.step = metrics});

  count_finite(metrics);
  if (non_finite_in_a_row_ >= job_.optimizer.non_finite_steps_max) {
    return Error{ErrorCode::kInternal,
                 fmt::format("{} steps in a row had no finite gradient; lower the learning rate, "
                             "or raise optimizer.non_finite_steps_max to go on",
                             non_finite_in_a_row_)};
  }
  return ok();
}

// A step whose record was committed before.
Status Learning::compare(const StepMetrics& again, double core_seconds) {
  Ledger& ledger = commits_.ledger();
  ++ledger.steps_redone;
  ledger.wasted_seconds += core_seconds;
  const auto found = recorded_.find(number(again.version));
  if (found == recorded_.end()) return ok();
  const StepMetrics& before = found->second;
  if (same_bits(before.loss, again.loss) && same_bits(before.grad_norm, again.grad_norm)) {
    return ok();
  }
  return Error{ErrorCode::kInternal,
               fmt::format("step {} gave another result when it was learned again: loss {} and "
                           "then {}, grad norm {} and then {}",
                           number(again.version), before.loss, again.loss, before.grad_norm,
                           again.grad_norm)};
}

// The learner's fields and the round's; what belongs to the whole round is said by its first step.
StepMetrics Learning::metrics_of(const StepMetrics& learned,
                                 const std::optional<RoundFigures>& round) const {
  const uint64_t version = number(learned.version);
  StepMetrics metrics;
  if (round) {
    metrics = round->metrics;
    const bool is_first = timetable_.minibatch_at(version - 1) == 0;
    metrics.stage_step = static_cast<int64_t>(version - timetable_.sft_steps());
    metrics.stage_steps = job_.grpo.steps;
    metrics.generate_seconds = is_first ? round->generate_seconds : 0;
    metrics.verify_seconds = is_first ? round->verify_seconds : 0;
    if (!is_first) metrics.tokens_generated = 0;
  } else {
    metrics.stage_step = static_cast<int64_t>(version);
    metrics.stage_steps = job_.sft.steps;
  }
  metrics.stage = round ? Stage::kGrpo : Stage::kSft;
  metrics.version = learned.version;
  metrics.loss = learned.loss;
  metrics.grad_norm = learned.grad_norm;
  metrics.learning_rate = learned.learning_rate;
  metrics.was_skipped = learned.was_skipped;
  metrics.was_finite = learned.was_finite;
  metrics.tokens_learned = learned.tokens_learned;
  metrics.expert_load_max_violation = learned.expert_load_max_violation;
  metrics.entropy = learned.entropy;
  metrics.kl = learned.kl;
  metrics.ppo_kl = learned.ppo_kl;
  metrics.clip_fraction = learned.clip_fraction;
  metrics.ratio_max = learned.ratio_max;
  metrics.advantage_abs_mean = learned.advantage_abs_mean;
  metrics.staleness_steps_mean = learned.staleness_steps_mean;
  metrics.staleness_steps_max = learned.staleness_steps_max;
  metrics.staleness_steps_by_length = learned.staleness_steps_by_length;
  metrics.log_ratio_abs_by_length = learned.log_ratio_abs_by_length;
  metrics.importance_weight_mean = learned.importance_weight_mean;
  metrics.importance_weight_max = learned.importance_weight_max;
  metrics.importance_truncated_share = learned.importance_truncated_share;
  metrics.learn_seconds = learned.learn_seconds;
  return metrics;
}

// A step without anything to learn says nothing about the gradient.
void Learning::count_finite(const StepMetrics& step) {
  if (!step.was_finite) ++non_finite_in_a_row_;
  if (step.was_finite && !step.was_skipped) non_finite_in_a_row_ = 0;
}

void Learning::forget_until(uint64_t version) {
  recorded_.erase(recorded_.begin(), recorded_.upper_bound(version));
}

}  // namespace troupe::actors
