#include "actors/verifier/sandbox/launcher.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "actors/verifier/sandbox/birth.h"

namespace troupe::actors::sandbox {
namespace {

constexpr size_t kStackBytes = 64 << 10;  // Of each of the two that share memory.

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> result;
  for (const std::string& word : words) result.push_back(const_cast<char*>(word.c_str()));
  result.push_back(nullptr);
  return result;
}

// A change of user marks the memory, which is shared, as not to be dumped.
void restore_dumpable() {
  static const int was_dumpable = ::prctl(PR_GET_DUMPABLE);
  if (::prctl(PR_GET_DUMPABLE) != was_dumpable) ::prctl(PR_SET_DUMPABLE, was_dumpable);
}

// Returns how it ended.
int bury(pid_t pid) {
  int status = -1;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

Result<Launched> start(const Launch& launch, char* stack) {
  restore_dumpable();
  const auto argv = pointers(launch.argv);
  const auto environment = pointers(launch.environment);
  std::vector<int> scratch(launch.descriptors.size());
  const Descriptor parent(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!parent) return Error{.message = fmt::format("pidfd_open: {}", std::strerror(errno))};
  Birth birth{.launch = &launch,
              .argv = argv.data(),
              .environment = environment.data(),
              .scratch = scratch.data(),
              .stack = stack + kStackBytes,
              .stack_bytes = kStackBytes,
              .parent = ::getpid(),
              .parent_file = parent.get()};
  const long builder = start_builder(birth, stack, kStackBytes);
  if (builder < 0) {
    return Error{.message = fmt::format("clone3: {}", std::strerror(static_cast<int>(-builder)))};
  }
  const int builder_status = bury(static_cast<pid_t>(builder));
  restore_dumpable();
  const auto fail = [&birth](const char* what, int error) {
    if (birth.process_1 > 0) {
      ::kill(birth.process_1, SIGKILL);
      bury(birth.process_1);
    }
    return Error{.message = fmt::format("{}{}{}: {}", what, *birth.object == 0 ? "" : " ",
                                        birth.object, std::strerror(error))};
  };
  if (birth.failed != nullptr) return fail(birth.failed, birth.error);
  // Then process 1 may still be at work in this memory: it is ended before the memory is given
  // back.
  if (builder_status != 0 || birth.process_1 <= 0) {
    return fail("the builder of a box was killed", ECHILD);
  }
  // It is a child of this process and not buried yet, so the number is still its own.
  Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, birth.process_1, 0)));
  if (!process) return fail("pidfd_open", errno);
  return Launched{birth.process_1, std::move(process)};
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
  std::vector<char> stack(2 * kStackBytes);
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
