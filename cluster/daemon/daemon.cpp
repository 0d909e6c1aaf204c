#include "cluster/daemon/daemon.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <limits>
#include <map>
#include <mutex>

#include "actors/verifier/verifier_table.h"
#include "cluster/daemon/head.h"
#include "cluster/daemon/input_desk.h"
#include "cluster/dashboard/dashboard.h"
#include "cluster/formats/tensorboard_sink.h"
#include "cluster/gateway/front_door.h"
#include "cluster/gateway/front_door_client.h"
#include "cluster/jobs/job_file.h"
#include "cluster/keys/key_ring.h"
#include "cluster/monitor/metrics_feed.h"
#include "cluster/monitor/run_view.h"
#include "cluster/monitor/watched_job.h"
#include "model/formats/file.h"
#include "schemas/job_codec.h"

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto kInterruptPeriod = 100ms;
// Longer than a step; a job that is cut off loses nothing but the time since its recovery point.
constexpr auto kDrainPatience = 5min;
constexpr auto kOwnAnswerPatience = 5s;  // Of a question at the own door.
constexpr size_t kWatchesMax = 64;
constexpr size_t kLogBytesMax = 1 << 20;  // Of one answer.
constexpr const char* kLogFile = "/log.txt";
constexpr const char* kContentFolder = "/content";

// Open files beside users' connections: tables and logs of the store, what is written about jobs,
// workers.
constexpr rlim_t kOwnDescriptors = 448;
constexpr rlim_t kDescriptorsWanted = 4'096;
constexpr rlim_t kConnectionsMin = 16;

// How many connections each of the door's sockets may have, so that there are always enough
// descriptors for the daemon's own files.
Result<size_t> connections_max(size_t num_sockets) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return size_t{kConnectionsMin};
  if (limit.rlim_cur < kDescriptorsWanted) {
    limit.rlim_cur = std::min(limit.rlim_max, kDescriptorsWanted);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  const rlim_t needed = kOwnDescriptors + num_sockets * kConnectionsMin;
  if (limit.rlim_cur < needed) {
    return invalid_argument(fmt::format(
        "the limit of open files is {} and the daemon needs {}: raise it, e.g. with ulimit -n",
        limit.rlim_cur, needed));
  }
  return static_cast<size_t>((limit.rlim_cur - kOwnDescriptors) / num_sockets);
}

ControlReply failed(Error error) {
  ControlReply reply;
  reply.error = std::move(error);
  return reply;
}

// A job and who listens to it beside its files: its log, and everybody at the feed.
class JobWatch {
 public:
  JobWatch(const JobRecord& record, MetricsFeed::Publish publish)
      : file_(std::fopen((record.home + kLogFile).c_str(), "a")),
        log_(file_ ? file_.get() : stderr),
        feed_(record.id, std::move(publish)),
        tensorboard_(record.home, true),
        job_({.home = record.home, .goes_on = true, .listeners = {&log_, &feed_, &tensorboard_}}) {}

  WatchedJob& job() { return job_; }
  const MetricsFeed& feed() const { return feed_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_;
  PlainView log_;
  MetricsFeed feed_;
  TensorBoardSink tensorboard_;
  WatchedJob job_;
};

class Daemon {
 public:
  Daemon(const kernels::Backend& backend, const DaemonOptions& options)
      : backend_(backend), options_(options) {}

