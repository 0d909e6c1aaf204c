#include "cluster/monitor/metrics_feed.h"

#include <algorithm>
#include <type_traits>
#include <variant>

#include "schemas/control_codec.h"

namespace troupe::cluster {
namespace {

std::string cut(std::string_view text) {
  return std::string(text.substr(0, MetricsFeed::kTextBytesMax));
}

std::vector<Trace> cut(const std::vector<Trace>& traces) {
  std::vector<Trace> some;
  for (size_t i = 0; i < std::min(traces.size(), MetricsFeed::kTracesMax); ++i) {
    const Trace& trace = traces[i];
    some.push_back({cut(trace.prompt), cut(trace.response), cut(trace.gold), trace.is_solved});
  }
  return some;
}

}  // namespace

std::string feed_topic(uint64_t job) { return "job/" + std::to_string(job) + "/"; }

MetricsFeed::MetricsFeed(uint64_t job, Publish publish, SecondsClock now)
    : job_(job), publish_(std::move(publish)), now_(std::move(now)), began_(now_()) {}

void MetricsFeed::Thinned::add(Kept event) {
  const bool is_kept = added_++ % stride_ == 0;
  newest_.reset();
  if (!is_kept) {
    newest_ = std::move(event);
    return;
  }
  kept_.push_back(std::move(event));
  if (kept_.size() < max_) return;
  // kept_[i] was addition i * stride_, so that the even ones are what the doubled stride keeps.
  for (size_t i = 0; 2 * i < kept_.size(); ++i) {
    if (i > 0) kept_[i] = std::move(kept_[2 * i]);
  }
  if (kept_.size() % 2 == 0) newest_ = std::move(kept_.back());
  kept_.resize((kept_.size() + 1) / 2);
  stride_ *= 2;
}

template <class What>
MetricsFeed::Kept MetricsFeed::tell(What what) {
  uint64_t sequence = 0;
  {
    const std::lock_guard lock(mutex_);
    sequence = next_sequence_++;
  }
  seconds_ = now_() - began_;
  auto bytes = encode(
      RunEvent{.job = job_, .sequence = sequence, .seconds = seconds_, .what = std::move(what)});
  publish_(feed_topic(job_), bytes);
  return {sequence, std::move(bytes)};
}

void MetricsFeed::run_started(const JobSpec& job, std::string_view weights_sha256,
                              int64_t num_parameters) {
  Kept event = tell(RunStarted{job, std::string(weights_sha256), num_parameters});
  const std::lock_guard lock(mutex_);
  started_ = std::move(event);
}

void MetricsFeed::progressed(std::string_view activity, int64_t done, int64_t total) {
  Kept event = tell(Progressed{cut(activity), done, total});
  const std::lock_guard lock(mutex_);
  progress_ = std::move(event);
}

void MetricsFeed::step_committed(const StepMetrics& step) {
  Kept event = tell(step);
  const std::lock_guard lock(mutex_);
  steps_.add(std::move(event));
}

void MetricsFeed::evaluated(const EvalMetrics& evaluation, const std::vector<Trace>& traces) {
  Kept event = tell(Evaluated{evaluation, cut(traces)});
  // What people read is the newest traces; of all others the numbers are enough.
  std::optional<Kept> older;
  if (newest_evaluation_) older = Kept{newest_evaluation_->sequence, encode(*newest_evaluation_)};
  newest_evaluation_ = RunEvent{.job = job_,
                                .sequence = event.sequence,
                                .seconds = seconds_,
                                .what = Evaluated{evaluation, {}}};
  const std::lock_guard lock(mutex_);
  if (older) evaluations_.add(std::move(*older));
  evaluation_ = std::move(event);
}

void MetricsFeed::sampled(const RunSample& sample) {
  Kept event = tell(sample);
  const std::lock_guard lock(mutex_);
  sample_ = std::move(event);
}

void MetricsFeed::noted(std::string_view line) {
  Kept event = tell(Noted{cut(line)});
  const std::lock_guard lock(mutex_);
  notes_.push_back(std::move(event));
  if (notes_.size() > kNotesMax) notes_.pop_front();
}

void MetricsFeed::run_ended(const Ledger& ledger, std::string_view state,
                            std::string_view weights_sha256) {
  Kept event = tell(RunEnded{ledger, cut(state), std::string(weights_sha256)});
  const std::lock_guard lock(mutex_);
  ended_ = std::move(event);
}

std::vector<std::vector<std::byte>> MetricsFeed::history(uint64_t first_sequence,
                                                         uint64_t& next) const {
  const std::lock_guard lock(mutex_);
  std::vector<const Kept*> events;
  const auto add = [&events, first_sequence](const Kept& event) {
    if (event.sequence >= first_sequence) events.push_back(&event);
  };
  for (const auto* one : {&started_, &progress_, &sample_, &evaluation_, &ended_}) {
    if (*one) add(**one);
  }
  steps_.for_each(add);
  evaluations_.for_each(add);
  for (const Kept& event : notes_) add(event);
  std::sort(events.begin(), events.end(),
            [](const Kept* a, const Kept* b) { return a->sequence < b->sequence; });

  std::vector<std::vector<std::byte>> out;
  size_t bytes = 0;
  next = next_sequence_;
  for (const Kept* event : events) {
    bytes += event->bytes.size() + sizeof(uint64_t);
    if (!out.empty() && (bytes > kHistoryBytesMax || out.size() == kControlListMax)) {
      next = event->sequence;
      break;
    }
    out.push_back(event->bytes);
  }
  return out;
}

bool FeedReader::apply(const RunEvent& event) {
  if (std::holds_alternative<RunStarted>(event.what)) {
    const std::pair identity(event.sequence, event.seconds);
    if (started_ == identity) return false;
    restart();
    started_ = identity;
  } else if (event.sequence < next_sequence_) {
    return false;
  }
  next_sequence_ = event.sequence + 1;
  clock_.set(event.seconds);
  std::visit(
      [this](const auto& what) {
        using What = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<What, RunStarted>) {
          view_.run_started(what.job, what.weights_sha256, what.num_parameters);
        } else if constexpr (std::is_same_v<What, Progressed>) {
          view_.progressed(what.activity, what.done, what.total);
        } else if constexpr (std::is_same_v<What, StepMetrics>) {
          view_.step_committed(what);
        } else if constexpr (std::is_same_v<What, Evaluated>) {
          view_.evaluated(what.metrics, what.traces);
        } else if constexpr (std::is_same_v<What, RunSample>) {
          view_.sampled(what);
        } else if constexpr (std::is_same_v<What, Noted>) {
          view_.noted(what.line);
        } else {
          has_ended_ = true;
          view_.run_ended(what.ledger, what.state, what.weights_sha256);
        }
      },
      event.what);
  return true;
}

void FeedReader::restart() {
  next_sequence_ = 1;
  has_ended_ = false;
  started_.reset();
}

}  // namespace troupe::cluster
