#include "cluster/nodes/host_examiner.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "cluster/nodes/clock_estimate.h"

namespace troupe::cluster {
namespace {

constexpr std::chrono::seconds kPatience{10};  // Of one answer.
constexpr int kShortQuestions = 12;
constexpr int kLongQuestions = 3;  // In each direction.

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Bytes that no layer below can make shorter.
std::vector<std::byte> payload(size_t size) {
  std::vector<std::byte> bytes(size);
  uint64_t state = 0x9e3779b97f4a7c15;
  for (std::byte& one : bytes) {
    state = state * 6364136223846793005 + 1442695040888963407;
    one = static_cast<std::byte>(state >> 56);
  }
  return bytes;
}

}  // namespace

void HostExaminer::answered(const std::string& node, NodeExamined answer) {
  const int64_t heard_ns = now_ns();
  const auto heard = Clock::now().time_since_epoch();
  const std::lock_guard lock(mutex_);
  if (node != asked_node_ || answer.request_id != last_request_ || answer_) return;
  answer_ = Answer{.said = std::move(answer),
                   .heard_ns = heard_ns,
                   .seconds = std::chrono::duration<double>(heard).count()};
  changed_.notify_all();
}

void HostExaminer::close() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  changed_.notify_all();
}

std::optional<HostExaminer::Answer> HostExaminer::ask(const std::string& node,
                                                      ExamineNode question) {
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return std::nullopt;
    question.request_id = ++last_request_;
    asked_node_ = node;
    answer_.reset();
  }
  const int64_t asked_ns = now_ns();
  const double asked = std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
  ask_(node, std::move(question));
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience, [this] { return answer_ || is_closed_; });
  std::optional<Answer> answer = std::exchange(answer_, std::nullopt);
  asked_node_.clear();
  if (!answer) return std::nullopt;
  answer->asked_ns = asked_ns;
  answer->seconds -= asked;
  return answer;
}

void HostExaminer::examine(const std::string& node, HostReport& report) {
  const auto no_answer = [&](const char* to_what) {
    report.failure = fmt::format("no answer {} within {} s", to_what, kPatience.count());
  };
  std::vector<ClockExchange> exchanges;
  double shortest = 0;
  for (int i = 0; i < kShortQuestions; ++i) {
    auto answer = ask(node, {});
    if (!answer) return no_answer("to a short question");
    exchanges.push_back({.asked_ns = answer->asked_ns,
                         .answered_ns = answer->said.reading.clock_ns,
                         .heard_ns = answer->heard_ns});
    shortest = i == 0 ? answer->seconds : std::min(shortest, answer->seconds);
    report.reading = std::move(answer->said.reading);
  }
  const ClockEstimate clock = estimate_clock(exchanges);
  report.clock_ahead_seconds = clock.ahead_seconds;
  report.clock_uncertainty_seconds = clock.uncertainty_seconds;
  report.round_trip_seconds = shortest;

  // What remains of the time without a short question's is the bytes'. The best of a few, because
  // a line that jobs use as well is no worse for it.
  constexpr double kSecondsMin = 1e-6;
  const std::vector<std::byte> bytes = payload(kExamBytesMax);
  for (int i = 0; i < kLongQuestions; ++i) {
    const auto there = ask(node, {.payload = bytes});
    if (!there) return no_answer("to 4 MiB");
    const auto back = ask(node, {.reply_bytes = kExamBytesMax});
    if (!back || back->said.payload.size() != kExamBytesMax) return no_answer("of 4 MiB");
    const auto rate = [&](double seconds) {
      return static_cast<double>(kExamBytesMax) / std::max(seconds - shortest, kSecondsMin);
    };
    report.bytes_per_second_there = std::max(report.bytes_per_second_there, rate(there->seconds));
    report.bytes_per_second_back = std::max(report.bytes_per_second_back, rate(back->seconds));
  }

  const auto computed = ask(node, {.computes = true});
  if (!computed) return no_answer("from a core that computes");
  report.reading.flops_per_core = computed->said.reading.flops_per_core;
}

}  // namespace troupe::cluster
