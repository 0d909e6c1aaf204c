#include "actors/crew/worker_pool.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "schemas/check.h"

namespace troupe::actors {
namespace {

std::string exit_text(const ProcessEnd& end) {
  if (end.signal != 0) return fmt::format("killed by signal {}", end.signal);
  return end.exit_code < 0 ? "it has ended" : fmt::format("exited with code {}", end.exit_code);
}

// A process that somebody else has ended: by a signal that no program raises at its own fault, or
// because it lost the head, which is the only reason to leave with code 0. Of one that an earlier
// head started, nobody knows; the next one at the same work is our own.
bool is_ended_from_outside(const ProcessEnd& end) {
  constexpr int kSignals[] = {SIGKILL, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
  if (end.signal == 0) return end.exit_code <= 0;
  return std::find(std::begin(kSignals), std::end(kSignals), end.signal) != std::end(kSignals);
}

const VerdictPart* find_infra_error(const JudgedGroup& group) {
  for (const Verdict& verdict : group.verdicts) {
    for (const VerdictPart& part : verdict.parts) {
      if (part.kind == VerdictKind::kInfraError) return &part;
    }
  }
  return nullptr;
}

}  // namespace

std::vector<SlotPlan> plan_slots(const JobSpec& job, int rollout_threads, int learner_threads,
                                 int verifier_threads, int verifier_workers) {
  const ResourcesSpec& resources = job.resources;
  std::vector<SlotPlan> slots;
  const auto add = [&](Roles roles) {
    slots.push_back({.roles = roles,
                     .rollout_threads = static_cast<uint32_t>(rollout_threads),
                     .learner_threads = static_cast<uint32_t>(learner_threads),
                     .verifier_threads = static_cast<uint32_t>(verifier_threads)});
  };
  if (resources.placement == "colocated") {
    for (int64_t i = 0; i < std::max(resources.rollout, resources.learner); ++i) {
      add({.rollout = i < resources.rollout, .learner = i < resources.learner});
    }
  } else {
    for (int64_t i = 0; i < resources.learner; ++i) add({.learner = true});
    for (int64_t i = 0; i < resources.rollout; ++i) add({.rollout = true});
  }
  for (int i = 0; i < verifier_workers; ++i) add({.verifier = true});
  return slots;
}

WorkerPool::WorkerPool(std::vector<SlotPlan> slots, Lease lease, Options options)
    : lease_(std::move(lease)),
      options_(std::move(options)),
      next_epoch_(options_.first_epoch),
      // Greater than those of earlier heads, which survivors may still be at.
      next_request_(options_.first_epoch) {
  for (SlotPlan& plan : slots) {
    slots_.emplace_back();
    slots_.back().plan = plan;
  }
}

std::string WorkerPool::title(uint32_t index) const {
  return fmt::format("worker {} ({})", index, to_string(slots_[index].plan.roles));
}

WorkerPool::Slot* WorkerPool::learner_slot() {
  for (Slot& slot : slots_) {
    if (slot.plan.roles.learner) return &slot;
  }
  return nullptr;
}

void WorkerPool::set_point(std::string path, PointRecord point) {
  lease_.point_path = std::move(path);
  lease_.point = std::move(point);
}

// ---- Processes.

void WorkerPool::start(double now, const std::vector<Survivor>& survivors) {
  sampled_at_ = ticked_at_ = now;
  for (const Survivor& one : survivors) {
    const bool is_wanted = one.slot < slots_.size() && slots_[one.slot].state == State::kDown &&
                           !slots_[one.slot].plan.roles.learner;
    if (!is_wanted) {
      commands_.push_back(pool::Kill{one.slot, one.pid});
      continue;
    }
    Slot& slot = slots_[one.slot];
    slot.state = State::kStarting;
    slot.is_survivor = true;
    slot.since = slot.heard = now;
    slot.epoch = next_epoch_++;
    slot.pid = one.pid;
    slot.token = one.token;
  }
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].state == State::kDown) start_slot(i, now);
  }
}

void WorkerPool::start_slot(uint32_t index, double now) {
  Slot& slot = slots_[index];
  TROUPE_CHECK(slot.state == State::kDown);
  slot.state = State::kStarting;
  slot.since = slot.heard = now;
  slot.disconnected_at.reset();
  slot.epoch = next_epoch_++;
  slot.pid = 0;
  slot.token.clear();
  commands_.push_back(pool::Start{index});
}

void WorkerPool::started(uint32_t index, std::string token, uint64_t pid, double now) {
  Slot& slot = slots_[index];
  if (is_shut_down_ || slot.state != State::kStarting) {
    commands_.push_back(pool::Kill{index, pid});
    return;
  }
  slot.token = std::move(token);
  slot.pid = pid;
  slot.since = now;
}

