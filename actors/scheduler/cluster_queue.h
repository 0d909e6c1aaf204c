// Which job runs when, and on which hosts, as a state machine.
//
// Order.        A higher priority comes first; of equals, those that had begun before and were sent
//               back, then those that wait, each in the order in which they came.
// Begin.        A job gets all slots that it requires or none. Whoever comes first in the order and
//               fits begins.
// Reservation.  The first that does not fit, but would on hosts without other jobs, has slots
//               reserved on some of them, and keeps just these until it begins. What comes later in
//               the order begins only where that leaves the reserved slots alone, so the first one
//               waits for jobs that ran before its turn came and for no other. Each job is the
//               first one at some time, unless jobs of a higher priority never end.
// Lending.      Slots that nobody begins on are lent to jobs that run, up to their rollout_max, the
//               higher priority first, and then who has been lent the least. They are taken back as
//               soon as they let a job begin; that job claims them until it does.
// Preemption.   A job that would fit if jobs of a lower priority were stopped has the fewest of
//               them stopped at their next step's boundary, the lowest priority and the youngest
//               first, and claims their slots. They go back to the queue, before those that have
//               not begun. No job is preempted twice within ten minutes.
// Hosts.        Nothing new goes to a host that is away, drained or gone, and what is there leaves:
//               at once, or after a while where it is only away. What was lent is given up; other
//               rollouts move to the next slots that are free, before anybody begins. A job whose
//               learner is there, or that is left without any rollout, is stopped at its next
//               step's boundary, or where its learner is lost, and waits before those that have not
//               begun.
//
// GPUs.         A job that needs GPUs is placed, refilled and lent to on hosts whose slots are
// GPUs;
//               what it waits for is there too. A job that needs none goes anywhere.
//
// A share of users, a quota or a budget would be one more part of `Turn`, which is the order.
//
// What it costs: each decision looks once at each host and at each running job, and of those that
// wait only at the first of each kind (priority, learner, slots) and at those that begin or have a
// claim, however many wait.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "actors/scheduler/placement.h"
#include "schemas/records.h"
#include "schemas/result.h"

namespace troupe::actors {

enum class HostState { kUp, kAway, kDraining, kGone };
const char* name(HostState state);  // "up", "away", "drained", "gone"

class ClusterQueue {
 public:
  struct Options {
    double preemption_pause = 600;  // Seconds until a job may be preempted again.
    double away_max = 30;           // So long a host may be away with what runs there.
    uint32_t learner_hosts_max = kAnyNumber;
  };

  // Host of each of the job's slots by number, empty where it has none (plan_slots).
  using Nodes = std::vector<std::string>;

  struct Start {
    uint64_t job = 0;
    Nodes nodes{};
  };
  // What the job has from now on. It is answered by resized() once nothing runs on what was taken.
  struct Resize {
    uint64_t job = 0;
    uint64_t number = 0;
    Nodes nodes{};
  };
  // To be stopped at its next step's boundary and left in `state`; kQueued: it is to end paused,
  // and waits here.
  struct Stop {
    uint64_t job = 0;
    JobState state = JobState::kPaused;
    std::string why{};
  };
  // The job is in this state now, which is to be made durable.
  struct Changed {
    uint64_t job = 0;
    JobState state = JobState::kQueued;
  };
  using Command = std::variant<Start, Resize, Stop, Changed>;

  explicit ClusterQueue(Options options) : options_(options) {}

  // ---- What has happened. Times are seconds of any one clock.
  // A job that the store knows, at start-up, in the order of ids. One that was running when its
  // head went waits before those that were not, and rather goes where it was.
  void restore(uint64_t job, const JobNeed& need, JobState state, Nodes nodes = {});
  void submit(uint64_t job, const JobNeed& need);
  // kInvalidArgument, saying in which state the job is, for what makes no sense in it. A job that
  // is in the wanted state already is fine.
  Status cancel(uint64_t job);
  Status pause(uint64_t job);
  Status resume(uint64_t job);
  // A running job has ended in `state`.
  void ended(uint64_t job, JobState state);
  void resized(uint64_t job, uint64_t number);