  Status run() {
    const auto connections = connections_max(options_.listen ? 3 : 2);
    if (!connections) return connections.error();
    std::shared_ptr<KeyRing> ring;
    FrontDoor::Options door_options{.folder = options_.server};
    door_options.connections_max = std::min(*connections, door_options.connections_max);
    if (options_.listen) {
      auto keys = KeyRing::open({.folder = options_.keys, .noted = [](const std::string& line) {
                                   fmt::print(stderr, "trouped: {}\n", line);
                                 }});
      if (!keys) return keys.error();
      ring = *keys;
      FrontDoor::Network network{.address = *options_.listen, .keys = ring};
      network.connections_max = std::min(*connections, network.connections_max);
      door_options.network = std::move(network);
    }
    if (Status status = model::create_folders(options_.home); !status) return status;
    auto store = actors::ReplayStore::open(store_folder(options_.home));
    if (!store) return store.error();
    if (Status opened = open_desk(**store); !opened) return opened;
    auto door =
        FrontDoor::open(std::move(door_options), [this](ControlRequest request, const Asker& asker,
                                                        std::function<void(ControlReply)> answer) {
          serve(std::move(request), asker, std::move(answer));
        });
    if (!door) return door.error();
    door_ = std::move(*door);
    auto head = Head::open(
        backend_, std::move(*store),
        {.folder = options_.home,
         .slots = options_.slots,
         .trusted_programs = options_.trusted_programs,
         .home_of = [this](uint64_t job) { return fmt::format("{}/jobs/{}", options_.home, job); },
         .with_paths = [this](const JobRecord& record) { return desk_->with_paths(record); },
         .make_sink = [this](const JobRecord& record) { return watch(record); },
         .job_changed =
             [this, said = std::map<uint64_t, JobState>()](const JobRecord& record) mutable {
               desk_->job_changed(record);
               const auto [last, is_new] = said.try_emplace(record.id, record.state);
               if (!is_new && std::exchange(last->second, record.state) == record.state) return;
               fmt::print(stderr, "trouped: job {} ({}) is {}{}{}\n", record.id, record.spec.name,
                          name(record.state), record.message.empty() ? "" : ": ", record.message);
             },
         .noted = [](const std::string& line) { fmt::print(stderr, "trouped: {}\n", line); },
         .nodes_address = nodes_address(),
         .keys = ring});
    if (!head) return head.error();
    {
      const std::lock_guard guard(head_mutex_);
      head_ = head->get();
    }
    Showing showing(options_.dashboard,
                    {.ask =
                         [this](ControlRequest request, const Asker& asker,
                                std::function<void(ControlReply)> answer) {
                           serve(std::move(request), asker, std::move(answer));
                         },
                     .find_job = [this](uint64_t job) { return find_watched(job); }});
    if (options_.dashboard != nullptr) {
      fmt::print(stderr, "trouped: dashboard: {}\n", options_.dashboard->url());
    }
    const auto network = door_->network_address();
    const auto nodes = (*head)->nodes_address();
    fmt::print(stderr, "trouped: serving {}{}, jobs in {}\n", options_.server,
               network ? " and " + text_of(*network) : "", options_.home);
    if (nodes) fmt::print(stderr, "trouped: nodes join at {}\n", text_of(*nodes));
    std::mutex mutex;
    std::unique_lock lock(mutex);
    options_.service->status(
        fmt::format("serves {}{}", options_.server, network ? " and " + text_of(*network) : ""));
    while (!options_.is_interrupted()) {
      std::condition_variable().wait_for(lock, kInterruptPeriod);
      tell_service();
    }
    options_.service->stopping();
    fmt::print(stderr, "trouped: stopping after the step under way; a second signal stops now\n");
    (*head)->leave_nobody();
    const bool is_drained = (*head)->drain(kDrainPatience, [this] { give_sign_of_life(); });
    showing.end();
    {
      const std::lock_guard guard(head_mutex_);
      head_ = nullptr;
    }
    // The head first: its runs publish through the door.
    head->reset();
    door_.reset();
    fmt::print(stderr, "trouped: stopped{}; jobs go on with the next daemon\n",
               is_drained ? "" : ", the step under way was cut off");
    return ok();
  }

 private:
  Status open_desk(actors::ReplayStore& store) {
    const auto jobs = stored_jobs(store);
    if (!jobs) return jobs.error();
    auto allowed = AllowedPaths::open(options_.allowed_paths, options_.home);
    if (!allowed) return allowed.error();
    auto content = ContentStore::open(options_.home + kContentFolder, {});
    if (!content) return content.error();
    desk_ = std::make_unique<InputDesk>(std::move(*content), std::move(*allowed), *jobs);
    return ok();
  }

