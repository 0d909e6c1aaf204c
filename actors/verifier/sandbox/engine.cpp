#include "actors/verifier/sandbox/engine.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <string_view>

#include "actors/verifier/sandbox/init_program.h"
#include "actors/verifier/sandbox/process_table.h"
#include "actors/verifier/sandbox/system_call_filter.h"
#include "actors/verifier/sandbox/toolchain.h"

namespace troupe::actors::sandbox {
namespace {

constexpr char kBubblewrap[] = "/usr/bin/bwrap";
constexpr std::chrono::seconds kStartMax{10};
constexpr int kBubblewrapProcesses = 2;  // Outside, and process 1.
constexpr int kFilesMax = 256;
constexpr size_t kOpenFilesMax = 256;
constexpr int64_t kMebibyte = 1 << 20;
constexpr int64_t kStackBytes = 256 * kMebibyte;

Status check(const BoxProgram& program) {
  const BoxLimits& limits = program.limits;
  if (program.argv.empty() || program.argv[0].empty() || program.argv[0][0] != '/') {
    return invalid_argument("a boxed program needs argv with an absolute path first");
  }
  for (const std::string& word : program.argv) {
    if (word.find('\0') != std::string::npos) return invalid_argument("a NUL byte in argv");
  }
  const bool is_finite = limits.cpu_seconds > 0 && limits.cpu_seconds < 1e6 &&
                         limits.wall_seconds >= 0 && limits.wall_seconds < 1e6;
  if (!is_finite || limits.memory_bytes < kMebibyte || limits.disk_bytes < 0 ||
      limits.output_bytes < 0 || limits.error_bytes < 0 || limits.processes < 1) {
    return invalid_argument("a limit of a box is out of range");
  }
  if (program.files.size() > kFilesMax) return invalid_argument("too many files for a box");
  for (const BoxFile& file : program.files) {
    const bool is_plain = std::all_of(file.name.begin(), file.name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '.' || c == '_' || c == '-';
    });
    if (!is_plain || file.name.empty() || file.name == "." || file.name == "..") {
      return invalid_argument(fmt::format("'{}' is no name for a file in a box", file.name));
    }
  }
  return ok();
}

// `has_memory_limit`: something else limits memory, and address space only needs a bound.
// `user_processes`: 0 leaves the user's limit as it is.
std::vector<std::pair<int, rlimit>> limits_of(const BoxProgram& program, bool has_memory_limit,
                                              int64_t user_processes) {
  const BoxLimits& limits = program.limits;
  const auto both = [](int64_t value) {
    return rlimit{static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
  };
  int64_t file_bytes = limits.disk_bytes;  // bubblewrap writes the box's files under this limit.
  for (const BoxFile& file : program.files) {
    file_bytes = std::max(file_bytes, static_cast<int64_t>(file.content.size()));
  }
  const int64_t address_bytes =
      has_memory_limit ? 4 * limits.memory_bytes + 1024 * kMebibyte + limits.processes * kStackBytes
                       : std::max(limits.memory_bytes, 32 * kMebibyte);  // bubblewrap's own.
  std::vector<std::pair<int, rlimit>> result = {
      // The meter decides; this is for a process that nobody follows any more.
      {RLIMIT_CPU, both(static_cast<int64_t>(std::ceil(limits.cpu_seconds)) + 1)},
      {RLIMIT_AS, both(address_bytes)},
      {RLIMIT_FSIZE, both(file_bytes)},
      {RLIMIT_NOFILE, both(kOpenFilesMax)},
      {RLIMIT_CORE, both(0)},
      // Deep recursion is a matter of memory; every thread reserves as much address space.
      {RLIMIT_STACK, has_memory_limit ? rlimit{kStackBytes, RLIM_INFINITY} : both(8 * kMebibyte)},
      {RLIMIT_MEMLOCK, both(64 << 10)},
      {RLIMIT_MSGQUEUE, both(0)},
      {RLIMIT_SIGPENDING, both(256)},
      {RLIMIT_NICE, both(0)},
      {RLIMIT_RTPRIO, both(0)}};
  if (user_processes > 0) result.push_back({RLIMIT_NPROC, both(user_processes)});
  return result;
}

// Waits for one object of JSON; empty when the other end closed before, or at the deadline.
std::string read_object(int file, Clock::time_point deadline) {
  std::string text;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd ready = {.fd = file, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) == 0) return "";
    std::array<char, 512> buffer;
    const ssize_t count = ::read(file, buffer.data(), buffer.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) return "";
    text.append(buffer.data(), static_cast<size_t>(count));
    if (text.find('}') != std::string::npos) return text;
  }
}

