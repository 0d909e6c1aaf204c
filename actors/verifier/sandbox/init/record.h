// What process 1 of a box tells its host, one write per record, on a pipe that the program never
// sees. Both sides are of one build.
#pragma once

#include <cstdint>

namespace troupe::actors::sandbox {

struct InitRecord {
  enum Kind : int32_t { kStarted = 1, kRefused = 2, kEnded = 3 };
  int32_t kind = 0;
  int32_t value = 0;         // kRefused: why execve() failed. kEnded: status as wait() has it.
  int64_t microseconds = 0;  // kEnded: of the program and everything that was waited for.
};

}  // namespace troupe::actors::sandbox
