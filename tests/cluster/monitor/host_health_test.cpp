#include "cluster/monitor/host_health.h"

#include <doctest/doctest.h>

namespace troupe::cluster {
namespace {

HostReport well(const std::string& name) {
  return {.summary = {.name = name, .state = "up"},
          .facts = {.disk_bytes = 1'000'000'000, .disk_free_bytes = 0},
          .reading = {.home = "/srv/troupe",
                      .disk_free_bytes = 500'000'000,
                      .shm_bytes = 1 << 20,
                      .flops_per_core = 1e11},
          .clock_ahead_seconds = 0.2,
          .clock_uncertainty_seconds = 0.001,
          .round_trip_seconds = 0.001,
          .bytes_per_second_there = 1e9,
          .bytes_per_second_back = 1e9};
}

std::vector<HostReport> cluster_of(size_t hosts) {
  std::vector<HostReport> reports;
  for (size_t i = 0; i < hosts; ++i) reports.push_back(well("gpu-" + std::to_string(i)));
  return reports;
}

TEST_CASE("host health: nothing is said of hosts that are well") {
  for (const size_t hosts : {0, 1, 2, 3, 64}) CHECK(find_complaints(cluster_of(hosts)).empty());
}

TEST_CASE("host health: what is wrong with one host is said by its name") {
  auto reports = cluster_of(7);
  reports[0].failure = "it is away";
  reports[1].clock_ahead_seconds = -3.25;
  reports[2].reading.disk_free_bytes = 49'000'000;
  reports[3].facts.devices = {"H800"};
  reports[4].summary.name = "odd\x1b[2J";
  reports[4].clock_ahead_seconds = 10;
  // It may be right by as much.
  reports[5].clock_ahead_seconds = 1.4;
  reports[5].clock_uncertainty_seconds = 0.5;
  const auto complaints = find_complaints(reports);
  REQUIRE(complaints.size() == 5);
  CHECK(complaints[0] == "gpu-0 cannot be judged: it is away");
  CHECK(complaints[1] == "gpu-1 has a clock that is 3.2 s behind the head's: set it by NTP");
  CHECK(complaints[2] == "gpu-2 has 49.0 MB free of 1.0 GB at /srv/troupe: make room");
  CHECK(complaints[3] ==
        "gpu-3 has a /dev/shm of 1.0 MB, and ranks of GPUs meet there: give it 1.1 GB");
  CHECK(complaints[4].find('\x1b') == std::string::npos);
}

TEST_CASE("host health: outliers are found beside the median, and not among two") {
  for (const size_t hosts : {2, 3, 4, 9}) {
    auto reports = cluster_of(hosts);
    reports[1].reading.flops_per_core = 0.6e11;
    reports[1].bytes_per_second_there = 0.4e9;
    reports[0].bytes_per_second_back = 0.3e9;
    reports[0].round_trip_seconds = 0.05;
    const auto complaints = find_complaints(reports);
    if (hosts == 2) {
      CHECK(complaints.empty());
      continue;
    }
    CHECK(complaints ==
          std::vector<std::string>{"gpu-1 computes at 0.6 of the median",
                                   "gpu-1 receives from the head at 0.4 of the median",
                                   "gpu-0 sends to the head at 0.3 of the median",
                                   "gpu-0 answers after 50.0 ms, 50 times the median"});
  }
  // The head has no link to itself, and is no outlier for it.
  auto reports = cluster_of(4);
  reports[0].round_trip_seconds = 0;
  reports[0].bytes_per_second_there = 0;
  reports[0].bytes_per_second_back = 0;
  CHECK(find_complaints(reports).empty());
  // Short ways differ by chance.
  reports[1].round_trip_seconds = 0.0019;
  reports[2].round_trip_seconds = 0.0001;
  reports[3].round_trip_seconds = 0.0001;
  CHECK(find_complaints(reports).empty());
}

}  // namespace
}  // namespace troupe::cluster
