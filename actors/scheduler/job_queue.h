// Which job runs when, as a state machine. A job gets all its workers or none: while one runs, the
// others wait in the order in which they came.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "schemas/records.h"
#include "schemas/result.h"

namespace troupe::actors {

class JobQueue {
 public:
  struct Start {
    uint64_t job = 0;
  };
  // To be stopped at its next step's boundary and left in `state`, which is paused or cancelled.
  struct Stop {
    uint64_t job = 0;
    JobState state = JobState::kPaused;
  };
  // The job is in this state now, which is to be made durable.
  struct Changed {
    uint64_t job = 0;
    JobState state = JobState::kQueued;
  };
  using Command = std::variant<Start, Stop, Changed>;

  // A job that the store knows, at start-up. One that was running when its head went is queued in
  // front, because it had begun before those that wait.
  void restore(uint64_t job, JobState state);

  void submit(uint64_t job);
  // kInvalidArgument, saying in which state the job is, for what makes no sense in it. A job that
  // is in the wanted state already is fine.
  Status cancel(uint64_t job);
  Status pause(uint64_t job);
  Status resume(uint64_t job);
  // The running job has ended in `state`.
  void ended(uint64_t job, JobState state);
  // No more is begun and the running job is paused: the head is about to go. Its state stays
  // `running` in the store, so that it goes on by itself.
  void drain();

  bool is_idle() const { return running_ == 0; }
  JobState state(uint64_t job) const;  // The job must exist.
  bool has(uint64_t job) const { return states_.count(job) > 0; }
  const std::deque<uint64_t>& waiting() const { return waiting_; }

  std::vector<Command> take_commands();

 private:
  void set(uint64_t job, JobState state);
  void start_next();

  std::map<uint64_t, JobState> states_{};
  std::deque<uint64_t> waiting_{};
  uint64_t running_ = 0;  // 0: none.
  JobState stopping_ = JobState::kRunning;
  bool is_draining_ = false;
  std::vector<Command> commands_{};
};

}  // namespace troupe::actors