void WorkerPool::start_failed(uint32_t index, const std::string& reason, double now) {
  if (slots_[index].state != State::kStarting) return;
  lose(index, Loss::kFault, "cannot be started: " + reason, now);
}

std::optional<uint64_t> WorkerPool::hello(const Hello& hello, double now) {
  if (is_shut_down_ || hello.slot >= slots_.size()) return std::nullopt;
  Slot& slot = slots_[hello.slot];
  if (slot.state != State::kStarting || slot.token.empty() || hello.token != slot.token) {
    return std::nullopt;
  }
  if (hello.arithmetic_id != options_.arithmetic_id) {
    commands_.push_back(pool::GiveUp{
        JobState::kFailed,
        {ErrorCode::kInternal,
         fmt::format("{} computes with arithmetic {}, the job was begun with {}; they are never "
                     "mixed in one history",
                     title(hello.slot), hello.arithmetic_id, options_.arithmetic_id)}});
    return std::nullopt;
  }
  slot.state = State::kLeasing;
  slot.since = slot.heard = now;
  if (slot.is_survivor) welcome_survivor(hello.slot, hello);
  Lease lease = lease_;
  lease.slot = hello.slot;
  lease.roles = slot.plan.roles;
  lease.rollout_threads = slot.plan.rollout_threads;
  lease.learner_threads = slot.plan.learner_threads;
  lease.verifier_threads = slot.plan.verifier_threads;
  send(hello.slot, 0, options_.start_max, std::move(lease));
  return slot.epoch;
}

void WorkerPool::welcome_survivor(uint32_t index, const Hello& hello) {
  Slot& slot = slots_[index];
  size_t num_held = 0;
  if (slot.plan.roles.rollout) {
    for (const HeldGroup& group : hello.holds) {
      num_held += held_by_.emplace(key_of(group.id, group.purpose), index).second;
    }
  }
  note(fmt::format("{} has outlived its head{}", title(index),
                   num_held > 0 ? fmt::format(" and has {} groups in hand", num_held) : ""));
}

void WorkerPool::forget_held(uint32_t index) {
  std::erase_if(held_by_, [&](const auto& one) { return one.second == index; });
}

void WorkerPool::ended(const ProcessEnd& end, double now) {
  if (end.slot >= slots_.size()) return;
  Slot& slot = slots_[end.slot];
  if (slot.state == State::kDown || slot.pid != end.pid) return;  // Known already.
  lose(end.slot, is_ended_from_outside(end) ? Loss::kKilled : Loss::kFault, exit_text(end), now);
}

void WorkerPool::disconnected(uint32_t index, uint64_t epoch, double now) {
  if (index >= slots_.size()) return;
  Slot& slot = slots_[index];
  if (slot.epoch != epoch || (slot.state != State::kLeasing && slot.state != State::kReady)) return;
  // How the process ended says more, and is on its way unless the machine is gone.
  if (!slot.disconnected_at) slot.disconnected_at = now;
}

void WorkerPool::restore_attempts(const std::vector<AttemptRecord>& attempts) {
  for (const AttemptRecord& one : attempts) {
    // Kills are counted in a row, and a row ends with the head that saw it.
    tries_[key_of(one.id, GroupPurpose::kTrain)] = {one.faults, 0};
  }
}

void WorkerPool::tick(double now) {
  if (is_shut_down_) return;
  // While this process itself stood still it could hear nobody.
  const double still = now - std::exchange(ticked_at_, now);
  if (still > options_.silence_max / 2) {
    for (Slot& slot : slots_) {
      for (double* since : {&slot.heard, &slot.since, &slot.generation_since, &slot.judgement_since,
                            &slot.learning_since, &slot.loading_since}) {
        *since = std::min(now, *since + still);
      }
    }
  }
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const auto overdue = [&](bool has_work, double since, double patience) {
      return has_work && now - since > patience;
    };
    if (slot.state == State::kDown) {
      if (now >= slot.retry_at) start_slot(i, now);
    } else if (slot.disconnected_at && now - *slot.disconnected_at > options_.disconnected_max) {
      lose(i, Loss::kKilled, "its connection is gone", now);
    } else if (slot.state == State::kStarting || slot.state == State::kLeasing) {
      // Preparing reads and verifies what it starts from, which may be large; it breathes
      // meanwhile.
      const double patience = slot.state == State::kLeasing ? options_.prepare_max
                              : slot.is_survivor            ? options_.reconnect_max
                                                            : options_.start_max;
      if (now - slot.since > patience) {
        const bool is_survivor = slot.state == State::kStarting && slot.is_survivor;
        lose(i, is_survivor ? Loss::kKilled : Loss::kFault,
             fmt::format("not {} after {:.0f} s", is_survivor ? "back" : "ready", patience), now);
      } else if (slot.state == State::kLeasing && now - slot.heard > options_.silence_max) {
        lose(i, Loss::kKilled, fmt::format("silent for {:.1f} s", now - slot.heard), now);
      }
    } else if (now - slot.heard > options_.silence_max) {
      lose(i, Loss::kKilled, fmt::format("silent for {:.1f} s", now - slot.heard), now);
    } else if (overdue(slot.loading.has_value(), slot.loading_since, options_.start_max)) {
      lose(i, Loss::kFault, fmt::format("no policy loaded within {:.0f} s", options_.start_max),
           now);
    } else if (overdue(slot.generation != 0, slot.generation_since, options_.generate_max)) {
      lose(i, Loss::kFault,
           fmt::format("{} groups not generated within {:.0f} s", slot.generating.size(),
                       options_.generate_max),
           now);
    } else if (overdue(slot.judgement != 0, slot.judgement_since, slot.judgement_max)) {
      lose(i, Loss::kFault,
           fmt::format("{} groups not judged within {:.0f} s", slot.judging.size(),
                       slot.judgement_max),
           now);
    } else if (overdue(!slot.learning.empty(), slot.learning_since, options_.learn_max)) {
      lose(i, Loss::kFault,
           fmt::format("{} not done within {:.0f} s", slot.learning.front().second,
                       options_.learn_max),
           now);
    }
  }
  dispatch(now);
}

