// The few functions of NCCL that are used, for ranks that are threads of one process and whose
// memory is the host's. Each communicator has a thread that does what it was told in order, as a
// stream of a GPU would, while the caller goes on.
//
// troupe_test_nccl_fault(kind, rank) makes the next communicator of that rank fail:
//   1 it does not begin; 2 it never meets the others; 3 its bytes do not go; 4 its calls are
//   refused; 5 an error comes after the work was given to it
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

constexpr int kSuccess = 0;
constexpr int kSystemError = 2;
constexpr int kInvalidUsage = 5;
constexpr int kRemoteError = 6;
constexpr int kInProgress = 7;

enum Fault { kNone, kNoBegin, kNoMeeting, kNoBytes, kRefused, kLateError };

struct Id {
  char bytes[128];
};

struct Call {
  bool is_send = false;
  void* bytes = nullptr;
  size_t count = 0;
  int peer = 0;
};

// One for all: simple, and the ranks of a test are few.
std::mutex g_mutex;
std::condition_variable g_changed;
int g_next_id = 1;
std::map<int, int> g_faults;       // By rank.
std::map<void*, int> g_under_way;  // Groups of calls, by stream.

struct Meeting {
  int arrived = 0;
  // What is sent and not received yet, by sender and receiver.
  std::map<std::pair<int, int>, std::deque<const Call*>> sent{};
};
std::map<std::string, std::shared_ptr<Meeting>> g_meetings;

struct Communicator {
  std::shared_ptr<Meeting> meeting{};
  int rank = 0;
  int num_ranks = 0;
  int fault = kNone;
  int state = kSuccess;
  bool is_ending = false;
  std::deque<std::pair<void*, std::vector<Call>>> groups{};  // With their streams.
  std::map<void*, int> under_way{};                          // Its part of g_under_way.
  std::thread thread{};

  void run() {
    std::unique_lock lock(g_mutex);
    for (;;) {
      g_changed.wait(lock, [this] { return is_ending || !groups.empty(); });
      if (is_ending) return;
      auto [stream, calls] = std::move(groups.front());
      groups.pop_front();
      if (fault == kLateError) state = kRemoteError;
      if (fault == kNone) do_calls(lock, calls);
      if (is_ending) return;
      if (fault == kNone) --g_under_way[stream], --under_way[stream];
      g_changed.notify_all();
    }
  }

  void do_calls(std::unique_lock<std::mutex>& lock, std::vector<Call>& calls) {
    std::vector<const Call*> open;
    for (const Call& call : calls) {
      if (!call.is_send) continue;
      meeting->sent[{rank, call.peer}].push_back(&call);
      open.push_back(&call);
    }
    g_changed.notify_all();
    for (const Call& call : calls) {
      if (call.is_send) continue;
      auto& from = meeting->sent[{call.peer, rank}];
      // Of another size: as with the real one nobody comes to an end.
      g_changed.wait(
          lock, [&] { return is_ending || (!from.empty() && from.front()->count == call.count); });
      if (is_ending) return;
      std::memcpy(call.bytes, from.front()->bytes, call.count);
      from.pop_front();
      g_changed.notify_all();
    }
    const auto is_taken = [&](const Call* call) {
      for (const Call* waiting : meeting->sent[{rank, call->peer}]) {
        if (waiting == call) return false;
      }
      return true;
    };
    g_changed.wait(lock, [&] {
      if (is_ending) return true;
      for (const Call* call : open) {
        if (!is_taken(call)) return false;
      }
      return true;
    });
  }
};

thread_local int g_depth = 0;
thread_local std::vector<std::pair<Communicator*, std::pair<void*, Call>>> g_calls;

int add(bool is_send, const void* bytes, size_t count, int peer, void* communicator, void* stream) {
  auto* const to = static_cast<Communicator*>(communicator);
  if (g_depth == 0 || peer < 0 || peer >= to->num_ranks) return kInvalidUsage;
  if (to->fault == kRefused) return kInvalidUsage;
  g_calls.push_back({to, {stream, {is_send, const_cast<void*>(bytes), count, peer}}});
  return kSuccess;
}

}  // namespace

