// Real processes.
#include "cluster/daemon/process_host.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <future>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cluster/daemon/lifeline.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace troupe::cluster {
namespace {

using actors::ProcessEnd;
using actors::WorkerLaunch;

ProcessHost::Options shell(const std::string& script) {
  return {.program = "/bin/sh", .arguments_before = {"-c", script}};
}

ProcessEnd end_of(ProcessHost& host, const WorkerLaunch& launch) {
  std::promise<ProcessEnd> ended;
  const auto pid = host.start(launch, [&](const ProcessEnd& end) { ended.set_value(end); });
  REQUIRE_MESSAGE(pid, (pid ? "" : pid.error().message));
  const ProcessEnd end = ended.get_future().get();
  CHECK(end.pid == *pid);
  CHECK(end.slot == launch.slot);
  return end;
}

// Standard error of a shell that runs `script` as worker.
std::string said(const std::string& script, WorkerLaunch launch = {}) {
  const tests::TempDir dir;
  launch.log_path = dir.file("log");
  ProcessHost host(shell(script));
  CHECK(end_of(host, launch).exit_code == 0);
  return tests::contents(launch.log_path);
}

TEST_CASE("process_host: who is to have a GPU has one to itself, until it has ended") {
  const tests::TempDir dir;
  const std::string fifo = dir.file("fifo");
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const int lines = ::open(fifo.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(lines >= 0);
  ProcessHost::Options options =
      shell("echo $CUDA_VISIBLE_DEVICES >&2; read line < " + fifo + "; exit 0");
  options.gpus = {"GPU-a", "GPU-b"};
  ProcessHost host(options);
  std::array<std::promise<ProcessEnd>, 3> ended;
  const auto launch = [&](uint32_t slot, const std::string& device) {
    return WorkerLaunch{.slot = slot, .device = device, .log_path = dir.file(std::to_string(slot))};
  };
  const auto say = [&](size_t i) {
    return [&ended, i](const ProcessEnd& end) { ended[i].set_value(end); };
  };
  const auto first = host.start(launch(0, "cuda"), say(0));
  const auto second = host.start(launch(1, "cuda"), say(1));
  REQUIRE((first && second));
  const auto third = host.start(launch(2, "cuda"), [](const ProcessEnd&) { FAIL("not started"); });
  REQUIRE_FALSE(third);
  CHECK(third.error().message == "all 2 GPUs of this host are taken");
  // A process without one is not in anybody's way.
  const auto other = host.start(launch(3, "cpu"), [](const ProcessEnd&) {});
  REQUIRE(other);
  host.kill(*first);
  CHECK(ended[0].get_future().get().signal == SIGKILL);
  REQUIRE(host.start(launch(2, "cuda"), say(2)));
  REQUIRE(::write(lines, "\n\n\n", 3) == 3);  // Each of the three that are left may end.
  CHECK(ended[1].get_future().get().exit_code == 0);
  CHECK(ended[2].get_future().get().exit_code == 0);
  CHECK(tests::contents(dir.file("1")) == "GPU-b\n");
  CHECK(tests::contents(dir.file("2")) == "GPU-a\n");
  ::close(lines);
}

TEST_CASE("process_host: on a host without GPUs nobody gets one") {
  ProcessHost host(shell("exit 0"));
  const auto none = host.start({.device = "cuda"}, [](const ProcessEnd&) {});
  REQUIRE_FALSE(none);
  CHECK(none.error().message.find("has no GPU") != std::string::npos);
}

TEST_CASE("process_host: how a process ended is said") {
  ProcessHost exits(shell("exit 7"));
  const ProcessEnd exited = end_of(exits, {.slot = 3});
  CHECK(exited.exit_code == 7);
  CHECK(exited.signal == 0);
  ProcessHost crashes(shell("kill -SEGV $$"));
  CHECK(end_of(crashes, {.slot = 4}).signal == SIGSEGV);
}

TEST_CASE("process_host: each end is said once, whoever starts them") {
  constexpr int kThreads = 4;
  constexpr int kEach = 20;
  std::atomic<int> num_ended = 0;
  std::mutex mutex;
  std::multiset<uint64_t> started;
  std::multiset<uint64_t> ended;
  {
    ProcessHost host({.program = "/bin/true"});
    std::vector<std::thread> starters;
    for (int t = 0; t < kThreads; ++t) {
      starters.emplace_back([&] {
        for (int i = 0; i < kEach; ++i) {
          const auto pid = host.start({}, [&](const ProcessEnd& end) {
            ++num_ended;
            const std::lock_guard guard(mutex);
            ended.insert(end.pid);
          });
          const std::lock_guard guard(mutex);
          if (pid) started.insert(*pid);
        }
      });
    }
    for (auto& starter : starters) starter.join();
  }
  CHECK(num_ended == kThreads * kEach);
  CHECK(started == ended);
}

TEST_CASE("process_host: a worker is told where its head is, the token not by its arguments") {
  const std::string text =
      said("echo $0 $* >&2; echo $TROUPE_WORKER_TOKEN >&2; tr '\\0' ' ' < /proc/$$/cmdline >&2",
           {.job = 7, .slot = 2, .token = "s3cret", .port = 4711, .credentials_folder = "/tls"});
  CHECK(text.find("--job 7 --slot 2 --port 4711 --credentials /tls --device cpu\ns3cret\n") == 0);
  CHECK(text.find("s3cret", text.find("s3cret") + 1) == std::string::npos);
}

TEST_CASE("process_host: standard error is appended, input and output lead nowhere") {
  const tests::TempDir dir;
  const WorkerLaunch launch{.log_path = dir.file("log")};
  ProcessHost host(shell("cat; echo lost; echo kept >&2"));
  end_of(host, launch);
  end_of(host, launch);
  CHECK(tests::contents(launch.log_path) == "kept\nkept\n");
}

TEST_CASE("process_host: no descriptor of ours reaches a worker") {
  const int leak = ::dup2(::fileno(stderr), 200);
  REQUIRE(leak == 200);  // Not closed by exec.
  const std::string text = said("for f in /proc/$$/fd/*; do echo ${f##*/} >&2; done");
  ::close(leak);
  CHECK(text.find("0\n1\n2\n3\n") != std::string::npos);
  CHECK(text.find("200") == std::string::npos);
}

TEST_CASE("process_host: a worker leads a process group, and ignores no signal because we do") {
  CHECK(said("read pid name state parent group rest < /proc/$$/stat; "
             "[ $pid = $group ] && echo leads >&2") == "leads\n");
  const auto old_action = ::signal(SIGTERM, SIG_IGN);
  ProcessHost host(shell("kill -TERM $$"));
  CHECK(end_of(host, {}).signal == SIGTERM);
  ::signal(SIGTERM, old_action);
}

TEST_CASE("process_host: a program that is not there is an error and no process") {
  std::atomic<int> num_ended = 0;
  {
    ProcessHost host({.program = "/nowhere/troupe"});
    const auto pid = host.start({}, [&](const ProcessEnd&) { ++num_ended; });
    REQUIRE_FALSE(pid);
    CHECK(pid.error().message.find("/nowhere/troupe") != std::string::npos);
    const auto no_log = host.start({.log_path = "/nowhere/log"}, [&](auto&) { ++num_ended; });
    REQUIRE_FALSE(no_log);
    CHECK(no_log.error().message.find("/nowhere/log") != std::string::npos);
  }
  CHECK(num_ended == 0);
}

// Starts a shell that stops itself, and returns when it has.
uint64_t start_stopped(ProcessHost& host, std::function<void(const ProcessEnd&)> ended) {
  const auto pid = host.start({}, std::move(ended));
  REQUIRE(pid);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(*pid), &info, WSTOPPED | WNOWAIT) == 0);
  return *pid;
}

