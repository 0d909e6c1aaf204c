#include "cluster/formats/chrome_trace.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "cluster/monitor/watched_job.h"
#include "cluster/monitor/work_history.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMicrosecondsPerSecond = 1e6;
constexpr size_t kPointsMax = 4'096;  // Of each curve.
constexpr uint32_t kCurvesProcess = 1'000'000;

// Curves that are shown below the work: name here, table's name.
constexpr std::pair<const char*, const char*> kStepCurves[] = {
    {"reward", "reward/mean"},
    {"accuracy", "accuracy"},
    {"response length", "response_length/mean"}};
constexpr std::pair<const char*, const char*> kTimeCurves[] = {
    {"groups generating", "queue/generating"},
    {"groups judging", "queue/judging"},
    {"tokens/s of a rollout worker", "tokens_per_second/rollout_mean"}};

constexpr const char* kRoles[] = {"learner", "rollout", "verifier"};

int thread_of(const std::string& role) {
  for (size_t i = 0; i < std::size(kRoles); ++i) {
    if (role == kRoles[i]) return static_cast<int>(i) + 1;
  }
  return static_cast<int>(std::size(kRoles)) + 1;
}

class Writer {
 public:
  explicit Writer(const std::function<void(std::string_view)>& write) : write_(write) {
    write_("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
  }
  void add(const Json& event) {
    write_(is_first_ ? "\n" : ",\n");
    write_(to_text(event, {.replaces_invalid = true}));
    is_first_ = false;
  }
  void end() { write_("\n]}\n"); }

 private:
  const std::function<void(std::string_view)>& write_;
  bool is_first_ = true;
};

void add_name(Writer& writer, uint32_t process, std::optional<int> thread,
              const std::string& name) {
  Json event{{"name", thread ? "thread_name" : "process_name"}, {"ph", "M"}, {"pid", process}};
  if (thread) event["tid"] = *thread;
  event["args"] = {{"name", name}};
  writer.add(event);
}

template <size_t N>
void add_curves(Writer& writer, const CurveTable& table,
                const std::pair<const char*, const char*> (&curves)[N], double start) {
  for (const auto& [shown, name] : curves) {
    const CurvePoints points = table.read({name}, kPointsMax, {});
    const auto values = points.curves.find(name);
    if (values == points.curves.end()) continue;
    for (size_t i = 0; i < values->second.size(); ++i) {
      if (!std::isfinite(values->second[i])) continue;
      writer.add({{"name", shown},
                  {"ph", "C"},
                  {"pid", kCurvesProcess},
                  {"ts", (points.time[i] - start) * kMicrosecondsPerSecond},
                  {"args", {{"value", values->second[i]}}}});
    }
  }
}

}  // namespace

Status write_chrome_trace(const std::string& home,
                          const std::function<void(std::string_view)>& write) {
  std::optional<double> start;
  std::map<uint32_t, std::map<int, std::string>> threads;  // By slot.
  WorkFile::read(home, [&](const PieceOfWork& piece) {
    if (!start || piece.start < *start) start = piece.start;
    threads[piece.slot][thread_of(piece.role)] = piece.role;
  });
  const RunBoard board = read_board(home);
  if (!start) {
    if (board.steps().is_empty() && board.samples().is_empty()) {
      return invalid_argument(fmt::format(
          "{} has neither work.jsonl nor metrics.jsonl: nothing has run there yet", home));
    }
    start = 0;
  }
  Writer writer(write);
  for (const auto& [slot, roles] : threads) {
    add_name(writer, slot, std::nullopt, fmt::format("slot {}", slot));
    for (const auto& [thread, role] : roles) add_name(writer, slot, thread, role);
  }
  add_name(writer, kCurvesProcess, std::nullopt, "curves");
  WorkFile::read(home, [&](const PieceOfWork& piece) {
    Json event{{"name", piece.what},
               {"cat", piece.role},
               {"ph", "X"},
               {"pid", piece.slot},
               {"tid", thread_of(piece.role)},
               {"ts", (piece.start - *start) * kMicrosecondsPerSecond},
               {"dur", (piece.end - piece.start) * kMicrosecondsPerSecond}};
    if (piece.round) event["args"] = {{"round", *piece.round}};
    writer.add(event);
  });
  add_curves(writer, board.steps(), kStepCurves, *start);
  add_curves(writer, board.samples(), kTimeCurves, *start);
  writer.end();
  return ok();
}

}  // namespace troupe::cluster
