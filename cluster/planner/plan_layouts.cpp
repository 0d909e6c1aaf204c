#include <algorithm>

#include "cluster/planner/plan.h"
#include "model/parallel/team_layout.h"

namespace troupe::cluster {
namespace {

constexpr double kGb = 1e9;
constexpr int64_t kContextMax = 8;

// As many ranks as the learner's own rule lets there be, and no more than `devices`.
int64_t ranks_within(const JobSpec& job, int64_t devices) {
  for (int64_t ranks =
           std::min<int64_t>(devices, job.learner.gradient_lanes * job.learner.lane_width);
       ranks > 1; --ranks) {
    if (model::TeamLayout::create(static_cast<int>(ranks), job.learner.gradient_lanes,
                                  job.learner.lane_width)) {
      return ranks;
    }
  }
  return 1;
}

std::vector<int64_t> learner_sizes(const PlanSubject& subject, bool is_split) {
  const int64_t devices = subject.cluster.devices();
  if (!is_split) return {ranks_within(subject.job, devices)};
  std::vector<int64_t> sizes;
  for (int64_t sixteenth = 1; sixteenth < 16; ++sixteenth) {
    const int64_t part = devices * sixteenth / 16;
    if (part < 1 || part >= devices) continue;
    const int64_t ranks = ranks_within(subject.job, part);
    if (std::find(sizes.begin(), sizes.end(), ranks) == sizes.end()) sizes.push_back(ranks);
  }
  return sizes;
}

}  // namespace

std::vector<PlanLayout> possible_layouts(const PlanSubject& subject, const DrawnInputs& inputs,
                                         bool is_split, int64_t wanted_width) {
  const CostInputs& in = inputs.costs;
  const int64_t devices = subject.cluster.devices();
  const double usable = subject.cluster.device.usable_gb * kGb;
  // Of a machine whose workers are small, its part.
  const double workspace = std::min(subject.operations.workspace_gb * kGb, usable * 0.1);
  double longest = 0;
  for (const auto& [step, limit] : inputs.lengths.limit_by_step) longest = std::max(longest, limit);
  longest += inputs.lengths.prompt_tokens;
  const double tokens =
      std::max(longest, static_cast<double>(subject.job.learner.microbatch_tokens));
  const auto width_max = static_cast<int64_t>(subject.cluster.network.exchange_devices.back());
  const auto experts = static_cast<int64_t>(in.policy.experts);
  const int64_t most = experts > 0 ? std::min(experts, width_max)
                                   : std::min(subject.cluster.devices_per_node, width_max);
  std::vector<PlanLayout> layouts;
  for (const int64_t ranks : learner_sizes(subject, is_split)) {
    const int64_t left = is_split ? devices - ranks : devices;
    const LearnerShape shape =
        best_learner_shape(in, ranks, kContextMax, tokens,
                           subject.job.learner.recompute_activations, usable, workspace);
    for (int64_t width = 1; width <= std::min(most, left); width *= 2) {
      if (experts > 0 && experts % width != 0) continue;
      if (wanted_width != 0 && width != wanted_width) continue;
      PlanLayout layout{.is_split = is_split,
                        .generating_devices = left / width * width,
                        .width = width,
                        .learner = shape};
      const double copies =
          in.policy.experts > 64 ? static_cast<double>(subject.operations.redundant_experts) : 0;
      layout.generating = generating_memory(in, width, longest, usable, workspace, copies);
      layout.learning = learning_memory(
          in, shape, tokens, subject.job.learner.recompute_activations, usable, workspace);
      layouts.push_back(std::move(layout));
    }
  }
  return layouts;
}

std::vector<PlanLayout> sorted_layouts(const PlanSubject& subject, const DrawnInputs& inputs,
                                       bool is_split, const PlanSchedule& schedule, int64_t width) {
  std::vector<PlanLayout> layouts = possible_layouts(subject, inputs, is_split, width);
  for (PlanLayout& one : layouts) {
    if (one.fits()) one.hours = planned_hours(subject, inputs, one, schedule).total;
  }
  std::stable_sort(layouts.begin(), layouts.end(), [](const PlanLayout& a, const PlanLayout& b) {
    if (a.fits() != b.fits()) return a.fits();
    return a.fits() ? a.hours < b.hours : a.short_by() < b.short_by();
  });
  return layouts;
}

}  // namespace troupe::cluster
