#include "cluster/cli/doctor_cluster.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cluster/cli/command.h"
#include "cluster/cli/interrupt.h"
#include "cluster/monitor/host_health.h"
#include "cluster/monitor/text.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

// A host that does not answer costs the head less than a minute.
constexpr std::chrono::seconds kPatience{60};
constexpr int kBusyTries = 60;
constexpr std::chrono::milliseconds kBusyWait{500};

// Somebody else may be examining a host; it takes about a second.
Result<ControlReply> examine(FrontDoorClient& client, const std::string& host) {
  for (int tries = 0;; ++tries) {
    auto reply = client.ask(ExamineHost{host});
    const bool is_busy = !reply && reply.error().code == ErrorCode::kOverloaded;
    if (!is_busy || tries == kBusyTries) return reply;
    pause_for(kBusyWait);
    if (is_interrupted()) return stopped();
  }
}

std::string clock_text(const HostReport& one) {
  return fmt::format("{:+.1f}±{:.1f} ms", one.clock_ahead_seconds * 1e3,
                     one.clock_uncertainty_seconds * 1e3);
}

std::string rate_text(double bytes_per_second) {
  return fmt::format("{:.0f}", bytes_per_second * 8e-6);
}

constexpr const char* kRow =
    "{:<16} {:<8} {:<16} {:>14} {:>8} {:>13} {:>8} {:>5} {:>5} {:>8} {:>9} "
    "{:>8}  {}";

// Rows are printed as they come: many hosts take a while.
Status print_head() {
  return print_line(fmt::format(fmt::runtime(kRow), "HOST", "STATE", "ADDRESS", "CLOCK", "TRIP ms",
                                "LINK Mbit/s", "GFLOP/s", "SLOTS", "CORES", "MEMORY", "DISK FREE",
                                "SHM", "BUILD, ARITHMETIC"));
}

Status print_row(const HostReport& one) {
  // The head has no link to itself.
  const bool has_link = one.round_trip_seconds > 0;
  return print_line(fmt::format(
      fmt::runtime(kRow), printable(one.summary.name), printable(one.summary.state),
      has_link ? printable(one.address) : "-", has_link ? clock_text(one) : "-",
      has_link ? fmt::format("{:.2f}", one.round_trip_seconds * 1e3) : "-",
      has_link ? rate_text(one.bytes_per_second_there) + "/" + rate_text(one.bytes_per_second_back)
               : "-",
      one.reading.flops_per_core > 0 ? fmt::format("{:.1f}", one.reading.flops_per_core * 1e-9)
                                     : "-",
      one.facts.slots, one.facts.cores, byte_count(one.facts.memory_bytes),
      byte_count(one.reading.disk_free_bytes), byte_count(one.reading.shm_bytes),
      one.failure.empty()
          ? fmt::format("{}, {} ({})", printable(one.build), printable(one.arithmetic_id),
                        printable(one.instruction_set))
          : printable(one.failure)));
}

nlohmann::ordered_json to_json(const HostReport& one) {
  return {{"name", one.summary.name},
          {"state", one.summary.state},
          {"address", one.address},
          {"failure", one.failure},
          {"clock_ahead_seconds", one.clock_ahead_seconds},
          {"clock_uncertainty_seconds", one.clock_uncertainty_seconds},
          {"round_trip_seconds", one.round_trip_seconds},
          {"bytes_per_second_there", one.bytes_per_second_there},
          {"bytes_per_second_back", one.bytes_per_second_back},
          {"flops_per_core", one.reading.flops_per_core},
          {"slots", one.facts.slots},
          {"used", one.summary.used},
          {"cores", one.facts.cores},
          {"cores_of_part", one.facts.cores_of_part},
          {"devices", one.facts.devices},
          {"memory_bytes", one.facts.memory_bytes},
          {"memory_free_bytes", one.reading.memory_free_bytes},
          {"home", one.reading.home},
          {"disk_bytes", one.facts.disk_bytes},
          {"disk_free_bytes", one.reading.disk_free_bytes},
          {"shm_bytes", one.reading.shm_bytes},
          {"shm_free_bytes", one.reading.shm_free_bytes},
          {"build", one.build},
          {"arithmetic_id", one.arithmetic_id},
          {"instruction_set", one.instruction_set}};
}

}  // namespace

Status examine_cluster(const ServerChoice& choice, bool is_json) {
  watch_for_interrupts();
  auto options = find_server(choice);
  if (!options) return options.error();
  options->deadline = kPatience;
  auto client = FrontDoorClient::connect(std::move(*options));
  if (!client) return client.error();
  const auto listed = (*client)->ask(ListHosts{});
  if (!listed) return listed.error();
  std::vector<HostReport> reports;
  for (const HostSummary& host : listed->hosts) {
    if (is_interrupted()) return stopped();
    auto reply = examine(**client, host.name);
    if (!reply) return reply.error();
    if (!reply->report) return Error{ErrorCode::kInternal, "the daemon answered without a report"};
    reports.push_back(std::move(*reply->report));
    if (is_json) continue;
    if (reports.size() == 1) {
      if (Status said = print_head(); !said) return said;
    }
    if (Status said = print_row(reports.back()); !said) return said;
  }
  const auto complaints = find_complaints(reports);
  if (is_json) {
    auto hosts = nlohmann::ordered_json::array();
    for (const HostReport& one : reports) hosts.push_back(to_json(one));
    const nlohmann::ordered_json all = {{"hosts", hosts}, {"complaints", complaints}};
    if (Status said = print_line(to_text(all, {.replaces_invalid = true})); !said) return said;
  } else {
    for (const std::string& one : complaints) {
      if (Status said = print_line("WRONG   " + one); !said) return said;
    }
  }
  if (complaints.empty()) return ok();
  return Error{ErrorCode::kInternal,
               fmt::format("{} of {} hosts: {}{}", complaints.size(), reports.size(),
                           complaints.front(), complaints.size() > 1 ? "; ..." : "")};
}

}  // namespace troupe::cluster