// Fences a slot: nothing that its process still says counts. Its work goes to others.
void WorkerPool::lose(uint32_t index, Loss loss, const std::string& why, double now) {
  Slot& slot = slots_[index];
  const uint64_t pid = slot.pid;
  const bool was_ready = slot.state == State::kReady;
  if (pid != 0) commands_.push_back(pool::Kill{index, pid});
  note(fmt::format("{} is lost: {}", title(index), why));
  slot.state = State::kDown;
  slot.since = now;
  slot.epoch = 0;
  slot.pid = 0;
  slot.last_loss = why;
  slot.is_survivor = false;
  slot.loaded.reset();
  slot.loading.reset();
  slot.held = {};
  forget_held(index);
  commands_.push_back(pool::WorkerLost{index});
  // A process that had been at work is replaced at once; one that does not come up, ever later.
  slot.losses_in_a_row = was_ready ? 1 : slot.losses_in_a_row + 1;
  double wait = 0;
  for (uint32_t i = 1; i < slot.losses_in_a_row && wait < options_.back_off_max; ++i) {
    wait = wait == 0 ? options_.back_off_first : wait * 2;
  }
  slot.retry_at = now + std::min(wait, options_.back_off_max);
  if (slot.losses_in_a_row >= options_.starts_max) {
    commands_.push_back(pool::GiveUp{
        JobState::kPaused,
        {ErrorCode::kInternal,
         fmt::format(
             "{} has not come up {} times in a row: {}{}", title(index), slot.losses_in_a_row, why,
             options_.log_path.empty() ? "" : "; its last words are in " + options_.log_path)}});
  }

  // Give back what it had, in order, before what waits.
  if (slot.generation != 0) {
    const double spent = (now - slot.generation_since) * slot.plan.rollout_threads;
    slot.rollout_busy += now - slot.rollout_from;
    const auto count = static_cast<double>(std::max<size_t>(1, slot.generating.size()));
    auto groups = std::move(slot.generating);
    slot.generating.clear();
    slot.generation = 0;
    for (auto it = groups.rbegin(); it != groups.rend(); ++it) {
      PromptGroup& group = it->second;
      if (count_loss(group.id, group.purpose, loss, spent / count, why)) {
        wanted_.at(slot.generating_from).waiting.push_front(std::move(group));
      }
    }
  }
  if (slot.judgement != 0) {
    slot.verifier_busy += now - slot.verifier_from;
    auto groups = std::move(slot.judging);
    slot.judging.clear();
    slot.judgement = 0;
    for (auto it = groups.rbegin(); it != groups.rend(); ++it) {
      if (count_loss(it->id, it->purpose, loss, 0, why)) to_judge_.push_front(std::move(*it));
    }
  }
  if (slot.plan.roles.learner) {
    if (!slot.learning.empty()) slot.learner_busy += now - slot.learner_from;
    const std::string at = slot.learning.empty() ? "" : " at " + slot.learning.front().second;
    slot.learning.clear();
    publishing_.clear();
    learner_version_.reset();
    if (was_ready) commands_.push_back(pool::LearnerLost{});
    if (loss == Loss::kKilled && ++learner_kills_ >= options_.kills_max) {
      commands_.push_back(pool::GiveUp{
          JobState::kPaused,
          {ErrorCode::kInternal,
           fmt::format("the learner was killed {} times without a step between{}; look for who "
                       "kills it (memory?), then resume",
                       learner_kills_, at)}});
    }
    if (loss == Loss::kFault && ++learner_faults_ >= options_.learner_faults_max) {
      commands_.push_back(pool::GiveUp{
          JobState::kFailed,
          {ErrorCode::kInternal,
           fmt::format(
               "the learner was lost {} times in a row{}: {}{}", learner_faults_, at, why,
               options_.log_path.empty() ? "" : "; its last words are in " + options_.log_path)}});
    }
  }
  dispatch(now);
}

