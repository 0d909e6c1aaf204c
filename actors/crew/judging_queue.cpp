#include "actors/crew/judging_queue.h"

#include <fmt/format.h>

#include <algorithm>

namespace troupe::actors {
namespace {

const VerdictPart* find_infra_error(const JudgedGroup& group) {
  for (const Verdict& verdict : group.verdicts) {
    for (const VerdictPart& part : verdict.parts) {
      if (part.kind == VerdictKind::kInfraError) return &part;
    }
  }
  return nullptr;
}

}  // namespace

JudgingQueue::JudgingQueue(const std::vector<SlotPlan>& plans, PoolOptions options,
                           PoolOutbox& outbox)
    : options_(std::move(options)), outbox_(outbox) {
  for (const SlotPlan& plan : plans) {
    verifiers_.emplace_back();
    verifiers_.back().plan = plan;
  }
}

void JudgingQueue::forget_failures_of_dropped() {
  if (waiting_.empty()) failed_at_.clear();
}

void JudgingQueue::cancel(double now) {
  waiting_.clear();
  failed_at_.clear();
  for (uint32_t slot = 0; slot < verifiers_.size(); ++slot) {
    Verifier& verifier = verifiers_[slot];
    end_work(slot, now);
    verifier.request = 0;
    verifier.groups.clear();
  }
}

void JudgingQueue::end_work(uint32_t slot, double now) {
  const Verifier& verifier = verifiers_[slot];
  const auto began = verifiers_[slot].busy.end(now);
  if (!began || verifier.groups.empty()) return;
  const GroupToJudge& first = verifier.groups.front();
  WorkSpan span{.slot = slot, .role = "verifier", .began_ago = *began, .ended_ago = now};
  span.what = fmt::format("judging {} groups", verifier.groups.size());
  if (first.purpose == GroupPurpose::kTrain) span.round = first.id.round;
  work_.add(std::move(span));
}

void JudgingQueue::cancel_evaluation() {
  std::erase_if(waiting_,
                [](const GroupToJudge& group) { return group.purpose == GroupPurpose::kEvaluate; });
}

std::vector<GroupToJudge> JudgingQueue::lost(uint32_t slot, double now) {
  Verifier& verifier = verifiers_[slot];
  verifier.epoch = 0;
  end_work(slot, now);
  verifier.request = 0;
  return std::exchange(verifier.groups, {});
}

// Whose verifier has just failed at a group does not get it again while there is another.
bool JudgingQueue::is_for_another(uint32_t slot, const GroupToJudge& group) const {
  const auto failed = failed_at_.find(key_of(group));
  if (failed == failed_at_.end() || failed->second != slot) return false;
  for (uint32_t i = 0; i < verifiers_.size(); ++i) {
    if (i != slot && verifiers_[i].epoch != 0) return true;
  }
  return false;
}

// The longest that a verifier may need for so many responses.
double JudgingQueue::seconds_for(const Verifier& verifier, size_t num_responses) const {
  const size_t threads = std::max(1u, verifier.plan.verifier_threads);
  return static_cast<double>((num_responses + threads - 1) / threads) * options_.judge_each_max;
}

void JudgingQueue::give(uint32_t slot, const IsSuspect& is_suspect, double now) {
  Verifier& verifier = verifiers_[slot];
  if (verifier.request != 0) return;
  JudgeGroups request;
  size_t bytes = 0, responses = 0;
  for (auto next = waiting_.begin(); next != waiting_.end() &&
                                     request.groups.size() < options_.judge_batch &&
                                     bytes < options_.judge_bytes;) {
    if (is_for_another(slot, *next)) {
      ++next;
      continue;
    }
    // A group whose worker failed may be why: it goes alone, so that it takes no others with it.
    const bool goes_alone = is_suspect(key_of(*next));
    if (goes_alone && !request.groups.empty()) break;
    if (goes_alone) bytes = options_.judge_bytes;
    // Programs take their time: others are to have a share, and a loss is to cost little.
    responses += next->responses.size();
    if (!request.groups.empty() && seconds_for(verifier, responses) > options_.judge_max) {
      responses -= next->responses.size();
      break;
    }
    for (const TextToJudge& response : next->responses) bytes += response.text.size();
    verifier.groups.push_back(*next);
    request.groups.push_back(std::move(*next));
    next = waiting_.erase(next);
  }
  if (request.groups.empty()) return;
  verifier.since = now;
  verifier.busy.begin(now);
  verifier.patience = options_.judge_max + seconds_for(verifier, responses);
  verifier.request = outbox_.ask({slot, verifier.epoch}, verifier.patience, std::move(request));
}

bool JudgingQueue::answered(uint32_t slot, uint64_t request_id, const GroupsJudged& judged,
                            double now) {
  Verifier& verifier = verifiers_[slot];
  if (verifier.request == 0 || request_id != verifier.request) return false;
  verifier.request = 0;
  end_work(slot, now);
  for (const JudgedGroup& group : judged.groups) {
    num_verdicts_ += static_cast<int64_t>(group.verdicts.size());
    failed_at_.erase(key_of(group));
    if (const VerdictPart* part = find_infra_error(group)) {
      failed_at_[key_of(group)] = slot;
      outbox_.note(fmt::format(
          "{} could not judge {} {}, group {}: {}: {}", worker_title(slot, verifier.plan.roles),
          group.purpose == GroupPurpose::kTrain ? "round" : "the evaluation of",
          number(group.id.round), group.id.ordinal, part->name, part->reason));
    }
    std::erase_if(verifier.groups,
                  [&](const GroupToJudge& one) { return key_of(one) == key_of(group); });
  }
  for (GroupToJudge& group : verifier.groups) waiting_.push_back(std::move(group));
  verifier.groups.clear();
  return true;
}

void JudgingQueue::stood_still(double seconds, double now) {
  for (Verifier& verifier : verifiers_) verifier.since = std::min(now, verifier.since + seconds);
}

std::optional<std::string> JudgingQueue::overdue(uint32_t slot, double now) const {
  const Verifier& verifier = verifiers_[slot];
  if (verifier.request == 0 || now - verifier.since <= verifier.patience) return std::nullopt;
  return fmt::format("{} groups not judged within {:.0f} s", verifier.groups.size(),
                     verifier.patience);
}

std::optional<Activity> JudgingQueue::activity(uint32_t slot) const {
  const Verifier& verifier = verifiers_[slot];
  if (verifier.request == 0) return std::nullopt;
  return Activity{fmt::format("judging {} groups", verifier.groups.size()), verifier.since};
}

Busy JudgingQueue::take_busy(double now) {
  Busy busy;
  for (Verifier& verifier : verifiers_) {
    if (verifier.plan.roles.verifier) verifier.busy.take(busy, now);
  }
  return busy;
}

}  // namespace troupe::actors
