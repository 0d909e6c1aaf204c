// What the store knows of a job, as those who go on with it need it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "actors/replay/replay_store.h"
#include "schemas/metrics.h"
#include "schemas/records.h"
#include "schemas/result.h"

namespace troupe::actors {

// What the store knows of a job when its controller begins.
struct RunHistory {
  std::vector<PointRecord> points{};  // Oldest first; all verified.
  std::vector<StepRecord> steps{};    // Oldest first; at least those after the last point.
  std::vector<EvaluationRecord> evaluations{};  // Oldest first.
  Ledger ledger{};
};

// And of a round.
struct RoundHistory {
  std::vector<GroupRecord> groups{};
  std::vector<DropRecord> drops{};
  // In the order of their records; of groups that are complete, too.
  ResponseSegments segments{};
  uint32_t num_segment_records = 0;
  bool was_begun = false;
};

// What a run has reported before, as the store has it, by rising version: steps and evaluations
// that will not be reported again.
struct ReportedPast {
  std::vector<StepMetrics> steps{};
  std::vector<EvalMetrics> evaluations{};
};

struct JobHistory {
  RunHistory run{};
  ReportedPast reported{};
  std::vector<AttemptRecord> attempts{};       // Of rounds that are not learned yet.
  std::vector<PointRecord> recorded_points{};  // Those that are damaged, too.
  std::vector<std::string> notes{};            // What was damaged and is gone around.
};

// `verify` says whether a recovery point is whole on the disk: the newest that is, is gone on from.
// kCorruption when a record cannot be read, or when no point is left of those that there were and
// the groups that would be learned again are gone.
Result<JobHistory> load_history(const RecordReader& store, uint64_t job, const JobSpec& spec,
                                const std::function<Status(const PointRecord&)>& verify);

Result<RoundHistory> load_round(const RecordReader& store, uint64_t job, Round round);

}  // namespace troupe::actors