// False when the group is given up.
uint32_t WorkerPool::faults_of(GroupId id, GroupPurpose purpose) const {
  const auto found = tries_.find(key_of(id, purpose));
  return found == tries_.end() ? 0 : found->second.faults;
}

bool WorkerPool::count_loss(GroupId id, GroupPurpose purpose, Loss loss, double core_seconds,
                            const std::string& why) {
  Tries& tries = tries_[key_of(id, purpose)];
  if (loss == Loss::kFault) {
    ++tries.faults;
    tries.kills = 0;
  } else {
    ++tries.kills;
  }
  if (tries.faults >= options_.faults_max) {
    note(fmt::format("round {}, group {} is given up: {} of its workers ended, the last: {}",
                     number(id.round), id.ordinal, tries.faults, why));
    commands_.push_back(pool::GroupAbandoned{id, purpose, "attempts"});
    return false;
  }
  if (loss == Loss::kKilled && tries.kills >= options_.kills_max) {
    commands_.push_back(pool::GiveUp{
        JobState::kPaused,
        {ErrorCode::kInternal,
         fmt::format("round {}, group {}: its worker was killed {} times in a row; look for who "
                     "kills it (memory?), then resume",
                     number(id.round), id.ordinal, tries.kills)}});
  }
  commands_.push_back(pool::GroupRetried{{id, tries.faults, tries.kills}, purpose, core_seconds});
  return true;
}

// ---- Messages.

void WorkerPool::send(uint32_t index, uint64_t request_id, double patience, ToWorker message) {
  commands_.push_back(pool::Send{index, slots_[index].epoch, request_id,
                                 static_cast<int64_t>(patience * 1000), std::move(message)});
}

void WorkerPool::received(uint32_t index, uint64_t epoch, uint64_t request_id, FromWorker message,
                          double now) {
  if (is_shut_down_ || index >= slots_.size()) return;
  Slot& slot = slots_[index];
  if (slot.state == State::kDown || slot.state == State::kStarting || epoch != slot.epoch) return;
  slot.heard = now;
  if (const auto* beat = std::get_if<Heartbeat>(&message)) {
    // A survivor that ends what it has in hand before it takes its lease.
    const bool goes_on = beat->sequences_done != slot.sequences_done;
    if (slot.state == State::kLeasing && goes_on) slot.since = now;
    slot.sequences_done = beat->sequences_done;
    slot.sequences_total = beat->sequences_total;
    return;
  }
  if (const auto* failed = std::get_if<WorkFailed>(&message)) {
    commands_.push_back(pool::GiveUp{JobState::kFailed, failed->error});
    return;
  }
  if (const auto* ready = std::get_if<WorkerReady>(&message)) {
    if (slot.state != State::kLeasing) return;
    slot.state = State::kReady;
    slot.since = now;
    if (!slot.last_loss.empty()) note(title(index) + " is back");
    slot.last_loss.clear();
    if (slot.is_survivor) {
      slot.held = *ready;
      // It could not use what it had for what it is to do now.
      if (ready->weights_sha256.empty()) forget_held(index);
    }
    if (slot.plan.roles.learner) {
      slot.learner_from = now;
      learner_version_ = ready->version;
      commands_.push_back(pool::LearnerReady{*ready});
    }
    dispatch(now);
    return;
  }
  if (slot.state != State::kReady) return;
  if (auto* generated = std::get_if<GroupsGenerated>(&message)) {
    if (request_id != slot.generation) return;
    std::erase_if(generated->groups, [&](const GeneratedGroup& group) {
      return slot.generating.erase(key_of(group.id, group.purpose)) == 0;
    });
    take_segments(slot, generated->segments);
    slot.losses_in_a_row = 0;
    slot.generation_since = now;
    if (generated->is_last) {
      slot.generation = 0;
      slot.rollout_busy += now - slot.rollout_from;
      // What it left out is not lost on purpose; somebody else may do it.
      auto& waiting = wanted_.at(slot.generating_from).waiting;
      for (auto& [key, group] : slot.generating) waiting.push_back(std::move(group));
      slot.generating.clear();
      forget_wanted();
    }
    commands_.push_back(pool::Answer{std::move(message)});
  } else if (auto* judged = std::get_if<GroupsJudged>(&message)) {
    if (request_id != slot.judgement) return;
    slot.judgement = 0;
    slot.losses_in_a_row = 0;
    slot.verifier_busy += now - slot.verifier_from;
    for (const JudgedGroup& group : judged->groups) {
      verdicts_since_sample_ += static_cast<int64_t>(group.verdicts.size());
      const GroupKey key = key_of(group.id, group.purpose);
      tries_.erase(key);
      failed_at_.erase(key);
      if (const VerdictPart* part = find_infra_error(group)) {
        failed_at_[key] = index;
        note(fmt::format("{} could not judge {} {}, group {}: {}: {}", title(index),
                         group.purpose == GroupPurpose::kTrain ? "round" : "the evaluation of",
                         number(group.id.round), group.id.ordinal, part->name, part->reason));
      }
      std::erase_if(slot.judging, [&](const GroupToJudge& one) {
        return one.id == group.id && one.purpose == group.purpose;
      });
    }
    // What it left out is asked again.
    for (GroupToJudge& group : slot.judging) to_judge_.push_back(std::move(group));
    slot.judging.clear();
    commands_.push_back(pool::Answer{std::move(message)});
  } else if (const auto* loaded = std::get_if<PolicyLoaded>(&message)) {
    if (!slot.loading || request_id != slot.loading_request) return;
    slot.loading.reset();
    slot.loaded = loaded->version;
    remove_retired();
  } else if (!slot.learning.empty() && slot.learning.front().first == request_id) {
    slot.learning.pop_front();
    slot.learning_since = now;
    if (slot.learning.empty()) slot.learner_busy += now - slot.learner_from;
    slot.losses_in_a_row = 0;
    // Only what had not been learned before is progress: a step at which it dies each time may lie
    // some steps behind the recovery point.
    if (const auto* learned = std::get_if<StepLearned>(&message)) {
      learner_version_ = learned->metrics.version;
      if (number(*learner_version_) > learned_max_) {
        learned_max_ = number(*learner_version_);
        learner_faults_ = learner_kills_ = 0;
      }
    }
    if (auto* published = std::get_if<PolicyPublished>(&message)) {
      publishing_.erase(published->version);
      adopt_policy(std::move(*published));
    } else {
      commands_.push_back(pool::Answer{std::move(message)});
    }
  }
  dispatch(now);
}

