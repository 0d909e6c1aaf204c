#include "cluster/nodes/node_daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/random.h>
#include <unistd.h>

#include <caf/all.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "actors/transport.h"
#include "cluster/daemon/credentials.h"
#include "cluster/daemon/process_host.h"
#include "cluster/monitor/gpu_reader.h"
#include "cluster/nodes/file_part.h"
#include "cluster/nodes/file_service.h"
#include "cluster/nodes/file_time.h"
#include "cluster/nodes/host_reading.h"
#include "cluster/nodes/inventory.h"
#include "cluster/nodes/node_dialer.h"
#include "cluster/nodes/node_relay.h"
#include "cluster/nodes/peer_door.h"
#include "cluster/nodes/shared_home.h"
#include "cluster/nodes/sign_of_life.h"
#include "model/formats/file.h"
#include "schemas/check.h"
#include "schemas/overloaded.h"

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLook = std::chrono::milliseconds(100);
// Longer than most steps; what is cut off costs the time since a recovery point.
constexpr auto kLeavePatience = std::chrono::minutes(2);
// Of the dialer's thread, which looks several times a second.
constexpr auto kTurnMax = std::chrono::seconds(5);
constexpr size_t kLastWordsMax = 16 << 10;

uint64_t random_number() {
  uint64_t number = 0;
  TROUPE_CHECK(::getrandom(&number, sizeof(number), 0) == sizeof(number));
  return number;
}

void say_to_people(const std::string& line) { fmt::print(stderr, "trouped: {}\n", line); }

// Of a name, as numbers; the name itself where nobody knows it.
std::string numeric_address(const std::string& host) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &wanted, &found) != 0) return host;
  std::array<char, NI_MAXHOST> text{};
  const int failed = ::getnameinfo(found->ai_addr, found->ai_addrlen, text.data(), text.size(),
                                   nullptr, 0, NI_NUMERICHOST);
  ::freeaddrinfo(found);
  return failed != 0 ? host : text.data();
}

// All of this host's addresses, of the family by which it reaches its head.
std::string any_address_like(const std::string& head) {
  const std::string address = numeric_address(head.substr(0, head.rfind(':')));
  return address.find(':') == std::string::npos ? "0.0.0.0" : "::";
}

// What a job's workers have written since the last time.
class LogTail {
 public:
  explicit LogTail(std::string path) : path_(std::move(path)) {
    std::error_code error;
    const auto size = std::filesystem::file_size(path_, error);
    at_ = error ? 0 : size;
  }

  std::string take() {
    std::string text;
    const Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    const off_t end = file.get() < 0 ? 0 : ::lseek(file.get(), 0, SEEK_END);
    if (end <= static_cast<off_t>(at_)) return text;
    const auto begin =
        std::max<off_t>(static_cast<off_t>(at_), end - static_cast<off_t>(kLastWordsMax));
    text.resize(static_cast<size_t>(end - begin));
    const ssize_t read = ::pread(file.get(), text.data(), text.size(), begin);
    text.resize(read < 0 ? 0 : static_cast<size_t>(read));
    at_ = static_cast<uint64_t>(end);
    return text;
  }

 private:
  std::string path_;
  uint64_t at_ = 0;
};

class NodeDaemon {
 public:
  NodeDaemon(const kernels::Backend& backend, const NodeDaemonOptions& options)
      : backend_(backend), options_(options) {}

