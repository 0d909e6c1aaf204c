// The nodes of a cluster as their head knows them, as a state machine: who is let in, who is heard,
// who is away, and the session with each.
//
//   unknown ──hello──▶ up ──silence──▶ away ──heard──▶ up
//                      ▲                 └── silent for long, or another run of the daemon ──▶ gone
//                      └──────────────────── hello ◀──────────────────────────────────────────┘
//
// Who a node is comes from its key and is a given here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "cluster/nodes/link_session.h"
#include "schemas/node.h"
#include "schemas/result.h"

namespace troupe::cluster {

class NodeRoster {
 public:
  struct Options {
    std::string build{};
    std::string arithmetic_id{};
    uint64_t first_session = 1;  // No other head has used it or a later one.
    double away_after = 1.5;     // Seconds without a word.
    double gone_after = 120;     // Then its processes are given up, and nothing is kept for it.
    size_t bytes_waiting_max = size_t{2} << 30;  // For one node, which is given up at more.
    LinkSession::Limits limits{};
    // Why a node that says that it shares the head's folder does not; nothing: it does.
    std::function<std::optional<std::string>(const std::string& node, const NodeHello& hello)>
        find_unshared = [](const std::string&, const NodeHello&) {
          return std::optional<std::string>("this head shares no folder");
        };
  };

  // ---- What comes of events.
  // It has joined, or is another run of its daemon: nothing that was there before is.
  struct Joined {
    std::string node{};
  };
  struct Away {
    std::string node{};
  };
  struct Back {
    std::string node{};
  };
  // Nothing that it still says counts.
  struct Gone {
    std::string node{};
    std::string why{};
  };
  struct Said {
    std::string node{};
    FromNode message{};
  };
  using Event = std::variant<Joined, Away, Back, Gone, Said>;

  struct Node {
    NodeHello hello{};
    std::string address{};  // Where others reach it.
    bool is_away = false;
    double heard = 0;
    bool owes_header = false;  // So that it hears that its head is there.
    LinkSession session;
  };

  explicit NodeRoster(Options options);

  // ---- What has happened. Times are seconds of any one clock.
  // A hello that came from an address with a header. The answer goes to where it came from; after a
  // welcome that is where the node is.
  ToNode hello(const std::string& node, const std::string& from_address, const LinkHeader& header,
               NodeHello hello, double now);
  // A frame of a session. True: it is of the node's session. Otherwise it has none, and is to say
  // hello.
  bool heard(const std::string& node, const LinkHeader& header, std::span<const std::byte> bytes,
             double now);
  // Its key is none any more.
  void revoked(const std::string& node);
  void tick(double now);

  // Nothing happens when the node is not there.
  void say(const std::string& node, const ToNode& message);

  // What is to be sent to a node now; each once.
  std::optional<LinkSession::Part> next(Node& node);

  std::vector<Event> take_events();

  Node* find(const std::string& node);
  std::map<std::string, Node>& nodes() { return nodes_; }

 private:
  void give_up(const std::string& node, const std::string& why);
  std::optional<std::string> refusal(const std::string& node, const std::string& address,
                                     const NodeHello& hello) const;

  const Options options_;
  std::map<std::string, Node> nodes_{};
  uint64_t next_session_;
  std::vector<Event> events_{};
};

// Whether it means the host itself, to whoever reads it.
bool is_loopback(const std::string& address);

}  // namespace troupe::cluster
