// Bytes between the ranks of one team epoch. A communicator moves bytes and never adds: sums over
// ranks belong to their callers, in an order of theirs.
//
// All ranks of a communicator call the same operations in the same order, with sizes that agree.
// Where they do not, every rank gets an error that says who said what; nobody waits for ever.
//
// An operation returns when this rank's part is done: what was sent may be overwritten and what was
// received may be read, by the host or by work given to `stream` afterwards. It begins behind the
// work that `stream` had before. Memory is the backend's, so on the CPU it is the host's, and
// `stream` may be null there.
//
// An object is used by one thread at a time, and one channel by one thread at a time. Threads of a
// rank that work side by side take a channel each: what they call cannot cross then.
//
// A team lives and dies together. After an error each operation of each channel fails at once, on
// every rank that hears of it; only a new epoch helps. What was to be received is undefined then,
// and no byte of the caller's memory is touched any more.
//
// Errors, the same on all ranks: kUnavailable when a rank is gone, silent, has left or is too late,
// and after abort(); it names the rank. kInternal when ranks disagree: a new epoch would do so
// again. kCorruption when a rank sends what is no frame.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "schemas/result.h"

namespace troupe::kernels {

struct Stream;

using Deadline = std::chrono::steady_clock::time_point;

struct Part {
  uint64_t address = 0;  // On the device. Any value where there are no bytes.
  int64_t bytes = 0;
};

// One for each rank of the communicator, by rank.
using Parts = std::span<const Part>;

enum class Collective : uint8_t {
  kNone = 0,
  kAllToAll = 1,
  kAllGather = 2,
  kBroadcast = 3,
  kExchange = 4,
  kBarrier = 5,
};

// "all_to_all", ...
const char* name_of(Collective kind);

// Of one channel, as a watcher sees it.
struct Progress {
  uint64_t begun = 0;
  uint64_t done = 0;                         // begun - 1 while one is under way or has failed.
  Collective under_way = Collective::kNone;  // Of the operation that is waited for.
  int waits_for = -1;                        // The first rank of the team; -1: nobody.
  uint64_t bytes_sent = 0;                   // To the other ranks, by what is done.
};

class Communicator {
 public:
  Communicator() = default;
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // from[r] goes to rank r, and to[r] comes from it. from[rank()] and to[rank()] are of one size.
  virtual Status all_to_all(Stream* stream, Parts from, Parts to, Deadline deadline) = 0;

  // `from` goes to all, and to[r] comes from rank r. `from` may be to[rank()] itself.
  virtual Status all_gather(Stream* stream, Part from, Parts to, Deadline deadline) = 0;

  // The root's bytes overwrite those of all others.
  virtual Status broadcast(Stream* stream, int root, Part part, Deadline deadline) = 0;

  // Host memory whose size only the sender knows, at most `bytes_max`, which all ranks give alike.
  // What all have sent, by rank.
  virtual Result<std::vector<std::vector<std::byte>>> exchange(std::span<const std::byte> mine,
                                                               int64_t bytes_max,
                                                               Deadline deadline) = 0;

  virtual Status barrier(Deadline deadline) = 0;

  // Some of this communicator's ranks, this one among them, in the order that gives them their
  // numbers. All of them give the same list; the others need not call. It is used by the same
  // thread, and its operations take their turn with this communicator's.
  virtual std::unique_ptr<Communicator> subset(std::span<const int> ranks) const = 0;

  // From any thread: every operation of every channel ends with kUnavailable, here and on the other
  // ranks, as soon as they hear of it.
  virtual void abort() = 0;

  // From any thread.
  virtual Progress progress() const = 0;
};

}  // namespace troupe::kernels
