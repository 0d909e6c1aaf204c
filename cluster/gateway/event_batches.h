// What is to be sent to those who follow over the network, until it is their turn: at once where
// they are few, together in fewer messages where they are many, so that a daemon sends no more than
// about five hundred a second. Plain: it is told the time.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace troupe::cluster {

class EventBatches {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct Limits {
    std::chrono::microseconds pause_for_each{2'000};  // Of the followers, behind a batch.
    // Of a batch, unless it is of one event. What is more does not wait.
    size_t bytes_max = 256 << 10;
    size_t events_max = 256;
  };
  struct Batch {
    std::string topic{};
    std::string owner{};  // Of the job.
    std::vector<std::vector<std::byte>> events{};
  };

  explicit EventBatches(Limits limits) : limits_(limits) {}

  void add(const std::string& topic, const std::string& owner, std::vector<std::byte> event);

  // Those whose turn it is; whoever takes them says with `sent` how many got each.
  std::vector<Batch> take(Time now);
  void sent(const std::string& topic, size_t num_followers, Time now);

  // When there will be one to take.
  std::optional<Time> next() const;

 private:
  struct Waiting {
    std::vector<Batch> batches{};
    size_t bytes = 0;  // Of the last.
    Time not_before{};

    // When what is there goes.
    Time due() const { return batches.size() > 1 ? Time{} : not_before; }
  };

  const Limits limits_;
  std::map<std::string, Waiting> waiting_{};  // By topic.
};

}  // namespace troupe::cluster
