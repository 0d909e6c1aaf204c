// What GCC calls before each access of a source that is compiled with -fsanitize=thread,alignment.
// The sanitizers' own runtimes are not linked; these few functions take their place.
#include <cstddef>

#include "tests/support/simt/checker.h"
#include "tests/support/simt/threads.h"

namespace {

using troupe::simt::AccessKind;

void look(const void* address, unsigned bytes, AccessKind kind, const void* instruction) {
  troupe::simt::access(address, bytes, kind, {instruction, {nullptr, 0}});
}

void look_at_range(const void* address, size_t bytes, AccessKind kind, const void* instruction) {
  for (size_t i = 0; i < bytes; i += 2) {
    look(static_cast<const char*>(address) + i, 2, kind, instruction);
  }
}

}  // namespace

// The names are the compiler's.
#define TROUPE_SIMT_HOOK(name, bytes, kind)                              \
  extern "C" void __tsan_##name(void* address) {                         \
    look(address, bytes, AccessKind::kind, __builtin_return_address(0)); \
  }
#define TROUPE_SIMT_HOOKS(bytes)                        \
  TROUPE_SIMT_HOOK(read##bytes, bytes, kRead)           \
  TROUPE_SIMT_HOOK(write##bytes, bytes, kWrite)         \
  TROUPE_SIMT_HOOK(unaligned_read##bytes, bytes, kRead) \
  TROUPE_SIMT_HOOK(unaligned_write##bytes, bytes, kWrite)
TROUPE_SIMT_HOOKS(1)
TROUPE_SIMT_HOOKS(2)
TROUPE_SIMT_HOOKS(4)
TROUPE_SIMT_HOOKS(8)
TROUPE_SIMT_HOOKS(16)

extern "C" {
void __tsan_read_range(void* address, size_t bytes) {
  look_at_range(address, bytes, AccessKind::kRead, __builtin_return_address(0));
}
void __tsan_write_range(void* address, size_t bytes) {
  look_at_range(address, bytes, AccessKind::kWrite, __builtin_return_address(0));
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

// A misaligned vector reaches the hooks above in pieces that are aligned, but comes by here first.
void __ubsan_handle_type_mismatch_v1(void*, void*) {
  const troupe::simt::Where where{__builtin_return_address(0), {nullptr, 0}};
  if (troupe::simt::is_in_kernel()) {
    troupe::simt::fail(troupe::simt::ProblemKind::kMisaligned, "", where);
  }
}
}