  // A host is there, or there again, with so many slots.
  void host_up(const std::string& host, uint32_t slots, bool is_elastic,
               SlotKind kind = SlotKind::kCores);
  // Nothing is heard of it; it may come back with what runs there.
  void host_away(const std::string& host, double now);
  // What ran there does not run any more.
  void host_gone(const std::string& host);
  // kInvalidArgument when there is no such host.
  Status drain_host(const std::string& host);
  Status undrain_host(const std::string& host);

  // No more is begun and what runs is paused: the head is about to go. Their states stay `running`
  // in the store, so that they go on by themselves.
  void drain();

  // Until this time nothing is begun while hosts are missing of jobs that are to go on there.
  void hold_until(double time) { held_until_ = time; }

  // After events, and once a second.
  std::vector<Command> decide(double now);

  // ---- For people.
  bool is_idle() const { return running_.empty(); }
  bool has(uint64_t job) const { return jobs_.count(job) > 0; }
  JobState state(uint64_t job) const;  // The job must exist.
  // Where it runs, or why it does not and what is missing: one line, as of the last decision.
  std::string why(uint64_t job, double now) const;

  // What a job has on a host, as numbers of slots in the order of plan_slots.
  struct Tenant {
    uint64_t job = 0;
    std::vector<uint32_t> slots{};
  };
  struct HostView {
    std::string name{};
    HostState state = HostState::kUp;
    bool is_elastic = false;
    uint32_t slots = 0;
    uint32_t used = 0;  // By what jobs require, also while that is ending.
    uint32_t lent = 0;
    double away_seconds = 0;
    std::vector<Tenant> tenants{};
  };
  std::vector<HostView> hosts(double now) const;

  // ---- For tests.
  std::optional<uint64_t> reserved_for() const {
    return reservation_ ? std::optional(reservation_->job) : std::nullopt;
  }

 private:
  // Place in the order among those of a priority.
  struct Turn {
    bool is_new = true;  // It had not begun before.
    uint64_t number = 0;
    uint64_t job = 0;
    auto operator<=>(const Turn&) const = default;
  };
  // Jobs of one kind fit, or not, alike.
  struct Kind {
    uint32_t learner = 0;
    uint32_t required = 0;
    bool needs_gpus = false;
    auto operator<=>(const Kind&) const = default;
  };
  using Level = std::map<Kind, std::set<Turn>>;
  static Kind kind_of(const JobNeed& need) {
    return {need.slots.learner, need.slots.required, need.needs_gpus};
  }

  // A slot that has been taken from a running job, whose process may still be there.
  struct Leaving {
    uint32_t host = 0;
    uint32_t slot = 0;
    uint64_t number = 0;  // Of the Resize that says so.
  };
  struct Job {
    JobState state = JobState::kQueued;
    JobNeed need{};
    Turn turn{};
    Nodes nodes{};  // Under the head before this one, until it begins.
    // While it runs:
    std::vector<uint32_t> hosts{};  // By slot; kNoHost: none.
    std::vector<Leaving> leaving{};
    uint64_t resizes = 0;  // Also of earlier times, so that no late answer is taken for a new one.
    double begun_at = 0;
    std::optional<JobState> stopping{};
    std::string stop_reason{};
    // The last time; nothing: never.
    std::optional<double> preempted_at{};
  };
  struct Host {
    std::string name{};
    HostState state = HostState::kGone;
    bool is_elastic = false;
    SlotKind kind = SlotKind::kCores;
    int64_t slots = 0;
    double away_since = 0;
    bool is_drained = false;  // Also while it is away.
    // Slots: required by jobs that go on; lent; taken back and not free yet, which takes a moment;
    // and of jobs that stop, which may take a step.
    int64_t required = 0;
    int64_t lent = 0;
    int64_t leaving = 0;
    int64_t stopping = 0;
    int64_t verifiers = 0;  // They take no slots.
  };
  // Slots by host that wait for one job.
  struct Claim {
    uint64_t job = 0;
    std::vector<int64_t> slots{};
  };
  // What is left for those who come later in the order, by host.
  struct Rooms {
    std::vector<int64_t> now{};       // Nobody is there.
    std::vector<int64_t> soon{};      // And what leaves, stops or is lent; less what is reserved.
    std::vector<int64_t> lent{};      // Of these, not taken back yet.
    std::vector<int64_t> stopping{};  // Of these, at a step's boundary.
    std::vector<int64_t> claimed{};   // By those who wait for more.
    // Slots of jobs that may be preempted, by priority.
    std::map<int64_t, int64_t> preemptible{};
    bool has_reserved = false;
  };