  // Whether the door, the scheduler behind it and the way back are at work: asked as users do.
  bool answers() {
    if (!asking_) {
      auto client =
          FrontDoorClient::connect({.folder = options_.server, .deadline = kOwnAnswerPatience});
      if (!client) return false;
      asking_ = std::move(*client);
    }
    if (asking_->ask(ListJobs{std::numeric_limits<uint64_t>::max()})) return true;
    asking_.reset();
    return false;
  }

  void tell_service() {
    if (!options_.service->is_there()) return;
    if (is_ready_) {
      give_sign_of_life();
    } else if (answers()) {
      is_ready_ = true;
      alive_at_ = ServiceNotice::Clock::now();
      options_.service->ready();
    }
  }

  void give_sign_of_life() {
    const auto every = options_.service->alive_every();
    const auto now = ServiceNotice::Clock::now();
    if (!every || now - alive_at_ < *every || !answers()) return;
    alive_at_ = now;
    options_.service->alive();
  }

  std::optional<HostPort> nodes_address() const {
    if (options_.listen_nodes) return options_.listen_nodes;
    auto address = options_.listen;
    if (address && address->port != 0) ++address->port;
    return address;
  }

  std::shared_ptr<actors::MetricsSink> watch(const JobRecord& record) {
    auto watch = std::make_shared<JobWatch>(
        record, [this, owner = record.owner](std::string topic, std::vector<std::byte> event) {
          door_->publish(std::move(topic), owner, std::move(event));
        });
    const std::lock_guard lock(mutex_);
    watches_[record.id] = watch;
    // The oldest jobs' histories are in their files.
    if (watches_.size() > kWatchesMax) {
      const auto first = watches_.begin();
      watches_.erase(first->first == record.id ? std::next(first) : first);
    }
    return {watch, &watch->job()};
  }

  // On the door's thread.
  void serve(ControlRequest request, const Asker& asker, std::function<void(ControlReply)> answer) {
    const std::lock_guard guard(head_mutex_);
    if (head_ == nullptr) {
      answer(failed(not_there()));
      return;
    }
    if (const auto* submit = std::get_if<SubmitJob>(&request)) {
      Status valid = cluster::validate(submit->job);
      if (valid) valid = troupe::validate(submit->job);
      if (valid) valid = check_paths(submit->job);
      if (valid) {
        const auto trusted =
            actors::find_trusted_programs(submit->job.rewards, options_.trusted_programs);
        if (!trusted) valid = trusted.error();
      }
      if (!valid) {
        answer(failed(invalid_argument(valid.error().message)));
        return;
      }
      // The operator at the daemon's own sockets names what there is.
      if (!asker.name.empty()) {
        desk_->check(*submit, asker, [this, request, asker, answer](const Status& checked) {
          if (checked) {
            ask_head(request, asker, answer);
          } else {
            answer(failed(checked.error()));
          }
        });
        return;
      }
    }
    if (auto* offer = std::get_if<OfferContent>(&request)) {
      desk_->offer(std::move(*offer), asker, std::move(answer));
      return;
    }
    if (auto* part = std::get_if<SendContent>(&request)) {
      desk_->send(std::move(*part), asker, std::move(answer));
      return;
    }
    if (const auto* examine = std::get_if<ExamineHost>(&request)) {
      if (!asker.is_operator) {
        answer(failed(invalid_argument("only operators examine hosts; ask one")));
        return;
      }
      answer = [this, name = examine->host, answer = std::move(answer)](ControlReply reply) {
        this->examine(name, reply, answer);
      };
      request = ListHosts{};
    } else if (std::holds_alternative<ListHosts>(request)) {
      answer = [free = head_->disks_free(), answer = std::move(answer)](ControlReply reply) {
        for (HostSummary& host : reply.hosts) {
          if (const auto found = free.find(host.name); found != free.end()) {
            host.disk_free_bytes = found->second;
          }
        }
        answer(std::move(reply));
      };
    } else if (const auto* logs = std::get_if<JobLogs>(&request)) {
      answer = [answer = std::move(answer), first = logs->first_line](ControlReply reply) {
        if (!reply.error) add_lines(reply, first);
        answer(std::move(reply));
      };
    } else if (const auto* watching = std::get_if<WatchJob>(&request)) {
      answer = [this, answer = std::move(answer), one = *watching](ControlReply reply) {
        if (!reply.error) add_events(reply, one);
        answer(std::move(reply));
      };
    }
    head_->ask(std::move(request), asker, std::move(answer));
  }

