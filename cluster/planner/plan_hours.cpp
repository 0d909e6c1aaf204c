#include <algorithm>
#include <cmath>

#include "cluster/planner/plan.h"

namespace troupe::cluster {
namespace {

constexpr int kPoints = 12;

double part_of(const MemoryPlan& plan, std::initializer_list<std::string_view> names) {
  double bytes = 0;
  for (const MemoryPart& part : plan.parts) {
    if (std::find(names.begin(), names.end(), part.name) != names.end()) bytes += part.bytes;
  }
  return bytes;
}

RoundCosts costs_of_round(const PlanSubject& subject, const DrawnInputs& inputs,
                          const PlanLayout& layout, const RoundLengths& lengths) {
  const CostInputs& in = inputs.costs;
  const JobSpec& job = subject.job;
  const auto generating = static_cast<double>(layout.generating_devices);
  const auto ranks = static_cast<double>(layout.learner.devices);
  const auto minibatches = static_cast<double>(job.grpo.minibatches_per_round);
  const auto prompts = static_cast<double>(job.grpo.prompts_per_round);
  RoundCosts costs;
  costs.rate = [&in, width = layout.width](double responses, double context) {
    return decode_rate(in, responses, context, width);
  };
  costs.devices = generating;
  costs.workers = static_cast<double>(layout.workers());
  costs.cache_tokens = cache_tokens(in, layout);
  costs.prefill_tokens = in.prefill_flops / in.policy.linear_flops;
  const double prompt = lengths.prompt_tokens;
  costs.prefill = prefill_seconds(in, prompts * prompt, prompts * prompt * prompt, generating);
  costs.verdict = last_verdict_seconds(in);
  if (job.grpo.kl_coef != 0) {
    costs.reference = reference_seconds(in, lengths.tokens, lengths.squares, ranks);
  }
  costs.learn = minibatches * learn_step_seconds(in, lengths.tokens / minibatches,
                                                 lengths.squares / minibatches, ranks);
  if (job.schedule.checkpoint_every_steps > 0) {
    costs.point = recovery_point_seconds(in) * minibatches /
                  static_cast<double>(job.schedule.checkpoint_every_steps);
  }
  if (layout.is_split) {
    costs.publish = publish_seconds(in);
    costs.load = load_seconds(in, layout.width);
  } else {
    costs.switching = role_switch_seconds(in, layout);
  }
  costs.move = in.move_seconds;
  costs.pack_responses = subject.operations.pack_sequences;
  return costs;
}

// Steps that stand for others, and for how many rounds; a limit that changes divides them.
struct PlanPoint {
  double step = 0;
  double rounds = 0;
};

std::vector<PlanPoint> points_of(const PlanSubject& subject, const LengthCourse& lengths) {
  const auto steps = static_cast<double>(subject.job.grpo.steps);
  const auto minibatches = static_cast<double>(subject.job.grpo.minibatches_per_round);
  std::vector<PlanPoint> points;
  if (steps <= 0) return points;
  std::vector<double> borders{0};
  for (const auto& [begin, limit] : lengths.limit_by_step) {
    if (begin > borders.back() && begin < steps) borders.push_back(begin);
  }
  borders.push_back(steps);
  for (size_t i = 1; i < borders.size(); ++i) {
    const double all = borders[i] - borders[i - 1];
    const double count = std::max(2.0, std::round(kPoints * all / steps));
    for (double k = 0; k < count; ++k) {
      points.push_back({borders[i - 1] + (k + 0.5) * all / count, all / count / minibatches});
    }
  }
  return points;
}

}  // namespace

double cache_tokens(const CostInputs& in, const PlanLayout& layout) {
  return part_of(layout.generating, {"cache"}) / (in.policy.cache_values * in.cache_value_bytes);
}

double role_switch_seconds(const CostInputs& in, const PlanLayout& layout) {
  return switch_seconds(
      in,
      part_of(layout.generating, {"attention and shared weights", "embedding and head", "experts"}),
      part_of(layout.learning, {"experts", "other weights", "gradients", "masters and moments"}));
}

PlannedRound planned_round(const PlanSubject& subject, const DrawnInputs& inputs,
                           const PlanLayout& layout, const PlanSchedule& schedule, double step,
                           double longest_share) {
  const GrpoSpec& grpo = subject.job.grpo;
  const LengthDistribution distribution = inputs.lengths.at(step);
  const RoundLengths lengths =
      expected_lengths(distribution, static_cast<double>(grpo.prompts_per_round * grpo.group_size),
                       inputs.lengths.prompt_tokens, longest_share);
  const RoundCosts costs = costs_of_round(subject, inputs, layout, lengths);
  PlannedRound round{.step = step,
                     .mean_tokens = distribution.mean(),
                     .longest = lengths.longest(),
                     .seconds = schedule.lag == 0
                                    ? sync_round(lengths, costs)
                                    : lag_round(lengths, costs, schedule.lag, schedule.stragglers)};
  round.staleness = static_cast<double>((schedule.lag + 1) * grpo.minibatches_per_round - 1);
  return round;
}

PlanHours planned_hours(const PlanSubject& subject, const DrawnInputs& inputs,
                        const PlanLayout& layout, const PlanSchedule& schedule, uint64_t draw) {
  constexpr double kHour = 3600;
  const JobSpec& job = subject.job;
  PlanHours hours;
  double index = 0, squares = 0, tokens = 0;
  const auto points = points_of(subject, inputs.lengths);
  for (const PlanPoint& point : points) {
    // Evenly over the rounds' longest, whichever point has which.
    const double share = 0.5 + 0.618033988749895 * index + 0.754877666246693 * double(draw);
    const double even = std::clamp(share - std::floor(share), 1e-3, 1 - 1e-3);
    const PlannedRound round = planned_round(subject, inputs, layout, schedule, point.step, even);
    const RoundSeconds& s = round.seconds;
    const double times = point.rounds / kHour;
    hours.generate += s.generate * times;
    hours.tail += s.tail * times;
    hours.reference += s.reference * times;
    hours.learn += s.learn * times;
    hours.verdict += s.verdict * times;
    hours.point += s.point * times;
    hours.change += s.change * times;
    hours.total += s.total * times;
    hours.rounds += point.rounds;
    hours.tokens += round.mean_tokens * point.rounds *
                    static_cast<double>(job.grpo.prompts_per_round * job.grpo.group_size);
    index += 1;
  }
  if (hours.rounds > 0) hours.seconds_per_round = hours.total * kHour / hours.rounds;
  if (job.sft.steps > 0) {
    // Demonstrations are as long as responses at the beginning.
    const LengthDistribution lengths = inputs.lengths.at(0);
    tokens = static_cast<double>(job.sft.batch_tokens);
    squares = tokens * lengths.mean_square() / lengths.mean();
    hours.sft = static_cast<double>(job.sft.steps) / kHour *
                imitation_step_seconds(inputs.costs, tokens, squares,
                                       static_cast<double>(layout.learner.devices));
    hours.total += hours.sft;
  }
  if (job.eval.problems > 0 && !job.data.held_out.empty() && !points.empty()) {
    const double times =
        2 + (job.eval.every_steps > 0
                 ? std::floor(static_cast<double>(job.grpo.steps / job.eval.every_steps))
                 : 0);
    const PlanPoint& middle = points[points.size() / 2];
    const RoundLengths lengths =
        expected_lengths(inputs.lengths.at(middle.step), static_cast<double>(job.eval.problems),
                         inputs.lengths.prompt_tokens, 0.5);
    const RoundCosts costs = costs_of_round(subject, inputs, layout, lengths);
    hours.evaluation = times / kHour * generation_seconds(lengths, costs, costs.devices);
    hours.total += hours.evaluation;
  }
  // What is lost is half of what lies between two recovery points.
  const double every = static_cast<double>(job.schedule.checkpoint_every_steps);
  const double rounds_between =
      every > 0 ? std::max(1.0, every / static_cast<double>(job.grpo.minibatches_per_round))
                : std::max(1.0, hours.rounds);
  hours.failures =
      failure_seconds(inputs.costs, hours.total, static_cast<double>(subject.cluster.devices()),
                      0.5 * hours.seconds_per_round * rounds_between);
  hours.total += hours.failures;
  return hours;
}

}  // namespace troupe::cluster
