#include "cluster/nodes/node_member.h"

#include "schemas/node_codec.h"

namespace troupe::cluster {

void NodeMember::connected(double now) {
  is_connected_ = true;
  is_resumed_ = false;
  owes_hello_ = true;
  heard_ = hello_at_ = now;
}

void NodeMember::heard(const LinkHeader& header, std::span<const std::byte> bytes, double now) {
  heard_ = now;
  if (header.session == 0) return take_outside(header, bytes, now);
  if (!session_ || header.session != session_->id()) return;
  const auto heard = session_->hear(header, bytes);
  if (!heard) {
    // Both begin anew.
    session_.reset();
    owes_hello_ = true;
    return;
  }
  if (heard->is_missing && is_resumed_) {
    is_resumed_ = false;
    owes_hello_ = true;
    hello_at_ = now;
  }
  if (session_->owes_header()) owes_header_ = true;
  if (!heard->message) return;
  auto message = decode_to_node(*heard->message);
  if (!message) {
    session_.reset();
    owes_hello_ = true;
    return;
  }
  events_.push_back(Heard{std::move(*message)});
}

// What the head says to whoever it has no session with, and replies that need none.
void NodeMember::take_outside(const LinkHeader& header, std::span<const std::byte> bytes,
                              double now) {
  auto message = decode_to_node(bytes);
  if (!message) return;
  if (auto* refused = std::get_if<NodeRefused>(&*message)) {
    if (refused->instance != options_.hello.instance) return;
    session_.reset();
    if (std::exchange(refused_, refused->reason) != refused->reason || refused->is_final) {
      events_.push_back(Refused{refused->reason, refused->is_final});
    }
    return;
  }
  const auto* welcome = std::get_if<NodeWelcome>(&*message);
  if (welcome == nullptr) {
    events_.push_back(Heard{std::move(*message)});
    return;
  }
  if (welcome->instance != options_.hello.instance || is_resumed_) return;
  refused_.clear();
  owes_hello_ = false;
  is_silent_ = false;
  beat_at_ = now;
  if (session_ && session_->id() == welcome->session) {
    if (session_->resume(header.received)) {
      is_resumed_ = true;
      events_.push_back(Back{});
    } else {
      session_.reset();
      owes_hello_ = true;
    }
    return;
  }
  session_.emplace(welcome->session, options_.limits);
  is_resumed_ = true;
  events_.push_back(Joined{});
}

void NodeMember::tick(double now) {
  if (now - heard_ > options_.silence_max) {
    if (session_ && !std::exchange(is_silent_, true)) events_.push_back(Silent{});
    is_connected_ = is_resumed_ = false;
    heard_ = now;  // The next attempt has as long.
    events_.push_back(Reconnect{});
    return;
  }
  if (!is_connected_) return;
  if (!is_resumed_) {
    if (now - hello_at_ >= options_.hello_every) {
      owes_hello_ = true;
      hello_at_ = now;
    }
  } else if (now - beat_at_ >= options_.beat_every) {
    beat_at_ = now;
    say(NodeBeat{disk_free_bytes_});
  }
}

void NodeMember::say(const FromNode& message) {
  if (session_) session_->say(encode(message));
}

std::optional<std::pair<LinkHeader, LinkSession::Bytes>> NodeMember::next() {
  if (!is_connected_) return std::nullopt;
  if (std::exchange(owes_hello_, false)) {
    LinkHeader header = session_ ? session_->header() : LinkHeader{};
    return std::pair(header, encode(FromNode(options_.hello)));
  }
  if (!session_ || !is_resumed_) return std::nullopt;
  if (auto part = session_->next()) {
    owes_header_ = false;
    return std::pair(part->header, LinkSession::Bytes(part->bytes.begin(), part->bytes.end()));
  }
  if (std::exchange(owes_header_, false))
    return std::pair(session_->header(), LinkSession::Bytes());
  return std::nullopt;
}

}  // namespace troupe::cluster
