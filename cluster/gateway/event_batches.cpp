#include "cluster/gateway/event_batches.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace troupe::cluster {

void EventBatches::add(const std::string& topic, const std::string& owner,
                       std::vector<std::byte> event) {
  Waiting& waiting = waiting_[topic];
  const bool is_new = waiting.batches.empty() ||
                      waiting.batches.back().events.size() >= limits_.events_max ||
                      waiting.bytes + event.size() > limits_.bytes_max;
  if (is_new) {
    waiting.batches.push_back({.topic = topic, .owner = owner});
    waiting.bytes = 0;
  }
  waiting.bytes += event.size();
  waiting.batches.back().events.push_back(std::move(event));
}

std::vector<EventBatches::Batch> EventBatches::take(Time now) {
  std::vector<Batch> due;
  for (auto one = waiting_.begin(); one != waiting_.end();) {
    const auto next = std::next(one);
    Waiting& waiting = one->second;
    if (waiting.due() <= now) {
      std::move(waiting.batches.begin(), waiting.batches.end(), std::back_inserter(due));
      if (waiting.batches.empty()) {
        waiting_.erase(one);
      } else {
        waiting.batches.clear();
      }
    }
    one = next;
  }
  return due;
}

void EventBatches::sent(const std::string& topic, size_t num_followers, Time now) {
  waiting_[topic].not_before = now + limits_.pause_for_each * num_followers;
}

std::optional<EventBatches::Time> EventBatches::next() const {
  std::optional<Time> next;
  for (const auto& [topic, waiting] : waiting_) {
    if (waiting.batches.empty()) continue;
    next = next ? std::min(*next, waiting.due()) : waiting.due();
  }
  return next;
}

}  // namespace troupe::cluster
