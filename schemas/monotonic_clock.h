// The clock for measuring how long things take.
#pragma once

#include <chrono>

namespace troupe {

// Since some moment that is the same for the whole process.
inline double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace troupe
