// How a process becomes process 1 of a box, in two halves that run in the launcher's memory and on
// stacks of their own, with nothing but system calls: no allocation, no lock, no errno of others.
// The builder leaves every namespace of the host and builds the root; its child, the first in the
// new process namespace, moves into it, gives up what is left and executes.
#pragma once

#include <sys/types.h>

#include <cstddef>

#include "actors/verifier/sandbox/launcher.h"

namespace troupe::actors::sandbox {

// What the launcher and both halves share.
struct Birth {
  const Launch* launch = nullptr;
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  int* scratch = nullptr;  // As many as descriptors.
  char* stack = nullptr;   // Of the second half.
  size_t stack_bytes = 0;
  pid_t parent = -1;
  int parent_file = -1;  // A pidfd of it, which the halves know by other numbers.

  pid_t process_1 = -1;  // A child of the launcher's process, by its number there.
  const char* failed = nullptr;
  const char* object = "";
  int error = 0;
};

// Returns the builder's pid when both are done with the shared memory: the second half executes, or
// has failed. The negated errno where there is no builder.
long start_builder(Birth& birth, char* stack, size_t stack_bytes);

}  // namespace troupe::actors::sandbox
