// One file: each decision reads and changes the same counts of slots, by host, by job and by claim.
#include "actors/scheduler/cluster_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <utility>

#include "schemas/check.h"
#include "schemas/overloaded.h"

namespace troupe::actors {
namespace {

Error refused(uint64_t job, const char* verb, JobState state) {
  return invalid_argument(fmt::format("job {} cannot be {}: it is {}", job, verb, name(state)));
}

}  // namespace

// ---- Jobs.

ClusterQueue::Job& ClusterQueue::at(uint64_t job) {
  const auto found = jobs_.find(job);
  TROUPE_CHECK(found != jobs_.end());
  return found->second;
}

const ClusterQueue::Job& ClusterQueue::at(uint64_t job) const {
  const auto found = jobs_.find(job);
  TROUPE_CHECK(found != jobs_.end());
  return found->second;
}

JobState ClusterQueue::state(uint64_t job) const { return at(job).state; }

void ClusterQueue::set(uint64_t job, JobState state) {
  at(job).state = state;
  commands_.push_back(Changed{job, state});
}

void ClusterQueue::wait(uint64_t id, bool is_new) {
  Job& job = at(id);
  // Who was sent back has the place among its like that it had.
  const uint64_t number = is_new ? next_number_++ : job.turn.number;
  job.turn = {is_new, number, id};
  waiting_[job.need.priority][kind_of(job.need)].insert(job.turn);
}

void ClusterQueue::forget_waiting(uint64_t id) {
  const Job& job = at(id);
  const auto level = waiting_.find(job.need.priority);
  if (level == waiting_.end()) return;
  const auto kind = level->second.find(kind_of(job.need));
  if (kind == level->second.end()) return;
  kind->second.erase(job.turn);
  if (kind->second.empty()) level->second.erase(kind);
  if (level->second.empty()) waiting_.erase(level);
  claims_.erase(id);
}

void ClusterQueue::restore(uint64_t id, const JobNeed& need, JobState state, Nodes nodes) {
  TROUPE_CHECK(!has(id));
  Job& job = jobs_[id];
  job.need = need;
  job.state = state == JobState::kRunning ? JobState::kQueued : state;
  job.turn.number = next_number_++;
  if (job.state == JobState::kQueued) wait(id, state != JobState::kRunning);
  if (state == JobState::kRunning && nodes.size() == need.slots.all()) job.nodes = std::move(nodes);
}

bool ClusterQueue::is_held(double now) const {
  if (now >= held_until_) return false;
  const auto is_missing = [&](const std::string& node) {
    const auto found = host_numbers_.find(node);
    return !node.empty() &&
           (found == host_numbers_.end() || hosts_[found->second].state != HostState::kUp);
  };
  return std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& known) {
    const Nodes& nodes = known.second.nodes;
    return known.second.state == JobState::kQueued &&
           std::any_of(nodes.begin(), nodes.end(), is_missing);
  });
}

// Where its required slots were, if there is room.
std::optional<std::vector<uint32_t>> ClusterQueue::former_place(
    const Job& job, const std::vector<int64_t>& room) const {
  if (job.nodes.empty()) return std::nullopt;
  std::vector<int64_t> left = room;
  std::vector<uint32_t> placed;
  for (uint32_t i = 0; i < job.need.slots.required; ++i) {
    const auto found = host_numbers_.find(job.nodes[i]);
    if (found == host_numbers_.end()) return std::nullopt;
    if (!suits(hosts_[found->second], job.need.needs_gpus)) return std::nullopt;
    if (--left[found->second] < 0) return std::nullopt;
    placed.push_back(found->second);
  }
  return placed;
}

void ClusterQueue::submit(uint64_t id, const JobNeed& need) {
  TROUPE_CHECK(!has(id));
  jobs_[id].need = need;
  wait(id, true);
}

Status ClusterQueue::cancel(uint64_t id) {
  Job& job = at(id);
  if (job.state == JobState::kCancelled) return ok();
  if (is_terminal(job.state)) return refused(id, "cancelled", job.state);
  if (job.state == JobState::kRunning) {
    if (job.stopping != JobState::kCancelled) stop(id, JobState::kCancelled, "it is cancelled");
    return ok();
  }
  forget_waiting(id);
  set(id, JobState::kCancelled);
  return ok();
}

