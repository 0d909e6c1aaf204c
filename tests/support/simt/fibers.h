// Stacks for the threads of a block, and the switch between them. x86-64 only.
#pragma once

#include <cstddef>

namespace troupe::simt {

inline constexpr unsigned kThreadsMax = 1024;  // Of a block, as on every GPU.

// A stack pointer of somebody who does not run.
struct Suspended {
  void* stack = nullptr;
};

// Makes thread `index` start at `entry`, which never returns, when it is switched to.
Suspended new_fiber(unsigned index, void (*entry)());

// Stores where the caller is in `from` and goes on at `to`.
void switch_fiber(Suspended& from, const Suspended& to);

// Whether an address is in a fiber's stack.
bool is_on_fibers(const void* address);

}  // namespace troupe::simt
