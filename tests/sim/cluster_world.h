// A cluster that never was: hosts that come, go, are away for a while and are drained, and jobs
// that begin, end, fail, are cancelled, paused and preempted, under one seeded clock. It keeps its
// own books of who is where and in which order jobs wait, from the commands alone, and stops at the
// first thing that may not be. One file, because the books are kept and checked together.
#pragma once

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/scheduler/cluster_queue.h"
#include "schemas/overloaded.h"
#include "tests/sim/simulated_clock.h"

namespace troupe::tests {

using actors::ClusterQueue;
using actors::JobNeed;

struct ClusterShape {
  size_t hosts = 8;
  uint32_t slots_max = 8;
  size_t jobs = 150;
  double arrival_seconds = 4;   // Mean time between two jobs.
  double run_seconds = 120;     // Mean.
  double trouble_seconds = 20;  // Mean time between two things that happen to hosts or jobs.
  uint32_t learner_hosts_max = actors::kAnyNumber;
  bool is_elastic = false;  // One host that takes any one job.
};

struct ClusterCounts {
  uint64_t begun = 0;
  uint64_t finished = 0;
  uint64_t passed = 0;    // Began while an older one waited that would fit an empty cluster.
  uint64_t reserved = 0;  // Decisions with a reservation.
  uint64_t lent = 0;      // Slots.
  uint64_t taken_back = 0;
  uint64_t preempted = 0;
  uint64_t sent_back = 0;  // Because of their hosts.
  uint64_t moved = 0;      // Rollouts of hosts that went, to others.
  uint64_t short_of = 0;   // Rollouts that found no host at once.
  uint64_t several_hosts = 0;
  uint64_t oversize = 0;
  uint64_t gone = 0, away = 0, drained = 0, came_back = 0, shrunk = 0;
  uint64_t cancelled = 0, paused = 0, failed = 0, cancelled_over_pause = 0;
  // Seconds of a processor.
  double longest_decision = 0;
  double all_decisions = 0;
  uint64_t decisions = 0;

  void add(const ClusterCounts& other) {
    begun += other.begun;
    finished += other.finished;
    passed += other.passed;
    reserved += other.reserved;
    lent += other.lent;
    taken_back += other.taken_back;
    preempted += other.preempted;
    sent_back += other.sent_back;
    moved += other.moved;
    short_of += other.short_of;
    several_hosts += other.several_hosts;
    oversize += other.oversize;
    gone += other.gone;
    away += other.away;
    drained += other.drained;
    came_back += other.came_back;
    shrunk += other.shrunk;
    cancelled += other.cancelled;
    paused += other.paused;
    failed += other.failed;
    cancelled_over_pause += other.cancelled_over_pause;
    longest_decision = std::max(longest_decision, other.longest_decision);
  }
};

// That this thread has had.
inline double processor_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

class ClusterWorld {
 public:
  ClusterWorld(const ClusterShape& shape, uint64_t seed, bool prints)
      : shape_(shape),
        clock_(seed, prints),
        queue_({.preemption_pause = kPreemptionPause,
                .away_max = kAwayMax,
                .learner_hosts_max = shape.learner_hosts_max}) {}

  // Until every job has ended.
  void run() {
    for (size_t i = 0; i < shape_.hosts; ++i) {
      const std::string name = fmt::format("h{:02}", i);
      hosts_[name].slots = 1 + static_cast<uint32_t>(clock_.below(shape_.slots_max));
      host_up(name);
    }
    double at = 0;
    for (uint64_t id = 1; id <= shape_.jobs; ++id) {
      at += exponential(shape_.arrival_seconds);
      clock_.at(at, [this, id] { submit(id); });
    }
    clock_.at(at + 5 * shape_.run_seconds, [this] { end_trouble(); });
    later_trouble();
    tick();
    while (num_ended_ < shape_.jobs) {
      require(clock_.step(), "nothing happens any more, and jobs have not ended");
      require(clock_.now() < kForever, "jobs have not ended after a very long time");
      pump();
    }
  }

