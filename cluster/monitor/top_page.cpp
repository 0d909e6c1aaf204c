#include "cluster/monitor/top_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

constexpr int kNameColumnsMax = 32;
constexpr int kMessageColumnsMax = 200;

int rank(JobState state) {
  switch (state) {
    case JobState::kRunning:
      return 0;
    case JobState::kQueued:
      return 1;
    case JobState::kPaused:
      return 2;
    case JobState::kFinished:
    case JobState::kFailed:
    case JobState::kCancelled:
      return 3;
  }
  return 3;
}

std::string padded(const std::string& text, int columns) {
  return text + std::string(static_cast<size_t>(std::max(0, columns - columns_of(text))), ' ');
}

std::string summary_line(std::span<const JobSummary> jobs) {
  std::map<int, std::pair<const char*, int>> by_state;
  for (const JobSummary& job : jobs) {
    auto& [state_name, n] = by_state[static_cast<int>(job.state)];
    state_name = name(job.state);
    ++n;
  }
  std::string text = "troupe  " + std::to_string(jobs.size()) + " jobs";
  for (const auto& [state, named] : by_state) {
    text += fmt::format("   {} {}", named.second, named.first);
  }
  return text;
}

}  // namespace

std::vector<std::string> job_table(std::span<const JobSummary> jobs) {
  std::vector<const JobSummary*> order;
  for (const JobSummary& job : jobs) order.push_back(&job);
  std::sort(order.begin(), order.end(), [](const JobSummary* a, const JobSummary* b) {
    if (rank(a->state) != rank(b->state)) return rank(a->state) < rank(b->state);
    // The queue is served in order; of what is over, the newest is looked for.
    return rank(a->state) == 3 ? a->id > b->id : a->id < b->id;
  });
  int name_columns = 4;
  int owner_columns = 0;
  std::vector<std::string> names, owners;
  for (const JobSummary* job : order) {
    names.push_back(fit(printable(job->name), kNameColumnsMax));
    name_columns = std::max(name_columns, columns_of(names.back()));
    owners.push_back(fit(printable(job->owner), kNameColumnsMax));
    owner_columns = std::max(owner_columns, columns_of(owners.back()));
  }
  if (owner_columns > 0) owner_columns = std::max(owner_columns, 5);
  const auto owner = [&](const std::string& text) {
    return owner_columns == 0 ? "" : padded(text, owner_columns) + "  ";
  };
  std::vector<std::string> lines = {fmt::format("{:>6}  {}{}  {:<9}  {:>13}  {:>10}", "ID",
                                                owner("OWNER"), padded("NAME", name_columns),
                                                "STATE", "STEPS", "COST")};
  for (size_t i = 0; i < order.size(); ++i) {
    const JobSummary& job = *order[i];
    std::string line =
        fmt::format("{:>6}  {}{}  {:<9}  {:>13}  {:>10.4f}", job.id, owner(owners[i]),
                    padded(names[i], name_columns), name(job.state),
                    fmt::format("{}/{}", job.steps_done, job.steps_total), job.money);
    if (!job.message.empty()) line += "  " + fit(printable(job.message), kMessageColumnsMax);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<ViewLine> render_top(std::span<const JobSummary> jobs, const RunState* run,
                                 const std::string& message, ViewSize size, double now) {
  const int rows = std::max(size.rows, 0);
  std::vector<ViewLine> lines = {{summary_line(jobs), Tone::kStrong}};
  if (!message.empty()) lines.push_back({printable(message), Tone::kStrong});
  const auto table = job_table(jobs);
  const int table_rows = run != nullptr ? std::max(3, rows / 3 - 1) : rows;
  for (size_t i = 0; i < std::min(table.size(), static_cast<size_t>(table_rows)); ++i) {
    lines.push_back({table[i], i == 0 ? Tone::kFaint : Tone::kPlain});
  }
  if (run != nullptr) {
    lines.push_back({});
    const int left = rows - static_cast<int>(lines.size());
    auto page = render(*run, {size.columns, std::max(left, 0)}, now);
    std::move(page.begin(), page.end(), std::back_inserter(lines));
  }
  if (lines.size() > static_cast<size_t>(rows)) lines.resize(static_cast<size_t>(rows));
  for (ViewLine& line : lines) line.text = fit(line.text, size.columns);
  return lines;
}

}  // namespace troupe::cluster
