#include "actors/controller/controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "actors/controller/nothing_learned.h"
#include "actors/verifier/format_verdict.h"
#include "actors/verifier/verifier_table.h"
#include "model/training/learning_rate.h"
#include "schemas/check.h"
#include "schemas/metrics_codec.h"
#include "schemas/records_codec.h"

namespace troupe::actors {
namespace {

// Held-out problems that the cold start's gate is measured on. Not [eval]'s: the gate decides the
// history of a job, and [eval] must not.
constexpr int64_t kGateProblems = 500;
// Steps that the learner may have before it: enough that it never waits for a message.
constexpr uint64_t kStepsInFlight = 6;
// The cold start's steps are small: its recovery points are this many times rarer.
constexpr int64_t kSftPointFactor = 10;
// Judged again elsewhere so many times when the verifier itself fails.
constexpr int kInfraErrorsMax = 2;
constexpr size_t kTraces = 3;

TextToJudge to_judge(const SampledResponse& response, const model::Tokenizer& tokenizer) {
  return {tokenizer.decode(response.tokens), static_cast<uint32_t>(response.tokens.size()),
          response.finish_reason == FinishReason::kLength};
}

// The response of a trajectory that was complete when it was made.
TextToJudge to_judge(const Trajectory& trajectory, const model::Tokenizer& tokenizer) {
  const auto tokens = std::span(trajectory.tokens).subspan(trajectory.segments.back().begin);
  return {tokenizer.decode(tokens), static_cast<uint32_t>(tokens.size()),
          trajectory.finish_reason == FinishReason::kLength};
}

bool are_sane(const std::vector<int32_t>& tokens, const std::vector<float>& logprobs,
              int64_t vocab_size) {
  return !tokens.empty() && tokens.size() == logprobs.size() &&
         std::all_of(tokens.begin(), tokens.end(),
                     [&](int32_t token) { return token >= 0 && token < vocab_size; }) &&
         std::all_of(logprobs.begin(), logprobs.end(),
                     [](float logprob) { return std::isfinite(logprob); });
}

// A worker of ours writes nothing else; the store and the tokenizer believe it.
bool is_sane(const GeneratedGroup& group, int64_t vocab_size) {
  return std::all_of(group.responses.begin(), group.responses.end(),
                     [&](const SampledResponse& response) {
                       return are_sane(response.tokens, response.logprobs, vocab_size) &&
                              response.finish_reason <= FinishReason::kLength;
                     });
}

bool is_sane(const ResponseSegment& segment, const JobSpec& job, int64_t vocab_size) {
  const auto size = static_cast<int64_t>(segment.tokens.size());
  return segment.id.sample < job.grpo.group_size &&
         segment.begin + size < job.rollout.max_response_tokens &&
         are_sane(segment.tokens, segment.logprobs, vocab_size);
}

bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

void add_sums(double core_seconds, const PricesSpec& prices, double& seconds, double& money) {
  seconds += core_seconds;
  money += core_seconds / 3600.0 * prices.cpu_core_hour;
}

}  // namespace

Controller::Controller(const JobSpec& job, const JobData& data, RunHistory history, Options options,
                       MetricsSink& sink)
    : job_(job),
      data_(data),
      options_(options),
      sink_(sink),
      evaluations_(std::move(history.evaluations)),
      points_(std::move(history.points)),
      ledger_(std::move(history.ledger)) {
  if (job.grpo.steps > 0) {
    prompt_order_.emplace(
        model::PromptOrder::Options{.seed = job.seed,
                                    .count = static_cast<int64_t>(data.train.size()),
                                    .prompts_per_round = job.grpo.prompts_per_round,
                                    .shuffle = job.data.shuffle});
  }
  // What is known without a gap: a record that is missing is learned again and written.
  frontier_ = points_.empty() ? 0 : number(points_.back().version);
  for (const StepRecord& step : history.steps) {
    const uint64_t version = number(step.metrics.version);
    if (version > frontier_ + 1) break;
    frontier_ = std::max(frontier_, version);
    recorded_[version] = step.metrics;
    nothing_learned_.add(step.metrics, job_);
    if (!step.metrics.was_finite) ++non_finite_in_a_row_;
    if (step.metrics.was_finite && !step.metrics.was_skipped) non_finite_in_a_row_ = 0;
  }
}

// ---- Events.

void Controller::learner_ready(PolicyVersion version, double now) {
  if (is_over()) return;
  TROUPE_CHECK(!is_learner_ready_);
  is_learner_ready_ = true;
  version_learned_ = version;
  version_sent_ = number(version);
  policies_asked_.clear();
  // The cold start is gone through again up to where the learner is.
  sft_.emplace(job_, data_.cold_start);
  while (static_cast<uint64_t>(sft_->steps()) < std::min(version_sent_, sft_steps())) {
    if (sft_->next() == SftPlan::Next::kStep) {
      static_cast<void>(sft_->take_step());
      continue;
    }
    const EvaluationRecord* gate =
        find_evaluation(static_cast<uint64_t>(sft_->steps()), /*is_gate=*/true);
    if (gate == nullptr) {
      fail({ErrorCode::kCorruption,
            fmt::format("the store has no gate at step {}, which lies before the recovery point "
                        "of version {}",
                        sft_->steps(), number(version))});
      return;
    }
    static_cast<void>(sft_->pass_gate(gate->metrics.pass_at_1()));
  }
  publish_for_rounds();
  keep_best();
  advance(now);
}

void Controller::learner_lost() {
  if (is_over() || !is_learner_ready_) return;
  // Groups of rounds under way go on: they are by versions that were learned before.
  is_learner_ready_ = false;
  evaluation_.reset();
  point_asked_.reset();
  policies_saving_.clear();
  consumed_.clear();
  commands_.push_back(command::CancelEvaluation{});
  // Without a learner nothing more can be finished cleanly; the store has all that matters.
  if (stopping_ && !is_ending_) end(*stopping_);
}

void Controller::worker_lost() { ++ledger_.workers_lost; }

void Controller::step_learned(const StepLearned& learned, double now) {
  if (is_over() || !is_learner_ready_) return;
  add_sums(learned.core_seconds, job_.prices, ledger_.learner_seconds, ledger_.money);
  if (!take_over(learned)) return;
  advance(now);
}

// False when the job has failed by it.
bool Controller::take_over(const StepLearned& learned) {
  const uint64_t version = number(learned.metrics.version);
  if (version != number(version_learned_) + 1 || version > version_sent_) {
    fail({ErrorCode::kInternal, fmt::format("the learner says that it learned step {}, but after "
                                            "step {} it was asked for steps up to {}",
                                            version, number(version_learned_), version_sent_)});
    return false;
  }
  version_learned_ = learned.metrics.version;
  auto consumed = consumed_.extract(version);
  if (version <= frontier_) {
    ++ledger_.steps_redone;
    ledger_.wasted_seconds += learned.core_seconds;
    const auto found = recorded_.find(version);
    if (found != recorded_.end() &&
        (!same_bits(found->second.loss, learned.metrics.loss) ||
         !same_bits(found->second.grad_norm, learned.metrics.grad_norm))) {
      fail({ErrorCode::kInternal,
            fmt::format("step {} gave another result when it was learned again: loss {} and then "
                        "{}, grad norm {} and then {}",
                        version, found->second.loss, learned.metrics.loss, found->second.grad_norm,
                        learned.metrics.grad_norm)});
      return false;
    }
    return true;
  }
  frontier_ = version;
  StepRecord record;
  StepMetrics& metrics = record.metrics;
  const bool is_grpo = version > sft_steps();
  if (is_grpo) {
    const RoundState& round = rounds_.at(Round{round_at(version - 1)});
    TROUPE_CHECK(round.has_metrics);
    metrics = round.metrics;
    const auto step = static_cast<int64_t>(version - sft_steps());
    const bool is_first = (step - 1) % job_.grpo.minibatches_per_round == 0;
    metrics.stage_step = step;
    metrics.stage_steps = job_.grpo.steps;
    metrics.generate_seconds = is_first ? round.generate_seconds : 0;
    metrics.verify_seconds = is_first ? round.verify_seconds : 0;
    if (!is_first) metrics.tokens_generated = 0;
    if (!consumed.empty()) record.consumed = std::move(consumed.mapped());
  } else {
    metrics.stage_step = static_cast<int64_t>(version);
    metrics.stage_steps = job_.sft.steps;
  }
  const StepMetrics& from = learned.metrics;
  metrics.stage = is_grpo ? Stage::kGrpo : Stage::kSft;
  metrics.version = from.version;
  metrics.loss = from.loss;
  metrics.grad_norm = from.grad_norm;
  metrics.learning_rate = from.learning_rate;
  metrics.was_skipped = from.was_skipped;
  metrics.was_finite = from.was_finite;
  metrics.tokens_learned = from.tokens_learned;
  metrics.expert_load_max_violation = from.expert_load_max_violation;
  metrics.entropy = from.entropy;
  metrics.kl = from.kl;
  metrics.ppo_kl = from.ppo_kl;
  metrics.clip_fraction = from.clip_fraction;
  metrics.ratio_max = from.ratio_max;
  metrics.advantage_abs_mean = from.advantage_abs_mean;
  metrics.staleness_steps_mean = from.staleness_steps_mean;
  metrics.staleness_steps_max = from.staleness_steps_max;
  metrics.staleness_steps_by_length = from.staleness_steps_by_length;
  metrics.log_ratio_abs_by_length = from.log_ratio_abs_by_length;
  metrics.importance_weight_mean = from.importance_weight_mean;
  metrics.importance_weight_max = from.importance_weight_max;
  metrics.importance_truncated_share = from.importance_truncated_share;
  metrics.learn_seconds = from.learn_seconds;

  ledger_.tokens_learned += metrics.tokens_learned;
  if (!record.consumed.empty()) {
    const auto trajectories = static_cast<int64_t>(record.consumed.size()) * job_.grpo.group_size;
    (metrics.was_finite ? ledger_.trajectories_learned
                        : ledger_.trajectories_dropped["not_finite"]) += trajectories;
  }
  recorded_[version] = metrics;
  nothing_learned_.add(metrics, job_);
  Batch batch = batch_with_ledger();
  // The round is complete.
  if (is_grpo && rounds_.at(Round{round_at(version - 1)}).next_segments > 0) {
    batch.erases.push_back({RecordKind::kSegments, 0, round_at(version - 1) + 1});
  }
  batch.writes.push_back({{options_.job_id, RecordKind::kStep, version, 0}, encode(record)});
  Pending pending;
  pending.step = metrics;
  commit(std::move(batch), std::move(pending));

  // A step without anything to learn says nothing about the gradient.
  if (!metrics.was_finite) ++non_finite_in_a_row_;
  if (metrics.was_finite && !metrics.was_skipped) non_finite_in_a_row_ = 0;
  if (non_finite_in_a_row_ >= job_.optimizer.non_finite_steps_max) {
    fail({ErrorCode::kInternal,
          std::to_string(non_finite_in_a_row_) +
              " steps in a row had no finite gradient; lower the learning rate, or raise "
              "optimizer.non_finite_steps_max to go on"});
    return false;
  }
  return true;
}

void Controller::point_saved(const PointRecord& point, double core_seconds, double now) {
  if (is_over()) return;
  policies_saving_.erase(number(point.version));
  add_sums(core_seconds, job_.prices, ledger_.learner_seconds, ledger_.money);
  Batch batch = batch_with_ledger();
  std::vector<PointRecord> kept = known_points();
  kept.push_back(point);
  const auto excess = static_cast<int64_t>(kept.size()) - job_.schedule.checkpoints_kept;
  if (excess > 0) kept.erase(kept.begin(), kept.begin() + excess);
  // What lies before every point that is kept is never asked for again, damaged points included.
  const uint64_t oldest = number(kept.front().version);
  batch.erases.push_back({RecordKind::kPoint, 0, oldest});
  if (oldest > sft_steps() && !job_.schedule.keep_groups) {
    batch.erases.push_back({RecordKind::kGroup, 0, round_at(oldest)});
  }
  batch.writes.push_back(
      {{options_.job_id, RecordKind::kPoint, number(point.version), 0}, encode(point)});
  Pending pending;
  pending.point = point;
  commit(std::move(batch), std::move(pending));
  advance(now);
}

void Controller::groups_generated(const GroupsGenerated& generated, double now) {
  if (is_over()) return;
  add_sums(generated.core_seconds, job_.prices, ledger_.rollout_seconds, ledger_.money);
  if (!record_segments(generated.segments)) return;
  for (const GeneratedGroup& one : generated.groups) {
    if (!is_sane(one, data_.format.vocab_size)) {
      fail({ErrorCode::kInternal,
            fmt::format("a rollout worker sent a response that cannot be: round {}, group {}",
                        number(one.id.round), one.id.ordinal)});
      return;
    }
    if (one.purpose == GroupPurpose::kEvaluate) {
      if (!evaluation_ || one.id.round != Round{number(evaluation_->version)}) continue;
      const size_t index = one.id.ordinal;
      if (index >= evaluation_->responses.size() || evaluation_->responses[index] ||
          one.responses.size() != 1) {
        continue;
      }
      evaluation_->responses[index] = one.responses[0];
      judge(one.id, one.purpose, data_.held_out[index], {to_judge(one.responses[0], tokenizer())});
      continue;
    }
    Group* const found = find_group(one.id);
    if (found == nullptr || found->place != Place::kGenerating) continue;
    if (static_cast<int64_t>(one.responses.size()) != job_.grpo.group_size) {
      fail({ErrorCode::kInternal,
            fmt::format("a rollout worker sent {} responses of round {}, group {}; asked for {}",
                        one.responses.size(), number(one.id.round), one.id.ordinal,
                        job_.grpo.group_size)});
      return;
    }
    if (!is_of_round(one)) {
      fail({ErrorCode::kInternal,
            fmt::format("a rollout worker generated round {}, group {} by another version than {}",
                        number(one.id.round), one.id.ordinal, generates(number(one.id.round)))});
      return;
    }
    Group& group = *found;
    group.place = Place::kJudging;
    std::vector<TextToJudge> responses;
    for (uint32_t i = 0; i < one.responses.size(); ++i) {
      group.record.trajectories.push_back(
          make_trajectory(one.id, i, one.version, one.responses[i]));
      responses.push_back(to_judge(one.responses[i], tokenizer()));
    }
    RoundState& round = *find_round(one.id.round);
    round.generate_seconds = now - round.asked_at;
    round.sequences_generated += static_cast<int64_t>(one.responses.size());
    int64_t done = 0, total = 0;
    for (const auto& [number, open] : rounds_) {
      if (open.plan.is_complete()) continue;
      done += open.sequences_generated;
      total += open.sequences_total;
    }
    sink_.progressed("generating", done, total);
    judge(one.id, one.purpose, prompt_of(one.id), std::move(responses));
  }
}

// Of groups that are under way, so that they need not be begun again. False when the job has failed
// by it.
bool Controller::record_segments(const ResponseSegments& segments) {
  std::map<Round, SegmentsRecord> records;
  for (const ResponseSegment& one : segments) {
    Group* const group = find_group(one.id.group);
    if (group == nullptr || group->place != Place::kGenerating) continue;
    if (!is_sane(one, job_, data_.format.vocab_size)) {
      fail({ErrorCode::kInternal,
            fmt::format("a rollout worker sent a part of a response that cannot be: round {}, "
                        "group {}, sample {}",
                        number(one.id.group.round), one.id.group.ordinal, one.id.sample)});
      return false;
    }
    group->tokens_known += static_cast<int64_t>(one.tokens.size());
    records[one.id.group.round].segments.push_back(one);
  }
  for (const auto& [round, record] : records) {
    Batch batch;
    batch.job = options_.job_id;
    batch.epoch = options_.epoch;
    batch.writes.push_back({{options_.job_id, RecordKind::kSegments, number(round),
                             find_round(round)->next_segments++},
                            encode(record)});
    commit(std::move(batch), {});
  }
  return true;
}

// Whether it is by the version that its round says, or by one as new.
bool Controller::is_of_round(const GeneratedGroup& group) const {
  const PolicyVersion version{generates(number(group.id.round))};
  if (!is_async()) {
    return group.version == version &&
           std::all_of(group.responses.begin(), group.responses.end(),
                       [](const SampledResponse& one) { return one.versions.empty(); });
  }
  return group.version >= version;  // What comes in flight is newer.
}

void Controller::groups_judged(const GroupsJudged& judged, double now) {
  if (is_over()) return;
  add_sums(judged.core_seconds, job_.prices, ledger_.verifier_seconds, ledger_.money);
  for (const JudgedGroup& one : judged.groups) {
    for (const Verdict& verdict : one.verdicts) {
      if (verdict.parts.size() == job_.rewards.size()) continue;
      fail({ErrorCode::kInternal,
            fmt::format("a verifier gave {} verdicts of one response, the job has {} rewards",
                        verdict.parts.size(), job_.rewards.size())});
      return;
    }
    if (one.purpose == GroupPurpose::kEvaluate) {
      if (!evaluation_ || one.id.round != Round{number(evaluation_->version)}) continue;
      const size_t index = one.id.ordinal;
      if (index >= evaluation_->verdicts.size() || !evaluation_->responses[index] ||
          evaluation_->verdicts[index] || one.verdicts.size() != 1) {
        continue;
      }
      evaluation_judged(index, one.verdicts[0]);
      continue;
    }
    Group* const found = find_group(one.id);
    if (found == nullptr || found->place != Place::kJudging) continue;
    Group& group = *found;
    if (one.verdicts.size() != group.record.trajectories.size()) {
      fail({ErrorCode::kInternal,
            fmt::format("a verifier judged {} of {} responses of round {}, group {}",
                        one.verdicts.size(), group.record.trajectories.size(), number(one.id.round),
                        one.id.ordinal)});
      return;
    }
    find_round(one.id.round)->verify_seconds +=
        judged.core_seconds / static_cast<double>(judged.groups.size());
    std::string failure;
    for (size_t i = 0; i < one.verdicts.size(); ++i) {
      Trajectory& trajectory = group.record.trajectories[i];
      trajectory.verdict = one.verdicts[i];
      for (const VerdictPart& part : trajectory.verdict.parts) {
        // A verifier's own failure is tried elsewhere before anything else is decided.
        const bool is_infra = part.kind == VerdictKind::kInfraError;
        if (is_infra || (!is_payable(part.kind) && failure.empty())) {
          failure = name(part.kind);
        }
        if (is_infra) ++ledger_.verdicts[name(part.kind)];
      }
    }
    if (failure == name(VerdictKind::kInfraError) && ++group.infra_errors <= kInfraErrorsMax) {
      std::vector<TextToJudge> responses;
      for (const Trajectory& trajectory : group.record.trajectories) {
        responses.push_back(to_judge(trajectory, tokenizer()));
      }
      judge(one.id, one.purpose, prompt_of(one.id), std::move(responses));
      continue;
    }
    if (!failure.empty()) {
      drop_group(one.id, failure);
      continue;
    }
    group.place = Place::kCommitting;
    const float first = group.record.trajectories[0].verdict.reward();
    int64_t tokens = 0;
    for (const Trajectory& trajectory : group.record.trajectories) {
      group.has_variance |= trajectory.verdict.reward() != first;
      tokens += trajectory.num_response_tokens();
      ++ledger_.verdicts[name(trajectory.verdict.parts[accuracy_part(job_.rewards)].kind)];
    }
    const auto count = static_cast<int64_t>(group.record.trajectories.size());
    ledger_.tokens_generated += tokens;
    ledger_.trajectories_generated += count;
    if (group.is_again) {
      ledger_.tokens_regenerated += tokens - group.tokens_kept;
      ledger_.tokens_kept += group.tokens_kept;
      ledger_.trajectories_regenerated += count;
    }
    if (job_.grpo.zero_variance_groups != "keep" && !group.has_variance) {
      ledger_.trajectories_dropped["zero_variance"] += count;
    }
    group.encoded = encode(group.record);
    Batch batch = batch_with_ledger();
    batch.writes.push_back(
        {{options_.job_id, RecordKind::kGroup, number(one.id.round), one.id.ordinal},
         group.encoded});
    Pending pending;
    pending.group = one.id;
    commit(std::move(batch), std::move(pending));
  }
  if (evaluation_) {
    sink_.progressed("evaluating", static_cast<int64_t>(evaluation_->num_judged),
                     static_cast<int64_t>(evaluation_->verdicts.size()));
    finish_evaluation(now);
  }
  advance(now);
}

void Controller::group_retried(const AttemptRecord& record, double core_seconds) {
  if (is_over()) return;
  ledger_.wasted_seconds += core_seconds;
  Group* const group = find_group(record.id);
  if (group == nullptr) return;
  if (group->place == Place::kGenerating) {
    group->is_again = true;
    group->tokens_kept = group->tokens_known;
  }
  Batch batch = batch_with_ledger();
  batch.writes.push_back(
      {{options_.job_id, RecordKind::kAttempt, number(record.id.round), record.id.ordinal},
       encode(record)});
  commit(std::move(batch), {});
}

void Controller::group_abandoned(GroupId id, GroupPurpose purpose, const std::string& reason,
                                 double now) {
  if (is_over()) return;
  if (purpose == GroupPurpose::kEvaluate) {
    if (!evaluation_ || id.round != Round{number(evaluation_->version)}) return;
    const size_t index = id.ordinal;
    if (index >= evaluation_->verdicts.size() || evaluation_->verdicts[index]) return;
    leave_out(index, reason);
    finish_evaluation(now);
  } else if (const Group* group = find_group(id)) {
    if (group->place == Place::kCommitting || group->place == Place::kDurable) return;
    drop_group(id, reason);
  }
  advance(now);
}

// What was not judged is not counted as wrong.
void Controller::evaluation_judged(size_t index, const Verdict& verdict) {
  EvaluationState& state = *evaluation_;
  for (const VerdictPart& one : verdict.parts) {
    if (one.kind == VerdictKind::kInfraError) ++ledger_.verdicts[name(one.kind)];
  }
  const VerdictPart& part = verdict.parts[accuracy_part(job_.rewards)];
  if (part.kind == VerdictKind::kInfraError) {
    if (++state.infra_errors[index] <= kInfraErrorsMax) {
      judge({Round{number(state.version)}, static_cast<uint32_t>(index)}, GroupPurpose::kEvaluate,
            data_.held_out[index], {to_judge(*state.responses[index], tokenizer())});
      return;
    }
  }
  if (!is_payable(part.kind)) {
    leave_out(index, fmt::format("{}: {}", name(part.kind), part.reason));
    return;
  }
  state.verdicts[index] = verdict;
  if (state.left_out.count(index) == 0) ++state.num_judged;
}

void Controller::leave_out(size_t index, const std::string& reason) {
  if (evaluation_->left_out.insert(index).second) ++evaluation_->num_judged;
  sink_.noted(fmt::format("evaluation: problem {} is left out: {}", index, reason));
}

void Controller::drop_group(GroupId id, const std::string& reason) {
  Group& group = *find_group(id);
  const auto count = static_cast<uint32_t>(job_.grpo.group_size);
  group.is_dropped = true;
  group.place = Place::kCommitting;
  // Every trajectory that was generated is somewhere.
  for (const Trajectory& trajectory : group.record.trajectories) {
    ledger_.tokens_generated += trajectory.num_response_tokens();
  }
  ledger_.trajectories_generated += static_cast<int64_t>(group.record.trajectories.size());
  if (!group.record.trajectories.empty()) ledger_.trajectories_dropped[reason] += count;
  group.record.trajectories.clear();
  sink_.noted(fmt::format("round {}, group {}: dropped: {}", number(id.round), id.ordinal, reason));
  Batch batch = batch_with_ledger();
  batch.writes.push_back({{options_.job_id, RecordKind::kDrop, number(id.round), id.ordinal},
                          encode(DropRecord{id, reason, count})});
  Pending pending;
  pending.group = id;
  commit(std::move(batch), std::move(pending));
}

void Controller::committed(uint64_t ticket, double now) {
  TROUPE_CHECK(!pending_.empty() && pending_.front().first == ticket);
  const Pending pending = std::move(pending_.front().second);
  pending_.pop_front();
  if (is_ended_) return;
  if (pending.step) {
    sink_.step_committed(*pending.step);
    if (!pending.step->was_finite) {
      sink_.noted("step " + std::to_string(number(pending.step->version)) +
                  ": the gradient was not finite; the step was skipped");
    }
  }
  if (pending.evaluation) {
    const EvaluationRecord& record = *pending.evaluation;
    if (!record.is_gate) sink_.evaluated(record.metrics, record.traces);
    evaluations_.push_back(record);
    if (evaluation_ && evaluation_->is_committing) evaluation_.reset();
    keep_best();
  }
  if (pending.point) {
    points_.push_back(*pending.point);
    keep_best();
    if (point_asked_ == number(pending.point->version)) point_asked_.reset();
    while (static_cast<int64_t>(points_.size()) > job_.schedule.checkpoints_kept) {
      commands_.push_back(command::ForgetPoint{points_.front()});
      points_.erase(points_.begin());
    }
    // What lies before the oldest point is never learned again.
    recorded_.erase(recorded_.begin(), recorded_.upper_bound(number(points_.front().version)));
  }
  if (pending.group) {
    if (RoundState* round = find_round(pending.group->round)) admit(*round, pending.group->ordinal);
  }
  if (is_ending_) {
    if (pending_.empty()) end(end_.state, end_.error);
    return;
  }
  advance(now);
}

void Controller::round_loaded(Round round, RoundHistory history, double now) {
  const auto opened = rounds_.find(round);
  if (is_over() || opened == rounds_.end() || opened->second.is_loaded) return;
  RoundState& state = opened->second;
  state.is_loaded = true;
  state.was_begun = history.was_begun;
  state.next_segments = history.num_segment_records;
  // What cannot be is left out: to begin anew is always right.
  for (const ResponseSegment& one : history.segments) {
    if (is_sane(one, job_, data_.format.vocab_size)) extend(state.begun[one.id.group.ordinal], one);
  }
  std::map<uint32_t, GroupRecord*> by_ordinal;
  for (GroupRecord& record : history.groups) {
    by_ordinal[record.trajectories.front().id.group.ordinal] = &record;
  }
  std::set<uint32_t> dropped;
  for (const DropRecord& drop : history.drops) dropped.insert(drop.id.ordinal);
  // Replacements are wanted only once their predecessors are decided.
  bool is_moving = true;
  while (is_moving && !state.plan.is_complete()) {
    is_moving = false;
    for (uint32_t ordinal : std::vector<uint32_t>(state.plan.wanted())) {
      const auto found = by_ordinal.find(ordinal);
      if (found == by_ordinal.end() && dropped.count(ordinal) == 0) continue;
      Group& group = state.groups[ordinal];
      if (found != by_ordinal.end()) {
        group.record = std::move(*found->second);
        group.encoded = encode(group.record);
        const float first = group.record.trajectories[0].verdict.reward();
        for (const Trajectory& trajectory : group.record.trajectories) {
          group.has_variance |= trajectory.verdict.reward() != first;
        }
      } else {
        group.is_dropped = true;
      }
      state.begun.erase(ordinal);
      admit(state, ordinal);
      is_moving = true;
    }
  }
  advance(now);
}

void Controller::stop(JobState state, double now) {
  if (is_over() || stopping_) return;
  stopping_ = state;
  // A group that is on its way into the store is finished; everything else comes out the same
  // when the job goes on.
  commands_.push_back(command::CancelGeneration{});
  evaluation_.reset();
  if (!is_learner_ready_) {
    end(state);
    return;
  }
  advance(now);
}

void Controller::fail(Error error) {
  if (is_over()) return;
  is_ending_ = true;
  end_ = {JobState::kFailed, std::move(error)};
  if (pending_.empty()) end(end_.state, end_.error);
}

void Controller::abort(Error error) {
  if (!is_ended_) end(JobState::kFailed, std::move(error));
}

std::vector<ControllerCommand> Controller::take_commands() { return std::exchange(commands_, {}); }

bool Controller::is_evaluation_due(uint64_t version) const {
  if (data_.held_out.empty() || job_.eval.problems == 0) return false;
  if (version == last_version()) return true;
  if (job_.grpo.steps == 0 || version < sft_steps()) return false;
  if (version == sft_steps()) return true;
  return job_.eval.every_steps > 0 &&
         (version - sft_steps()) % static_cast<uint64_t>(job_.eval.every_steps) == 0;
}

bool Controller::is_point_due(uint64_t version) const {
  if (!options_.saves_points || version == 0) return false;
  if (version == last_version()) return true;
  const auto every = static_cast<uint64_t>(job_.schedule.checkpoint_every_steps);
  if (every == 0) return false;
  if (version < sft_steps()) return version % (every * kSftPointFactor) == 0;
  // Where it is due, or at the first boundary after that may have one.
  return may_have_point(version) && (version - sft_steps()) % every < point_stride();
}

// Within a round that is learned with a correction the learner holds what its first weights made of
// the groups to come, and no recovery point keeps that.
uint64_t Controller::point_stride() const {
  return job_.grpo.off_policy_correction == "none"
             ? 1
             : static_cast<uint64_t>(job_.grpo.minibatches_per_round);
}

bool Controller::may_have_point(uint64_t version) const {
  return version < sft_steps() || (version - sft_steps()) % point_stride() == 0;
}

const EvaluationRecord* Controller::find_evaluation(uint64_t version, bool is_gate) const {
  for (const EvaluationRecord& one : evaluations_) {
    if (number(one.metrics.version) == version && one.is_gate == is_gate) return &one;
  }
  return nullptr;
}

bool Controller::is_evaluation_pending() const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [](const auto& one) { return one.second.evaluation.has_value(); });
}

