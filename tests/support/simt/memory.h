// The memory that kernels see: one reserved range with the block's shared memory at its beginning
// and what allocate() gives behind it; for every two bytes a cell that says what became of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe::simt {

// A read that a later write may have to be after.
struct Reader {
  uint32_t clock = 0;  // Of its warp, at that time.
  uint16_t thread = 0;
  bool is_many = false;  // Other threads of its warp have read at the same time.
};

// Of two bytes, for the block that was last there. All zeros is memory that is nobody's.
struct Cell {
  uint32_t block = 0;  // Serial number over all launches.
  uint32_t write_clock = 0;
  uint16_t write_thread = 0;
  bool is_addressable = false;
  bool is_written = false;
  bool is_on_its_way = false;        // An asynchronous copy will write it.
  bool is_written_by_block = false;  // As write_clock and write_thread say.
  bool is_written_atomically = false;
  uint8_t num_readers = 0;
  Reader readers[2];
};

inline constexpr size_t kSpaceBytes = size_t{1} << 32;
inline constexpr size_t kDynamicSharedAt = size_t{1} << 20;
inline constexpr size_t kSharedEnd = size_t{2} << 20;  // From here on it is global memory.

// The range's first byte. Shared addresses of PTX count from here.
char* space();
inline size_t offset_in_space(const void* address) {  // kSpaceBytes or more: not in it.
  return static_cast<size_t>(static_cast<const char*>(address) - space());
}
Cell* cell_at(size_t offset);

// Shared memory for one launch: fills both kinds with NaNs, and lets the dynamic part be used.
void open_dynamic_shared(size_t bytes);
void close_dynamic_shared(size_t bytes);
void forget_shared(size_t dynamic_bytes);

}  // namespace troupe::simt