// Whoever gets their groups after a loss goes on from them. What nobody asked for is left out.
void WorkerPool::take_segments(Slot& slot, ResponseSegments& segments) {
  const bool is_asked = wanted_.at(slot.generating_from).request.segment_tokens > 0;
  std::erase_if(segments, [&](const ResponseSegment& segment) {
    const GroupKey key = key_of(segment.id.group, GroupPurpose::kTrain);
    const auto of = slot.generating.find(key);
    if (!is_asked || of == slot.generating.end() || segment.id.sample >= of->second.num_samples ||
        !extend(of->second.begun, segment)) {
      return true;
    }
    // It has come further, so it is no group that kills whoever tries it.
    if (const auto tries = tries_.find(key); tries != tries_.end()) tries->second.kills = 0;
    return false;
  });
}

// ---- Work.

void WorkerPool::send_to_learner(ToWorker message, std::string what, double now) {
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (!slot.plan.roles.learner || slot.state != State::kReady) continue;
    const uint64_t request = next_request_++;
    if (slot.learning.empty()) slot.learning_since = slot.learner_from = now;
    slot.learning.emplace_back(request, std::move(what));
    send(i, request, options_.learn_max, std::move(message));
    return;
  }
  // Lost in the meantime: the controller hears of it and says everything again.
}

void WorkerPool::learn(LearnStep step, double now) {
  std::string what = fmt::format("learning step {}", number(step.version));
  send_to_learner(std::move(step), std::move(what), now);
}

void WorkerPool::save_point(PolicyVersion version, std::string folder,
                            const std::vector<PolicyVersion>& policies, double now) {
  if (!learner_version_) return;  // Lost in the meantime.
  SavePoint request{version, std::move(folder), {}};
  for (PolicyVersion policy : policies) {
    const auto found = published_.find(policy);
    TROUPE_CHECK(found != published_.end() || publishing_.count(policy) > 0);
    request.policies.push_back(
        {policy, found != published_.end() ? found->second.path : policy_path(policy)});
  }
  send_to_learner(std::move(request), fmt::format("saving version {}", number(version)), now);
}

// ---- Policies.

std::string WorkerPool::policy_path(PolicyVersion version) {
  return fmt::format("{}/version_{}.epoch_{}.safetensors", policies_folder_, number(version),
                     learner_slot()->epoch);
}

