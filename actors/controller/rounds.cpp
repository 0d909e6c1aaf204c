#include "actors/controller/rounds.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "actors/controller/group_texts.h"
#include "actors/controller/round_metrics.h"
#include "actors/verifier/verifier_table.h"
#include "schemas/check.h"
#include "schemas/records_codec.h"

namespace troupe::actors {
namespace {

using Place = GroupOfRound::Place;

}  // namespace

Rounds::Rounds(const JobSpec& job, const JobData& data, const Timetable& timetable,
               Commits& commits, Outbox& outbox, MetricsSink& sink)
    : job_(job),
      data_(data),
      timetable_(timetable),
      commits_(commits),
      outbox_(outbox),
      sink_(sink) {
  if (job.grpo.steps == 0) return;
  prompt_order_.emplace(
      model::PromptOrder::Options{.seed = job.seed,
                                  .count = static_cast<int64_t>(data.train.size()),
                                  .prompts_per_round = job.grpo.prompts_per_round,
                                  .shuffle = job.data.shuffle});
}

OpenRound* Rounds::find_round(Round round) {
  const auto found = rounds_.find(round);
  return found == rounds_.end() || !found->second.is_loaded ? nullptr : &found->second;
}

GroupOfRound* Rounds::find_group(GroupId id) {
  OpenRound* const round = find_round(id.round);
  if (round == nullptr) return nullptr;
  const auto found = round->groups.find(id.ordinal);
  return found == round->groups.end() ? nullptr : &found->second;
}

uint64_t Rounds::prompt_index(GroupId id) const {
  return static_cast<uint64_t>(
      prompt_order_->at(static_cast<int64_t>(number(id.round)), static_cast<int64_t>(id.ordinal)));
}

// ---- Generate.

void Rounds::open(Position position, bool may_generate, double now) {
  if (job_.grpo.steps == 0) return;
  std::erase_if(rounds_, [&](const auto& one) {
    return timetable_.version_after(number(one.first)) <= position.learned;
  });
  if (position.sent < timetable_.sft_steps()) return;
  for (uint64_t r = timetable_.round_at(position.learned);
       r < timetable_.num_rounds() && timetable_.generates(r) <= position.sent; ++r) {
    const auto [found, is_new] = rounds_.try_emplace(Round{r}, job_, Round{r});
    OpenRound& round = found->second;
    if (is_new) outbox_.add(command::LoadRound{Round{r}});
    if (!round.is_loaded || round.plan.is_complete() || !may_generate) continue;
    if (timetable_.generates(r) <= position.learned) request_groups(round, now);
  }
}

bool Rounds::loaded(Round round, RoundHistory history) {
  const auto opened = rounds_.find(round);
  if (opened == rounds_.end() || opened->second.is_loaded) return false;
  opened->second.load(std::move(history), data_.format.vocab_size);
  return true;
}

void Rounds::request_groups(OpenRound& round, double now) {
  GenerateGroups request;
  request.version = PolicyVersion{timetable_.generates(number(round.round))};
  request.temperature = static_cast<float>(job_.rollout.temperature);
  request.top_p = static_cast<float>(job_.rollout.top_p);
  request.max_response_tokens = job_.rollout.max_response_tokens;
  request.stop_tokens = data_.format.stop_tokens;
  request.segment_tokens = job_.rollout.segment_tokens;
  for (uint32_t ordinal : round.plan.wanted()) {
    if (round.groups[ordinal].place != Place::kWanted) continue;
    const GroupId id{round.round, ordinal};
    request.groups.push_back({.id = id,
                              .purpose = GroupPurpose::kTrain,
                              .prompt = prompt_of(id).tokens,
                              .num_samples = static_cast<uint32_t>(job_.grpo.group_size),
                              .begun = round.begin(ordinal)});
  }
  if (request.groups.empty()) return;
  round.asked_at = now - round.generate_seconds;
  round.sequences_total += static_cast<int64_t>(request.groups.size()) * job_.grpo.group_size;
  if (!round.was_begun) {
    round.was_begun = true;
    Batch batch = commits_.batch();
    batch.writes.push_back({commits_.key(RecordKind::kRound, number(round.round)),
                            encode(RoundRecord{round.round, request.version})});
    commits_.commit(std::move(batch));
  }
  outbox_.add(command::Generate{std::move(request)});
}

// Of groups that are under way, so that they need not be begun again.
Status Rounds::segments_generated(const ResponseSegments& segments) {
  std::map<Round, SegmentsRecord> records;
  for (const ResponseSegment& one : segments) {
    GroupOfRound* const group = find_group(one.id.group);
    if (group == nullptr || group->place != Place::kGenerating) continue;
    if (!is_sane(one, job_, data_.format.vocab_size)) {
      return Error{ErrorCode::kInternal,
                   fmt::format("a rollout worker sent a part of a response that cannot be: round "
                               "{}, group {}, sample {}",
                               number(one.id.group.round), one.id.group.ordinal, one.id.sample)};
    }
    group->tokens_known += static_cast<int64_t>(one.tokens.size());
    records[one.id.group.round].segments.push_back(one);
  }
  for (const auto& [round, record] : records) {
    Batch batch = commits_.batch();
    batch.writes.push_back(
        {commits_.key(RecordKind::kSegments, number(round), find_round(round)->next_segments++),
         encode(record)});
    commits_.commit(std::move(batch));
  }
  return ok();
}

// Whether it is by the version that its round says, or by one as new.
bool Rounds::is_of_round(const GeneratedGroup& group) const {
  const PolicyVersion version{timetable_.generates(number(group.id.round))};
  if (!timetable_.is_async()) {
    return group.version == version &&
           std::all_of(group.responses.begin(), group.responses.end(),
                       [](const SampledResponse& one) { return one.versions.empty(); });
  }
  return group.version >= version;  // What comes in flight is newer.
}

Status Rounds::generated(const GeneratedGroup& one, double now) {
  GroupOfRound* const group = find_group(one.id);
  if (group == nullptr || group->place != Place::kGenerating) return ok();
  if (static_cast<int64_t>(one.responses.size()) != job_.grpo.group_size) {
    return Error{
        ErrorCode::kInternal,
        fmt::format("a rollout worker sent {} responses of round {}, group {}; asked for {}",
                    one.responses.size(), number(one.id.round), one.id.ordinal,
                    job_.grpo.group_size)};
  }
  if (!is_of_round(one)) {
    return Error{
        ErrorCode::kInternal,
        fmt::format("a rollout worker generated round {}, group {} by another version than {}",
                    number(one.id.round), one.id.ordinal,
                    timetable_.generates(number(one.id.round)))};
  }
  group->place = Place::kJudging;
  std::vector<TextToJudge> responses;
  for (uint32_t i = 0; i < one.responses.size(); ++i) {
    group->record.trajectories.push_back(make_trajectory(
        {one.id, i}, prompt_index(one.id), prompt_of(one.id), one.version, one.responses[i]));
    responses.push_back(to_judge(one.responses[i], data_.format.tokenizer));
  }
  OpenRound& round = *find_round(one.id.round);
  round.generate_seconds = now - round.asked_at;
  round.sequences_generated += static_cast<int64_t>(one.responses.size());
  report();
  outbox_.add(command::Judge{
      group_to_judge(one.id, GroupPurpose::kTrain, prompt_of(one.id), std::move(responses))});
  return ok();
}

void Rounds::report() const {
  int64_t done = 0, total = 0;
  for (const auto& [number, round] : rounds_) {
    if (round.plan.is_complete()) continue;
    done += round.sequences_generated;
    total += round.sequences_total;
  }
  sink_.progressed("generating", done, total);
}

void Rounds::retried(const AttemptRecord& record) {
  GroupOfRound* const group = find_group(record.id);
  if (group == nullptr) return;
  if (group->place == Place::kGenerating) {
    group->is_again = true;
    group->tokens_kept = group->tokens_known;
  }
  Batch batch = commits_.batch_with_ledger();
  batch.writes.push_back(
      {commits_.key(RecordKind::kAttempt, number(record.id.round), record.id.ordinal),
       encode(record)});
  commits_.commit(std::move(batch));
}

bool Rounds::abandoned(GroupId id, const std::string& reason) {
  GroupOfRound* const group = find_group(id);
  if (group == nullptr) return true;
  if (group->place == Place::kCommitting || group->place == Place::kDurable) return false;
  drop(id, *group, reason);
  return true;
}

// ---- Verify.

Status Rounds::judged(const JudgedGroup& one, double core_seconds) {
  GroupOfRound* const group = find_group(one.id);
  if (group == nullptr || group->place != Place::kJudging) return ok();
  if (one.verdicts.size() != group->record.trajectories.size()) {
    return Error{ErrorCode::kInternal,
                 fmt::format("a verifier judged {} of {} responses of round {}, group {}",
                             one.verdicts.size(), group->record.trajectories.size(),
                             number(one.id.round), one.id.ordinal)};
  }
  find_round(one.id.round)->verify_seconds += core_seconds;
  std::string failure;
  for (size_t i = 0; i < one.verdicts.size(); ++i) {
    Trajectory& trajectory = group->record.trajectories[i];
    trajectory.verdict = one.verdicts[i];
    for (const VerdictPart& part : trajectory.verdict.parts) {
      // A verifier's own failure is tried elsewhere before anything else is decided.
      const bool is_infra = part.kind == VerdictKind::kInfraError;
      if (is_infra || (!is_payable(part.kind) && failure.empty())) failure = name(part.kind);
      if (is_infra) ++commits_.ledger().verdicts[name(part.kind)];
    }
  }
  if (failure == name(VerdictKind::kInfraError) && ++group->infra_errors <= kInfraErrorsMax) {
    judge_again(one.id, *group);
  } else if (!failure.empty()) {
    drop(one.id, *group, failure);
  } else {
    complete(one.id, *group);
  }
  return ok();
}

void Rounds::judge_again(GroupId id, const GroupOfRound& group) {
  std::vector<TextToJudge> responses;
  for (const Trajectory& trajectory : group.record.trajectories) {
    responses.push_back(to_judge(trajectory, data_.format.tokenizer));
  }
  outbox_.add(command::Judge{
      group_to_judge(id, GroupPurpose::kTrain, prompt_of(id), std::move(responses))});
}

void Rounds::complete(GroupId id, GroupOfRound& group) {
  group.place = Place::kCommitting;
  group.has_variance = has_variance(group.record);
  Ledger& ledger = commits_.ledger();
  int64_t tokens = 0;
  for (const Trajectory& trajectory : group.record.trajectories) {
    tokens += trajectory.num_response_tokens();
    ++ledger.verdicts[name(trajectory.verdict.parts[accuracy_part(job_.rewards)].kind)];
  }
  const auto count = static_cast<int64_t>(group.record.trajectories.size());
  ledger.tokens_generated += tokens;
  ledger.trajectories_generated += count;
  if (group.is_again) {
    ledger.tokens_regenerated += tokens - group.tokens_kept;
    ledger.tokens_kept += group.tokens_kept;
    ledger.trajectories_regenerated += count;
  }
  if (job_.grpo.zero_variance_groups != "keep" && !group.has_variance) {
    ledger.trajectories_dropped["zero_variance"] += count;
  }
  sink_.group_judged(group.record, prompt_of(id), data_.format.tokenizer);
  group.encoded = encode(group.record);
  Batch batch = commits_.batch_with_ledger();
  batch.writes.push_back(
      {commits_.key(RecordKind::kGroup, number(id.round), id.ordinal), group.encoded});
  commits_.commit(std::move(batch), {.group = id});
}

void Rounds::drop(GroupId id, GroupOfRound& group, const std::string& reason) {
  const auto count = static_cast<uint32_t>(job_.grpo.group_size);
  group.is_dropped = true;
  group.place = Place::kCommitting;
  // Every trajectory that was generated is somewhere.
  Ledger& ledger = commits_.ledger();
  for (const Trajectory& trajectory : group.record.trajectories) {
    ledger.tokens_generated += trajectory.num_response_tokens();
  }
  ledger.trajectories_generated += static_cast<int64_t>(group.record.trajectories.size());
  if (!group.record.trajectories.empty()) ledger.trajectories_dropped[reason] += count;
  group.record.trajectories.clear();
  sink_.noted(fmt::format("round {}, group {}: dropped: {}", number(id.round), id.ordinal, reason));
  Batch batch = commits_.batch_with_ledger();
  batch.writes.push_back({commits_.key(RecordKind::kDrop, number(id.round), id.ordinal),
                          encode(DropRecord{id, reason, count})});
  commits_.commit(std::move(batch), {.group = id});
}

// ---- Admit and learn.

void Rounds::durable(GroupId id) {
  if (OpenRound* round = find_round(id.round)) round->admit(id.ordinal);
}

bool Rounds::is_complete(uint64_t round) const {
  const auto found = rounds_.find(Round{round});
  return found != rounds_.end() && found->second.is_complete();
}

Minibatch Rounds::minibatch(uint64_t round, int64_t index) {
  OpenRound& of = rounds_.at(Round{round});
  of.complete_metrics(data_.format.tokenizer);
  return of.minibatch(index);
}

std::optional<RoundFigures> Rounds::figures(uint64_t version) const {
  if (version <= timetable_.sft_steps()) return std::nullopt;
  const auto found = rounds_.find(Round{timetable_.round_at(version - 1)});
  if (found == rounds_.end() || !found->second.has_metrics) return std::nullopt;
  return found->second.figures();
}

// ---- Versions of the policy.

// The learner may be past its version by the time that a round asks for it.
bool Rounds::needs_policy(uint64_t version) const {
  if (version < timetable_.sft_steps()) return false;
  const bool takes_any = timetable_.is_async() && timetable_.begins_round(version);
  const uint64_t end = timetable_.num_rounds_provided_for();
  for (uint64_t r = timetable_.round_at(version); r < end; ++r) {
    const uint64_t by = timetable_.generates(r);
    if (by > version) return false;
    if ((by == version || takes_any) && !is_complete(r)) return true;
  }
  return false;
}

std::optional<uint64_t> Rounds::oldest_policy_needed(uint64_t learned) const {
  uint64_t round = timetable_.round_at(learned);
  while (round < timetable_.num_rounds() && is_complete(round)) ++round;
  if (round >= timetable_.num_rounds_provided_for()) return std::nullopt;
  return timetable_.generates(round);
}

bool Rounds::knows_policies(uint64_t version) const {
  if (timetable_.is_async()) return true;
  for (uint64_t r = timetable_.round_at(version);
       r < timetable_.num_rounds() && timetable_.generates(r) < version; ++r) {
    const auto found = rounds_.find(Round{r});
    if (found == rounds_.end() || !found->second.is_loaded) return false;
  }
  return true;
}

std::vector<PolicyVersion> Rounds::unfinished_policies(uint64_t version) const {
  std::vector<PolicyVersion> policies;
  if (timetable_.is_async()) return policies;  // A newer one will do.
  const uint64_t end = timetable_.num_rounds_provided_for();
  for (uint64_t r = timetable_.round_at(version); r < end && timetable_.generates(r) < version;
       ++r) {
    const PolicyVersion policy{timetable_.generates(r)};
    if (!is_complete(r) && (policies.empty() || policies.back() != policy)) {
      policies.push_back(policy);
    }
  }
  return policies;
}

// ---- For people.

std::string Rounds::waits_for(uint64_t round) const {
  const auto found = rounds_.find(Round{round});
  if (found == rounds_.end() || !found->second.is_loaded) return "the store, with a round";
  int64_t generating = 0, judging = 0;
  std::optional<uint32_t> first;
  for (uint32_t ordinal : found->second.plan.wanted()) {
    const auto group = found->second.groups.find(ordinal);
    const bool is_judging =
        group != found->second.groups.end() && group->second.place == Place::kJudging;
    ++(is_judging ? judging : generating);
    if (!first) first = ordinal;
  }
  return fmt::format("round {}: {} groups to be generated, {} to be judged; the first is {}", round,
                     generating, judging, first.value_or(0));
}

void Rounds::count(RunSample& sample) const {
  for (const auto& [number, round] : rounds_) {
    for (const auto& [ordinal, group] : round.groups) {
      if (group.place == Place::kJudging) ++sample.groups_judging;
      if (group.place == Place::kCommitting) ++sample.groups_committing;
    }
  }
}

}  // namespace troupe::actors
