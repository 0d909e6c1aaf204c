// One side of a session between a head and a node, as a state machine: what is said on one side is
// heard on the other once and in order, although connections between them break and lose what was
// on its way. Both sides are alike.
//
//   say ──▶ parts, numbered ──next──▶ connection ──hear──▶ messages
//                 ▲                        │
//                 └─ kept until received ◀─┘
//
// A connection keeps the order. So a part that is not the next one, seen from the receiver, either
// has come before or tells that something is lost; then the connection is made anew, and each side
// tells the other what it has (resume). Only so much is under way at a time, so that what is urgent
// is never long behind what is big.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "schemas/node.h"
#include "schemas/result.h"

namespace troupe::cluster {

class LinkSession {
 public:
  using Bytes = std::vector<std::byte>;

  struct Limits {
    size_t part_bytes = 1 << 20;
    size_t under_way_bytes = 8 << 20;
    size_t message_bytes_max = size_t{1} << 30;  // Of what is heard.
  };

  struct Part {
    LinkHeader header{};
    std::span<const std::byte> bytes{};  // Until the next call of anything.
  };

  struct Heard {
    std::optional<Bytes> message{};  // Whole.
    bool is_missing = false;         // The connection is to be made anew.
  };

  LinkSession(uint64_t id, Limits limits) : id_(id), limits_(limits) {}

  uint64_t id() const { return id_; }

  void say(Bytes message);
  // What is to be sent now, once; nothing while enough is under way.
  std::optional<Part> next();

  // A frame with this session's id. kCorruption when the other side does not keep to the rules.
  Result<Heard> hear(const LinkHeader& header, std::span<const std::byte> bytes);

  // There is a new connection, and the other side has so much. kCorruption when it cannot.
  Status resume(uint64_t received);

  // For a frame that is no part of a message; the other side learns by it what has come.
  LinkHeader header();
  // So much has come since the last header that one is due.
  bool owes_header() const { return bytes_untold_ >= limits_.under_way_bytes / 4; }

  // Said and not known to have been received.
  size_t bytes_waiting() const { return bytes_waiting_; }

 private:
  struct Kept {
    std::shared_ptr<const Bytes> message{};
    size_t begin = 0;
    size_t end = 0;
    size_t size() const { return end - begin; }
  };

  Status acknowledge(uint64_t received);

  const uint64_t id_;
  const Limits limits_;
  std::deque<Kept> kept_{};     // Parts from number first_ on.
  uint64_t first_ = 1;          //
  uint64_t next_ = 1;           // To be sent.
  uint64_t sent_ = 0;           // The last that was, by any connection.
  size_t bytes_under_way_ = 0;  // Sent by this connection and not received.
  size_t bytes_waiting_ = 0;
  uint64_t received_ = 0;
  size_t bytes_untold_ = 0;
  bool is_missing_ = false;
  Bytes begun_{};  // A message whose last part has not come.
};

}  // namespace troupe::cluster