Status ClusterQueue::pause(uint64_t id) {
  Job& job = at(id);
  if (job.state == JobState::kPaused) return ok();
  if (is_terminal(job.state)) return refused(id, "paused", job.state);
  if (job.state == JobState::kRunning) {
    if (job.stopping == JobState::kCancelled) return refused(id, "paused", JobState::kCancelled);
    if (job.stopping != JobState::kPaused) stop(id, JobState::kPaused, "it is paused");
    return ok();
  }
  forget_waiting(id);
  set(id, JobState::kPaused);
  return ok();
}

Status ClusterQueue::resume(uint64_t id) {
  Job& job = at(id);
  // A failed job may have lacked something that is there now.
  if (is_terminal(job.state) && job.state != JobState::kFailed) {
    return refused(id, "resumed", job.state);
  }
  if (job.state == JobState::kQueued) return ok();
  if (job.state == JobState::kRunning) {
    if (!job.stopping || job.stopping == JobState::kQueued) return ok();
    return invalid_argument(fmt::format("job {} is still stopping; ask again when it has", id));
  }
  set(id, JobState::kQueued);
  wait(id, true);
  return ok();
}

void ClusterQueue::stop(uint64_t id, JobState state, std::string why) {
  Job& job = at(id);
  // What it was lent need not wait for its step's boundary.
  for (uint32_t i = job.need.slots.first_lent(); i < job.hosts.size(); ++i) {
    if (job.hosts[i] != kNoHost) take_slot(job, i);
  }
  count(job, -1);
  job.stopping = state;
  job.stop_reason = why;
  count(job, +1);
  commands_.push_back(Stop{id, state, std::move(why)});
}

void ClusterQueue::ended(uint64_t id, JobState state) {
  Job& job = at(id);
  TROUPE_CHECK(job.state == JobState::kRunning && running_.count(id) == 1);
  count(job, -1);
  running_.erase(id);
  job.hosts.clear();
  job.leaving.clear();
  const auto stopping = std::exchange(job.stopping, std::nullopt);
  if (state == JobState::kPaused && stopping) {
    // Draining is no wish of the user's, nor is making room: the job goes on with the next head.
    if (is_draining_ && *stopping == JobState::kQueued) return;
    state = *stopping;
  } else if (state == JobState::kPaused && is_draining_) {
    return;
  }
  set(id, state);
  if (state == JobState::kQueued) wait(id, false);
}

void ClusterQueue::resized(uint64_t id, uint64_t number) {
  if (running_.count(id) == 0) return;
  Job& job = at(id);
  count(job, -1);
  std::erase_if(job.leaving, [number](const Leaving& one) { return one.number <= number; });
  count(job, +1);
}

void ClusterQueue::drain() {
  if (is_draining_) return;
  is_draining_ = true;
  for (const uint64_t id : running_) {
    if (!at(id).stopping) {
      commands_.push_back(Stop{id, JobState::kPaused, "the daemon is about to stop"});
    }
  }
}

void ClusterQueue::count(const Job& job, int64_t sign) {
  const SlotCounts& slots = job.need.slots;
  for (uint32_t i = 0; i < job.hosts.size(); ++i) {
    if (job.hosts[i] == kNoHost) continue;
    Host& host = hosts_[job.hosts[i]];
    if (i >= slots.required && i < slots.first_lent()) {
      host.verifiers += sign;
    } else if (job.stopping) {
      host.stopping += sign;
    } else {
      (i < slots.required ? host.required : host.lent) += sign;
    }
  }
  for (const Leaving& one : job.leaving) hosts_[one.host].leaving += sign;
}

// ---- Hosts.

