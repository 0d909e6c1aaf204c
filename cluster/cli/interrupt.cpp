#include "cluster/cli/interrupt.h"

#include <csignal>

#include <atomic>

namespace troupe::cluster {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "the handler may not take a lock");

void on_signal(int) {
  interrupted.store(true, std::memory_order_relaxed);
  // A second signal of either kind ends the process, also when no loop looks.
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

void watch_for_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  // Reads and writes go on: a torn one is not a clean point.
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool is_interrupted() { return interrupted.load(std::memory_order_relaxed); }

Error stopped() { return {ErrorCode::kStopped, "stopped by the user"}; }

}  // namespace troupe::cluster
