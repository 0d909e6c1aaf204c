#include "tests/support/simt/threads.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "schemas/check.h"
#include "tests/support/simt/checker.h"
#include "tests/support/simt/fibers.h"
#include "tests/support/simt/memory.h"

namespace troupe::simt {
namespace {

constexpr unsigned kNamedBarriers = 16, kWarpsMax = kThreadsMax / 32;
// What a device of compute capability 9.0 would refuse.
constexpr unsigned kGridMax = 65535;
constexpr size_t kSharedBytesMax = 227 << 10;
// Orders in which a launch's threads are let go; more would only cost time.
constexpr size_t kOrders = 32;
// Of one warp, where its lanes have parted.
constexpr int kMeetingsMax = 8;

struct AsyncCopy {
  char* to;
  const char* from;
  unsigned bytes;
  unsigned bytes_read;
  unsigned group;
  Place place;
};

struct Thread {
  Suspended suspended{};
  Extent index{};
  bool is_done = false;
  const char* waits_at = "";  // At what, and where.
  Place place{};
  unsigned copy_groups = 0;  // That it has ended.
  std::vector<AsyncCopy> copies{};
};

struct Meeting {
  WarpOperation operation{};
  Place place{};
  uint32_t arrived = 0;
  void* own[32] = {};
};

struct Warp {
  uint32_t members = 0;
  std::vector<Meeting> meetings{};
};

struct Barrier {
  Place place{};
  unsigned expected = 0;
  std::vector<unsigned> arrived{};
};

struct Machine {
  const Launch* launch = nullptr;
  std::vector<Thread> threads{};
  std::vector<Warp> warps{};
  Barrier barriers[kNamedBarriers];
  std::vector<std::vector<unsigned>> orders{};
  std::vector<unsigned> ready{};  // A queue: those from next_ready on can run.
  size_t next_ready = 0;
  unsigned num_live = 0;
  Thread* running = nullptr;
  Extent block{};
  Suspended host{};
  uint64_t random = 0;
  Counts counts{};

