#include "cluster/jobs/job_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <variant>

#include "actors/verifier/verifier_table.h"
#include "cluster/jobs/job_text.h"
#include "model/parallel/team_layout.h"
#include "schemas/bounds.h"
#include "schemas/overloaded.h"

namespace troupe::cluster {
namespace {

constexpr size_t kNameBytesMax = 100;
constexpr size_t kRewardsMax = 16;
constexpr size_t kColdStartFilesMax = 64;
constexpr size_t kRewardFilesBytesMax = 1 << 20;  // Of all rewards together: they travel.

Finding check_number(const Key& key, double value) {
  const Range& range = key.range;
  const bool is_low = range.is_open_below ? value <= range.low : value < range.low;
  if (!is_low && value <= range.high) return {};  // Also refuses NaN.
  const auto bound = [](double b) {
    return b == std::floor(b) && std::fabs(b) < 1e15 ? std::to_string(static_cast<int64_t>(b))
                                                     : to_text(b);
  };
  return Fault{
      std::string(key.path),
      fmt::format("{} is {}; it must be {} {} and at most {}", key.path, bound(value),
                  range.is_open_below ? "above" : "at least", bound(range.low), bound(range.high))};
}

Finding check_string(const Key& key, const std::string& value) {
  if (key.allowed.empty()) return {};
  if (std::find(key.allowed.begin(), key.allowed.end(), value) != key.allowed.end()) return {};
  return Fault{std::string(key.path), fmt::format("{} is {}; it must be one of {}", key.path,
                                                  in_quotes(value), joined(key.allowed))};
}

Finding check_rewards(const JobSpec& job) {
  if (job.rewards.size() > kRewardsMax) {
    return Fault{"rewards", fmt::format("rewards has {} parts; at most {} are allowed",
                                        job.rewards.size(), kRewardsMax)};
  }
  size_t bytes = 0;
  for (const RewardSpec& reward : job.rewards) {
    const std::string path = "rewards." + reward.name;
    if (!is_name(reward.name) || reward.name.find('.') != std::string::npos) {
      return Fault{
          path, fmt::format("{} is not a name; use letters, digits, '-' and '_'", in_quotes(path))};
    }
    if (auto fault = actors::find_fault(reward)) {
      return Fault{fault->key.empty() ? path : path + "." + fault->key, std::move(fault->message)};
    }
    for (const RewardFile& file : reward.files) bytes += file.content.size();
    if (bytes > kRewardFilesBytesMax) {
      return Fault{path + ".files",
                   fmt::format("the files of the rewards have more than {} bytes; they travel with "
                               "the job, so keep large ones out of it",
                               kRewardFilesBytesMax)};
    }
  }
  return {};
}

Finding check_stages(const JobSpec& job) {
  if (job.sft.steps == 0 && job.grpo.steps == 0) {
    return Fault{"grpo.steps", "sft.steps and grpo.steps are both 0; set one of them"};
  }
  if (job.sft.steps > 0 && job.data.cold_start.empty()) {
    return Fault{"sft.steps", "sft.steps is set but data.cold_start is not; name its examples"};
  }
  if (job.grpo.steps > 0 && job.data.train.empty()) {
    return Fault{"grpo.steps", "grpo.steps is set but data.train is not; name its problems"};
  }
  if (job.grpo.steps > 0 && job.rewards.empty()) {
    return Fault{
        "grpo.steps",
        "grpo.steps is set but [rewards] is empty; add accuracy = { verifier = \"math\" }"};
  }
  const auto& cold_start = job.data.cold_start;
  if (cold_start.size() > kColdStartFilesMax ||
      std::find(cold_start.begin(), cold_start.end(), "") != cold_start.end()) {
    return Fault{"data.cold_start",
                 fmt::format("data.cold_start must be 1 to {} file names", kColdStartFilesMax)};
  }
  if (job.sft.gate_pass_at_1 > 0 && job.data.held_out.empty()) {
    return Fault{"sft.gate_pass_at_1", "sft.gate_pass_at_1 is set but data.held_out is not"};
  }
  const auto& shares = job.sft.part_shares;
  if (!shares.empty()) {
    double sum = 0;
    for (double share : shares) sum += share;
    if (shares.size() != cold_start.size() || std::fabs(sum - 1) > 1e-6) {
      return Fault{"sft.part_shares",
                   fmt::format("sft.part_shares has {} numbers with the sum {}; it needs one for "
                               "each of the {} data.cold_start files, with the sum 1",
                               shares.size(), to_text(sum), cold_start.size())};
    }
  }
  return {};
}

Finding check_combinations(const JobSpec& job) {
  if (!is_name(job.name)) {
    return Fault{"name", fmt::format("name is {}; use 1 to {} letters, digits, '-', '_' and '.'",
                                     in_quotes(job.name), kNameBytesMax)};
  }
  if (job.policy.config.empty() == job.policy.model.empty()) {
    return Fault{"policy.config", "set exactly one of policy.config and policy.model"};
  }
  const GrpoSpec& grpo = job.grpo;
  if (grpo.prompts_per_round % grpo.minibatches_per_round != 0) {
    return Fault{"grpo.minibatches_per_round",
                 fmt::format("grpo.minibatches_per_round is {}; it must divide "
                             "grpo.prompts_per_round, {}",
                             grpo.minibatches_per_round, grpo.prompts_per_round)};
  }
  if (grpo.steps % grpo.minibatches_per_round != 0) {
    return Fault{"grpo.steps", fmt::format("grpo.steps is {}; it must be a multiple of "
                                           "grpo.minibatches_per_round, {}",
                                           grpo.steps, grpo.minibatches_per_round)};
  }
  if ((job.learner.gradient_lanes & (job.learner.gradient_lanes - 1)) != 0) {
    return Fault{"learner.gradient_lanes",
                 fmt::format("learner.gradient_lanes is {}; it must be a power of two",
                             job.learner.gradient_lanes)};
  }
  if ((job.learner.lane_width & (job.learner.lane_width - 1)) != 0) {
    return Fault{
        "learner.lane_width",
        fmt::format("learner.lane_width is {}; it must be a power of two", job.learner.lane_width)};
  }
  const auto team = model::TeamLayout::create(static_cast<int>(job.resources.learner),
                                              job.learner.gradient_lanes, job.learner.lane_width);
  if (!team) return Fault{"resources.learner", team.error().message};
  if (job.resources.rollout_max != 0 && job.resources.rollout_max < job.resources.rollout) {
    return Fault{"resources.rollout_max",
                 fmt::format("resources.rollout_max is {}; it must be 0 or at least "
                             "resources.rollout, {}",
                             job.resources.rollout_max, job.resources.rollout)};
  }
  for (double beta : {job.optimizer.beta1, job.optimizer.beta2}) {
    if (beta >= 1) return Fault{"optimizer.betas", "optimizer.betas must be below 1"};
  }
  if (job.schedule.mode == "sync" && job.schedule.lag != 0) {
    return Fault{"schedule.lag", "schedule.lag must be 0 when schedule.mode is \"sync\""};
  }
  if (job.schedule.mode == "pipelined" && job.schedule.lag == 0) {
    return Fault{"schedule.lag",
                 "schedule.lag must be at least 1 when schedule.mode is \"pipelined\""};
  }
  if (job.schedule.mode == "async" && job.schedule.lag != 0) {
    return Fault{"schedule.lag",
                 "schedule.lag is for \"pipelined\"; \"async\" has schedule.staleness_max_steps"};
  }
  if (job.schedule.mode == "async" && job.rollout.segment_tokens != 0) {
    return Fault{
        "rollout.segment_tokens",
        "rollout.segment_tokens must be 0 when schedule.mode is \"async\": who goes on with a "
        "response may have other weights than who began it"};
  }
  if (job.schedule.mode == "async" &&
      job.schedule.staleness_max_steps < grpo.minibatches_per_round - 1) {
    return Fault{
        "schedule.staleness_max_steps",
        fmt::format("schedule.staleness_max_steps is {}; a round's last minibatch is {} "
                    "steps behind (grpo.minibatches_per_round - 1), so it must be at least "
                    "that",
                    job.schedule.staleness_max_steps, grpo.minibatches_per_round - 1)};
  }
  if (job.schedule.mode != "sync" && job.resources.placement != "split") {
    return Fault{"resources.placement",
                 fmt::format("resources.placement must be \"split\" when schedule.mode is \"{}\": "
                             "a process does not generate while it learns",
                             job.schedule.mode)};
  }
  return {};
}

// Values that are part of the interface but that this version cannot run.
Finding check_supported(const JobSpec& job) {
  const auto refuse = [](std::string_view path, std::string value, std::string_view use) {
    return Fault{std::string(path),
                 fmt::format("{} = {} is not supported by this version; use {}", path, value, use)};
  };
  if (job.policy.attention_form != "latent") {
    return refuse("policy.attention_form", in_quotes(job.policy.attention_form), "\"latent\"");
  }
  if (job.learner.expert_parallel != 1) {
    return refuse("learner.expert_parallel", std::to_string(job.learner.expert_parallel), "1");
  }
  return {};
}

}  // namespace

Finding check_key(const Key& key, JobSpec& job) {
  const auto check_numbers = [&key](std::initializer_list<double> values) -> Finding {
    for (double value : values) {
      if (Finding fault = check_number(key, value)) return fault;
    }
    return {};
  };
  return std::visit(
      Overloaded{
          [](bool& (*)(JobSpec&)) -> Finding { return {}; },
          [](uint64_t& (*)(JobSpec&)) -> Finding { return {}; },
          [&](int64_t& (*slot)(JobSpec&)) {
            return check_number(key, static_cast<double>(slot(job)));
          },
          [&](double& (*slot)(JobSpec&)) { return check_number(key, slot(job)); },
          [&](std::string& (*slot)(JobSpec&)) { return check_string(key, slot(job)); },
          [&](std::optional<double>& (*slot)(JobSpec&)) -> Finding {
            return slot(job) ? check_number(key, *slot(job)) : Finding{};
          },
          [&](std::vector<double>& (*slot)(JobSpec&)) -> Finding {
            for (double value : slot(job)) {
              if (Finding fault = check_number(key, value)) return fault;
            }
            return {};
          },
          [](std::vector<std::string>& (*)(JobSpec&)) -> Finding { return {}; },
          [&](Betas (*slot)(JobSpec&)) {
            return check_numbers({slot(job).beta1, slot(job).beta2});
          },
      },
      key.slot);
}

Finding find_fault(JobSpec job) {
  for (const Key& key : job_keys()) {
    if (Finding fault = check_key(key, job)) return fault;
  }
  for (auto check : {check_rewards, check_combinations, check_stages, check_supported}) {
    if (Finding fault = check(job)) return fault;
  }
  return {};
}

}  // namespace troupe::cluster
