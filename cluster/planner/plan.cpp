#include "cluster/planner/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace troupe::cluster {
namespace {

double quantile(std::vector<double> sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - static_cast<double>(below));
}

Quantiles quantiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {quantile(values, 0.05), quantile(values, 0.5), quantile(values, 0.95)};
}

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (size_t i = 0; i < order.size(); ++i) rank[order[i]] = static_cast<double>(i);
  return rank;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n;
  const double mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

class PlanMaker {
 public:
  PlanMaker(const PlanSubject& subject, const PlanOptions& options)
      : subject_(subject), options_(options), medians_(draw_inputs(subject, options.seed, 0)) {}

  Result<Plan> make() {
    const JobSpec& job = subject_.job;
    plan_.policy = medians_.costs.policy;
    plan_.schedule = schedule_of(job);
    const bool is_split = job.resources.placement == "split";
    if (is_split && subject_.cluster.devices() < 2) {
      return invalid_argument(
          "resources.placement is \"split\", which needs two devices, and the cluster has one");
    }
    plan_.layouts = sorted_layouts(subject_, medians_, is_split, plan_.schedule, options_.width);
    if (plan_.layouts.empty()) {
      return invalid_argument(
          options_.width > 0
              ? fmt::format("--width {}: no replica of this policy has so many devices; they are a "
                            "power of two, and divide the experts",
                            options_.width)
              : "the cluster has too few devices for any layout of this job");
    }
    note_facts();
    if (!plan_.fits()) return std::move(plan_);
    const PlanLayout& best = plan_.layouts.front();
    plan_.at_medians = planned_hours(subject_, medians_, best, plan_.schedule);
    describe_rounds(best);
    draw(best);
    propose(best);
    return std::move(plan_);
  }

 private:
  double cost(double hours) const {
    return hours * subject_.price_per_hour() * static_cast<double>(subject_.cluster.devices());
  }

  void describe_rounds(const PlanLayout& best) {
    const auto steps = static_cast<double>(subject_.job.grpo.steps);
    if (steps <= 0) {
      plan_.bound = "the learner";
      return;
    }
    for (const double share : {0.1, 0.4, 0.77, 0.99}) {
      plan_.rounds.push_back(
          planned_round(subject_, medians_, best, plan_.schedule, std::floor(steps * share), 0.5));
    }
    // What decides most of the time.
    double waits = 0, learns = 0;
    for (const PlannedRound& one : plan_.rounds) {
      (one.seconds.bound == "the learner" ? learns : waits) += one.seconds.total;
    }
    plan_.bound = learns > waits ? "the learner" : std::string(plan_.rounds[2].seconds.bound);
    plan_.cache_tokens = troupe::cluster::cache_tokens(medians_.costs, best);
    const GrpoSpec& grpo = subject_.job.grpo;
    const auto responses = static_cast<double>(grpo.prompts_per_round * grpo.group_size);
    for (const PlannedRound& one : plan_.rounds) {
      const RoundLengths lengths = expected_lengths(medians_.lengths.at(one.step), responses,
                                                    medians_.lengths.prompt_tokens, 0.5);
      plan_.cache_peak =
          std::max(plan_.cache_peak,
                   peak_cache_tokens(lengths, static_cast<double>(best.generating_devices)));
    }
  }