  unsigned num_threads() const { return static_cast<unsigned>(threads.size()); }
  unsigned id_of(const Thread& thread) const {
    return static_cast<unsigned>(&thread - threads.data());
  }
  unsigned running_id() const { return id_of(*running); }
};
Machine machine;

// Xorshift (Marsaglia 2003): schedules need speed more than quality.
uint64_t next_random() {
  machine.random ^= machine.random << 13;
  machine.random ^= machine.random >> 7;
  return machine.random ^= machine.random << 17;
}

std::vector<unsigned> random_order(unsigned size) {
  std::vector<unsigned> order(size);
  for (unsigned i = 0; i < size; ++i) {
    order[i] = i;
    std::swap(order[i], order[next_random() % (i + 1)]);
  }
  return order;
}

bool is_same(const char* a, const char* b) { return a == b || std::strcmp(a, b) == 0; }
bool is_same(Place a, Place b) { return a.line == b.line && is_same(a.file, b.file); }

void return_to_host() {
  Suspended abandoned;
  machine.running = nullptr;
  switch_fiber(abandoned, machine.host);
}

[[noreturn]] void fail_with_deadlock() {
  std::map<std::string, std::vector<unsigned>> waiting;
  for (const Thread& thread : machine.threads) {
    const std::string at =
        thread.is_done ? "its end" : std::string(thread.waits_at) + " " + text_of(thread.place);
    waiting[at].push_back(machine.id_of(thread));
  }
  std::string text;
  for (const auto& [at, threads] : waiting) {
    text += (text.empty() ? "" : ", ") + std::to_string(threads.size()) +
            (threads.size() == 1 ? " thread (" : " threads (first ") + std::to_string(threads[0]) +
            ") at " + at;
  }
  fail(ProblemKind::kDeadlock, text, {});
}

void make_ready(unsigned thread) { machine.ready.push_back(thread); }

// Lets another thread run, until somebody has made this one ready.
void wait_here() {
  if (machine.next_ready == machine.ready.size()) {
    if (machine.num_live == 0) return return_to_host();
    fail_with_deadlock();
  }
  if (machine.next_ready >= 4 * kThreadsMax) {
    machine.ready.erase(machine.ready.begin(),
                        machine.ready.begin() + static_cast<std::ptrdiff_t>(machine.next_ready));
    machine.next_ready = 0;
  }
  Thread& from = *machine.running;
  Thread& to = machine.threads[machine.ready[machine.next_ready++]];
  ++machine.counts.switches;
  if (&from == &to) return;
  machine.running = &to;
  switch_fiber(from.suspended, to.suspended);
}

// Performs the copies of groups below `end`: as late as it is allowed, so that who does not wait
// for one reads what was there before.
void perform_copies(unsigned end) {
  std::vector<AsyncCopy>& copies = machine.running->copies;
  size_t kept = 0;
  for (const AsyncCopy& copy : copies) {
    if (copy.group >= end) {
      copies[kept++] = copy;
      continue;
    }
    set_on_its_way(copy.to, copy.bytes, false);
    access(copy.to, copy.bytes, AccessKind::kWrite, {nullptr, copy.place});
    std::memcpy(copy.to, copy.from, copy.bytes_read);
    std::memset(copy.to + copy.bytes_read, 0, copy.bytes - copy.bytes_read);
  }
  copies.resize(kept);
}

void enter_thread() {
  if (settings().interpreter != nullptr) {
    settings().interpreter->run_thread();
  } else {
    machine.launch->body(machine.launch->context);
  }
  perform_copies(UINT32_MAX);
  machine.running->is_done = true;
  --machine.num_live;
  wait_here();
}

Extent index_in(Extent extent, unsigned n) {
  return {n % extent.x, n / extent.x % extent.y, n / extent.x / extent.y};
}

void start_threads() {
  const unsigned num_threads = machine.num_threads();
  for (unsigned i = 0; i < num_threads; ++i) {
    Thread& thread = machine.threads[i];
    thread.suspended = new_fiber(i, enter_thread);
    thread.index = index_in(machine.launch->block, i);
    thread.is_done = false;
    thread.copy_groups = 0;
    thread.copies.clear();
  }
  for (unsigned w = 0; w < machine.warps.size(); ++w) {
    const unsigned lanes = std::min(32u, num_threads - 32 * w);
    machine.warps[w].members = lanes == 32 ? UINT32_MAX : (1u << lanes) - 1;
    machine.warps[w].meetings.clear();
  }
  for (Barrier& barrier : machine.barriers) barrier.arrived.clear();
  machine.num_live = num_threads;
  machine.ready = machine.orders[next_random() % kOrders];
  machine.next_ready = 1;
}

// Whether the block came to its end.
bool run_block(Extent index) {
  machine.block = index;
  ++machine.counts.blocks;
  forget_shared(machine.launch->shared_bytes);
  begin_block(static_cast<unsigned>(machine.warps.size()));
  start_threads();
  machine.running = &machine.threads[machine.ready[0]];
  switch_fiber(machine.host, machine.running->suspended);
  return machine.num_live == 0;
}

}  // namespace

Settings& settings() {
  static Settings all;
  return all;
}

const Counts& counts() {
  machine.counts.accesses = num_accesses();
  return machine.counts;
}

unsigned running_lane() { return machine.running_id() % 32; }
bool is_in_kernel() { return machine.running != nullptr; }
const void* host_stack() { return machine.host.stack; }

std::string running_thread_text() {
  if (!is_in_kernel()) return "";
  const auto text = [](Extent e) {
    return "(" + std::to_string(e.x) + ", " + std::to_string(e.y) + ", " + std::to_string(e.z) +
           ")";
  };
  return ", block " + text(machine.block) + ", thread " + std::to_string(machine.running_id());
}

void fail(ProblemKind kind, const std::string& what, const Where& where) {
  note(kind, what, where);
  return_to_host();
  __builtin_unreachable();
}

void access(const void* address, unsigned bytes, AccessKind kind, const Where& where) {
  if (!is_in_kernel()) return;
  if (!check({address, bytes, kind, machine.running_id(), where})) return_to_host();
}

void meet(const WarpOperation& operation, void* own, Place place) {
  const unsigned id = machine.running_id(), warp_id = id / 32, lane = id % 32;
  Warp& warp = machine.warps[warp_id];
  const uint32_t bit = 1u << lane;
  const Where where{nullptr, place};
  if ((operation.mask & bit) == 0) {
    fail(ProblemKind::kWarpOperation, std::string(operation.what) + " by a lane outside its mask",
         where);
  }
  if ((operation.mask & ~warp.members) != 0) {
    fail(ProblemKind::kWarpOperation,
         std::string(operation.what) + " of lanes that the block does not have", where);
  }
  auto meeting = std::find_if(warp.meetings.begin(), warp.meetings.end(), [&](const Meeting& m) {
    return is_same(m.place, place) && m.operation.mask == operation.mask &&
           is_same(m.operation.what, operation.what) && (m.arrived & bit) == 0;
  });
  if (meeting == warp.meetings.end()) {
    TROUPE_CHECK(warp.meetings.size() < kMeetingsMax);
    warp.meetings.push_back({operation, place, 0, {}});
    meeting = std::prev(warp.meetings.end());
  }
  meeting->arrived |= bit;
  meeting->own[lane] = own;
  if (meeting->arrived != operation.mask) {
    machine.running->waits_at = operation.what;
    machine.running->place = place;
    return wait_here();
  }
  operation.combine(meeting->own, operation.mask, place);
  if (operation.orders_memory && operation.mask == warp.members) step_warp(warp_id);
  for (uint32_t left = operation.mask & ~bit; left != 0; left &= left - 1) {
    make_ready(warp_id * 32 + static_cast<unsigned>(__builtin_ctz(left)));
  }
  warp.meetings.erase(meeting);
}

}  // namespace troupe::simt

