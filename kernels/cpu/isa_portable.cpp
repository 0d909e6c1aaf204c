// The definition: plain C++ for any x86-64.
#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/workspace.h"
#include "kernels/elementary.h"

#define TROUPE_LANES "kernels/cpu/lanes_portable.inl"

namespace troupe::kernels::cpu {
namespace {

#include "kernels/cpu/isa.inl"

}  // namespace

Backend portable_operations() { return operations("portable"); }

}  // namespace troupe::kernels::cpu