std::string read_rest(int file) {
  std::array<char, 4096> buffer;
  const ssize_t count = ::read(file, buffer.data(), buffer.size());
  std::string text(buffer.data(), static_cast<size_t>(std::max<ssize_t>(count, 0)));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

pid_t child_pid(const std::string& facts) {
  constexpr std::string_view kKey = "\"child-pid\": ";
  const size_t at = facts.find(kKey);
  if (at == std::string::npos) return -1;
  return static_cast<pid_t>(std::strtol(facts.c_str() + at + kKey.size(), nullptr, 10));
}

}  // namespace

void kill_process(const Descriptor& process) {
  if (process) ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
}

Engine::Engine(CgroupHome home) : slots_(std::move(home)) {}

Result<std::shared_ptr<Engine>> Engine::create() {
  // Where bubblewrap dies first, its process 1 goes to the next reaper. That is made this process,
  // which buries it before the user is used again: counts of processes are per user.
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return Error{.message = "cannot become a subreaper"};
  end_stranded_boxes();
  std::shared_ptr<Engine> engine(new Engine(
      find_cgroup_home(read_small("/proc/self/mountinfo"), read_small("/proc/self/cgroup"))));
  auto filter = system_call_filter();
  if (!filter) return filter.error();
  engine->filter_ = std::move(*filter);
  return engine;
}

Result<std::vector<std::string>> Engine::mounts(const std::string& toolchain) {
  const std::lock_guard lock(mutex_);
  if (const auto known = mounts_.find(toolchain); known != mounts_.end()) return known->second;
  auto found = toolchain_mounts(toolchain);
  if (found) mounts_.emplace(toolchain, *found);
  return found;
}