  Status run() {
    auto key = read_key_file(options_.key_file);
    if (!key) return key.error();
    if (key->kind != KeyKind::kNode) {
      return invalid_argument(
          fmt::format("{} is the key of a user; a host joins with one from "
                      "troupe keys node NAME",
                      options_.key_file));
    }
    if (Status made = model::create_folders(options_.home); !made) return made;
    const std::string credentials = options_.home + "/credentials";
    if (Status made = make_credentials(credentials); !made) return made;
    if (Status fine = actors::check_credentials(credentials); !fine) return fine;
    auto build = build_of_program();
    if (!build) return build.error();
    credentials_ = credentials;
    // What an earlier run has left belongs to nobody.
    ProcessHost::end_left(credentials, [](uint64_t) { return false; });
    std::error_code ignored;
    std::filesystem::remove_all(jobs_folder(), ignored);

    const uint64_t instance = random_number();
    auto canary = Canary::set(options_.shared_home, key->name, instance);
    if (!canary) return canary.error();
    canary_ = &*canary;

    actors::NodeConfig config(credentials);
    caf::actor_system system(config);
    ProcessHost processes({.gpus = usable_gpus()});
    processes_ = &processes;
    CopyShelf shelf;
    auto peers = PeerDoor::open(any_address_like(options_.head), shelf);
    if (!peers) return peers.error();
    peers_ = std::move(*peers);
    FileMover mover(
        [this](FileRequest request) {
          if (dialer_) dialer_->ask_for_file(std::move(request));
        },
        "node " + key->name, FileMover::Peers{.key = *key, .shelf = &shelf});
    mover_ = &mover;
    parts_ = {.mover = &mover,
              .say =
                  [this](FromNode message) {
                    if (dialer_) dialer_->say(std::move(message));
                  },
              .end_worker =
                  [this](uint64_t pid, const std::string& why) {
                    say_to_people(fmt::format("worker process {} cannot be served: {}", pid, why));
                    processes_->kill(pid);
                  }};
    relay_ = system.spawn(relay_actor, &parts_);
    auto port = actors::publish_root(relay_, 0);
    if (!port) return port.error();
    port_ = *port;
    NodeHello hello{
        .instance = instance,
        .build = *build,
        .arithmetic_id = backend_.arithmetic_id,
        .instruction_set = backend_.name,
        .address = options_.address,
        .head_address = numeric_address(options_.head.substr(0, options_.head.rfind(':'))),
        .facts = take_inventory(options_.home, options_.slots),
        .shared_home = options_.shared_home,
        .canary = canary->text(),
        .copies_port = peers_->port(),
        .copies_key = peers_->key()};
    say_what_it_does("dials " + options_.head);
    auto dialer = NodeDialer::open(
        {.endpoint = "tcp://" + options_.head, .key = *key, .member = {.hello = std::move(hello)}},
        {.joined = [this] { return joined(); },
         .back = [this] { back(); },
         .silent = [this] { silent(); },
         .refused = [this](const std::string& reason, bool is_final) { refused(reason, is_final); },
         .heard = [this](ToNode message) { heard(std::move(message)); },
         .disk_free_bytes =
             [this] {
               turned_at_ = Clock::now().time_since_epoch();
               return disk_free_bytes(options_.home);
             }});
    if (!dialer) return dialer.error();
    {
      const std::lock_guard lock(mutex_);
      dialer_ = std::move(*dialer);
    }
    say_to_people(fmt::format("node {} dials {}, jobs' files in {}", key->name, options_.head,
                              options_.home));
    const Status ended = wait();
    options_.service->stopping();
    std::unique_ptr<NodeDialer> closing;
    {
      const std::lock_guard lock(mutex_);
      closing = std::move(dialer_);
    }
    closing.reset();
    peers_.reset();
    if (computing_.joinable()) computing_.join();
    // It uses what ends before the system does.
    caf::scoped_actor self(system);
    caf::anon_send_exit(relay_, caf::exit_reason::user_shutdown);
    self->wait_for(std::exchange(relay_, nullptr));
    return ended;
  }

 private:
  struct Process {
    uint64_t job = 0;
    uint32_t slot = 0;
    std::string token{};
    uint32_t patience_seconds = 0;
  };

  std::string jobs_folder() const { return options_.home + "/jobs"; }
  std::string home_of(uint64_t job) const { return fmt::format("{}/{}", jobs_folder(), job); }

  Status wait() {
    std::unique_lock lock(mutex_);
    while (!options_.is_interrupted()) {
      changed_.wait_for(lock, kLook);
      if (failure_) return *failure_;
      tell_service();
      if (!unheard_since_) continue;
      // Nobody comes back to them.
      const auto waited = Clock::now() - *unheard_since_;
      for (const auto& [pid, process] : running_) {
        if (waited > std::chrono::seconds(process.patience_seconds)) processes_->kill(pid);
      }
    }
    if (!running_.empty() && !unheard_since_) {
      say_to_people("leaving once what runs here is elsewhere; a second signal stops now");
      dialer_->say(NodeLeaves{});
      options_.service->stopping();
      const auto until = Clock::now() + kLeavePatience;
      while (!running_.empty() && Clock::now() < until) {
        changed_.wait_for(lock, kLook);
        tell_service();
      }
    }
    say_to_people("stopping");
    lock.unlock();
    dialer_->say_last(NodeLeaves{.is_now = true});
    return ok();
  }

  // From any thread.
  void say_what_it_does(const std::string& text) {
    options_.service->status(text);
    const std::lock_guard lock(mutex_);
    does_ = text;
  }

