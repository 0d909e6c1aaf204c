// What the operating system refused, as one of our errors.
#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "schemas/result.h"

namespace troupe {

// Nothing is broken: the machine has no more of something that somebody can free.
inline bool is_exhaustion(int reason) {
  return reason == ENOSPC || reason == EDQUOT || reason == EMFILE || reason == ENFILE;
}

// What to do about it; `reason` is one of the above.
inline std::string_view advice_on_exhaustion(int reason) {
  return reason == ENOSPC || reason == EDQUOT
             ? "make room on that disk"
             : "close files of this machine or raise their limit, see ulimit -n";
}

// `what` was tried, e.g. "cannot write /a/b", and `reason` is what errno said then. kExhausted or
// kInternal.
inline Error system_error(std::string_view what, int reason) {
  if (!is_exhaustion(reason)) {
    return {ErrorCode::kInternal, fmt::format("{}: {}", what, std::strerror(reason))};
  }
  return {ErrorCode::kExhausted,
          fmt::format("{}: {}; {}", what, std::strerror(reason), advice_on_exhaustion(reason))};
}

}  // namespace troupe
