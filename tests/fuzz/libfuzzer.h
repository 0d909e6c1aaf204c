// Makes a target's file a program of its own where libFuzzer drives it.
#pragma once

#include "tests/fuzz/targets.h"

#ifdef TROUPE_LIBFUZZER
#define TROUPE_FUZZ_TARGET(name)                                            \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { \
    troupe::fuzz::name::fuzz_one(data, size);                               \
    return 0;                                                               \
  }
#else
#define TROUPE_FUZZ_TARGET(name)
#endif