void ClusterQueue::host_up(const std::string& name, uint32_t slots, bool is_elastic,
                           SlotKind kind) {
  const auto [found, is_new] =
      host_numbers_.try_emplace(name, static_cast<uint32_t>(hosts_.size()));
  if (is_new) hosts_.emplace_back().name = name;
  Host& host = hosts_[found->second];
  if (host.state == HostState::kGone) host.is_drained = false;
  host.state = host.is_drained ? HostState::kDraining : HostState::kUp;
  host.slots = slots;
  host.is_elastic = is_elastic;
  host.kind = kind;
}

void ClusterQueue::host_away(const std::string& name, double now) {
  const auto found = host_numbers_.find(name);
  if (found == host_numbers_.end()) return;
  Host& host = hosts_[found->second];
  if (host.state == HostState::kAway || host.state == HostState::kGone) return;
  host.state = HostState::kAway;
  host.away_since = now;
}

void ClusterQueue::host_gone(const std::string& name) {
  const auto found = host_numbers_.find(name);
  if (found != host_numbers_.end()) hosts_[found->second].state = HostState::kGone;
}

Status ClusterQueue::drain_host(const std::string& name) {
  const auto found = host_numbers_.find(name);
  if (found == host_numbers_.end() || hosts_[found->second].state == HostState::kGone) {
    return invalid_argument(fmt::format("there is no host {}; troupe nodes lists them", name));
  }
  Host& host = hosts_[found->second];
  host.is_drained = true;
  if (host.state == HostState::kUp) host.state = HostState::kDraining;
  return ok();
}

Status ClusterQueue::undrain_host(const std::string& name) {
  const auto found = host_numbers_.find(name);
  if (found == host_numbers_.end() || hosts_[found->second].state == HostState::kGone) {
    return invalid_argument(fmt::format("there is no host {}; troupe nodes lists them", name));
  }
  Host& host = hosts_[found->second];
  host.is_drained = false;
  if (host.state == HostState::kDraining) host.state = HostState::kUp;
  return ok();
}

bool ClusterQueue::is_lost(const Host& host, double now) const {
  return host.state == HostState::kGone ||
         (host.state == HostState::kAway && now - host.away_since >= options_.away_max);
}

bool ClusterQueue::is_to_be_empty(const Host& host, double now) const {
  return host.state == HostState::kDraining || is_lost(host, now);
}

void ClusterQueue::leave_hosts(double now) {
  const bool has_somebody = std::any_of(hosts_.begin(), hosts_.end(), [&](const Host& host) {
    return (is_to_be_empty(host, now) && host.required + host.lent + host.verifiers > 0) ||
           (is_lost(host, now) && host.leaving > 0);
  });
  if (!has_somebody) return;
  for (const uint64_t id : running_) leave_hosts(id, now);
}

void ClusterQueue::leave_hosts(uint64_t id, double now) {
  Job& job = at(id);
  // Nobody will say that what was there has ended.
  count(job, -1);
  std::erase_if(job.leaving, [&](const Leaving& one) { return is_lost(hosts_[one.host], now); });
  count(job, +1);
  // Where it was it may begin again when the host is back, as long as it stops.
  if (job.stopping) return;
  const SlotCounts& slots = job.need.slots;
  const auto is_left = [&](uint32_t host) {
    return host != kNoHost && is_to_be_empty(hosts_[host], now);
  };
  const auto left = std::find_if(job.hosts.begin(), job.hosts.end(), is_left);
  if (left == job.hosts.end()) return;
  if (std::cmp_less(left - job.hosts.begin(), slots.learner)) {
    const Host& host = hosts_[*left];
    std::string what = fmt::format("host {} is {}", host.name, name(host.state));
    if (host.state == HostState::kAway) what += fmt::format(" for {:.0f} s", now - host.away_since);
    stop(id, JobState::kQueued, std::move(what));
    return;
  }
  for (uint32_t i = slots.learner; i < slots.all(); ++i) {
    const uint32_t host = job.hosts[i];
    if (!is_left(host) || (i >= slots.required && i < slots.first_lent())) continue;
    take_slot(job, i);
    if (is_lost(hosts_[host], now)) {
      count(job, -1);
      job.leaving.pop_back();
      count(job, +1);
    }
  }
  count(job, -1);
  const auto spread =
      spread_verifiers(slots.verifier, std::span(job.hosts).subspan(0, slots.required));
  for (uint32_t i = 0; i < slots.verifier; ++i) {
    uint32_t& host = job.hosts[slots.required + i];
    if (is_left(host)) host = spread[i];
  }
  count(job, +1);
  resized_.insert(id);
}

