#include "actors/crew/generation_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "schemas/records.h"

namespace troupe::actors {

GenerationQueue::GenerationQueue(const std::vector<SlotPlan>& plans, PoolOptions options,
                                 PoolOutbox& outbox)
    : options_(std::move(options)), outbox_(outbox) {
  for (const SlotPlan& plan : plans) {
    rollouts_.emplace_back();
    rollouts_.back().roles = plan.roles;
    rollouts_.back().threads = plan.rollout_threads;
    rollouts_.back().is_placed = plan.is_placed;
  }
}

// ---- What is wanted.

void GenerationQueue::want(GenerateGroups request) {
  forget_finished();
  const PromptGroup& first = request.groups.front();
  Wanted& wanted = wanted_[{first.purpose == GroupPurpose::kTrain, number(first.id.round)}];
  wanted.waiting.insert(wanted.waiting.end(), std::make_move_iterator(request.groups.begin()),
                        std::make_move_iterator(request.groups.end()));
  request.groups.clear();
  wanted.request = std::move(request);
  const auto rollouts =
      static_cast<size_t>(std::count_if(rollouts_.begin(), rollouts_.end(), [](const Rollout& one) {
        return one.roles.rollout && one.is_placed;
      }));
  wanted.share =
      std::clamp<size_t>((wanted.waiting.size() + rollouts - 1) / std::max<size_t>(1, rollouts), 1,
                         options_.share_max);
}

// What nobody waits for and nobody generates.
void GenerationQueue::forget_finished() {
  std::erase_if(wanted_, [&](const auto& one) {
    return one.second.waiting.empty() &&
           std::none_of(rollouts_.begin(), rollouts_.end(), [&](const Rollout& rollout) {
             return rollout.request != 0 && rollout.batch == one.first;
           });
  });
}

void GenerationQueue::cancel(double now) {
  wanted_.clear();
  for (uint32_t i = 0; i < rollouts_.size(); ++i) {
    if (rollouts_[i].request != 0) stop(i, now);
  }
}

void GenerationQueue::cancel_evaluation(double now) {
  std::erase_if(wanted_, [](const auto& one) { return !one.first.is_for_training; });
  for (uint32_t i = 0; i < rollouts_.size(); ++i) {
    if (rollouts_[i].request != 0 && !rollouts_[i].batch.is_for_training) stop(i, now);
  }
}

void GenerationQueue::stop(uint32_t slot, double now) {
  Rollout& rollout = rollouts_[slot];
  end_work(slot, now);
  outbox_.tell({slot, rollout.epoch}, rollout.request, 0, CancelGeneration{});
  rollout.request = 0;
  rollout.groups.clear();
}

// ---- What is held.

size_t GenerationQueue::hold(uint32_t slot, const std::vector<HeldGroup>& groups) {
  size_t num_held = 0;
  for (const HeldGroup& group : groups) num_held += held_by_.emplace(key_of(group), slot).second;
  return num_held;
}

void GenerationQueue::forget_held(uint32_t slot) {
  std::erase_if(held_by_, [&](const auto& one) { return one.second == slot; });
}

// Whether a slot may be given a group because it has it in hand, or because nobody has.
bool GenerationQueue::is_for(uint32_t slot, const PromptGroup& group, bool is_held) const {
  const auto holder = held_by_.find(key_of(group));
  return is_held ? holder != held_by_.end() && holder->second == slot : holder == held_by_.end();
}

// ---- Work.

std::optional<GenerationQueue::Next> GenerationQueue::next(uint32_t slot,
                                                           const CanTake& can_take) const {
  if (rollouts_[slot].request != 0) return std::nullopt;
  // What it has in hand; then the first that it can take: another may be learned again first.
  for (const bool is_held : {true, false}) {
    if (is_held && held_by_.empty()) continue;
    for (const auto& [batch, wanted] : wanted_) {
      const PolicyVersion version = wanted.request.version;
      if (can_take(version, batch.is_for_training) &&
          std::any_of(wanted.waiting.begin(), wanted.waiting.end(),
                      [&](const PromptGroup& group) { return is_for(slot, group, is_held); })) {
        return Next{batch, version, is_held};
      }
    }
  }
  return std::nullopt;
}

void GenerationQueue::give(WorkerId worker, const Next& next, PolicyVersion version,
                           const IsSuspect& is_suspect, double now) {
  Rollout& rollout = rollouts_[worker.slot];
  Wanted& wanted = wanted_.at(next.batch);
  GenerateGroups request = wanted.request;
  request.version = version;
  rollout.epoch = worker.epoch;
  rollout.batch = next.batch;
  rollout.since = now;
  rollout.busy.begin(now);
  rollout.sequences_done = rollout.sequences_total = 0;
  const size_t share = next.is_held ? options_.share_max : wanted.share;
  size_t begun = 0;  // Tokens.
  for (auto at = wanted.waiting.begin(); at != wanted.waiting.end() &&
                                         request.groups.size() < share &&
                                         begun < options_.begun_tokens;) {
    if (!is_for(worker.slot, *at, next.is_held)) {
      ++at;
      continue;
    }
    // A group whose worker failed may be why: it goes alone, so that it takes no others with it.
    const GroupKey key = key_of(*at);
    const bool goes_alone = is_suspect(key);
    if (goes_alone && !request.groups.empty()) break;
    held_by_.erase(key);
    begun += static_cast<size_t>(num_tokens(at->begun));
    rollout.groups.emplace(key, *at);
    request.groups.push_back(std::move(*at));
    at = wanted.waiting.erase(at);
    if (goes_alone) break;
  }
  rollout.num_given = request.groups.size();
  rollout.request = outbox_.ask(worker, options_.generate_max, std::move(request));
}

void GenerationQueue::end_work(uint32_t slot, double now) {
  Rollout& rollout = rollouts_[slot];
  const auto began = rollout.busy.end(now);
  if (!began) return;
  const bool trains = rollout.batch.is_for_training;
  WorkSpan span{.slot = slot, .role = "rollout", .began_ago = *began, .ended_ago = now};
  span.what = fmt::format("{} {} groups", trains ? "generating" : "evaluating", rollout.num_given);
  if (trains) span.round = Round{rollout.batch.number};
  work_.add(std::move(span));
}

std::optional<std::vector<GroupKey>> GenerationQueue::arrived(uint32_t slot, uint64_t request_id,
                                                              GroupsGenerated& generated,
                                                              double now) {
  Rollout& rollout = rollouts_[slot];
  if (rollout.request == 0 || request_id != rollout.request) return std::nullopt;
  std::erase_if(generated.groups, [&](const GeneratedGroup& group) {
    return rollout.groups.erase(key_of(group)) == 0;
  });
  for (const GeneratedGroup& group : generated.groups) {
    for (const SampledResponse& response : group.responses) {
      rollout.tokens += response.tokens.size();
    }
  }
  std::vector<GroupKey> further = take_segments(rollout, generated.segments);
  rollout.since = now;
  if (generated.is_last) {
    rollout.request = 0;
    end_work(slot, now);
    // What it left out is not lost on purpose; somebody else may do it.
    auto& waiting = wanted_.at(rollout.batch).waiting;
    for (auto& [key, group] : rollout.groups) waiting.push_back(std::move(group));
    rollout.groups.clear();
    forget_finished();
  }
  return further;
}

// Whoever gets their groups after a loss goes on from them. What nobody asked for is left out.
std::vector<GroupKey> GenerationQueue::take_segments(Rollout& rollout, ResponseSegments& segments) {
  const bool is_asked = wanted_.at(rollout.batch).request.segment_tokens > 0;
  std::vector<GroupKey> further;
  std::erase_if(segments, [&](const ResponseSegment& segment) {
    const GroupKey key{segment.id.group, GroupPurpose::kTrain};
    const auto of = rollout.groups.find(key);
    if (!is_asked || of == rollout.groups.end() || segment.id.sample >= of->second.num_samples ||
        !extend(of->second.begun, segment)) {
      return true;
    }
    further.push_back(key);
    return false;
  });
  return further;
}

bool GenerationQueue::progressed(uint32_t slot, const Heartbeat& beat) {
  Rollout& rollout = rollouts_[slot];
  rollout.sequences_total = beat.sequences_total;
  return std::exchange(rollout.sequences_done, beat.sequences_done) != beat.sequences_done;
}

GenerationQueue::Lost GenerationQueue::lost(uint32_t slot, double now) {
  forget_held(slot);
  Rollout& rollout = rollouts_[slot];
  if (rollout.request == 0) return {};
  end_work(slot, now);
  rollout.request = 0;
  Lost lost{.batch = rollout.batch};
  for (auto& [key, group] : rollout.groups) lost.groups.push_back(std::move(group));
  rollout.groups.clear();
  const double spent = (now - rollout.since) * rollout.threads;
  lost.core_seconds = spent / static_cast<double>(std::max<size_t>(1, lost.groups.size()));
  return lost;
}

void GenerationQueue::put_back(const Batch& batch, PromptGroup group) {
  wanted_.at(batch).waiting.push_front(std::move(group));
}

void GenerationQueue::stood_still(double seconds, double now) {
  for (Rollout& rollout : rollouts_) rollout.since = std::min(now, rollout.since + seconds);
}

// ---- For the pool and for people.

bool GenerationQueue::is_training(uint32_t slot) const {
  return rollouts_[slot].request != 0 && rollouts_[slot].batch.is_for_training;
}

std::optional<std::string> GenerationQueue::overdue(uint32_t slot, double now) const {
  const Rollout& rollout = rollouts_[slot];
  if (rollout.request == 0 || now - rollout.since <= options_.generate_max) return std::nullopt;
  return fmt::format("{} groups not generated within {:.0f} s", rollout.groups.size(),
                     options_.generate_max);
}

std::optional<Activity> GenerationQueue::activity(uint32_t slot) const {
  const Rollout& rollout = rollouts_[slot];
  if (rollout.request == 0) return std::nullopt;
  return Activity{fmt::format("generating {} groups, {} of {} responses", rollout.groups.size(),
                              rollout.sequences_done, rollout.sequences_total),
                  rollout.since};
}

int64_t GenerationQueue::num_waiting() const {
  int64_t count = 0;
  for (const auto& [batch, wanted] : wanted_) count += static_cast<int64_t>(wanted.waiting.size());
  return count;
}

int64_t GenerationQueue::num_generating() const {
  int64_t count = 0;
  for (const Rollout& rollout : rollouts_) count += static_cast<int64_t>(rollout.groups.size());
  return count;
}

Busy GenerationQueue::take_busy(double now) {
  Busy busy;
  for (Rollout& rollout : rollouts_) {
    if (rollout.roles.rollout) rollout.busy.take(busy, now);
  }
  return busy;
}

}  // namespace troupe::actors