  const ClusterCounts& counts() const { return counts_; }
  uint64_t digest() const { return clock_.digest(); }

 private:
  static constexpr double kPreemptionPause = 600;
  static constexpr double kAwayMax = 30;
  static constexpr double kStepMax = 40;   // Until a step's boundary.
  static constexpr double kAnswerMax = 1;  // Until a process that was ended is gone.
  static constexpr double kTick = 3;
  static constexpr double kForever = 1e7;
  static constexpr uint64_t kBooksEvery = 256;  // Decisions.

  struct HostModel {
    uint32_t slots = 0;
    bool is_up = false, is_away = false, is_drained = false;
    double away_since = 0;
    // Devices of processes: (job, slot), also of those that are about to end.
    std::set<std::pair<uint64_t, uint32_t>> devices{};
    bool takes_jobs() const { return is_up && !is_away && !is_drained; }
  };
  struct JobModel {
    JobNeed need{};
    JobState state = JobState::kQueued;
    double work = 0;  // Seconds that are left.
    bool is_new = true;
    uint64_t number = 0;
    bool is_accepted = false;
    // While it runs:
    ClusterQueue::Nodes nodes{};
    uint64_t life = 0;  // Counts beginnings, so that a late event of an earlier one is known.
    double begun_at = 0;
    double answers_at = 0;
    std::optional<JobState> stopping{};
    std::optional<double> preempted_at{};
    bool fails = false;
  };
  // The order in which jobs wait.
  using Key = std::tuple<int64_t, bool, uint64_t, uint64_t>;

  double exponential(double mean) { return -mean * std::log(1 - clock_.uniform(0, 1)); }
  Key key_of(uint64_t id) const {
    const JobModel& job = jobs_.at(id);
    return {-job.need.priority, job.is_new, job.number, id};
  }
  void set_waiting(uint64_t id, bool is_new) {
    JobModel& job = jobs_.at(id);
    job.state = JobState::kQueued;
    job.is_new = is_new;
    if (is_new) job.number = next_number_++;
    waiting_.insert(key_of(id));
  }

  // ---- What happens.

  void tick() {
    clock_.after(kTick, [this] { tick(); });
  }

  void submit(uint64_t id) {
    JobModel& job = jobs_[id];
    auto& slots = job.need.slots;
    const bool is_large = clock_.chance(0.06);
    const auto large = static_cast<uint32_t>(shape_.hosts * shape_.slots_max / 3);
    slots.learner = 1u << clock_.below(is_large ? 5 : 3);
    slots.learner = std::min(slots.learner, std::max(1u, large));
    slots.is_split = clock_.chance(0.5);
    const auto rollouts =
        1 + static_cast<uint32_t>(clock_.below(is_large ? std::max<size_t>(1, large) : 4));
    slots.required = slots.is_split ? slots.learner + rollouts : std::max(slots.learner, rollouts);
    slots.verifier = static_cast<uint32_t>(clock_.below(3));
    slots.lent = clock_.chance(0.4) ? static_cast<uint32_t>(clock_.below(7)) : 0;
    job.need.priority = clock_.chance(0.2) ? static_cast<int64_t>(clock_.below(5)) - 2 : 0;
    job.work = exponential(shape_.run_seconds);
    job.fails = clock_.chance(0.1);
    job.is_accepted = true;
    set_waiting(id, true);
    queue_.submit(id, job.need);
    clock_.trace("submit", id, slots.required);
  }

  void later_trouble() {
    clock_.after(exponential(shape_.trouble_seconds), [this] {
      if (is_quiet_) return;
      trouble();
      later_trouble();
    });
  }

  void trouble() {
    const double what = clock_.uniform(0, 1);
    if (what < 0.35) {
      trouble_of_host();
    } else if (const auto id = some_job()) {
      trouble_of_job(*id, what);
    }
  }

  std::optional<uint64_t> some_job() {
    if (jobs_.empty()) return std::nullopt;
    // Rather one of the last, because the first have ended.
    const size_t back = clock_.below(std::min<size_t>(jobs_.size(), 60));
    return jobs_.rbegin()->first - back;
  }

