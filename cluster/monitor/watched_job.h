// A job that runs, as everybody who watches it sees it: one place is told what happens, and tells
// the board, metrics.jsonl, the traces and whoever else listens.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/metrics_sink.h"
#include "cluster/monitor/metrics_log.h"
#include "cluster/monitor/run_board.h"
#include "cluster/monitor/trace_files.h"

namespace troupe::cluster {

double seconds_since_1970();

// Where a job's home has its metrics and its traces.
std::string metrics_path(const std::string& home);
std::string traces_folder(const std::string& home);

// The curves that a home has of what ran there, from the first `bytes_max` of its metrics; who did
// what only from all of it.
RunBoard read_board(const std::string& home, uint64_t bytes_max = UINT64_MAX);

class WatchedJob : public actors::MetricsSink {
 public:
  struct Options {
    std::string home{};
    bool goes_on = false;  // With the metrics and the traces that are there.
    std::vector<actors::MetricsSink*> listeners{};  // That outlive it; told in this order.
    std::function<double()> now = seconds_since_1970;
  };

  explicit WatchedJob(Options options);

  // From one thread.
  void run_started(const JobSpec& job, std::string_view weights_sha256,
                   int64_t num_parameters) override;
  void progressed(std::string_view activity, int64_t done, int64_t total) override;
  void group_judged(const GroupRecord& group, const actors::PromptTokens& prompt,
                    const model::Tokenizer& tokenizer) override;
  void step_committed(const StepMetrics& step) override;
  void evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& traces) override;
  void sampled(const RunSample& sample) override;
  void noted(std::string_view line) override;
  void run_ended(const Ledger& ledger, std::string_view state,
                 std::string_view weights_sha256) override;

  // From any thread. `look` is called once and keeps the run waiting, so it only takes what it
  // needs.
  void read(const std::function<void(const RunBoard&)>& look) const;
  // Puts what the home has from before under the board, once; takes as long as reading that takes.
  void read_past();

  const std::string& home() const { return options_.home; }

 private:
  template <class Tell>
  void tell(Tell tell) {
    for (actors::MetricsSink* listener : options_.listeners) tell(*listener);
  }

  const Options options_;
  MetricsLog log_;
  std::optional<TraceFiles> traces_{};  // Once the run has started.
  std::optional<WorkFile> work_{};
  uint64_t past_bytes_ = 0;  // Of the metrics, before this run.
  std::once_flag past_is_read_{};
  mutable std::mutex mutex_{};
  RunBoard board_{};  // Guarded by mutex_.
};

}  // namespace troupe::cluster