  // This thread holds the lock that all others need, and the dialer's has gone round of late: so
  // neither hangs.
  void tell_service() {
    const auto now = Clock::now();
    if (now.time_since_epoch() - turned_at_.load() > kTurnMax) return;
    if (now - written_at_ >= kSignOfLifeEvery) {
      written_at_ = now;
      give_sign_of_life(options_.home, does_);
    }
    if (!std::exchange(is_ready_, true)) {
      options_.service->ready();
      alive_at_ = now;
    }
    const auto every = options_.service->alive_every();
    if (!every || now - alive_at_ < *every) return;
    alive_at_ = now;
    options_.service->alive();
  }

  // ---- On the dialer's thread.

  NodeProcesses joined() {
    // The head names those that are there once more.
    peers_->shut_all_out();
    mover_->connected();
    const Status is_shared = canary_->check_answer();
    say_what_it_does("works for " + options_.head);
    const std::lock_guard lock(mutex_);
    if (is_shared) {
      say_to_people(options_.shared_home.empty()
                        ? "joined"
                        : "joined; files in " + options_.shared_home + " are not moved");
    } else {
      failure_ = is_shared.error();
      changed_.notify_all();
    }
    unheard_since_.reset();
    NodeProcesses all;
    for (const auto& [pid, process] : running_) {
      all.processes.push_back({process.job, process.slot, pid, process.token});
    }
    caf::anon_send(relay_, HeadIsNew{});
    return all;
  }

  void back() {
    mover_->connected();
    say_to_people("the head is heard again");
    say_what_it_does("works for " + options_.head);
    const std::lock_guard lock(mutex_);
    unheard_since_.reset();
  }

  void silent() {
    say_to_people("the head is not heard; what is under way goes on");
    say_what_it_does("does not hear " + options_.head);
    const std::lock_guard lock(mutex_);
    unheard_since_ = Clock::now();
  }

  void refused(const std::string& reason, bool is_final) {
    if (!is_final) {
      say_to_people("not let in yet: " + reason);
      return;
    }
    const std::lock_guard lock(mutex_);
    failure_ = invalid_argument("the head does not let this node in: " + reason);
    changed_.notify_all();
  }

  void heard(ToNode message) {
    std::visit(Overloaded{
                   [&](const StartProcess& start) { this->start(start); },
                   [&](const KillProcess& kill) { processes_->kill(kill.pid); },
                   [&](WorkerHears& hears) { caf::anon_send(relay_, HeadSaid{std::move(hears)}); },
                   [&](const DropFiles& drop) { this->drop(drop); },
                   [&](FileReply& reply) { mover_->answered(std::move(reply)); },
                   [&](const ExamineNode& question) { answer(question); },
                   [&](const KeepFiles& keep) { this->keep(keep); },
                   [&](const GiveFiles& give) { this->give(give); },
                   [&](const PeerUp& peer) { peers_->let_in(peer.node, peer.key); },
                   [&](const PeerGone& peer) { peers_->shut_out(peer.node); },
                   // The dialer's own.
                   [](const NodeWelcome&) {},
                   [](const NodeRefused&) {},
               },
               message);
  }

  // At once, but for a product: whoever is timed must not wait for it.
  void answer(const ExamineNode& question) {
    NodeExamined examined{.request_id = question.request_id};
    examined.payload.resize(question.reply_bytes);
    if (!question.computes) {
      examined.reading = take_reading(options_.home);
      const std::lock_guard lock(mutex_);
      if (dialer_) dialer_->say(std::move(examined));
      return;
    }
    if (computing_.joinable()) computing_.join();
    computing_ = std::thread([this, examined = std::move(examined)]() mutable {
      examined.reading = take_reading(options_.home, measure_flops_per_core(backend_));
      const std::lock_guard lock(mutex_);
      if (dialer_) dialer_->say(std::move(examined));
    });
  }

  void start(const StartProcess& start) {
    const std::string home = home_of(start.job);
    const bool is_shared = !options_.shared_home.empty();
    std::error_code ignored;
    std::filesystem::create_directories(home + "/policies", ignored);
    const std::string log = home + "/workers.log";
    caf::anon_send(relay_, JobIsHere{start.job,
                                     {.home_at_head = start.home,
                                      .home_here = is_shared ? start.home : home,
                                      .models_here = options_.home + "/models",
                                      .is_shared = is_shared}});
    const std::lock_guard lock(mutex_);
    logs_.try_emplace(start.job, log);
    homes_[start.job] = start.home;
    const auto pid = processes_->start(
        {.job = start.job,
         .slot = start.slot,
         .token = start.token,
         .port = port_,
         .credentials_folder = credentials_,
         .device = start.device,
         .log_path = log},
        [this, job = start.job](const actors::ProcessEnd& end) { ended(job, end); });
    ProcessStarted started{.request_id = start.request_id};
    if (pid) {
      started.pid = *pid;
      running_[*pid] = {start.job, start.slot, start.token, start.patience_seconds};
    } else {
      started.failure = pid.error().message;
    }
    if (dialer_) dialer_->say(std::move(started));
  }

