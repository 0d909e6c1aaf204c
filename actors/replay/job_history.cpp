#include "actors/replay/job_history.h"

#include <algorithm>
#include <iterator>

#include "schemas/metrics_codec.h"
#include "schemas/records_codec.h"

namespace troupe::actors {
namespace {

template <class Record, class Decode>
Result<std::vector<Record>> load_all(const RecordReader& store, uint64_t job, RecordKind kind,
                                     uint64_t first, uint64_t end, Decode decode) {
  auto stored = store.list(job, kind, first, end);
  if (!stored) return stored.error();
  std::vector<Record> records;
  for (const StoredRecord& one : *stored) {
    auto record = decode(one.value);
    if (!record) return record.error();
    records.push_back(std::move(*record));
  }
  return records;
}

}  // namespace

Result<JobHistory> load_history(const RecordReader& store, uint64_t job, const JobSpec& spec,
                                const std::function<Status(const PointRecord&)>& verify) {
  JobHistory history;
  auto points =
      load_all<PointRecord>(store, job, RecordKind::kPoint, 0, UINT64_MAX, decode_point_record);
  if (!points) return points.error();
  history.recorded_points = *points;
  const size_t known = points->size();
  for (const PointRecord& point : *points) {
    const Status whole = verify(point);
    if (whole) {
      history.run.points.push_back(point);
    } else {
      history.notes.push_back("recovery point " + point.folder +
                              " is not used: " + whole.error().message);
    }
  }
  const auto sft = static_cast<uint64_t>(spec.sft.steps);
  const auto minibatches = static_cast<uint64_t>(spec.grpo.minibatches_per_round);
  const uint64_t from = history.run.points.empty() ? 0 : number(history.run.points.back().version);
  // Groups before the oldest point that was known are forgotten.
  const uint64_t oldest = known == 0 ? 0 : number(points->front().version);
  if (from < oldest && oldest > sft) {
    return Error{ErrorCode::kCorruption,
                 "no recovery point of this job is whole, and what was learned before the oldest "
                 "is forgotten; " +
                     history.notes.back()};
  }
  auto steps =
      load_all<StepRecord>(store, job, RecordKind::kStep, 0, UINT64_MAX, decode_step_record);
  if (!steps) return steps.error();
  // Behind a gap all is learned again, and reported.
  uint64_t frontier = from;
  for (const StepRecord& step : *steps) {
    const uint64_t version = number(step.metrics.version);
    if (version > frontier + 1) break;
    frontier = std::max(frontier, version);
    history.reported.steps.push_back(step.metrics);
  }
  // A few steps before the point tell how many in a row were not finite.
  const auto before = static_cast<uint64_t>(spec.optimizer.non_finite_steps_max);
  const auto needed = std::find_if(steps->begin(), steps->end(), [&](const StepRecord& step) {
    return number(step.metrics.version) + before >= from;
  });
  history.run.steps.assign(std::make_move_iterator(needed), std::make_move_iterator(steps->end()));
  auto evaluations = load_all<EvaluationRecord>(store, job, RecordKind::kEvaluation, 0, UINT64_MAX,
                                                decode_evaluation_record);
  if (!evaluations) return evaluations.error();
  history.run.evaluations = std::move(*evaluations);
  for (const EvaluationRecord& one : history.run.evaluations) {
    if (!one.is_gate) history.reported.evaluations.push_back(one.metrics);
  }
  const uint64_t round = from > sft ? (from - sft) / minibatches : 0;
  auto attempts = load_all<AttemptRecord>(store, job, RecordKind::kAttempt, round, UINT64_MAX,
                                          decode_attempt_record);
  if (!attempts) return attempts.error();
  history.attempts = std::move(*attempts);
  auto ledger = store.find({job, RecordKind::kLedger, 0, 0});
  if (!ledger) return ledger.error();
  if (*ledger) {
    auto decoded = decode_ledger((*ledger)->value);
    if (!decoded) return decoded.error();
    history.run.ledger = std::move(*decoded);
  }
  return history;
}

Result<RoundHistory> load_round(const RecordReader& store, uint64_t job, Round round) {
  RoundHistory history;
  const uint64_t r = number(round);
  auto groups =
      load_all<GroupRecord>(store, job, RecordKind::kGroup, r, r + 1, decode_group_record);
  if (!groups) return groups.error();
  history.groups = std::move(*groups);
  auto drops = load_all<DropRecord>(store, job, RecordKind::kDrop, r, r + 1, decode_drop_record);
  if (!drops) return drops.error();
  history.drops = std::move(*drops);
  auto segments =
      load_all<SegmentsRecord>(store, job, RecordKind::kSegments, r, r + 1, decode_segments_record);
  if (!segments) return segments.error();
  history.num_segment_records = static_cast<uint32_t>(segments->size());
  for (SegmentsRecord& record : *segments) {
    std::move(record.segments.begin(), record.segments.end(), std::back_inserter(history.segments));
  }
  auto begun = store.find({job, RecordKind::kRound, r, 0});
  if (!begun) return begun.error();
  history.was_begun = begun->has_value();
  return history;
}

}  // namespace troupe::actors