extern "C" {

void troupe_test_nccl_fault(int kind, int rank) {
  const std::lock_guard lock(g_mutex);
  g_faults[rank] = kind;
}
int troupe_test_nccl_under_way(void* stream) {
  const std::lock_guard lock(g_mutex);
  return g_under_way[stream];
}

int ncclGetVersion(int* version) {
  *version = 22'809;
  return kSuccess;
}
int ncclGetUniqueId(Id* id) {
  const std::lock_guard lock(g_mutex);
  *id = {};
  std::memcpy(id->bytes, &g_next_id, sizeof(g_next_id));
  ++g_next_id;
  return kSuccess;
}
int ncclCommInitRankConfig(void** communicator, int num_ranks, Id id, int rank, void*) {
  const std::lock_guard lock(g_mutex);
  auto made = std::make_unique<Communicator>();
  made->fault = std::exchange(g_faults[rank], kNone);
  if (made->fault == kNoBegin) return kSystemError;
  auto& meeting = g_meetings[std::string(id.bytes, sizeof(id.bytes))];
  if (!meeting) meeting = std::make_shared<Meeting>();
  made->meeting = meeting;
  if (made->fault != kNoMeeting) ++meeting->arrived;
  made->rank = rank;
  made->num_ranks = num_ranks;
  made->thread = std::thread([one = made.get()] { one->run(); });
  *communicator = made.release();
  return kInProgress;
}
int ncclCommGetAsyncError(void* communicator, int* state) {
  const std::lock_guard lock(g_mutex);
  const auto* const of = static_cast<Communicator*>(communicator);
  *state = of->meeting->arrived < of->num_ranks ? kInProgress : of->state;
  return kSuccess;
}
int ncclCommAbort(void* communicator) {
  auto* const ending = static_cast<Communicator*>(communicator);
  {
    const std::lock_guard lock(g_mutex);
    ending->is_ending = true;
    // The stream goes on without it.
    for (const auto& [stream, count] : ending->under_way) g_under_way[stream] -= count;
    for (auto& [ends, calls] : ending->meeting->sent) {
      if (ends.first == ending->rank) calls.clear();
    }
  }
  g_changed.notify_all();
  ending->thread.join();
  delete ending;
  return kSuccess;
}
int ncclCommDestroy(void* communicator) { return ncclCommAbort(communicator); }
int ncclGroupStart() {
  ++g_depth;
  return kSuccess;
}
int ncclGroupEnd() {
  if (--g_depth > 0) return kSuccess;
  const std::lock_guard lock(g_mutex);
  std::map<Communicator*, std::pair<void*, std::vector<Call>>> groups;
  for (auto& [communicator, call] : g_calls) {
    groups[communicator].first = call.first;
    groups[communicator].second.push_back(call.second);
  }
  g_calls.clear();
  for (auto& [communicator, group] : groups) {
    ++g_under_way[group.first];
    ++communicator->under_way[group.first];
    communicator->groups.push_back(std::move(group));
  }
  g_changed.notify_all();
  return kInProgress;
}
int ncclSend(const void* bytes, size_t count, int, int peer, void* communicator, void* stream) {
  return add(true, bytes, count, peer, communicator, stream);
}
int ncclRecv(void* bytes, size_t count, int, int peer, void* communicator, void* stream) {
  return add(false, bytes, count, peer, communicator, stream);
}
const char* ncclGetErrorString(int code) {
  switch (code) {
    case kSystemError:
      return "unhandled system error";
    case kInvalidUsage:
      return "invalid usage";
    case kRemoteError:
      return "remote process exited or there was a network error";
    default:
      return "no error";
  }
}
const char* ncclGetLastError(void*) { return "connection refused by 10.0.0.7"; }

}  // extern "C"
