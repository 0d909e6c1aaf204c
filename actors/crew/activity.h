// What a worker does and how much of its time it is at work: for people, decisions do not depend on
// it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>

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

class BusyTime {
 public:
  void begin(double now) { from_ = now; }
  void end(double now) {
    if (from_) sum_ += now - *from_;
    from_.reset();
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
  std::optional<double> from_{};
};

}  // namespace troupe::actors
