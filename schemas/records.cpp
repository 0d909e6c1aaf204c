#include "schemas/records.h"

#include <algorithm>

namespace troupe {

const char* name(JobState state) {
  switch (state) {
    case JobState::kQueued:
      return "queued";
    case JobState::kRunning:
      return "running";
    case JobState::kPaused:
      return "paused";
    case JobState::kFinished:
      return "finished";
    case JobState::kFailed:
      return "failed";
    case JobState::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

bool is_terminal(JobState state) {
  return state == JobState::kFinished || state == JobState::kFailed ||
         state == JobState::kCancelled;
}

bool extend(ResponseSegments& begun, const ResponseSegment& next) {
  auto known = std::find_if(begun.begin(), begun.end(),
                            [&](const ResponseSegment& one) { return one.id == next.id; });
  if (next.begin != (known == begun.end() ? 0 : known->tokens.size())) return false;
  if (known == begun.end()) known = begun.insert(known, {.id = next.id});
  known->tokens.insert(known->tokens.end(), next.tokens.begin(), next.tokens.end());
  known->logprobs.insert(known->logprobs.end(), next.logprobs.begin(), next.logprobs.end());
  return true;
}

int64_t num_tokens(const ResponseSegments& segments) {
  int64_t count = 0;
  for (const ResponseSegment& one : segments) count += static_cast<int64_t>(one.tokens.size());
  return count;
}

}  // namespace troupe
