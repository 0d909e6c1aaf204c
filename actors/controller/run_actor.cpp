#include "actors/controller/run_actor.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <filesystem>

#include "actors/lease_numbers.h"
#include "actors/transport.h"
#include "actors/verifier/verifier_table.h"
#include "kernels/collective/zmq_keys.h"
#include "kernels/device_backend.h"
#include "model/formats/file.h"
#include "model/formats/recovery_point.h"
#include "schemas/check.h"
#include "schemas/envelope_codec.h"
#include "schemas/hash.h"
#include "schemas/monotonic_clock.h"
#include "schemas/private_folder.h"
#include "schemas/work_codec.h"

namespace troupe::actors {
namespace {

namespace fs = std::filesystem;

constexpr auto kTickPeriod = std::chrono::milliseconds(100);

std::string random_token() {
  unsigned char bytes[16];
  TROUPE_CHECK(::getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes));
  std::string token;
  for (unsigned char byte : bytes) token += fmt::format("{:02x}", byte);
  return token;
}

// By rank, each of which is to be reached at its own address.
Result<std::vector<TeamSeat>> make_seats(const std::vector<std::string>& addresses,
                                         uint64_t epoch) {
  const auto num_ranks = addresses.size();
  auto keys = kernels::collective::make_seats(static_cast<int>(num_ranks), epoch);
  if (!keys) return keys.error();
  std::vector<TeamSeat> seats;
  for (auto& one : *keys) {
    seats.push_back({.rank = static_cast<uint32_t>(one.rank),
                     .epoch = epoch,
                     .address = addresses[static_cast<size_t>(one.rank)],
                     .public_keys = std::move(one.public_keys),
                     .secret_key = std::move(one.secret_key),
                     .token = std::move(one.token)});
  }
  return seats;
}

}  // namespace

void RunState::begin(RunActor::pointer self, RunActor address, std::shared_ptr<RunSetup> setup) {
  self_ = self;
  address_ = std::move(address);
  setup_ = std::move(setup);
  const std::string& home = setup_->record.home;
  checkpoints_.emplace(home, setup_->epoch);
  checkpoints_->sweep(setup_->history.recorded_points);
  // Policy files are for workers that are gone.
  const std::string policies = home + "/policies";
  std::error_code ignored;
  fs::remove_all(policies, ignored);
  fs::remove_all(team_folder(), ignored);
  fs::create_directories(policies, ignored);

  JobRun::Options options;
  options.job_id = setup_->record.id;
  options.epoch = setup_->epoch;
  options.pool.first_epoch = first_lease_number(setup_->epoch);
  options.pool.log_path = home + "/workers.log";
  options.pool.arithmetic_id = setup_->record.arithmetic_id;
  options.pool.judge_each_max = seconds_max(setup_->prepared.job.rewards);
  options.pool.make_seats = [this](uint32_t num_ranks,
                                   uint64_t epoch) -> Result<std::vector<TeamSeat>> {
    auto addresses = team_addresses(num_ranks);
    if (!addresses) return addresses.error();
    return make_seats(*addresses, epoch);
  };
  options.slots =
      plan_slots(setup_->prepared.job, rollout_threads(setup_->prepared.job),
                 learner_threads(setup_->prepared.job), verifier_threads(setup_->prepared.job),
                 verifier_workers(setup_->prepared.job));
  for (size_t i = 0; i < setup_->nodes.size() && i < options.slots.size(); ++i) {
    options.slots[i].is_placed = !setup_->nodes[i].empty();
    options.slots[i].host = other_host(setup_->nodes[i]);
  }
  options.policies_folder = policies;
  const std::string& model = setup_->prepared.job.policy.model;
  setup_->head->host->serve_files(setup_->record.id, home,
                                  model.empty() ? std::vector<std::string>{} : std::vector{model});
  options.survivors =
      setup_->head->host->take_over(setup_->record.id, setup_->head->credentials_folder,
                                    [address = address_](const ProcessEnd& end) {
                                      caf::anon_send(address, WorkerProcessEnded{end});
                                    });
  for (const Survivor& one : options.survivors) {
    started_.insert(one.pid);
    processes_[one.token] = {one.slot, one.pid};
  }
  // The job may be placed otherwise than under the head that has left them.
  const auto is_elsewhere = [&](const Survivor& one) {
    const SlotHost& host = *setup_->head->host;
    const std::string node = node_of(one.slot);
    const bool is_there = host.is_here(one.node) ? host.is_here(node) : one.node == node;
    if (!is_there) setup_->head->host->kill(one.pid);
    return !is_there;
  };
  std::erase_if(options.survivors, is_elsewhere);
  for (const auto& note : setup_->history.notes) setup_->prepared.data.notes.push_back(note);
  run_ =
      std::make_unique<JobRun>(setup_->prepared, std::move(setup_->history.run),
                               setup_->history.attempts, std::move(options), *this, *setup_->sink);
  run_->start(monotonic_seconds());
  self_->delayed_send(self_, kTickPeriod, caf::tick_atom_v);
}

