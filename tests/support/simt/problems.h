// What is found wrong, each thing once.
#pragma once

#include <string>

#include "tests/support/simt/simt.h"

namespace troupe::simt {

// Where a report points to: an instruction of a kernel, or a place that was named.
struct Where {
  const void* instruction = nullptr;  // A return address, if there is one.
  Place place{nullptr, 0};
};

// "file.cu:12".
std::string text_of(Place place);

// Notes a problem of the thread that runs, unless the same was noted at the same place.
void note(ProblemKind kind, const std::string& what, const Where& where);

}  // namespace troupe::simt