void WorkerPool::publish(PolicyVersion version, double now) {
  const bool is_read = std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.plan.roles.rollout && !slot.plan.roles.learner;
  });
  if (!is_read || !learner_version_ || has_policy(version)) return;
  if (!publishing_.insert(version).second) return;
  send_to_learner(PublishPolicy{version, policy_path(version)},
                  fmt::format("publishing version {}", number(version)), now);
}

void WorkerPool::adopt_policy(PolicyPublished policy) {
  published_[policy.version] = std::move(policy);
  if (options_.takes_newest) {
    retired_before_ = std::max(retired_before_, published_.rbegin()->first);
  }
  remove_retired();
}

void WorkerPool::retire_policies(PolicyVersion before) {
  retired_before_ = std::max(retired_before_, before);
  remove_retired();
}

// A file that a worker was told to load stays until it has.
void WorkerPool::remove_retired() {
  std::erase_if(published_, [&](const auto& one) {
    const bool is_read = std::any_of(slots_.begin(), slots_.end(),
                                     [&](const Slot& slot) { return slot.loading == one.first; });
    if (one.first >= retired_before_ || is_read) return false;
    commands_.push_back(pool::RemoveFile{one.second.path});
    return true;
  });
}

// A rollout with a learner generates by the learner's own weights, which the controller holds still
// for as long as it wants groups of that version.
bool WorkerPool::holds(const Slot& slot, PolicyVersion version) const {
  return slot.plan.roles.learner ? learner_version_ == version : slot.loaded == version;
}

// The version that groups are given out by; nothing while it is not there.
std::optional<PolicyVersion> WorkerPool::version_for(WantedKey key, const Wanted& wanted) const {
  const PolicyVersion version = wanted.request.version;
  const bool is_for_training = key.first;
  if (!options_.takes_newest || !is_for_training) return version;
  if (published_.empty() || published_.rbegin()->first < version) return std::nullopt;
  return published_.rbegin()->first;
}

void WorkerPool::load_policy(uint32_t index, PolicyVersion version, double now) {
  const PolicyPublished& policy = published_.at(version);
  Slot& slot = slots_[index];
  const WorkerReady held = std::exchange(slot.held, {});
  if (!held.weights_sha256.empty() && held.version == version &&
      held.weights_sha256 == policy.weights_sha256) {
    slot.loaded = version;  // From an earlier head.
    return;
  }
  slot.loading = version;
  slot.loading_since = now;
  slot.loading_request = next_request_++;
  send(index, slot.loading_request, options_.start_max,
       LoadPolicy{version, policy.path, policy.weights_sha256});
}

// What is under way goes on by the newest version.
void WorkerPool::dispatch_update(uint32_t index, double now) {
  const Slot& slot = slots_[index];
  if (!options_.takes_newest || published_.empty() || slot.loading) return;
  if (slot.generation == 0 || !slot.generating_from.first) return;
  const PolicyVersion newest = published_.rbegin()->first;
  if (slot.loaded < newest) load_policy(index, newest, now);
}

// ---- Groups.

void WorkerPool::generate(GenerateGroups request, double now) {
  if (request.groups.empty()) return;
  forget_wanted();
  if (to_judge_.empty()) failed_at_.clear();  // Of groups that were dropped.
  Wanted& wanted = wanted_[wanted_key(request.groups.front())];
  wanted.waiting.insert(wanted.waiting.end(), std::make_move_iterator(request.groups.begin()),
                        std::make_move_iterator(request.groups.end()));
  request.groups.clear();
  wanted.request = std::move(request);
  const auto rollouts = static_cast<size_t>(std::count_if(
      slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.plan.roles.rollout; }));
  wanted.share =
      std::clamp<size_t>((wanted.waiting.size() + rollouts - 1) / rollouts, 1, options_.share_max);
  dispatch(now);
}

// What nobody waits for and nobody generates.
void WorkerPool::forget_wanted() {
  std::erase_if(wanted_, [&](const auto& one) {
    return one.second.waiting.empty() &&
           std::none_of(slots_.begin(), slots_.end(), [&](const Slot& slot) {
             return slot.generation != 0 && slot.generating_from == one.first;
           });
  });
}

void WorkerPool::judge(GroupToJudge group, double now) {
  to_judge_.push_back(std::move(group));
  dispatch(now);
}

void WorkerPool::cancel_groups(double now) {
  wanted_.clear();
  to_judge_.clear();
  failed_at_.clear();
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.generation != 0) stop_generation(i, now);
    if (slot.judgement != 0) slot.verifier_busy += now - slot.verifier_from;
    slot.judgement = 0;
    slot.judging.clear();
  }
}

void WorkerPool::cancel_evaluation(double now) {
  std::erase_if(wanted_, [](const auto& one) { return !one.first.first; });
  std::erase_if(to_judge_,
                [](const GroupToJudge& group) { return group.purpose == GroupPurpose::kEvaluate; });
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].generation != 0 && !slots_[i].generating_from.first) stop_generation(i, now);
  }
  dispatch(now);
}

