#include "actors/verifier/sandbox/engine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "actors/verifier/sandbox/init_program.h"
#include "actors/verifier/sandbox/system_call_filter.h"
#include "actors/verifier/sandbox/toolchain.h"

namespace troupe::actors::sandbox {
namespace {

constexpr int kOwnProcesses = 1;  // Process 1.
constexpr int kUserProcessesSlack = 64;
constexpr int kFilesMax = 256;
constexpr int kTemporaryFilesMax = 1 << 14;  // In each of /tmp and /dev/shm.
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
std::vector<std::pair<int, rlimit>> limits_of(const BoxLimits& limits, bool has_memory_limit) {
  const auto both = [](int64_t value) {
    return rlimit{static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
  };
  const int64_t address_bytes =
      has_memory_limit ? 4 * limits.memory_bytes + 1024 * kMebibyte + limits.processes * kStackBytes
                       : limits.memory_bytes;
  return {
      // The meter decides; this is for a process that nobody follows any more.
      {RLIMIT_CPU, both(static_cast<int64_t>(std::ceil(limits.cpu_seconds)) + 1)},
      {RLIMIT_AS, both(address_bytes)},
      {RLIMIT_FSIZE, both(limits.disk_bytes)},
      {RLIMIT_NOFILE, both(kOpenFilesMax)},
      {RLIMIT_CORE, both(0)},
      // Deep recursion is a matter of memory; every thread reserves as much address space.
      {RLIMIT_STACK, has_memory_limit ? rlimit{kStackBytes, RLIM_INFINITY} : both(8 * kMebibyte)},
      {RLIMIT_MEMLOCK, both(64 << 10)},
      {RLIMIT_MSGQUEUE, both(0)},
      {RLIMIT_SIGPENDING, both(256)},
      {RLIMIT_NICE, both(0)},
      {RLIMIT_RTPRIO, both(0)}};
}

}  // namespace

void kill_process(const Descriptor& process) {
  if (process) ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
}

Engine::Engine(CgroupHome home) : slots_(std::move(home)) {}

Result<std::shared_ptr<Engine>> Engine::create() {
  std::shared_ptr<Engine> engine(new Engine(
      find_cgroup_home(read_small("/proc/self/mountinfo"), read_small("/proc/self/cgroup"))));
  auto filter = system_call_filter();
  if (!filter) return filter.error();
  engine->filter_ = std::move(*filter);
  return engine;
}

Result<const std::vector<RootPart>*> Engine::root(const std::string& toolchain) {
  const std::lock_guard lock(mutex_);
  auto known = roots_.find(toolchain);
  if (known == roots_.end()) {
    auto found = toolchain_root(toolchain);
    if (!found) return found.error();
    known = roots_.emplace(toolchain, std::move(*found)).first;
  }
  return &known->second;
}

Result<Running> Engine::start(const BoxProgram& program) {
  if (auto checked = check(program); !checked) return checked.error();
  auto root_parts = root(program.toolchain);
  if (!root_parts) return root_parts.error();

  Running running;
  running.limits = program.limits;
  if (running.limits.wall_seconds <= 0) {
    running.limits.wall_seconds = 2 * program.limits.cpu_seconds + 2;
  }
  running.argv0 = program.argv[0];
  Pipe output, report, errors = make_pipe(), records = make_pipe(), gate = make_pipe();
  if (program.output_fd < 0) output = make_pipe();
  if (program.has_report) report = make_pipe();
  Descriptor input;
  if (program.input_fd < 0) input = sealed_file(program.input);

  Launch launch;
  launch.environment = {"PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", "PYTHONHASHSEED=0"};
  launch.descriptors = {program.input_fd >= 0 ? program.input_fd : input.get(),
                        program.output_fd >= 0 ? program.output_fd : output.write.get(),
                        errors.write.get()};
  if (program.has_report) launch.descriptors.push_back(report.write.get());
  // Lowest of those after the program's own: process 1 closes what lies below it.
  launch.argv = {"/init", std::to_string(launch.descriptors.size())};
  launch.argv.insert(launch.argv.end(), program.argv.begin(), program.argv.end());
  launch.descriptors.insert(launch.descriptors.end(), {records.write.get(), gate.read.get()});
  for (const int descriptor : launch.descriptors) {
    if (descriptor < 0) {
      return Error{ErrorCode::kOverloaded, fmt::format("a box's files: {}", std::strerror(errno))};
    }
  }
  launch.root = *root_parts;
  launch.files.push_back({.path = "init", .content = init_program(), .mode = 0555});
  for (const BoxFile& file : program.files) {
    launch.files.push_back({.path = "box/" + file.name,
                            .content = file.content,
                            .mode = static_cast<mode_t>(file.is_executable ? 0555 : 0444)});
  }
  launch.temporary =
      fmt::format("mode=1777,size={},nr_inodes={}", std::max<int64_t>(program.limits.disk_bytes, 1),
                  kTemporaryFilesMax);
  launch.filter = filter_;

  auto slot = slots_.acquire();
  if (!slot) return slot.error();
  running.slot = std::move(*slot);
  const auto give_back = [&](Error error) {
    slots_.release(std::move(running.slot));
    return error;
  };
  launch.box_processes = program.limits.processes + kOwnProcesses;
  bool has_memory_limit = false;
  if (auto& cgroup = running.slot->cgroup; cgroup) {
    const auto prepared =
        cgroup->prepare(program.limits.memory_bytes, program.limits.processes + kOwnProcesses);
    if (!prepared) return give_back(prepared.error());
    launch.cgroup_folder = cgroup->birth_folder();
    has_memory_limit = cgroup->limits_memory();
  }
  launch.uid = running.slot->uid;
  // Counts the dead that a killed owner's boxes left to the host's process 1, until it notices
  // them. It does not need to be exact: the box's own limit is.
  launch.user_processes = launch.box_processes + kUserProcessesSlack;
  launch.limits = limits_of(program.limits, has_memory_limit);

  auto launched = running.slot->launcher->launch(launch);
  if (!launched) return give_back(launched.error());
  running.process = std::move(launched->process);
  running.pid = launched->pid;
  for (Pipe* pipe : {&output, &report, &errors, &records}) pipe->write.close();
  for (const auto* pipe : {&output, &report, &errors, &records}) {
    if (pipe->read) ::fcntl(pipe->read.get(), F_SETFL, O_RDONLY | O_NONBLOCK);
  }
  running.output = std::move(output.read);
  running.report = std::move(report.read);
  running.errors = std::move(errors.read);
  running.records = std::move(records.read);
  if (running.slot->cgroup) running.cpu_at_start = running.slot->cgroup->cpu_seconds();
  running.start = Clock::now();
  // Where process 1 is dead already, whoever follows it will see that.
  static_cast<void>(!::write(gate.write.get(), "!", 1));
  return running;
}

}  // namespace troupe::actors::sandbox
