#include "tests/kernels/cuda/faults.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/launch.h"

namespace troupe::tests {
namespace {

using namespace kernels::cuda;
using simt::ProblemKind;

// Faults.

TROUPE_KERNEL(32) misaligned_vector(float* y) {
  reinterpret_cast<Float4*>(y + 1)[thread_index()] = Float4{1, 2, 3, 4};
}
TROUPE_KERNEL(32) misaligned_copy(const float* x) {
  TROUPE_SHARED(Float4, s, 33);
  copy_async16(&s[thread_index()], x + 1 + thread_index() * 4, 16);
}
TROUPE_KERNEL(32) host_pointer(float* y, const float* host) {
  y[thread_index()] = host[thread_index()];
}
TROUPE_KERNEL(512) past_the_end(float* y, int size) {
  if (thread_index() <= size) y[thread_index()] = 1;
}
TROUPE_KERNEL(32) past_shared_memory(float* y) {
  TROUPE_SHARED(float, s, 31);
  s[thread_index()] = 1;
  y[thread_index()] = 1;
}
TROUPE_KERNEL(32) past_dynamic_memory(float* y) {
  TROUPE_DYNAMIC_SHARED(bytes);
  reinterpret_cast<float*>(bytes)[thread_index()] = 1;
  y[thread_index()] = 1;
}
TROUPE_KERNEL(32) shared_memory_of_the_block_before(float* y) {
  TROUPE_SHARED(float, s, 32);
  if (block_index().x == 0) s[thread_index()] = 1;
  y[block_index().x * 32 + thread_index()] = s[thread_index()];
}
TROUPE_KERNEL(32) reads_unwritten_memory(float* y, const float* x) {
  y[thread_index()] = x[thread_index()] + y[thread_index() + 32];
}
TROUPE_KERNEL(1) two_blocks_write_a_word(float* y) { y[0] = static_cast<float>(block_index().x); }
TROUPE_KERNEL(1) a_block_reads_what_another_writes(float* y, const float* x) {
  if (block_index().x == 0) y[1] = x[0];
  if (block_index().x == 1) y[2] = y[0];
  if (block_index().x == 2) y[0] = 5;
}
TROUPE_KERNEL(64) neighbours_word(float* y) {
  TROUPE_SHARED(float, s, 64);
  s[thread_index()] = 1;
  y[thread_index()] = s[thread_index() ^ 32];
}
TROUPE_KERNEL(64) overwrites_before_others_have_read(float* y) {
  TROUPE_SHARED(float, s, 64);
  s[thread_index()] = 1;
  sync_block();
  const float neighbour = s[thread_index() ^ 33];
  s[thread_index()] = 2;
  y[thread_index()] = neighbour;
}
TROUPE_KERNEL(64) two_warps_write_a_word(float* y) {
  TROUPE_SHARED(float, s, 1);
  if (thread_index() % 32 == 0) s[0] = static_cast<float>(thread_index());
  sync_block();
  y[thread_index()] = s[0];
}
TROUPE_KERNEL(32) shuffle_taken_for_a_fence(float* y) {
  TROUPE_SHARED(float, s, 32);
  s[thread_index()] = 1;
  const float v = shuffle(kAllLanes, 1.0f, 0);
  y[thread_index()] = v + s[thread_index() ^ 1];
}
TROUPE_KERNEL(32) shuffle_from_outside_the_mask(float* y) {
  y[thread_index()] = thread_index() < 16 ? shuffle_xor(0xFFFF, 1.0f, 16) : 0;
}
TROUPE_KERNEL(64) shuffle_with_lanes_that_are_not_there(float* y) {
  y[thread_index()] = shuffle_xor(kAllLanes, 1.0f, 1);
}
TROUPE_KERNEL(32) lane_outside_its_own_mask(float* y) {
  y[thread_index()] = static_cast<float>(ballot(0x7FFFFFFF, true));
}
TROUPE_KERNEL(32) warp_operation_of_some_lanes(float* y) {
  y[thread_index()] = 1;
  if (thread_index() < 31) sync_warp(kAllLanes);
}
TROUPE_KERNEL(64) returns_before_a_barrier(float* y) {
  if (thread_index() >= 40) return;
  sync_block();
  y[thread_index()] = 1;
}
TROUPE_KERNEL(64) barriers_of_two_branches(float* y) {
  if (thread_index() < 32) {
    sync_block();
  } else {
    sync_block();
  }
  y[thread_index()] = 1;
}
TROUPE_KERNEL(64) copy_without_a_wait(float* y, const float* x) {
  TROUPE_SHARED(Float4, s, 64);
  copy_async16(&s[thread_index()], x + thread_index() * 4, 16);
  copy_commit();
  sync_block();
  y[thread_index()] = s[thread_index()].x;
}
TROUPE_KERNEL(64) copy_waited_for_without_a_barrier(float* y, const float* x) {
  TROUPE_SHARED(Float4, s, 64);
  copy_async16(&s[thread_index()], x + thread_index() * 4, 16);
  copy_commit();
  copy_wait<0>();
  // Its own copies have come, those of others maybe not.
  y[thread_index()] = s[(thread_index() + 1) % 64].x;
}
TROUPE_KERNEL(32) matrix_rows_nobody_wrote(float* y) {
  TROUPE_SHARED(Float4, s, 32);
  uint32_t r[4];
  load_matrix_x4(r, &s[thread_index()]);
  y[thread_index()] = float_of(r[0]);
}

// Warps 0 and 1 hand over to warps 2 and 3 by named barriers, twice.
TROUPE_KERNEL(128) hand_over(float* y, bool waits_for_readers) {
  TROUPE_SHARED(float, s, 64);
  const int t = thread_index();
  for (int i = 0; i < 2; ++i) {
    if (t < 64) {
      if (i > 0 && waits_for_readers) sync_some(2, 128);
      s[t] = static_cast<float>(t + i);
      sync_some(1, 128);
    } else {
      sync_some(1, 128);
      y[i * 64 + t - 64] = s[127 - t];
      if (i == 0 && waits_for_readers) sync_some(2, 128);
    }
  }
}
TROUPE_KERNEL(128) named_barrier_for_too_many(float* y) {
  if (thread_index() < 64) sync_some(3, 96);
  y[thread_index()] = 1;
}

TROUPE_KERNEL(96) named_barrier_with_two_counts(float* y) {
  sync_some(3, thread_index() < 32 ? 64 : 96);
  y[thread_index()] = 1;
}

// Right.

TROUPE_KERNEL(32) lanes_meet_at_sync_warp(float* y) {
  TROUPE_SHARED(float, s, 32);
  for (int i = 0; i < 3; ++i) {
    s[thread_index()] = static_cast<float>(i);
    sync_warp(kAllLanes);
    y[thread_index()] = s[31 - thread_index()];
    sync_warp(kAllLanes);
  }
}
TROUPE_KERNEL(32) halves_of_a_warp(float* y) {
  float v = static_cast<float>(thread_index());
  if (thread_index() < 16) {
    v = shuffle_xor(0x0000FFFF, v, 1);
  } else {
    v = shuffle_xor(0xFFFF0000, v, 2);
  }
  y[thread_index()] = v;
}
TROUPE_KERNEL(96) blocks_count_together(float* y) {
  int32_t* count = reinterpret_cast<int32_t*>(y);
  atomic_add(count, 1);
}
TROUPE_KERNEL(64) copy_waited_for(float* y, const float* x) {
  TROUPE_SHARED(Float4, s, 64);
  copy_async16(&s[thread_index()], x + thread_index() * 4, thread_index() % 2 * 16);
  copy_commit();
  copy_wait<0>();
  sync_block();
  y[thread_index()] = s[63 - thread_index()].x;
}
TROUPE_KERNEL(64) all_read_what_one_wrote(float* y) {
  TROUPE_SHARED(float, s, 1);
  for (int i = 0; i < 4; ++i) {
    if (thread_index() == 40) s[0] = static_cast<float>(i);
    sync_block();
    y[thread_index()] = s[0];
    sync_block();
  }
}

}  // namespace

// Each of a line, so that the table below can be read.
#define TROUPE_LAUNCH(...)   \
  [](const FaultMemory& m) { \
    (void)m;                 \
    launch(__VA_ARGS__);     \
  }

const Fault kFaults[] = {
    {"misaligned vector", TROUPE_LAUNCH(misaligned_vector, 1, 2, 0, nullptr, m.y),
     ProblemKind::kMisaligned},
    {"misaligned copy", TROUPE_LAUNCH(misaligned_copy, 1, 32, 0, nullptr, m.x),
     ProblemKind::kMisaligned},
    {"host pointer", TROUPE_LAUNCH(host_pointer, 1, 32, 0, nullptr, m.y, m.host),
     ProblemKind::kHostMemory},
    {"past the end", TROUPE_LAUNCH(past_the_end, 1, 320, 0, nullptr, m.y, 256),
     ProblemKind::kOutOfBounds},
    {"past shared memory", TROUPE_LAUNCH(past_shared_memory, 1, 32, 0, nullptr, m.y),
     ProblemKind::kOutOfBounds},
    {"past dynamic shared memory", TROUPE_LAUNCH(past_dynamic_memory, 1, 32, 124, nullptr, m.y),
     ProblemKind::kOutOfBounds},
    {"shared memory of another block",
     TROUPE_LAUNCH(shared_memory_of_the_block_before, 2, 32, 0, nullptr, m.y),
     ProblemKind::kNeverWritten},
    {"unwritten global memory", TROUPE_LAUNCH(reads_unwritten_memory, 1, 32, 0, nullptr, m.y, m.x),
     ProblemKind::kNeverWritten},
    {"two blocks write a word", TROUPE_LAUNCH(two_blocks_write_a_word, 2, 1, 0, nullptr, m.y),
     ProblemKind::kRaceOfBlocks},
    {"a block reads what another writes",
     TROUPE_LAUNCH(a_block_reads_what_another_writes, 3, 1, 0, nullptr, m.y, m.x),
     ProblemKind::kRaceOfBlocks},
    {"neighbour's word without a barrier", TROUPE_LAUNCH(neighbours_word, 1, 64, 0, nullptr, m.y),
     ProblemKind::kRace},
    {"overwritten before it is read",
     TROUPE_LAUNCH(overwrites_before_others_have_read, 1, 64, 0, nullptr, m.y), ProblemKind::kRace},
    {"two warps write a word", TROUPE_LAUNCH(two_warps_write_a_word, 1, 64, 0, nullptr, m.y),
     ProblemKind::kRace},
    {"shuffle taken for a fence", TROUPE_LAUNCH(shuffle_taken_for_a_fence, 1, 32, 0, nullptr, m.y),
     ProblemKind::kRace},
    {"shuffle from outside the mask",
     TROUPE_LAUNCH(shuffle_from_outside_the_mask, 1, 32, 0, nullptr, m.y),
     ProblemKind::kWarpOperation},
    {"lanes that are not there",
     TROUPE_LAUNCH(shuffle_with_lanes_that_are_not_there, 1, 40, 0, nullptr, m.y),
     ProblemKind::kWarpOperation},
    {"lane outside its own mask", TROUPE_LAUNCH(lane_outside_its_own_mask, 1, 32, 0, nullptr, m.y),
     ProblemKind::kWarpOperation},
    {"operation of a warp by some lanes",
     TROUPE_LAUNCH(warp_operation_of_some_lanes, 1, 32, 0, nullptr, m.y), ProblemKind::kDeadlock},
    {"return before a barrier", TROUPE_LAUNCH(returns_before_a_barrier, 1, 64, 0, nullptr, m.y),
     ProblemKind::kDeadlock},
    {"barriers of two branches", TROUPE_LAUNCH(barriers_of_two_branches, 1, 64, 0, nullptr, m.y),
     ProblemKind::kDivergentBarrier},
    {"copy without a wait", TROUPE_LAUNCH(copy_without_a_wait, 1, 64, 0, nullptr, m.y, m.x),
     ProblemKind::kCopyOnItsWay},
    {"copy waited for without a barrier",
     TROUPE_LAUNCH(copy_waited_for_without_a_barrier, 1, 64, 0, nullptr, m.y, m.x),
     ProblemKind::kRace},
    {"matrix of unwritten rows", TROUPE_LAUNCH(matrix_rows_nobody_wrote, 1, 32, 0, nullptr, m.y),
     ProblemKind::kNeverWritten},
    {"named barrier missing", TROUPE_LAUNCH(hand_over, 1, 128, 0, nullptr, m.y, false),
     ProblemKind::kRace},
    {"named barrier for too many",
     TROUPE_LAUNCH(named_barrier_for_too_many, 1, 128, 0, nullptr, m.y), ProblemKind::kDeadlock},
    {"named barrier with two counts",
     TROUPE_LAUNCH(named_barrier_with_two_counts, 1, 96, 0, nullptr, m.y),
     ProblemKind::kDivergentBarrier},
};
const int kNumFaults = sizeof kFaults / sizeof kFaults[0];

const Fault kRightOnes[] = {
    {"named barriers", TROUPE_LAUNCH(hand_over, 1, 128, 0, nullptr, m.y, true)},
    {"lanes meet at sync_warp", TROUPE_LAUNCH(lanes_meet_at_sync_warp, 1, 32, 0, nullptr, m.y)},
    {"halves of a warp", TROUPE_LAUNCH(halves_of_a_warp, 1, 32, 0, nullptr, m.y)},
    {"blocks count together", TROUPE_LAUNCH(blocks_count_together, 3, 96, 0, nullptr, m.y)},
    {"copy waited for", TROUPE_LAUNCH(copy_waited_for, 1, 64, 0, nullptr, m.y, m.x)},
    {"all read what one wrote", TROUPE_LAUNCH(all_read_what_one_wrote, 1, 64, 0, nullptr, m.y)},
};
const int kNumRightOnes = sizeof kRightOnes / sizeof kRightOnes[0];

}  // namespace troupe::tests
