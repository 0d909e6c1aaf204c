// One thing that a hostile program tries, and what must be observed. The programs are in
// attacks_*.h; they run between canaries (host_watch.h).
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/sandbox/box.h"

namespace troupe::actors::tests {

inline BoxLimits attack_limits() {
  return {.cpu_seconds = 0.4,
          .wall_seconds = 20,  // A loaded machine takes its time; sleepers get less.
          .memory_bytes = 64 << 20,
          .disk_bytes = 2 << 20,
          .output_bytes = 64 << 10,
          .error_bytes = 4 << 10,
          .processes = 8};
}

struct Attack {
  int number = 0;  // In the catalogue of 44.
  const char* what = "";
  const char* code = "";       // Python, after kPrelude; or C++ where the toolchain is cpp.
  std::vector<BoxEnd> ends{};  // Any of these.
  const char* report = "";     // Must be part of the report, as proof that it came that far.
  BoxLimits limits = attack_limits();
  const char* toolchain = "python";
};

// The program's arguments: loopback port, abstract socket, file and process id of the canaries.
inline constexpr char kPrelude[] = R"(
import ctypes, os, sys
c = ctypes.CDLL(None, use_errno=True)
port, abstract, secret_file, host_pid = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
def say(text): os.write(3, (text + "\n").encode())
def must_fail(name, function, *arguments):
    try: result = function(*arguments)
    except BaseException: return say(name + " refused")
    say(("ESCAPED " if result != -1 else "") + name + " refused")
def system_call(name, number, *arguments): must_fail(name, c.syscall, number, *arguments)
def read(path): return open(path, "rb").read(4096)
)";

inline std::vector<BoxEnd> ends_of_hog() {
  return {BoxEnd::kExited,    BoxEnd::kSignalled,   BoxEnd::kCpuLimit,
          BoxEnd::kWallLimit, BoxEnd::kMemoryLimit, BoxEnd::kStarved};
}
inline std::vector<BoxEnd> ends_of_spinner() {
  return {BoxEnd::kCpuLimit, BoxEnd::kStarved};  // Starved on a machine that has no time for it.
}

}  // namespace troupe::actors::tests
