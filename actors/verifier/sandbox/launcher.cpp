#include "actors/verifier/sandbox/launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

namespace troupe::actors::sandbox {
namespace {

constexpr size_t kStackBytes = 64 << 10;
constexpr int kLowestScratch = 64;  // Above every number that a launch gives away.

// What parent and child share while the parent waits.
struct Handover {
  char* const* argv;
  char* const* environment;
  const std::vector<int>* descriptors;
  int* scratch;  // As many as descriptors.
  const std::vector<std::pair<int, rlimit>>* limits;
  uid_t uid;
  pid_t parent;
  const char* failed = nullptr;
  int error = 0;
};

// Runs on its own stack in the parent's memory: system calls only. glibc's setresuid would change
// the other threads' users, and no lock may be taken.
__attribute__((no_sanitize("thread", "address", "undefined"))) int child(void* argument) {
  auto& it = *static_cast<Handover*>(argument);
  const auto fail = [&it](const char* what) {
    it.failed = what;
    it.error = errno;
    ::syscall(SYS_exit_group, 127);
  };
  // Ignored signals would stay ignored in the program, and handlers must not run here.
  struct {
    void* handler = nullptr;
    unsigned long flags = 0;
    void* restorer = nullptr;
    uint64_t mask = 0;
  } default_action;
  for (int signal = 1; signal <= 64; ++signal) {
    ::syscall(SYS_rt_sigaction, signal, &default_action, nullptr, 8);
  }
  const int count = static_cast<int>(it.descriptors->size());
  for (int i = 0; i < count; ++i) {
    it.scratch[i] = static_cast<int>(
        ::syscall(SYS_fcntl, (*it.descriptors)[static_cast<size_t>(i)], F_DUPFD, kLowestScratch));
    if (it.scratch[i] < 0) fail("duplicating a descriptor");
  }
  for (int i = 0; i < count; ++i) {
    if (::syscall(SYS_dup3, it.scratch[i], i, 0) < 0) fail("placing a descriptor");
  }
  if (::syscall(SYS_close_range, count, ~0U, 0) != 0) fail("closing descriptors");
  for (const auto& [resource, limit] : *it.limits) {
    if (::syscall(SYS_prlimit64, 0, resource, &limit, nullptr) != 0) fail("setting a limit");
  }
  if (it.uid != 0) {
    if (::syscall(SYS_setgroups, 0, nullptr) != 0) fail("leaving the groups");
    if (::syscall(SYS_setresgid, it.uid, it.uid, it.uid) != 0) fail("changing the group");
    if (::syscall(SYS_setresuid, it.uid, it.uid, it.uid) != 0) fail("changing the user");
  }
  // After the change of user, which clears it. bubblewrap asks for the same, but later.
  if (::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) fail("following the parent");
  if (::syscall(SYS_getppid) != it.parent) fail("finding the parent");
  const uint64_t none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, 8);
  ::syscall(SYS_execve, it.argv[0], it.argv, it.environment);
  fail("executing");
  return 127;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> result;
  for (const std::string& word : words) result.push_back(const_cast<char*>(word.c_str()));
  result.push_back(nullptr);
  return result;
}

// clone3() on a stack of its own, without glibc: what sanitizers do around its clone() would, in
// memory that is shared, be done to the parent. Returns in the parent only.
long clone_onto(clone_args& arguments, int (*run)(void*), void* argument) {
  long result = 0;
#if defined(__x86_64__)
  asm volatile(
      "syscall\n"
      "test %%rax, %%rax\n"
      "jnz 1f\n"
      "xor %%ebp, %%ebp\n"
      "mov %[argument], %%rdi\n"
      "call *%[run]\n"
      "hlt\n"
      "1:\n"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(&arguments),
        "S"(sizeof arguments), [run] "r"(run), [argument] "r"(argument)
      : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long x8 asm("x8") = SYS_clone3;
  register long x0 asm("x0") = reinterpret_cast<long>(&arguments);
  register long x1 asm("x1") = sizeof arguments;
  asm volatile(
      "svc 0\n"
      "cbnz x0, 1f\n"
      "mov x29, xzr\n"
      "mov x0, %[argument]\n"
      "blr %[run]\n"
      "brk 1\n"
      "1:\n"
      : "+r"(x0)
      : "r"(x8), "r"(x1), [run] "r"(run), [argument] "r"(argument)
      : "x30", "memory");
  result = x0;
#endif
  return result;
}

Result<Launched> start(const Launch& launch, char* stack) {
  const auto argv = pointers(launch.argv);
  const auto environment = pointers(launch.environment);
  std::vector<int> scratch(launch.descriptors.size());
  Handover handover{.argv = argv.data(),
                    .environment = environment.data(),
                    .descriptors = &launch.descriptors,
                    .scratch = scratch.data(),
                    .limits = &launch.limits,
                    .uid = launch.uid,
                    .parent = ::getpid()};
  const int was_dumpable = ::prctl(PR_GET_DUMPABLE);
  int process = -1;
  clone_args arguments = {};
  arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uintptr_t>(&process);
  arguments.exit_signal = SIGCHLD;
  arguments.stack = (reinterpret_cast<uintptr_t>(stack) + 15) & ~uintptr_t{15};
  arguments.stack_size = kStackBytes - 16;
  if (launch.cgroup_folder >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(launch.cgroup_folder);
  }
  const long pid = clone_onto(arguments, child, &handover);
  if (pid < 0) {
    return Error{.message = fmt::format("clone3: {}", std::strerror(static_cast<int>(-pid)))};
  }
  // A change of user marks the memory, which was shared, as not to be dumped.
  if (launch.uid != 0 && was_dumpable == 1) ::prctl(PR_SET_DUMPABLE, 1);
  Launched launched{static_cast<pid_t>(pid), Descriptor(process)};
  if (handover.failed == nullptr) return launched;
  siginfo_t ended = {};
  ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(process), &ended, WEXITED);
  return Error{.message = fmt::format("{} for {}: {}", handover.failed, launch.argv[0],
                                      std::strerror(handover.error))};
}

}  // namespace

