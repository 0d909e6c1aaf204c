#include "actors/scheduler/scheduler_actor.h"

#include <fmt/format.h>

#include <chrono>
#include <iterator>

#include "actors/job/checkpoints.h"
#include "actors/scheduler/hub.h"
#include "kernels/device_backend.h"
#include "model/formats/file.h"
#include "model/formats/recovery_point.h"
#include "schemas/monotonic_clock.h"
#include "schemas/overloaded.h"
#include "schemas/records_codec.h"

namespace troupe::actors {
namespace {

constexpr auto kPrepareAgain = std::chrono::seconds(2);  // After the disk was found full.
constexpr auto kTickPeriod = std::chrono::seconds(1);
// So long jobs that were running are not begun elsewhere than on the hosts where they were.
constexpr double kHostsPatience = 10;

ControlReply failed(Error error) {
  ControlReply reply;
  reply.error = std::move(error);
  return reply;
}

Error not_accepted(Error error) {
  error.message = "the job is not accepted: " + error.message;
  if (error.code == ErrorCode::kExhausted) error.message += ", then submit it again";
  return error;
}

Error no_such_job(uint64_t id) {
  return invalid_argument(fmt::format("there is no job {}; troupe jobs lists them", id));
}

Error not_of_a_job() { return invalid_argument("the scheduler is asked about jobs only"); }

// A job stays on the device that it began on. For a new one "auto" is what it comes to at the head,
// by which its arithmetic is chosen, too.
JobNeed need_on(const HeadContext& head, const JobRecord& record) {
  if (record.spec.resources.device != "auto") return need_of(record.spec);
  if (!record.arithmetic_id.empty()) {
    return need_of(record.spec, kernels::device_of(record.arithmetic_id) == "cuda");
  }
  const auto device = kernels::device_backend(record.spec.resources.device, *head.backend);
  return need_of(record.spec, device && device->backend != head.backend);
}

// Reading data and verifying recovery points takes as long as it takes, away from the scheduler.
Result<std::shared_ptr<RunSetup>> prepare(const HeadContext& head, JobRecord record,
                                          uint64_t epoch) {
  auto job = head.with_paths(record);
  if (!job) return job.error();
  auto device = kernels::device_backend(job->resources.device, *head.backend);
  if (!device) return invalid_argument("resources.device: " + device.error().message);
  auto prepared = prepare_job(*device->backend, *job, head.trusted_programs);
  if (!prepared) return prepared.error();
  if (!record.data_sha256.empty() && record.data_sha256 != prepared->data_sha256) {
    return invalid_argument(
        "the files that the job learns from are not those that it began with; put them back, or "
        "begin a new job");
  }
  if (!record.arithmetic_id.empty() && record.arithmetic_id != device->backend->arithmetic_id) {
    return invalid_argument(fmt::format("the job was begun with arithmetic {}, this machine has {}",
                                        record.arithmetic_id, device->backend->arithmetic_id));
  }
  record.data_sha256 = prepared->data_sha256;
  record.arithmetic_id = device->backend->arithmetic_id;
  const std::string checkpoints_folder = record.home + "/checkpoints";
  if (Status status = model::create_folders(checkpoints_folder); !status) return status.error();
  const Checkpoints checkpoints(record.home, epoch);
  std::vector<std::string> notes;
  if (!device->note.empty()) notes.push_back(device->note);
  const auto verify = [&](const PointRecord& point) {
    const std::string path = checkpoints.path(point);
    const Status whole = model::verify_recovery_point(path, point);
    if (whole) return whole;
    const auto hosts = head.host->bring_back(record.id, record.home, path);
    if (!hosts || !model::verify_recovery_point(path, point)) return whole;
    notes.push_back(fmt::format("recovery point {} came back from {}, because here {}",
                                point.folder, *hosts, whole.error().message));
    return ok();
  };
  auto history = load_history(head.store->store(), record.id, record.spec, verify);
  if (!history) return history.error();
  std::move(notes.begin(), notes.end(), std::back_inserter(history->notes));
  auto setup = std::make_shared<RunSetup>();
  setup->head = &head;
  setup->epoch = epoch;
  setup->prepared = std::move(*prepared);
  setup->sink = head.make_sink(record, history->reported);
  setup->history = std::move(*history);
  setup->record = std::move(record);
  return setup;
}

}  // namespace

void SchedulerState::begin(SchedulerActor::pointer self, SchedulerActor address,
                           const HeadContext* head, caf::actor hub, std::vector<KnownJob> jobs) {
  self_ = self;
  address_ = std::move(address);
  head_ = head;
  hub_ = std::move(hub);
  queue_.emplace(ClusterQueue::Options{});
  queue_->hold_until(monotonic_seconds() + kHostsPatience);
  queue_->host_up(head->own_host, head->own_slots, !head->may_be_joined,
                  head->own_slots_are_gpus ? SlotKind::kGpus : SlotKind::kCores);
  for (KnownJob& known : jobs) {
    const JobRecord& record = known.record;
    queue_->restore(record.id, need_on(*head, record), record.state, record.nodes);
    by_request_[{record.owner, record.request_id}] = record.id;
    Job& job = jobs_[record.id];
    job.epoch = known.epoch;
    job.record = std::move(known.record);
  }
  tick();
}

void SchedulerState::tick() {
  obey_queue();
  self_->delayed_send(self_, kTickPeriod, caf::tick_atom_v);
}

void SchedulerState::ask(const Ask& ask) {
  const auto find = [&](uint64_t id, auto found) {
    const auto job = jobs_.find(id);
    if (job == jobs_.end() || !ask.asker.may_see(job->second.record.owner)) {
      ask.answer(failed(no_such_job(id)));
    } else {
      found(job->second);
    }
  };
  const auto show = [&](const Job& job) {
    ControlReply reply;
    reply.jobs.push_back(summary(job));
    ask.answer(std::move(reply));
  };
  const auto change_one = [&](uint64_t id, Verb verb) {
    find(id, [&](const Job&) { change(id, verb, ask.answer); });
  };
  std::visit(
      Overloaded{
          [&](const SubmitJob& one) { submit(one, ask.asker, ask.answer); },
          [&](const ListJobs& list) {
            ControlReply reply;
            for (auto job = jobs_.lower_bound(list.first_id); job != jobs_.end(); ++job) {
              if (!ask.asker.may_see(job->second.record.owner)) continue;
              if (reply.jobs.size() == kControlListMax) {
                reply.next = job->first;
                break;
              }
              reply.jobs.push_back(summary(job->second));
            }
            ask.answer(std::move(reply));
          },
          [&](const ShowJob& one) { find(one.id, show); },
          // Lines and events are somebody else's; what there is of the job is told.
          [&](const JobLogs& one) { find(one.id, show); },
          [&](const WatchJob& one) { find(one.id, show); },
          [&](const CancelJob& one) { change_one(one.id, &ClusterQueue::cancel); },
          [&](const PauseJob& one) { change_one(one.id, &ClusterQueue::pause); },
          [&](const ResumeJob& one) { change_one(one.id, &ClusterQueue::resume); },
          [&](const WhyJob& one) {
            find(one.id, [&](const Job& job) {
              ControlReply reply;
              reply.lines.push_back(why(job));
              ask.answer(std::move(reply));
            });
          },
          [&](const ListHosts&) { ask.answer(hosts_for(ask.asker, "")); },
          [&](const DrainHost& one) { change_host(ask, one.host, &ClusterQueue::drain_host); },
          [&](const UndrainHost& one) { change_host(ask, one.host, &ClusterQueue::undrain_host); },
          // The daemon's own.
          [&](const ShowServer&) { ask.answer(failed(not_of_a_job())); },
          [&](const FollowJob&) { ask.answer(failed(not_of_a_job())); },
          [&](const OfferContent&) { ask.answer(failed(not_of_a_job())); },
          [&](const SendContent&) { ask.answer(failed(not_of_a_job())); },
          [&](const ExamineHost&) { ask.answer(failed(not_of_a_job())); },
      },
      ask.request);
}

void SchedulerState::change_host(const Ask& ask, const std::string& host,
                                 Status (ClusterQueue::*verb)(const std::string&)) {
  if (!ask.asker.is_operator) {
    ask.answer(failed(invalid_argument("only operators drain hosts; ask one")));
    return;
  }
  if (Status status = ((*queue_).*verb)(host); !status) {
    ask.answer(failed(status.error()));
    return;
  }
  obey_queue();
  ask.answer(hosts_for(ask.asker, host));
}

// All hosts, or one.
ControlReply SchedulerState::hosts_for(const Asker& asker, const std::string& only) const {
  ControlReply reply;
  for (const ClusterQueue::HostView& host : queue_->hosts(monotonic_seconds())) {
    if (!only.empty() && host.name != only) continue;
    HostSummary summary{.name = host.name,
                        .state = actors::name(host.state),
                        .away_seconds = host.away_seconds,
                        .slots = host.slots,
                        .used = host.used,
                        .lent = host.lent,
                        .is_elastic = host.is_elastic};
    for (const auto& [job, slots] : host.tenants) {
      const JobRecord& record = jobs_.at(job).record;
      if (!asker.may_see(record.owner)) continue;
      const SlotCounts counts = need_of(record.spec).slots;
      HostTenant tenant{.job = job};
      for (const uint32_t slot : slots) {
        const bool is_lent = slot >= counts.first_lent();
        const bool is_verifier = slot >= counts.required && !is_lent;
        ++(slot < counts.learner ? tenant.learner : is_verifier ? tenant.verifier : tenant.rollout);
        tenant.lent += is_lent ? 1 : 0;
      }
      summary.tenants.push_back(tenant);
    }
    reply.hosts.push_back(std::move(summary));
  }
  return reply;
}

std::string SchedulerState::why(const Job& job) const {
  const uint64_t id = job.record.id;
  std::string text = "it is being accepted";
  if (queue_->has(id)) text = queue_->why(id, monotonic_seconds());
  return fmt::format("job {} {}{}{}", id, text, job.record.message.empty() ? "" : "; ",
                     job.record.message);
}

void SchedulerState::submit(const SubmitJob& submit, const Asker& asker,
                            std::function<void(ControlReply)> answer) {
  const std::pair request(asker.name, submit.request_id);
  if (const auto known = by_request_.find(request); known != by_request_.end()) {
    // Acknowledged only once the first one is durable.
    for (Writing& writing : writing_) {
      if (writing.job != known->second) continue;
      writing.answers.push_back(std::move(answer));
      return;
    }
    ControlReply reply;
    reply.jobs.push_back(summary(jobs_.at(known->second)));
    answer(std::move(reply));
    return;
  }
  if (drained_) {
    answer(failed({ErrorCode::kOverloaded, "the daemon is about to stop; submit again later"}));
    return;
  }
  const uint64_t id = jobs_.empty() ? 1 : jobs_.rbegin()->first + 1;
  Job& job = jobs_[id];
  job.record = {.id = id,
                .request_id = submit.request_id,
                .spec = submit.job,
                .home = head_->home_of(id),
                .owner = asker.name,
                .is_confined = !asker.is_operator};
  by_request_[request] = id;
  // It is queued once it is durable: what was not acknowledged does not run.
  write(id, std::move(answer), WhenFull::kRefuse);
}

void SchedulerState::change(uint64_t id, Verb verb, std::function<void(ControlReply)> answer) {
  const auto job = jobs_.find(id);
  if (!queue_->has(id)) {
    answer(
        failed({ErrorCode::kOverloaded, fmt::format("job {} is being accepted; ask again", id)}));
    return;
  }
  // Nothing is changed that cannot be recorded.
  if (const auto full = head_->store->waits_for()) {
    answer(failed(*full));
    return;
  }
  if (Status status = ((*queue_).*verb)(id); !status) {
    answer(failed(status.error()));
    return;
  }
  obey_queue();
  if (const auto running = running_.find(id); running != running_.end()) {
    if (verb == &ClusterQueue::pause) job->second.wish = JobState::kPaused;
    if (verb == &ClusterQueue::cancel) job->second.wish = JobState::kCancelled;
    if (running->second.is_beginning) {
      // The epoch that its record was written with is over.
      running->second.begin_answers.push_back(std::move(answer));
      return;
    }
  }
  // A running job changes when its step is done; what is asked for is known by then.
  write(id, std::move(answer));
}

// Records the job as it is now.
void SchedulerState::write(uint64_t id, std::function<void(ControlReply)> answer,
                           WhenFull when_full) {
  Job& job = jobs_.at(id);
  writing_.push_back({id, job.record, {}});
  JobRecord record = job.record;
  record.state = job.wish.value_or(record.state);
  if (answer) writing_.back().answers.push_back(std::move(answer));
  Batch batch;
  batch.job = id;
  batch.epoch = job.epoch;
  batch.writes.push_back({{id, RecordKind::kJob, 0, 0}, encode(record)});
  const Status taken = head_->store->submit(
      std::move(batch),
      [address = address_, id](Status status) {
        caf::anon_send(address, JobRecorded{id, std::move(status)});
      },
      when_full);
  if (!taken) self_->send(address_, JobRecorded{id, taken, false});
}

void SchedulerState::recorded(const JobRecorded& recorded) {
  const auto writing = std::find_if(writing_.begin(), writing_.end(),
                                    [&](const Writing& one) { return one.job == recorded.job; });
  if (writing == writing_.end()) return;
  const Writing done = std::move(*writing);
  writing_.erase(writing);
  const bool is_new = !queue_->has(done.job);
  for (const auto& answer : done.answers) {
    if (recorded.status) {
      ControlReply reply;
      reply.jobs.push_back(summary(jobs_.at(done.job)));
      answer(std::move(reply));
    } else {
      answer(failed(is_new ? not_accepted(recorded.status.error()) : recorded.status.error()));
    }
  }
  if (recorded.status) {
    head_->job_changed(done.record);
  } else if (is_terminal(done.record.state) || done.record.state == JobState::kPaused) {
    // It has ended all the same, and whoever waits for it is told why that is not written down. The
    // next head goes on from what is.
    JobRecord lost = done.record;
    lost.state = JobState::kFailed;
    lost.message = fmt::format("it ended as {}, which cannot be recorded: {}{}{}",
                               troupe::name(done.record.state), recorded.status.error().message,
                               done.record.message.empty() ? "" : "; ", done.record.message);
    head_->job_changed(lost);
  }
  if (is_new && recorded.status) {
    queue_->submit(done.job, need_on(*head_, done.record));
    obey_queue();
  } else if (is_new) {
    by_request_.erase({done.record.owner, done.record.request_id});
    jobs_.erase(done.job);
    if (recorded.was_tried) make_forgotten(done.job);
  }
  finish_draining();
}

// The record of a refused job may be in the store all the same, like anything whose commit failed,
// and would run with the next head.
void SchedulerState::make_forgotten(uint64_t refused) {
  Batch batch;
  batch.job = refused;
  batch.erases.push_back({RecordKind::kJob, 0, 1});
  // In the store's order it comes before the next job of this id. Nobody waits for it.
  (void)head_->store->submit(std::move(batch), [](const Status&) {});
}

void SchedulerState::obey_queue() {
  for (const ClusterQueue::Command& command : queue_->decide(monotonic_seconds())) {
    std::visit([this](const auto& one) { obey(one); }, command);
  }
}

void SchedulerState::obey(const ClusterQueue::Start& start) {
  running_[start.job] = {.nodes = start.nodes};
  head_->store->begin_epoch(start.job,
                            [address = address_, id = start.job](Result<uint64_t> epoch) {
                              caf::anon_send(address, EpochBegun{id, std::move(epoch)});
                            });
}

void SchedulerState::obey(const ClusterQueue::Resize& resize) {
  Running& running = running_.at(resize.job);
  running.nodes = resize.nodes;
  if (running.run) {
    caf::anon_send(running.run, ResizeRun{resize.number, resize.nodes});
  } else {
    self_->send(address_, RunResized{resize.job, resize.number});
  }
}

void SchedulerState::obey(const ClusterQueue::Stop& stop) {
  // What goes back to the queue is to the run a pause like another.
  const JobState state = stop.state == JobState::kQueued ? JobState::kPaused : stop.state;
  Running& running = running_.at(stop.job);
  if (running.run) {
    caf::anon_send(running.run, StopRun{state});
  } else {
    running.stop_when_begun = state;
  }
}

void SchedulerState::obey(const ClusterQueue::Changed& changed) {
  Job& job = jobs_.at(changed.job);
  job.record.state = changed.state;
  if (changed.state == JobState::kQueued) job.record.message.clear();
  // A job that begins is recorded with the epoch that it begins with.
  if (changed.state != JobState::kRunning) write(changed.job);
}

void SchedulerState::epoch_begun(const EpochBegun& begun) {
  Running& running = running_.at(begun.job);
  running.is_beginning = false;
  const auto answers = std::exchange(running.begin_answers, {});
  if (!begun.epoch) {
    for (const auto& answer : answers) answer(failed(begun.epoch.error()));
    end_run(begun.job, JobState::kFailed, begun.epoch.error().message);
    return;
  }
  Job& job = jobs_.at(begun.job);
  job.epoch = *begun.epoch;
  write(begun.job);
  writing_.back().answers = answers;
  // The argument is there because CAF reads a null pointer where a function has none.
  self_->spawn<caf::detached>(
      [address = address_, head = head_, record = job.record, epoch = job.epoch](
          caf::event_based_actor*, caf::unit_t) {
        try {
          caf::anon_send(address, RunPrepared{record.id, prepare(*head, record, epoch)});
        } catch (const std::exception& exception) {  // Out of memory, or a file system's.
          caf::anon_send(address,
                         RunPrepared{record.id, Error{ErrorCode::kInternal, exception.what()}});
        }
      },
      caf::unit);
}

void SchedulerState::run_prepared(const RunPrepared& prepared) {
  Running& running = running_.at(prepared.job);
  if (!prepared.setup && prepared.setup.error().code == ErrorCode::kExhausted &&
      !running.stop_when_begun) {
    Job& waiting = jobs_.at(prepared.job);
    waiting.record.message = "waits: " + prepared.setup.error().message;
    self_->delayed_send(address_, kPrepareAgain, EpochBegun{prepared.job, waiting.epoch});
    return;
  }
  if (!prepared.setup) {
    end_run(prepared.job, JobState::kFailed, prepared.setup.error().message);
    return;
  }
  if (running.stop_when_begun) {
    end_run(prepared.job, *running.stop_when_begun, "");
    return;
  }
  const std::shared_ptr<RunSetup>& setup = *prepared.setup;
  Job& job = jobs_.at(prepared.job);
  job.record.nodes = running.nodes;
  job.record.data_sha256 = setup->record.data_sha256;
  job.record.arithmetic_id = setup->record.arithmetic_id;
  job.record.message.clear();
  job.gauge = setup->gauge;
  write(prepared.job);
  setup->nodes = running.nodes;
  setup->resized = [address = address_, id = prepared.job](uint64_t number) {
    caf::anon_send(address, RunResized{id, number});
  };
  setup->ended = [address = address_](RunResult result) {
    caf::anon_send(address, RunFinished{std::move(result)});
  };
  // Linked, so that no run outlives a head that has to go at once.
  running.run = self_->spawn<caf::linked>(run_actor, setup);
  caf::anon_send(hub_, RunBegan{prepared.job, running.run});
}

void SchedulerState::run_finished(const RunFinished& finished) {
  const RunResult& result = finished.result;
  Job& job = jobs_.at(result.job);
  job.record.steps_done = result.steps_done;
  job.record.weights_sha256 = result.weights_sha256;
  job.record.checkpoint = result.checkpoint;
  job.money = result.ledger.money;
  job.gauge = nullptr;
  caf::anon_send(hub_, RunOver{result.job});
  end_run(result.job, result.state, result.error.message);
}

void SchedulerState::run_resized(const RunResized& resized) {
  queue_->resized(resized.job, resized.number);
  obey_queue();
}

void SchedulerState::host_up(const HostUp& up) {
  queue_->host_up(up.host, up.slots, false, up.kind);
  obey_queue();
}

void SchedulerState::host_away(const HostAway& away) {
  queue_->host_away(away.host, monotonic_seconds());
  obey_queue();
}

void SchedulerState::host_leaves(const HostLeaves& leaves) {
  // It may be gone already.
  (void)queue_->drain_host(leaves.host);
  obey_queue();
}

void SchedulerState::host_gone(const HostGone& gone) {
  queue_->host_gone(gone.host);
  obey_queue();
}

void SchedulerState::end_run(uint64_t id, JobState state, const std::string& message) {
  jobs_.at(id).record.message = message;
  jobs_.at(id).wish.reset();
  running_.erase(id);
  queue_->ended(id, state);
  // While draining a paused job's record stays as it is, so that the next head goes on with it.
  obey_queue();
  finish_draining();
}

void SchedulerState::drain(const DrainHead& drain) {
  drained_ = drain.drained;
  queue_->drain();
  obey_queue();
  finish_draining();
}

void SchedulerState::finish_draining() {
  if (!drained_ || !running_.empty() || !writing_.empty()) return;
  const auto drained = std::exchange(drained_, [] {});
  self_->quit();
  drained();
}

JobSummary SchedulerState::summary(const Job& job) const {
  const JobRecord& record = job.record;
  std::string message = record.message;
  if (record.state == JobState::kQueued && message.empty() && queue_->has(record.id)) {
    message = queue_->why(record.id, monotonic_seconds());
  }
  return {.id = record.id,
          .name = record.spec.name,
          .state = record.state,
          .message = std::move(message),
          .steps_done = job.gauge ? job.gauge->steps_done.load() : record.steps_done,
          .steps_total = static_cast<uint64_t>(record.spec.sft.steps + record.spec.grpo.steps),
          .home = record.home,
          .weights_sha256 = record.weights_sha256,
          .money = job.gauge ? job.gauge->money.load() : job.money,
          .owner = record.owner};
}

SchedulerActor::behavior_type scheduler_actor(SchedulerActor::stateful_pointer<SchedulerState> self,
                                              const HeadContext* head, caf::actor hub,
                                              std::vector<KnownJob> jobs) {
  stop_on_exception(self);
  self->state.begin(self, SchedulerActor(self), head, std::move(hub), std::move(jobs));
  return {
      [self](const Ask& ask) { self->state.ask(ask); },
      [self](const DrainHead& drain) { self->state.drain(drain); },
      [self](const JobRecorded& recorded) { self->state.recorded(recorded); },
      [self](const EpochBegun& begun) { self->state.epoch_begun(begun); },
      [self](const RunPrepared& prepared) { self->state.run_prepared(prepared); },
      [self](const RunFinished& finished) { self->state.run_finished(finished); },
      [self](const RunResized& resized) { self->state.run_resized(resized); },
      [self](const HostUp& up) { self->state.host_up(up); },
      [self](const HostAway& away) { self->state.host_away(away); },
      [self](const HostLeaves& leaves) { self->state.host_leaves(leaves); },
      [self](const HostGone& gone) { self->state.host_gone(gone); },
      [self](caf::tick_atom) { self->state.tick(); },
  };
}

}  // namespace troupe::actors
