// The file of a box's process 1 (init/main.cpp), carried inside this one.
#pragma once

#include <string_view>

namespace troupe::actors::sandbox {

std::string_view init_program();

}  // namespace troupe::actors::sandbox
