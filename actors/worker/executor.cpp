#include "actors/worker/executor.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "kernels/collective/device_team.h"
#include "schemas/overloaded.h"
#include "schemas/work_codec.h"

namespace troupe::actors {
namespace {

constexpr std::chrono::milliseconds kRetryFirst{100};
constexpr std::chrono::milliseconds kRetryMax{2'000};

// Does `work` until something else than a lack of room comes of it.
template <class Work>
auto when_there_is_room(WorkerProgress& progress, Work work) {
  auto pause = kRetryFirst;
  while (true) {
    auto result = work();
    if (result || result.error().code != ErrorCode::kExhausted) {
      progress.set_waits_for("");
      return result;
    }
    progress.set_waits_for(result.error().message);
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kRetryMax);
  }
}

// For all ranks to be there.
constexpr std::chrono::seconds kJoinMax{60};
// With ranks that live but have not come as far: they may compute for long, and the head knows
// better who hangs.
constexpr std::chrono::hours kTeamPatience{24};

// Groups of one message that are sent again, so that messages stay within their bounds.
constexpr size_t kKeptAtOnce = 16;

Error without_role(const char* role) {
  return {ErrorCode::kInternal, std::string("this worker is no ") + role};
}

}  // namespace

bool is_same_work(const Lease& a, const Lease& b) {
  const auto bytes = [](Lease lease) {
    lease.point_path.clear();
    lease.point = {};
    lease.job.eval = {};
    lease.job.prices = {};
    lease.job.rollout.segment_tokens = 0;
    lease.job.resources.reconnect_seconds = 0;
    return seal(std::move(lease)).payload;
  };
  return bytes(a) == bytes(b);
}

Executor::Executor(const kernels::Backend& backend, WorkerProgress& progress,
                   std::function<void(uint64_t, FromWorker)> answer)
    : backend_(backend), progress_(progress), answer_(std::move(answer)) {}

void Executor::execute(uint64_t request_id, const ToWorker& request) {
  progress_.request_id = request_id;
  const auto answer_with = [&](auto result) -> Status {
    if (!result) return result.error();
    answer_(request_id, std::move(*result));
    return ok();
  };
  const Status status = std::visit(
      Overloaded{
          [&](const Lease& lease) { return take_lease(lease); },
          [&](const JoinTeam& join) { return join_team(join); },
          [&](const GenerateGroups& groups) { return generate(request_id, groups); },
          [&](const JudgeGroups& groups) -> Status {
            if (!verifier_) return without_role("verifier");
            answer_(request_id, verifier_->judge(groups));
            return ok();
          },
          [&](const LearnShare& share) -> Status {
            return learner_ ? answer_with(learner_->learn(share)) : without_role("learner");
          },
          [&](const PublishPolicy& publish) -> Status {
            if (!learner_) return without_role("learner");
            return answer_with(
                when_there_is_room(progress_, [&] { return learner_->publish(publish); }));
          },
          [&](const SavePoint& save) -> Status {
            if (!learner_) return without_role("learner");
            return answer_with(when_there_is_room(progress_, [&] { return learner_->save(save); }));
          },
          // Which one, is in `progress`; a generation may have taken it before.
          [&](const LoadPolicy&) { return take_policy(); },
          // The worker has dealt with them.
          [](const CancelGeneration&) { return ok(); },
          [](const HeadChanged&) { return ok(); },
      },
      request);
  progress_.request_id = 0;
  progress_.sequences_done = progress_.sequences_total = 0;
  if (!status) answer_(request_id, WorkFailed{status.error()});
}

Status Executor::take_lease(const Lease& lease) {
  // A head that is new may go on with what an earlier one has left, except with a learner: that one
  // begins where this lease says.
  if (lease_ && !learner_ && is_same_work(*lease_, lease)) {
    answer_(0, progress_.kept.ready());
    return ok();
  }
  rollout_.reset();
  learner_.reset();
  verifier_.reset();
  progress_.set_team(nullptr);
  mesh_.reset();
  progress_.kept.clear();
  lease_ = lease;
  return lease.seat.num_ranks() > 1 ? take_seat() : play_roles();
}

// The others are not known yet.
Status Executor::take_seat() {
  const TeamSeat& seat = lease_->seat;
  auto mesh = kernels::collective::ZmqMesh::open({.seat = {.rank = static_cast<int>(seat.rank),
                                                           .epoch = seat.epoch,
                                                           .public_keys = seat.public_keys,
                                                           .secret_key = seat.secret_key,
                                                           .token = seat.token},
                                                  .address = seat.address});
  if (!mesh) return mesh.error();
  mesh_ = std::move(*mesh);
  answer_(0, RankSeated{mesh_->endpoint()});
  return ok();
}

Status Executor::join_team(const JoinTeam& join) {
  if (!mesh_ || learner_) {
    return Error{ErrorCode::kInternal, "this worker has no team that it could join"};
  }
  Status joined = mesh_->join(join.endpoints, std::chrono::steady_clock::now() + kJoinMax);
  if (!joined) return joined;
  auto team = kernels::collective::device_team(backend_.arithmetic_id, mesh_, 0);
  if (!team) return team.error();
  progress_.set_team(std::move(*team));
  return play_roles();
}

Status Executor::play_roles() {
  const Lease& lease = *lease_;
  if (lease.roles.learner) {
    auto learner = LearnerRole::create(
        backend_, lease, {.communicator = progress_.team.get(), .patience = kTeamPatience});
    if (!learner) return learner.error();
    learner_ = std::move(*learner);
  }
  if (lease.roles.rollout) {
    auto rollout = RolloutRole::create(backend_, lease, learner_.get());
    if (!rollout) return rollout.error();
    rollout_ = std::move(*rollout);
  }
  if (lease.roles.verifier) {
    auto verifier = VerifierRole::create(lease.job.rewards,
                                         {.threads = static_cast<int>(lease.verifier_threads),
                                          .trusted_programs = lease.trusted_programs});
    if (!verifier) return verifier.error();
    verifier_ = std::move(*verifier);
  }
  WorkerReady ready;
  if (learner_) {
    auto learner_ready = learner_->ready();
    if (!learner_ready) return learner_ready.error();
    ready = std::move(*learner_ready);
  }
  answer_(0, std::move(ready));
  return ok();
}

Status Executor::take_policy() {
  if (!rollout_) return without_role("rollout");
  const auto next = progress_.policy.take();
  if (!next) return ok();
  auto loaded = rollout_->load(next->second);
  if (!loaded) return loaded.error();
  progress_.kept.loaded(loaded->version, loaded->weights_sha256);
  answer_(next->first, *loaded);
  return ok();
}

Status Executor::generate(uint64_t request_id, GenerateGroups request) {
  if (!rollout_) return without_role("rollout");
  if (request_id <= progress_.cancelled) return ok();
  // A worker that learns ends with its head; what switches versions is no function of one.
  const bool is_async = lease_->job.schedule.mode == "async";
  const bool keeps = !learner_ && !is_async;
  if (keeps) {
    auto kept = progress_.kept.begin(request);
    for (size_t i = 0; i < kept.size(); i += kKeptAtOnce) {
      GroupsGenerated message;
      for (size_t j = i; j < std::min(kept.size(), i + kKeptAtOnce); ++j) {
        message.groups.push_back(std::move(kept[j]));
      }
      answer_(request_id, std::move(message));
    }
  }
  const Status generated =
      rollout_->generate(request, lease_->job.seed,
                         {.send =
                              [&](GroupsGenerated groups) {
                                for (const auto& group : groups.groups) {
                                  if (keeps) progress_.kept.add(group);
                                }
                                if (request_id > progress_.cancelled)
                                  answer_(request_id, std::move(groups));
                              },
                          .progressed =
                              [&](int64_t done, int64_t total) {
                                progress_.sequences_done = done;
                                progress_.sequences_total = total;
                                return request_id > progress_.cancelled;
                              },
                          .has_next_policy = [&] { return is_async && progress_.policy.waits(); },
                          .take_next_policy = [&] { return take_policy(); }});
  progress_.kept.end();
  return generated;
}

}  // namespace troupe::actors
