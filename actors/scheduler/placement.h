// What a job needs of hosts, and on which of them it fits: functions of numbers alone.
//
// A host has slots, one for each device or part of its cores. They are counted host by host: one
// with fewer slots is a host with fewer slots, and nothing has to be a product of anything. Where
// slots are GPUs, a job of processors takes them too; one of GPUs takes no others.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/crew/slot_plan.h"
#include "schemas/job.h"

namespace troupe::actors {

// What a host's slots are: parts of its cores, or a GPU each.
enum class SlotKind { kCores, kGpus };

struct JobNeed {
  SlotCounts slots{};
  int64_t priority = 0;
  bool needs_gpus = false;  // Each of its slots with a device is to be a GPU.
};
// `auto_is_cuda`: what resources.device = "auto" comes to.
JobNeed need_of(const JobSpec& job, bool auto_is_cuda = false);

// What of a host may be used.
struct HostRoom {
  int64_t slots = 0;  // Of the host, all together.
  int64_t room = 0;   // Of these, what is to be had. May be below 0, which is none.
  // While all of it is to be had, one job has its place there, however many slots that needs.
  bool is_elastic = false;

  bool is_empty_elastic() const { return is_elastic && slots > 0 && room == slots; }
};

inline constexpr uint32_t kAnyNumber = std::numeric_limits<uint32_t>::max();
inline constexpr uint32_t kNoHost = std::numeric_limits<uint32_t>::max();

// The host of each required slot, as an index; nothing when they do not fit, all of them. The
// learner has at most `learner_hosts_max` hosts. One host is better than two: the one that is left
// the fullest, else those with the most room, so that learner and job have as few as fit.
std::optional<std::vector<uint32_t>> place(const SlotCounts& need, std::span<const HostRoom> hosts,
                                           uint32_t learner_hosts_max);

// Slots by host that a job which fits nowhere now should wait for: of hosts that hold it when
// nobody else is there, those with the most room. Empty when there are none.
std::vector<int64_t> place_to_wait_for(const SlotCounts& need, std::span<const HostRoom> hosts,
                                       uint32_t learner_hosts_max);

// Verifiers take no slots. They are spread over the job's hosts, those of `required`.
std::vector<uint32_t> spread_verifiers(uint32_t verifiers, std::span<const uint32_t> required);

// "4 slots on one host", "6 GPUs, 4 of them on one host", "1 slot".
std::string to_text(const JobNeed& need, uint32_t learner_hosts_max);

}  // namespace troupe::actors