  void draw(const PlanLayout& best) {
    const auto count = static_cast<size_t>(std::max(1, options_.draws));
    std::vector<double> hours, tails;
    std::vector<DrawnInputs> inputs;
    for (size_t i = 1; i <= count; ++i) {
      inputs.push_back(draw_inputs(subject_, options_.seed, i));
      const PlanHours one = planned_hours(subject_, inputs.back(), best, plan_.schedule, i);
      hours.push_back(one.total);
      tails.push_back(one.total > 0 ? one.generate / one.total : 0);
    }
    plan_.hours = quantiles(hours);
    plan_.tail_share = quantiles(tails);
    plan_.cost = {cost(plan_.hours.low), cost(plan_.hours.median), cost(plan_.hours.high)};
    const std::vector<double> hour_ranks = ranks(hours);
    for (size_t k = 0; k < medians_.names.size(); ++k) {
      std::vector<double> values;
      for (const DrawnInputs& one : inputs) values.push_back(one.deviations[k]);
      const double c = correlation(ranks(values), hour_ranks);
      plan_.range_from.emplace_back(medians_.names[k], c * c);
    }
    std::stable_sort(plan_.range_from.begin(), plan_.range_from.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    // What explains less is hardly told from chance.
    constexpr size_t kNamed = 6;
    constexpr double kShareMin = 0.03;
    while (plan_.range_from.size() > kNamed ||
           (plan_.range_from.size() > 1 && plan_.range_from.back().second < kShareMin)) {
      plan_.range_from.pop_back();
    }
  }

  // Other settings, each alone, as far as they fit; the fastest first.
  void propose(const PlanLayout& best) {
    const double now = plan_.at_medians.total;
    const auto add = [&](std::string what, const PlanSubject& changed, bool is_split,
                         const PlanSchedule& schedule) {
      const DrawnInputs inputs = draw_inputs(changed, options_.seed, 0);
      const auto layouts = sorted_layouts(changed, inputs, is_split, schedule, options_.width);
      if (layouts.empty() || !layouts.front().fits()) return;
      const double hours = layouts.front().hours;
      const auto devices = static_cast<double>(changed.cluster.devices());
      plan_.changes.push_back({std::move(what), hours, hours * devices * changed.price_per_hour()});
    };
    if (subject_.cluster.devices() > 1 && subject_.job.grpo.steps > 0) {
      for (const int64_t lag : {1, 2, 3}) {
        for (const Stragglers stragglers : {Stragglers::kHeld, Stragglers::kMoved}) {
          if (stragglers == Stragglers::kHeld && lag > 1) continue;  // More lag gives nothing.
          if (plan_.schedule.lag == lag && plan_.schedule.stragglers == stragglers) continue;
          const int64_t stale = (lag + 1) * subject_.job.grpo.minibatches_per_round - 1;
          add(fmt::format("schedule.mode = \"pipelined\", lag = {}, at most {} steps stale{}", lag,
                          stale,
                          stragglers == Stragglers::kMoved
                              ? "; if stragglers were moved together, which this version does not"
                              : ""),
              subject_, true, {lag, stragglers});
        }
      }
    }
    if (subject_.cluster.nodes > 1) {
      PlanSubject half = subject_;
      half.cluster.nodes /= 2;
      add(fmt::format("half of the hosts ({}x{}x{})", half.cluster.nodes,
                      half.cluster.devices_per_node, half.cluster.device_name),
          half, best.is_split, plan_.schedule);
    }
    std::stable_sort(plan_.changes.begin(), plan_.changes.end(),
                     [](const PlanChange& a, const PlanChange& b) { return a.hours < b.hours; });
    std::erase_if(plan_.changes,
                  [&](const PlanChange& one) { return one.hours > now && one.cost > cost(now); });
  }

  void note_facts() {
    const JobSpec& job = subject_.job;
    auto& notes = plan_.notes;
    const PlanLayout& best = plan_.layouts.front();
    if (subject_.lengths_are_assumed) {
      notes.push_back(
          "lengths are assumed: a mean of a fourth of rollout.max_response_tokens, known to a "
          "factor of 1.6; --lengths says what they are");
    }
    if (best.learner.experts > 1 || best.learner.context > 1) {
      notes.push_back(fmt::format(
          "the learner's experts are over {} devices and its sequences over {}: this version "
          "learns with whole copies (learner.expert_parallel = 1), so `troupe run` refuses it",
          best.learner.experts, best.learner.context));
    }
    if (subject_.engine_name != "troupe" && subject_.engine_name != "troupe-cpu") {
      notes.push_back(
          fmt::format("computed as the engine {} does; as this program does: --engine troupe",
                      subject_.engine_name));
    }
    const int64_t devices = subject_.cluster.devices();
    if (!best.is_split && best.learner.devices < devices) {
      notes.push_back(fmt::format(
          "the learner uses {} of {} devices: learner.gradient_lanes x lane_width is {}",
          best.learner.devices, devices, job.learner.gradient_lanes * job.learner.lane_width));
    }
    if (job.schedule.mode == "async" && plan_.fits() && job.grpo.steps > 0) {
      const PlannedRound late = planned_round(subject_, medians_, best, plan_.schedule,
                                              static_cast<double>(job.grpo.steps) * 0.99, 0.5);
      const double step =
          late.seconds.generate / static_cast<double>(job.schedule.staleness_max_steps);
      notes.push_back(fmt::format(
          "schedule.staleness_max_steps {}: a response of {:.0f} tokens takes {:.0f} s, so on "
          "average no step may be shorter than {:.1f} s",
          job.schedule.staleness_max_steps, late.longest, late.seconds.generate, step));
    }
  }

  const PlanSubject& subject_;
  const PlanOptions options_;
  const DrawnInputs medians_;
  Plan plan_{};
};

}  // namespace

PlanSchedule schedule_of(const JobSpec& job) {
  return {.lag = static_cast<int64_t>(rounds_ahead(job.schedule, job.grpo.minibatches_per_round)),
          .stragglers = Stragglers::kHeld};
}

Result<Plan> make_plan(const PlanSubject& subject, const PlanOptions& options) {
  return PlanMaker(subject, options).make();
}

}  // namespace troupe::cluster