  void trouble_of_job(uint64_t id, double what) {
    JobModel& job = jobs_.at(id);
    if (is_terminal(job.state)) return;
    const bool was_waiting = job.state == JobState::kQueued;
    const bool was_running = job.state == JobState::kRunning;
    if (what < 0.55) {
      const bool over = was_running && job.stopping == JobState::kPaused;
      if (!queue_.cancel(id)) return;
      ++counts_.cancelled;
      counts_.cancelled_over_pause += over ? 1 : 0;
      clock_.trace("cancel", id);
      if (was_waiting) waiting_.erase(key_of(id));
      if (was_running) job.stopping = JobState::kCancelled;
    } else if (what < 0.75 && job.state != JobState::kPaused) {
      if (!queue_.pause(id)) return;
      ++counts_.paused;
      clock_.trace("pause", id);
      if (was_waiting) waiting_.erase(key_of(id));
      if (was_running) job.stopping = JobState::kPaused;
      clock_.after(exponential(60), [this, id] { resume(id); });
    }
  }

  void resume(uint64_t id) {
    const JobModel& job = jobs_.at(id);
    if (is_terminal(job.state)) return;
    if (!queue_.resume(id)) {
      clock_.after(5, [this, id] { resume(id); });
      return;
    }
    if (job.state == JobState::kPaused) set_waiting(id, true);
  }

  void trouble_of_host() {
    auto at = hosts_.begin();
    std::advance(at, clock_.below(hosts_.size()));
    const std::string name = at->first;
    HostModel& host = at->second;
    ++host_changes_;
    if (host.is_drained && host.is_up && !host.is_away) {
      require(bool(queue_.undrain_host(name)), "a host cannot be undrained");
      host.is_drained = false;
      return;
    }
    if (!host.is_up || host.is_away) return;  // It is to come back.
    const double what = clock_.uniform(0, 1);
    if (what < 0.3) {
      require(bool(queue_.drain_host(name)), "a host cannot be drained");
      host.is_drained = true;
      ++counts_.drained;
      clock_.trace("drain", at->second.slots);
      clock_.after(exponential(200), [this, name] {
        HostModel& drained = hosts_.at(name);
        ++host_changes_;
        if (!drained.is_drained || !drained.is_up) return;
        require(bool(queue_.undrain_host(name)), "a host cannot be undrained");
        drained.is_drained = false;
      });
    } else if (what < 0.7) {
      queue_.host_away(name, clock_.now());
      host.is_away = true;
      host.away_since = clock_.now();
      ++counts_.away;
      clock_.trace("away", host.slots);
      clock_.after(exponential(25), [this, name] {
        if (clock_.chance(0.2)) {
          host_gone(name);
        } else {
          host_up(name);
        }
      });
    } else {
      host_gone(name);
    }
  }

  void host_up(const std::string& name) {
    if (is_quiet_) return;
    HostModel& host = hosts_.at(name);
    // What was given up meanwhile has ended there.
    pump();
    if (is_lost(host)) lose_processes(name);
    ++host_changes_;
    counts_.came_back += host.is_away ? 1 : 0;
    if (clock_.chance(0.2)) {
      const auto before = host.slots;
      host.slots = 1 + static_cast<uint32_t>(clock_.below(shape_.slots_max));
      counts_.shrunk += host.slots < before ? 1 : 0;
    }
    host.is_up = true;
    host.is_away = false;
    queue_.host_up(name, host.slots, shape_.is_elastic);
    clock_.trace("up", host.slots);
  }

  // A job that stops is not moved any more: what it had there begins again with the host, if the
  // host is back first.
  void lose_processes(const std::string& name) {
    std::erase_if(hosts_.at(name).devices, [&](const auto& device) {
      const JobModel& job = jobs_.at(device.first);
      return !job.stopping || job.nodes[device.second] != name;
    });
  }

