// What one stage of a comparison says.
#pragma once

#include <cstdint>

namespace troupe::actors {

enum class Outcome : uint8_t { kSame, kOther, kUnknown };

}  // namespace troupe::actors
