// What a worker does and how much of its time it is at work: for people, decisions do not depend on
// it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "schemas/metrics.h"

namespace troupe::actors {

struct Activity {
  std::string what{};
  double since = 0;
};

// Seconds at work of some workers since they were last asked for.
struct Busy {
  double seconds = 0;
  double workers = 0;
  double share(double elapsed) const {
    return workers == 0 ? 0 : std::min(1.0, seconds / elapsed / workers);
  }
};

// What of some workers has ended since it was last taken; the newest, if there is much of it.
class WorkLog {
 public:
  static constexpr size_t kSpansMax = 1'024;

  // Times are seconds of any one clock until they are taken.
  void add(WorkSpan span) {
    spans_.push_back(std::move(span));
    if (spans_.size() > kSpansMax) spans_.pop_front();
  }
  void take(std::vector<WorkSpan>& into, double now) {
    for (WorkSpan& span : spans_) {
      span.began_ago = now - span.began_ago;
      span.ended_ago = now - span.ended_ago;
      into.push_back(std::move(span));
    }
    spans_.clear();
  }

 private:
  std::deque<WorkSpan> spans_{};
};

class BusyTime {
 public:
  void begin(double now) { from_ = began_ = now; }
  // When it began, if it had.
  std::optional<double> end(double now) {
    if (!from_) return std::nullopt;
    sum_ += now - *from_;
    from_.reset();
    return began_;
  }
  // What is under way counts up to now, and the rest of it the next time.
  void take(Busy& busy, double now) {
    busy.workers += 1;
    busy.seconds += sum_ + (from_ ? now - *from_ : 0);
    sum_ = 0;
    if (from_) from_ = now;
  }

 private:
  double sum_ = 0;
  double began_ = 0;
  std::optional<double> from_{};  // Or since it was last taken.
};

}  // namespace troupe::actors
