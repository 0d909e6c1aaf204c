// Many jobs on one cluster: the scheduler's queue decides who begins where and when, in simulated
// time, and a job is over when it has run for so long.
//
// A job that is stopped to make room goes on later with what it has left: it stops at a step's
// boundary, which is near. What it has been lent does not make it shorter.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/scheduler/placement.h"
#include "schemas/result.h"

namespace troupe::cluster {

struct QueuedJob {
  std::string name{};
  double submitted = 0;  // Seconds since the beginning.
  double seconds = 0;    // That it runs.
  actors::JobNeed need{};

  int64_t slots() const { return need.slots.required; }
};

struct JobTimes {
  double begun = 0;  // For the first time.
  double ended = 0;
  int64_t times_stopped = 0;
};

struct QueueResult {
  std::vector<JobTimes> jobs{};  // In the order of the question.
  double seconds = 0;            // Until the last has ended.
  double utilisation = 0;        // Slot-seconds that jobs had, of all until then.
  double wait_mean = 0, wait_p95 = 0, wait_max = 0;
};

// kInvalidArgument, naming the job, for one that no such cluster could ever hold.
Result<QueueResult> simulate_queue(const std::vector<QueuedJob>& jobs, int64_t hosts,
                                   int64_t slots_per_host);

// The same jobs where any free slot is as good as another and how long each takes is known: in the
// order in which they came, and so that a later one may go first where that delays nobody's turn
// (EASY backfill). Priorities do not count. What the queue is held against.
enum class PooledOrder : uint8_t { kFirstComeFirst, kBackfill };
QueueResult pooled_queue(const std::vector<QueuedJob>& jobs, int64_t slots, PooledOrder order);

}  // namespace troupe::cluster