void ClusterQueue::take_slot(Job& job, uint32_t slot) {
  count(job, -1);
  const uint32_t host = std::exchange(job.hosts[slot], kNoHost);
  job.leaving.push_back({host, slot, job.resizes + 1});
  count(job, +1);
  resized_.insert(job.turn.job);
}

// A host may have come back with fewer slots.
void ClusterQueue::shrink_to_fit() {
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    const Host& host = hosts_[i];
    const int64_t excess = host.required + host.lent - host.slots;
    if (host.lent > 0 && excess > 0) take_back(i, std::min(host.lent, excess));
  }
}

// Who is the first to give something back: the lowest priority, who was lent the most, the
// youngest.
void ClusterQueue::take_back(uint32_t host, int64_t slots) {
  if (slots <= 0) return;
  std::vector<std::tuple<int64_t, int64_t, uint64_t, uint32_t>> lent_there;
  for (const uint64_t id : running_) {
    const Job& job = at(id);
    if (job.stopping) continue;
    const auto first = job.hosts.begin() + job.need.slots.first_lent();
    if (std::find(first, job.hosts.end(), host) == job.hosts.end()) continue;
    const int64_t lent = num_lent(job);
    for (uint32_t i = job.need.slots.first_lent(); i < job.hosts.size(); ++i) {
      if (job.hosts[i] == host) lent_there.emplace_back(-job.need.priority, lent, id, i);
    }
  }
  std::sort(lent_there.rbegin(), lent_there.rend());
  TROUPE_CHECK(std::cmp_greater_equal(lent_there.size(), slots));
  for (int64_t i = 0; i < slots; ++i) {
    const auto [priority, lent, id, slot] = lent_there[static_cast<size_t>(i)];
    take_slot(at(id), slot);
  }
}

int64_t ClusterQueue::num_lent(const Job& job) {
  return std::count_if(job.hosts.begin() + job.need.slots.first_lent(), job.hosts.end(),
                       [](uint32_t host) { return host != kNoHost; });
}

// What the slot had on that host may still be there.
bool ClusterQueue::still_leaves(const Job& job, uint32_t slot, uint32_t host) {
  return std::any_of(job.leaving.begin(), job.leaving.end(), [slot, host](const Leaving& one) {
    return one.slot == slot && one.host == host;
  });
}

