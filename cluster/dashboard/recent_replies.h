// Many who look at the same thing are answered with one reply: it is made once, and is good for a
// moment. Failures are not kept.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/dashboard/http_server.h"

namespace troupe::cluster {

class RecentReplies {
 public:
  using Clock = std::chrono::steady_clock;
  using Answer = HttpServer::Answer;

  static constexpr size_t kRepliesMax = 256;
  // Who comes later does not wait for what was begun so long ago: nobody may be at it any more.
  static constexpr std::chrono::seconds kMakingMax{2};
  static constexpr size_t kBytesMax = 32 << 20;  // Of all that are kept.

  explicit RecentReplies(Clock::duration good_for) : kept_(std::make_shared<Kept>(good_for)) {}

  // From any thread. `key` says who asks for what. Either `answer` is called at once, or once
  // `make` has called what it is given, which may be later and from any thread.
  void get(const std::string& key, Clock::time_point now, Answer answer,
           const std::function<void(Answer)>& make);

 private:
  struct Reply {
    Clock::time_point made{};       // Or begun, as long as it is made.
    HttpReply reply{.status = 0};   // Status 0: it is not made yet.
    std::vector<Answer> waiting{};  // For it, beside who has it made.
  };
  struct Kept {
    explicit Kept(Clock::duration duration) : good_for(duration) {}
    void forget_old(Clock::time_point now);

    const Clock::duration good_for;
    std::mutex mutex{};
    std::map<std::string, std::shared_ptr<Reply>>
        replies{};  // Guarded by the mutex, as is what follows.
    size_t bytes = 0;
  };

  // Outlives those that are made.
  const std::shared_ptr<Kept> kept_;
};

}  // namespace troupe::cluster
