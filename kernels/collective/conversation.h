// What one channel of a rank says to the others and hears from them while an operation runs. Knows
// neither sockets nor threads nor time.
//
//   begin ──Begin to all──▶ for each other rank: its Begin ─agrees─▶ chunks both ways ─▶ done
//
// Bytes are sent only to a rank that has begun the same operation, so whatever arrives has its
// place already: nothing is kept for later but one Begin of each rank, which may be one operation
// ahead. At most kChunksInFlightMax chunks are on their way to a rank; it acknowledges what it has
// copied. An operation is done when all is here and all that was sent is acknowledged.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/collective/frame.h"
#include "kernels/collective/mesh.h"
#include "schemas/result.h"

namespace troupe::kernels::collective {

// Where frames go.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  // `payload` is copied before this returns.
  virtual void send(int rank, const Frame& frame, std::span<const std::byte> payload) = 0;
};

class Conversation {
 public:
  Conversation(int channel, int rank, int num_ranks, FrameSink& sink);

  // No other transfer is under way; this one stays until end(). kInternal when a rank that has
  // begun already disagrees.
  Status begin(const Transfer& transfer);

  // A Begin, Chunk or Acknowledge of this channel. kInternal as above; kCorruption when the rank
  // says what it may not say now.
  Status receive(int rank, const Received& received);

  bool is_under_way() const { return transfer_ != nullptr; }
  bool is_done() const { return num_open_ == 0; }
  const Transfer* transfer() const { return transfer_; }
  void end();

  // Of the operation under way: the first rank that something is missing from, and what.
  int waits_for() const;
  std::string missing_from(int rank) const;
  bool is_open(int rank) const;

 private:
  static constexpr size_t kNotInGroup = ~size_t{0};

  struct Peer {
    std::optional<Call> ahead{};  // Of its next operation.
    size_t index = kNotInGroup;   // In the transfer under way.
    bool has_begun = false;
    bool is_open = false;
    const std::byte* source = nullptr;
    std::byte* destination = nullptr;
    uint64_t to_send = 0, sent = 0;
    uint64_t to_receive = 0, received = 0;
    uint32_t in_flight = 0;       // Chunks sent and not acknowledged.
    uint32_t unacknowledged = 0;  // Chunks received likewise.
  };

  Status hear_begin(int rank, const Call& call);
  Status begin_with(int rank, const Call& call);
  Status hear_chunk(int rank, const Received& received);
  Status hear_acknowledge(int rank, uint32_t count);
  void send_chunks(int rank, Peer& peer);
  void close_if_done(Peer& peer);
  Peer& peer_of(int rank) { return peers_[static_cast<size_t>(rank)]; }

  const int channel_;
  const int rank_;
  FrameSink& sink_;
  const Transfer* transfer_ = nullptr;
  size_t num_open_ = 0;  // Ranks that something is missing from.
  std::vector<Peer> peers_;
};

}  // namespace troupe::kernels::collective
