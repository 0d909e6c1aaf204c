#include "cluster/planner/cluster_text.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

constexpr int64_t kNodesMax = 1 << 16;

std::optional<int64_t> count_in(std::string_view text, int64_t max) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 1 || value > max) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

Result<PlannedCluster> parse_cluster(std::string_view text, const PlannerTables& tables) {
  const Error wrong = invalid_argument(
      fmt::format("--cluster {}: must be HOSTSxDEVICESxNAME, e.g. 64x8xH800 for 64 hosts with 8 "
                  "H800 each",
                  printable(text)));
  const size_t first = text.find('x');
  if (first == text.npos) return wrong;
  const size_t second = text.find('x', first + 1);
  if (second == text.npos) return wrong;
  PlannedCluster cluster;
  const auto nodes = count_in(text.substr(0, first), kNodesMax);
  const auto devices = count_in(text.substr(first + 1, second - first - 1), kNodesMax);
  if (!nodes || !devices) return wrong;
  cluster.nodes = *nodes;
  cluster.devices_per_node = *devices;
  cluster.device_name = text.substr(second + 1);
  const auto in_text = [&](const Error& error) {
    return invalid_argument(fmt::format("--cluster {}: {}", printable(text), error.message));
  };
  const auto device = find_table(tables.devices, cluster.device_name, "device");
  if (!device) return in_text(device.error());
  const auto node = find_table(tables.nodes, cluster.device_name, "node");
  if (!node) return in_text(node.error());
  if (*devices > node->devices) {
    return in_text(invalid_argument(fmt::format("a host has at most {} {}, not {}", node->devices,
                                                cluster.device_name, *devices)));
  }
  const auto network = find_table(tables.networks, node->network, "network");
  if (!network) return in_text(network.error());
  cluster.device = *device;
  cluster.network = *network;
  return cluster;
}

}  // namespace troupe::cluster
