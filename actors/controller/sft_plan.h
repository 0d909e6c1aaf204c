// The cold start as a sequence of steps: the files one after another, each for its share of them,
// with a gate between two files. A pure function of the job, its demonstrations and what the gates
// measured, so that going through it again gives the same steps.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/crew/learn_step.h"
#include "actors/job/job_data.h"
#include "model/data/draw_order.h"
#include "schemas/job.h"
#include "schemas/work.h"

namespace troupe::actors {

class SftPlan {
 public:
  enum class Next { kStep, kGate, kDone };

  // `cold_start` outlives the plan.
  SftPlan(const JobSpec& job, std::span<const std::vector<DemonstrationTokens>> cold_start);

  Next next() const;

  // Steps taken so far.
  int64_t steps() const { return step_; }

  // For kStep.
  LearnStep take_step();

  // For kGate: prolongs the part at the expense of the next one until the policy can do what the
  // part shows, because a part that was cut short would leave reinforcement without the facts it
  // needs. The number of steps, and so the policy's version, stays what the job says. Returns what
  // there is to say.
  std::optional<std::string> pass_gate(double pass_at_1);

 private:
  void begin_part();

  const JobSpec& job_;
  std::span<const std::vector<DemonstrationTokens>> cold_start_;
  std::vector<int64_t> ends_{};  // Of each part, in steps.
  size_t part_ = 0;
  int64_t step_ = 0;
  int64_t end_ = 0;    // Of the part, as far as decided.
  int64_t limit_ = 0;  // What it may be prolonged to.
  bool is_gated_ = false;
  std::optional<model::DrawOrder> order_{};
  int64_t drawn_ = 0;
};

}  // namespace troupe::actors
