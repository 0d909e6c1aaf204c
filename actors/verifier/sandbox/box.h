// Runs a program that somebody else wrote, so that nothing it does outlives it or is seen outside:
// namespaces, a read-only root with only the toolchain's files, a real unprivileged uid of its own,
// no capabilities, a system call allow-list, limits for everything. What enters is argv, files and
// standard input; what leaves is bytes on pipes. There is no folder that both sides can write.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "schemas/result.h"

namespace troupe::actors {

struct BoxLimits {
  double cpu_seconds = 5;            // Of all processes together, user and system.
  double wall_seconds = 0;           // 0: 2 * cpu_seconds + 2. Catches sleepers only.
  int64_t memory_bytes = 256 << 20;  // All processes, /tmp and /dev/shm together.
  int64_t disk_bytes = 16 << 20;     // /tmp and /dev/shm, each.
  int64_t output_bytes = 1 << 20;    // Standard output and report, each.
  int64_t error_bytes = 64 << 10;    // Standard error kept; the rest is read and dropped.
  int32_t processes = 16;            // And threads.
};

// A file that the program finds at /box/NAME, read-only.
struct BoxFile {
  std::string name{};  // Letters, digits, '.', '_' and '-'; no slash.
  std::string content{};
  bool is_executable = false;
};

struct BoxProgram {
  // Which host files are visible: "python", "python-packages", "cpp" or "none".
  std::string toolchain = "python";
  std::vector<std::string> argv{};  // argv[0] is a path inside the box, e.g. /usr/bin/python3.
  std::vector<BoxFile> files{};
  std::string input{};      // Written to standard input, which is then closed ...
  int input_fd = -1;        // ... unless this is its standard input (stays the caller's).
  int output_fd = -1;       // Its standard output, instead of BoxResult::output.
  bool has_report = false;  // Gives it a descriptor 3 for BoxResult::report.
  BoxLimits limits{};
};

// How a run ended. What it means for a verdict is the caller's to say; an exit status of 0 is no
// evidence that the program did what it was asked.
enum class BoxEnd : uint8_t {
  kExited,
  kSignalled,  // By itself; limits have their own ends.
  kCpuLimit,
  kWallLimit,  // It slept or waited.
  kMemoryLimit,
  kOutputLimit,  // The output is cut at the limit.
  kKilled,       // By kill().
  kStarved,  // The wall limit came with the CPU limit far off and no sleep: the machine's fault.
  kFailed,   // The box could not be made, or broke: never the program's fault.
};
const char* name(BoxEnd end);

struct BoxResult {
  BoxEnd end = BoxEnd::kFailed;
  int exit_status = -1;  // kExited
  int signal = 0;        // kSignalled
  std::string output{};  // Bytes as they came: hostile.
  std::string report{};
  std::string errors{};
  double cpu_seconds = 0;
  double wall_seconds = 0;
  int64_t memory_peak_bytes = 0;  // 0: not known here.
  std::string reason{};           // One sentence for people.
};

// A started program. Destroying it kills everything in it.
class Box {
 public:
  Box(Box&&) noexcept;
  Box& operator=(Box&&) noexcept;
  ~Box();

  void kill();
  // Feeds the input and reads the outputs until everything in the box is dead, which it is at most
  // 200 ms after a limit. Call once.
  BoxResult wait();

 private:
  friend class Sandbox;
  struct State;
  explicit Box(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What this machine's boxes guarantee. kFull is everything above; weaker levels are used only where
// a job allows them by name.
enum class BoxLevel : uint8_t { kNone = 0, kNamespacesOnly = 1, kFull = 2 };
const char* name(BoxLevel level);  // "none", "namespaces_only", "full"

// One part of the isolation as `troupe doctor` shows it.
struct BoxFinding {
  std::string part{};  // "user namespace", "seccomp", "process limit", "memory cgroup", ...
  bool is_there = false;
  std::string detail{};  // What was tried and what came back; what to do where it is missing.
};

struct BoxSupport {
  BoxLevel level = BoxLevel::kNone;
  std::vector<BoxFinding> findings{};
};

// Tries every part on this machine, in boxes of its own; about 100 ms.
BoxSupport probe_box_support();

// Thread-safe: every thread may start boxes. Several may exist, in one process or many: their
// boxes never share a uid at the same time.
class Sandbox {
 public:
  // kInternal, naming what is missing, where this machine cannot give `required`.
  static Result<std::unique_ptr<Sandbox>> open(BoxLevel required);
  ~Sandbox();

  Result<Box> start(const BoxProgram& program);
  BoxResult run(const BoxProgram& program);  // kFailed where it does not start.

  BoxLevel level() const;

 private:
  struct State;
  explicit Sandbox(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace troupe::actors
