// The roles of a worker, worked one request after another. What takes long runs here, on a thread
// of its own, so that the worker goes on breathing.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "actors/learner/learner_role.h"
#include "actors/rollout/kept_groups.h"
#include "actors/rollout/rollout_role.h"
#include "actors/verifier/verifier_role.h"
#include "kernels/collective/communicator.h"
#include "kernels/collective/zmq_mesh.h"
#include "schemas/work.h"

namespace troupe::actors {

// The next version of the policy for a rollout, which may be in the middle of its work.
class NextPolicy {
 public:
  void put(uint64_t request_id, LoadPolicy policy) {
    const std::lock_guard lock(mutex_);
    next_.emplace(request_id, std::move(policy));
    waits_ = true;
  }
  bool waits() const { return waits_; }
  // Once.
  std::optional<std::pair<uint64_t, LoadPolicy>> take() {
    const std::lock_guard lock(mutex_);
    waits_ = false;
    return std::exchange(next_, std::nullopt);
  }

 private:
  std::mutex mutex_{};
  std::atomic<bool> waits_{false};
  std::optional<std::pair<uint64_t, LoadPolicy>> next_{};
};

// Shared between the executor's thread and the worker's: what the heartbeat says, and which
// generation is not wanted any more.
struct WorkerProgress {
  std::atomic<uint64_t> request_id{0};
  std::atomic<int64_t> sequences_done{0};
  std::atomic<int64_t> sequences_total{0};
  std::atomic<uint64_t> cancelled{0};  // Requests up to this one.
  NextPolicy policy{};
  KeptGroups kept{};

  // With its team; null: it has none.
  void set_team(std::shared_ptr<kernels::Communicator> communicator) {
    const std::lock_guard guard(mutex);
    team = std::move(communicator);
  }
  std::optional<kernels::Progress> team_progress() const {
    const std::lock_guard guard(mutex);
    return team ? std::optional(team->progress()) : std::nullopt;
  }

  std::string waits_for() const {
    const std::lock_guard guard(mutex);
    return what_it_waits_for;
  }
  void set_waits_for(std::string what) {
    const std::lock_guard guard(mutex);
    what_it_waits_for = std::move(what);
  }
  mutable std::mutex mutex{};
  // Guarded by mutex.
  std::string what_it_waits_for{};
  std::shared_ptr<kernels::Communicator> team{};
};

// Whether a lease asks for the same work, so that what a worker has in memory still serves.
bool is_same_work(const Lease& a, const Lease& b);

class Executor {
 public:
  // Both references outlive it; `answer` is called from the executing thread.
  Executor(const kernels::Backend& backend, WorkerProgress& progress,
           std::function<void(uint64_t request_id, FromWorker)> answer);

  // Does one thing and answers. What fails is answered by WorkFailed; what is to be written to a
  // full disk is tried again until there is room, for as long as the head lets this process live.
  void execute(uint64_t request_id, const ToWorker& request);

 private:
  Status take_lease(const Lease& lease);
  Status take_seat();
  Status join_team(const JoinTeam& join);
  Status play_roles();
  Status take_policy();
  Status generate(uint64_t request_id, GenerateGroups request);

  const kernels::Backend& backend_;
  WorkerProgress& progress_;
  std::function<void(uint64_t, FromWorker)> answer_;
  std::optional<Lease> lease_{};
  std::shared_ptr<kernels::collective::ZmqMesh> mesh_{};  // Of a learner with a team.
  std::unique_ptr<LearnerRole> learner_{};
  std::unique_ptr<RolloutRole> rollout_{};
  std::unique_ptr<VerifierRole> verifier_{};
};

}  // namespace troupe::actors