TEST_CASE("process_host: a stopped process is killed, and a gone one is nobody else") {
  ProcessHost host(shell("kill -STOP $$"));
  std::promise<ProcessEnd> ended;
  const uint64_t pid = start_stopped(host, [&](const ProcessEnd& end) { ended.set_value(end); });
  host.kill(pid);
  CHECK(ended.get_future().get().signal == SIGKILL);
  host.kill(pid);
  host.kill(static_cast<uint64_t>(::getpid()));
  host.kill(1);
}

TEST_CASE("process_host: the end of the host is the end of its processes") {
  std::atomic<int> num_killed = 0;
  std::vector<uint64_t> pids;
  {
    ProcessHost host(shell("kill -STOP $$"));
    for (int i = 0; i < 3; ++i) {
      pids.push_back(
          start_stopped(host, [&](const ProcessEnd& end) { num_killed += end.signal == SIGKILL; }));
    }
  }
  CHECK(num_killed == 3);
  for (const uint64_t pid : pids) {
    CHECK(::waitpid(static_cast<pid_t>(pid), nullptr, WNOHANG) == -1);
    CHECK(errno == ECHILD);
  }
}

constexpr char kFifoVariable[] = "TROUPE_TEST_FIFO";
constexpr char kFolderVariable[] = "TROUPE_TEST_FOLDER";  // Also: the worker waits for a head.

