#include "actors/scheduler/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "actors/job/prepared_job.h"
#include "schemas/check.h"

namespace troupe::actors {
namespace {

int64_t room_of(const HostRoom& host) { return std::max<int64_t>(0, host.room); }

// Indices of hosts, those with the most room first.
std::vector<uint32_t> by_room(std::span<const HostRoom> hosts) {
  std::vector<uint32_t> order(hosts.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return room_of(hosts[a]) > room_of(hosts[b]); });
  return order;
}

// Of hosts with room for so many slots the one with the least; kNoHost when there is none.
uint32_t tightest(std::span<const HostRoom> hosts, int64_t slots) {
  uint32_t best = kNoHost;
  for (uint32_t i = 0; i < hosts.size(); ++i) {
    if (hosts[i].room < slots) continue;
    if (best == kNoHost || hosts[i].room < hosts[best].room) best = i;
  }
  return best;
}

}  // namespace

JobNeed need_of(const JobSpec& job, bool auto_is_cuda) {
  const std::string& device = job.resources.device;
  return {.slots = count_slots(job.resources, verifier_workers(job)),
          .priority = job.priority,
          .needs_gpus = device == "cuda" || (device == "auto" && auto_is_cuda)};
}

std::optional<std::vector<uint32_t>> place(const SlotCounts& need, std::span<const HostRoom> hosts,
                                           uint32_t learner_hosts_max) {
  const int64_t required = need.required;
  if (const uint32_t one = tightest(hosts, required); one != kNoHost) {
    return std::vector<uint32_t>(need.required, one);
  }
  int64_t room = 0;
  for (uint32_t i = 0; i < hosts.size(); ++i) {
    if (hosts[i].is_empty_elastic()) return std::vector<uint32_t>(need.required, i);
    room += room_of(hosts[i]);
  }
  if (room < required) return std::nullopt;
  std::vector<uint32_t> order = by_room(hosts);
  int64_t for_learner = 0;
  for (uint32_t i = 0; i < order.size() && i < learner_hosts_max; ++i) {
    for_learner += room_of(hosts[order[i]]);
  }
  if (for_learner < need.learner) return std::nullopt;
  // The learner's ranks are the first slots, and so they are on the first, roomiest hosts.
  std::vector<uint32_t> placed;
  placed.reserve(need.required);
  for (uint32_t i = 0; placed.size() < need.required; ++i) {
    TROUPE_CHECK(i < order.size());
    const auto left = static_cast<int64_t>(need.required - placed.size());
    uint32_t host = order[i];
    if (hosts[host].room >= left && placed.size() >= need.learner) {
      // The rest goes where it leaves the least.
      host = tightest(std::span(hosts), left);
      if (std::find(order.begin(), order.begin() + i, host) != order.begin() + i) host = order[i];
    }
    placed.insert(placed.end(), static_cast<size_t>(std::min(left, room_of(hosts[host]))), host);
  }
  return placed;
}

std::vector<int64_t> place_to_wait_for(const SlotCounts& need, std::span<const HostRoom> hosts,
                                       uint32_t learner_hosts_max) {
  std::vector<int64_t> taken(hosts.size());
  for (uint32_t i = 0; i < hosts.size(); ++i) {
    if (!hosts[i].is_elastic || hosts[i].slots >= need.required || hosts[i].slots == 0) continue;
    taken[i] = need.required;
    return taken;
  }
  std::vector<uint32_t> order = by_room(hosts);
  const auto slots_of_first = [&](uint32_t count) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < count && i < order.size(); ++i) sum += hosts[order[i]].slots;
    return sum;
  };
  if (slots_of_first(learner_hosts_max) < need.learner) {
    // Those with the most room are too small for the learner, also when they are empty.
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return std::min<int64_t>(hosts[a].slots, need.learner) >
             std::min<int64_t>(hosts[b].slots, need.learner);
    });
    if (slots_of_first(learner_hosts_max) < need.learner) return {};
  }
  int64_t left = need.required;
  for (const uint32_t host : order) {
    taken[host] = std::min(left, hosts[host].slots);
    left -= taken[host];
  }
  if (left > 0) return {};
  return taken;
}

std::vector<uint32_t> spread_verifiers(uint32_t verifiers, std::span<const uint32_t> required) {
  std::vector<uint32_t> hosts;
  for (const uint32_t host : required) {
    if (host != kNoHost && std::find(hosts.begin(), hosts.end(), host) == hosts.end()) {
      hosts.push_back(host);
    }
  }
  std::vector<uint32_t> placed(verifiers, kNoHost);
  for (uint32_t i = 0; i < verifiers && !hosts.empty(); ++i) placed[i] = hosts[i % hosts.size()];
  return placed;
}

std::string to_text(const JobNeed& job, uint32_t learner_hosts_max) {
  const SlotCounts& need = job.slots;
  std::string text = fmt::format("{} {}{}", need.required, job.needs_gpus ? "GPU" : "slot",
                                 need.required == 1 ? "" : "s");
  if (need.required == 1 || need.learner <= 1 || learner_hosts_max >= need.learner) return text;
  const std::string where =
      learner_hosts_max == 1 ? "one host" : fmt::format("{} hosts", learner_hosts_max);
  if (need.learner == need.required) return text + " on " + where;
  return text + fmt::format(", {} of them on {}", need.learner, where);
}

}  // namespace troupe::actors