// Where the learner's ranks meet. The system allows a socket's path little more than a hundred
// characters, so a job whose home is deep has another place.
std::string RunState::team_folder() const {
  constexpr size_t kFolderMax = 70;
  const std::string& home = setup_->record.home;
  std::string folder = home + "/team";
  if (folder.size() <= kFolderMax) return folder;
  std::error_code ignored;
  const std::string whose = fmt::format("{} {}", ::getuid(), fs::absolute(home, ignored).string());
  const auto bytes = std::as_bytes(std::span(whose.data(), whose.size()));
  return "/tmp/troupe-team-" + sha256_hex(bytes).substr(0, 16);
}

std::string RunState::node_of(uint32_t slot) const {
  return slot < setup_->nodes.size() ? setup_->nodes[slot] : "";
}

// What people are to be told of where a slot is: nothing, where it is here.
std::string RunState::other_host(const std::string& node) const {
  return setup_->head->host->is_here(node) ? "" : node;
}

// Of the learner's ranks, which are the first slots. Ranks of one host meet in a folder that nobody
// else may enter, others where their hosts are reached.
Result<std::vector<std::string>> RunState::team_addresses(uint32_t num_ranks) const {
  const SlotHost& host = *setup_->head->host;
  bool is_one_host = true;
  for (uint32_t rank = 0; rank < num_ranks; ++rank) {
    is_one_host = is_one_host && node_of(rank) == node_of(0);
  }
  if (is_one_host) {
    const std::string folder = team_folder();
    if (host.is_here(node_of(0))) {
      if (Status made = make_private_folder(folder); !made) return made.error();
    }
    return std::vector<std::string>(num_ranks, "ipc://" + folder);
  }
  std::vector<std::string> addresses;
  for (uint32_t rank = 0; rank < num_ranks; ++rank) {
    const std::string address = host.address_of(node_of(rank));
    if (address.empty()) {
      return Error{ErrorCode::kUnavailable,
                   fmt::format("rank {} is to be on host {}, which others cannot reach", rank,
                               node_of(rank))};
    }
    const bool is_ipv6 = address.find(':') != std::string::npos;
    addresses.push_back(is_ipv6 ? "tcp://[" + address + "]" : "tcp://" + address);
  }
  return addresses;
}

void RunState::peer_said(const PeerSaid& said) {
  const Envelope& envelope = said.envelope;
  auto message = open_from_worker(envelope);
  if (!message) {
    setup_->sink->noted("a worker sent what cannot be read: " + message.error().message);
    return;
  }
  if (const auto* hello = std::get_if<Hello>(&*message)) {
    greeting_ = said.peer;
    if (const auto epoch = run_->worker_hello(*hello, monotonic_seconds()))
      self_->monitor(said.peer);
    greeting_ = nullptr;
  } else if (const auto peer = peers_.find(envelope.epoch); peer != peers_.end()) {
    if (const auto* beat = std::get_if<Heartbeat>(&*message)) note_waiting(peer->second, *beat);
    run_->worker_said(peer->second.slot, envelope.epoch, envelope.request_id, std::move(*message),
                      monotonic_seconds());
  }
  finish_if_ended();
}

void RunState::peer_down(const caf::actor_addr& gone) {
  for (const auto& [epoch, peer] : peers_) {
    if (peer.actor->address() != gone) continue;
    run_->worker_disconnected(peer.slot, epoch, monotonic_seconds());
    break;
  }
  finish_if_ended();
}

void RunState::process_started(const WorkerProcessStarted& started) {
  if (started.failure.empty()) {
    processes_[started.token].pid = started.pid;
    started_.insert(started.pid);
    run_->worker_started(started.slot, started.token, started.pid, monotonic_seconds());
  } else {
    processes_.erase(started.token);
    answer_resizes();
    run_->worker_start_failed(started.slot, started.failure, monotonic_seconds());
  }
  finish_if_ended();
}

void RunState::process_ended(const WorkerProcessEnded& ended) {
  if (started_.erase(ended.end.pid) == 0) {
    // It was so short-lived that its end overtook its beginning, which is on its way.
    self_->send(address_, ended);
    return;
  }
  std::erase_if(processes_, [&](const auto& one) { return one.second.pid == ended.end.pid; });
  answer_resizes();
  run_->worker_ended(ended.end, monotonic_seconds());
  finish_if_ended();
}

void RunState::batch_committed(const BatchCommitted& committed) {
  run_->committed(committed.ticket, committed.status, monotonic_seconds());
  setup_->gauge->steps_done = number(run_->controller().version());
  setup_->gauge->money = run_->controller().ledger().money;
  finish_if_ended();
}