// Jobs that have lost rollouts come before those that wait.
void ClusterQueue::refill() {
  std::vector<uint64_t> lacking;
  for (const uint64_t id : running_) {
    const Job& job = at(id);
    const auto required = job.hosts.begin() + job.need.slots.required;
    if (!job.stopping && std::find(job.hosts.begin(), required, kNoHost) != required) {
      lacking.push_back(id);
    }
  }
  if (lacking.empty()) return;
  std::sort(lacking.begin(), lacking.end(), [&](uint64_t a, uint64_t b) {
    return std::pair(-at(a).need.priority, a) < std::pair(-at(b).need.priority, b);
  });
  int64_t short_of = 0, short_of_gpus = 0;
  for (const uint64_t id : lacking) {
    Job& job = at(id);
    int64_t short_here = 0;
    for (uint32_t i = 0; i < job.need.slots.required; ++i) {
      if (job.hosts[i] != kNoHost) continue;
      uint32_t best = kNoHost;
      int64_t best_room = 0;
      for (uint32_t h = 0; h < hosts_.size(); ++h) {
        const Host& host = hosts_[h];
        const int64_t room = num_free(host);
        if (!suits(host, job.need.needs_gpus) || room <= best_room) continue;
        if (still_leaves(job, i, h)) continue;
        best = h;
        best_room = room;
      }
      if (best == kNoHost) {
        ++short_here;
        continue;
      }
      count(job, -1);
      job.hosts[i] = best;
      count(job, +1);
      resized_.insert(id);
    }
    const auto has_host = [](uint32_t host) { return host != kNoHost; };
    const auto& slots = job.need.slots;
    const auto at_slot = [&](uint32_t slot) { return job.hosts.begin() + slot; };
    if (slots.is_split && std::none_of(at_slot(slots.learner), at_slot(slots.required), has_host) &&
        std::none_of(at_slot(slots.first_lent()), job.hosts.end(), has_host)) {
      // It would keep its learner's slots for nothing.
      stop(id, JobState::kQueued, "no slot is free for its rollouts, whose hosts are gone");
    } else {
      (job.need.needs_gpus ? short_of_gpus : short_of) += short_here;
    }
  }
  // GPUs first: what leaves there, or is lent, is of no use twice.
  for (const bool needs_gpus : {true, false}) {
    int64_t& left = needs_gpus ? short_of_gpus : short_of;
    for (const Host& host : hosts_) left -= suits(host, needs_gpus) ? host.leaving : 0;
    for (uint32_t h = 0; h < hosts_.size() && left > 0; ++h) {
      if (!suits(hosts_[h], needs_gpus)) continue;
      const int64_t taken = std::min(left, hosts_[h].lent);
      take_back(h, taken);
      left -= taken;
    }
  }
}

// ---- Who begins.

std::vector<HostRoom> ClusterQueue::rooms_of(const std::vector<int64_t>& room,
                                             const JobNeed& need) const {
  std::vector<HostRoom> rooms(hosts_.size());
  for (size_t i = 0; i < hosts_.size(); ++i) {
    if (!suits(hosts_[i], need.needs_gpus)) continue;
    // No two processes share a GPU, so a host of GPUs holds as many as it has.
    rooms[i] = {hosts_[i].slots, room[i], hosts_[i].is_elastic && !need.needs_gpus};
  }
  return rooms;
}

void ClusterQueue::start_waiting(double now) {
  Rooms rooms;
  for (const Host& host : hosts_) {
    const bool takes = takes_jobs(host);
    const int64_t soon = takes ? host.slots - host.required : 0;
    rooms.soon.push_back(soon);
    rooms.now.push_back(takes ? num_free(host) : 0);
    rooms.lent.push_back(takes ? host.lent : 0);
    rooms.stopping.push_back(takes ? host.stopping : 0);
  }
  rooms.claimed.resize(hosts_.size());
  for (const uint64_t id : running_) {
    const Job& job = at(id);
    if (may_be_preempted(job, now)) rooms.preemptible[job.need.priority] += job.need.slots.required;
  }

  const auto claims = std::exchange(claims_, {});
  const auto reservation = std::exchange(reservation_, std::nullopt);
  std::vector<uint64_t> begun;
  for (const auto& [priority, level] : waiting_) {
    // The first of each kind, in the order of their turns.
    std::map<Turn, std::pair<const Level::value_type*, std::set<Turn>::const_iterator>> first;
    for (const auto& one : level) {
      if (is_of_use(one.first, priority, rooms)) {
        first[*one.second.begin()] = {&one, one.second.begin()};
      }
    }
    while (!first.empty()) {
      const auto [kind, at_turn] = first.extract(first.begin()).mapped();
      if (!is_of_use(kind->first, priority, rooms)) continue;
      const uint64_t id = at_turn->job;
      if (const auto claim = claims.find(id); claim != claims.end()) claims_.insert(*claim);
      if (reservation && reservation->job == id) reservation_ = reservation;
      if (!serve(id, now, rooms)) continue;  // What is of its kind does not fit either.
      if (running_.count(id) > 0) begun.push_back(id);
      const auto next = std::next(at_turn);
      if (next != kind->second.end()) first[*next] = {kind, next};
    }
  }
  for (const uint64_t id : begun) forget_waiting(id);
  lend(rooms);
}

