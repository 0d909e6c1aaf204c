// The system calls that a boxed program may make, as a program for the kernel's filter. A list of
// what ordinary programs, Python and a compiler need, not of what is known to be dangerous: a new
// call of a new kernel is refused until somebody has thought about it.
#pragma once

#include <string>

#include "schemas/result.h"

namespace troupe::actors::sandbox {

// For this machine's native calling convention; others (i386, x32) end the program.
Result<std::string> system_call_filter();

}  // namespace troupe::actors::sandbox