void RunState::round_read(RoundRead& read) {
  if (read.history) {
    run_->round_loaded(read.round, *std::move(read.history), monotonic_seconds());
  } else {
    run_->fail(read.history.error(), monotonic_seconds());
  }
  finish_if_ended();
}

void RunState::stop(JobState state) {
  run_->stop(state, monotonic_seconds());
  finish_if_ended();
}

void RunState::resize(const ResizeRun& resize) {
  std::vector<WorkerPool::Place> places(setup_->nodes.size());
  TROUPE_CHECK(resize.nodes.size() == places.size());
  Resizing resizing{.number = resize.number};
  for (uint32_t i = 0; i < places.size(); ++i) {
    const bool is_same = resize.nodes[i] == setup_->nodes[i];
    places[i] = {.is_there = !resize.nodes[i].empty(),
                 .is_another = !is_same,
                 .host = other_host(resize.nodes[i])};
    if (is_same) continue;
    for (const auto& [token, process] : processes_) {
      if (process.slot == i) resizing.leaving.insert(token);
    }
  }
  setup_->nodes = resize.nodes;
  resizing_.push_back(std::move(resizing));
  run_->place(places, monotonic_seconds());
  answer_resizes();
  finish_if_ended();
}

void RunState::answer_resizes() {
  while (!resizing_.empty()) {
    auto& [number, leaving] = resizing_.front();
    std::erase_if(leaving, [&](const std::string& token) { return !processes_.contains(token); });
    if (!leaving.empty()) return;
    setup_->resized(number);
    resizing_.pop_front();
  }
}

void RunState::tick() {
  submit_waiting();
  note_full_disk();
  run_->tick(monotonic_seconds());
  finish_if_ended();
  if (run_) self_->delayed_send(self_, kTickPeriod, caf::tick_atom_v);
}

// Everything else of the job goes on until it needs what is not recorded yet.
void RunState::note_full_disk() {
  const auto full = setup_->head->store->waits_for();
  if (full.has_value() == waits_for_disk_) return;
  waits_for_disk_ = full.has_value();
  setup_->sink->noted(full ? "waits: " + full->message + ", then it goes on by itself"
                           : "goes on: there is room on the disk again");
}

void RunState::note_waiting(Peer& peer, const Heartbeat& heartbeat) {
  if (peer.waits_for == heartbeat.waits_for) return;
  peer.waits_for = heartbeat.waits_for;
  setup_->sink->noted(peer.waits_for.empty()
                          ? fmt::format("worker {} goes on", peer.slot)
                          : fmt::format("worker {} waits: {}, then it goes on by itself", peer.slot,
                                        peer.waits_for));
}

void RunState::finish_if_ended() {
  if (!setup_->ended || !run_->end()) return;
  const command::End& end = *run_->end();
  const Controller& controller = run_->controller();
  RunResult result{.job = setup_->record.id,
                   .state = end.state,
                   .error = end.error,
                   .steps_done = number(controller.version()),
                   .weights_sha256 = run_->weights_sha256(),
                   .ledger = controller.ledger()};
  if (const auto point = controller.start_point()) result.checkpoint = checkpoints_->path(*point);
  // The others were told to go by the run itself.
  setup_->head->host->end_job(setup_->record.id);
  setup_->head->host->drop_files(setup_->record.id, "");
  std::error_code ignored;
  fs::remove_all(setup_->record.home + "/policies", ignored);
  fs::remove_all(team_folder(), ignored);
  if (end.state != JobState::kFailed) {
    setup_->sink->run_ended(result.ledger,
                            end.state == JobState::kPaused ? "stopped" : troupe::name(end.state),
                            result.weights_sha256);
  }
  std::exchange(setup_->ended, nullptr)(std::move(result));
  self_->quit();
}

// ---- Ports.

void RunState::start_worker(uint32_t slot) {
  const HeadContext& head = *setup_->head;
  const JobSpec& job = setup_->prepared.job;
  const SlotCounts slots = count_slots(job.resources, verifier_workers(job));
  const bool is_verifier = slot >= slots.required && slot < slots.first_lent();
  const auto device = is_verifier ? "cpu" : kernels::device_of(setup_->record.arithmetic_id);
  WorkerLaunch launch{.job = setup_->record.id,
                      .slot = slot,
                      .token = random_token(),
                      .port = head.port,
                      .credentials_folder = head.credentials_folder,
                      .device = std::string(device),
                      .log_path = setup_->record.home + "/workers.log",
                      .node = node_of(slot),
                      .patience_seconds = static_cast<uint32_t>(job.resources.reconnect_seconds)};
  processes_[launch.token] = {.slot = slot};
  head.host->start(
      launch,
      [address = address_, slot, token = launch.token](const Result<uint64_t>& pid) {
        WorkerProcessStarted started{.slot = slot, .token = token};
        if (pid) {
          started.pid = *pid;
        } else {
          started.failure = pid.error().message;
        }
        caf::anon_send(address, std::move(started));
      },
      [address = address_](const ProcessEnd& end) {
        caf::anon_send(address, WorkerProcessEnded{end});
      });
}

