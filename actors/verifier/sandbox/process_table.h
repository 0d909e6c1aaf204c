// The processes of a box as the host's /proc shows them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

namespace troupe::actors::sandbox {

struct ProcessRow {
  pid_t pid = 0;
  pid_t parent = 0;
  double cpu_seconds = 0;  // With the children that it has waited for.
};
std::optional<ProcessRow> process_row(pid_t pid);

// `root` and all below it. A look at every process of the host: for where no control group knows.
std::vector<ProcessRow> process_tree(pid_t root);

// Whether a thread of the process runs or waits for a processor.
bool is_runnable(pid_t pid);

}  // namespace troupe::actors::sandbox
