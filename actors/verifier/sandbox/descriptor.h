// The few ways in which the sandbox makes file descriptors.
#pragma once

#include <string>
#include <string_view>

#include "schemas/descriptor.h"

namespace troupe::actors::sandbox {

struct Pipe {
  Descriptor read{};
  Descriptor write{};
};
// Both ends close on exec; invalid where there are no descriptors left.
Pipe make_pipe();

// A file in memory with these bytes, read from its start, that nobody can change any more.
Descriptor sealed_file(std::string_view content);

// Small files of /proc and /sys: the whole content, or empty where it cannot be read.
std::string read_small(const std::string& path);
std::string read_small(int file);  // From its start.
// One write() of the whole text, which is how files of /sys want it.
bool write_small(int file, std::string_view text);
bool write_small(const std::string& path, std::string_view text);

}  // namespace troupe::actors::sandbox
