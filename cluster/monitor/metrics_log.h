// A run's metrics as JSON lines in HOME/metrics.jsonl, under the names that the field uses.
#pragma once

#include <cstdio>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>

#include "schemas/metrics.h"

namespace troupe::cluster {

using MetricLine = nlohmann::ordered_json;

MetricLine to_line(const StepMetrics& step);
MetricLine to_line(const EvalMetrics& evaluation);
MetricLine to_line(const RunSample& sample);

class MetricsLog {
 public:
  explicit MetricsLog(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }

  // Begins the file, or goes on with it. False: it cannot be written, and nothing is kept.
  bool open(bool goes_on);
  void write(const MetricLine& line);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_{};
  std::string waiting_{};  // Whole lines that a full disk has not taken yet.
};

}  // namespace troupe::cluster
