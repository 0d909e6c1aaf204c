// Who did what when in a run, in the JSON that Perfetto (ui.perfetto.dev) and chrome://tracing
// open: a process for each slot, a thread for each role, a span for each piece of work, and curves
// of reward and speed.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "schemas/result.h"

namespace troupe::cluster {

// Gives the text in parts. kInvalidArgument when the home has neither work nor metrics.
Status write_chrome_trace(const std::string& home,
                          const std::function<void(std::string_view)>& write);

}  // namespace troupe::cluster
