// pass@1 on the held-out problems: what is measured when, one evaluation at a time, and what was
// measured so far.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/controller/commits.h"
#include "actors/controller/controller_command.h"
#include "actors/controller/timetable.h"
#include "actors/job/job_data.h"
#include "actors/metrics_sink.h"
#include "schemas/job.h"
#include "schemas/records.h"
#include "schemas/work.h"

namespace troupe::actors {

class HeldOut {
 public:
  // All references outlive it.
  HeldOut(const JobSpec& job, const JobData& data, const Timetable& timetable,
          std::vector<EvaluationRecord> evaluations, Commits& commits, Outbox& outbox,
          MetricsSink& sink);

  const std::vector<EvaluationRecord>& evaluations() const { return evaluations_; }
  // One is due there, and it is not durable yet.
  bool is_wanted(uint64_t version) const;
  // What the cold start's gate measured there.
  std::optional<double> gate_pass_at_1(uint64_t version) const;
  // From begin() until it is durable, or given up.
  bool is_under_way() const { return state_.has_value(); }
  std::optional<uint64_t> version() const;
  std::string waits_for() const;

  void begin(uint64_t version, bool is_gate, double now);
  void generated(const GeneratedGroup& group);
  void judged(const JudgedGroup& group);
  // The problem is left out. False when it is not waited for.
  bool abandoned(GroupId id, const std::string& reason);
  void report() const;
  // Commits what was measured, once no problem is waited for.
  void finish(double now);
  void durable(const EvaluationRecord& record);
  void give_up() { state_.reset(); }

 private:
  struct State {
    PolicyVersion version{};
    bool is_gate = false;
    double temperature = 0;
    double begun_at = 0;
    std::vector<std::optional<SampledResponse>> responses{};
    std::vector<std::optional<Verdict>> verdicts{};
    std::set<size_t> left_out{};
    std::map<size_t, int> infra_errors{};  // Of a problem.
    size_t num_judged = 0;
    bool is_committing = false;
  };

  bool is_due(uint64_t version) const;
  const EvaluationRecord* find(uint64_t version, bool is_gate) const;
  bool is_asked(GroupId id) const;
  void judge(size_t index);
  void leave_out(size_t index, const std::string& reason);

  const JobSpec& job_;
  const JobData& data_;
  const Timetable& timetable_;
  Commits& commits_;
  Outbox& outbox_;
  MetricsSink& sink_;
  std::vector<EvaluationRecord> evaluations_{};
  std::optional<State> state_{};
};

}  // namespace troupe::actors
