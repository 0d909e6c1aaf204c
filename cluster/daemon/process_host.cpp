#include "cluster/daemon/process_host.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>

#include "cluster/daemon/lifeline.h"
#include "schemas/check.h"

namespace troupe::cluster {
namespace {

constexpr char kOwnProgram[] = "/proc/self/exe";
constexpr int kLifelineNumber = 3;  // In the child, behind the standard three.

Error failed(std::string_view what, int reason) {
  return {ErrorCode::kInternal, fmt::format("cannot {}: {}", what, std::strerror(reason))};
}

// By number, because glibc 2.36 declares its wrapper without C linkage.
void send_kill(const Descriptor& process) {
  // It fails only when the process is gone already.
  (void)::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
}

struct WorkerCard {
  std::string path{};
  uint64_t job = 0;
  uint32_t slot = 0;
};

// The files in a folder that are called like cards of workers.
std::vector<WorkerCard> worker_cards(const std::string& folder) {
  std::vector<WorkerCard> cards;
  std::error_code error;
  std::filesystem::directory_iterator at(folder, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    WorkerCard card{.path = at->path().string()};
    const std::string name = at->path().filename().string();
    if (std::sscanf(name.c_str(), "worker_%" SCNu64 "_%" SCNu32, &card.job, &card.slot) == 2 &&
        card.path == worker_card(folder, card.job, card.slot)) {
      cards.push_back(std::move(card));
    }
  }
  return cards;
}

// Not 0, 1 or 2 even where this process was started without them: those are replaced in a child.
Descriptor behind_standard(int fd) {
  Descriptor low(fd);
  if (fd > 2) return low;
  return Descriptor(::fcntl(fd, F_DUPFD_CLOEXEC, kLifelineNumber));
}

constexpr char kGpuVariable[] = "TROUPE_WORKER_GPU";         // Says which is the worker's ...
constexpr char kVisibleVariable[] = "CUDA_VISIBLE_DEVICES";  // ... and this to CUDA.

std::vector<std::string> child_environment(const actors::WorkerLaunch& launch,
                                           const std::string& gpu) {
  const std::string ours[] = {
      fmt::format("{}=", kTokenVariable), fmt::format("{}=", kLifelineVariable),
      fmt::format("{}=", kGpuVariable), fmt::format("{}=", kVisibleVariable)};
  // Programs that a worker without a GPU starts may use what this process may.
  const size_t replaced = gpu.empty() ? 3 : 4;
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const bool is_ours = std::any_of(ours, ours + replaced,
                                     [&](const auto& name) { return text.rfind(name, 0) == 0; });
    if (!is_ours) all.emplace_back(text);
  }
  all.push_back(ours[0] + launch.token);
  all.push_back(ours[1] + std::to_string(kLifelineNumber));
  if (gpu.empty()) return all;
  all.push_back(ours[2] + gpu);
  all.push_back(ours[3] + gpu);
  return all;
}

// What child_environment() gave a process that an earlier head has started.
std::string gpu_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/environ", pid));
  const std::string name = fmt::format("{}=", kGpuVariable);
  for (std::string entry; std::getline(file, entry, '\0');) {
    if (entry.rfind(name, 0) == 0) return entry.substr(name.size());
  }
  return {};
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  for (std::string& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

// What posix_spawn does between fork and exec, where this process, which has threads, could not
// even allocate.
class SpawnPlan {
 public:
  SpawnPlan(int lifeline, int log) {
    TROUPE_CHECK(posix_spawn_file_actions_init(&actions_) == 0);
    TROUPE_CHECK(posix_spawnattr_init(&attributes_) == 0);
    check(posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0));
    check(posix_spawn_file_actions_addopen(&actions_, 1, "/dev/null", O_WRONLY, 0));
    if (log >= 0) check(posix_spawn_file_actions_adddup2(&actions_, log, 2));
    check(posix_spawn_file_actions_adddup2(&actions_, lifeline, kLifelineNumber));
    // Not everything that a library opened is closed by exec.
    check(posix_spawn_file_actions_addclosefrom_np(&actions_, kLifelineNumber + 1));
    // Threads of this process may block or ignore signals that the worker wants.
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    check(posix_spawnattr_setsigmask(&attributes_, &none));
    check(posix_spawnattr_setsigdefault(&attributes_, &all));
    check(posix_spawnattr_setpgroup(&attributes_, 0));
    check(posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
  }
  ~SpawnPlan() {
    posix_spawnattr_destroy(&attributes_);
    posix_spawn_file_actions_destroy(&actions_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  // They fail only when memory is out.
  static void check(int error) { TROUPE_CHECK(error == 0); }

  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

ProcessHost::ProcessHost(Options options) : options_(std::move(options)) {
  int ends[2] = {};
  TROUPE_CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  lifeline_read_ = behind_standard(ends[0]);
  lifeline_write_ = behind_standard(ends[1]);
  wake_ = behind_standard(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  TROUPE_CHECK(wake_.get() >= 0);
  reaper_ = std::thread([this] { reap(); });
}

ProcessHost::~ProcessHost() {
  {
    const std::lock_guard guard(mutex_);
    is_stopping_ = true;
    for (const auto& [pid, child] : children_) send_kill(child.process);
  }
  wake();
  reaper_.join();
}

Result<uint64_t> ProcessHost::start(const actors::WorkerLaunch& launch,
                                    std::function<void(const actors::ProcessEnd&)> ended) {
  Descriptor log;
  if (!launch.log_path.empty()) {
    log = behind_standard(
        ::open(launch.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (log.get() < 0) return failed("open " + launch.log_path, errno);
  }
  std::vector<std::string> words = {options_.program == kOwnProgram ? "troupe" : options_.program};
  words.insert(words.end(), options_.arguments_before.begin(), options_.arguments_before.end());
  for (std::string word : {std::string("--job"), std::to_string(launch.job), std::string("--slot"),
                           std::to_string(launch.slot), std::string("--port"),
                           std::to_string(launch.port), std::string("--credentials"),
                           launch.credentials_folder, std::string("--device"), launch.device}) {
    words.push_back(std::move(word));
  }
  const SpawnPlan plan(lifeline_read_.get(), log.get());

  // Held until the child is known, so that the reaper cannot miss it and stopping cannot overtake.
  const std::lock_guard guard(mutex_);
  if (is_stopping_) return Error{ErrorCode::kInternal, "no worker is started while all are ended"};
  std::string gpu;
  if (launch.device == "cuda") {
    auto free = free_gpu();
    if (!free) return free.error();
    gpu = std::move(*free);
  }
  std::vector<std::string> environment = child_environment(launch, gpu);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, options_.program.c_str(), plan.actions(), plan.attributes(),
                                  pointers(words).data(), pointers(environment).data());
  if (error != 0) return failed("start " + options_.program, error);
  // The number is not used again before the process is waited for.
  Descriptor process = open_process(pid);
  if (process.get() < 0) {
    const int reason = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return failed("watch a new process", reason);
  }
  Child child{launch.job, launch.slot, std::move(process), {}, std::move(gpu), std::move(ended)};
  if (!launch.credentials_folder.empty()) {
    child.card = worker_card(launch.credentials_folder, launch.job, launch.slot);
    // Without it the next head would not find the process, which then ends by itself.
    if (const auto card = card_of(pid, launch.token)) (void)write_card(child.card, *card);
  }
  children_.emplace(pid, std::move(child));
  wake();
  return static_cast<uint64_t>(pid);
}

std::vector<actors::Survivor> ProcessHost::take_over(
    uint64_t job, const std::string& credentials_folder,
    std::function<void(const actors::ProcessEnd&)> ended) {
  std::vector<actors::Survivor> survivors;
  const std::lock_guard guard(mutex_);
  for (const WorkerCard& worker : worker_cards(credentials_folder)) {
    if (worker.job != job) continue;
    const auto card = read_card(worker.path);
    if (card && children_.count(card->pid) > 0) continue;
    Descriptor process = card ? open_process(*card) : Descriptor();
    if (process.get() < 0) {
      ::unlink(worker.path.c_str());
      continue;
    }
    // What another build computes and says is not what this one would.
    if (card->program != own_program()) {
      send_kill(process);
      ::unlink(worker.path.c_str());
      continue;
    }
    survivors.push_back({worker.slot, static_cast<uint64_t>(card->pid), card->word});
    children_.emplace(card->pid, Child{job, worker.slot, std::move(process), worker.path,
                                       gpu_of(card->pid), ended});
  }
  wake();
  return survivors;
}

Result<std::string> ProcessHost::free_gpu() const {
  for (const std::string& gpu : options_.gpus) {
    const bool is_taken = std::any_of(children_.begin(), children_.end(),
                                      [&](const auto& child) { return child.second.gpu == gpu; });
    if (!is_taken) return gpu;
  }
  return Error{ErrorCode::kInternal,
               options_.gpus.empty()
                   ? "this host has no GPU whose driver's library (NVML) answers"
                   : fmt::format("all {} GPUs of this host are taken", options_.gpus.size())};
}

void ProcessHost::end_left(const std::string& credentials_folder,
                           const std::function<bool(uint64_t job)>& goes_on) {
  for (const WorkerCard& worker : worker_cards(credentials_folder)) {
    if (goes_on(worker.job)) continue;
    if (const auto card = read_card(worker.path)) {
      const Descriptor process = open_process(*card);
      if (process.get() >= 0) send_kill(process);
    }
    ::unlink(worker.path.c_str());
  }
}

void ProcessHost::kill(uint64_t pid) {
  const std::lock_guard guard(mutex_);
  const auto child = children_.find(static_cast<pid_t>(pid));
  if (child == children_.end()) return;
  send_kill(child->second.process);
}

void ProcessHost::end_job(uint64_t job) {
  const std::lock_guard guard(mutex_);
  for (const auto& [pid, child] : children_) {
    if (child.job == job) send_kill(child.process);
  }
}

void ProcessHost::wake() const {
  const uint64_t one = 1;
  // It fails only when it is awake already.
  (void)!::write(wake_.get(), &one, sizeof(one));
}

void ProcessHost::reap() {
  while (true) {
    std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}};
    std::vector<pid_t> pids;
    {
      const std::lock_guard guard(mutex_);
      if (is_stopping_ && children_.empty()) return;
      for (const auto& [pid, child] : children_) {
        polled.push_back({child.process.get(), POLLIN, 0});
        pids.push_back(pid);
      }
    }
    if (::poll(polled.data(), polled.size(), -1) < 0) {
      TROUPE_CHECK(errno == EINTR);
      continue;
    }
    uint64_t unused = 0;
    if (polled[0].revents != 0) (void)!::read(wake_.get(), &unused, sizeof(unused));
    for (size_t i = 0; i < pids.size(); ++i) {
      if (polled[i + 1].revents != 0) report_end(pids[i]);
    }
  }
}

void ProcessHost::report_end(pid_t pid) {
  std::unique_lock guard(mutex_);
  const auto found = children_.find(pid);
  siginfo_t info{};
  const auto process = static_cast<id_t>(found->second.process.get());
  const int error = ::waitid(P_PIDFD, process, &info, WEXITED | WNOHANG);
  if (error == 0 && info.si_pid == 0) return;
  actors::ProcessEnd end{.slot = found->second.slot, .pid = static_cast<uint64_t>(pid)};
  if (error != 0) {
    end.exit_code = -1;  // Another head's, or somebody else waited for it, or SIGCHLD is ignored.
  } else if (info.si_code == CLD_EXITED) {
    end.exit_code = info.si_status;
  } else {
    end.signal = info.si_status;
  }
  const auto ended = std::move(found->second.ended);
  // Unless it names the slot's next process already.
  if (const auto card = read_card(found->second.card); card && card->pid == pid) {
    ::unlink(found->second.card.c_str());
  }
  children_.erase(found);
  guard.unlock();
  ended(end);
}

}  // namespace troupe::cluster
