#include "cluster/monitor/host_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

// The middle one; of an even number the mean of the two. Nothing where too few have a value.
std::optional<double> median(std::vector<double> values) {
  values.erase(std::remove_if(values.begin(), values.end(), [](double one) { return !(one > 0); }),
               values.end());
  if (values.size() < kHostsComparedMin) return std::nullopt;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

class Judge {
 public:
  Judge(const std::vector<HostReport>& reports, const HealthLimits& limits)
      : reports_(reports), limits_(limits) {}

  std::vector<std::string> complaints() {
    for (const HostReport& one : reports_) judge(one);
    // What is slow is slow beside the others only.
    compare(
        "computes", [](const HostReport& one) { return one.reading.flops_per_core; },
        limits_.compute_part_min);
    compare(
        "receives from the head", [](const HostReport& one) { return one.bytes_per_second_there; },
        limits_.link_part_min);
    compare(
        "sends to the head", [](const HostReport& one) { return one.bytes_per_second_back; },
        limits_.link_part_min);
    compare_round_trips();
    return std::move(complaints_);
  }

 private:
  void complain(const HostReport& host, const std::string& what) {
    complaints_.push_back(fmt::format("{} {}", printable(host.summary.name), what));
  }

  void judge(const HostReport& host) {
    if (!host.failure.empty()) {
      complain(host, "cannot be judged: " + printable(host.failure));
      return;
    }
    const double ahead = std::abs(host.clock_ahead_seconds) - host.clock_uncertainty_seconds;
    if (ahead > limits_.clock_seconds_max) {
      complain(host, fmt::format("has a clock that is {:.1f} s {} the head's: set it by NTP",
                                 std::abs(host.clock_ahead_seconds),
                                 host.clock_ahead_seconds > 0 ? "ahead of" : "behind"));
    }
    const auto disk = static_cast<double>(host.facts.disk_bytes);
    const auto free = static_cast<double>(host.reading.disk_free_bytes);
    if (disk > 0 && free < limits_.disk_free_part_min * disk) {
      complain(host, fmt::format("has {} free of {} at {}: make room",
                                 byte_count(host.reading.disk_free_bytes),
                                 byte_count(host.facts.disk_bytes), printable(host.reading.home)));
    }
    if (!host.facts.devices.empty() && host.reading.shm_bytes < limits_.shm_bytes_min) {
      complain(host,
               fmt::format("has a /dev/shm of {}, and ranks of GPUs meet there: give it {}",
                           byte_count(host.reading.shm_bytes), byte_count(limits_.shm_bytes_min)));
    }
  }

  template <class Value>
  void compare(const char* what, Value value, double part_min) {
    std::vector<double> values;
    for (const HostReport& one : reports_) values.push_back(value(one));
    const auto middle = median(values);
    if (!middle) return;
    for (const HostReport& one : reports_) {
      const double part = value(one) / *middle;
      if (value(one) > 0 && part < part_min) {
        complain(one, fmt::format("{} at {:.2g} of the median", what, part));
      }
    }
  }

  void compare_round_trips() {
    std::vector<double> values;
    for (const HostReport& one : reports_) values.push_back(one.round_trip_seconds);
    const auto middle = median(values);
    if (!middle) return;
    for (const HostReport& one : reports_) {
      const double seconds = one.round_trip_seconds;
      if (seconds < limits_.round_trip_seconds_min ||
          seconds < limits_.round_trip_part_max * *middle) {
        continue;
      }
      complain(one, fmt::format("answers after {:.1f} ms, {:.0f} times the median", seconds * 1e3,
                                seconds / *middle));
    }
  }

  const std::vector<HostReport>& reports_;
  const HealthLimits& limits_;
  std::vector<std::string> complaints_{};
};

}  // namespace

std::vector<std::string> find_complaints(const std::vector<HostReport>& reports,
                                         const HealthLimits& limits) {
  return Judge(reports, limits).complaints();
}

}  // namespace troupe::cluster
