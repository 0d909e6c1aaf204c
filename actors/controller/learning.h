// The learner's steps: which is next, which are under way, and what the records say of those that
// were learned. A step that is learned again must give the same bits.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/controller/commits.h"
#include "actors/controller/controller_command.h"
#include "actors/controller/nothing_learned.h"
#include "actors/controller/round_facts.h"
#include "actors/controller/sft_plan.h"
#include "actors/controller/timetable.h"
#include "actors/crew/learn_step.h"
#include "actors/job/job_data.h"
#include "schemas/job.h"
#include "schemas/records.h"
#include "schemas/result.h"
#include "schemas/work.h"

namespace troupe::actors {

class Learning {
 public:
  struct Past {
    uint64_t newest_point = 0;        // Its version; 0: there is none.
    std::vector<StepRecord> steps{};  // Oldest first; at least those after that point.
  };
  // What the cold start's gate measured at a version.
  using GateAt = std::function<std::optional<double>(uint64_t version)>;

  // All references outlive it.
  Learning(const JobSpec& job, std::span<const std::vector<DemonstrationTokens>> cold_start,
           const Timetable& timetable, const Past& past, Commits& commits, Outbox& outbox);

  bool is_ready() const { return is_ready_; }
  Position position() const { return {number(learned_), sent_}; }
  PolicyVersion version() const { return learned_; }
  bool is_caught_up() const { return number(learned_) == sent_; }
  // It has as many steps before it as it needs, so that it never waits for a message.
  bool is_full() const;
  std::optional<std::string> nothing_learned() const { return nothing_learned_.reason(job_); }

  // The cold start is gone through again up to there. kCorruption when a gate on the way is not
  // known.
  Status learner_ready(PolicyVersion version, const GateAt& gate_at);
  void learner_lost();

  // Of the cold start: a step, or none where it waits for its gate.
  std::optional<LearnStep> next_sft_step();
  // Returns what there is to say.
  std::optional<std::string> pass_gate(double pass_at_1);
  LearnStep grpo_step(Minibatch minibatch);
  void send(LearnStep step);

  // Records a step that was never learned before; then `round` is its round, if it has one. An
  // error fails the job.
  Status learned(const StepLearned& learned, const std::optional<RoundFigures>& round);
  // Steps up to there are never learned again.
  void forget_until(uint64_t version);

 private:
  Status compare(const StepMetrics& again, double core_seconds);
  StepMetrics metrics_of(const StepMetrics& learned,
                         const std::optional<RoundFigures>& round) const;
  void count_finite(const StepMetrics& step);

  const JobSpec& job_;
  std::span<const std::vector<DemonstrationTokens>> cold_start_;
  const Timetable& timetable_;
  Commits& commits_;
  Outbox& outbox_;

  bool is_ready_ = false;
  uint64_t sent_ = 0;
  PolicyVersion learned_{};
  uint64_t frontier_ = 0;  // The last step whose record was committed.
  // What the steps after the oldest recovery point gave, to be given again.
  std::map<uint64_t, StepMetrics> recorded_{};
  NothingLearned nothing_learned_{};
  std::optional<SftPlan> sft_{};
  std::map<uint64_t, std::vector<GroupId>> consumed_{};  // Of steps under way, by version.
  int64_t non_finite_in_a_row_ = 0;
};

}  // namespace troupe::actors
