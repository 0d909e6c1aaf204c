#include "actors/crew/worker_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "schemas/check.h"

namespace troupe::actors {

WorkerPool::WorkerPool(std::vector<SlotPlan> slots, Lease lease, Options options)
    : plans_(std::move(slots)),
      options_(std::move(options)),
      lease_(std::move(lease)),
      // Greater than those of earlier heads, which survivors may still be at.
      outbox_(options_.first_epoch),
      slots_(plans_, options_, outbox_),
      attempts_(options_, outbox_),
      generation_(plans_, options_, outbox_),
      judging_(plans_, options_, outbox_),
      team_(plans_, options_, outbox_),
      learner_(plans_, options_, outbox_),
      shelf_(plans_, options_, outbox_),
      is_suspect_([this](const GroupKey& group) { return attempts_.is_suspect(group); }) {}

void WorkerPool::set_point(std::string path, PointRecord point) {
  lease_.point_path = std::move(path);
  lease_.point = std::move(point);
}

// ---- Processes.

void WorkerPool::start(double now, const std::vector<Survivor>& survivors) {
  sampled_at_ = ticked_at_ = now;
  slots_.start(now, survivors);
}

void WorkerPool::restore_attempts(const std::vector<AttemptRecord>& attempts) {
  attempts_.restore(attempts);
}

void WorkerPool::started(uint32_t slot, std::string token, uint64_t pid, double now) {
  slots_.started(slot, std::move(token), pid, now);
}

void WorkerPool::start_failed(uint32_t slot, const std::string& reason, double now) {
  if (const auto lost = slots_.start_failed(slot, reason, now)) hand_on(*lost, now);
}

std::optional<uint64_t> WorkerPool::hello(const Hello& hello, double now) {
  const auto epoch = slots_.hello(hello, now);
  if (!epoch) return std::nullopt;
  if (slots_.is_survivor(hello.slot)) {
    const size_t num_held =
        roles(hello.slot).rollout ? generation_.hold(hello.slot, hello.holds) : 0;
    outbox_.note(
        fmt::format("{} has outlived its head{}", slots_.title(hello.slot),
                    num_held > 0 ? fmt::format(" and has {} groups in hand", num_held) : ""));
  }
  give_lease(hello.slot);
  return epoch;
}

void WorkerPool::give_lease(uint32_t slot) {
  const SlotPlan& plan = plans_[slot];
  Lease lease = lease_;
  lease.slot = slot;
  lease.roles = plan.roles;
  lease.rollout_threads = plan.rollout_threads;
  lease.learner_threads = plan.learner_threads;
  lease.verifier_threads = plan.verifier_threads;
  lease.seat = team_.seat(slot);
  outbox_.tell(slots_.worker(slot), 0, options_.start_max, std::move(lease));
}

void WorkerPool::ended(const ProcessEnd& end, double now) {
  if (const auto lost = slots_.ended(end, now)) hand_on(*lost, now);
}

void WorkerPool::disconnected(uint32_t slot, uint64_t epoch, double now) {
  slots_.disconnected(slot, epoch, now);
}

void WorkerPool::tick(double now) {
  if (slots_.is_shut_down()) return;
  // While this process itself stood still it could hear nobody.
  const double still = now - std::exchange(ticked_at_, now);
  if (still > options_.silence_max / 2) {
    slots_.stood_still(still, now);
    generation_.stood_still(still, now);
    judging_.stood_still(still, now);
    learner_.stood_still(still, now);
    shelf_.stood_still(still, now);
  }
  for (uint32_t i = 0; i < slots_.num_slots(); ++i) {
    if (const auto lost = slots_.tick(i, now)) {
      hand_on(*lost, now);
    } else if (const auto alone = team_.overdue(i, now); alone && slots_.is_leased(i)) {
      hand_on(slots_.lose(i, Loss::kKilled, *alone, now), now);
    } else if (const auto why = overdue(i, now)) {
      hand_on(slots_.lose(i, Loss::kFault, *why, now), now);
    }
  }
  dispatch(now);
}

// Why a worker that breathes is to be lost all the same.
std::optional<std::string> WorkerPool::overdue(uint32_t slot, double now) const {
  if (!slots_.is_ready(slot)) return std::nullopt;
  if (auto why = shelf_.overdue(slot, now)) return why;
  if (auto why = generation_.overdue(slot, now)) return why;
  if (auto why = judging_.overdue(slot, now)) return why;
  // Of several ranks the one that the others wait for.
  const auto late = learner_.overdue(now);
  if (late.empty() || team_.most_awaited(late) != slot) return std::nullopt;
  return learner_.overdue_text();
}

void WorkerPool::hand_on(const SlotLost& lost, double now) {
  hand_on_groups(lost, now);
  if (const auto others = team_.lost(lost.slot)) {
    if (!others->empty()) {
      outbox_.note(fmt::format("the learner's {} other ranks begin again with it", others->size()));
    }
    for (const uint32_t other : *others) {
      if (!slots_.is_leased(other)) continue;
      hand_on_groups(slots_.lose(other, Loss::kTeam, "with its team", now), now);
    }
    learner_.lost(lost.loss, lost.why, now);
  }
  dispatch(now);
}

// What a lost worker had goes to others, in order and before what waits.
void WorkerPool::hand_on_groups(const SlotLost& lost, double now) {
  shelf_.lost(lost.slot);
  auto generating = generation_.lost(lost.slot, now);
  std::reverse(generating.groups.begin(), generating.groups.end());
  for (PromptGroup& group : generating.groups) {
    if (attempts_.lost(key_of(group), lost.loss, generating.core_seconds, lost.why)) {
      generation_.put_back(generating.batch, std::move(group));
    }
  }
  auto judging = judging_.lost(lost.slot, now);
  std::reverse(judging.begin(), judging.end());
  for (GroupToJudge& group : judging) {
    if (attempts_.lost(key_of(group), lost.loss, 0, lost.why)) judging_.put_back(std::move(group));
  }
}

// ---- Messages.

void WorkerPool::received(uint32_t slot, uint64_t epoch, uint64_t request_id, FromWorker message,
                          double now) {
  if (!slots_.heard(slot, epoch, now)) return;
  if (const auto* beat = std::get_if<Heartbeat>(&message)) {
    // A survivor ends what it has in hand before it takes its lease.
    if (generation_.progressed(slot, *beat)) slots_.goes_on(slot, now);
    team_.heard(slot, *beat);
    return;
  }
  if (auto* seated = std::get_if<RankSeated>(&message)) {
    team_.seated(slots_.worker(slot), std::move(*seated));
    return;
  }
  if (const auto* failed = std::get_if<WorkFailed>(&message)) {
    // Who is gone, or what the others have not done, is no fault of the one that says so.
    if (failed->error.code == ErrorCode::kUnavailable && roles(slot).learner) {
      team_.failed(slot, failed->error, now);
      return;
    }
    outbox_.add(pool::GiveUp{JobState::kFailed, failed->error});
    return;
  }
  if (auto* ready = std::get_if<WorkerReady>(&message)) {
    take_ready(slot, std::move(*ready), now);
    return;
  }
  if (!slots_.is_ready(slot)) return;
  if (auto* generated = std::get_if<GroupsGenerated>(&message)) {
    take_generated(slot, request_id, std::move(*generated), now);
  } else if (auto* judged = std::get_if<GroupsJudged>(&message)) {
    take_judged(slot, request_id, std::move(*judged), now);
  } else if (const auto* loaded = std::get_if<PolicyLoaded>(&message)) {
    take_loaded(slot, request_id, *loaded, now);
  } else {
    take_learner_answer(slot, request_id, std::move(message), now);
  }
}

void WorkerPool::take_ready(uint32_t slot, WorkerReady ready, double now) {
  if (!slots_.ready(slot, now)) return;
  if (slots_.is_survivor(slot)) {
    // It could not use what it had for what it is to do now.
    if (ready.weights_sha256.empty()) generation_.forget_held(slot);
    shelf_.holds(slot, ready);
  }
  const WorkerId worker = slots_.worker(slot);
  if (roles(slot).verifier) judging_.ready(worker);
  if (roles(slot).learner) {
    if (auto all = team_.ready(worker, std::move(ready))) {
      std::vector<WorkerId> ranks;
      for (const uint32_t rank : team_.slots()) ranks.push_back(slots_.worker(rank));
      learner_.ready(std::move(ranks), std::move(*all));
    }
  }
  dispatch(now);
}

void WorkerPool::take_generated(uint32_t slot, uint64_t request_id, GroupsGenerated generated,
                                double now) {
  const auto further = generation_.arrived(slot, request_id, generated, now);
  if (!further) return;
  for (const GroupKey& group : *further) attempts_.came_further(group);
  outbox_.add(pool::Answer{std::move(generated)});
  dispatch(now);
}

void WorkerPool::take_judged(uint32_t slot, uint64_t request_id, GroupsJudged judged, double now) {
  if (!judging_.answered(slot, request_id, judged, now)) return;
  for (const JudgedGroup& group : judged.groups) attempts_.judged(key_of(group));
  outbox_.add(pool::Answer{std::move(judged)});
  dispatch(now);
}

void WorkerPool::take_loaded(uint32_t slot, uint64_t request_id, const PolicyLoaded& loaded,
                             double now) {
  if (shelf_.loaded(slot, request_id, loaded.version)) dispatch(now);
}

void WorkerPool::take_learner_answer(uint32_t slot, uint64_t request_id, FromWorker message,
                                     double now) {
  for (FromWorker& answer : learner_.answered(slot, request_id, std::move(message), now)) {
    if (auto* published = std::get_if<PolicyPublished>(&answer)) {
      shelf_.put(std::move(*published));
    } else {
      outbox_.add(pool::Answer{std::move(answer)});
    }
  }
  dispatch(now);
}

// ---- The learner and its versions.

void WorkerPool::learn(const LearnStep& step, double now) {
  auto shares = plan_step(lease_.job, step, team_.num_ranks());
  if (!shares) {
    outbox_.add(pool::GiveUp{JobState::kFailed, shares.error()});
    return;
  }
  learner_.learn(std::move(*shares), now);
}

void WorkerPool::save_point(PolicyVersion version, std::string folder,
                            const std::vector<PolicyVersion>& policies, double now) {
  if (!learner_.version()) return;  // Lost in the meantime.
  std::vector<PolicyFile> files;
  for (const PolicyVersion policy : policies) {
    const PolicyPublished* published = shelf_.find(policy);
    files.push_back({policy, published != nullptr ? published->path : learner_.path_of(policy)});
  }
  learner_.save_point(version, std::move(folder), std::move(files), now);
}

void WorkerPool::publish(PolicyVersion version, double now) {
  if (shelf_.is_needed() && !has_policy(version)) learner_.publish(version, now);
}

void WorkerPool::adopt_policy(PolicyPublished policy) { shelf_.put(std::move(policy)); }

void WorkerPool::retire_policies(PolicyVersion before) { shelf_.retire(before); }

// A rollout with a learner generates by the learner's own weights, which the controller holds still
// for as long as it wants groups of that version.
bool WorkerPool::has_weights(uint32_t slot, PolicyVersion version) const {
  return roles(slot).learner ? learner_.version() == version : shelf_.has_loaded(slot, version);
}

// ---- Groups.

void WorkerPool::generate(GenerateGroups request, double now) {
  if (request.groups.empty()) return;
  judging_.forget_failures_of_dropped();
  generation_.want(std::move(request));
  dispatch(now);
}

void WorkerPool::judge(GroupToJudge group, double now) {
  judging_.want(std::move(group));
  dispatch(now);
}

void WorkerPool::cancel_groups(double now) {
  generation_.cancel(now);
  judging_.cancel(now);
}

void WorkerPool::cancel_evaluation(double now) {
  generation_.cancel_evaluation(now);
  judging_.cancel_evaluation();
  dispatch(now);
}

void WorkerPool::place(const std::vector<Place>& places, double now) {
  TROUPE_CHECK(places.size() == slots_.num_slots());
  for (uint32_t i = 0; i < slots_.num_slots(); ++i) {
    if (places[i].is_there && !places[i].is_another) continue;
    if (const auto lost = slots_.leave_place(i, now)) hand_on(*lost, now);
    generation_.place(i, false);
  }
  for (uint32_t i = 0; i < slots_.num_slots(); ++i) {
    if (!places[i].is_there) continue;
    generation_.place(i, true);
    slots_.take_place(i, places[i].host, now);
  }
}

void WorkerPool::shut_down(double now) {
  if (slots_.is_shut_down()) return;
  cancel_groups(now);
  learner_.shut_down();
  slots_.shut_down();
}

// Whoever is free is given work.
void WorkerPool::dispatch(double now) {
  // Rollouts without a learner first: what they wait for, a published policy, must not be queued
  // behind the groups that the learner's own process is given.
  for (const bool has_learner : {false, true}) {
    for (uint32_t i = 0; i < slots_.num_slots(); ++i) {
      if (!slots_.is_ready(i) || roles(i).learner != has_learner) continue;
      if (roles(i).rollout) {
        // What is under way goes on by the newest version.
        if (generation_.is_training(i)) shelf_.load_newest(slots_.worker(i), now);
        dispatch_generation(i, now);
      }
      if (roles(i).verifier) judging_.give(i, is_suspect_, now);
    }
  }
}

bool WorkerPool::can_generate(uint32_t slot, PolicyVersion asked, bool is_for_training) const {
  const auto version = shelf_.version_for(asked, is_for_training);
  if (!version) return false;
  return has_weights(slot, *version) || (!roles(slot).learner && has_policy(*version));
}

void WorkerPool::dispatch_generation(uint32_t slot, double now) {
  if (shelf_.is_loading(slot)) return;
  const auto next = generation_.next(slot, [&](PolicyVersion asked, bool is_for_training) {
    return can_generate(slot, asked, is_for_training);
  });
  if (!next) return;
  const WorkerId worker = slots_.worker(slot);
  const PolicyVersion version = *shelf_.version_for(next->version, next->batch.is_for_training);
  if (!has_weights(slot, version)) shelf_.load(worker, version, now);
  if (has_weights(slot, version)) generation_.give(worker, *next, version, is_suspect_, now);
}

// ---- For people.

Activity WorkerPool::activity(uint32_t slot) const {
  if (slots_.is_ready(slot)) {
    if (auto one = learner_.activity(slot)) {
      if (const auto doing = team_.doing(slot); !doing.empty()) one->what += " (" + doing + ")";
      return *one;
    }
    if (auto one = generation_.activity(slot)) return *one;
    if (auto one = shelf_.activity(slot)) return *one;
    if (auto one = judging_.activity(slot)) return *one;
  }
  return slots_.activity(slot);
}

std::string WorkerPool::who_works(double now) const {
  std::string text;
  for (uint32_t i = 0; i < slots_.num_slots(); ++i) {
    const auto [what, since] = activity(i);
    if (what == "idle" || !slots_.is_placed(i)) continue;
    text += fmt::format("{}{}: {} for {:.0f} s", text.empty() ? "" : "; ", slots_.title(i), what,
                        now - since);
  }
  return text.empty() ? "no worker has anything to do" : text;
}

void WorkerPool::describe(RunSample& sample, double now) {
  for (uint32_t i = 0; i < slots_.num_slots(); ++i) {
    sample.workers.push_back({.slot = i,
                              .roles = to_string(roles(i)),
                              .activity = activity(i).what,
                              .pid = slots_.pid(i),
                              .epoch = slots_.worker(i).epoch,
                              .is_ready = slots_.is_ready(i),
                              .rank = plans_[i].rank,
                              .num_ranks = plans_[i].roles.learner ? team_.num_ranks() : 1,
                              .team_bytes = team_.bytes_sent(i),
                              .tokens_generated = generation_.tokens_of(i)});
  }
  sample.groups_waiting += generation_.num_waiting();
  sample.groups_generating += generation_.num_generating();
  const double elapsed = std::max(1e-6, now - sampled_at_);
  sample.rollout_busy_share = generation_.take_busy(now).share(elapsed);
  sample.verifier_busy_share = judging_.take_busy(now).share(elapsed);
  sample.learner_busy_share = learner_.take_busy(now).share(elapsed);
  sample.verdicts_per_second = static_cast<double>(judging_.take_num_verdicts()) / elapsed;
  generation_.take_work(sample.work, now);
  judging_.take_work(sample.work, now);
  learner_.take_work(sample.work, now);
  sampled_at_ = now;
}

}  // namespace troupe::actors