Result<Running> Engine::start(const BoxProgram& program) {
  if (auto checked = check(program); !checked) return checked.error();
  auto toolchain = mounts(program.toolchain);
  if (!toolchain) return toolchain.error();

  Running running;
  running.limits = program.limits;
  if (running.limits.wall_seconds <= 0) {
    running.limits.wall_seconds = 2 * program.limits.cpu_seconds + 2;
  }
  running.argv0 = program.argv[0];
  Pipe output, report, errors = make_pipe();
  Pipe records = make_pipe(), facts_pipe = make_pipe(), block = make_pipe();
  if (program.output_fd < 0) output = make_pipe();
  if (program.has_report) report = make_pipe();
  Descriptor input, filter = sealed_file(filter_), init = sealed_file(init_program());
  if (program.input_fd < 0) input = sealed_file(program.input);
  std::vector<Descriptor> files;
  for (const BoxFile& file : program.files) files.push_back(sealed_file(file.content));

  Launch launch;
  launch.environment = {"PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", "PYTHONHASHSEED=0"};
  launch.descriptors = {program.input_fd >= 0 ? program.input_fd : input.get(),
                        program.output_fd >= 0 ? program.output_fd : output.write.get(),
                        errors.write.get()};
  if (program.has_report) launch.descriptors.push_back(report.write.get());
  auto& argv = launch.argv;
  const auto add = [&argv](std::initializer_list<std::string> words) {
    argv.insert(argv.end(), words);
  };
  // Lowest of those after the program's own: process 1 closes what lies below it.
  launch.descriptors.push_back(records.write.get());
  const std::string records_number = std::to_string(launch.descriptors.size() - 1);
  // bubblewrap closes what it is told to read before it executes the program.
  const auto number_of = [&launch](int descriptor) {
    launch.descriptors.push_back(descriptor);
    return std::to_string(launch.descriptors.size() - 1);
  };
  add({kBubblewrap, "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc",
       "--unshare-uts", "--unshare-cgroup", "--disable-userns", "--uid", "1000", "--gid", "1000",
       "--as-pid-1", "--hostname", "box", "--die-with-parent", "--new-session", "--cap-drop",
       "ALL"});
  add({"--seccomp", number_of(filter.get())});
  add({"--info-fd", number_of(facts_pipe.write.get())});
  add({"--block-fd", number_of(block.read.get())});
  argv.insert(argv.end(), toolchain->begin(), toolchain->end());
  add({"--proc", "/proc", "--dev-bind", "/dev/null", "/dev/null"});
  add({"--dev-bind", "/dev/zero", "/dev/zero", "--dev-bind", "/dev/urandom", "/dev/urandom"});
  add({"--symlink", "urandom", "/dev/random", "--symlink", "/proc/self/fd", "/dev/fd"});
  add({"--symlink", "/proc/self/fd/0", "/dev/stdin", "--symlink", "/proc/self/fd/1", "/dev/stdout",
       "--symlink", "/proc/self/fd/2", "/dev/stderr"});
  const std::string disk_bytes = std::to_string(std::max<int64_t>(program.limits.disk_bytes, 1));
  for (const char* folder : {"/tmp", "/dev/shm"}) {
    add({"--perms", "1777", "--size", disk_bytes, "--tmpfs", folder});
  }
  add({"--perms", "0555", "--file", number_of(init.get()), "/init"});
  for (size_t i = 0; i < files.size(); ++i) {
    add({"--perms", program.files[i].is_executable ? "0555" : "0444", "--file",
         number_of(files[i].get()), "/box/" + program.files[i].name});
  }
  add({"--remount-ro", "/", "--chdir", "/tmp", "--", "/init", records_number});
  argv.insert(argv.end(), program.argv.begin(), program.argv.end());
  for (const int descriptor : launch.descriptors) {
    if (descriptor < 0) {
      return Error{ErrorCode::kOverloaded, fmt::format("a box's files: {}", std::strerror(errno))};
    }
  }

  auto slot = slots_.acquire();
  if (!slot) return slot.error();
  running.slot = std::move(*slot);
  const auto give_back = [&](Error error) {
    slots_.release(std::move(running.slot));
    return error;
  };
  const bool has_own_user = running.slot->uid != 0;
  bool has_memory_limit = false;
  if (auto& cgroup = running.slot->cgroup; cgroup) {
    const auto prepared = cgroup->prepare(program.limits.memory_bytes,
                                          program.limits.processes + kBubblewrapProcesses);
    if (!prepared) return give_back(prepared.error());
    launch.cgroup_folder = cgroup->birth_folder();
    has_memory_limit = cgroup->limits_memory();
  }
  if (has_own_user) launch.uid = running.slot->uid;
  // The user's limit counts the dead that a killed owner's boxes left to the host's process 1,
  // until it notices them; the control group's does not need to.
  int64_t user_processes = program.limits.processes + kBubblewrapProcesses;
  if (running.slot->cgroup && running.slot->cgroup->limits_processes()) user_processes += 64;
  launch.limits = limits_of(program, has_memory_limit, has_own_user ? user_processes : 0);

  auto launched = running.slot->launcher->launch(launch);
  if (!launched) return give_back(launched.error());
  running.outside = std::move(launched->process);
  for (Pipe* pipe : {&output, &report, &errors, &records, &facts_pipe}) pipe->write.close();
  block.read.close();

  // Inside is held until its pidfd is open, so that its number cannot have become another's.
  const std::string facts = read_object(facts_pipe.read.get(), Clock::now() + kStartMax);
  running.inside_pid = child_pid(facts);
  if (running.inside_pid > 0) {
    running.inside = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, running.inside_pid, 0)));
  }
  bool is_limited = true;
  if (running.inside && !has_own_user) {
    // Among the caller's own processes the count would be of all of them; inside its own user
    // namespace it is of the box alone.
    const auto limit = static_cast<rlim_t>(program.limits.processes + 1);
    const rlimit processes = {limit, limit};
    is_limited = ::prlimit(running.inside_pid, RLIMIT_NPROC, &processes, nullptr) == 0;
  }
  if (!running.inside || !is_limited) {
    const std::string why = !is_limited ? std::strerror(errno) : "";
    // Its inner half would wait for the outer one for ever; it is not buried yet, so the number is
    // still its own.
    if (running.inside_pid > 0) ::kill(running.inside_pid, SIGKILL);
    kill_process(running.outside);
    ::fcntl(errors.read.get(), F_SETFL, O_RDONLY | O_NONBLOCK);
    siginfo_t ended = {};
    ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(running.outside.get()), &ended,
             WEXITED);
    const std::string said = read_rest(errors.read.get());
    return give_back(Error{.message = fmt::format("bubblewrap did not start: {}",
                                                  !why.empty()    ? why
                                                  : !said.empty() ? said
                                                                  : "it said nothing")});
  }
  for (const auto* pipe : {&output, &report, &errors, &records}) {
    if (pipe->read) ::fcntl(pipe->read.get(), F_SETFL, O_RDONLY | O_NONBLOCK);
  }
  running.output = std::move(output.read);
  running.report = std::move(report.read);
  running.errors = std::move(errors.read);
  running.records = std::move(records.read);
  if (running.slot->cgroup) running.cpu_at_start = running.slot->cgroup->cpu_seconds();
  running.start = Clock::now();
  block.write.close();
  return running;
}

}  // namespace troupe::actors::sandbox
