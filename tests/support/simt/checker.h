// Looks at every access of a kernel: bounds, what was written, and whether something orders it with
// the accesses before. Order within a block is a vector clock for each warp: a barrier joins those
// of its warps, a sync_warp of all lanes steps its own; shuffles order nothing.
#pragma once

#include <cstdint>

#include "tests/support/simt/problems.h"

namespace troupe::simt {

enum class AccessKind { kRead, kWrite, kAtomic };

struct Access {
  const void* address = nullptr;
  unsigned bytes = 0;
  AccessKind kind = AccessKind::kRead;
  unsigned thread = 0;  // Of the block.
  Where where{};
};

// Whether the thread can go on. Where settings() say that nothing is checked, it always can.
bool check(const Access& access);

// Notes a misaligned access.
void note_misaligned(unsigned bytes, const Where& where);

// Bytes that an asynchronous copy is to write, or has written.
void set_on_its_way(const void* address, unsigned bytes, bool is_on_its_way);

// Order.
void begin_launch();
void begin_block(unsigned num_warps);
void join_warps(
    uint32_t warps);  // Bit w: warp w. All that they did comes before what they will do.
void step_warp(unsigned warp);

uint64_t num_accesses();

}  // namespace troupe::simt
