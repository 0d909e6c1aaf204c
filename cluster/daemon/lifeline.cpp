#include "cluster/daemon/lifeline.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "cluster/daemon/process_card.h"

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// The end of a connection may be known before the end of the process.
constexpr auto kLossPatience = 2s;
constexpr int kLookMs = 50;
// A head that is new reads and verifies what it goes on from before it takes workers.
constexpr auto kLeasePatience = 10min;

bool parse(const char* text, auto& number) {
  const char* const end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, number);
  return error == std::errc() && rest == end;
}

// Nobody is left to hand anything to, and destructors could wait for the network.
[[noreturn]] void end_here() { ::_exit(1); }

}  // namespace

std::string head_card(const std::string& credentials_folder) {
  return credentials_folder + "/head";
}
std::string worker_card(const std::string& credentials_folder, uint64_t job, uint32_t slot) {
  return fmt::format("{}/worker_{}_{}", credentials_folder, job, slot);
}

std::optional<int> lifeline_from_environment() {
  const char* const text = std::getenv(kLifelineVariable);
  int fd = -1;
  if (text == nullptr || !parse(text, fd) || fd < 0) return std::nullopt;
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return std::nullopt;
  return fd;
}

struct HeadWatch::State {
  Descriptor head{};  // Readable once the head is gone; of the watching thread.
  std::string credentials_folder{};
  std::mutex mutex{};
  std::condition_variable changed{};
  // Guarded by mutex.
  std::chrono::seconds patience{0};
  bool is_settled = true;
  bool is_lost = false;
  std::optional<uint16_t> next_port{};
};

HeadWatch::HeadWatch(int lifeline, const std::string& credentials_folder)
    : state_(std::make_shared<State>()) {
  state_->head = Descriptor(lifeline);
  state_->credentials_folder = credentials_folder;
  std::thread([state = state_] { watch(*state); }).detach();
}

void HeadWatch::watch(State& state) {
  std::optional<Clock::time_point> deadline;  // While no head has settled.
  const auto is_over = [&] { return deadline && Clock::now() >= *deadline; };
  while (true) {
    if (state.head.get() >= 0) {
      pollfd polled{state.head.get(), POLLIN, 0};
      const bool is_gone = ::poll(&polled, 1, deadline ? kLookMs : -1) > 0;
      const std::lock_guard lock(state.mutex);
      if (state.is_settled) deadline.reset();
      if (!is_gone) {
        if (is_over()) end_here();
        continue;
      }
      deadline = Clock::now() + state.patience;
      state.head = Descriptor();
      state.is_lost = true;
      state.is_settled = false;
      state.next_port.reset();
      state.changed.notify_all();
    }
    // Without the last head's card nobody is expected any more.
    const std::string path = head_card(state.credentials_folder);
    if (is_over() || ::access(path.c_str(), F_OK) != 0) end_here();
    const auto card = read_card(path);
    uint16_t port = 0;
    if (card && parse(card->word.c_str(), port)) state.head = open_process(*card);
    if (state.head.get() < 0) {
      ::poll(nullptr, 0, kLookMs);
      continue;
    }
    const std::lock_guard lock(state.mutex);
    deadline = Clock::now() + kLeasePatience;
    state.is_lost = false;
    state.next_port = port;
    state.changed.notify_all();
  }
}

void HeadWatch::settle(std::chrono::seconds patience) {
  const std::lock_guard lock(state_->mutex);
  // From a head that is gone.
  if (state_->is_lost || state_->next_port) return;
  state_->patience = patience;
  state_->is_settled = true;
}

std::optional<uint16_t> HeadWatch::next_head() {
  std::unique_lock lock(state_->mutex);
  const auto has_news = [this] { return state_->is_lost || state_->next_port; };
  if (!state_->changed.wait_for(lock, kLossPatience, has_news)) return std::nullopt;
  state_->changed.wait(lock, [this] { return state_->next_port.has_value(); });
  return std::exchange(state_->next_port, std::nullopt);
}

}  // namespace troupe::cluster
