#include "actors/scheduler/job_queue.h"

#include <fmt/format.h>

#include <algorithm>

#include "schemas/check.h"

namespace troupe::actors {
namespace {

Error refused(uint64_t job, const char* verb, JobState state) {
  return invalid_argument(fmt::format("job {} cannot be {}: it is {}", job, verb, name(state)));
}

}  // namespace

void JobQueue::restore(uint64_t job, JobState state) {
  states_[job] = state;
  if (state == JobState::kRunning) {
    states_[job] = JobState::kQueued;
    waiting_.push_front(job);
  } else if (state == JobState::kQueued) {
    waiting_.push_back(job);
  }
}

void JobQueue::submit(uint64_t job) {
  TROUPE_CHECK(!has(job));
  states_[job] = JobState::kQueued;
  waiting_.push_back(job);
  start_next();
}

void JobQueue::set(uint64_t job, JobState state) {
  states_[job] = state;
  commands_.push_back(Changed{job, state});
}

void JobQueue::start_next() {
  if (running_ != 0 || waiting_.empty() || is_draining_) return;
  running_ = waiting_.front();
  waiting_.pop_front();
  stopping_ = JobState::kRunning;
  set(running_, JobState::kRunning);
  commands_.push_back(Start{running_});
}

Status JobQueue::cancel(uint64_t job) {
  const JobState now = state(job);
  if (now == JobState::kCancelled) return ok();
  if (is_terminal(now)) return refused(job, "cancelled", now);
  if (job == running_) {
    if (stopping_ != JobState::kCancelled) commands_.push_back(Stop{job, JobState::kCancelled});
    stopping_ = JobState::kCancelled;
    return ok();
  }
  std::erase(waiting_, job);
  set(job, JobState::kCancelled);
  return ok();
}

Status JobQueue::pause(uint64_t job) {
  const JobState now = state(job);
  if (now == JobState::kPaused) return ok();
  if (is_terminal(now)) return refused(job, "paused", now);
  if (job == running_) {
    if (stopping_ == JobState::kCancelled) return refused(job, "paused", JobState::kCancelled);
    if (stopping_ != JobState::kPaused) commands_.push_back(Stop{job, JobState::kPaused});
    stopping_ = JobState::kPaused;
    return ok();
  }
  std::erase(waiting_, job);
  set(job, JobState::kPaused);
  return ok();
}

Status JobQueue::resume(uint64_t job) {
  const JobState now = state(job);
  // A failed job may have lacked something that is there now.
  if (is_terminal(now) && now != JobState::kFailed) return refused(job, "resumed", now);
  if (now == JobState::kQueued || (now == JobState::kRunning && job != running_)) return ok();
  if (job == running_) {
    if (stopping_ == JobState::kRunning) return ok();
    return invalid_argument(fmt::format("job {} is still stopping; ask again when it has", job));
  }
  set(job, JobState::kQueued);
  waiting_.push_back(job);
  start_next();
  return ok();
}

void JobQueue::ended(uint64_t job, JobState state) {
  TROUPE_CHECK(job == running_);
  running_ = 0;
  // It was asked to pause first, and the cancel came before it had.
  if (state == JobState::kPaused && stopping_ == JobState::kCancelled) state = stopping_;
  // Draining is no wish of the user's: the job goes on with the next head.
  if (is_draining_ && state == JobState::kPaused && stopping_ == JobState::kRunning) return;
  set(job, state);
  start_next();
}

void JobQueue::drain() {
  if (is_draining_) return;
  is_draining_ = true;
  if (running_ != 0 && stopping_ == JobState::kRunning) {
    commands_.push_back(Stop{running_, JobState::kPaused});
  }
}

JobState JobQueue::state(uint64_t job) const {
  const auto found = states_.find(job);
  TROUPE_CHECK(found != states_.end());
  return found->second;
}

std::vector<JobQueue::Command> JobQueue::take_commands() {
  start_next();
  return std::exchange(commands_, {});
}

}  // namespace troupe::actors