bool Controller::has_point(uint64_t version) const {
  const auto points = known_points();
  return std::any_of(points.begin(), points.end(),
                     [version](const PointRecord& one) { return number(one.version) == version; });
}

// Those on their way into the store included, oldest first.
std::vector<PointRecord> Controller::known_points() const {
  std::vector<PointRecord> points = points_;
  for (const auto& [ticket, pending] : pending_) {
    if (pending.point) points.push_back(*pending.point);
  }
  return points;
}

std::optional<PointRecord> Controller::start_point() const {
  const auto points = known_points();
  return points.empty() ? std::nullopt : std::optional(points.back());
}

// ---- Rounds and versions.

uint64_t Controller::num_rounds() const {
  return static_cast<uint64_t>(job_.grpo.steps / job_.grpo.minibatches_per_round);
}

// A job may go on longer later: what the rounds behind its last would be generated by is kept like
// that of its own.
uint64_t Controller::num_rounds_provided_for() const {
  const bool has_lag = job_.grpo.steps > 0 && !is_async();
  return num_rounds() +
         (!has_lag ? 0 : rounds_ahead(job_.schedule, job_.grpo.minibatches_per_round));
}

uint64_t Controller::round_at(uint64_t version) const {
  if (version < sft_steps()) return 0;
  return (version - sft_steps()) / static_cast<uint64_t>(job_.grpo.minibatches_per_round);
}