  Job& at(uint64_t job);
  const Job& at(uint64_t job) const;
  void set(uint64_t job, JobState state);
  void stop(uint64_t job, JobState state, std::string why);
  void wait(uint64_t job, bool is_new);
  void forget_waiting(uint64_t job);
  // Adds what a running job has to its hosts' counts, or takes it away.
  void count(const Job& job, int64_t sign);

  bool is_held(double now) const;
  std::optional<std::vector<uint32_t>> former_place(const Job& job,
                                                    const std::vector<int64_t>& room) const;
  bool takes_jobs(const Host& host) const { return host.state == HostState::kUp; }
  // With a device: a job's verifiers go where the job is.
  bool suits(const Host& host, bool needs_gpus) const {
    return takes_jobs(host) && (!needs_gpus || host.kind == SlotKind::kGpus);
  }
  bool may_be_preempted(const Job& job, double now) const;
  bool is_lost(const Host& host, double now) const;
  bool is_to_be_empty(const Host& host, double now) const;
  void leave_hosts(double now);
  void leave_hosts(uint64_t id, double now);
  static int64_t num_lent(const Job& job);
  void take_slot(Job& job, uint32_t slot);
  void shrink_to_fit();
  static bool still_leaves(const Job& job, uint32_t slot, uint32_t host);
  void refill();
  void start_waiting(double now);
  bool is_of_use(const Kind& kind, int64_t priority, const Rooms& rooms) const;
  bool serve(uint64_t job, double now, Rooms& rooms);
  bool fit(uint64_t job, double now, Rooms& rooms);
  void reserve(uint64_t job, Rooms& rooms);
  void begin(uint64_t job, std::vector<uint32_t> required, double now);
  void claim(uint64_t job, const std::vector<uint32_t>& placed, const std::vector<int64_t>& room,
             Rooms& rooms);
  bool keep_claim(uint64_t job, const std::vector<int64_t>& room, Rooms& rooms);
  bool preempt(uint64_t job, double now, Rooms& rooms);
  void take_back(uint32_t host, int64_t slots);
  void lend(const Rooms& rooms);
  int64_t num_free(const Host& host) const {
    return host.slots - host.required - host.lent - host.leaving - host.stopping;
  }
  std::vector<HostRoom> rooms_of(const std::vector<int64_t>& room, const JobNeed& need) const;
  std::string hosts_missing(double now) const;
  std::string some_of(const std::set<uint64_t>& jobs) const;
  std::string why_waiting(uint64_t id, const Job& job, double now) const;
  Nodes nodes_of(const Job& job) const;

  const Options options_;
  std::map<uint64_t, Job> jobs_{};
  std::set<uint64_t> running_{};
  std::map<int64_t, Level, std::greater<>> waiting_{};  // By priority.
  std::vector<Host> hosts_{};                           // Also those that are gone.
  std::map<std::string, uint32_t> host_numbers_{};
  std::map<uint64_t, Claim> claims_{};
  std::optional<Claim> reservation_{};
  uint64_t next_number_ = 1;
  bool is_draining_ = false;
  double held_until_ = 0;
  std::vector<Command> commands_{};
  std::set<uint64_t> started_{};  // In this decision.
  std::set<uint64_t> resized_{};
};

}  // namespace troupe::actors