Result<std::unique_ptr<Launcher>> Launcher::create(const std::vector<std::string>& groups) {
  std::unique_ptr<Launcher> launcher(new Launcher());
  std::unique_lock lock(launcher->mutex_);
  launcher->thread_ = std::thread([made = launcher.get(), groups] { made->work(groups); });
  launcher->changed_.wait(lock, [&launcher] { return launcher->has_entered_.has_value(); });
  lock.unlock();
  if (!*launcher->has_entered_) return launcher->has_entered_->error();
  return launcher;
}

Launcher::~Launcher() {
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Result<Launched> Launcher::launch(const Launch& launch) {
  std::unique_lock lock(mutex_);
  order_ = &launch;
  result_.reset();
  changed_.notify_all();
  changed_.wait(lock, [this] { return result_.has_value(); });
  return std::move(*result_);
}

void Launcher::work(const std::vector<std::string>& groups) {
  // No signal of the process may be handled on the child's stack.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::vector<char> stack(kStackBytes);
  Status entered = ok();
  for (const std::string& group : groups) {
    if (!write_small(group, "0")) {
      entered = Error{.message = fmt::format("{}: {}", group, std::strerror(errno))};
    }
  }
  std::unique_lock lock(mutex_);
  has_entered_ = std::move(entered);
  changed_.notify_all();
  for (;;) {
    changed_.wait(lock, [this] { return is_closing_ || order_ != nullptr; });
    if (order_ == nullptr) return;
    const Launch* order = std::exchange(order_, nullptr);
    lock.unlock();
    auto result = start(*order, stack.data());
    lock.lock();
    result_.emplace(std::move(result));
    changed_.notify_all();
  }
}

}  // namespace troupe::actors::sandbox
