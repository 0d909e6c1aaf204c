// The small Python programs that run others in a box. They are part of this program and enter every
// box as files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/sandbox/box.h"

namespace troupe::actors {

// call.py, check.py, program.py or serve.py, as a file for a box.
BoxFile python_runner(std::string_view name);

// argv that runs it.
std::vector<std::string> python_command(std::string_view name);

}  // namespace troupe::actors