uint64_t Controller::version_after(uint64_t round) const {
  return sft_steps() + (round + 1) * static_cast<uint64_t>(job_.grpo.minibatches_per_round);
}

uint64_t Controller::generates(uint64_t round) const {
  return number(generating_version(Round{round}, sft_steps(),
                                   static_cast<uint64_t>(job_.grpo.minibatches_per_round),
                                   rounds_ahead(job_.schedule, job_.grpo.minibatches_per_round)));
}

Controller::RoundState* Controller::find_round(Round round) {
  const auto found = rounds_.find(round);
  return found == rounds_.end() || !found->second.is_loaded ? nullptr : &found->second;
}

Controller::Group* Controller::find_group(GroupId id) {
  RoundState* const round = find_round(id.round);
  if (round == nullptr) return nullptr;
  const auto found = round->groups.find(id.ordinal);
  return found == round->groups.end() ? nullptr : &found->second;
}

bool Controller::is_complete(uint64_t round) const {
  const auto found = rounds_.find(Round{round});
  return found != rounds_.end() && found->second.is_loaded && found->second.plan.is_complete();
}

// Whether it can be said which versions a point at `version` is to hold.
bool Controller::knows_policies(uint64_t version) const {
  if (is_async()) return true;
  for (uint64_t r = round_at(version); r < num_rounds() && generates(r) < version; ++r) {
    const auto found = rounds_.find(Round{r});
    if (found == rounds_.end() || !found->second.is_loaded) return false;
  }
  return true;
}

