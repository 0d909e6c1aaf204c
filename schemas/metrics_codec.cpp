#include "schemas/metrics_codec.h"

#include <map>
#include <string>
#include <utility>

#include "schemas/bounds.h"
#include "schemas/metrics_wire.h"

namespace troupe {

namespace {

using Counts = std::map<std::string, int64_t>;

void to_counts(capnp::List<wire::NamedCount>::Builder to, const Counts& from) {
  unsigned i = 0;
  for (const auto& [name, count] : from) {
    to[i].setName(wire::to_text(name, kNameBytesMax));
    to[i].setCount(count);
    ++i;
  }
}

Counts from_counts(capnp::List<wire::NamedCount>::Reader from, const char* field,
                   FieldReader& fields) {
  Counts counts;
  for (auto entry : fields.list(from, kLedgerNamesMax, field)) {
    std::string name = fields.text(entry.getName(), kNameBytesMax, field);
    if (!counts.emplace(std::move(name), entry.getCount()).second) {
      fields.refuse(std::string(field) + " has a name twice");
    }
  }
  return counts;
}

using Values = std::map<std::string, double>;

void to_values(capnp::List<wire::NamedValue>::Builder to, const Values& from) {
  unsigned i = 0;
  for (const auto& [name, value] : from) {
    to[i].setName(wire::to_text(name, kNameBytesMax));
    to[i].setValue(value);
    ++i;
  }
}

Values from_values(capnp::List<wire::NamedValue>::Reader from, const char* field,
                   FieldReader& fields) {
  Values values;
  for (auto entry : fields.list(from, kLedgerNamesMax, field)) {
    std::string name = fields.text(entry.getName(), kNameBytesMax, field);
    if (!values.emplace(std::move(name), entry.getValue()).second) {
      fields.refuse(std::string(field) + " has a name twice");
    }
  }
  return values;
}

}  // namespace

void to_wire(wire::StepMetrics::Builder to, const StepMetrics& from) {
  to.setStage(wire::to_enumerator<wire::Stage>(from.stage, Stage::kGrpo));
  to.setVersion(number(from.version));
  to.setStageStep(from.stage_step);
  to.setStageSteps(from.stage_steps);
  to.setLoss(from.loss);
  to.setGradNorm(from.grad_norm);
  to.setLearningRate(from.learning_rate);
  to.setWasSkipped(from.was_skipped);
  to.setWasFinite(from.was_finite);
  to.setTokensLearned(from.tokens_learned);
  to.setExpertLoadMaxViolation(from.expert_load_max_violation);
  to.setRound(number(from.round));
  to.setRewardMean(from.reward_mean);
  to.setRewardStd(from.reward_std);
  to.setAccuracy(from.accuracy);
  to.setFormatShare(from.format_share);
  to.setThinkingShare(from.thinking_share);
  to.setResponseLengthMean(from.response_length_mean);
  to.setResponseLengthClipped(from.response_length_clipped);
  to.setFracRewardZeroStd(from.frac_reward_zero_std);
  to.setEntropy(from.entropy);
  to.setKl(from.kl);
  to.setPpoKl(from.ppo_kl);
  to.setClipFraction(from.clip_fraction);
  to.setRatioMax(from.ratio_max);
  to.setAdvantageAbsMean(from.advantage_abs_mean);
  to.setGenerateSeconds(from.generate_seconds);
  to.setVerifySeconds(from.verify_seconds);
  to.setLearnSeconds(from.learn_seconds);
  to.setTokensGenerated(from.tokens_generated);
  to_values(to.initRewardValues(wire::to_size(from.reward_values, kLedgerNamesMax)),
            from.reward_values);
  to_counts(to.initVerdicts(wire::to_size(from.verdicts, kLedgerNamesMax)), from.verdicts);
  to.setStalenessStepsMean(from.staleness_steps_mean);
  to.setStalenessStepsMax(from.staleness_steps_max);
  to_values(
      to.initStalenessStepsByLength(wire::to_size(from.staleness_steps_by_length, kLedgerNamesMax)),
      from.staleness_steps_by_length);
  to_values(
      to.initLogRatioAbsByLength(wire::to_size(from.log_ratio_abs_by_length, kLedgerNamesMax)),
      from.log_ratio_abs_by_length);
  to.setImportanceWeightMean(from.importance_weight_mean);
  to.setImportanceWeightMax(from.importance_weight_max);
  to.setImportanceTruncatedShare(from.importance_truncated_share);
}

StepMetrics from_wire(wire::StepMetrics::Reader from, FieldReader& fields) {
  return {
      .stage = fields.enumerator<Stage>(from.getStage(), wire::Stage::GRPO, "stage"),
      .version = PolicyVersion{from.getVersion()},
      .stage_step = from.getStageStep(),
      .stage_steps = from.getStageSteps(),
      .loss = from.getLoss(),
      .grad_norm = from.getGradNorm(),
      .learning_rate = from.getLearningRate(),
      .was_skipped = from.getWasSkipped(),
      .was_finite = from.getWasFinite(),
      .tokens_learned = from.getTokensLearned(),
      .expert_load_max_violation = from.getExpertLoadMaxViolation(),
      .round = Round{from.getRound()},
      .reward_mean = from.getRewardMean(),
      .reward_std = from.getRewardStd(),
      .accuracy = from.getAccuracy(),
      .format_share = from.getFormatShare(),
      .thinking_share = from.getThinkingShare(),
      .response_length_mean = from.getResponseLengthMean(),
      .response_length_clipped = from.getResponseLengthClipped(),
      .frac_reward_zero_std = from.getFracRewardZeroStd(),
      .reward_values = from_values(from.getRewardValues(), "reward_values", fields),
      .verdicts = from_counts(from.getVerdicts(), "verdicts", fields),
      .entropy = from.getEntropy(),
      .kl = from.getKl(),
      .ppo_kl = from.getPpoKl(),
      .clip_fraction = from.getClipFraction(),
      .ratio_max = from.getRatioMax(),
      .advantage_abs_mean = from.getAdvantageAbsMean(),
      .staleness_steps_mean = from.getStalenessStepsMean(),
      .staleness_steps_max = from.getStalenessStepsMax(),
      .staleness_steps_by_length =
          from_values(from.getStalenessStepsByLength(), "staleness_steps_by_length", fields),
      .log_ratio_abs_by_length =
          from_values(from.getLogRatioAbsByLength(), "log_ratio_abs_by_length", fields),
      .importance_weight_mean = from.getImportanceWeightMean(),
      .importance_weight_max = from.getImportanceWeightMax(),
      .importance_truncated_share = from.getImportanceTruncatedShare(),
      .generate_seconds = from.getGenerateSeconds(),
      .verify_seconds = from.getVerifySeconds(),
      .learn_seconds = from.getLearnSeconds(),
      .tokens_generated = from.getTokensGenerated(),
  };
}

void to_wire(wire::EvalMetrics::Builder to, const EvalMetrics& from) {
  to.setVersion(number(from.version));
  to.setTemperature(from.temperature);
  to.setProblems(from.problems);
  to.setSolved(from.solved);
  to.setResponseLengthMean(from.response_length_mean);
  to.setThinkingShare(from.thinking_share);
  to.setSeconds(from.seconds);
  to.setTokensGenerated(from.tokens_generated);
}

EvalMetrics from_wire(wire::EvalMetrics::Reader from, FieldReader&) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .temperature = from.getTemperature(),
      .problems = from.getProblems(),
      .solved = from.getSolved(),
      .response_length_mean = from.getResponseLengthMean(),
      .thinking_share = from.getThinkingShare(),
      .seconds = from.getSeconds(),
      .tokens_generated = from.getTokensGenerated(),
  };
}

