// The small Python programs that run others in a box. They are part of this program and enter every
// box as files.
#pragma once

#include <string_view>

#include "actors/verifier/sandbox/box.h"

namespace troupe::actors {

// call.py, check.py, program.py or serve.py, as a file for a box. Compiled, by the box's own Python
// when it is first asked for, which saves every later run a few milliseconds; as source where that
// fails. Thread-safe.
BoxFile python_runner(Sandbox& sandbox, std::string_view name);

}  // namespace troupe::actors
