// What a job would be on a cluster: whether it fits, how it is best laid out, how long it takes and
// what it costs, with the range that follows from what is uncertain.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/planner/inputs.h"
#include "cluster/planner/memory_plan.h"
#include "cluster/planner/round_model.h"

namespace troupe::cluster {

// Who works on what.
struct PlanLayout {
  bool is_split = false;           // The learner has devices of its own.
  int64_t generating_devices = 0;  // In replicas of `width`.
  int64_t width = 1;
  LearnerShape learner{};
  MemoryPlan generating{}, learning{};
  double hours = 0;  // At medians; 0: it does not fit.

  int64_t workers() const { return generating_devices / width; }
  double short_by() const { return std::max(generating.short_by(), learning.short_by()); }
  bool fits() const { return short_by() == 0; }
};

// When rounds begin.
struct PlanSchedule {
  int64_t lag = 0;  // 0: the next round begins when this one is learned.
  Stragglers stragglers = Stragglers::kHeld;
};

struct PlanHours {
  double generate = 0, tail = 0, reference = 0, learn = 0, verdict = 0, point = 0, change = 0;
  double sft = 0, evaluation = 0, failures = 0;
  double total = 0;
  double tokens = 0;  // Generated.
  double rounds = 0;
  double seconds_per_round = 0;
};

// One round at a step of the job.
struct PlannedRound {
  double step = 0;
  double mean_tokens = 0, longest = 0;
  RoundSeconds seconds{};
  double staleness = 0;  // Steps, of the last minibatch.
};

struct PlanChange {
  std::string what{};
  double hours = 0;
  double cost = 0;
};

struct Quantiles {
  double low = 0, median = 0, high = 0;  // 5, 50 and 95 %.
};

struct Plan {
  PolicyCounts policy{};
  PlanSchedule schedule{};
  std::vector<PlanLayout> layouts{};  // The best first, then those that do not fit.
  // What follows is of the first layout, and empty where it does not fit.
  std::vector<PlannedRound> rounds{};
  PlanHours at_medians{};
  Quantiles hours{}, cost{}, tail_share{};
  std::string bound{};
  std::vector<PlanChange> changes{};
  // The share of the range that each number explains: squared rank correlation.
  std::vector<std::pair<std::string, double>> range_from{};
  double cache_tokens = 0, cache_peak = 0;  // A device's.
  std::vector<std::string> notes{};

  bool fits() const { return !layouts.empty() && layouts.front().fits(); }
};

struct PlanOptions {
  int draws = 400;
  uint64_t seed = 1;
  int64_t width = 0;  // Of a replica, in devices; 0: whichever is best.
};

// kInvalidArgument where the job cannot be laid out at all, e.g. has more parts than devices.
Result<Plan> make_plan(const PlanSubject& subject, const PlanOptions& options = {});

// What make_plan is made of.
PlanSchedule schedule_of(const JobSpec& job);
std::vector<PlanLayout> possible_layouts(const PlanSubject& subject, const DrawnInputs& inputs,
                                         bool is_split, int64_t width = 0);
// The best that fits first, by hours at medians; then those that do not fit, by what they lack.
std::vector<PlanLayout> sorted_layouts(const PlanSubject& subject, const DrawnInputs& inputs,
                                       bool is_split, const PlanSchedule& schedule,
                                       int64_t width = 0);
// Tokens for which a device that generates has room.
double cache_tokens(const CostInputs& in, const PlanLayout& layout);
// Of devices that both generate and learn, once a round.
double role_switch_seconds(const CostInputs& in, const PlanLayout& layout);
PlanHours planned_hours(const PlanSubject& subject, const DrawnInputs& inputs,
                        const PlanLayout& layout, const PlanSchedule& schedule, uint64_t draw = 0);
PlannedRound planned_round(const PlanSubject& subject, const DrawnInputs& inputs,
                           const PlanLayout& layout, const PlanSchedule& schedule, double step,
                           double longest_share);

}  // namespace troupe::cluster