// Those older than `version` by which there is something left to generate at that version.
std::vector<PolicyVersion> Controller::unfinished_policies(uint64_t version) const {
  std::vector<PolicyVersion> policies;
  if (is_async()) return policies;  // A newer one will do.
  const uint64_t end = num_rounds_provided_for();
  for (uint64_t r = round_at(version); r < end && generates(r) < version; ++r) {
    const PolicyVersion policy{generates(r)};
    if (!is_complete(r) && (policies.empty() || policies.back() != policy)) {
      policies.push_back(policy);
    }
  }
  return policies;
}

// ---- What is next, of learning and of generation.

void Controller::advance(double now) {
  advance_learning(now);
  open_rounds(now);
  retire_policies();
}

// Rounds are loaded as soon as they may be asked for, and generated once their version is there.
void Controller::open_rounds(double now) {
  if (is_over() || !is_learner_ready_ || job_.grpo.steps == 0) return;
  std::erase_if(rounds_, [&](const auto& one) {
    return version_after(number(one.first)) <= number(version_learned_);
  });
  if (version_sent_ < sft_steps()) return;
  const uint64_t first = round_at(number(version_learned_));
  for (uint64_t r = first; r < num_rounds() && generates(r) <= version_sent_; ++r) {
    const auto [found, is_new] =
        rounds_.try_emplace(Round{r}, RoundState{.round = Round{r}, .plan = RoundPlan(job_.grpo)});
    RoundState& round = found->second;
    if (is_new) commands_.push_back(command::LoadRound{Round{r}});
    if (!round.is_loaded || round.plan.is_complete() || stopping_) continue;
    if (generates(r) <= number(version_learned_)) request_groups(round, now);
  }
}

