#include "cluster/monitor/metrics_mending.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "cluster/monitor/metrics_log.h"
#include "cluster/monitor/run_board.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

// What a line is about, as far as it matters here.
struct Subject {
  std::optional<LineKind> kind{};  // Nothing: it goes.
  uint64_t version = 0;
  double time = 0;
};

Subject subject_of(const std::string& line) {
  if (line.size() > kMetricsLineBytesMax) return {};
  const auto json = parse_json(line, kMetricsLineDepthMax);
  const auto kind = kind_of(json);
  if (!kind) return {};
  return {kind, version_in(json), time_in(json)};
}

// Each line of the file. Whether the last one was ended is told too.
void read_lines(const std::string& path,
                const std::function<void(const std::string& line, bool is_whole)>& use) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) use(line, !file.eof());
}

// The lines of one kind that the store knows, by rising version, and which of them are there.
template <class Metrics>
class Known {
 public:
  explicit Known(const std::vector<Metrics>& all) : all_(all) {}

  // False when the store does not have it.
  bool find(uint64_t version) {
    const auto one = std::lower_bound(
        all_.begin(), all_.end(), version,
        [](const Metrics& metrics, uint64_t v) { return number(metrics.version) < v; });
    if (one == all_.end() || number(one->version) != version) return false;
    is_there_[static_cast<size_t>(one - all_.begin())] = true;
    return true;
  }
  bool is_complete() const {
    return std::find(is_there_.begin(), is_there_.end(), false) == is_there_.end();
  }
  // Those that are not there and come before `version`; each once.
  void take_before(uint64_t version, const std::function<void(const Metrics&)>& use) {
    for (; next_ < all_.size() && number(all_[next_].version) < version; ++next_) {
      if (!is_there_[next_]) use(all_[next_]);
    }
  }

 private:
  const std::vector<Metrics>& all_;
  std::vector<bool> is_there_ = std::vector<bool>(all_.size(), false);
  size_t next_ = 0;
};

class Mending {
 public:
  Mending(const std::string& path, const actors::ReportedPast& past)
      : path_(path), steps_(past.steps), evaluations_(past.evaluations) {}

  bool is_needed() {
    read_lines(path_, [this](const std::string& line, bool is_whole) {
      Subject subject = is_whole ? subject_of(line) : Subject{};
      if (subject.kind == LineKind::kStep && !is_next(subject.version, newest_step_, steps_)) {
        subject.kind.reset();
      } else if (subject.kind == LineKind::kEvaluation &&
                 !is_next(subject.version, newest_evaluation_, evaluations_)) {
        subject.kind.reset();
      }
      if (!subject.kind) has_surplus_ = true;
      subjects_.push_back(subject);
    });
    return has_surplus_ || !steps_.is_complete() || !evaluations_.is_complete();
  }

  bool write() {
    const std::string unfinished = path_ + ".unfinished";
    file_.reset(std::fopen(unfinished.c_str(), "w"));
    if (!file_) return false;
    size_t index = 0;
    read_lines(path_, [&](const std::string& line, bool) {
      const Subject& subject = subjects_[index++];
      if (!subject.kind) return;
      if (subject.kind != LineKind::kSample) {
        // Its own line goes before the evaluation of a step.
        const bool is_step = subject.kind == LineKind::kStep;
        put_missing(is_step ? subject.version : subject.version + 1, subject.version);
      }
      put(line);
      time_ = subject.time;
    });
    put_missing(UINT64_MAX, UINT64_MAX);
    const bool is_written =
        is_well_ && std::fflush(file_.get()) == 0 && ::fsync(::fileno(file_.get())) == 0;
    file_.reset();
    if (is_written && std::rename(unfinished.c_str(), path_.c_str()) == 0) return true;
    std::remove(unfinished.c_str());
    return false;
  }

 private:
  // The store has it, and what was kept before is of earlier versions.
  template <class Metrics>
  static bool is_next(uint64_t version, std::optional<uint64_t>& newest, Known<Metrics>& known) {
    if ((newest && version <= *newest) || !known.find(version)) return false;
    newest = version;
    return true;
  }
  // Steps and evaluations before these versions.
  void put_missing(uint64_t before_step, uint64_t before_evaluation) {
    const auto put_evaluations = [this](uint64_t before) {
      evaluations_.take_before(before, [this](const EvalMetrics& one) { put(to_line(one)); });
    };
    steps_.take_before(before_step, [&](const StepMetrics& step) {
      put_evaluations(std::min(number(step.version), before_evaluation));
      put(to_line(step));
    });
    put_evaluations(before_evaluation);
  }
  void put(MetricLine line) {
    line["time"] = time_;
    put(to_text(line));
  }
  void put(const std::string& line) {
    is_well_ = std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size() &&
               std::fputc('\n', file_.get()) != EOF && is_well_;
  }

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  const std::string path_;
  Known<StepMetrics> steps_;
  Known<EvalMetrics> evaluations_;
  std::vector<Subject> subjects_{};  // Of each line.
  std::optional<uint64_t> newest_step_{}, newest_evaluation_{};
  bool has_surplus_ = false;
  std::unique_ptr<std::FILE, Close> file_{};
  double time_ = 0;
  bool is_well_ = true;
};

}  // namespace

bool mend_metrics(const std::string& path, const actors::ReportedPast& past) {
  Mending mending(path, past);
  return !mending.is_needed() || mending.write();
}

}  // namespace troupe::cluster