  void host_gone(const std::string& name) {
    if (is_quiet_) return;
    HostModel& host = hosts_.at(name);
    ++host_changes_;
    ++counts_.gone;
    host.is_up = host.is_away = host.is_drained = false;
    lose_processes(name);
    queue_.host_gone(name);
    clock_.trace("gone", host.slots);
    for (const uint64_t id : running_) {
      const JobModel& job = jobs_.at(id);
      if (!job.stopping || !has_lost_learner(job)) continue;
      clock_.after(clock_.uniform(0.01, kAnswerMax),
                   [this, id, life = job.life] { end_job(id, life, JobState::kPaused); });
    }
    clock_.after(exponential(60), [this, name] { host_up(name); });
  }

  // From now on jobs only end, so that all of them do.
  void end_trouble() {
    is_quiet_ = true;
    ++host_changes_;
    for (auto& [name, host] : hosts_) {
      if (host.is_drained && host.is_up) {
        require(bool(queue_.undrain_host(name)), "a host cannot be undrained");
      }
      host.is_drained = false;
      host.slots = shape_.slots_max;
      host.is_up = true;
      host.is_away = false;
      queue_.host_up(name, host.slots, shape_.is_elastic);
    }
    for (auto& [id, job] : jobs_) {
      // Some need more than all hosts have.
      const bool is_impossible =
          actors::place_to_wait_for(job.need.slots, empty_hosts(), shape_.learner_hosts_max)
              .empty();
      if (!is_impossible || is_terminal(job.state)) continue;
      if (job.state == JobState::kQueued) waiting_.erase(key_of(id));
      require(bool(queue_.cancel(id)), "a job cannot be cancelled");
      if (job.state == JobState::kRunning) job.stopping = JobState::kCancelled;
    }
  }

  // ---- What the queue says.

  void pump() {
    const double begun = processor_seconds();
    const auto commands = queue_.decide(clock_.now());
    const double seconds = processor_seconds() - begun;
    counts_.longest_decision = std::max(counts_.longest_decision, seconds);
    counts_.all_decisions += seconds;
    ++counts_.decisions;
    for (const auto& command : commands) {
      std::visit(Overloaded{
                     [&](const ClusterQueue::Start& one) { started(one); },
                     [&](const ClusterQueue::Resize& one) { resized(one); },
                     [&](const ClusterQueue::Stop& one) { stopped(one); },
                     [&](const ClusterQueue::Changed& one) { changed(one); },
                 },
                 command);
    }
    counts_.reserved += queue_.reserved_for() ? 1 : 0;
    check_first();
    if (++pumps_ % kBooksEvery == 0) check_books();
  }

  bool has_lost_learner(const JobModel& job) const {
    const auto end = job.nodes.begin() + job.need.slots.learner;
    return std::any_of(job.nodes.begin(), end,
                       [&](const std::string& name) { return is_lost(hosts_.at(name)); });
  }

  // Nobody will hear of what was there.
  bool is_lost(const HostModel& host) const {
    return !host.is_up || (host.is_away && clock_.now() - host.away_since >= kAwayMax);
  }

  bool is_device(const JobNeed& need, uint32_t slot) const {
    return slot < need.slots.required || slot >= need.slots.first_lent();
  }

  void add_device(uint64_t id, const JobNeed& need, uint32_t slot, const std::string& name) {
    if (!is_device(need, slot)) return;
    HostModel& host = hosts_.at(name);
    require(host.takes_jobs(),
            fmt::format("job {} is placed on host {}, which takes none", id, name));
    require(host.devices.insert({id, slot}).second,
            fmt::format("slot {} of job {} is on host {} twice", slot, id, name));
    const bool fits = host.devices.size() <= host.slots;
    const bool is_alone = host.devices.begin()->first == id && host.devices.rbegin()->first == id &&
                          slot < need.slots.required;
    require(fits || (shape_.is_elastic && is_alone),
            fmt::format("host {} has {} slots and {} processes", name, host.slots,
                        host.devices.size()));
    counts_.oversize += fits ? 0 : 1;
  }

