// Asks a node how it is, again and again, and measures the link while it does.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "schemas/control.h"
#include "schemas/node.h"

namespace troupe::cluster {

class HostExaminer {
 public:
  using Ask = std::function<void(const std::string& node, ExamineNode question)>;

  explicit HostExaminer(Ask ask) : ask_(std::move(ask)) {}

  // What a node has said. From any thread.
  void answered(const std::string& node, NodeExamined answer);
  // The examination that is under way ends, and all later ones at once. From any thread.
  void close();

  // Fills in what comes of it: reading, clock, link; or the failure. Takes a second, or 10 s where
  // nothing is answered. One examination at a time.
  void examine(const std::string& node, HostReport& report);

 private:
  using Clock = std::chrono::steady_clock;

  struct Answer {
    NodeExamined said{};
    int64_t asked_ns = 0;  // Since 1970.
    int64_t heard_ns = 0;
    double seconds = 0;  // Between the two, by a clock that nobody sets.
  };
  // Nothing when no answer comes in time.
  std::optional<Answer> ask(const std::string& node, ExamineNode question);

  const Ask ask_;
  std::mutex mutex_{};
  std::condition_variable changed_{};
  // All below: guarded by mutex_.
  bool is_closed_ = false;
  uint64_t last_request_ = 0;
  std::string asked_node_{};
  std::optional<Answer> answer_{};
};

}  // namespace troupe::cluster