// The learner may be past its version by the time that a round asks for it.
void Controller::publish_for_rounds() {
  if (version_sent_ < sft_steps()) return;
  const bool is_first_of_round =
      version_sent_ == sft_steps() || version_after(round_at(version_sent_ - 1)) == version_sent_;
  for (uint64_t r = round_at(version_sent_); r < num_rounds_provided_for(); ++r) {
    if (generates(r) > version_sent_) return;
    const bool is_wanted = generates(r) == version_sent_ || (is_async() && is_first_of_round);
    if (is_wanted && !is_complete(r)) publish(version_sent_);
  }
}

// What is generated by a version is in the store before the version is given up.
void Controller::retire_policies() {
  if (is_over() || !is_learner_ready_ || version_sent_ < sft_steps()) return;
  uint64_t round = round_at(number(version_learned_));
  while (round < num_rounds() && is_complete(round)) ++round;
  uint64_t before = version_sent_;  // May still be evaluated.
  if (round < num_rounds_provided_for()) before = std::min(before, generates(round));
  if (evaluation_) before = std::min(before, number(evaluation_->version));
  for (const auto& [point, oldest] : policies_saving_) before = std::min(before, number(oldest));
  if (before <= policies_retired_) return;
  policies_retired_ = before;
  commands_.push_back(command::RetirePolicies{PolicyVersion{before}});
}

