// What is known of a run, in bounded memory: its newest state, its curves, and what happened. All
// who watch are told from here: the page, metrics.jsonl, and whoever asks over a socket. A plain
// state machine; times are seconds since 1970, given by the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/monitor/curve_table.h"
#include "cluster/monitor/metrics_log.h"
#include "cluster/monitor/run_state.h"
#include "cluster/monitor/waiting.h"
#include "cluster/monitor/work_history.h"
#include "schemas/job.h"
#include "schemas/metrics.h"

namespace troupe::cluster {

class RunBoard {
 public:
  static constexpr size_t kEventsMax = 512;
  static constexpr size_t kEventBytesMax = 1'024;
  static constexpr size_t kWorkMax = 4'096;
  static constexpr size_t kRowsOfEndedMax = 4'096;  // Of each table of a run that has ended.

  struct Event {
    uint64_t sequence = 0;  // 1, 2, ...
    double time = 0;
    std::string text{};  // Printable.
  };

  void start(const JobSpec& job, std::string_view weights, int64_t parameters, double time);
  void progress(std::string_view activity, int64_t done, int64_t total);
  // What is returned is the line of metrics.jsonl.
  MetricLine add(const StepMetrics& step, double time);
  MetricLine add(const EvalMetrics& evaluation, const std::vector<Trace>& traces, double time);
  MetricLine sample(const RunSample& sample, double time);
  void note(std::string_view line, double time);
  void end(const Ledger& ledger, std::string_view state, std::string_view weights, double time);

  // A line that was written before. False when it is none.
  bool restore(const nlohmann::json& line);
  void restore(const PieceOfWork& work);
  // This run goes on with what `past` has the curves of.
  void follow(RunBoard past);
  // There will be no more.
  void make_coarser();

  const RunState& state() const { return state_; }
  const CurveTable& steps() const { return steps_; }              // By policy version.
  const CurveTable& evaluations() const { return evaluations_; }  // By policy version.
  const CurveTable& samples() const { return samples_; }          // By time.
  const std::deque<Event>& events() const { return events_; }     // Newest last.
  const std::deque<PieceOfWork>& work() const { return work_; }   // In the order of their ends.
  const std::vector<Trace>& traces() const { return traces_; }    // Of the newest evaluation.
  const WorkerPace::Rates& pace() const { return pace_; }
  // Grows whenever anything changes.
  uint64_t changes() const { return changes_; }

 private:
  void put(const nlohmann::json& line);

  RunState state_{};
  CurveTable steps_{};
  CurveTable evaluations_{};
  CurveTable samples_{};
  std::deque<Event> events_{};
  uint64_t next_event_ = 1;
  std::deque<PieceOfWork> work_{};
  std::vector<Trace> traces_{};
  WorkerPace worker_pace_{};
  WorkerPace::Rates pace_{};
  uint64_t changes_ = 0;
};

// The numbers of a line by name: what is true is 1, and what has parts is "name/part".
CurveValues values_in(const nlohmann::json& line);

}  // namespace troupe::cluster
