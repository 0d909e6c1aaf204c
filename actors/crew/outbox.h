// What the workers of a job are to be told and what the controller is told of them: one list, in
// the order in which it was decided, whichever part of the pool has said it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "schemas/records.h"
#include "schemas/result.h"
#include "schemas/work.h"

namespace troupe::actors {

namespace pool {

struct Start {
  uint32_t slot = 0;
};
struct Kill {
  uint32_t slot = 0;
  uint64_t pid = 0;
};
struct Send {
  uint32_t slot = 0;
  uint64_t epoch = 0;
  uint64_t request_id = 0;
  int64_t deadline_ms = 0;
  ToWorker message{};
};
struct LearnerReady {
  WorkerReady ready{};
};
struct LearnerLost {};
struct WorkerLost {
  uint32_t slot = 0;
};
struct GroupRetried {
  AttemptRecord record{};
  GroupPurpose purpose = GroupPurpose::kTrain;
  double core_seconds = 0;  // Of the attempt that was lost, shared among its groups.
};
struct GroupAbandoned {
  GroupId id{};
  GroupPurpose purpose = GroupPurpose::kTrain;
  std::string reason{};
};
// A policy file that nobody reads any more.
struct RemoveFile {
  std::string path{};
};
// An answer to work that was given out, once, from the worker that has it.
struct Answer {
  FromWorker message{};
};
struct Note {
  std::string line{};
};
// The job cannot go on (kFailed) or should wait for a person (kPaused).
struct GiveUp {
  JobState state = JobState::kFailed;
  Error error{};
};

}  // namespace pool

using PoolCommand =
    std::variant<pool::Start, pool::Kill, pool::Send, pool::LearnerReady, pool::LearnerLost,
                 pool::WorkerLost, pool::GroupRetried, pool::GroupAbandoned, pool::RemoveFile,
                 pool::Answer, pool::Note, pool::GiveUp>;

// One process of a slot: the one with this lease.
struct WorkerId {
  uint32_t slot = 0;
  uint64_t epoch = 0;
};

class PoolOutbox {
 public:
  // Requests are numbered from `first_request` on.
  explicit PoolOutbox(uint64_t first_request) : next_request_(first_request) {}
  PoolOutbox(const PoolOutbox&) = delete;
  PoolOutbox& operator=(const PoolOutbox&) = delete;

  void add(PoolCommand command) { commands_.push_back(std::move(command)); }
  void note(std::string line) { add(pool::Note{std::move(line)}); }
  void give_up(JobState state, std::string why) {
    add(pool::GiveUp{state, {ErrorCode::kInternal, std::move(why)}});
  }
  // Asks for something that is answered within so many seconds; the id that the answer will name.
  uint64_t ask(WorkerId worker, double patience, ToWorker message) {
    tell(worker, next_request_, patience, std::move(message));
    return next_request_++;
  }
  // Of a request that is under way; 0: of none.
  void tell(WorkerId worker, uint64_t request_id, double patience, ToWorker message) {
    add(pool::Send{worker.slot, worker.epoch, request_id, static_cast<int64_t>(patience * 1000),
                   std::move(message)});
  }
  std::vector<PoolCommand> take() { return std::exchange(commands_, {}); }

 private:
  uint64_t next_request_;
  std::vector<PoolCommand> commands_{};
};

}  // namespace troupe::actors