// One thing after another until something has to be waited for.
void Controller::advance_learning(double now) {
  while (!is_ended_ && !is_ending_ && is_learner_ready_ && !evaluation_) {
    const bool is_caught_up = number(version_learned_) == version_sent_;
    if (stopping_ && (may_have_point(version_sent_) || !options_.saves_points)) {
      if (!is_caught_up || point_asked_) return;
      if (options_.saves_points && !has_point(version_sent_) && version_sent_ > 0) {
        if (knows_policies(version_sent_)) save_point(version_sent_);
        return;
      }
      is_ending_ = true;
      end_ = {*stopping_, {}};
      if (pending_.empty()) end(*stopping_);
      return;
    }
    if (is_evaluation_pending()) return;
    if (is_evaluation_due(version_sent_) && find_evaluation(version_sent_, false) == nullptr) {
      if (!is_caught_up || (stopping_ && point_asked_)) return;
      if (stopping_) {
        // The next point would lie behind it, so the job goes on from the one before.
        is_ending_ = true;
        end_ = {*stopping_, {}};
        if (pending_.empty()) end(*stopping_);
        return;
      }
      begin_evaluation(version_sent_, /*is_gate=*/false, now);
      return;
    }
    if (version_sent_ == last_version()) {
      if (!is_caught_up || point_asked_) return;
      if (const auto why = nothing_learned_.reason(job_)) sink_.noted(*why);
      is_ending_ = true;
      end_ = {JobState::kFinished, {}};
      if (pending_.empty()) end(JobState::kFinished);
      return;
    }
    if (version_sent_ - number(version_learned_) >= kStepsInFlight) return;
    if (!(version_sent_ < sft_steps() ? advance_sft(now) : advance_grpo())) return;
  }
}

bool Controller::advance_sft(double now) {
  if (sft_->next() == SftPlan::Next::kStep) {
    send_step(sft_->take_step());
    return true;
  }
  TROUPE_CHECK(sft_->next() == SftPlan::Next::kGate);
  if (const EvaluationRecord* gate = find_evaluation(version_sent_, true)) {
    const bool is_new = version_sent_ >= frontier_;
    const auto note = sft_->pass_gate(gate->metrics.pass_at_1());
    if (note && is_new) sink_.noted(*note);
    return true;
  }
  if (number(version_learned_) == version_sent_) begin_evaluation(version_sent_, true, now);
  return false;
}

bool Controller::advance_grpo() {
  RoundState* const round = find_round(Round{round_at(version_sent_)});
  if (round == nullptr || !round->plan.is_complete()) return false;
  if (!knows_policies(version_sent_ + 1)) return false;
  if (!round->has_metrics) complete_metrics(*round);
  const auto M = static_cast<uint64_t>(job_.grpo.minibatches_per_round);
  send_step(minibatch_step(*round, static_cast<int64_t>((version_sent_ - sft_steps()) % M)));
  return true;
}

void Controller::publish(uint64_t version) {
  if (version < policies_retired_ || !policies_asked_.insert(version).second) return;
  commands_.push_back(command::Publish{PolicyVersion{version}});
}

void Controller::send_step(LearnStep step) {
  version_sent_ = number(step.version);
  commands_.push_back(command::Learn{std::move(step)});
  publish_for_rounds();
  if (is_point_due(version_sent_) && !has_point(version_sent_)) save_point(version_sent_);
}

void Controller::save_point(uint64_t version) {
  point_asked_ = version;
  auto policies = unfinished_policies(version);
  if (!policies.empty()) policies_saving_[version] = policies.front();
  commands_.push_back(command::SavePoint{PolicyVersion{version}, std::move(policies)});
}