  // On the process host's thread, or, after the daemon's end, on its own.
  void ended(uint64_t job, const actors::ProcessEnd& end) {
    const std::lock_guard lock(mutex_);
    running_.erase(end.pid);
    changed_.notify_all();
    ProcessEnded told{.job = job,
                      .slot = end.slot,
                      .pid = end.pid,
                      .exit_code = end.exit_code,
                      .signal = end.signal};
    if (const auto log = logs_.find(job); log != logs_.end()) told.last_words = log->second.take();
    if (dialer_) dialer_->say(std::move(told));
  }

  void keep(const KeepFiles& keep) {
    const std::string path = place_of(keep.job, keep.home, keep.path);
    const std::string was = place_of(keep.job, keep.home, keep.was);
    if (path.empty() || was.empty()) return;
    {
      const std::lock_guard lock(mutex_);
      homes_[keep.job] = keep.home;
    }
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
    std::filesystem::rename(was, path, ignored);
    mover_->fetch(keep.job, {{.at_head = keep.path, .here = path}}, [keep](const Status& status) {
      if (status) return;
      say_to_people(fmt::format("no copy of {} is here: {}", keep.path, status.error().message));
    });
  }

  void give(const GiveFiles& give) {
    const std::string path = place_of(give.job, give.home, give.path);
    std::vector<FileMove> files;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator at(path, error), end; !error && at != end;
         at.increment(error)) {
      const std::string here = at->path().string();
      if (!stamp_of(here) || at->path().extension() == kUnfinished) continue;
      files.push_back({.at_head = give.path + here.substr(path.size()), .here = here});
    }
    const auto say = [this, id = give.request_id](bool has_any, const std::string& failure) {
      const std::lock_guard lock(mutex_);
      if (dialer_) dialer_->say(FilesGiven{id, has_any, failure});
    };
    if (files.empty()) return say(false, "");
    mover_->push(give.job, std::move(files),
                 [say](const Status& status) { say(true, status ? "" : status.error().message); });
  }

  // Where this node has what lies there at the head; empty: nowhere.
  std::string place_of(uint64_t job, const std::string& home, const std::string& at_head) const {
    if (!is_below(at_head, home) || at_head == home) return "";
    return home_of(job) + at_head.substr(home.size());
  }

  void drop(const DropFiles& drop) {
    std::string path;
    {
      const std::lock_guard lock(mutex_);
      const auto home = homes_.find(drop.job);
      if (home == homes_.end()) return;
      path = drop.path.empty() ? home_of(drop.job) : place_of(drop.job, home->second, drop.path);
    }
    if (path.empty()) return;
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }

  const kernels::Backend& backend_;
  const NodeDaemonOptions& options_;
  std::string credentials_{};
  uint16_t port_ = 0;
  RelayParts parts_{};
  caf::actor relay_{};
  ProcessHost* processes_ = nullptr;
  FileMover* mover_ = nullptr;
  const Canary* canary_ = nullptr;
  std::unique_ptr<PeerDoor> peers_{};
  std::unique_ptr<NodeDialer> dialer_{};
  std::atomic<Clock::duration> turned_at_{};  // When the dialer's thread last went round.
  bool is_ready_ = false;                     // And the service manager knows it.
  Clock::time_point alive_at_{};
  Clock::time_point written_at_{};
  std::thread computing_{};
  std::mutex mutex_{};
  std::condition_variable changed_{};
  // All below: guarded by mutex_.
  std::string does_{};                       // For people.
  std::map<uint64_t, Process> running_{};    // By process number.
  std::map<uint64_t, LogTail> logs_{};       // By job.
  std::map<uint64_t, std::string> homes_{};  // At the head, by job.
  std::optional<Clock::time_point> unheard_since_{};
  std::optional<Error> failure_{};
};

}  // namespace

Status run_node(const kernels::Backend& backend, const NodeDaemonOptions& options) {
  return NodeDaemon(backend, options).run();
}

}  // namespace troupe::cluster