// Run as a worker by the test below: says that it is there and never ends by itself.
TEST_CASE("process_host: a worker that waits" * doctest::skip()) {
  const auto lifeline = lifeline_from_environment();
  const char* const path = std::getenv(kFifoVariable);
  if (!lifeline || path == nullptr) return;
  const char* const folder = std::getenv(kFolderVariable);
  HeadWatch head(*lifeline, folder == nullptr ? "/nonexistent" : folder);
  if (folder != nullptr) head.settle(std::chrono::seconds(30));
  const int fifo = ::open(path, O_WRONLY);
  if (::write(fifo, "a", 1) != 1) ::_exit(1);
  while (true) ::pause();
}

// Run as the head of that worker.
TEST_CASE("process_host: a head that waits" * doctest::skip()) {
  if (std::getenv(kFifoVariable) == nullptr) return;
  ProcessHost host({.program = "/proc/self/exe",
                    .arguments_before = {"--no-skip", "-tc=process_host: a worker that waits"},
                    .gpus = {"GPU-a"}});
  const char* const folder = std::getenv(kFolderVariable);
  const WorkerLaunch launch{.job = 7,
                            .slot = 5,
                            .token = "s3cret",
                            .credentials_folder = folder == nullptr ? "" : folder,
                            .device = "cuda"};
  if (!host.start(launch, [](const ProcessEnd&) {})) return;
  while (true) ::pause();
}

// What can be read within ten seconds: 1 byte, 0 at the end, -1 when nothing came.
int read_soon(int file) {
  pollfd polled{file, POLLIN, 0};
  char byte = 0;
  if (::poll(&polled, 1, 10000) != 1) return -1;
  return static_cast<int>(::read(file, &byte, 1));
}

// A head and its worker, in processes of their own; the worker has the other end of a pipe.
class HeadAndWorker {
 public:
  explicit HeadAndWorker(const std::string& folder = {}) {
    const std::string path = dir_.file("fifo");
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    fifo_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    REQUIRE(fifo_ >= 0);
    head_ = ::fork();
    REQUIRE(head_ >= 0);
    if (head_ == 0) {
      ::setenv(kFifoVariable, path.c_str(), 1);
      if (!folder.empty()) ::setenv(kFolderVariable, folder.c_str(), 1);
      ::execl("/proc/self/exe", "head", "--no-skip", "-tc=process_host: a head that waits",
              nullptr);
      ::_exit(127);
    }
    CHECK(read_soon(fifo_) == 1);
  }
  ~HeadAndWorker() { ::close(fifo_); }
  HeadAndWorker(const HeadAndWorker&) = delete;
  HeadAndWorker& operator=(const HeadAndWorker&) = delete;

  void kill_head() const {
    REQUIRE(::kill(head_, SIGKILL) == 0);
    REQUIRE(::waitpid(head_, nullptr, 0) == head_);
  }
  bool worker_is_gone() const { return read_soon(fifo_) == 0; }

 private:
  const tests::TempDir dir_{};
  int fifo_ = -1;
  pid_t head_ = 0;
};

TEST_CASE("process_host: a worker does not outlive a head that is killed") {
  const HeadAndWorker both;
  both.kill_head();
  CHECK(both.worker_is_gone());
}