void Controller::request_groups(RoundState& round, double now) {
  GenerateGroups request;
  request.version = PolicyVersion{generates(number(round.round))};
  request.temperature = static_cast<float>(job_.rollout.temperature);
  request.top_p = static_cast<float>(job_.rollout.top_p);
  request.max_response_tokens = job_.rollout.max_response_tokens;
  request.stop_tokens = data_.format.stop_tokens;
  request.segment_tokens = job_.rollout.segment_tokens;
  for (uint32_t ordinal : round.plan.wanted()) {
    Group& group = round.groups[ordinal];
    if (group.place != Place::kWanted) continue;
    group.place = Place::kGenerating;
    // Begun by a head that is gone.
    group.is_again =
        round.was_begun && ordinal < static_cast<uint32_t>(job_.grpo.prompts_per_round);
    const GroupId id{round.round, ordinal};
    auto begun = round.begun.extract(ordinal);
    request.groups.push_back({.id = id,
                              .purpose = GroupPurpose::kTrain,
                              .prompt = prompt_of(id).tokens,
                              .num_samples = static_cast<uint32_t>(job_.grpo.group_size)});
    if (begun.empty()) continue;
    group.is_again = true;
    group.tokens_known = group.tokens_kept = num_tokens(begun.mapped());
    request.groups.back().begun = std::move(begun.mapped());
  }
  if (request.groups.empty()) return;
  round.asked_at = now - round.generate_seconds;
  round.sequences_total += static_cast<int64_t>(request.groups.size()) * job_.grpo.group_size;
  if (!round.was_begun) {
    round.was_begun = true;
    Batch batch;
    batch.job = options_.job_id;
    batch.epoch = options_.epoch;
    batch.writes.push_back({{options_.job_id, RecordKind::kRound, number(round.round), 0},
                            encode(RoundRecord{round.round, request.version})});
    commit(std::move(batch), {});
  }
  commands_.push_back(command::Generate{std::move(request)});
}

void Controller::admit(RoundState& round, uint32_t ordinal) {
  Group& group = round.groups.at(ordinal);
  group.place = Place::kDurable;
  const bool keeps = job_.grpo.zero_variance_groups == "keep" || group.has_variance;
  round.plan.decide(ordinal, !group.is_dropped && keeps);
}

// Sums in ordinal order, so that they do not depend on who finished first.
void Controller::complete_metrics(RoundState& round) {
  StepMetrics metrics;
  metrics.stage = Stage::kGrpo;
  metrics.round = round.round;
  double count = 0, groups = 0, reward_squares = 0;
  const size_t accuracy = accuracy_part(job_.rewards);
  for (const auto& [ordinal, group] : round.groups) {
    if (group.is_dropped || group.record.trajectories.empty()) continue;
    groups += 1;
    metrics.frac_reward_zero_std += group.has_variance ? 0 : 1;
    for (const Trajectory& trajectory : group.record.trajectories) {
      const double reward = static_cast<double>(trajectory.verdict.reward());
      count += 1;
      metrics.reward_mean += reward;
      reward_squares += reward * reward;
      metrics.accuracy += trajectory.verdict.parts[accuracy].is_right() ? 1 : 0;
      for (size_t part = 0; part < trajectory.verdict.parts.size(); ++part) {
        const VerdictPart& one = trajectory.verdict.parts[part];
        metrics.reward_values[one.name] += static_cast<double>(one.value);
        ++metrics.verdicts[fmt::format("{}/{}", one.name, name(one.kind))];
        if (job_.rewards[part].verifier != "r1_format") continue;
        metrics.format_share += one.is_right() ? 1 : 0;
      }
      metrics.thinking_share += has_thinking(to_judge(trajectory, tokenizer()).text) ? 1 : 0;
      metrics.response_length_clipped += trajectory.finish_reason == FinishReason::kLength ? 1 : 0;
      metrics.tokens_generated += trajectory.num_response_tokens();
    }
  }
  if (count > 0) {
    metrics.reward_mean /= count;
    metrics.reward_std = std::sqrt(
        std::max(0.0, reward_squares / count - metrics.reward_mean * metrics.reward_mean));
    metrics.accuracy /= count;
    for (auto& [name_of, value] : metrics.reward_values) value /= count;
    metrics.format_share /= count;
    metrics.thinking_share /= count;
    metrics.response_length_clipped /= count;
    metrics.response_length_mean = static_cast<double>(metrics.tokens_generated) / count;
    metrics.frac_reward_zero_std /= groups;
  }
  round.metrics = metrics;
  round.has_metrics = true;
}

// Of the versions that get a point; of equals, the newest.
void Controller::keep_best() {
  if (!job_.schedule.keep_best) return;
  const EvaluationRecord* best = nullptr;
  for (const EvaluationRecord& one : evaluations_) {
    if (one.is_gate || !is_point_due(number(one.metrics.version))) continue;
    if (best == nullptr || one.metrics.pass_at_1() >= best->metrics.pass_at_1()) best = &one;
  }
  if (best == nullptr || best_kept_ == number(best->metrics.version)) return;
  for (const PointRecord& point : points_) {
    if (point.version != best->metrics.version) continue;
    best_kept_ = number(point.version);
    commands_.push_back(command::KeepBest{point});
  }
}

LearnStep Controller::minibatch_step(const RoundState& round, int64_t minibatch) {
  const auto M = static_cast<int64_t>(job_.grpo.minibatches_per_round);
  const model::LearningRate rate{.peak = job_.grpo.learning_rate,
                                 .warmup_steps = job_.optimizer.warmup_steps,
                                 .steps = job_.grpo.steps};
  LearnStep step;
  step.version = PolicyVersion{version_sent_ + 1};
  const auto stage_step = static_cast<int64_t>(number(step.version) - sft_steps());
  step.stage = Stage::kGrpo;
  step.learning_rate = rate.at(stage_step);
  step.balance_bias_rate = job_.learner.balance_bias_rate;
  step.begins_stage = stage_step == 1;
  step.refreshes_reference = stage_step % job_.grpo.reference_refresh_steps == 0;
  const int64_t every = job_.rollout.rescore_every_rounds;
  step.rescores = minibatch == 0 && every > 0 && (stage_step - 1) / M % every == 0;
  const auto [begin, end] = round.plan.minibatch(minibatch);
  auto& consumed = consumed_[number(step.version)];
  for (size_t i = begin; i < end; ++i) {
    const uint32_t ordinal = round.plan.admitted()[i];
    step.groups.push_back(round.groups.at(ordinal).encoded);
    consumed.push_back({round.round, ordinal});
  }
  if (minibatch == 0 && job_.grpo.off_policy_correction != "none") {
    for (size_t i = end; i < round.plan.admitted().size(); ++i) {
      step.later_groups.push_back(round.groups.at(round.plan.admitted()[i]).encoded);
    }
  }
  return step;
}

// ---- Evaluation.

void Controller::begin_evaluation(uint64_t version, bool is_gate, double now) {
  const int64_t problems = is_gate ? kGateProblems : job_.eval.problems;
  const size_t count = std::min(data_.held_out.size(), static_cast<size_t>(problems));
  evaluation_.emplace();
  evaluation_->version = PolicyVersion{version};
  evaluation_->is_gate = is_gate;
  evaluation_->temperature = is_gate ? 0.0 : job_.eval.temperature;
  evaluation_->begun_at = now;
  evaluation_->responses.resize(count);
  evaluation_->verdicts.resize(count);
  GenerateGroups request;
  request.version = evaluation_->version;
  request.temperature = static_cast<float>(evaluation_->temperature);
  request.max_response_tokens = job_.rollout.max_response_tokens;
  request.stop_tokens = data_.format.stop_tokens;
  for (size_t i = 0; i < count; ++i) {
    request.groups.push_back({.id = {Round{version}, static_cast<uint32_t>(i)},
                              .purpose = GroupPurpose::kEvaluate,
                              .prompt = data_.held_out[i].tokens,
                              .num_samples = 1});
  }
  publish(version);
  commands_.push_back(command::Generate{std::move(request)});
  sink_.progressed("evaluating", 0, static_cast<int64_t>(count));
}