void RunState::kill_worker(uint32_t, uint64_t pid) { setup_->head->host->kill(pid); }

void RunState::send(const pool::Send& message) {
  if (std::holds_alternative<Lease>(message.message)) {
    peers_[message.epoch] = {greeting_, message.slot};
  }
  const auto peer = peers_.find(message.epoch);
  if (peer == peers_.end() || !peer->second.actor) return;
  Envelope envelope = seal(message.message);
  envelope.job = setup_->record.id;
  envelope.epoch = message.epoch;
  envelope.request_id = message.request_id;
  envelope.deadline_ms = message.deadline_ms;
  caf::anon_send(caf::actor_cast<caf::actor>(peer->second.actor), to_wire(encode(envelope)));
}

void RunState::commit(uint64_t ticket, Batch batch) {
  waiting_.emplace_back(ticket, std::move(batch));
  submit_waiting();
}

void RunState::submit_waiting() {
  while (!waiting_.empty()) {
    const uint64_t ticket = waiting_.front().first;
    // A copy stays here while the store is full.
    const Status taken = setup_->head->store->submit(
        waiting_.front().second, [address = address_, ticket](Status status) {
          caf::anon_send(address, BatchCommitted{ticket, std::move(status)});
        });
    if (!taken) return;
    waiting_.pop_front();
  }
  // It sees what was committed before, so it may not overtake it.
  for (Round round : std::exchange(loading_, {})) {
    setup_->head->store->read(
        [address = address_, round, job = setup_->record.id](const ReplayStore& store) {
          caf::anon_send(address, RoundRead{round, actors::load_round(store, job, round)});
        });
  }
}

void RunState::load_round(Round round) {
  loading_.push_back(round);
  submit_waiting();
}

std::string RunState::begin_point(PolicyVersion version) { return checkpoints_->begin(version); }
Result<PointRecord> RunState::finish_point(const PointWritten& written) {
  const std::string folder = checkpoints_->unfinished(written.version);
  auto point =
      checkpoints_->finish(written, static_cast<int>(setup_->prepared.job.resources.learner));
  if (!point) return point;
  if (setup_->prepared.job.schedule.checkpoint_copies > 1) {
    setup_->head->host->keep_files(setup_->record.id, folder, checkpoints_->path(*point));
  } else {
    setup_->head->host->drop_files(setup_->record.id, folder);
  }
  return point;
}
std::string RunState::point_path(const PointRecord& point) { return checkpoints_->path(point); }
void RunState::keep_best(const PointRecord& point) {
  const Status kept = checkpoints_->keep_best(point);
  if (!kept) setup_->sink->noted("the best checkpoint is not kept: " + kept.error().message);
}
void RunState::forget_point(const PointRecord& point) {
  checkpoints_->forget(point);
  setup_->head->host->drop_files(setup_->record.id, checkpoints_->path(point));
}
Result<std::string> RunState::take_policy(const PointRecord& point, PolicyVersion version) {
  const std::string path = fmt::format("{}/policies/version_{}.from_{}.safetensors",
                                       setup_->record.home, number(version), point.folder);
  std::error_code ignored;
  fs::remove(path, ignored);
  const Status shared = model::share_file(model::policy_path(checkpoints_->path(point), version),
                                          path, model::Durability::kNone);
  if (!shared) return shared.error();
  return path;
}
void RunState::remove_policy(const std::string& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
  setup_->head->host->drop_files(setup_->record.id, path);
}

RunActor::behavior_type run_actor(RunActor::stateful_pointer<RunState> self,
                                  std::shared_ptr<RunSetup> setup) {
  stop_on_exception(self);
  self->set_down_handler([self](caf::down_msg& down) { self->state.peer_down(down.source); });
  self->state.begin(self, RunActor(self), std::move(setup));
  return {
      [self](const PeerSaid& said) { self->state.peer_said(said); },
      [self](const WorkerProcessStarted& started) { self->state.process_started(started); },
      [self](const WorkerProcessEnded& ended) { self->state.process_ended(ended); },
      [self](const BatchCommitted& committed) { self->state.batch_committed(committed); },
      [self](RoundRead& read) { self->state.round_read(read); },
      [self](const StopRun& stop) { self->state.stop(stop.state); },
      [self](const ResizeRun& resize) { self->state.resize(resize); },
      [self](caf::tick_atom) { self->state.tick(); },
  };
}

}  // namespace troupe::actors
