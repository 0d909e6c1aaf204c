#include "tests/support/simt/checker.h"

#include <algorithm>
#include <optional>

#include "tests/support/simt/fibers.h"
#include "tests/support/simt/memory.h"
#include "tests/support/simt/threads.h"

extern "C" const char __executable_start, _end;

namespace troupe::simt {
namespace {

constexpr unsigned kWarpsMax = kThreadsMax / 32;
constexpr size_t kHostFrameBytes = 64 << 10;

struct Order {
  uint32_t block = 0;  // Serial numbers of blocks over all launches.
  uint32_t first_block_of_launch = 0;
  unsigned num_warps = 0;
  uint32_t clocks[kWarpsMax][kWarpsMax] = {};  // [w][v]: what warp w knows of warp v's time.
  uint64_t accesses = 0;
};
Order order;

struct Finding {
  ProblemKind kind;
  const char* what;
};

bool is_before(const Access& access, unsigned thread, uint32_t clock) {
  return thread == access.thread || clock < order.clocks[access.thread / 32][thread / 32];
}

// A reader is before a write if it is the writer alone, or in the past of its warp.
bool is_before(const Access& access, const Reader& reader) {
  if (!reader.is_many) return is_before(access, reader.thread, reader.clock);
  return reader.clock < order.clocks[access.thread / 32][reader.thread / 32];
}

void add_reader(Cell& cell, const Access& access) {
  const unsigned warp = access.thread / 32;
  const uint32_t clock = order.clocks[warp][warp];
  Reader now{clock, static_cast<uint16_t>(access.thread), false};
  for (int i = 0; i < cell.num_readers; ++i) {
    Reader& reader = cell.readers[i];
    const bool is_own_warp = reader.thread / 32 == warp;
    // Whoever comes after this access comes after those before it, too.
    if (!is_own_warp && !is_before(access, reader)) continue;
    now.is_many =
        is_own_warp && reader.clock == clock && (reader.is_many || reader.thread != access.thread);
    reader = now;
    return;
  }
  if (cell.num_readers < 2) {
    cell.readers[cell.num_readers++] = now;
    return;
  }
  // Of more warps that read at the same time the last two are remembered. Under another schedule
  // they are others.
  cell.readers[0] = cell.readers[1];
  cell.readers[1] = now;
}

// What is wrong with an access of two bytes. Notes the access.
std::optional<Finding> look(Cell& cell, const Access& access, bool is_shared) {
  const bool reads = access.kind == AccessKind::kRead;
  const bool is_atomic = access.kind == AccessKind::kAtomic;
  if (!cell.is_addressable) return Finding{ProblemKind::kOutOfBounds, ""};
  if (reads && cell.is_on_its_way) return Finding{ProblemKind::kCopyOnItsWay, ""};
  const bool is_first_of_block = cell.block != order.block;
  const bool is_written = cell.is_written && !(is_shared && is_first_of_block);
  if ((reads || is_atomic) && !is_written) return Finding{ProblemKind::kNeverWritten, ""};

  std::optional<Finding> finding;
  const bool both_atomic = is_atomic && cell.is_written_atomically;
  if (is_first_of_block) {
    const bool other_block = !is_shared && cell.block >= order.first_block_of_launch;
    const bool conflicts = cell.is_written_by_block || (!reads && cell.num_readers > 0);
    if (other_block && conflicts && !both_atomic) {
      finding = Finding{ProblemKind::kRaceOfBlocks, reads ? "read after write" : "a write"};
    }
    cell.block = order.block;
    cell.num_readers = 0;
    cell.is_written_by_block = false;
  } else if (cell.is_written_by_block && !both_atomic &&
             !is_before(access, cell.write_thread, cell.write_clock)) {
    finding = Finding{ProblemKind::kRace, reads ? "read after write" : "write after write"};
  }
  if (reads) {
    add_reader(cell, access);
    return finding;
  }
  for (int i = 0; i < cell.num_readers; ++i) {
    if (!is_before(access, cell.readers[i])) {
      finding = Finding{ProblemKind::kRace, "write after read"};
    }
  }
  const unsigned warp = access.thread / 32;
  cell.write_thread = static_cast<uint16_t>(access.thread);
  cell.write_clock = order.clocks[warp][warp];
  cell.is_written = true;
  cell.is_written_by_block = true;
  cell.is_written_atomically = is_atomic;
  cell.num_readers = 0;
  return finding;
}

// Kernels may read the program's constants, their own stack, and the arguments of their launch.
bool is_allowed_host_memory(const void* address) {
  const char* const p = static_cast<const char*>(address);
  const char* const arguments = static_cast<const char*>(host_stack());
  return is_on_fibers(p) || (p >= &__executable_start && p < &_end) ||
         (p >= arguments && p < arguments + kHostFrameBytes);
}

std::string sized(const char* what, const Access& access, bool is_shared) {
  std::string text = what;
  if (!text.empty()) text += ", ";
  text += access.kind == AccessKind::kRead    ? "read"
          : access.kind == AccessKind::kWrite ? "write"
                                              : "atomic addition";
  return text + " of " + std::to_string(access.bytes) + " bytes, " +
         (is_shared ? "shared" : "global") + " memory";
}

}  // namespace

void note_misaligned(unsigned bytes, const Where& where) {
  note(ProblemKind::kMisaligned, bytes == 0 ? "" : std::to_string(bytes) + " bytes", where);
}

bool check(const Access& access) {
  if (!settings().is_checked) return true;
  ++order.accesses;
  const size_t offset = offset_in_space(access.address);
  if (offset >= kSpaceBytes) {
    if (is_allowed_host_memory(access.address)) return true;
    note(ProblemKind::kHostMemory, "", access.where);
    return false;
  }
  if ((offset & (access.bytes - 1)) != 0) {
    note_misaligned(access.bytes, access.where);
    return false;
  }
  const bool is_shared = offset < kSharedEnd;
  const Cell* const end = cell_at(offset + access.bytes + 1);
  for (Cell* cell = cell_at(offset); cell < end; ++cell) {
    const auto finding = look(*cell, access, is_shared);
    if (!finding) continue;
    note(finding->kind, sized(finding->what, access, is_shared), access.where);
    return finding->kind != ProblemKind::kOutOfBounds;
  }
  return true;
}

void set_on_its_way(const void* address, unsigned bytes, bool is_on_its_way) {
  const size_t offset = offset_in_space(address);
  if (!settings().is_checked || offset >= kSpaceBytes) return;
  Cell* const first = cell_at(offset);
  std::for_each(first, first + bytes / 2, [&](Cell& cell) { cell.is_on_its_way = is_on_its_way; });
}

void begin_launch() { order.first_block_of_launch = order.block + 1; }

void begin_block(unsigned num_warps) {
  ++order.block;
  order.num_warps = num_warps;
  for (unsigned w = 0; w < num_warps; ++w) std::fill_n(order.clocks[w], num_warps, 1u);
}

void join_warps(uint32_t warps) {
  uint32_t joined[kWarpsMax] = {};
  for (uint32_t left = warps; left != 0; left &= left - 1) {
    const unsigned w = static_cast<unsigned>(__builtin_ctz(left));
    ++order.clocks[w][w];
    for (unsigned v = 0; v < order.num_warps; ++v) {
      joined[v] = std::max(joined[v], order.clocks[w][v]);
    }
  }
  for (uint32_t left = warps; left != 0; left &= left - 1) {
    std::copy_n(joined, order.num_warps, order.clocks[__builtin_ctz(left)]);
  }
}

void step_warp(unsigned warp) { ++order.clocks[warp][warp]; }

uint64_t num_accesses() { return order.accesses; }

}  // namespace troupe::simt
