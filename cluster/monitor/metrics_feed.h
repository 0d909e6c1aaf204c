// A run's events for people who watch from other processes: numbered, published as they come, and
// remembered in bounded memory for those who come late. And the way back: events into a view.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/metrics_sink.h"
#include "cluster/monitor/run_state.h"
#include "schemas/control.h"

namespace troupe::cluster {

// Under which the events of a job are published. It ends with a slash because topics are matched by
// their beginning: job 1 is not job 12.
std::string feed_topic(uint64_t job);

class MetricsFeed : public actors::MetricsSink {
 public:
  static constexpr size_t kStepsMax = 2'000;
  static constexpr size_t kEvaluationsMax = 2'000;
  static constexpr size_t kNotesMax = 64;
  static constexpr size_t kTracesMax = 8;              // Of an evaluation.
  static constexpr size_t kTextBytesMax = 16 << 10;    // Of a part of a trace or of a note.
  static constexpr size_t kHistoryBytesMax = 3 << 20;  // Of one answer; kControlBytesMax holds it.

  using Publish = std::function<void(std::string topic, std::vector<std::byte> event)>;

  // `now` counts from any moment; events carry the seconds since the feed was made.
  MetricsFeed(uint64_t job, Publish publish, SecondsClock now = monotonic_seconds);

  // From one thread.
  void run_started(const JobSpec& job, std::string_view weights_sha256,
                   int64_t num_parameters) override;
  void progressed(std::string_view activity, int64_t done, int64_t total) override;
  void step_committed(const StepMetrics& step) override;
  void evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& traces) override;
  void sampled(const RunSample& sample) override;
  void noted(std::string_view line) override;
  void run_ended(const Ledger& ledger, std::string_view state,
                 std::string_view weights_sha256) override;

  // From any thread: what is remembered from `first_sequence` on, in order, as much as fits one
  // answer. `next` is where to go on; nothing is returned when that is where one began.
  std::vector<std::vector<std::byte>> history(uint64_t first_sequence, uint64_t& next) const;

 private:
  struct Kept {
    uint64_t sequence = 0;
    std::vector<std::byte> bytes{};
  };
  // A list of bounded length: once it is full, every second of its events is let go, and from then
  // on every second of those that come, and so on. The first and the newest are always there.
  class Thinned {
   public:
    explicit Thinned(size_t max) : max_(max) {}
    void add(Kept event);
    template <class Use>
    void for_each(Use use) const {
      for (const Kept& event : kept_) use(event);
      if (newest_) use(*newest_);
    }

   private:
    size_t max_;
    uint64_t stride_ = 1;
    uint64_t added_ = 0;
    std::deque<Kept> kept_{};
    std::optional<Kept> newest_{};  // When it is none of kept_.
  };

  // Numbers and publishes an event; what is returned is to be remembered.
  template <class What>
  Kept tell(What what);

  const uint64_t job_;
  const Publish publish_;
  const SecondsClock now_;
  const double began_;
  double seconds_ = 0;
  std::optional<RunEvent> newest_evaluation_{};  // The only one that keeps its traces.

  mutable std::mutex mutex_{};  // Of all below.
  uint64_t next_sequence_ = 1;
  std::optional<Kept> started_{}, progress_{}, sample_{}, evaluation_{}, ended_{};
  Thinned steps_{kStepsMax};
  Thinned evaluations_{kEvaluationsMax};
  std::deque<Kept> notes_{};
};

// The daemon's clock as far as its events tell it, going on by ours in between.
class FeedClock {
 public:
  explicit FeedClock(SecondsClock now = monotonic_seconds) : now_(std::move(now)) {}

  void set(double seconds) {
    seconds_ = seconds;
    set_at_ = now_();
  }
  double now() const { return set_at_ ? seconds_ + (now_() - *set_at_) : 0.0; }

 private:
  SecondsClock now_;
  double seconds_ = 0;
  std::optional<double> set_at_{};
};

// Tells events to a view, each once and in order, however history and feed overlap.
class FeedReader {
 public:
  // Both outlive it.
  FeedReader(FeedClock& clock, actors::MetricsSink& view) : clock_(clock), view_(view) {}

  // False when the event is none that follows. A RunStarted other than the one seen begins anew:
  // another run of the daemon numbers its events from 1.
  bool apply(const RunEvent& event);
  uint64_t next_sequence() const { return next_sequence_; }
  bool has_ended() const { return has_ended_; }

  // The daemon numbers anew: what it says next is new, whatever its number.
  void restart();

 private:
  FeedClock& clock_;
  actors::MetricsSink& view_;
  uint64_t next_sequence_ = 1;
  bool has_ended_ = false;
  std::optional<std::pair<uint64_t, double>> started_{};  // Sequence and seconds.
};

}  // namespace troupe::cluster