namespace troupe::kernels::cuda::host {

using simt::machine;

Extent thread_index() { return machine.running->index; }
Extent block_index() { return machine.block; }
Extent block_extent() { return machine.launch->block; }
Extent grid_extent() { return machine.launch->grid; }

void barrier(int id, unsigned threads, Place place) {
  TROUPE_CHECK(id >= 0 && id < static_cast<int>(simt::kNamedBarriers));
  simt::Barrier& barrier = machine.barriers[id];
  const unsigned expected = threads == 0 ? machine.num_threads() : threads;
  if (threads % 32 != 0) {
    simt::note(simt::ProblemKind::kDivergentBarrier, "a barrier of less than whole warps",
               {nullptr, place});
  }
  if (barrier.arrived.empty()) {
    barrier.place = place;
    barrier.expected = expected;
  } else if (barrier.expected != expected) {
    simt::fail(simt::ProblemKind::kDivergentBarrier,
               "threads wait for different numbers of threads", {nullptr, place});
  } else if (id == 0 && !simt::is_same(barrier.place, place)) {
    simt::note(simt::ProblemKind::kDivergentBarrier,
               "some threads are at " + simt::text_of(barrier.place) + ", others",
               {nullptr, place});
  }
  barrier.arrived.push_back(machine.running_id());
  if (barrier.arrived.size() < expected) {
    machine.running->waits_at = "barrier";
    machine.running->place = place;
    return simt::wait_here();
  }
  uint32_t warps = 0;
  for (const unsigned thread : barrier.arrived) warps |= 1u << thread / 32;
  simt::join_warps(warps);
  // This thread is let go like the others, at its place in the order.
  if (expected == machine.num_threads()) {
    for (const unsigned thread : machine.orders[simt::next_random() % simt::kOrders]) {
      simt::make_ready(thread);
    }
  } else {
    for (const unsigned thread : barrier.arrived) simt::make_ready(thread);
  }
  barrier.arrived.clear();
  simt::wait_here();
}

void copy_async(void* to, const void* from, unsigned bytes, unsigned bytes_read, Place place) {
  const simt::Where where{nullptr, place};
  const auto is_aligned = [&](const void* p) { return reinterpret_cast<size_t>(p) % bytes == 0; };
  if (!is_aligned(to) || !is_aligned(from)) {
    simt::fail(simt::ProblemKind::kMisaligned, "asynchronous copy", where);
  }
  for (unsigned i = 0; i < bytes_read; i += 2) {
    simt::access(static_cast<const char*>(from) + i, 2, simt::AccessKind::kRead, where);
  }
  simt::access(to, bytes, simt::AccessKind::kWrite, where);
  simt::set_on_its_way(to, bytes, true);
  machine.running->copies.push_back({static_cast<char*>(to), static_cast<const char*>(from), bytes,
                                     bytes_read, machine.running->copy_groups, place});
}

void copy_commit() { ++machine.running->copy_groups; }

void copy_wait(unsigned groups_left) {
  const unsigned ended = machine.running->copy_groups;
  if (ended > groups_left) simt::perform_copies(ended - groups_left);
}

void run(const Launch& launch) {
  // Ranks that are threads share the one device.
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  const unsigned num_threads = launch.block.x * launch.block.y * launch.block.z;
  TROUPE_CHECK(num_threads > 0 && num_threads <= simt::kThreadsMax);
  TROUPE_CHECK(launch.grid.y <= simt::kGridMax && launch.grid.z <= simt::kGridMax);
  TROUPE_CHECK(launch.shared_bytes <= simt::kSharedBytesMax);
  TROUPE_CHECK(!simt::is_in_kernel());
  if (simt::settings().interpreter != nullptr) simt::settings().interpreter->prepare(launch);
  machine.launch = &launch;
  machine.random = simt::settings().seed * 0x9E3779B97F4A7C15u | 1;
  machine.threads.resize(num_threads);
  machine.warps.resize((num_threads + 31) / 32);
  machine.orders.clear();
  while (machine.orders.size() < simt::kOrders) {
    machine.orders.push_back(simt::random_order(num_threads));
  }
  ++machine.counts.launches;
  simt::open_dynamic_shared(launch.shared_bytes);
  simt::begin_launch();
  for (const unsigned n : simt::random_order(launch.grid.x * launch.grid.y * launch.grid.z)) {
    if (!simt::run_block(simt::index_in(launch.grid, n))) break;
  }
  simt::close_dynamic_shared(launch.shared_bytes);
  machine.launch = nullptr;
}

}  // namespace troupe::kernels::cuda::host