void WorkerPool::stop_generation(uint32_t index, double now) {
  Slot& slot = slots_[index];
  slot.rollout_busy += now - slot.rollout_from;
  send(index, slot.generation, 0, CancelGeneration{});
  slot.generation = 0;
  slot.generating.clear();
}

void WorkerPool::shut_down(double now) {
  if (is_shut_down_) return;
  cancel_groups(now);
  is_shut_down_ = true;
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    // They hold nothing that is not in the store.
    if (slot.pid != 0) commands_.push_back(pool::Kill{i, slot.pid});
    slot.state = State::kDown;
    slot.epoch = 0;
  }
}

void WorkerPool::dispatch(double now) {
  if (is_shut_down_) return;
  // Rollouts without a learner first: what they wait for, a published policy, must not be queued
  // behind the groups that the learner's own process is given.
  for (const bool has_learner : {false, true}) {
    for (uint32_t i = 0; i < slots_.size(); ++i) {
      const Slot& slot = slots_[i];
      if (slot.state != State::kReady || slot.plan.roles.learner != has_learner) continue;
      if (slot.plan.roles.rollout) {
        dispatch_update(i, now);
        dispatch_generation(i, now);
      }
      if (slot.plan.roles.verifier) dispatch_judgement(i, now);
    }
  }
}

// Whether a slot may be given a group because it has it in hand, or because nobody has.
bool WorkerPool::is_for(uint32_t index, const PromptGroup& group, bool is_held) const {
  const auto holder = held_by_.find(key_of(group.id, group.purpose));
  return is_held ? holder != held_by_.end() && holder->second == index : holder == held_by_.end();
}

void WorkerPool::dispatch_generation(uint32_t index, double now) {
  Slot& slot = slots_[index];
  if (slot.generation != 0 || slot.loading) return;
  // What it has in hand; then the first whose version is there: another may be learned again first.
  auto next = wanted_.end();
  bool is_held = false;
  for (const bool held : {true, false}) {
    if (next != wanted_.end() || (held && held_by_.empty())) continue;
    is_held = held;
    next = std::find_if(wanted_.begin(), wanted_.end(), [&](const auto& one) {
      const auto& waiting = one.second.waiting;
      const auto version = version_for(one.first, one.second);
      return version &&
             (holds(slot, *version) || (!slot.plan.roles.learner && has_policy(*version))) &&
             std::any_of(waiting.begin(), waiting.end(),
                         [&](const PromptGroup& group) { return is_for(index, group, held); });
    });
  }
  if (next == wanted_.end()) return;
  Wanted& wanted = next->second;
  const PolicyVersion version = *version_for(next->first, wanted);
  if (!holds(slot, version)) load_policy(index, version, now);
  if (!holds(slot, version)) return;
  GenerateGroups request = wanted.request;
  request.version = version;
  slot.generation = next_request_++;
  slot.generating_from = next->first;
  slot.generation_since = slot.rollout_from = now;
  slot.sequences_done = slot.sequences_total = 0;
  const size_t share = is_held ? options_.share_max : wanted.share;
  size_t begun = 0;  // Tokens.
  for (auto at = wanted.waiting.begin(); at != wanted.waiting.end() &&
                                         request.groups.size() < share &&
                                         begun < options_.begun_tokens;) {
    if (!is_for(index, *at, is_held)) {
      ++at;
      continue;
    }
    // A group whose worker failed may be why: it goes alone, so that it takes no others with it.
    const bool is_suspect = faults_of(at->id, at->purpose) > 0;
    if (is_suspect && !request.groups.empty()) break;
    const GroupKey key = key_of(at->id, at->purpose);
    held_by_.erase(key);
    begun += static_cast<size_t>(num_tokens(at->begun));
    slot.generating.emplace(key, *at);
    request.groups.push_back(std::move(*at));
    at = wanted.waiting.erase(at);
    if (is_suspect) break;
  }
  send(index, slot.generation, options_.generate_max, std::move(request));
}

// Whose verifier has just failed at a group does not get it again while there is another.
bool WorkerPool::is_for_another(uint32_t index, const GroupToJudge& group) const {
  const auto failed = failed_at_.find(key_of(group.id, group.purpose));
  if (failed == failed_at_.end() || failed->second != index) return false;
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    if (i != index && slots_[i].plan.roles.verifier && slots_[i].state == State::kReady) {
      return true;
    }
  }
  return false;
}

// The longest that a verifier may need for so many responses.
double WorkerPool::judge_seconds(uint32_t index, size_t num_responses) const {
  const size_t threads = std::max(1u, slots_[index].plan.verifier_threads);
  return static_cast<double>((num_responses + threads - 1) / threads) * options_.judge_each_max;
}

