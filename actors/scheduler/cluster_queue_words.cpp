// What ClusterQueue says to people.
#include <fmt/format.h>

#include <algorithm>

#include "actors/scheduler/cluster_queue.h"

namespace troupe::actors {
namespace {

constexpr size_t kNamedMax = 3;  // Jobs or hosts of one sentence.

// "a, b, c and 2 more".
std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kNamedMax; ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kNamedMax) text += fmt::format(" and {} more", names.size() - kNamedMax);
  return text;
}

std::string slots_text(int64_t slots) {
  return fmt::format("{} slot{}", slots, slots == 1 ? "" : "s");
}

}  // namespace

const char* name(HostState state) {
  switch (state) {
    case HostState::kUp:
      return "up";
    case HostState::kAway:
      return "away";
    case HostState::kDraining:
      return "drained";
    case HostState::kGone:
      break;
  }
  return "gone";
}

std::string ClusterQueue::some_of(const std::set<uint64_t>& jobs) const {
  std::vector<std::string> names;
  for (const uint64_t id : jobs) names.push_back(fmt::format("job {}", id));
  return listed(names);
}

std::string ClusterQueue::hosts_missing(double now) const {
  std::vector<std::string> names;
  for (const Host& host : hosts_) {
    if (host.state == HostState::kAway) {
      names.push_back(
          fmt::format("host {} is away for {:.0f} s", host.name, now - host.away_since));
    } else if (host.state == HostState::kDraining) {
      names.push_back(fmt::format("host {} is drained", host.name));
    }
  }
  return names.empty() ? "" : "; " + listed(names);
}

std::string ClusterQueue::why_waiting(uint64_t id, const Job& job, double now) const {
  const JobNeed& need = job.need;
  std::string needs = "needs " + to_text(need, options_.learner_hosts_max);
  if (is_draining_) return needs + "; the daemon is about to stop";
  if (is_held(now)) {
    return fmt::format("{}; hosts are waited for, {:.0f} s more", needs, held_until_ - now);
  }
  std::vector<int64_t> whole;
  int64_t all = 0, largest = 0, free = 0;
  bool takes_any = false;
  for (const Host& host : hosts_) {
    takes_any = takes_any || takes_jobs(host);
    whole.push_back(suits(host, need.needs_gpus) ? host.slots : 0);
    all += whole.back();
    largest = std::max(largest, whole.back());
    free += whole.back() > 0 ? std::max<int64_t>(0, num_free(host)) : 0;
  }
  if (place_to_wait_for(need.slots, rooms_of(whole, need), options_.learner_hosts_max).empty()) {
    const std::string there = !takes_any ? "no host takes jobs"
                              : all == 0 ? "no host that takes jobs has any"
                              : all < need.slots.required
                                  ? fmt::format("all hosts together have {}", all)
                                  : fmt::format("the largest host has {}", largest);
    return needs + "; " + there + hosts_missing(now);
  }
  const auto on_hosts_of = [&](const Claim& claim, bool only_leaving) {
    std::set<uint64_t> found;
    for (const uint64_t other : running_) {
      const Job& running = at(other);
      const auto is_there = [&](uint32_t host) {
        return host != kNoHost && host < claim.slots.size() && claim.slots[host] > 0;
      };
      const bool leaves = std::any_of(running.leaving.begin(), running.leaving.end(),
                                      [&](const Leaving& one) { return is_there(one.host); });
      const auto required = running.hosts.begin() + running.need.slots.required;
      const bool is_on = std::any_of(running.hosts.begin(), required, is_there);
      if (only_leaving ? leaves || (is_on && running.stopping) : is_on) found.insert(other);
    }
    return found;
  };
  if (const auto claim = claims_.find(id); claim != claims_.end()) {
    const auto leaving = on_hosts_of(claim->second, true);
    if (leaving.empty()) return needs + "; begins in a moment";
    return fmt::format("{}; begins when {} has left them at its next step's boundary", needs,
                       some_of(leaving));
  }
  if (reservation_ && reservation_->job == id) {
    return fmt::format("is the next to begin; {}, {} free; waits for {}", needs,
                       free == 1 ? "1 is" : fmt::format("{} are", free),
                       some_of(on_hosts_of(*reservation_, false)));
  }
  if (reservation_) {
    const Job& first = at(reservation_->job);
    return fmt::format("{}, {} free; waits behind job {}, which needs {}", needs,
                       free == 1 ? "1 is" : fmt::format("{} are", free), reservation_->job,
                       to_text(first.need, options_.learner_hosts_max));
  }
  return needs + "; waits for its turn";
}

std::string ClusterQueue::why(uint64_t id, double now) const {
  const Job& job = at(id);
  switch (job.state) {
    case JobState::kQueued:
      return why_waiting(id, job, now);
    case JobState::kPaused:
      return fmt::format("is paused; troupe resume {} lets it go on", id);
    case JobState::kFinished:
    case JobState::kFailed:
    case JobState::kCancelled:
      return fmt::format("has ended: it is {}", name(job.state));
    case JobState::kRunning:
      break;
  }
  if (running_.count(id) == 0) return "goes on with the next daemon";
  std::map<std::string, int64_t> slots;
  int64_t lent = 0, missing = 0;
  for (uint32_t i = 0; i < job.hosts.size(); ++i) {
    const bool is_verifier = i >= job.need.slots.required && i < job.need.slots.first_lent();
    if (is_verifier) continue;
    if (job.hosts[i] == kNoHost) {
      missing += i < job.need.slots.required ? 1 : 0;
      continue;
    }
    ++slots[hosts_[job.hosts[i]].name];
    lent += i >= job.need.slots.first_lent() ? 1 : 0;
  }
  std::vector<std::string> places;
  for (const auto& [host, number] : slots) {
    places.push_back(fmt::format("{} of host {}", slots_text(number), host));
  }
  std::string text = fmt::format("runs for {:.0f} s on {}", now - job.begun_at, listed(places));
  if (lent > 0) text += fmt::format("; {} lent", lent == 1 ? "1 is" : fmt::format("{} are", lent));
  if (missing > 0) text += fmt::format("; {} more of its rollouts wait for slots", missing);
  if (job.stopping) text += "; stops at its next step's boundary: " + job.stop_reason;
  return text;
}

std::vector<ClusterQueue::HostView> ClusterQueue::hosts(double now) const {
  std::vector<HostView> views;
  std::vector<size_t> view_of(hosts_.size(), SIZE_MAX);
  for (const auto& [name, number] : host_numbers_) {
    const Host& host = hosts_[number];
    if (host.state == HostState::kGone) continue;
    view_of[number] = views.size();
    views.push_back({.name = name,
                     .state = host.state,
                     .is_elastic = host.is_elastic,
                     .slots = static_cast<uint32_t>(host.slots),
                     .used = static_cast<uint32_t>(host.required + host.leaving + host.stopping),
                     .lent = static_cast<uint32_t>(host.lent),
                     .away_seconds = host.state == HostState::kAway ? now - host.away_since : 0});
  }
  for (const uint64_t id : running_) {
    const Job& job = at(id);
    for (uint32_t i = 0; i < job.hosts.size(); ++i) {
      if (job.hosts[i] == kNoHost || view_of[job.hosts[i]] == SIZE_MAX) continue;
      auto& tenants = views[view_of[job.hosts[i]]].tenants;
      if (tenants.empty() || tenants.back().job != id) tenants.push_back({id, {}});
      tenants.back().slots.push_back(i);
    }
  }
  return views;
}

}  // namespace troupe::actors
