#include "cluster/nodes/node_roster.h"

#include <fmt/format.h>

#include <utility>

#include "schemas/node_codec.h"

namespace troupe::cluster {

bool is_loopback(const std::string& address) {
  return address.rfind("127.", 0) == 0 || address == "::1" || address == "localhost" ||
         address.rfind("::ffff:127.", 0) == 0;
}

NodeRoster::NodeRoster(Options options)
    : options_(std::move(options)), next_session_(options_.first_session) {}

std::optional<std::string> NodeRoster::refusal(const std::string& node, const std::string& address,
                                               const NodeHello& hello) const {
  if (hello.build != options_.build) {
    return fmt::format("the node runs build {}, the head build {}; install the same on both",
                       hello.build, options_.build);
  }
  if (hello.arithmetic_id != options_.arithmetic_id) {
    return fmt::format("the node computes with arithmetic {}, the head with {}",
                       hello.arithmetic_id, options_.arithmetic_id);
  }
  for (const auto& [name, other] : nodes_) {
    if (name == node || is_loopback(other.address) == is_loopback(address)) continue;
    const bool is_mine = is_loopback(address);
    return fmt::format(
        "{} is known as {}, which only its own host can reach, and {} as {}; let {} join by an "
        "address that all hosts reach, or give it one with --address",
        is_mine ? node : name, is_mine ? address : other.address, is_mine ? name : node,
        is_mine ? other.address : address, is_mine ? node : name);
  }
  if (!hello.shared_home.empty()) return options_.find_unshared(node, hello);
  return std::nullopt;
}

ToNode NodeRoster::hello(const std::string& name, const std::string& from_address,
                         const LinkHeader& header, NodeHello hello, double now) {
  const uint64_t instance = hello.instance;
  const auto refused = [instance](std::string reason, bool is_final) -> ToNode {
    return NodeRefused{.instance = instance, .reason = std::move(reason), .is_final = is_final};
  };
  Node* known = find(name);
  if (known != nullptr && known->hello.instance == instance &&
      header.session == known->session.id()) {
    if (Status resumed = known->session.resume(header.received); !resumed) {
      give_up(name, resumed.error().message);
      return refused(resumed.error().message, false);
    }
    known->heard = now;
    if (std::exchange(known->is_away, false)) events_.push_back(Back{name});
    return NodeWelcome{.instance = instance, .session = known->session.id()};
  }
  const std::string address = hello.address.empty() ? from_address : hello.address;
  if (auto reason = refusal(name, address, hello)) return refused(std::move(*reason), true);
  if (known != nullptr && known->hello.instance != instance && !known->is_away) {
    return refused(fmt::format("another daemon has joined as {} from {}; if that one has ended, "
                               "this one is let in as soon as it has been silent for a while",
                               name, known->address),
                   false);
  }
  if (known != nullptr) give_up(name, "its daemon was started anew");
  nodes_.emplace(name, Node{.hello = std::move(hello),
                            .address = address,
                            .heard = now,
                            .session = LinkSession(next_session_, options_.limits)});
  events_.push_back(Joined{name});
  return NodeWelcome{.instance = instance, .session = next_session_++};
}

bool NodeRoster::heard(const std::string& name, const LinkHeader& header,
                       std::span<const std::byte> bytes, double now) {
  Node* node = find(name);
  if (node == nullptr || header.session != node->session.id()) return false;
  node->heard = now;
  if (std::exchange(node->is_away, false)) events_.push_back(Back{name});
  const auto heard = node->session.hear(header, bytes);
  if (!heard) {
    give_up(name, heard.error().message);
    return false;
  }
  if (node->session.owes_header()) node->owes_header = true;
  if (!heard->message) return true;
  auto message = decode_from_node(*heard->message);
  if (!message) {
    give_up(name, message.error().message);
    return false;
  }
  if (std::holds_alternative<NodeBeat>(*message)) {
    node->owes_header = true;
  }
  if (const auto* leaves = std::get_if<NodeLeaves>(&*message);
      leaves != nullptr && leaves->is_now) {
    give_up(name, "it has left");
    return false;
  }
  events_.push_back(Said{name, std::move(*message)});
  return true;
}

void NodeRoster::revoked(const std::string& node) { give_up(node, "its key was revoked"); }

void NodeRoster::tick(double now) {
  std::vector<std::pair<std::string, std::string>> lost;
  for (auto& [name, node] : nodes_) {
    const double silence = now - node.heard;
    if (silence > options_.away_after && !std::exchange(node.is_away, true)) {
      events_.push_back(Away{name});
    }
    if (silence > options_.gone_after) {
      lost.emplace_back(name, fmt::format("it has been silent for {:.0f} s", silence));
    } else if (node.session.bytes_waiting() > options_.bytes_waiting_max) {
      lost.emplace_back(name, "it does not take what is sent to it");
    }
  }
  for (const auto& [name, why] : lost) give_up(name, why);
}

void NodeRoster::say(const std::string& name, const ToNode& message) {
  if (Node* node = find(name)) node->session.say(encode(message));
}

std::optional<LinkSession::Part> NodeRoster::next(Node& node) {
  if (auto part = node.session.next()) {
    node.owes_header = false;
    return part;
  }
  if (!std::exchange(node.owes_header, false)) return std::nullopt;
  return LinkSession::Part{.header = node.session.header()};
}

std::vector<NodeRoster::Event> NodeRoster::take_events() { return std::exchange(events_, {}); }

NodeRoster::Node* NodeRoster::find(const std::string& node) {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : &found->second;
}

void NodeRoster::give_up(const std::string& node, const std::string& why) {
  if (nodes_.erase(node) > 0) events_.push_back(Gone{node, why});
}

}  // namespace troupe::cluster