void WorkerPool::dispatch_judgement(uint32_t index, double now) {
  Slot& slot = slots_[index];
  if (slot.judgement != 0) return;
  JudgeGroups request;
  size_t bytes = 0, responses = 0;
  for (auto next = to_judge_.begin(); next != to_judge_.end() &&
                                      request.groups.size() < options_.judge_batch &&
                                      bytes < options_.judge_bytes;) {
    if (is_for_another(index, *next)) {
      ++next;
      continue;
    }
    const bool is_suspect = faults_of(next->id, next->purpose) > 0;
    if (is_suspect && !request.groups.empty()) break;
    if (is_suspect) bytes = options_.judge_bytes;
    // Programs take their time: others are to have a share, and a loss is to cost little.
    responses += next->responses.size();
    if (!request.groups.empty() && judge_seconds(index, responses) > options_.judge_max) {
      responses -= next->responses.size();
      break;
    }
    for (const TextToJudge& response : next->responses) bytes += response.text.size();
    slot.judging.push_back(*next);
    request.groups.push_back(std::move(*next));
    next = to_judge_.erase(next);
  }
  if (request.groups.empty()) return;
  slot.judgement = next_request_++;
  slot.judgement_since = slot.verifier_from = now;
  slot.judgement_max = options_.judge_max + judge_seconds(index, responses);
  send(index, slot.judgement, slot.judgement_max, std::move(request));
}

std::vector<PoolCommand> WorkerPool::take_commands() { return std::exchange(commands_, {}); }

// What a slot does, and since when.
std::pair<std::string, double> WorkerPool::activity(const Slot& slot) const {
  if (slot.state == State::kDown) {
    return {slot.last_loss.empty() ? "down" : "lost: " + slot.last_loss, slot.since};
  }
  if (slot.state == State::kStarting) return {"starting", slot.since};
  if (slot.state == State::kLeasing) return {"preparing", slot.since};
  if (!slot.learning.empty()) return {slot.learning.front().second, slot.learning_since};
  if (slot.generation != 0) {
    return {fmt::format("generating {} groups, {} of {} responses", slot.generating.size(),
                        slot.sequences_done, slot.sequences_total),
            slot.generation_since};
  }
  if (slot.loading) {
    return {fmt::format("loading version {}", number(*slot.loading)), slot.loading_since};
  }
  if (slot.judgement != 0) {
    return {fmt::format("judging {} groups", slot.judging.size()), slot.judgement_since};
  }
  return {"idle", slot.since};
}

std::string WorkerPool::who_works(double now) const {
  std::string text;
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    const auto [what, since] = activity(slots_[i]);
    if (what == "idle") continue;
    text +=
        fmt::format("{}{}: {} for {:.0f} s", text.empty() ? "" : "; ", title(i), what, now - since);
  }
  return text.empty() ? "no worker has anything to do" : text;
}

void WorkerPool::describe(RunSample& sample, double now) {
  for (const auto& [key, wanted] : wanted_) {
    sample.groups_waiting += static_cast<int64_t>(wanted.waiting.size());
  }
  const double elapsed = std::max(1e-6, now - sampled_at_);
  double busy[3] = {}, count[3] = {};
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    WorkerStatus status{.slot = i,
                        .roles = to_string(slot.plan.roles),
                        .pid = slot.pid,
                        .epoch = slot.epoch,
                        .is_ready = slot.state == State::kReady};
    sample.groups_generating += static_cast<int64_t>(slot.generating.size());
    status.activity = activity(slot).first;
    sample.workers.push_back(std::move(status));
    const auto add = [&](size_t role, bool has, bool is_busy, double& sum, double& from) {
      if (!has) return;
      count[role] += 1;
      busy[role] += sum + (is_busy ? now - from : 0);
      sum = 0;
      from = now;
    };
    add(0, slot.plan.roles.rollout, slot.generation != 0, slot.rollout_busy, slot.rollout_from);
    add(1, slot.plan.roles.verifier, slot.judgement != 0, slot.verifier_busy, slot.verifier_from);
    add(2, slot.plan.roles.learner, !slot.learning.empty(), slot.learner_busy, slot.learner_from);
  }
  const auto share = [&](size_t role) {
    return count[role] == 0 ? 0 : std::min(1.0, busy[role] / elapsed / count[role]);
  };
  sample.rollout_busy_share = share(0);
  sample.verifier_busy_share = share(1);
  sample.learner_busy_share = share(2);
  sample.verdicts_per_second = static_cast<double>(verdicts_since_sample_) / elapsed;
  verdicts_since_sample_ = 0;
  sampled_at_ = now;
}

}  // namespace troupe::actors