  void started(const ClusterQueue::Start& start) {
    JobModel& job = jobs_.at(start.job);
    require(job.state == JobState::kRunning, "a job begins that is not said to run");
    const auto& slots = job.need.slots;
    require(start.nodes.size() == slots.all(), "a job begins without some of its slots");
    std::set<std::string> learner, all;
    for (uint32_t i = 0; i < slots.all(); ++i) {
      require(!start.nodes[i].empty() || i >= slots.first_lent(), "a job is half placed");
      if (start.nodes[i].empty()) continue;
      if (i < slots.learner) learner.insert(start.nodes[i]);
      if (i < slots.required) all.insert(start.nodes[i]);
      if (i >= slots.first_lent()) ++counts_.lent;
      if (i >= slots.required && i < slots.first_lent()) {
        require(all.count(start.nodes[i]) > 0, "a verifier is where the job is not");
      }
      add_device(start.job, job.need, i, start.nodes[i]);
    }
    require(learner.size() <= shape_.learner_hosts_max, "a learner has too many hosts");
    counts_.several_hosts += all.size() > 1 ? 1 : 0;
    ++counts_.begun;
    running_.insert(start.job);
    job.nodes = start.nodes;
    job.begun_at = clock_.now();
    job.stopping.reset();
    ++job.life;
    clock_.trace("begin", start.job, all.size());
    clock_.after(job.work, [this, id = start.job, life = job.life] {
      end_job(id, life, jobs_.at(id).fails ? JobState::kFailed : JobState::kFinished);
    });
  }

  void resized(const ClusterQueue::Resize& resize) {
    JobModel& job = jobs_.at(resize.job);
    require(job.state == JobState::kRunning && resize.nodes.size() == job.nodes.size(),
            "a job is resized that does not run");
    const auto& slots = job.need.slots;
    std::vector<std::pair<std::string, uint32_t>> taken;
    for (uint32_t i = 0; i < slots.all(); ++i) {
      const std::string& before = job.nodes[i];
      const std::string& after = resize.nodes[i];
      if (before == after) continue;
      require(i >= slots.learner || is_lost(hosts_.at(before)), "a learner's rank is moved");
      const bool is_required = i < slots.required;
      if (!before.empty() && is_lost(hosts_.at(before))) {
        hosts_.at(before).devices.erase({resize.job, i});
      } else if (!before.empty()) {
        taken.emplace_back(before, i);
      }
      if (is_required && after.empty()) ++counts_.short_of;
      if (is_required && !after.empty()) ++counts_.moved;
      if (!is_device(job.need, i)) continue;
      if (!is_required) ++(after.empty() ? counts_.taken_back : counts_.lent);
      if (is_required && !before.empty()) {
        require(!hosts_.at(before).takes_jobs(), "a required slot is taken from a host that is up");
      }
    }
    for (uint32_t i = 0; i < slots.all(); ++i) {
      if (job.nodes[i] != resize.nodes[i] && !resize.nodes[i].empty()) {
        add_device(resize.job, job.need, i, resize.nodes[i]);
      }
    }
    job.nodes = resize.nodes;
    clock_.trace("resize", resize.job, resize.number);
    // Answers come in the order of what they answer.
    job.answers_at = std::max(job.answers_at, clock_.now() + clock_.uniform(0.01, kAnswerMax));
    clock_.at(job.answers_at,
              [this, taken, id = resize.job, number = resize.number, life = job.life] {
                if (jobs_.at(id).life != life || jobs_.at(id).state != JobState::kRunning) return;
                for (const auto& [name, slot] : taken) {
                  // Unless it has gone there again.
                  if (jobs_.at(id).nodes[slot] != name) hosts_.at(name).devices.erase({id, slot});
                }
                queue_.resized(id, number);
              });
  }

