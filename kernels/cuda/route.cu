// Route of gate.h on CUDA: how many rows an expert has, where they begin, and which they are. A
// block for each expert goes over all slots in order, so that its rows come in the order of tokens,
// without atomics.
#include "kernels/cuda/device.h"
#include "kernels/cuda/operations.h"
#include "kernels/gate.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;

}  // namespace

// Leaves an expert's number of rows where its end is to be.
TROUPE_KERNEL(kThreads) route_count_kernel(Route args) {
  TROUPE_SHARED(int, warps, kWarps);
  const int expert = static_cast<int>(block_index().x);
  const int64_t slots = args.N * args.K;
  int count = 0;
  for (int64_t slot = thread_index(); slot < slots; slot += kThreads) {
    if (at(args.expert)[slot] == expert) ++count;
  }
  TROUPE_UNROLL
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) count += shuffle_xor(kAllLanes, count, lanes);
  if (thread_index() % kWarp == 0) warps[thread_index() / kWarp] = count;
  sync_block();
  if (thread_index() != 0) return;
  int total = 0;
  for (int w = 0; w < kWarps; ++w) total += warps[w];
  at(args.offsets)[expert + 1] = total;
  if (args.counts.address != 0) at(args.counts)[expert] += total;
}

// One warp: numbers of rows become the ends of rows.
TROUPE_KERNEL(kWarp) route_scan_kernel(Route args) {
  const int lane = thread_index(), E = static_cast<int>(args.E);
  int32_t* ends = at(args.offsets) + 1;
  int before = 0;
  for (int first = 0; first < E; first += kWarp) {
    int end = first + lane < E ? ends[first + lane] : 0;
    TROUPE_UNROLL
    for (int lanes = 1; lanes < kWarp; lanes *= 2) {
      const int other = shuffle(kAllLanes, end, lane - lanes);
      if (lane >= lanes) end += other;
    }
    end += before;
    if (first + lane < E) ends[first + lane] = end;
    before = shuffle(kAllLanes, end, kWarp - 1);
  }
  if (lane == 0) at(args.offsets)[0] = 0;
}

TROUPE_KERNEL(kThreads) route_place_kernel(Route args) {
  // Of the slots of this expert among 256. Two sets: one is read while the next is written.
  TROUPE_SHARED(int, counts, 2 * kWarps);
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int expert = static_cast<int>(block_index().x);
  const int64_t slots = args.N * args.K;
  int row = at(args.offsets)[expert];
  for (int64_t begin = 0, set = 0; begin < slots; begin += kThreads, set ^= kWarps) {
    const int64_t slot = begin + thread_index();
    const bool is_own = slot < slots && at(args.expert)[slot] == expert;
    const uint32_t own = ballot(kAllLanes, is_own);
    if (lane == 0) counts[set + warp] = population(own);
    sync_block();
    int before = 0, total = 0;
    TROUPE_UNROLL
    for (int w = 0; w < kWarps; ++w) {
      if (w == warp) before = total;
      total += counts[set + w];
    }
    if (is_own) {
      const int place = row + before + population(own & ((1u << lane) - 1));
      at(args.row_token)[place] = static_cast<int32_t>(slot / args.K);
      at(args.slot_row)[slot] = place;
    }
    row += total;
  }
}

void route(StreamHandle stream, const Route& args) {
  TROUPE_CHECK(args.E > 0 && args.E < INT32_MAX && args.N * args.K <= INT32_MAX);
  const unsigned experts = static_cast<unsigned>(args.E);
  launch(route_count_kernel, experts, kThreads, 0, stream, args);
  launch(route_scan_kernel, 1, kWarp, 0, stream, args);
  if (args.N * args.K == 0) return;
  launch(route_place_kernel, experts, kThreads, 0, stream, args);
}

}  // namespace troupe::kernels::cuda