TEST_CASE("process_host: a worker that waits for a head is taken over by the next") {
  const tests::TempDir folder;
  tests::write_text(folder.file("head"), "somebody\n");  // Or nobody is waited for.
  const HeadAndWorker both(folder.path());
  both.kill_head();
  const std::string card = worker_card(folder.path(), 7, 5);
  // Whoever has that number now, it is not the one who is meant.
  auto stranger = card_of(::getpid(), "other");
  REQUIRE(stranger);
  ++stranger->begun;
  REQUIRE(write_card(worker_card(folder.path(), 7, 6), *stranger));
  auto rebooted = read_card(card);
  REQUIRE(rebooted);
  rebooted->boot = "another";
  REQUIRE(write_card(worker_card(folder.path(), 7, 8), *rebooted));
  for (const char* name : {"worker_7_x", "worker_7_", "worker_77_1", "worker_8_1"}) {
    tests::write_text(folder.file(name), "nonsense\n");
  }
  std::promise<ProcessEnd> ended;
  ProcessHost host({.program = "/bin/true", .gpus = {"GPU-a"}});
  const auto took =
      host.take_over(7, folder.path(), [&](const ProcessEnd& end) { ended.set_value(end); });
  REQUIRE(took.size() == 1);
  CHECK(took[0].slot == 5);
  CHECK(took[0].token == "s3cret");
  CHECK(took[0].pid == static_cast<uint64_t>(rebooted->pid));
  CHECK(host.take_over(7, folder.path(), [](const ProcessEnd&) {}).empty());
  // It has kept its GPU.
  const auto another = host.start({.device = "cuda"}, [](const ProcessEnd&) {});
  REQUIRE_FALSE(another);
  CHECK(another.error().message == "all 1 GPUs of this host are taken");
  host.kill(took[0].pid);
  const ProcessEnd end = ended.get_future().get();
  CHECK(end.pid == took[0].pid);
  CHECK(end.slot == 5);
  CHECK(end.exit_code == -1);
  CHECK(both.worker_is_gone());
  CHECK_FALSE(read_card(card));
  CHECK(host.take_over(7, folder.path(), [](const ProcessEnd&) {}).empty());
}

TEST_CASE("process_host: what is left of another build or another job is ended") {
  const tests::TempDir folder;
  tests::write_text(folder.file("head"), "somebody\n");
  const std::string path = worker_card(folder.path(), 7, 5);
  const auto leave = [&] {
    auto both = std::make_unique<HeadAndWorker>(folder.path());
    both->kill_head();
    return both;
  };
  ProcessHost host({});
  const auto nobody_is_taken = [&] {
    return host.take_over(7, folder.path(), [](const ProcessEnd&) {}).empty();
  };
  {
    const auto other_build = leave();
    auto card = read_card(path);
    REQUIRE(card);
    card->program = "other";
    REQUIRE(write_card(path, *card));
    CHECK(nobody_is_taken());
    CHECK(other_build->worker_is_gone());
  }
  const auto other_job = leave();
  ProcessHost::end_left(folder.path(), [](uint64_t job) { return job == 7; });
  CHECK(std::filesystem::exists(path));
  ProcessHost::end_left(folder.path(), [](uint64_t job) { return job == 8; });
  CHECK(other_job->worker_is_gone());
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("process card: of a process that has ended and of a folder that was copied") {
  const tests::TempDir folder;
  const tests::TempDir copy;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    while (true) ::pause();
  }
  const auto card = card_of(child, "word");
  REQUIRE(card);
  CHECK(open_process(*card).get() >= 0);
  REQUIRE(write_card(folder.file("card"), *card));
  std::filesystem::copy_file(folder.file("card"), copy.file("card"));
  CHECK(read_card(folder.file("card")));
  CHECK_FALSE(read_card(copy.file("card")));
  REQUIRE(::kill(child, SIGKILL) == 0);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
  CHECK(open_process(*card).get() < 0);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  CHECK(open_process(*card).get() < 0);
}

TEST_CASE("process card: what a file says of a process is believed when all of it is true") {
  const tests::TempDir folder;
  const std::string path = folder.file("card");
  const auto own = card_of(::getpid(), "word");
  REQUIRE(own);
  REQUIRE(write_card(path, *own));
  struct stat found {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0600);
  const auto read = read_card(path);
  REQUIRE(read);
  CHECK(read->pid == ::getpid());
  CHECK(read->word == "word");
  CHECK(open_process(*read).get() >= 0);
  const std::string text = tests::contents(path);
  for (const std::string& bad :
       {std::string(), text.substr(0, text.size() / 2), text + "more", "b -1 5 w\n" + text,
        std::string(5000, 'x'), std::string("b 1 99999999999999999999999 w\n")}) {
    tests::write_text(path, bad);
    CHECK_FALSE(read_card(path));
  }
  CHECK_FALSE(read_card(folder.file("nothing")));
  CHECK_FALSE(card_of(0, "nobody"));
}

TEST_CASE("lifeline: nothing and nonsense in the environment are no lifeline") {
  ::unsetenv(kLifelineVariable);
  CHECK_FALSE(lifeline_from_environment());
  for (const char* text : {"", "x", "3x", "-1", "99999999999", "987"}) {
    ::setenv(kLifelineVariable, text, 1);
    CHECK_FALSE(lifeline_from_environment());
  }
  ::unsetenv(kLifelineVariable);
}

}  // namespace
}  // namespace troupe::cluster
