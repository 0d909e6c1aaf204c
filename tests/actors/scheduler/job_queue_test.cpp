#include "actors/scheduler/job_queue.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

// Commands as text: "start 1", "stop 1 paused", "2 queued".
std::vector<std::string> said(JobQueue& queue) {
  std::vector<std::string> lines;
  for (const auto& command : queue.take_commands()) {
    if (const auto* start = std::get_if<JobQueue::Start>(&command)) {
      lines.push_back("start " + std::to_string(start->job));
    } else if (const auto* stop = std::get_if<JobQueue::Stop>(&command)) {
      lines.push_back("stop " + std::to_string(stop->job) + " " + name(stop->state));
    } else {
      const auto& changed = std::get<JobQueue::Changed>(command);
      lines.push_back(std::to_string(changed.job) + " " + name(changed.state));
    }
  }
  return lines;
}

using Lines = std::vector<std::string>;

TEST_CASE("job queue: one job runs, the others wait in the order in which they came") {
  JobQueue queue;
  for (uint64_t job : {1, 2, 3}) queue.submit(job);
  CHECK(said(queue) == Lines{"1 running", "start 1"});
  queue.ended(1, JobState::kFinished);
  CHECK(said(queue) == Lines{"1 finished", "2 running", "start 2"});
  queue.ended(2, JobState::kFailed);
  CHECK(said(queue) == Lines{"2 failed", "3 running", "start 3"});
}

TEST_CASE("job queue: a job that waits is paused and cancelled at once, one that runs is stopped") {
  JobQueue queue;
  for (uint64_t job : {1, 2, 3}) queue.submit(job);
  said(queue);
  CHECK(queue.pause(2));
  CHECK(queue.cancel(3));
  CHECK(said(queue) == Lines{"2 paused", "3 cancelled"});
  CHECK(queue.pause(1));
  CHECK(queue.pause(1));
  CHECK(said(queue) == Lines{"stop 1 paused"});
  const Status refused = queue.resume(1);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kInvalidArgument);
  queue.ended(1, JobState::kPaused);
  CHECK(said(queue) == Lines{"1 paused"});
  CHECK(queue.resume(2));
  CHECK(queue.resume(1));
  CHECK(said(queue) == Lines{"2 queued", "2 running", "start 2", "1 queued"});
  for (auto verb : {&JobQueue::pause, &JobQueue::resume}) CHECK_FALSE((queue.*verb)(3));
  CHECK(queue.cancel(3));
}

TEST_CASE("job queue: a cancel that overtakes a pause is kept") {
  JobQueue queue;
  queue.submit(1);
  CHECK(queue.pause(1));
  CHECK(queue.cancel(1));
  CHECK_FALSE(queue.pause(1));
  said(queue);
  queue.ended(1, JobState::kPaused);
  CHECK(queue.state(1) == JobState::kCancelled);
}

TEST_CASE("job queue: what was running when the head went comes first") {
  JobQueue queue;
  queue.restore(1, JobState::kQueued);
  queue.restore(2, JobState::kRunning);
  queue.restore(3, JobState::kPaused);
  queue.restore(4, JobState::kFinished);
  CHECK(said(queue) == Lines{"2 running", "start 2"});
  CHECK(queue.waiting() == std::deque<uint64_t>{1});
  CHECK(queue.state(3) == JobState::kPaused);
}

TEST_CASE(
    "job queue: draining stops what runs, begins nothing and leaves it running in the store") {
  JobQueue queue;
  queue.submit(1);
  queue.submit(2);
  said(queue);
  queue.drain();
  CHECK(said(queue) == Lines{"stop 1 paused"});
  queue.ended(1, JobState::kPaused);
  CHECK(said(queue).empty());
  CHECK(queue.state(1) == JobState::kRunning);
  CHECK(queue.is_idle());
}

}  // namespace
}  // namespace troupe::actors