// Whether a job of this kind need be looked at: most need more than there is, however it is put.
bool ClusterQueue::is_of_use(const Kind& kind, int64_t priority, const Rooms& rooms) const {
  if (!rooms.has_reserved) return true;
  int64_t room = 0;
  for (size_t i = 0; i < hosts_.size(); ++i) {
    if (!suits(hosts_[i], kind.needs_gpus)) continue;
    if (hosts_[i].is_elastic) return true;
    room += std::max<int64_t>(0, rooms.soon[i]);
  }
  for (const auto& [lower, slots] : rooms.preemptible) room += lower < priority ? slots : 0;
  return room >= kind.required;
}

// False when nothing was found for the job, which is the first of its kind.
bool ClusterQueue::serve(uint64_t id, double now, Rooms& rooms) {
  if (fit(id, now, rooms)) return true;
  claims_.erase(id);
  if (preempt(id, now, rooms)) return true;
  reserve(id, rooms);
  return false;
}

// There is room now, or will be without anybody's being preempted.
bool ClusterQueue::fit(uint64_t id, double now, Rooms& rooms) {
  const JobNeed need = at(id).need;
  const uint32_t learner_hosts = options_.learner_hosts_max;
  const size_t num_hosts = hosts_.size();
  std::vector<int64_t> room(num_hosts);
  for (size_t i = 0; i < num_hosts; ++i) room[i] = std::min(rooms.now[i], rooms.soon[i]);
  auto placed = former_place(at(id), room);
  if (!placed) placed = place(need.slots, rooms_of(room, need), learner_hosts);
  if (placed) {
    for (const uint32_t host : *placed) {
      --rooms.now[host];
      --rooms.soon[host];
    }
    begin(id, std::move(*placed), now);
    return true;
  }

  // First what is there in a moment, then what may take a step; and only what is needed is taken
  // back from others.
  for (const auto& excluded : {rooms.stopping, std::vector<int64_t>(num_hosts)}) {
    for (size_t i = 0; i < num_hosts; ++i) room[i] = rooms.soon[i] - excluded[i] - rooms.lent[i];
    if (keep_claim(id, room, rooms)) return true;
    placed = place(need.slots, rooms_of(room, need), learner_hosts);
    for (size_t i = 0; i < num_hosts; ++i) room[i] += rooms.lent[i];
    if (!placed) placed = place(need.slots, rooms_of(room, need), learner_hosts);
    if (!placed) continue;
    for (size_t i = 0; i < num_hosts; ++i) room[i] -= rooms.lent[i];
    claim(id, *placed, room, rooms);
    return true;
  }
  return false;
}

// For the first that comes here. Nothing is to be had for it yet.
void ClusterQueue::reserve(uint64_t id, Rooms& rooms) {
  const JobNeed need = at(id).need;
  const uint32_t learner_hosts = options_.learner_hosts_max;
  const size_t num_hosts = hosts_.size();
  if (std::exchange(rooms.has_reserved, true)) return;
  bool holds = reservation_ && reservation_->job == id && reservation_->slots.size() == num_hosts;
  for (size_t i = 0; holds && i < num_hosts; ++i) {
    holds = reservation_->slots[i] == 0 ||
            (takes_jobs(hosts_[i]) &&
             (hosts_[i].slots >= reservation_->slots[i] || hosts_[i].is_elastic));
  }
  if (!holds) {
    auto slots = place_to_wait_for(need.slots, rooms_of(rooms.soon, need), learner_hosts);
    // There is no room for it even without other jobs: hosts are missing, and nobody waits for it.
    rooms.has_reserved = !slots.empty();
    if (slots.empty()) return;
    reservation_ = Claim{id, std::move(slots)};
  }
  for (size_t i = 0; i < num_hosts; ++i) rooms.soon[i] -= reservation_->slots[i];
}

