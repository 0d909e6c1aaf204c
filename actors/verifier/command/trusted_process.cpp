#include "actors/verifier/command/trusted_process.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <sstream>

#include "actors/verifier/sandbox/descriptor.h"

namespace troupe::actors {
namespace {

using std::chrono::steady_clock;

constexpr int kFirstFree = 3;          // Behind the standard three.
constexpr int kCannotExecute = 127;    // The program's exit code, as a shell's.
constexpr int kSignalCodeBegin = 128;  // The keeper's exit code for a program that a signal ended.

// ---- The keeper. It has one thread and was forked from a process with many, so nothing here may
// allocate or take a lock: system calls only.

// Whoever is a child of this process now: what a program leaves behind becomes one.
pid_t first_child() {
  const int file = ::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[16] = {};
  const ssize_t size = ::read(file, text, sizeof(text) - 1);
  ::close(file);
  pid_t pid = 0;
  for (ssize_t i = 0; i < size && text[i] >= '0' && text[i] <= '9'; ++i) {
    pid = pid * 10 + (text[i] - '0');
  }
  return pid;
}

void kill_all(pid_t program) {
  ::kill(-program, SIGKILL);
  ::kill(program, SIGKILL);
  while (true) {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const pid_t child = first_child();
    if (child == 0) return;
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
}

[[noreturn]] void run_program(const char* path, int input, int output, pid_t keeper) {
  ::setpgid(0, 0);
  // The keeper's end without its work done takes at least the program with it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != keeper) ::_exit(kCannotExecute);
  ::dup2(input, 0);
  ::dup2(output, 1);
  ::close_range(kFirstFree, ~0u, 0);
  if (::chdir("/") != 0) ::_exit(kCannotExecute);
  char* const arguments[] = {const_cast<char*>(path), nullptr};
  char* const environment[] = {nullptr};
  ::execve(path, arguments, environment);
  ::_exit(kCannotExecute);
}

// Where the arguments of this process are, as `ps` shows them.
struct Title {
  char* begin = nullptr;
  size_t num_bytes = 0;
};

// A fork has its parent's, and whoever looks for workers would find the keeper.
void set_title(Title title) {
  constexpr char kTitle[] = "troupe keeper";
  for (size_t i = 0; i < title.num_bytes; ++i) {
    title.begin[i] = i + 1 < sizeof(kTitle) ? kTitle[i] : '\0';
  }
  ::prctl(PR_SET_NAME, "troupe keeper");
}

[[noreturn]] void keep(const char* path, Title title, int lifeline, int input, int output) {
  set_title(title);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setpgid(0, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t self = ::getpid();
  const pid_t program = ::_Fork();
  if (program < 0) ::_exit(kCannotExecute);
  if (program == 0) run_program(path, input, output, self);
  ::setpgid(program, program);  // Whichever of the two comes first.
  ::dup2(lifeline, 0);
  ::close_range(1, ~0u, 0);
  const auto process = static_cast<int>(::syscall(SYS_pidfd_open, program, 0));
  pollfd polled[2] = {{0, POLLIN, 0}, {process, POLLIN, 0}};
  while (process >= 0 && ::poll(polled, 2, -1) < 0 && errno == EINTR) {
  }
  int status = 0;
  const bool has_ended = ::waitpid(program, &status, WNOHANG) == program;
  kill_all(program);
  if (!has_ended) ::_exit(0);
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : kSignalCodeBegin + WTERMSIG(status));
}

// ---- The worker's side.

// Nothing where the system does not say.
Title find_title() {
  constexpr int kArgumentsBegin = 48, kArgumentsEnd = 49, kState = 3;  // Numbers of proc(5)'s stat.
  const std::string stat = sandbox::read_small("/proc/self/stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == stat.npos) return {};
  std::istringstream fields(stat.substr(name_end + 1));
  uintptr_t begin = 0, end = 0;
  std::string field;
  for (int number = kState; number <= kArgumentsEnd && fields >> field; ++number) {
    if (number == kArgumentsBegin) begin = std::strtoull(field.c_str(), nullptr, 10);
    if (number == kArgumentsEnd) end = std::strtoull(field.c_str(), nullptr, 10);
  }
  if (begin == 0 || end <= begin) return {};
  return {reinterpret_cast<char*>(begin), end - begin};
}

struct Ends {
  Descriptor read{};
  Descriptor write{};
};

// Never one of the standard three, which the program gets others in the place of.
Result<Ends> make_pipe() {
  int ends[2] = {};
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return Error{ErrorCode::kInternal, fmt::format("cannot make a pipe: {}", ::strerror(errno))};
  }
  Ends pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  for (Descriptor* end : {&pipe.read, &pipe.write}) {
    if (end->get() >= kFirstFree) continue;
    *end = Descriptor(::fcntl(end->get(), F_DUPFD_CLOEXEC, kFirstFree));
    if (!*end) return Error{ErrorCode::kInternal, "there are no descriptors left"};
  }
  return pipe;
}

// Writing to a program that has ended must be an error of this call and nothing else.
class WithoutPipeSignal {
 public:
  WithoutPipeSignal() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutPipeSignal() {
    const timespec now{};
    while (::sigismember(&before_, SIGPIPE) == 0 && ::sigtimedwait(&pipe_, nullptr, &now) > 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_{};
  sigset_t before_{};
};

Error failed(std::string message) { return {ErrorCode::kInternal, std::move(message)}; }

}  // namespace

Result<std::unique_ptr<TrustedProcess>> TrustedProcess::start(const std::string& program) {
  auto lifeline = make_pipe();
  auto input = make_pipe();
  auto output = make_pipe();
  for (const auto* pipe : {&lifeline, &input, &output}) {
    if (!*pipe) return pipe->error();
  }
  const char* path = program.c_str();
  const Title title = find_title();
  const pid_t keeper = ::_Fork();
  if (keeper < 0) return failed(fmt::format("cannot start a process: {}", ::strerror(errno)));
  if (keeper == 0) {
    // The worker's own ends first: while the keeper held the lifeline's, it would never close.
    ::close(lifeline->write.get());
    ::close(input->write.get());
    ::close(output->read.get());
    keep(path, title, lifeline->read.get(), input->read.get(), output->write.get());
  }
  for (int end : {input->write.get(), output->read.get()}) ::fcntl(end, F_SETFL, O_NONBLOCK);
  return std::unique_ptr<TrustedProcess>(new TrustedProcess(
      keeper, std::move(lifeline->write), std::move(input->write), std::move(output->read)));
}

TrustedProcess::~TrustedProcess() {
  lifeline_.close();
  if (!is_buried_) ::waitpid(keeper_, nullptr, 0);
}

std::string TrustedProcess::end_of() {
  // Its output is closed, which is no proof that it has ended, only that it soon will have.
  constexpr int kPatienceMs = 200;
  const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, keeper_, 0)));
  pollfd polled{process.get(), POLLIN, 0};
  while (::poll(&polled, 1, kPatienceMs) < 0 && errno == EINTR) {
  }
  lifeline_.close();
  int status = 0;
  is_buried_ = ::waitpid(keeper_, &status, 0) == keeper_;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  if (code == kCannotExecute) return "cannot be executed";
  if (code > kSignalCodeBegin)
    return fmt::format("was killed by signal {}", code - kSignalCodeBegin);
  return code == 0 ? "has closed its output or ended" : fmt::format("exited with code {}", code);
}

Result<std::string> TrustedProcess::ask(std::string_view line, size_t bytes_max,
                                        steady_clock::time_point deadline) {
  const WithoutPipeSignal guard;
  std::string answer;
  while (true) {
    pollfd polled[2] = {{output_.get(), POLLIN, 0}, {line.empty() ? -1 : input_.get(), POLLOUT, 0}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
    if (left.count() <= 0) return failed("gave no answer before its deadline");
    const int wait = static_cast<int>(std::min<int64_t>(left.count(), 1 << 30));
    if (::poll(polled, 2, wait) < 0 && errno != EINTR) {
      return failed(fmt::format("cannot be waited for: {}", ::strerror(errno)));
    }
    if (polled[1].revents != 0) {
      const ssize_t size = ::write(input_.get(), line.data(), line.size());
      if (size > 0) line.remove_prefix(static_cast<size_t>(size));
      // What it has said before may still be an answer, or else its end is read.
      if (size < 0 && errno != EAGAIN && errno != EINTR) line = {};
    }
    if (polled[0].revents == 0) continue;
    char bytes[4096];
    const ssize_t size = ::read(output_.get(), bytes, sizeof(bytes));
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size <= 0) return failed(end_of());
    answer.append(bytes, static_cast<size_t>(size));
    const size_t end = answer.find('\n');
    if (end != answer.npos) {
      if (end + 1 != answer.size()) return failed("says more than it was asked");
      if (!line.empty()) return failed("answers before it has read the question");
      answer.resize(end);
      return answer;
    }
    if (answer.size() > bytes_max) return failed("gives an answer that is too long");
  }
}

}  // namespace troupe::actors
