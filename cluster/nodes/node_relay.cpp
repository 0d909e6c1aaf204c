#include "cluster/nodes/node_relay.h"

#include <chrono>
#include <utility>
#include <variant>

#include "schemas/envelope_codec.h"
#include "schemas/work_codec.h"

namespace troupe::cluster {
namespace {

constexpr auto kTick = std::chrono::milliseconds(250);

}  // namespace

void RelayState::begin(caf::event_based_actor* self, const RelayParts* parts) {
  self_ = self;
  parts_ = parts;
  self_->delayed_send(self_, kTick, caf::tick_atom_v);
}

void RelayState::job_is_here(const JobIsHere& here) { jobs_.try_emplace(here.job, here.places); }

void RelayState::worker_said(const actors::WireBytes& bytes, const caf::strong_actor_ptr& sender) {
  const auto envelope = decode_envelope(actors::from_wire(bytes));
  if (!envelope) return;
  const auto job = jobs_.find(envelope->job);
  if (job == jobs_.end()) return;
  // Who says hello can be answered; from then on it is known by its lease.
  uint64_t number = 0;
  if (sender) {
    number = number_of(sender, envelope->job);
  } else if (const auto lease = leases_.find({envelope->job, envelope->epoch});
             lease != leases_.end()) {
    number = lease->second;
  } else {
    return;
  }
  Peer& peer = peers_.at(number);
  auto crossing = job->second.from_worker(*envelope);
  if (!crossing) return;
  if (const auto message = open_from_worker(*envelope)) {
    if (const auto* hello = std::get_if<Hello>(&*message)) peer.pid = hello->pid;
    // A sign of life is not to wait for what takes long.
    if (const auto* beat = std::get_if<Heartbeat>(&*message)) {
      parts_->say(WorkerSays{number, encode(with_waiting(crossing->envelope, *beat, peer))});
      return;
    }
  }
  peer.from_worker.waiting.push_back(std::move(*crossing));
  advance(number, peer, false);
}

uint64_t RelayState::number_of(const caf::strong_actor_ptr& sender, uint64_t job) {
  const auto address = caf::actor_cast<caf::actor_addr>(sender);
  const auto [known, is_new] = numbers_.try_emplace(address, next_peer_);
  if (is_new) {
    peers_[next_peer_++] = {.actor = caf::actor_cast<caf::actor>(sender), .job = job};
    self_->monitor(address);
  }
  return known->second;
}

void RelayState::worker_gone(const caf::actor_addr& address) {
  const auto number = numbers_.find(address);
  if (number == numbers_.end()) return;
  parts_->say(WorkerGone{number->second});
  std::erase_if(leases_, [&](const auto& lease) { return lease.second == number->second; });
  peers_.erase(number->second);
  numbers_.erase(number);
}

void RelayState::head_said(const HeadSaid& said) {
  const auto found = peers_.find(said.message.peer);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  const auto envelope = decode_envelope(said.message.envelope);
  const auto job = jobs_.find(peer.job);
  if (!envelope || envelope->job != peer.job || job == jobs_.end()) return;
  auto crossing = job->second.to_worker(*envelope);
  if (!crossing) return;
  if (crossing->is_lease) leases_[{peer.job, envelope->epoch}] = found->first;
  peer.to_worker.waiting.push_back(std::move(*crossing));
  advance(found->first, peer, true);
}

void RelayState::head_is_new() {
  for (auto& [number, peer] : peers_) {
    peer.to_worker = {};
    peer.from_worker = {};
    Envelope envelope = seal(ToWorker(HeadChanged{}));
    envelope.job = peer.job;
    caf::anon_send(peer.actor, actors::to_wire(encode(envelope)));
  }
}

void RelayState::files_moved(const FilesMoved& moved) {
  const auto found = peers_.find(moved.peer);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  Lane& lane = moved.is_to_worker ? peer.to_worker : peer.from_worker;
  // Of a lane that was emptied since.
  if (lane.move != moved.move || lane.waiting.empty()) return;
  lane.move = 0;
  lane.waits_for.clear();
  if (!moved.status) {
    lane.waiting.pop_front();
    parts_->end_worker(peer.pid, moved.status.error().message);
    return;
  }
  lane.waiting.front().files.clear();
  advance(moved.peer, peer, moved.is_to_worker);
}

void RelayState::files_wait(const FilesWait& wait) {
  const auto found = peers_.find(wait.peer);
  if (found == peers_.end()) return;
  Lane& lane = wait.is_to_worker ? found->second.to_worker : found->second.from_worker;
  if (lane.move == wait.move) lane.waits_for = wait.why;
}

// A worker cannot know what it waits for, or what is kept from others, when it is files.
Envelope RelayState::with_waiting(const Envelope& envelope, Heartbeat beat, const Peer& peer) {
  for (const Lane* lane : {&peer.to_worker, &peer.from_worker}) {
    if (!beat.waits_for.empty() || lane->waits_for.empty()) continue;
    beat.waits_for = lane->waits_for;
    Envelope told = seal(FromWorker(std::move(beat)));
    told.job = envelope.job;
    told.epoch = envelope.epoch;
    return told;
  }
  return envelope;
}

void RelayState::tick() {
  self_->delayed_send(self_, kTick, caf::tick_atom_v);
  for (const auto& [number, peer] : peers_) {
    if (peer.to_worker.move == 0 || !peer.to_worker.waiting.front().is_lease) continue;
    const Envelope& lease = peer.to_worker.waiting.front().envelope;
    const std::string& room = peer.to_worker.waits_for;
    Envelope beat =
        seal(FromWorker(Heartbeat{.waits_for = room.empty() ? "files that the head sends" : room}));
    beat.job = lease.job;
    beat.epoch = lease.epoch;
    parts_->say(WorkerSays{number, encode(beat)});
  }
}

void RelayState::advance(uint64_t number, Peer& peer, bool is_to_worker) {
  Lane& lane = is_to_worker ? peer.to_worker : peer.from_worker;
  while (!lane.waiting.empty() && lane.move == 0) {
    Crossing& next = lane.waiting.front();
    if (!next.files.empty()) {
      lane.move = next_move_++;
      const auto done = [relay = caf::actor_cast<caf::actor>(self_),
                         moved = FilesMoved{number, is_to_worker, lane.move}](Status status) {
        FilesMoved told = moved;
        told.status = std::move(status);
        caf::anon_send(relay, std::move(told));
      };
      const auto waits = [relay = caf::actor_cast<caf::actor>(self_), number, is_to_worker,
                          move = lane.move](const std::string& why) {
        caf::anon_send(relay, FilesWait{number, is_to_worker, move, why});
      };
      if (is_to_worker) {
        parts_->mover->fetch(peer.job, next.files, done, waits);
      } else {
        parts_->mover->push(peer.job, next.files, done, waits);
      }
      return;
    }
    if (is_to_worker) {
      caf::anon_send(peer.actor, actors::to_wire(encode(next.envelope)));
    } else {
      parts_->say(WorkerSays{number, encode(next.envelope)});
    }
    lane.waiting.pop_front();
  }
}

caf::behavior relay_actor(caf::stateful_actor<RelayState>* self, const RelayParts* parts) {
  self->state.begin(self, parts);
  self->set_down_handler([self](caf::down_msg& down) { self->state.worker_gone(down.source); });
  return {
      [self](const actors::WireBytes& bytes) {
        self->state.worker_said(bytes, self->current_sender());
      },
      [self](const JobIsHere& here) { self->state.job_is_here(here); },
      [self](const HeadSaid& said) { self->state.head_said(said); },
      [self](const HeadIsNew&) { self->state.head_is_new(); },
      [self](const FilesMoved& moved) { self->state.files_moved(moved); },
      [self](const FilesWait& wait) { self->state.files_wait(wait); },
      [self](caf::tick_atom) { self->state.tick(); },
  };
}

}  // namespace troupe::cluster