// The job waits for what it has been waiting for, if that is within `room`.
bool ClusterQueue::keep_claim(uint64_t id, const std::vector<int64_t>& room, Rooms& rooms) {
  const auto known = claims_.find(id);
  if (known == claims_.end()) return false;
  std::vector<int64_t>& slots = known->second.slots;
  slots.resize(hosts_.size());
  for (size_t i = 0; i < hosts_.size(); ++i) {
    if (slots[i] > 0 && room[i] < slots[i]) return false;
  }
  for (size_t i = 0; i < hosts_.size(); ++i) {
    rooms.soon[i] -= slots[i];
    rooms.claimed[i] += slots[i];
  }
  return true;
}

void ClusterQueue::begin(uint64_t id, std::vector<uint32_t> required, double now) {
  Job& job = at(id);
  const SlotCounts& slots = job.need.slots;
  const auto verifiers = spread_verifiers(slots.verifier, required);
  job.hosts = std::move(required);
  job.hosts.insert(job.hosts.end(), verifiers.begin(), verifiers.end());
  job.hosts.resize(slots.all(), kNoHost);
  job.nodes.clear();
  job.begun_at = now;
  job.state = JobState::kRunning;
  claims_.erase(id);
  running_.insert(id);
  started_.insert(id);
  count(job, +1);
}

// The job waits for these slots and for no others; what of them is not in `room` is lent, and taken
// back.
void ClusterQueue::claim(uint64_t id, const std::vector<uint32_t>& placed,
                         const std::vector<int64_t>& room, Rooms& rooms) {
  Claim claim{id, std::vector<int64_t>(hosts_.size())};
  for (const uint32_t host : placed) ++claim.slots[host];
  for (uint32_t i = 0; i < hosts_.size(); ++i) {
    int64_t& slots = claim.slots[i];
    if (slots == 0) continue;
    slots = std::min(slots, hosts_[i].slots);  // An elastic host may have fewer.
    const int64_t taken = std::clamp<int64_t>(slots - room[i], 0, rooms.lent[i]);
    take_back(i, taken);
    rooms.lent[i] -= taken;
    rooms.soon[i] -= slots;
    rooms.claimed[i] += slots;
  }
  claims_[id] = std::move(claim);
}

bool ClusterQueue::may_be_preempted(const Job& job, double now) const {
  return !job.stopping &&
         (!job.preempted_at || now - *job.preempted_at >= options_.preemption_pause);
}

