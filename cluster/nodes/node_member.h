// A node as it knows itself, as a state machine: whether it has joined its head, and the session
// with it. The head may be gone for a while, or be another one when it is back.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/nodes/link_session.h"
#include "schemas/node.h"
#include "schemas/result.h"

namespace troupe::cluster {

class NodeMember {
 public:
  struct Options {
    NodeHello hello{};
    double hello_every = 0.5;  // Seconds.
    double beat_every = 0.25;
    double silence_max = 2;  // Without a word the connection is made anew.
    LinkSession::Limits limits{};
  };

  // ---- What comes of events.
  // By a head that knows nothing of what was: its first word from here is to be NodeProcesses.
  struct Joined {};
  // The session goes on; nothing was lost.
  struct Back {};
  // No word from the head.
  struct Silent {};
  // The connection is of no use any more.
  struct Reconnect {};
  // Said once for each reason.
  struct Refused {
    std::string reason{};
    bool is_final = false;
  };
  struct Heard {
    ToNode message{};
  };
  using Event = std::variant<Joined, Back, Silent, Reconnect, Refused, Heard>;

  explicit NodeMember(Options options) : options_(std::move(options)) {}

  // ---- What has happened. Times are seconds of any one clock.
  void connected(double now);
  void heard(const LinkHeader& header, std::span<const std::byte> bytes, double now);
  void tick(double now);

  // Nothing happens without a session: whoever joins says what there is.
  void say(const FromNode& message);
  void set_disk_free(uint64_t bytes) { disk_free_bytes_ = bytes; }

  // What is to be sent now.
  std::optional<std::pair<LinkHeader, LinkSession::Bytes>> next();

  std::vector<Event> take_events() { return std::exchange(events_, {}); }
  bool has_session() const { return session_.has_value(); }
  size_t bytes_waiting() const { return session_ ? session_->bytes_waiting() : 0; }

 private:
  void take_outside(const LinkHeader& header, std::span<const std::byte> bytes, double now);

  const Options options_;
  std::optional<LinkSession> session_{};
  bool is_connected_ = false;
  bool is_resumed_ = false;  // By this connection.
  bool is_silent_ = false;
  bool owes_hello_ = false;
  bool owes_header_ = false;
  double heard_ = 0;
  double hello_at_ = 0;
  double beat_at_ = 0;
  uint64_t disk_free_bytes_ = 0;
  std::string refused_{};
  std::vector<Event> events_{};
};

}  // namespace troupe::cluster
