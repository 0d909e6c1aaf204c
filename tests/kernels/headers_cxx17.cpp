// Compiles only if every operation's header is C++17 and may be read by a device compiler.
#include "kernels/backend.h"

static_assert(__cplusplus < 202000L, "this file checks that C++17 is enough");
static_assert(troupe::kernels::padded(33) == 64, "");

troupe::kernels::Backend an_empty_table() { return {}; }