  void stopped(const ClusterQueue::Stop& stop) {
    JobModel& job = jobs_.at(stop.job);
    require(job.state == JobState::kRunning, "a job is stopped that does not run");
    require(!stop.why.empty(), "a job is stopped and nobody says why");
    const bool was_stopping = job.stopping.has_value();
    if (stop.state == JobState::kQueued) {
      require(!was_stopping, "a job is sent back that is stopping");
      if (stop.why.find("has a higher priority") != std::string::npos) {
        check_preemption(stop.job, job);
      } else {
        ++counts_.sent_back;
        clock_.trace("send back", stop.job);
      }
      job.stopping = JobState::kQueued;
    }
    // Without its learner a job is at no step.
    const double step = clock_.uniform(0.01, has_lost_learner(job) ? kAnswerMax : kStepMax);
    clock_.after(step,
                 [this, id = stop.job, life = job.life] { end_job(id, life, JobState::kPaused); });
  }

  void check_preemption(uint64_t id, JobModel& job) {
    require(!waiting_.empty() && -std::get<0>(*waiting_.begin()) > job.need.priority,
            fmt::format("job {} is preempted, and nobody of a higher priority waits", id));
    require(!job.preempted_at || clock_.now() - *job.preempted_at >= kPreemptionPause,
            fmt::format("job {} is preempted again after {} s", id,
                        clock_.now() - job.preempted_at.value_or(0)));
    job.preempted_at = clock_.now();
    ++counts_.preempted;
    clock_.trace("preempt", id);
  }

  void end_job(uint64_t id, uint64_t life, JobState state) {
    JobModel& job = jobs_.at(id);
    if (job.life != life || job.state != JobState::kRunning) return;
    job.work -= std::min(job.work, clock_.now() - job.begun_at);
    for (auto& [name, host] : hosts_) {
      std::erase_if(host.devices, [id](const auto& one) { return one.first == id; });
    }
    JobState expected = state;
    if (state == JobState::kPaused) expected = job.stopping.value_or(state);
    ends_as_ = {id, expected};
    running_.erase(id);
    ++job.life;
    clock_.trace("end", id, static_cast<uint64_t>(expected));
    queue_.ended(id, state);
  }

  void changed(const ClusterQueue::Changed& change) {
    JobModel& job = jobs_.at(change.job);
    if (change.state == JobState::kRunning) {
      require(waiting_.erase(key_of(change.job)) == 1, "a job begins that does not wait");
      // One of a higher priority came, and began before it waited.
      if (first_ && key_of(change.job) < key_of(*first_)) first_.reset();
      if (first_ && key_of(*first_) < key_of(change.job)) ++counts_.passed;
    }
    if (job.state == JobState::kRunning) {
      require(ends_as_ == std::pair(change.job, change.state), "a job ends otherwise than it does");
    }
    const bool comes_back = job.state == JobState::kRunning && change.state == JobState::kQueued;
    if (is_terminal(change.state) && !is_terminal(job.state)) ++num_ended_;
    counts_.finished += change.state == JobState::kFinished ? 1 : 0;
    counts_.failed += change.state == JobState::kFailed ? 1 : 0;
    job.state = change.state;
    if (comes_back) set_waiting(change.job, false);
  }

  // ---- What must hold.

  std::vector<actors::HostRoom> empty_hosts() const {
    std::vector<actors::HostRoom> rooms;
    for (const auto& [name, host] : hosts_) {
      const int64_t slots = host.takes_jobs() ? host.slots : 0;
      rooms.push_back({slots, slots, shape_.is_elastic});
    }
    return rooms;
  }

