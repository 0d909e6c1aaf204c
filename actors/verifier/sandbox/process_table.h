// The processes of a box as the host's /proc shows them.
#pragma once

#include <sys/types.h>

#include <vector>

namespace troupe::actors::sandbox {

struct ProcessRow {
  pid_t pid = 0;
  pid_t parent = 0;
  double cpu_seconds = 0;     // With the children that it has waited for.
  bool is_runnable = false;   // A thread of it runs or waits for a processor.
  double waited_seconds = 0;  // All its threads' together, runnable and without a processor.
};

// Process 1 of a box, by its number outside, and all below it. Read through the box's own /proc,
// which shows nothing else; where that is not permitted, by a look at every process of the host.
// (Version 1 of control groups would show a list that is up to a second old.)
std::vector<ProcessRow> box_processes(pid_t inside);

}  // namespace troupe::actors::sandbox