  // From the desk.
  void ask_head(const ControlRequest& request, const Asker& asker,
                std::function<void(ControlReply)> answer) {
    const std::lock_guard guard(head_mutex_);
    if (head_ == nullptr) {
      answer(failed(not_there()));
    } else {
      head_->ask(request, asker, std::move(answer));
    }
  }

  static Error not_there() {
    return {ErrorCode::kOverloaded, "the daemon is starting or stopping; ask again"};
  }

  // One of the hosts that were listed.
  void examine(const std::string& name, ControlReply& listed,
               const std::function<void(ControlReply)>& answer) {
    const auto host = std::find_if(listed.hosts.begin(), listed.hosts.end(),
                                   [&](const HostSummary& one) { return one.name == name; });
    if (host == listed.hosts.end()) {
      answer(failed(
          invalid_argument(fmt::format("there is no host {}; troupe nodes lists them", name))));
      return;
    }
    host->tenants.clear();
    const std::lock_guard guard(head_mutex_);
    if (head_ == nullptr) {
      answer(failed(not_there()));
    } else {
      head_->examine(std::move(*host), answer);
    }
  }

  static void add_lines(ControlReply& reply, uint64_t first) {
    std::ifstream file(reply.jobs.at(0).home + kLogFile);
    uint64_t number = 0;
    size_t bytes = 0;
    for (std::string line; std::getline(file, line); ++number) {
      if (number < first) continue;
      bytes += line.size() + 16;
      if (reply.lines.size() == kControlListMax || bytes > kLogBytesMax) break;
      reply.lines.push_back(std::move(line));
    }
    reply.next = std::max(number, first);
  }

  std::shared_ptr<JobWatch> find_watch(uint64_t job) {
    const std::lock_guard lock(mutex_);
    const auto found = watches_.find(job);
    return found == watches_.end() ? nullptr : found->second;
  }

  std::shared_ptr<WatchedJob> find_watched(uint64_t job) {
    const auto watch = find_watch(job);
    return watch ? std::shared_ptr<WatchedJob>(watch, &watch->job()) : nullptr;
  }

  void add_events(ControlReply& reply, const WatchJob& watching) {
    const auto watch = find_watch(watching.id);
    if (watch) reply.events = watch->feed().history(watching.first_sequence, reply.next);
  }

  const kernels::Backend& backend_;
  const DaemonOptions& options_;
  std::mutex head_mutex_{};
  Head* head_ = nullptr;  // Guarded by head_mutex_.
  std::mutex mutex_{};
  std::map<uint64_t, std::shared_ptr<JobWatch>> watches_{};  // Guarded by mutex_.
  // From run() on. Their threads use what is above, and the door's the desk.
  std::unique_ptr<InputDesk> desk_{};
  std::unique_ptr<FrontDoor> door_{};
  std::unique_ptr<FrontDoorClient> asking_{};  // At the own door.
  bool is_ready_ = false;                      // And the service manager knows it.
  ServiceNotice::Clock::time_point alive_at_{};
};

}  // namespace

Status run_daemon(const kernels::Backend& backend, const DaemonOptions& options) {
  return Daemon(backend, options).run();
}

}  // namespace troupe::cluster
