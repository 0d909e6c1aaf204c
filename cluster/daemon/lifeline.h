// How a worker notices that its head is gone, however it went: the head holds the write end of a
// pipe and never writes. A parent-death signal would follow the thread that started the worker.
#pragma once

#include <optional>

namespace troupe::cluster {

// Holds the number of the read end in a worker's environment.
inline constexpr char kLifelineVariable[] = "TROUPE_LIFELINE_FD";

// The descriptor that the head left for this process; nothing when it was started by hand. Children
// of this process do not inherit it. To be called before there are other threads.
std::optional<int> lifeline_from_environment();

// From now on this process ends, with exit code 1 and at once, when the head does. Takes ownership
// of the descriptor.
void watch_lifeline(int fd);

}  // namespace troupe::cluster
