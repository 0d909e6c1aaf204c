#include "tests/support/simt/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "schemas/check.h"
#include "tests/support/simt/simt.h"

namespace troupe::simt {
namespace {

// Two bytes of it are a NaN in bf16, four in float, eight in double.
constexpr int kUnwritten = 0xFF;
constexpr size_t kAlignment = 256, kRedZone = 256;
constexpr size_t kSlotAlignment = 128, kSlotRedZone = 64;

char* reserve(size_t bytes) {
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  TROUPE_CHECK(mapped != MAP_FAILED);
  return static_cast<char*>(mapped);
}

size_t round_up(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }

struct Allocations {
  size_t slots_end = kSlotRedZone;
  size_t global_end = kSharedEnd + kRedZone;
  std::map<const void*, size_t> bytes_of{};
};
Allocations& allocations() {
  static Allocations all;
  return all;
}

void mark(const void* address, size_t bytes, bool is_addressable, bool is_written) {
  Cell cell;
  cell.is_addressable = is_addressable;
  cell.is_written = is_written;
  std::fill_n(cell_at(offset_in_space(address)), (bytes + 1) / 2, cell);
}

// Addresses are used once, so pages that lie in a released array alone are of no use to anybody.
// They read as zeros, which for cells is: nobody's memory.
void give_back(void* address, size_t bytes) {
  constexpr size_t kPage = 4096;
  const auto drop = [](void* first, size_t size) {
    const size_t begin = round_up(reinterpret_cast<size_t>(first), kPage);
    const size_t end = (reinterpret_cast<size_t>(first) + size) / kPage * kPage;
    if (begin < end) {
      TROUPE_CHECK(madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED) == 0);
    }
  };
  drop(address, bytes);
  drop(cell_at(offset_in_space(address)), bytes / 2 * sizeof(Cell));
}

}  // namespace

char* space() {
  static char* const all = reserve(kSpaceBytes);
  return all;
}

Cell* cell_at(size_t offset) {
  static Cell* const all = reinterpret_cast<Cell*>(reserve(kSpaceBytes / 2 * sizeof(Cell)));
  return all + offset / 2;
}

void open_dynamic_shared(size_t bytes) {
  TROUPE_CHECK(bytes <= kSharedEnd - kDynamicSharedAt - kRedZone);
  mark(space() + kDynamicSharedAt, bytes, true, false);
}
void close_dynamic_shared(size_t bytes) { mark(space() + kDynamicSharedAt, bytes, false, false); }

void forget_shared(size_t dynamic_bytes) {
  std::memset(space(), kUnwritten, allocations().slots_end);
  std::memset(space() + kDynamicSharedAt, kUnwritten, dynamic_bytes);
}

void* allocate(size_t bytes) {
  Allocations& all = allocations();
  void* const address = space() + round_up(all.global_end, kAlignment);
  all.global_end = offset_in_space(address) + bytes + kRedZone;
  TROUPE_CHECK(all.global_end < kSpaceBytes);
  all.bytes_of[address] = bytes;
  mark(address, bytes, true, false);
  std::memset(address, kUnwritten, bytes);
  return address;
}

void release(void* address) {
  const auto found = allocations().bytes_of.find(address);
  TROUPE_CHECK(found != allocations().bytes_of.end());
  mark(address, found->second, false, false);
  give_back(address, found->second);
  allocations().bytes_of.erase(found);
}

void upload(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  mark(to, bytes, true, true);
  std::memcpy(to, from, bytes);
}

void download(void* to, const void* from, size_t bytes) {
  if (bytes != 0) std::memcpy(to, from, bytes);
}

}  // namespace troupe::simt

namespace troupe::kernels::cuda::host {

unsigned char* dynamic_shared() {
  return reinterpret_cast<unsigned char*>(simt::space() + simt::kDynamicSharedAt);
}

void* shared_slot(size_t bytes) {
  size_t& end = simt::allocations().slots_end;
  char* const address = simt::space() + simt::round_up(end, simt::kSlotAlignment);
  end = simt::offset_in_space(address) + bytes + simt::kSlotRedZone;
  TROUPE_CHECK(end <= simt::kDynamicSharedAt);
  simt::mark(address, bytes, true, false);
  std::memset(address, simt::kUnwritten, bytes);
  return address;
}

}  // namespace troupe::kernels::cuda::host
