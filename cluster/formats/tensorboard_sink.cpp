#include "cluster/formats/tensorboard_sink.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "cluster/jobs/job_file.h"
#include "cluster/monitor/run_board.h"
#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

constexpr size_t kTextBytesMax = 16 << 10;
constexpr size_t kHyperParametersMax = 256;

// Markdown shows lines that begin with four spaces as they are.
std::string verbatim(const std::string& text) {
  std::istringstream lines(text.substr(0, kTextBytesMax));
  std::string shown;
  for (std::string line; std::getline(lines, line);) shown += "    " + printable(line) + "\n";
  return shown;
}

int64_t step_of(PolicyVersion version) { return static_cast<int64_t>(number(version)); }

}  // namespace

std::vector<HyperParameter> hyper_parameters(const JobSpec& job) {
  std::vector<HyperParameter> values;
  std::istringstream lines(to_toml(job));
  std::string table;
  for (std::string line; std::getline(lines, line) && values.size() < kHyperParametersMax;) {
    if (line.starts_with('[')) {
      table = line.substr(1, line.rfind(']') - 1) + ".";
      continue;
    }
    const size_t equals = line.find(" = ");
    if (equals == std::string::npos || line.starts_with('#')) continue;
    HyperParameter one{.name = table + line.substr(0, equals)};
    one.text = line.substr(equals + 3);
    if (one.text.starts_with('"')) {
      one.text = one.text.substr(1, one.text.find('"', 1) - 1);
    } else {
      // What is said about the key follows.
      const size_t end = std::min(one.text.find(" #"), one.text.size());
      one.text.erase(one.text.find_last_not_of(' ', end - 1) + 1);
    }
    double number = 0;
    const char* const end = one.text.data() + one.text.size();
    const auto [at, error] = std::from_chars(one.text.data(), end, number);
    if (error == std::errc{} && at == end) one.number = number;
    values.push_back(std::move(one));
  }
  return values;
}

TensorBoardSink::TensorBoardSink(const std::string& home, bool goes_on, std::function<double()> now)
    : folder_(home + "/tensorboard"), goes_on_(goes_on), now_(std::move(now)) {}

void TensorBoardSink::run_started(const JobSpec& job, std::string_view /*weights_sha256*/,
                                  int64_t /*num_parameters*/) {
  job_ = job;
  std::error_code ignored;
  if (!goes_on_) std::filesystem::remove_all(folder_, ignored);
}

void TensorBoardSink::open(int64_t step) {
  if (file_) return;
  file_.emplace(folder_, now_(), step);
  file_->add_hyper_parameters(now_(), job_.name, hyper_parameters(job_));
}

void TensorBoardSink::add_numbers(int64_t step, const MetricLine& line) {
  CurveValues finite;
  for (auto& value : values_in(nlohmann::json(line))) {
    if (std::isfinite(value.second)) finite.push_back(std::move(value));
  }
  file_->add_scalars(step, now_(), finite);
}

void TensorBoardSink::step_committed(const StepMetrics& step) {
  const int64_t at = step_of(step.version);
  open(at);
  add_numbers(at, to_line(step));
  if (moment_) add_numbers(at, to_line(*moment_));
  moment_.reset();
}

void TensorBoardSink::sampled(const RunSample& sample) { moment_ = sample; }

void TensorBoardSink::evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& traces) {
  const int64_t at = step_of(evaluation.version);
  open(at);
  add_numbers(at, to_line(evaluation));
  for (size_t i = 0; i < traces.size(); ++i) {
    const Trace& trace = traces[i];
    file_->add_text(at, now_(), fmt::format("held_out/{}", i),
                    fmt::format("prompt:\n\n{}\nresponse ({}):\n\n{}\ngold:\n\n{}",
                                verbatim(trace.prompt), trace.is_solved ? "solved" : "not solved",
                                verbatim(trace.response), verbatim(trace.gold)));
  }
}

}  // namespace troupe::cluster
