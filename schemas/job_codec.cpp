#include "schemas/job_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "schemas/bounds.h"
#include "schemas/check.h"
#include "schemas/job_wire.h"
#include "schemas/overloaded.h"
#include "schemas/trajectory_codec.h"

namespace troupe {

namespace {

Status validate_text(const char* field, const std::string& text) {
  if (text.size() <= kNameBytesMax) return ok();
  return invalid_argument(fmt::format("job: {} has {} bytes, at most {} are allowed; shorten it",
                                      field, text.size(), kNameBytesMax));
}

Status validate_size(const char* field, size_t size, size_t size_max) {
  if (size <= size_max) return ok();
  return invalid_argument(fmt::format("job: {} has {} entries, at most {} are allowed; shorten it",
                                      field, size, size_max));
}

bool has_ordered_keys(const RewardSpec& reward) {
  return std::adjacent_find(reward.settings.begin(), reward.settings.end(),
                            [](const RewardSetting& a, const RewardSetting& b) {
                              return a.key >= b.key;
                            }) == reward.settings.end();
}

Status validate_settings(const RewardSpec& reward) {
  if (Status s = validate_size("a reward's settings", reward.settings.size(), kRewardSettingsMax);
      !s) {
    return s;
  }
  for (const RewardSetting& setting : reward.settings) {
    if (Status s = validate_text("a reward's key", setting.key); !s) return s;
    if (const auto* text = std::get_if<std::string>(&setting.value)) {
      if (Status s = validate_text("a reward's setting", *text); !s) return s;
    }
    if (const auto* texts = std::get_if<std::vector<std::string>>(&setting.value)) {
      if (Status s = validate_size("a reward's setting", texts->size(), kJobListMax); !s) return s;
      for (const std::string& text : *texts) {
        if (Status s = validate_text("a reward's setting", text); !s) return s;
      }
    }
  }
  if (!has_ordered_keys(reward)) {
    return invalid_argument("job: a reward's settings are not in order, or one is there twice");
  }
  return ok();
}

Status validate_files(const RewardSpec& reward) {
  if (Status s = validate_size("a reward's files", reward.files.size(), kRewardFilesMax); !s) {
    return s;
  }
  for (const RewardFile& file : reward.files) {
    if (Status s = validate_text("the name of a reward's file", file.name); !s) return s;
    if (file.content.size() > kRewardFileBytesMax) {
      return invalid_argument(
          fmt::format("job: the file of a reward has {} bytes, at most {} are allowed",
                      file.content.size(), kRewardFileBytesMax));
    }
  }
  return ok();
}

}  // namespace

// Not in an unnamed namespace, because wire.h finds these by their arguments.

void to_wire(wire::PolicySpec::Builder to, const PolicySpec& from) {
  to.setConfig(wire::to_text(from.config, kNameBytesMax));
  to.setModel(wire::to_text(from.model, kNameBytesMax));
  to.setAttentionForm(wire::to_text(from.attention_form, kNameBytesMax));
}

PolicySpec from_wire(wire::PolicySpec::Reader from, FieldReader& fields) {
  return {
      .config = fields.text(from.getConfig(), kNameBytesMax, "config"),
      .model = fields.text(from.getModel(), kNameBytesMax, "model"),
      .attention_form = fields.text(from.getAttentionForm(), kNameBytesMax, "attention_form"),
  };
}

void to_wire(wire::DataSpec::Builder to, const DataSpec& from) {
  to.setTrain(wire::to_text(from.train, kNameBytesMax));
  wire::to_texts(to.initColdStart(wire::to_size(from.cold_start, kJobListMax)), from.cold_start,
                 kNameBytesMax);
  to.setHeldOut(wire::to_text(from.held_out, kNameBytesMax));
  to.setTemplateName(wire::to_text(from.template_name, kNameBytesMax));
  to.setShuffle(from.shuffle);
  to.setMaxPromptTokens(from.max_prompt_tokens);
  to.setPromptColumn(wire::to_text(from.prompt_column, kNameBytesMax));
  to.setAnswerColumn(wire::to_text(from.answer_column, kNameBytesMax));
}

DataSpec from_wire(wire::DataSpec::Reader from, FieldReader& fields) {
  return {
      .train = fields.text(from.getTrain(), kNameBytesMax, "train"),
      .cold_start = fields.texts(from.getColdStart(), kJobListMax, kNameBytesMax, "cold_start"),
      .held_out = fields.text(from.getHeldOut(), kNameBytesMax, "held_out"),
      .template_name = fields.text(from.getTemplateName(), kNameBytesMax, "template_name"),
      .shuffle = from.getShuffle(),
      .max_prompt_tokens = from.getMaxPromptTokens(),
      .prompt_column = fields.text(from.getPromptColumn(), kNameBytesMax, "prompt_column"),
      .answer_column = fields.text(from.getAnswerColumn(), kNameBytesMax, "answer_column"),
  };
}

void to_wire(wire::SftSpec::Builder to, const SftSpec& from) {
  to.setSteps(from.steps);
  to.setBatchTokens(from.batch_tokens);
  to.setLearningRate(from.learning_rate);
  to.setLearningRateSchedule(wire::to_text(from.learning_rate_schedule, kNameBytesMax));
  to.setLearningRateFinalFraction(from.learning_rate_final_fraction);
  to.setPartShares(wire::to_list(from.part_shares, kJobListMax));
  to.setGatePassAt1(from.gate_pass_at_1);
  to.setHasBalanceBiasRate(from.balance_bias_rate.has_value());
  to.setBalanceBiasRate(from.balance_bias_rate.value_or(0));
}

SftSpec from_wire(wire::SftSpec::Reader from, FieldReader& fields) {
  return {
      .steps = from.getSteps(),
      .batch_tokens = from.getBatchTokens(),
      .learning_rate = from.getLearningRate(),
      .learning_rate_schedule =
          fields.text(from.getLearningRateSchedule(), kNameBytesMax, "learning_rate_schedule"),
      .learning_rate_final_fraction = from.getLearningRateFinalFraction(),
      .part_shares = fields.numbers<double>(from.getPartShares(), kJobListMax, "part_shares"),
      .gate_pass_at_1 = from.getGatePassAt1(),
      .balance_bias_rate =
          from.getHasBalanceBiasRate() ? std::optional(from.getBalanceBiasRate()) : std::nullopt,
  };
}

void to_wire(wire::GrpoSpec::Builder to, const GrpoSpec& from) {
  to.setSteps(from.steps);
  to.setPromptsPerRound(from.prompts_per_round);
  to.setGroupSize(from.group_size);
  to.setMinibatchesPerRound(from.minibatches_per_round);
  to.setLearningRate(from.learning_rate);
  to.setClipLow(from.clip_low);
  to.setClipHigh(from.clip_high);
  to.setKlCoef(from.kl_coef);
  to.setKlEstimator(wire::to_text(from.kl_estimator, kNameBytesMax));
  to.setReferenceRefreshSteps(from.reference_refresh_steps);
  to.setAdvantage(wire::to_text(from.advantage, kNameBytesMax));
  to.setLossAggregation(wire::to_text(from.loss_aggregation, kNameBytesMax));
  to.setZeroVarianceGroups(wire::to_text(from.zero_variance_groups, kNameBytesMax));
  to.setReplacementRoundsMax(from.replacement_rounds_max);
  to.setOffPolicyCorrection(wire::to_text(from.off_policy_correction, kNameBytesMax));
  to.setImportanceCap(from.importance_cap);
}

GrpoSpec from_wire(wire::GrpoSpec::Reader from, FieldReader& fields) {
  return {
      .steps = from.getSteps(),
      .prompts_per_round = from.getPromptsPerRound(),
      .group_size = from.getGroupSize(),
      .minibatches_per_round = from.getMinibatchesPerRound(),
      .learning_rate = from.getLearningRate(),
      .clip_low = from.getClipLow(),
      .clip_high = from.getClipHigh(),
      .kl_coef = from.getKlCoef(),
      .kl_estimator = fields.text(from.getKlEstimator(), kNameBytesMax, "kl_estimator"),
      .reference_refresh_steps = from.getReferenceRefreshSteps(),
      .advantage = fields.text(from.getAdvantage(), kNameBytesMax, "advantage"),
      .loss_aggregation = fields.text(from.getLossAggregation(), kNameBytesMax, "loss_aggregation"),
      .zero_variance_groups =
          fields.text(from.getZeroVarianceGroups(), kNameBytesMax, "zero_variance_groups"),
      .replacement_rounds_max = from.getReplacementRoundsMax(),
      .off_policy_correction =
          fields.text(from.getOffPolicyCorrection(), kNameBytesMax, "off_policy_correction"),
      .importance_cap = from.getImportanceCap(),
  };
}

void to_wire(wire::OptimizerSpec::Builder to, const OptimizerSpec& from) {
  to.setBeta1(from.beta1);
  to.setBeta2(from.beta2);
  to.setEpsilon(from.epsilon);
  to.setWeightDecay(from.weight_decay);
  to.setGradientClip(from.gradient_clip);
  to.setWarmupSteps(from.warmup_steps);
  to.setNonFiniteStepsMax(from.non_finite_steps_max);
}

OptimizerSpec from_wire(wire::OptimizerSpec::Reader from, FieldReader&) {
  return {
      .beta1 = from.getBeta1(),
      .beta2 = from.getBeta2(),
      .epsilon = from.getEpsilon(),
      .weight_decay = from.getWeightDecay(),
      .gradient_clip = from.getGradientClip(),
      .warmup_steps = from.getWarmupSteps(),
      .non_finite_steps_max = from.getNonFiniteStepsMax(),
  };
}

void to_wire(wire::RolloutSpec::Builder to, const RolloutSpec& from) {
  to.setTemperature(from.temperature);
  to.setTopP(from.top_p);
  to.setMaxResponseTokens(from.max_response_tokens);
  to.setCacheMb(from.cache_mb);
  to.setRescoreEveryRounds(from.rescore_every_rounds);
  to.setSegmentTokens(from.segment_tokens);
}

RolloutSpec from_wire(wire::RolloutSpec::Reader from, FieldReader&) {
  return {
      .temperature = from.getTemperature(),
      .top_p = from.getTopP(),
      .max_response_tokens = from.getMaxResponseTokens(),
      .cache_mb = from.getCacheMb(),
      .rescore_every_rounds = from.getRescoreEveryRounds(),
      .segment_tokens = from.getSegmentTokens(),
  };
}

void to_wire(wire::LearnerSpec::Builder to, const LearnerSpec& from) {
  to.setMicrobatchTokens(from.microbatch_tokens);
  to.setGradientLanes(from.gradient_lanes);
  to.setLaneWidth(from.lane_width);
  to.setRecomputeActivations(from.recompute_activations);
  to.setExpertParallel(from.expert_parallel);
  to.setBalanceBiasRate(from.balance_bias_rate);
}

LearnerSpec from_wire(wire::LearnerSpec::Reader from, FieldReader&) {
  return {
      .microbatch_tokens = from.getMicrobatchTokens(),
      .gradient_lanes = from.getGradientLanes(),
      .lane_width = from.getLaneWidth(),
      .recompute_activations = from.getRecomputeActivations(),
      .expert_parallel = from.getExpertParallel(),
      .balance_bias_rate = from.getBalanceBiasRate(),
  };
}

void to_wire(wire::RewardSetting::Builder to, const RewardSetting& from) {
  to.setKey(wire::to_text(from.key, kNameBytesMax));
  auto value = to.initValue();
  std::visit(
      Overloaded{
          [&](bool truth) { value.setTruth(truth); },
          [&](double number) { value.setNumber(number); },
          [&](const std::string& text) { value.setText(wire::to_text(text, kNameBytesMax)); },
          [&](const std::vector<std::string>& texts) {
            wire::to_texts(value.initTexts(wire::to_size(texts, kJobListMax)), texts,
                           kNameBytesMax);
          },
      },
      from.value);
}

RewardSetting from_wire(wire::RewardSetting::Reader from, FieldReader& fields) {
  RewardSetting setting{.key = fields.text(from.getKey(), kNameBytesMax, "key")};
  const auto value = from.getValue();
  switch (value.which()) {
    case wire::RewardSetting::Value::TRUTH:
      setting.value = value.getTruth();
      return setting;
    case wire::RewardSetting::Value::NUMBER:
      setting.value = value.getNumber();
      return setting;
    case wire::RewardSetting::Value::TEXT:
      setting.value = fields.text(value.getText(), kNameBytesMax, "a setting");
      return setting;
    case wire::RewardSetting::Value::TEXTS:
      setting.value = fields.texts(value.getTexts(), kJobListMax, kNameBytesMax, "a setting");
      return setting;
  }
  fields.refuse("a setting's type is unknown");
  return setting;
}

void to_wire(wire::RewardFile::Builder to, const RewardFile& from) {
  to.setName(wire::to_text(from.name, kNameBytesMax));
  to.setContent(kj::arrayPtr(reinterpret_cast<const kj::byte*>(from.content.data()),
                             wire::to_size(from.content, kRewardFileBytesMax)));
}

RewardFile from_wire(wire::RewardFile::Reader from, FieldReader& fields) {
  const auto content = fields.list(from.getContent(), kRewardFileBytesMax, "content");
  return {
      .name = fields.text(from.getName(), kNameBytesMax, "name"),
      .content = {content.asChars().begin(), content.size()},
  };
}

void to_wire(wire::RewardSpec::Builder to, const RewardSpec& from) {
  to.setName(wire::to_text(from.name, kNameBytesMax));
  to.setVerifier(wire::to_text(from.verifier, kNameBytesMax));
  to.setWeight(from.weight);
  wire::to_structs(to.initSettings(wire::to_size(from.settings, kRewardSettingsMax)),
                   from.settings);
  wire::to_structs(to.initFiles(wire::to_size(from.files, kRewardFilesMax)), from.files);
}

RewardSpec from_wire(wire::RewardSpec::Reader from, FieldReader& fields) {
  RewardSpec reward{
      .name = fields.text(from.getName(), kNameBytesMax, "name"),
      .verifier = fields.text(from.getVerifier(), kNameBytesMax, "verifier"),
      .weight = from.getWeight(),
      .settings = fields.structs<RewardSetting>(from.getSettings(), kRewardSettingsMax, "settings"),
      .files = fields.structs<RewardFile>(from.getFiles(), kRewardFilesMax, "files"),
  };
  if (!has_ordered_keys(reward)) fields.refuse("the settings of a reward are not in order");
  return reward;
}

void to_wire(wire::ScheduleSpec::Builder to, const ScheduleSpec& from) {
  to.setMode(wire::to_text(from.mode, kNameBytesMax));
  to.setLag(from.lag);
  to.setStalenessMaxSteps(from.staleness_max_steps);
  to.setCheckpointEverySteps(from.checkpoint_every_steps);
  to.setCheckpointsKept(from.checkpoints_kept);
  to.setCheckpointCopies(from.checkpoint_copies);
  to.setKeepBest(from.keep_best);
  to.setKeepGroups(from.keep_groups);
}

ScheduleSpec from_wire(wire::ScheduleSpec::Reader from, FieldReader& fields) {
  return {
      .mode = fields.text(from.getMode(), kNameBytesMax, "mode"),
      .lag = from.getLag(),
      .staleness_max_steps = from.getStalenessMaxSteps(),
      .checkpoint_every_steps = from.getCheckpointEverySteps(),
      .checkpoints_kept = from.getCheckpointsKept(),
      .checkpoint_copies = from.getCheckpointCopies(),
      .keep_best = from.getKeepBest(),
      .keep_groups = from.getKeepGroups(),
  };
}

void to_wire(wire::EvalSpec::Builder to, const EvalSpec& from) {
  to.setEverySteps(from.every_steps);
  to.setProblems(from.problems);
  to.setTemperature(from.temperature);
}

EvalSpec from_wire(wire::EvalSpec::Reader from, FieldReader&) {
  return {
      .every_steps = from.getEverySteps(),
      .problems = from.getProblems(),
      .temperature = from.getTemperature(),
  };
}

void to_wire(wire::ResourcesSpec::Builder to, const ResourcesSpec& from) {
  to.setPlacement(wire::to_text(from.placement, kNameBytesMax));
  to.setRollout(from.rollout);
  to.setLearner(from.learner);
  to.setVerifier(from.verifier);
  to.setThreadsPerWorker(from.threads_per_worker);
  to.setReconnectSeconds(from.reconnect_seconds);
  to.setRolloutMax(from.rollout_max);
  to.setTracesKeptMib(from.traces_kept_mib);
  to.setDevice(wire::to_text(from.device, kNameBytesMax));
}

ResourcesSpec from_wire(wire::ResourcesSpec::Reader from, FieldReader& fields) {
  return {
      .placement = fields.text(from.getPlacement(), kNameBytesMax, "placement"),
      .rollout = from.getRollout(),
      .rollout_max = from.getRolloutMax(),
      .learner = from.getLearner(),
      .verifier = from.getVerifier(),
      .threads_per_worker = from.getThreadsPerWorker(),
      .device = fields.text(from.getDevice(), kNameBytesMax, "device"),
      .reconnect_seconds = from.getReconnectSeconds(),
      .traces_kept_mib = from.getTracesKeptMib(),
  };
}

void to_wire(wire::PricesSpec::Builder to, const PricesSpec& from) {
  to.setCpuCoreHour(from.cpu_core_hour);
  to.setGpuHour(from.gpu_hour);
}

PricesSpec from_wire(wire::PricesSpec::Reader from, FieldReader&) {
  return {
      .cpu_core_hour = from.getCpuCoreHour(),
      .gpu_hour = from.getGpuHour(),
  };
}

void to_wire(wire::JobSpec::Builder to, const JobSpec& from) {
  to.setName(wire::to_text(from.name, kNameBytesMax));
  to.setSeed(from.seed);
  to_wire(to.initPolicy(), from.policy);
  to_wire(to.initData(), from.data);
  to_wire(to.initSft(), from.sft);
  to_wire(to.initGrpo(), from.grpo);
  to_wire(to.initOptimizer(), from.optimizer);
  to_wire(to.initRollout(), from.rollout);
  to_wire(to.initLearner(), from.learner);
  wire::to_structs(to.initRewards(wire::to_size(from.rewards, kVerdictPartsMax)), from.rewards);
  to_wire(to.initSchedule(), from.schedule);
  to_wire(to.initEval(), from.eval);
  to_wire(to.initResources(), from.resources);
  to_wire(to.initPrices(), from.prices);
  to.setPriority(from.priority);
}

JobSpec from_wire(wire::JobSpec::Reader from, FieldReader& fields) {
  return {
      .name = fields.text(from.getName(), kNameBytesMax, "name"),
      .seed = from.getSeed(),
      .priority = from.getPriority(),
      .policy = from_wire(from.getPolicy(), fields),
      .data = from_wire(from.getData(), fields),
      .sft = from_wire(from.getSft(), fields),
      .grpo = from_wire(from.getGrpo(), fields),
      .optimizer = from_wire(from.getOptimizer(), fields),
      .rollout = from_wire(from.getRollout(), fields),
      .learner = from_wire(from.getLearner(), fields),
      .rewards = fields.structs<RewardSpec>(from.getRewards(), kVerdictPartsMax, "rewards"),
      .schedule = from_wire(from.getSchedule(), fields),
      .eval = from_wire(from.getEval(), fields),
      .resources = from_wire(from.getResources(), fields),
      .prices = from_wire(from.getPrices(), fields),
  };
}

Status validate(const JobSpec& job) {
  const std::pair<const char*, const std::string*> texts[] = {
      {"name", &job.name},
      {"policy.config", &job.policy.config},
      {"policy.model", &job.policy.model},
      {"policy.attention_form", &job.policy.attention_form},
      {"data.train", &job.data.train},
      {"data.held_out", &job.data.held_out},
      {"data.template", &job.data.template_name},
      {"sft.learning_rate_schedule", &job.sft.learning_rate_schedule},
      {"grpo.kl_estimator", &job.grpo.kl_estimator},
      {"grpo.advantage", &job.grpo.advantage},
      {"grpo.loss_aggregation", &job.grpo.loss_aggregation},
      {"grpo.zero_variance_groups", &job.grpo.zero_variance_groups},
      {"schedule.mode", &job.schedule.mode},
      {"resources.placement", &job.resources.placement},
      {"resources.device", &job.resources.device},
  };
  for (const auto& [field, text] : texts) {
    if (Status status = validate_text(field, *text); !status) return status;
  }
  const std::tuple<const char*, size_t, size_t> sizes[] = {
      {"data.cold_start", job.data.cold_start.size(), kJobListMax},
      {"sft.part_shares", job.sft.part_shares.size(), kJobListMax},
      {"rewards", job.rewards.size(), kVerdictPartsMax},
  };
  for (const auto& [field, size, size_max] : sizes) {
    if (Status status = validate_size(field, size, size_max); !status) return status;
  }
  for (const std::string& path : job.data.cold_start) {
    if (Status status = validate_text("data.cold_start", path); !status) return status;
  }
  for (const RewardSpec& reward : job.rewards) {
    if (Status status = validate_text("a reward's name", reward.name); !status) return status;
    if (Status status = validate_text("a reward's verifier", reward.verifier); !status) {
      return status;
    }
    if (Status status = validate_settings(reward); !status) return status;
    if (Status status = validate_files(reward); !status) return status;
  }
  return ok();
}

std::vector<std::byte> encode(const JobSpec& job) { return wire::encode<wire::JobSpec>(job); }

Result<JobSpec> decode_job(std::span<const std::byte> bytes) {
  return wire::decode<wire::JobSpec, JobSpec>(bytes, "job");
}

}  // namespace troupe
