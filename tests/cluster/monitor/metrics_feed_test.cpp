#include "cluster/monitor/metrics_feed.h"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "schemas/control_codec.h"
#include "tests/support/recording_sink.h"

namespace troupe::cluster {
namespace {

struct Published {
  std::vector<std::vector<std::byte>> events{};
  std::vector<std::string> topics{};
  double now = 0;
  MetricsFeed feed{7,
                   [this](std::string topic, std::vector<std::byte> event) {
                     topics.push_back(std::move(topic));
                     events.push_back(std::move(event));
                   },
                   [this] { return now; }};
};

RunEvent decoded(const std::vector<std::byte>& bytes) {
  auto event = decode_run_event(bytes);
  REQUIRE(event);
  return *event;
}

StepMetrics step(int64_t number) {
  return {.stage = Stage::kGrpo,
          .version = PolicyVersion{static_cast<uint64_t>(number)},
          .stage_step = number,
          .stage_steps = 100'000};
}

void tell_a_run(actors::MetricsSink& feed, int64_t steps) {
  JobSpec job;
  job.name = "told";
  feed.run_started(job, "abc", 42);
  for (int64_t i = 1; i <= steps; ++i) {
    feed.progressed("generating", i % 4, 4);
    feed.step_committed(step(i));
    if (i % 10 == 0) {
      feed.evaluated({.version = PolicyVersion{static_cast<uint64_t>(i)}, .problems = 10},
                     {{"prompt", std::string(1000, 'x'), "gold", true}});
      feed.noted("note " + std::to_string(i));
    }
    RunSample sample;
    sample.groups_waiting = i;
    feed.sampled(sample);
  }
  feed.run_ended({.tokens_generated = 5}, "done", "fff");
}

std::vector<RunEvent> whole_history(const MetricsFeed& feed, uint64_t first = 0) {
  std::vector<RunEvent> events;
  for (uint64_t next = 0;; first = next) {
    const auto part = feed.history(first, next);
    for (const auto& bytes : part) events.push_back(decoded(bytes));
    if (part.empty()) return events;
  }
}

TEST_CASE("metrics_feed: every call is numbered, timed and published under its job") {
  Published out;
  out.now = 12;
  out.feed.run_started({}, "abc", 42);
  out.now = 13.5;
  out.feed.noted("hello");
  REQUIRE(out.events.size() == 2);
  CHECK(out.topics[1] == "job/7/");
  const RunEvent event = decoded(out.events[1]);
  CHECK(event.job == 7);
  CHECK(event.sequence == 2);
  CHECK(event.seconds == 13.5);
  CHECK(std::get<Noted>(event.what).line == "hello");
}

TEST_CASE("metrics_feed: whoever comes late gets all that is still remembered, in order") {
  Published out;
  tell_a_run(out.feed, 100);
  tests::RecordingSink told;
  tell_a_run(told, 100);
  tests::RecordingSink seen;
  FeedClock clock;
  FeedReader reader(clock, seen);
  for (const RunEvent& event : whole_history(out.feed)) CHECK(reader.apply(event));
  CHECK(seen.events == told.events);
  CHECK(seen.steps.size() == 100);
  CHECK(seen.evaluations.size() == 10);
  CHECK(seen.traces.size() == 1);  // Of the newest evaluation.
  CHECK(seen.notes == told.notes);
  REQUIRE(seen.samples.size() == 1);
  CHECK(seen.samples[0].groups_waiting == 100);
  CHECK(reader.has_ended());
  CHECK(reader.next_sequence() == decoded(out.events.back()).sequence + 1);
}

TEST_CASE("metrics_feed: a long run takes bounded memory and keeps its beginning and its end") {
  Published out;
  tell_a_run(out.feed, 20'000);
  const auto events = whole_history(out.feed);
  std::vector<int64_t> steps;
  size_t evaluations = 0;
  size_t notes = 0;
  uint64_t last = 0;
  for (const RunEvent& event : events) {
    CHECK(event.sequence > last);
    last = event.sequence;
    if (const auto* metrics = std::get_if<StepMetrics>(&event.what)) {
      steps.push_back(metrics->stage_step);
    }
    evaluations += std::holds_alternative<Evaluated>(event.what);
    notes += std::holds_alternative<Noted>(event.what);
  }
  CHECK(steps.size() <= MetricsFeed::kStepsMax + 1);
  CHECK(steps.size() > MetricsFeed::kStepsMax / 2);
  CHECK(steps.front() == 1);
  CHECK(steps.back() == 20'000);
  // Evenly thinned: the distance between neighbours is the same up to the newest.
  for (size_t i = 2; i + 1 < steps.size(); ++i) {
    CHECK(steps[i] - steps[i - 1] == steps[1] - steps[0]);
  }
  CHECK(evaluations >= MetricsFeed::kEvaluationsMax / 2);
  CHECK(notes == MetricsFeed::kNotesMax);
}

TEST_CASE("metrics_feed: an answer is bounded in bytes and says where to go on") {
  Published out;
  tell_a_run(out.feed, 1'000);
  // Large notes, so that one answer cannot hold all.
  for (size_t i = 0; i < MetricsFeed::kNotesMax; ++i) {
    out.feed.noted(std::string(MetricsFeed::kTextBytesMax + 100, 'n'));
  }
  for (int i = 0; i < 100; ++i) {
    out.feed.evaluated({}, std::vector<Trace>(20, {std::string(100'000, 'p'), "r", "g", false}));
  }
  uint64_t first = 0;
  size_t events = 0;
  for (uint64_t next = 0;; first = next) {
    const auto part = out.feed.history(first, next);
    size_t bytes = 0;
    for (const auto& event : part) bytes += event.size();
    CHECK(bytes <= MetricsFeed::kHistoryBytesMax);
    events += part.size();
    if (part.empty()) break;
    CHECK(next > first);
  }
  CHECK(events == whole_history(out.feed).size());
}

TEST_CASE("metrics_feed: history may be asked from another thread while the run goes on") {
  Published out;
  std::thread watcher([&out] {
    uint64_t first = 0;
    for (int i = 0; i < 200; ++i) {
      uint64_t next = 0;
      for (const auto& bytes : out.feed.history(first, next)) {
        if (!decode_run_event(bytes)) std::abort();
      }
      first = i % 10 == 0 ? 0 : next;
    }
  });
  tell_a_run(out.feed, 3'000);
  watcher.join();
  CHECK(whole_history(out.feed).size() > 1'000);
}

TEST_CASE("feed_reader: duplicates and older events are told once, whatever the overlap") {
  Published out;
  tell_a_run(out.feed, 50);
  tests::RecordingSink told;
  tell_a_run(told, 50);
  tests::RecordingSink seen;
  FeedClock clock;
  FeedReader reader(clock, seen);
  // The feed of the first half, the history, and the whole feed again.
  for (size_t i = 0; i < out.events.size() / 2; ++i) reader.apply(decoded(out.events[i]));
  for (const RunEvent& event : whole_history(out.feed)) reader.apply(event);
  for (const auto& bytes : out.events) CHECK_FALSE(reader.apply(decoded(bytes)));
  CHECK(seen.events == told.events);
  CHECK(seen.notes == told.notes);
}

TEST_CASE("feed_reader: another run of the daemon begins anew") {
  Published before;
  tell_a_run(before.feed, 50);
  Published after;
  after.now = 101;
  tests::RecordingSink seen;
  FeedClock clock;
  FeedReader reader(clock, seen);
  for (const auto& bytes : before.events) reader.apply(decoded(bytes));
  CHECK(reader.has_ended());
  after.feed.run_started({}, "abc", 42);
  after.feed.noted("resumed");
  for (const auto& bytes : after.events) CHECK(reader.apply(decoded(bytes)));
  CHECK_FALSE(reader.has_ended());
  CHECK(seen.notes.back() == "resumed");
}

TEST_CASE("feed_clock: follows the daemon's and goes on between its events") {
  double now = 1000;
  FeedClock clock([&now] { return now; });
  CHECK(clock.now() == 0);
  clock.set(50);
  now += 2;
  CHECK(clock.now() == 52);
  clock.set(51);
  CHECK(clock.now() == 51);
}

}  // namespace
}  // namespace troupe::cluster
