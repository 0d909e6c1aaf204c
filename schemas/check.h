// TROUPE_CHECK guards invariants: a failure is a bug in this program, so it stops the process in
// every build type, before wrong numbers reach a checkpoint. Expected failures return Result.
#pragma once

#include <cstdio>
#include <cstdlib>

#define TROUPE_CHECK(condition)                                                    \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                \
    }                                                                              \
  } while (0)