void to_wire(wire::Trace::Builder to, const Trace& from) {
  to.setPrompt(wire::to_text(from.prompt, kResponseBytesMax));
  to.setResponse(wire::to_text(from.response, kResponseBytesMax));
  to.setGold(wire::to_text(from.gold, kResponseBytesMax));
  to.setIsSolved(from.is_solved);
}

Trace from_wire(wire::Trace::Reader from, FieldReader& fields) {
  return {
      .prompt = fields.text(from.getPrompt(), kResponseBytesMax, "prompt"),
      .response = fields.text(from.getResponse(), kResponseBytesMax, "response"),
      .gold = fields.text(from.getGold(), kResponseBytesMax, "gold"),
      .is_solved = from.getIsSolved(),
  };
}

void to_wire(wire::Ledger::Builder to, const Ledger& from) {
  to.setTokensGenerated(from.tokens_generated);
  to.setTokensRegenerated(from.tokens_regenerated);
  to.setTokensLearned(from.tokens_learned);
  to.setTrajectoriesGenerated(from.trajectories_generated);
  to.setTrajectoriesRegenerated(from.trajectories_regenerated);
  to.setTrajectoriesLearned(from.trajectories_learned);
  to_counts(to.initTrajectoriesDropped(wire::to_size(from.trajectories_dropped, kLedgerNamesMax)),
            from.trajectories_dropped);
  to_counts(to.initVerdicts(wire::to_size(from.verdicts, kLedgerNamesMax)), from.verdicts);
  to.setStepsRedone(from.steps_redone);
  to.setWorkersLost(from.workers_lost);
  to.setRolloutSeconds(from.rollout_seconds);
  to.setVerifierSeconds(from.verifier_seconds);
  to.setLearnerSeconds(from.learner_seconds);
  to.setWastedSeconds(from.wasted_seconds);
  to.setMoney(from.money);
  to.setTokensKept(from.tokens_kept);
}

Ledger from_wire(wire::Ledger::Reader from, FieldReader& fields) {
  return {
      .tokens_generated = from.getTokensGenerated(),
      .tokens_regenerated = from.getTokensRegenerated(),
      .tokens_learned = from.getTokensLearned(),
      .trajectories_generated = from.getTrajectoriesGenerated(),
      .trajectories_regenerated = from.getTrajectoriesRegenerated(),
      .trajectories_learned = from.getTrajectoriesLearned(),
      .trajectories_dropped =
          from_counts(from.getTrajectoriesDropped(), "trajectories_dropped", fields),
      .verdicts = from_counts(from.getVerdicts(), "verdicts", fields),
      .steps_redone = from.getStepsRedone(),
      .workers_lost = from.getWorkersLost(),
      .rollout_seconds = from.getRolloutSeconds(),
      .verifier_seconds = from.getVerifierSeconds(),
      .learner_seconds = from.getLearnerSeconds(),
      .wasted_seconds = from.getWastedSeconds(),
      .money = from.getMoney(),
      .tokens_kept = from.getTokensKept(),
  };
}