  // Nobody starves: the first in the order of those that the hosts could hold begins as soon as the
  // jobs have ended that ran when its turn came, whatever else has come since; and where it fits
  // but for what is lent, or what it may preempt, in a moment.
  void check_first() {
    std::optional<uint64_t> first;
    const auto hosts = empty_hosts();
    for (const Key& key : waiting_) {
      const auto& slots = jobs_.at(std::get<3>(key)).need.slots;
      if (place_to_wait_for(slots, hosts, shape_.learner_hosts_max).empty()) continue;
      first = std::get<3>(key);
      break;
    }
    const double now = clock_.now();
    if (!first || first != first_ || first_changes_ != host_changes_) {
      first_ = first;
      first_changes_ = host_changes_;
      first_since_ = now;
      first_by_ = now + kStepMax + 2 * kAnswerMax + 2 * kTick;
      double longest = 0;
      for (const uint64_t id : running_) {
        const JobModel& job = jobs_.at(id);
        longest = std::max(longest, job.work - (now - job.begun_at));
      }
      first_by_ += longest;
      fits_since_.reset();
      preempts_since_.reset();
    }
    if (!first) return;
    require(now <= first_by_, fmt::format("job {} is the first and waits since {:.1f}: {}", *first,
                                          first_since_, queue_.why(*first, now)));
    const JobNeed& need = jobs_.at(*first).need;
    const auto fits = [&](auto counts) {
      auto rooms = hosts;
      size_t i = 0;
      for (const auto& [name, host] : hosts_) {
        for (const auto& [id, slot] : host.devices) rooms[i].room -= counts(id, slot) ? 1 : 0;
        ++i;
      }
      return actors::place(need.slots, rooms, shape_.learner_hosts_max).has_value();
    };
    const auto since = [&](bool holds, std::optional<double>& time) {
      if (!holds) time.reset();
      if (holds && !time) time = now;
      return holds ? now - *time : 0.0;
    };
    const auto is_required = [&](uint64_t id, uint32_t slot) {
      return slot < jobs_.at(id).need.slots.required;
    };
    require(
        since(fits(is_required), fits_since_) <= 2 * kAnswerMax + 2 * kTick,
        fmt::format("job {} would fit but for what is lent: {}", *first, queue_.why(*first, now)));
    const auto is_kept = [&](uint64_t id, uint32_t slot) {
      const JobModel& job = jobs_.at(id);
      const bool is_spared = job.preempted_at && now - *job.preempted_at < kPreemptionPause;
      return is_required(id, slot) && (job.need.priority >= need.priority || is_spared);
    };
    require(since(fits(is_kept), preempts_since_) <= kStepMax + 3 * kAnswerMax + 3 * kTick,
            fmt::format("job {} would fit but for jobs of a lower priority: {}", *first,
                        queue_.why(*first, now)));
  }

  void check_books() {
    std::map<std::pair<uint64_t, uint32_t>, std::string> theirs;
    for (const auto& view : queue_.hosts(clock_.now())) {
      const HostModel& host = hosts_.at(view.name);
      require(view.slots == host.slots, "a host has other slots");
      for (const auto& tenant : view.tenants) {
        for (const uint32_t slot : tenant.slots) theirs[{tenant.job, slot}] = view.name;
      }
    }
    for (const auto& [id, job] : jobs_) {
      require(queue_.state(id) == job.state, fmt::format("job {} is in another state", id));
      if (!is_terminal(job.state)) require(!queue_.why(id, clock_.now()).empty(), "no reason");
      if (job.state != JobState::kRunning || job.stopping) continue;
      for (uint32_t i = 0; i < job.nodes.size(); ++i) {
        if (job.nodes[i].empty() || !hosts_.at(job.nodes[i]).is_up) continue;
        const auto found = theirs.find({id, i});
        require(found != theirs.end() && found->second == job.nodes[i],
                fmt::format("slot {} of job {} is elsewhere", i, id));
      }
    }
  }

  const ClusterShape shape_;
  SimulatedClock clock_;
  ClusterQueue queue_;
  ClusterCounts counts_{};
  std::map<std::string, HostModel> hosts_{};
  std::map<uint64_t, JobModel> jobs_{};
  std::set<Key> waiting_{};
  std::set<uint64_t> running_{};
  std::pair<uint64_t, JobState> ends_as_{};
  uint64_t next_number_ = 1;
  size_t num_ended_ = 0;
  uint64_t pumps_ = 0;
  bool is_quiet_ = false;
  uint64_t host_changes_ = 0;
  std::optional<uint64_t> first_{};
  uint64_t first_changes_ = 0;
  double first_since_ = 0;
  double first_by_ = 0;
  std::optional<double> fits_since_{};
  std::optional<double> preempts_since_{};
};

}  // namespace troupe::tests
