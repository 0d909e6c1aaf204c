// How a worker notices that its head is gone, however it went: the head holds the write end of a
// pipe and never writes. A parent-death signal would follow the thread that started the worker. The
// next head is found by the card that it leaves among its credentials, and watched by its number.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace troupe::cluster {

// Holds the number of the read end in a worker's environment.
inline constexpr char kLifelineVariable[] = "TROUPE_LIFELINE_FD";

// Where a head says who it is, with its port; and where it does so of a worker, with its token.
std::string head_card(const std::string& credentials_folder);
std::string worker_card(const std::string& credentials_folder, uint64_t job, uint32_t slot);

// The descriptor that the head left for this process; nothing when it was started by hand. Children
// of this process do not inherit it. To be called before there are other threads.
std::optional<int> lifeline_from_environment();

// From its making on this process ends, with exit code 1, when it has no head: at once, or after
// the patience of the last lease. All of it may be called from any thread.
class HeadWatch {
 public:
  // Takes ownership of the descriptor.
  HeadWatch(int lifeline, const std::string& credentials_folder);

  // The head has given a lease; when it is gone, so long is waited for another. Before the first
  // lease: not at all. A head that is there has some minutes to give one.
  void settle(std::chrono::seconds patience);

  // Waits until the head is gone and another one is there, and returns its port. Nothing when the
  // head has not gone within two seconds.
  std::optional<uint16_t> next_head();

 private:
  struct State;
  static void watch(State& state);
  std::shared_ptr<State> state_;
};

}  // namespace troupe::cluster