void to_wire(wire::WorkerStatus::Builder to, const WorkerStatus& from) {
  to.setSlot(from.slot);
  to.setRoles(wire::to_text(from.roles, kNameBytesMax));
  to.setActivity(wire::to_text(wire::cut(from.activity), kTextBytesMax));
  to.setPid(from.pid);
  to.setEpoch(from.epoch);
  to.setIsReady(from.is_ready);
  to.setRank(from.rank);
  to.setNumRanks(from.num_ranks);
  to.setTeamBytes(from.team_bytes);
  to.setTokensGenerated(from.tokens_generated);
}

WorkerStatus from_wire(wire::WorkerStatus::Reader from, FieldReader& fields) {
  return {
      .slot = from.getSlot(),
      .roles = fields.text(from.getRoles(), kNameBytesMax, "roles"),
      .activity = fields.text(from.getActivity(), kTextBytesMax, "activity"),
      .pid = from.getPid(),
      .epoch = from.getEpoch(),
      .is_ready = from.getIsReady(),
      .rank = from.getRank(),
      .num_ranks = from.getNumRanks(),
      .team_bytes = from.getTeamBytes(),
      .tokens_generated = from.getTokensGenerated(),
  };
}

void to_wire(wire::RunSample::Builder to, const RunSample& from) {
  wire::to_structs(to.initWorkers(wire::to_size(from.workers, kWorkersMax)), from.workers);
  to.setGroupsWaiting(from.groups_waiting);
  to.setGroupsGenerating(from.groups_generating);
  to.setGroupsJudging(from.groups_judging);
  to.setGroupsCommitting(from.groups_committing);
  to.setStepsLearning(from.steps_learning);
  to.setRolloutBusyShare(from.rollout_busy_share);
  to.setVerifierBusyShare(from.verifier_busy_share);
  to.setLearnerBusyShare(from.learner_busy_share);
  to.setVerdictsPerSecond(from.verdicts_per_second);
  to_wire(to.initLedger(), from.ledger);
}

RunSample from_wire(wire::RunSample::Reader from, FieldReader& fields) {
  return {
      .workers = fields.structs<WorkerStatus>(from.getWorkers(), kWorkersMax, "workers"),
      .groups_waiting = from.getGroupsWaiting(),
      .groups_generating = from.getGroupsGenerating(),
      .groups_judging = from.getGroupsJudging(),
      .groups_committing = from.getGroupsCommitting(),
      .steps_learning = from.getStepsLearning(),
      .rollout_busy_share = from.getRolloutBusyShare(),
      .verifier_busy_share = from.getVerifierBusyShare(),
      .learner_busy_share = from.getLearnerBusyShare(),
      .verdicts_per_second = from.getVerdictsPerSecond(),
      .ledger = from_wire(from.getLedger(), fields),
  };
}

std::vector<std::byte> encode(const StepMetrics& value) {
  return wire::encode<wire::StepMetrics>(value);
}

Result<StepMetrics> decode_step_metrics(std::span<const std::byte> bytes) {
  return wire::decode<wire::StepMetrics, StepMetrics>(bytes, "step metrics");
}

std::vector<std::byte> encode(const EvalMetrics& value) {
  return wire::encode<wire::EvalMetrics>(value);
}

Result<EvalMetrics> decode_eval_metrics(std::span<const std::byte> bytes) {
  return wire::decode<wire::EvalMetrics, EvalMetrics>(bytes, "eval metrics");
}

std::vector<std::byte> encode(const Trace& value) { return wire::encode<wire::Trace>(value); }

Result<Trace> decode_trace(std::span<const std::byte> bytes) {
  return wire::decode<wire::Trace, Trace>(bytes, "trace");
}

std::vector<std::byte> encode(const Ledger& value) { return wire::encode<wire::Ledger>(value); }

Result<Ledger> decode_ledger(std::span<const std::byte> bytes) {
  return wire::decode<wire::Ledger, Ledger>(bytes, "ledger");
}

std::vector<std::byte> encode(const WorkerStatus& value) {
  return wire::encode<wire::WorkerStatus>(value);
}

Result<WorkerStatus> decode_worker_status(std::span<const std::byte> bytes) {
  return wire::decode<wire::WorkerStatus, WorkerStatus>(bytes, "worker status");
}

std::vector<std::byte> encode(const RunSample& value) {
  return wire::encode<wire::RunSample>(value);
}

Result<RunSample> decode_run_sample(std::span<const std::byte> bytes) {
  return wire::decode<wire::RunSample, RunSample>(bytes, "run sample");
}

}  // namespace troupe