bool ClusterQueue::preempt(uint64_t id, double now, Rooms& rooms) {
  const JobNeed need = at(id).need;
  std::vector<uint64_t> victims;
  for (const uint64_t other : running_) {
    const Job& job = at(other);
    if (job.need.priority < need.priority && may_be_preempted(job, now)) victims.push_back(other);
  }
  if (victims.empty()) return false;
  std::sort(victims.begin(), victims.end(), [&](uint64_t a, uint64_t b) {
    return std::tuple(at(a).need.priority, -at(a).begun_at, b) <
           std::tuple(at(b).need.priority, -at(b).begun_at, a);
  });
  const auto add = [&](std::vector<int64_t>& room, uint64_t victim, int64_t sign) {
    const Job& job = at(victim);
    for (uint32_t i = 0; i < job.need.slots.required; ++i) {
      if (job.hosts[i] != kNoHost && takes_jobs(hosts_[job.hosts[i]])) room[job.hosts[i]] += sign;
    }
  };
  const auto place_in = [&](const std::vector<int64_t>& room) {
    return place(need.slots, rooms_of(room, need), options_.learner_hosts_max);
  };
  // As few of the first ones as are enough ...
  const auto with_first = [&](size_t n) {
    std::vector<int64_t> room = rooms.soon;
    for (size_t i = 0; i < n; ++i) add(room, victims[i], +1);
    return room;
  };
  if (!place_in(with_first(victims.size()))) return false;
  size_t low = 1, high = victims.size();
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (place_in(with_first(middle))) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  victims.resize(high);
  // ... and of these none that can be spared.
  std::vector<int64_t> room = with_first(high);
  for (size_t i = victims.size(); i-- > 0;) {
    add(room, victims[i], -1);
    if (place_in(room)) {
      victims.erase(victims.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      add(room, victims[i], +1);
    }
  }
  const auto placed = place_in(room);
  for (const uint64_t victim : victims) {
    Job& job = at(victim);
    for (uint32_t i = 0; i < job.hosts.size(); ++i) {
      if (job.hosts[i] == kNoHost || !takes_jobs(hosts_[job.hosts[i]])) continue;
      if (i < job.need.slots.required) ++rooms.stopping[job.hosts[i]];
      if (i >= job.need.slots.first_lent()) --rooms.lent[job.hosts[i]];
    }
    rooms.preemptible[job.need.priority] -= job.need.slots.required;
    job.preempted_at = now;
    stop(victim, JobState::kQueued,
         fmt::format("job {} has a higher priority, {}", id, need.priority));
  }
  rooms.soon = room;
  for (size_t i = 0; i < room.size(); ++i) room[i] -= rooms.lent[i];
  claim(id, *placed, room, rooms);
  return true;
}

void ClusterQueue::lend(const Rooms& rooms) {
  std::vector<int64_t> room(hosts_.size());
  int64_t all = 0;
  for (size_t i = 0; i < hosts_.size(); ++i) {
    const Host& host = hosts_[i];
    if (!takes_jobs(host)) continue;
    room[i] = std::max<int64_t>(0, num_free(host) - rooms.claimed[i]);
    all += room[i];
  }
  if (all == 0) return;
  using Rank = std::tuple<int64_t, uint32_t, uint64_t>;  // Priority, lent, job: the least is next.
  std::priority_queue<Rank, std::vector<Rank>, std::greater<>> next;
  for (const uint64_t id : running_) {
    const Job& job = at(id);
    const auto lent = static_cast<uint32_t>(num_lent(job));
    if (!job.stopping && lent < job.need.slots.lent) next.push({-job.need.priority, lent, id});
  }
  while (all > 0 && !next.empty()) {
    const auto [priority, lent, id] = next.top();
    next.pop();
    Job& job = at(id);
    uint32_t slot = job.need.slots.first_lent();
    const auto is_taken = [&] {
      return job.hosts[slot] != kNoHost ||
             std::any_of(job.leaving.begin(), job.leaving.end(),
                         [slot](const Leaving& one) { return one.slot == slot; });
    };
    while (slot < job.hosts.size() && is_taken()) ++slot;
    if (slot == job.hosts.size()) continue;
    // Rather where the job is already, then where there is the most room.
    uint32_t best = kNoHost;
    for (const uint32_t host : job.hosts) {
      if (host != kNoHost && room[host] > 0) best = host;
      if (best != kNoHost) break;
    }
    if (best == kNoHost) {
      int64_t most = 0;
      for (uint32_t h = 0; h < hosts_.size(); ++h) {
        if (room[h] <= most || !suits(hosts_[h], job.need.needs_gpus)) continue;
        best = h;
        most = room[h];
      }
    }
    if (best == kNoHost) continue;
    count(job, -1);
    job.hosts[slot] = best;
    count(job, +1);
    --room[best];
    --all;
    resized_.insert(id);
    if (lent + 1 < job.need.slots.lent) next.push({priority, lent + 1, id});
  }
}

ClusterQueue::Nodes ClusterQueue::nodes_of(const Job& job) const {
  Nodes nodes;
  for (const uint32_t host : job.hosts) {
    nodes.push_back(host == kNoHost ? std::string() : hosts_[host].name);
  }
  return nodes;
}

std::vector<ClusterQueue::Command> ClusterQueue::decide(double now) {
  if (!is_draining_ && !is_held(now)) {
    leave_hosts(now);
    shrink_to_fit();
    refill();
    start_waiting(now);
  }
  for (const uint64_t id : started_) {
    commands_.push_back(Changed{id, JobState::kRunning});
    commands_.push_back(Start{id, nodes_of(at(id))});
  }
  for (const uint64_t id : resized_) {
    if (started_.count(id) > 0 || running_.count(id) == 0) continue;
    Job& job = at(id);
    commands_.push_back(Resize{id, ++job.resizes, nodes_of(job)});
  }
  started_.clear();
  resized_.clear();
  return std::exchange(commands_, {});
}

}  // namespace troupe::actors
