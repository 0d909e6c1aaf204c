#include "cluster/monitor/watched_job.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

constexpr int kLineDepthMax = 4;
constexpr size_t kLineBytesMax = 256 << 10;
constexpr uint64_t kMib = 1 << 20;

}  // namespace

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string metrics_path(const std::string& home) { return home + "/metrics.jsonl"; }
std::string traces_folder(const std::string& home) { return home + "/traces"; }

RunBoard read_board(const std::string& home, uint64_t bytes_max) {
  RunBoard board;
  std::ifstream file(metrics_path(home));
  uint64_t bytes = 0;
  for (std::string line; std::getline(file, line);) {
    bytes += line.size() + 1;
    if (bytes > bytes_max) break;
    if (line.size() <= kLineBytesMax) board.restore(parse_json(line, kLineDepthMax));
  }
  if (bytes_max == UINT64_MAX) {
    WorkFile::read(home, [&board](const PieceOfWork& piece) { board.restore(piece); });
  }
  return board;
}

WatchedJob::WatchedJob(Options options)
    : options_(std::move(options)), log_(metrics_path(options_.home)) {
  std::error_code error;
  const auto size = std::filesystem::file_size(log_.path(), error);
  if (options_.goes_on && !error) past_bytes_ = size;
}

void WatchedJob::run_started(const JobSpec& job, std::string_view weights_sha256,
                             int64_t num_parameters) {
  const bool is_kept = log_.open(options_.goes_on);
  work_.emplace(options_.home, options_.goes_on);
  traces_.emplace(traces_folder(options_.home),
                  static_cast<uint64_t>(job.resources.traces_kept_mib) * kMib, options_.goes_on);
  {
    const std::lock_guard lock(mutex_);
    board_.start(job, weights_sha256, num_parameters, options_.now());
  }
  tell([&](auto& listener) { listener.run_started(job, weights_sha256, num_parameters); });
  if (!is_kept) noted("cannot write " + log_.path() + "; metrics are shown but not kept");
}

void WatchedJob::progressed(std::string_view activity, int64_t done, int64_t total) {
  {
    const std::lock_guard lock(mutex_);
    board_.progress(activity, done, total);
  }
  tell([&](auto& listener) { listener.progressed(activity, done, total); });
}

void WatchedJob::group_judged(const GroupRecord& group, const actors::PromptTokens& prompt,
                              const model::Tokenizer& tokenizer) {
  if (traces_ && traces_->has_room()) {
    const auto trace = trace_of(group, prompt, tokenizer);
    traces_->add(trace["round"].get<uint64_t>(), trace);
  }
  tell([&](auto& listener) { listener.group_judged(group, prompt, tokenizer); });
}

void WatchedJob::step_committed(const StepMetrics& step) {
  MetricLine line;
  {
    const std::lock_guard lock(mutex_);
    line = board_.add(step, options_.now());
  }
  log_.write(line);
  tell([&](auto& listener) { listener.step_committed(step); });
}

void WatchedJob::evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& traces) {
  MetricLine line;
  {
    const std::lock_guard lock(mutex_);
    line = board_.add(evaluation, traces, options_.now());
  }
  log_.write(line);
  if (traces_) traces_->add_evaluation(evaluation.version, traces);
  tell([&](auto& listener) { listener.evaluated(evaluation, traces); });
}

void WatchedJob::sampled(const RunSample& sample) {
  const double now = options_.now();
  MetricLine line;
  {
    const std::lock_guard lock(mutex_);
    line = board_.sample(sample, now);
  }
  log_.write(line);
  if (work_) work_->add(work_in(sample, now));
  tell([&](auto& listener) { listener.sampled(sample); });
}

void WatchedJob::noted(std::string_view line) {
  {
    const std::lock_guard lock(mutex_);
    board_.note(line, options_.now());
  }
  tell([&](auto& listener) { listener.noted(line); });
}

void WatchedJob::run_ended(const Ledger& ledger, std::string_view state,
                           std::string_view weights_sha256) {
  {
    const std::lock_guard lock(mutex_);
    board_.end(ledger, state, weights_sha256, options_.now());
  }
  tell([&](auto& listener) { listener.run_ended(ledger, state, weights_sha256); });
}

void WatchedJob::read(const std::function<void(const RunBoard&)>& look) const {
  const std::lock_guard lock(mutex_);
  look(board_);
}

void WatchedJob::read_past() {
  std::call_once(past_is_read_, [this] {
    if (past_bytes_ == 0) return;
    RunBoard past = read_board(options_.home, past_bytes_);
    const std::lock_guard lock(mutex_);
    board_.follow(std::move(past));
  });
}

}  // namespace troupe::cluster
