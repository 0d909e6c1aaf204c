// The threads of a block: fibers that run one at a time until they wait, in an order that a seed
// chooses. Blocks run one after another, in such an order too.
#pragma once

#include <cstdint>
#include <string>

#include "tests/support/simt/problems.h"

namespace troupe::simt {

// Of the thread that runs. Only inside a kernel.
unsigned running_lane();
bool is_in_kernel();
std::string running_thread_text();  // ", block (1, 0, 0), thread 7"; empty outside.

// Where the host waits for the launch.
const void* host_stack();

// An access of the thread that runs; gives the launch up if it cannot go on. Nothing outside a
// kernel.
enum class AccessKind;
void access(const void* address, unsigned bytes, AccessKind kind, const Where& where);

// Notes a problem and gives the launch up.
[[noreturn]] void fail(ProblemKind kind, const std::string& what, const Where& where);

// The lanes in `mask` meet at `place` under the name `what`. The last one to come calls `combine`
// with the `own` of every lane; all go on afterwards.
using Combine = void (*)(void* const* own, uint32_t mask, Place place);
struct WarpOperation {
  const char* what;
  uint32_t mask;
  Combine combine;
  bool orders_memory;
};
void meet(const WarpOperation& operation, void* own, Place place);

}  // namespace troupe::simt
