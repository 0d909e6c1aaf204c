// A job's run, event by event: the scheduler's queue, the run's controller and its pool of workers
// decide, as in a head, and the cost model answers in the workers' place, in simulated time.
//
// What is played: a worker that generates is a replica of several devices and one process; the
// learner is one process for all of its ranks; verifiers answer after the last verdict's time.
// Lengths are those of the plan's distribution, drawn one by one. Tokens of a response that travel
// through messages and records stand for `token_scale` tokens each; times follow from the whole.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cluster/planner/plan.h"
#include "schemas/result.h"

namespace troupe::cluster {

struct SimulationOptions {
  uint64_t seed = 1;
  int64_t token_scale = 0;  // 0: so that the longest response has 32 tokens.
  int64_t rounds = 0;       // Each stands for several, evenly over the job; 0: all of them.
  bool has_failures = false;
  bool keeps_spans = false;
  // Now and then, on the caller's thread.
  std::function<void(int64_t done, int64_t total)> progress{};
};

// Somebody's work: for pictures.
struct PlayedSpan {
  uint32_t slot = 0;
  bool is_learner = false;
  double begin = 0, end = 0;  // Seconds.
  int64_t round = 0;
  double share = 1;  // Of the request's groups, those that are still under way.
};

struct SimulationResult {
  double seconds = 0;  // Of the rounds that were simulated.
  int64_t rounds = 0, rounds_in_all = 0;
  int64_t steps = 0;
  double hours = 0;  // Of the whole job, with what is not simulated: imitation and evaluations.
  double other_hours = 0;   // Of these, what is not simulated.
  double tokens = 0;        // Generated, of the rounds that were simulated.
  double tokens_again = 0;  // By groups that were lost.
  // Device-seconds that a role worked, and that it had.
  double generating_busy = 0, generating_all = 0;
  double learning_busy = 0, learning_all = 0;
  double devices_busy = 0, devices_all = 0;
  // Seconds of the learner's.
  double learn_seconds = 0, reference_seconds = 0, point_seconds = 0, change_seconds = 0;
  double staleness_mean = 0;
  int64_t staleness_max = 0;
  int64_t failures = 0, steps_redone = 0;
  int64_t token_scale = 1;
  uint64_t events = 0;
  std::vector<double> round_ends{};  // Seconds, by round.
  std::vector<PlayedSpan> spans{};
};

// kInvalidArgument where the job has nothing to simulate; kInternal, with the run's own words,
// where it does not come to its end.
Result<SimulationResult> simulate_job(const PlanSubject& subject, const DrawnInputs& inputs,
                                      const PlanLayout& layout, const SimulationOptions& options);

}  // namespace troupe::cluster
