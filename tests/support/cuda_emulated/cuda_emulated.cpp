#include "tests/support/cuda_emulated/cuda_emulated.h"

#include <cstdlib>
#include <cstring>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/machine.h"
#include "schemas/check.h"
#include "tests/support/simt/simt.h"

namespace troupe::tests {

const kernels::Backend& cuda_emulated(cuda_reference::TensorCore core) {
  simt::settings() = {.tensor_core = core};
  static kernels::Backend tables[2];
  kernels::Backend& table = tables[core == cuda_reference::TensorCore::kSm80 ? 0 : 1];
  if (table.allocate == nullptr) table = kernels::cuda::cuda_backend();
  return table;
}

}  // namespace troupe::tests

// Kernels that nobody checks run on any memory of the host.
namespace troupe::kernels::cuda::machine {
namespace {

void move(uint64_t to, uint64_t from, int64_t bytes) {
  std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from),
               static_cast<size_t>(bytes));
}

}  // namespace

const char* name() { return "cuda-emulated"; }
const char* arithmetic_id() {
  return simt::settings().tensor_core == cuda_reference::TensorCore::kSm80 ? "cuda-sm80-1"
                                                                           : "cuda-sm90-1";
}

uint64_t allocate(int64_t bytes) {
  TROUPE_CHECK(bytes >= 0);
  constexpr size_t kLine = 64;
  const size_t size = (static_cast<size_t>(bytes) / kLine + 1) * kLine;
  void* memory = std::aligned_alloc(kLine, size);
  if (memory != nullptr) std::memset(memory, 0, size);
  return reinterpret_cast<uint64_t>(memory);
}
void release(uint64_t address) { std::free(reinterpret_cast<void*>(address)); }

StreamHandle queue() { return nullptr; }

void upload(uint64_t to, const void* from, int64_t bytes) {
  move(to, reinterpret_cast<uint64_t>(from), bytes);
}
void download(void* to, uint64_t from, int64_t bytes) {
  move(reinterpret_cast<uint64_t>(to), from, bytes);
}
void copy(uint64_t to, uint64_t from, int64_t bytes) { move(to, from, bytes); }
void fill_zero(uint64_t to, int64_t bytes) {
  std::memset(reinterpret_cast<void*>(to), 0, static_cast<size_t>(bytes));
}

}  // namespace troupe::kernels::cuda::machine
