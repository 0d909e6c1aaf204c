#include "actors/controller/open_round.h"

#include <set>
#include <utility>

#include "actors/controller/group_texts.h"
#include "actors/controller/round_metrics.h"
#include "schemas/check.h"
#include "schemas/records_codec.h"

namespace troupe::actors {

OpenRound::OpenRound(const JobSpec& of_job, Round of_round)
    : job(of_job), round(of_round), plan(of_job.grpo) {}

void OpenRound::load(RoundHistory history, int64_t vocab_size) {
  is_loaded = true;
  was_begun = history.was_begun;
  next_segments = history.num_segment_records;
  // What cannot be is left out: to begin anew is always right.
  for (const ResponseSegment& one : history.segments) {
    if (is_sane(one, job, vocab_size)) extend(begun[one.id.group.ordinal], one);
  }
  std::map<uint32_t, GroupRecord*> by_ordinal;
  for (GroupRecord& record : history.groups) {
    by_ordinal[record.trajectories.front().id.group.ordinal] = &record;
  }
  std::set<uint32_t> dropped;
  for (const DropRecord& drop : history.drops) dropped.insert(drop.id.ordinal);
  // Replacements are wanted only once their predecessors are decided.
  bool is_moving = true;
  while (is_moving && !plan.is_complete()) {
    is_moving = false;
    for (uint32_t ordinal : std::vector<uint32_t>(plan.wanted())) {
      const auto found = by_ordinal.find(ordinal);
      if (found == by_ordinal.end() && dropped.count(ordinal) == 0) continue;
      GroupOfRound& group = groups[ordinal];
      if (found != by_ordinal.end()) {
        group.record = std::move(*found->second);
        group.encoded = encode(group.record);
        group.has_variance = has_variance(group.record);
      } else {
        group.is_dropped = true;
      }
      begun.erase(ordinal);
      admit(ordinal);
      is_moving = true;
    }
  }
}

ResponseSegments OpenRound::begin(uint32_t ordinal) {
  GroupOfRound& group = groups[ordinal];
  TROUPE_CHECK(group.place == GroupOfRound::Place::kWanted);
  group.place = GroupOfRound::Place::kGenerating;
  // Begun by a head that is gone.
  group.is_again = was_begun && ordinal < static_cast<uint32_t>(job.grpo.prompts_per_round);
  auto found = begun.extract(ordinal);
  if (found.empty()) return {};
  group.is_again = true;
  group.tokens_known = group.tokens_kept = num_tokens(found.mapped());
  return std::move(found.mapped());
}

void OpenRound::admit(uint32_t ordinal) {
  GroupOfRound& group = groups.at(ordinal);
  group.place = GroupOfRound::Place::kDurable;
  const bool keeps = job.grpo.zero_variance_groups == "keep" || group.has_variance;
  plan.decide(ordinal, !group.is_dropped && keeps);
}

void OpenRound::complete_metrics(const model::Tokenizer& tokenizer) {
  if (has_metrics) return;
  TROUPE_CHECK(is_complete());
  std::vector<const GroupRecord*> judged;
  for (const auto& [ordinal, group] : groups) {
    if (!group.is_dropped && !group.record.trajectories.empty()) judged.push_back(&group.record);
  }
  metrics = round_metrics(round, judged, job, tokenizer);
  has_metrics = true;
}

Minibatch OpenRound::minibatch(int64_t index) const {
  Minibatch minibatch;
  minibatch.index = index;
  const auto encoded = [this](int64_t which) {
    EncodedGroups found;
    const auto [begin, end] = plan.minibatch(which);
    for (size_t i = begin; i < end; ++i) found.push_back(groups.at(plan.admitted()[i]).encoded);
    return found;
  };
  const auto [begin, end] = plan.minibatch(index);
  for (size_t i = begin; i < end; ++i) minibatch.ids.push_back({round, plan.admitted()[i]});
  minibatch.groups = encoded(index);
  if (index == 0 && job.grpo.off_policy_correction != "none") {
    for (int64_t later = 1; later < job.grpo.minibatches_per_round; ++later) {
      minibatch.later.push_back(encoded(later));
    }
  }
  return minibatch;
}

RoundFigures OpenRound::figures() const {
  TROUPE_CHECK(has_metrics);
  return {.metrics = metrics,
          .generate_seconds = generate_seconds,
          .verify_seconds = verify_seconds,
          .has_segments = next_segments > 0};
}

}  // namespace troupe::actors
