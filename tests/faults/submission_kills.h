// Clients that submit jobs to a daemon while it is killed again and again: what was acknowledged is
// there afterwards, once.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/stat.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cluster/cli/door.h"
#include "cluster/jobs/job_file.h"
#include "tests/support/short_job.h"

namespace troupe::tests {

struct SubmissionKills {
  int submissions = 0;
  int kills = 0;
  int clients = 4;
  uint32_t seed = 1;
};

// Jobs that nobody gets to the end of, because their data are a pipe that nobody writes to: the
// first is being prepared for ever and the others wait behind it.
inline JobSpec endless_job(const ShortJob& job) {
  REQUIRE(::mkfifo(job.file("pipe").c_str(), 0600) == 0);
  auto spec = cluster::load_job(
      job.job(), std::vector<std::string>{"data.train=" + job.file("pipe"),
                                          "data.cold_start=[\"" + job.file("pipe") + "\"]"});
  REQUIRE_MESSAGE(spec, spec.error().message);
  return *spec;
}

// What the clients know, shared among them and the one who kills.
class SubmissionLog {
 public:
  void acknowledged(const std::string& name, uint64_t id) {
    {
      const std::lock_guard guard(mutex_);
      const auto [at, is_new] = ids_.emplace(name, id);
      if (!is_new && at->second != id) ++num_changed_;
    }
    changed_.notify_all();
  }
  // False when that takes longer than a daemon that works would need.
  bool comes_to(size_t count) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, std::chrono::seconds(60), [&] { return ids_.size() >= count; });
  }
  const std::map<std::string, uint64_t>& ids() const { return ids_; }
  // Requests that were answered with two different jobs.
  size_t num_changed() const { return num_changed_; }

 private:
  std::mutex mutex_{};
  std::condition_variable changed_{};
  std::map<std::string, uint64_t> ids_{};
  size_t num_changed_ = 0;
};

struct ClientCounts {
  std::atomic<uint64_t> asked{0}, failed{0}, asked_again{0};
  std::atomic<bool> is_given_up{false};  // The daemon does not come back.
};

// Submits jobs first, first + step, ..., each until it is acknowledged, and some of them again.
inline void submit_all(const std::string& server, const JobSpec& spec, int first, int step, int end,
                       SubmissionLog& log, ClientCounts& counts) {
  std::unique_ptr<cluster::FrontDoorClient> client;
  std::mt19937 random(static_cast<uint32_t>(first));
  for (int i = first; i < end && !counts.is_given_up; i += step) {
    SubmitJob request{.request_id = "request " + std::to_string(i), .job = spec};
    request.job.name = "job_" + std::to_string(i);
    const int times = random() % 8 == 0 ? 2 : 1;
    for (int acknowledged = 0; acknowledged < times && !counts.is_given_up;) {
      if (!client) {
        auto connected = cluster::FrontDoorClient::connect({.folder = server});
        if (!connected) {
          ::poll(nullptr, 0, 5);  // The daemon is being started again.
          continue;
        }
        client = std::move(*connected);
      }
      ++counts.asked;
      const auto job = cluster::only_job(client->ask(request));
      if (!job) {
        ++counts.failed;
        if (job.error().code == ErrorCode::kOverloaded) ::poll(nullptr, 0, 10);
        continue;
      }
      log.acknowledged(request.job.name, job->id);
      counts.asked_again += acknowledged > 0;
      ++acknowledged;
    }
  }
}

inline void check_submission_kills(const SubmissionKills& plan) {
  const ShortJob job;
  const JobSpec spec = endless_job(job);
  const std::string server = job.file("door");
  const Invocation invocation{
      .arguments = {"--home", job.file("home"), "--server", server, "--slots", "1"},
      .name = "trouped"};
  SubmissionLog log;
  ClientCounts counts;
  std::mt19937 random(plan.seed);
  const auto random_ms = [&random](int below) {
    return static_cast<int>(random() % static_cast<uint32_t>(below));
  };
  std::optional<Process> daemon(std::in_place, invocation);
  REQUIRE(daemon->says("serving"));
  std::vector<std::thread> clients;
  for (int i = 0; i < plan.clients; ++i) {
    clients.emplace_back(
        [&, i] { submit_all(server, spec, i, plan.clients, plan.submissions, log, counts); });
  }
  bool goes_on = true;
  int killed_at_start = 0;
  for (int kill = 1; kill <= plan.kills && goes_on; ++kill) {
    const auto target = static_cast<size_t>(plan.submissions) * static_cast<size_t>(kill) /
                        static_cast<size_t>(plan.kills + 1);
    goes_on = log.comes_to(target);
    ::poll(nullptr, 0, random_ms(6));
    daemon->signal(SIGKILL);
    daemon->wait();
    daemon.emplace(invocation);
    if (random() % 8 == 0) {
      ::poll(nullptr, 0, random_ms(100));
      daemon->signal(SIGKILL);
      daemon->wait();
      ++killed_at_start;
      daemon.emplace(invocation);
    }
    goes_on = goes_on && daemon->says("serving");
  }
  CHECK_MESSAGE(goes_on, daemon->error());
  counts.is_given_up = !goes_on;
  for (auto& client : clients) client.join();
  // Once more, so that what is counted is what the store has.
  daemon->signal(SIGKILL);
  daemon->wait();
  daemon.emplace(invocation);
  REQUIRE(daemon->says("serving"));
  auto client = cluster::FrontDoorClient::connect({.folder = server});
  REQUIRE(client);
  const auto jobs = cluster::list_jobs(**client);
  REQUIRE_MESSAGE(jobs, jobs.error().message);
  std::map<std::string, std::vector<uint64_t>> found;
  for (const JobSummary& one : *jobs) found[one.name].push_back(one.id);
  size_t lost = 0;
  size_t doubled = 0;
  for (const auto& [name, id] : log.ids()) {
    const auto at = found.find(name);
    lost += at == found.end() ||
            std::find(at->second.begin(), at->second.end(), id) == at->second.end();
    doubled += at != found.end() && at->second.size() > 1;
  }
  MESSAGE(log.ids().size() << " submissions over " << plan.kills + killed_at_start << " kills, "
                           << killed_at_start << " of them at the start: " << lost << " lost, "
                           << doubled << " doubled; asked " << counts.asked.load() << " times, "
                           << counts.failed.load() << " failed, " << counts.asked_again.load()
                           << " asked again on purpose");
  CHECK(log.ids().size() == static_cast<size_t>(plan.submissions));
  CHECK(jobs->size() == static_cast<size_t>(plan.submissions));
  CHECK(log.num_changed() == 0);
  CHECK(lost == 0);
  CHECK(doubled == 0);
  // Kills came amid requests.
  CHECK(counts.failed > 0);
}

}  // namespace troupe::tests
