// The clock of a simulation: what happens when.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace troupe::cluster {

// Events in the order of their time, those of one moment in the order in which they were asked for.
class EventQueue {
 public:
  double now() const { return now_; }
  uint64_t num_done() const { return done_; }
  void at(double time, std::function<void()> event) {
    events_.push_back({time, next_++, std::move(event)});
    std::push_heap(events_.begin(), events_.end(), later);
  }
  void after(double delay, std::function<void()> event) { at(now_ + delay, std::move(event)); }
  // False when there is none.
  bool step() {
    if (events_.empty()) return false;
    std::pop_heap(events_.begin(), events_.end(), later);
    Event event = std::move(events_.back());
    events_.pop_back();
    now_ = event.time;
    ++done_;
    event.run();
    return true;
  }

 private:
  struct Event {
    double time = 0;
    uint64_t number = 0;
    std::function<void()> run{};
  };
  static bool later(const Event& a, const Event& b) {
    return std::pair(a.time, a.number) > std::pair(b.time, b.number);
  }

  double now_ = 0;
  uint64_t next_ = 0, done_ = 0;
  std::vector<Event> events_{};
};

}  // namespace troupe::cluster
