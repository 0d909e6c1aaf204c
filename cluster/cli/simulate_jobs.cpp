#include "cluster/cli/simulate_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cluster/cli/command.h"
#include "cluster/planner/plan.h"
#include "cluster/planner/queue_simulation.h"
#include "model/formats/file.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

constexpr double kHour = 3600;
constexpr size_t kRowsMax = 40;  // Of the page.

Result<std::vector<std::string>> job_files(const std::string& folder) {
  namespace fs = std::filesystem;
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator one(folder, error), end; !error && one != end; one.increment(error)) {
    if (one->path().extension() == ".toml") files.push_back(one->path().string());
  }
  if (error) return invalid_argument(fmt::format("--jobs {}: {}", folder, error.message()));
  std::sort(files.begin(), files.end());
  return files;
}

// Jobs of a cluster that was recorded: a header, then "submitted,seconds,devices" on each line.
Result<std::vector<QueuedJob>> recorded_jobs(const std::string& path) {
  constexpr size_t kBytesMax = 1 << 28;
  constexpr double kDevicesMax = 1 << 20, kSecondsMax = 1e10;
  const auto text = model::read_file(path, kBytesMax);
  if (!text) return text.error();
  std::vector<QueuedJob> jobs;
  std::istringstream lines(*text);
  std::string line;
  for (int64_t line_number = 1; std::getline(lines, line); ++line_number) {
    if (line_number == 1 || line.empty()) continue;
    const std::string where = fmt::format("{}:{}", path, line_number);
    std::istringstream fields(line);
    double submitted = -1, seconds = -1, devices = 0;
    char first = 0, second = 0;
    fields >> submitted >> first >> seconds >> second >> devices;
    if (!fields || first != ',' || second != ',' || !(submitted >= 0 && submitted < kSecondsMax) ||
        !(seconds >= 0 && seconds < kSecondsMax) || !(devices >= 1 && devices <= kDevicesMax)) {
      return invalid_argument(where +
                              ": must be submitted,seconds,devices, after one line of names");
    }
    QueuedJob job{.name = where, .submitted = submitted, .seconds = seconds};
    job.need.slots = {.learner = 1, .required = static_cast<uint32_t>(devices)};
    jobs.push_back(std::move(job));
  }
  return jobs;
}

// So many devices of the cluster, on as few hosts as hold them.
std::string part_of_cluster(const PlannedCluster& cluster, int64_t devices) {
  const int64_t per_host = std::min(devices, cluster.devices_per_node);
  const int64_t hosts = (devices + per_host - 1) / per_host;
  return fmt::format("{}x{}x{}", hosts, per_host, cluster.device_name);
}

Result<QueuedJob> queued_job(PlanningQuestion question, const std::string& file,
                             PlannedCluster& cluster) {
  question.job = file;
  const auto whole = read_subject(question);
  if (!whole) return whole.error();
  cluster = whole->cluster;
  QueuedJob job{.name = file, .need = actors::need_of(whole->job)};
  question.cluster = part_of_cluster(cluster, job.slots());
  const auto subject = read_subject(question);
  if (!subject) return subject.error();
  constexpr int kFewDraws = 10;  // Only the medians count.
  const auto plan =
      make_plan(*subject, {.draws = kFewDraws, .seed = question.seed, .width = question.width});
  if (!plan) return invalid_argument(fmt::format("{}: {}", file, plan.error().message));
  if (!plan->fits()) {
    return invalid_argument(fmt::format(
        "{}: does not fit the {} devices that its [resources] ask for: {:.1f} GB are short on each",
        file, job.slots(), plan->layouts.front().short_by() / 1e9));
  }
  job.seconds = plan->at_medians.total * kHour;
  return job;
}

nlohmann::ordered_json waits_json(const QueueResult& r) {
  return {{"wait_mean_hours", r.wait_mean / kHour},
          {"wait_p95_hours", r.wait_p95 / kHour},
          {"wait_max_hours", r.wait_max / kHour},
          {"hours", r.seconds / kHour},
          {"utilisation", r.utilisation}};
}

std::string waits_line(const char* name, const QueueResult& r) {
  return fmt::format("{:<26}{:>10.3g}{:>10.3g}{:>10.3g}{:>10.4g}{:>9.1f} %\n", name,
                     r.wait_mean / kHour, r.wait_p95 / kHour, r.wait_max / kHour, r.seconds / kHour,
                     100 * r.utilisation);
}

}  // namespace

Status print_queue(const PlanningQuestion& question, const QueueQuestion& queue) {
  std::vector<QueuedJob> jobs;
  PlannedCluster cluster;
  std::vector<std::string> files;
  if (std::filesystem::is_directory(queue.jobs)) {
    auto found = job_files(queue.jobs);
    if (!found) return found.error();
    files = *std::move(found);
  } else {
    auto recorded = recorded_jobs(queue.jobs);
    if (!recorded) return recorded.error();
    jobs = *std::move(recorded);
  }
  files.push_back(question.job);
  double next = 0;
  for (const QueuedJob& job : jobs) next = std::max(next, job.submitted + queue.apart_seconds);
  for (const std::string& file : files) {
    auto job = queued_job(question, file, cluster);
    if (!job) return job.error();
    job->submitted = next;
    next += queue.apart_seconds;
    jobs.push_back(*std::move(job));
  }
  const auto result = simulate_queue(jobs, cluster.nodes, cluster.devices_per_node);
  if (!result) return result.error();
  const QueueResult fifo = pooled_queue(jobs, cluster.devices(), PooledOrder::kFirstComeFirst);
  const QueueResult easy = pooled_queue(jobs, cluster.devices(), PooledOrder::kBackfill);
  if (queue.is_json) {
    nlohmann::ordered_json json = waits_json(*result);
    json["first_come_first"] = waits_json(fifo);
    json["backfill"] = waits_json(easy);
    json["jobs"] = nlohmann::ordered_json::array();
    for (size_t i = 0; i < jobs.size(); ++i) {
      const JobTimes& times = result->jobs[i];
      json["jobs"].push_back({{"file", jobs[i].name},
                              {"devices", jobs[i].slots()},
                              {"hours", jobs[i].seconds / kHour},
                              {"waited_hours", (times.begun - jobs[i].submitted) / kHour},
                              {"ended_hours", times.ended / kHour},
                              {"times_stopped", times.times_stopped}});
    }
    return print_line(to_text(json));
  }
  std::string page =
      fmt::format("{:<40}{:>8}{:>10}{:>10}{:>10}\n", "job", "devices", "hours", "waited", "ended");
  for (size_t i = 0; i < std::min(jobs.size(), kRowsMax); ++i) {
    const JobTimes& times = result->jobs[i];
    page += fmt::format("{:<40}{:>8}{:>10.4g}{:>10.4g}{:>10.4g}\n", jobs[i].name, jobs[i].slots(),
                        jobs[i].seconds / kHour, (times.begun - jobs[i].submitted) / kHour,
                        times.ended / kHour);
  }
  if (jobs.size() > kRowsMax) page += fmt::format("and {} more\n", jobs.size() - kRowsMax);
  page += fmt::format("\n{:<26}{:>10}{:>10}{:>10}{:>10}{:>11}\n", "hours", "mean wait", "95 %",
                      "longest", "all done", "in use");
  page += waits_line("this scheduler", *result);
  page += waits_line("first come, first served", fifo);
  page += waits_line("EASY backfill", easy);
  std::fputs(page.c_str(), stdout);
  return flush_output();
}

}  // namespace troupe::cluster
