#include "kernels/collective/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "schemas/check.h"

namespace troupe::kernels::collective {
namespace {

Error violation(int rank, const char* what) {
  return {ErrorCode::kCorruption, fmt::format("rank {} sent {}", rank, what)};
}

}  // namespace

Conversation::Conversation(int channel, int rank, int num_ranks, FrameSink& sink)
    : channel_(channel), rank_(rank), sink_(sink), peers_(static_cast<size_t>(num_ranks)) {}

Status Conversation::begin(const Transfer& transfer) {
  TROUPE_CHECK(transfer_ == nullptr);
  transfer_ = &transfer;
  num_open_ = transfer.ranks.size() - 1;
  for (size_t i = 0; i < transfer.ranks.size(); ++i) {
    if (i == transfer.me) continue;
    Peer& peer = peer_of(transfer.ranks[i]);
    peer.index = i;
    peer.is_open = true;
    sink_.send(transfer.ranks[i],
               {.type = FrameType::kBegin,
                .channel = static_cast<uint16_t>(channel_),
                .call = transfer.call(i)},
               {});
  }
  // Only now: when one disagrees, the others have heard what was called here.
  for (size_t i = 0; i < transfer.ranks.size(); ++i) {
    if (i == transfer.me) continue;
    Peer& peer = peer_of(transfer.ranks[i]);
    if (!peer.ahead) continue;
    const Call call = *peer.ahead;
    peer.ahead.reset();
    if (auto begun = begin_with(transfer.ranks[i], call); !begun) return begun;
  }
  return ok();
}

void Conversation::end() {
  for (Peer& peer : peers_) peer = {.ahead = peer.ahead};
  transfer_ = nullptr;
  num_open_ = 0;
}

Status Conversation::receive(int rank, const Received& received) {
  switch (received.frame.type) {
    case FrameType::kBegin:
      return hear_begin(rank, received.frame.call);
    case FrameType::kChunk:
      return hear_chunk(rank, received);
    case FrameType::kAcknowledge:
      return hear_acknowledge(rank, received.frame.count);
    default:
      return violation(rank, "what belongs to no channel");
  }
}

Status Conversation::hear_begin(int rank, const Call& call) {
  Peer& peer = peer_of(rank);
  if (peer.index != kNotInGroup && !peer.has_begun) return begin_with(rank, call);
  if (peer.ahead) return violation(rank, "the begin of a third operation");
  peer.ahead = call;
  return ok();
}

Status Conversation::begin_with(int rank, const Call& call) {
  Peer& peer = peer_of(rank);
  const Call mine = transfer_->call(peer.index);
  if (const auto text = disagreement({rank_, mine}, {rank, call})) {
    return Error{ErrorCode::kInternal, *text};
  }
  peer.has_begun = true;
  peer.to_send = mine.sends;
  peer.to_receive = call.sends;
  peer.source = transfer_->source(peer.index);
  // In an exchange this allocates; agreement has bounded it.
  peer.destination = transfer_->destination(peer.index, call.sends);
  send_chunks(rank, peer);
  close_if_done(peer);
  return ok();
}

Status Conversation::hear_chunk(int rank, const Received& received) {
  Peer& peer = peer_of(rank);
  const uint64_t size = received.payload.size();
  if (!peer.has_begun || received.frame.call.number != transfer_->number) {
    return violation(rank, "bytes of an operation that is not under way");
  }
  if (received.frame.offset != peer.received || size > peer.to_receive - peer.received) {
    return violation(rank, "bytes that have no place");
  }
  std::memcpy(peer.destination + peer.received, received.payload.data(), size);
  peer.received += size;
  ++peer.unacknowledged;
  if (peer.received == peer.to_receive || peer.unacknowledged >= kChunksInFlightMax / 2) {
    sink_.send(rank,
               {.type = FrameType::kAcknowledge,
                .channel = static_cast<uint16_t>(channel_),
                .count = peer.unacknowledged},
               {});
    peer.unacknowledged = 0;
  }
  close_if_done(peer);
  return ok();
}

Status Conversation::hear_acknowledge(int rank, uint32_t count) {
  Peer& peer = peer_of(rank);
  if (count == 0 || count > peer.in_flight) {
    return violation(rank, "an acknowledgement of what was not sent");
  }
  peer.in_flight -= count;
  send_chunks(rank, peer);
  close_if_done(peer);
  return ok();
}

void Conversation::send_chunks(int rank, Peer& peer) {
  while (peer.sent < peer.to_send && peer.in_flight < kChunksInFlightMax) {
    const uint64_t size = std::min<uint64_t>(kChunkBytesMax, peer.to_send - peer.sent);
    sink_.send(rank,
               {.type = FrameType::kChunk,
                .channel = static_cast<uint16_t>(channel_),
                .offset = peer.sent,
                .call = {.number = transfer_->number}},
               {peer.source + peer.sent, static_cast<size_t>(size)});
    peer.sent += size;
    ++peer.in_flight;
  }
}

void Conversation::close_if_done(Peer& peer) {
  if (!peer.is_open || peer.sent < peer.to_send || peer.in_flight > 0 ||
      peer.received < peer.to_receive) {
    return;
  }
  peer.is_open = false;
  --num_open_;
}

int Conversation::waits_for() const {
  if (transfer_ == nullptr) return -1;
  for (const int rank : transfer_->ranks) {
    if (is_open(rank)) return rank;
  }
  return -1;
}

bool Conversation::is_open(int rank) const { return peers_[static_cast<size_t>(rank)].is_open; }

std::string Conversation::missing_from(int rank) const {
  const Peer& peer = peers_[static_cast<size_t>(rank)];
  if (!peer.has_begun) return fmt::format("rank {} has not begun it", rank);
  if (peer.received < peer.to_receive) {
    return fmt::format("rank {} has sent {} of {} bytes", rank, peer.received, peer.to_receive);
  }
  return fmt::format("rank {} has not taken all of {} bytes", rank, peer.to_send);
}

}  // namespace troupe::kernels::collective
