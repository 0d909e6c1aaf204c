#include "actors/controller/job_run.h"

#include <fmt/format.h>

#include <utility>

#include "schemas/overloaded.h"

namespace troupe::actors {
namespace {

constexpr double kSampleSeconds = 0.5;
// Without any answer for so long it is said who waits for whom; then after twice as long.
constexpr double kQuietSeconds = 30;

Lease lease_of(const PreparedJob& prepared) {
  Lease lease;
  lease.job = prepared.job;
  lease.context_max = prepared.context_max;
  lease.trusted_programs = prepared.trusted_programs;
  return lease;
}

WorkerPool::Options pool_options(const PreparedJob& prepared, WorkerPool::Options options) {
  options.takes_newest = prepared.job.schedule.mode == "async";
  return options;
}

}  // namespace

JobRun::JobRun(const PreparedJob& prepared, RunHistory history,
               const std::vector<AttemptRecord>& attempts, Options options, RunPorts& ports,
               MetricsSink& sink)
    : prepared_(prepared),
      ports_(ports),
      sink_(sink),
      pool_(std::move(options.slots), lease_of(prepared), pool_options(prepared, options.pool)),
      controller_(prepared.job, prepared.data, std::move(history),
                  {.job_id = options.job_id, .epoch = options.epoch}, sink),
      survivors_(std::move(options.survivors)) {
  pool_.set_policies_folder(std::move(options.policies_folder));
  pool_.restore_attempts(attempts);
}

void JobRun::start(double now) {
  sampled_at_ = now;
  something_came(now);
  if (const auto point = controller_.start_point()) weights_sha256_ = point->weights_sha256;
  begin_from_point();
  pool_.start(now, std::exchange(survivors_, {}));
  pump(now);
}

void JobRun::worker_started(uint32_t slot, std::string token, uint64_t pid, double now) {
  pool_.started(slot, std::move(token), pid, now);
  pump(now);
}

void JobRun::worker_start_failed(uint32_t slot, const std::string& reason, double now) {
  pool_.start_failed(slot, reason, now);
  pump(now);
}

std::optional<uint64_t> JobRun::worker_hello(const Hello& hello, double now) {
  const auto epoch = pool_.hello(hello, now);
  pump(now);
  return epoch;
}

void JobRun::worker_said(uint32_t slot, uint64_t epoch, uint64_t request_id, FromWorker message,
                         double now) {
  pool_.received(slot, epoch, request_id, std::move(message), now);
  pump(now);
}

void JobRun::worker_ended(const ProcessEnd& end, double now) {
  pool_.ended(end, now);
  pump(now);
}

void JobRun::worker_disconnected(uint32_t slot, uint64_t epoch, double now) {
  pool_.disconnected(slot, epoch, now);
  pump(now);
}

void JobRun::committed(uint64_t ticket, const Status& status, double now) {
  something_came(now);
  if (status) {
    controller_.committed(ticket, now);
  } else {
    controller_.abort(status.error());
  }
  pump(now);
}

void JobRun::round_loaded(Round round, RoundHistory history, double now) {
  controller_.round_loaded(round, std::move(history), now);
  pump(now);
}

void JobRun::place(const std::vector<WorkerPool::Place>& places, double now) {
  if (end_) return;
  pool_.place(places, now);
  pump(now);
}

void JobRun::stop(JobState state, double now) {
  controller_.stop(state, now);
  pump(now);
}

void JobRun::fail(Error error, double now) {
  controller_.fail(std::move(error));
  pump(now);
}

void JobRun::tick(double now) {
  if (end_) return;
  finish_points(now);
  pool_.tick(now);
  pump(now);
  if (now - answered_at_ >= quiet_seconds_ && !end_) {
    sink_.noted(fmt::format("nothing has come for {:.0f} s; the job waits for {} ({})",
                            now - answered_at_, controller_.waits_for(), pool_.who_works(now)));
    quiet_seconds_ *= 2;
  }
  if (now - sampled_at_ >= kSampleSeconds) sample(now);
}

// Until neither side has anything left to say.
void JobRun::pump(double now) {
  if (is_pumping_) return;
  is_pumping_ = true;
  while (true) {
    auto from_pool = pool_.take_commands();
    auto from_controller = controller_.take_commands();
    if (from_pool.empty() && from_controller.empty()) break;
    for (auto& command : from_pool) obey(std::move(command), now);
    for (auto& command : from_controller) obey(std::move(command), now);
  }
  is_pumping_ = false;
}

// What the next learner starts from, and what rollouts go on with.
void JobRun::begin_from_point() {
  const auto point = controller_.start_point();
  if (!point) return;
  pool_.set_point(ports_.point_path(*point), *point);
  for (const PointPolicy& policy : point->policies) {
    if (pool_.has_policy(policy.version)) continue;
    auto path = ports_.take_policy(*point, policy.version);
    if (!path) {
      controller_.fail(path.error());
      return;
    }
    pool_.adopt_policy({policy.version, std::move(*path), policy.weights_sha256});
  }
}

void JobRun::obey(ControllerCommand command, double now) {
  std::visit(
      Overloaded{
          [&](command::Learn& learn) { pool_.learn(learn.step, now); },
          [&](command::Generate& generate) { pool_.generate(std::move(generate.groups), now); },
          [&](command::CancelGeneration&) { pool_.cancel_groups(now); },
          [&](command::CancelEvaluation&) { pool_.cancel_evaluation(now); },
          [&](command::Publish& publish) { pool_.publish(publish.version, now); },
          [&](command::RetirePolicies& retire) { pool_.retire_policies(retire.before); },
          [&](command::Judge& judge) { pool_.judge(std::move(judge.group), now); },
          [&](command::SavePoint& save) {
            pool_.save_point(save.version, ports_.begin_point(save.version), save.policies, now);
          },
          [&](command::Commit& commit) { ports_.commit(commit.ticket, std::move(commit.batch)); },
          [&](command::LoadRound& load) { ports_.load_round(load.round); },
          [&](command::ForgetPoint& forget) { ports_.forget_point(forget.point); },
          [&](command::KeepBest& keep) { ports_.keep_best(keep.point); },
          [&](command::End& end) {
            sample(now);
            end_ = std::move(end);
            if (end_->state == JobState::kPaused) end_->error = pause_reason_;
            pool_.shut_down(now);
          },
      },
      command);
}

void JobRun::obey(PoolCommand command, double now) {
  std::visit(
      Overloaded{
          [&](pool::Start& start) { ports_.start_worker(start.slot); },
          [&](pool::Kill& kill) { ports_.kill_worker(kill.slot, kill.pid); },
          [&](pool::Send& send) { ports_.send(send); },
          [&](pool::LearnerReady& ready) {
            if (!std::exchange(is_announced_, true)) {
              sink_.run_started(prepared_.job, ready.ready.weights_sha256,
                                ready.ready.num_parameters);
              for (const auto& note : prepared_.data.notes) sink_.noted(note);
              if (number(ready.ready.version) > 0) {
                sink_.noted("goes on from version " + std::to_string(number(ready.ready.version)));
              }
            }
            controller_.learner_ready(ready.ready.version, now);
          },
          [&](pool::LearnerLost&) {
            // It is asked for its points again.
            written_.clear();
            controller_.learner_lost();
            begin_from_point();
          },
          [&](pool::WorkerLost&) {
            controller_.worker_lost();
            sample(now);
          },
          [&](pool::GroupRetried& retried) {
            if (retried.purpose == GroupPurpose::kTrain) {
              controller_.group_retried(retried.record, retried.core_seconds);
            }
          },
          [&](pool::GroupAbandoned& abandoned) {
            controller_.group_abandoned(abandoned.id, abandoned.purpose, abandoned.reason, now);
          },
          [&](pool::RemoveFile& remove) { ports_.remove_policy(remove.path); },
          [&](pool::Answer& answered) { answer(std::move(answered.message), now); },
          [&](pool::Note& note) { sink_.noted(note.line); },
          [&](pool::GiveUp& give_up) {
            if (give_up.state == JobState::kFailed) {
              controller_.fail(give_up.error);
            } else {
              sink_.noted(give_up.error.message);
              pause_reason_ = give_up.error;
              controller_.stop(give_up.state, now);
            }
          },
      },
      command);
}

void JobRun::something_came(double now) {
  answered_at_ = now;
  quiet_seconds_ = kQuietSeconds;
}

void JobRun::answer(FromWorker message, double now) {
  something_came(now);
  if (const auto* learned = std::get_if<StepLearned>(&message)) {
    controller_.step_learned(*learned, now);
  } else if (const auto* generated = std::get_if<GroupsGenerated>(&message)) {
    controller_.groups_generated(*generated, now);
  } else if (const auto* judged = std::get_if<GroupsJudged>(&message)) {
    controller_.groups_judged(*judged, now);
  } else if (auto* written = std::get_if<PointWritten>(&message)) {
    written_.push_back(std::move(*written));
    finish_points(now);
  }
}

// A full disk is waited for, while everything else goes on.
void JobRun::finish_points(double now) {
  while (!written_.empty()) {
    const auto point = ports_.finish_point(written_.front());
    if (!point && point.error().code == ErrorCode::kExhausted) {
      if (!std::exchange(waits_for_room_, true)) {
        sink_.noted("waits: " + point.error().message + ", then it goes on by itself");
      }
      return;
    }
    if (std::exchange(waits_for_room_, false)) {
      sink_.noted("goes on: there is room on the disk again");
    }
    const double core_seconds = written_.front().core_seconds;
    written_.pop_front();
    if (!point) {
      controller_.fail(point.error());
      return;
    }
    weights_sha256_ = point->weights_sha256;
    controller_.point_saved(*point, core_seconds, now);
  }
}

void JobRun::sample(double now) {
  sampled_at_ = now;
  RunSample sample = controller_.sample();
  pool_.describe(sample, now);
  if (is_announced_) sink_.sampled(sample);
}

}  // namespace troupe::actors
