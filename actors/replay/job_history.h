// What the store knows of a job, as those who go on with it need it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "actors/controller/controller.h"
#include "actors/replay/replay_store.h"
#include "schemas/records.h"
#include "schemas/result.h"

namespace troupe::actors {

struct JobHistory {
  RunHistory run{};
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
