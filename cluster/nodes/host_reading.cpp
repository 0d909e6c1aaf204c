#include "cluster/nodes/host_reading.h"

#include <sys/statvfs.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>

#include "cluster/cli/kernel_cases.h"
#include "cluster/nodes/inventory.h"

namespace troupe::cluster {
namespace {

constexpr int64_t kRows = 256;
constexpr int64_t kWidth = 512;
constexpr int kTriesMin = 3;
constexpr double kSecondsMin = 0.25;  // Long enough for a moment without a busy neighbour.

double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// What programs may still take, as the kernel estimates it.
uint64_t memory_free_bytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    uint64_t kilobytes = 0;
    if (words >> name >> kilobytes && name == "MemAvailable:") return kilobytes << 10;
  }
  return 0;
}

}  // namespace

HostReading take_reading(const std::string& home, double flops_per_core) {
  HostReading reading{.home = home,
                      .disk_free_bytes = disk_free_bytes(home),
                      .memory_free_bytes = memory_free_bytes(),
                      .flops_per_core = flops_per_core};
  struct statvfs shm {};
  if (::statvfs("/dev/shm", &shm) == 0) {
    reading.shm_bytes = static_cast<uint64_t>(shm.f_blocks) * shm.f_frsize;
    reading.shm_free_bytes = static_cast<uint64_t>(shm.f_bavail) * shm.f_frsize;
  }
  reading.clock_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
  return reading;
}

double measure_flops_per_core(const kernels::Backend& backend) {
  LinearLayer layer(backend, kRows, kWidth, kWidth);
  constexpr double kFlops = 2.0 * kRows * kWidth * kWidth;
  double best = 0;
  const double begun = thread_seconds();
  for (int tries = 0; tries < kTriesMin || thread_seconds() - begun < kSecondsMin; ++tries) {
    const double from = thread_seconds();
    layer.forward();
    const double taken = thread_seconds() - from;
    if (taken > 0) best = std::max(best, kFlops / taken);
  }
  return best;
}

}  // namespace troupe::cluster
