#include "tests/support/simt/fibers.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>

#include "schemas/check.h"

#if !defined(__x86_64__)
#error "the switch between fibers is written for x86-64"
#endif

// The registers that a function must keep, on the stack of who leaves; then those of who comes. A
// library's switch would ask the kernel for the signal mask each time.
extern "C" void troupe_simt_switch(void** from, void* to);
asm(R"(
.text
.globl troupe_simt_switch
.type troupe_simt_switch, @function
troupe_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size troupe_simt_switch, . - troupe_simt_switch
)");

namespace troupe::simt {
namespace {

constexpr size_t kStackBytes = 128 << 10, kGuardBytes = 4096;

// One mapping for all; pages come when they are used. Below each stack is a page that faults.
char* stacks() {
  static char* const all = [] {
    void* mapped = mmap(nullptr, kThreadsMax * kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TROUPE_CHECK(mapped != MAP_FAILED);
    char* const first = static_cast<char*>(mapped);
    for (unsigned i = 0; i < kThreadsMax; ++i) {
      TROUPE_CHECK(mprotect(first + i * kStackBytes, kGuardBytes, PROT_NONE) == 0);
    }
    return first;
  }();
  return all;
}

}  // namespace

Suspended new_fiber(unsigned index, void (*entry)()) {
  // Stacks begin at different sets of the cache; an entry expects the stack of a function that was
  // called, so a return address that nobody uses is above it.
  char* const top = stacks() + (index + 1) * kStackBytes - 64 - index % 32 * 128;
  void** const words = reinterpret_cast<void**>(top);
  constexpr int kKeptRegisters = 6;
  words[-1] = nullptr;
  words[-2] = reinterpret_cast<void*>(entry);
  void** const stack = words - 2 - kKeptRegisters;
  std::memset(stack, 0, kKeptRegisters * sizeof(void*));
  return {stack};
}

void switch_fiber(Suspended& from, const Suspended& to) {
  troupe_simt_switch(&from.stack, to.stack);
}

bool is_on_fibers(const void* address) {
  return static_cast<size_t>(static_cast<const char*>(address) - stacks()) <
         kThreadsMax * kStackBytes;
}

}  // namespace troupe::simt
