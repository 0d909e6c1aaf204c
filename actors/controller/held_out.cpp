#include "actors/controller/held_out.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "actors/controller/group_texts.h"
#include "actors/verifier/format_verdict.h"
#include "actors/verifier/verifier_table.h"
#include "schemas/records_codec.h"

namespace troupe::actors {
namespace {

// Held-out problems that the cold start's gate is measured on. Not [eval]'s: the gate decides the
// history of a job, and [eval] must not.
constexpr int64_t kGateProblems = 500;
constexpr size_t kTraces = 3;

}  // namespace

HeldOut::HeldOut(const JobSpec& job, const JobData& data, const Timetable& timetable,
                 std::vector<EvaluationRecord> evaluations, Commits& commits, Outbox& outbox,
                 MetricsSink& sink)
    : job_(job),
      data_(data),
      timetable_(timetable),
      commits_(commits),
      outbox_(outbox),
      sink_(sink),
      evaluations_(std::move(evaluations)) {}

bool HeldOut::is_due(uint64_t version) const {
  if (data_.held_out.empty() || job_.eval.problems == 0) return false;
  if (version == timetable_.last_version()) return true;
  if (job_.grpo.steps == 0 || version < timetable_.sft_steps()) return false;
  if (version == timetable_.sft_steps()) return true;
  return job_.eval.every_steps > 0 &&
         (version - timetable_.sft_steps()) % static_cast<uint64_t>(job_.eval.every_steps) == 0;
}

bool HeldOut::is_wanted(uint64_t version) const {
  return is_due(version) && find(version, /*is_gate=*/false) == nullptr;
}

const EvaluationRecord* HeldOut::find(uint64_t version, bool is_gate) const {
  for (const EvaluationRecord& one : evaluations_) {
    if (number(one.metrics.version) == version && one.is_gate == is_gate) return &one;
  }
  return nullptr;
}

std::optional<double> HeldOut::gate_pass_at_1(uint64_t version) const {
  const EvaluationRecord* gate = find(version, /*is_gate=*/true);
  return gate == nullptr ? std::nullopt : std::optional(gate->metrics.pass_at_1());
}

std::optional<uint64_t> HeldOut::version() const {
  return state_ ? std::optional(number(state_->version)) : std::nullopt;
}

std::string HeldOut::waits_for() const {
  return fmt::format("the evaluation of version {}: {} of {} problems are judged",
                     number(state_->version), state_->num_judged, state_->verdicts.size());
}

void HeldOut::begin(uint64_t version, bool is_gate, double now) {
  const int64_t problems = is_gate ? kGateProblems : job_.eval.problems;
  const size_t count = std::min(data_.held_out.size(), static_cast<size_t>(problems));
  state_.emplace();
  state_->version = PolicyVersion{version};
  state_->is_gate = is_gate;
  state_->temperature = is_gate ? 0.0 : job_.eval.temperature;
  state_->begun_at = now;
  state_->responses.resize(count);
  state_->verdicts.resize(count);
  GenerateGroups request;
  request.version = state_->version;
  request.temperature = static_cast<float>(state_->temperature);
  request.max_response_tokens = job_.rollout.max_response_tokens;
  request.stop_tokens = data_.format.stop_tokens;
  for (size_t i = 0; i < count; ++i) {
    request.groups.push_back({.id = {Round{version}, static_cast<uint32_t>(i)},
                              .purpose = GroupPurpose::kEvaluate,
                              .prompt = data_.held_out[i].tokens,
                              .num_samples = 1});
  }
  outbox_.add(command::Generate{std::move(request)});
  report();
}

void HeldOut::report() const {
  if (!state_) return;
  sink_.progressed("evaluating", static_cast<int64_t>(state_->num_judged),
                   static_cast<int64_t>(state_->verdicts.size()));
}

// Of the evaluation under way, and not of one that was given up.
bool HeldOut::is_asked(GroupId id) const {
  return state_ && id.round == Round{number(state_->version)} &&
         id.ordinal < state_->verdicts.size();
}

void HeldOut::generated(const GeneratedGroup& group) {
  if (!is_asked(group.id)) return;
  const size_t index = group.id.ordinal;
  if (state_->responses[index] || group.responses.size() != 1) return;
  state_->responses[index] = group.responses[0];
  judge(index);
}

void HeldOut::judge(size_t index) {
  const GroupId id{Round{number(state_->version)}, static_cast<uint32_t>(index)};
  outbox_.add(command::Judge{
      group_to_judge(id, GroupPurpose::kEvaluate, data_.held_out[index],
                     {to_judge(*state_->responses[index], data_.format.tokenizer)})});
}

// What was not judged is not counted as wrong.
void HeldOut::judged(const JudgedGroup& group) {
  if (!is_asked(group.id)) return;
  const size_t index = group.id.ordinal;
  if (!state_->responses[index] || state_->verdicts[index] || group.verdicts.size() != 1) return;
  const Verdict& verdict = group.verdicts[0];
  for (const VerdictPart& one : verdict.parts) {
    if (one.kind == VerdictKind::kInfraError) ++commits_.ledger().verdicts[name(one.kind)];
  }
  const VerdictPart& part = verdict.parts[accuracy_part(job_.rewards)];
  if (part.kind == VerdictKind::kInfraError && ++state_->infra_errors[index] <= kInfraErrorsMax) {
    judge(index);
    return;
  }
  if (!is_payable(part.kind)) {
    leave_out(index, fmt::format("{}: {}", name(part.kind), part.reason));
    return;
  }
  state_->verdicts[index] = verdict;
  if (state_->left_out.count(index) == 0) ++state_->num_judged;
}

bool HeldOut::abandoned(GroupId id, const std::string& reason) {
  if (!is_asked(id) || state_->verdicts[id.ordinal]) return false;
  leave_out(id.ordinal, reason);
  return true;
}

void HeldOut::leave_out(size_t index, const std::string& reason) {
  if (state_->left_out.insert(index).second) ++state_->num_judged;
  sink_.noted(fmt::format("evaluation: problem {} is left out: {}", index, reason));
}

void HeldOut::finish(double now) {
  if (!state_ || state_->num_judged < state_->verdicts.size() || state_->is_committing) return;
  state_->is_committing = true;
  EvaluationRecord record;
  record.is_gate = state_->is_gate;
  EvalMetrics& metrics = record.metrics;
  metrics.version = state_->version;
  metrics.temperature = state_->temperature;
  double thinking = 0;
  for (size_t i = 0; i < state_->verdicts.size(); ++i) {
    if (state_->left_out.count(i) > 0) continue;
    const SampledResponse& response = *state_->responses[i];
    const std::string text = data_.format.tokenizer.decode(response.tokens);
    const PromptTokens& problem = data_.held_out[i];
    const bool is_solved = state_->verdicts[i]->parts[accuracy_part(job_.rewards)].is_right();
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
  metrics.seconds = now - state_->begun_at;
  Batch batch = commits_.batch_with_ledger();
  batch.writes.push_back(
      {commits_.key(RecordKind::kEvaluation, number(metrics.version), state_->is_gate ? 1u : 0u),
       encode(record)});
  commits_.commit(std::move(batch), {.evaluation = std::move(record)});
}

void HeldOut::durable(const EvaluationRecord& record) {
  if (!record.is_gate) sink_.evaluated(record.metrics, record.traces);
  evaluations_.push_back(record);
  if (state_ && state_->is_committing) state_.reset();
}

}  // namespace troupe::actors