void Controller::finish_evaluation(double now) {
  EvaluationState& state = *evaluation_;
  if (state.num_judged < state.verdicts.size() || state.is_committing) return;
  state.is_committing = true;
  EvaluationRecord record;
  record.is_gate = state.is_gate;
  EvalMetrics& metrics = record.metrics;
  metrics.version = state.version;
  metrics.temperature = state.temperature;
  double thinking = 0;
  for (size_t i = 0; i < state.verdicts.size(); ++i) {
    if (state.left_out.count(i) > 0) continue;
    const SampledResponse& response = *state.responses[i];
    const std::string text = tokenizer().decode(response.tokens);
    const PromptTokens& problem = data_.held_out[i];
    const bool is_solved = state.verdicts[i]->parts[accuracy_part(job_.rewards)].is_right();
    ++metrics.problems;
    metrics.solved += is_solved ? 1 : 0;
    metrics.tokens_generated += static_cast<int64_t>(response.tokens.size());
    thinking += has_thinking(text) ? 1 : 0;
    if (record.traces.size() < kTraces) {
      record.traces.push_back({problem.text, text, problem.gold_for_people(), is_solved});
    }
  }
  const auto n = static_cast<double>(std::max<int64_t>(1, metrics.problems));
  metrics.response_length_mean = static_cast<double>(metrics.tokens_generated) / n;
  metrics.thinking_share = thinking / n;
  metrics.seconds = now - state.begun_at;
  Batch batch = batch_with_ledger();
  batch.writes.push_back(
      {{options_.job_id, RecordKind::kEvaluation, number(metrics.version), state.is_gate ? 1u : 0u},
       encode(record)});
  Pending pending;
  pending.evaluation = std::move(record);
  commit(std::move(batch), std::move(pending));
}

// ---- Parts.

void Controller::judge(GroupId id, GroupPurpose purpose, const PromptTokens& prompt,
                       std::vector<TextToJudge> responses) {
  commands_.push_back(command::Judge{{.id = id,
                                      .purpose = purpose,
                                      .prompt = prompt.text,
                                      .gold = prompt.gold,
                                      .responses = std::move(responses)}});
}

const PromptTokens& Controller::prompt_of(GroupId id) const {
  return data_.train[static_cast<size_t>(
      prompt_order_->at(static_cast<int64_t>(number(id.round)), static_cast<int64_t>(id.ordinal)))];
}

Trajectory Controller::make_trajectory(GroupId id, uint32_t sample, PolicyVersion version,
                                       const SampledResponse& response) const {
  const PromptTokens& prompt = prompt_of(id);
  Trajectory t;
  t.id = {id, sample};
  t.prompt_index = static_cast<uint64_t>(&prompt - data_.train.data());
  t.tokens = prompt.tokens;
  const auto begin = static_cast<uint32_t>(t.tokens.size());
  t.tokens.insert(t.tokens.end(), response.tokens.begin(), response.tokens.end());
  const auto end = static_cast<uint32_t>(t.tokens.size());
  t.loss_mask.assign(begin, 0);
  t.loss_mask.resize(end, 1);
  t.rollout_logprobs.assign(begin, 0.0f);
  t.rollout_logprobs.insert(t.rollout_logprobs.end(), response.logprobs.begin(),
                            response.logprobs.end());
  t.segments = {{SegmentRole::kPrompt, 0, begin}, {SegmentRole::kPolicy, begin, end}};
  if (response.versions.empty()) t.versions = {{version, begin, end}};
  for (const VersionRange& range : response.versions) {
    t.versions.push_back({range.version, begin + range.begin, begin + range.end});
  }
  t.finish_reason = response.finish_reason;
  return t;
}

// The bill is charged in the batch of the work that it is for.
Batch Controller::batch_with_ledger() {
  Batch batch;
  batch.job = options_.job_id;
  batch.epoch = options_.epoch;
  batch.writes.push_back({{options_.job_id, RecordKind::kLedger, 0, 0}, encode(ledger_)});
  return batch;
}

void Controller::commit(Batch batch, Pending pending) {
  const uint64_t ticket = next_ticket_++;
  pending_.emplace_back(ticket, std::move(pending));
  commands_.push_back(command::Commit{ticket, std::move(batch)});
}

void Controller::end(JobState state, Error error) {
  is_ended_ = true;
  commands_.push_back(command::CancelGeneration{});
  commands_.push_back(command::End{state, std::move(error)});
}

std::string Controller::waits_for() const {
  if (!is_learner_ready_) return "a learner";
  if (!pending_.empty()) return fmt::format("the store, with {} commits", pending_.size());
  if (evaluation_) {
    return fmt::format("the evaluation of version {}: {} of {} problems are judged",
                       number(evaluation_->version), evaluation_->num_judged,
                       evaluation_->verdicts.size());
  }
  if (version_sent_ > number(version_learned_)) {
    return fmt::format("the learner, with steps {} to {}", number(version_learned_) + 1,
                       version_sent_);
  }
  if (point_asked_) return fmt::format("the recovery point of version {}", *point_asked_);
  const auto found = rounds_.find(Round{round_at(version_sent_)});
  if (found == rounds_.end() || !found->second.is_loaded) return "the store, with a round";
  int64_t generating = 0, judging = 0;
  std::optional<uint32_t> first;
  for (uint32_t ordinal : found->second.plan.wanted()) {
    const auto group = found->second.groups.find(ordinal);
    const bool is_judging =
        group != found->second.groups.end() && group->second.place == Place::kJudging;
    ++(is_judging ? judging : generating);
    if (!first) first = ordinal;
  }
  return fmt::format("round {}: {} groups to be generated, {} to be judged; the first is {}",
                     number(found->first), generating, judging, first.value_or(0));
}

RunSample Controller::sample() const {
  RunSample sample;
  sample.ledger = ledger_;
  sample.steps_learning = static_cast<int64_t>(version_sent_ - number(version_learned_));
  for (const auto& [number, round] : rounds_) {
    for (const auto& [ordinal, group] : round.groups) {
      if (group.place == Place::kJudging) ++sample.groups_judging;
      if (group.place == Place::kCommitting) ++sample.groups_committing;
    }
  }
  return sample;
}

}  // namespace troupe::actors
