#include "cluster/nodes/node_door.h"

#include <fmt/format.h>
#include <zmq.hpp>

#include <chrono>
#include <map>
#include <thread>
#include <utility>

#include "cluster/keys/authenticator.h"
#include "cluster/keys/curve_socket.h"
#include "cluster/nodes/link_mailbox.h"
#include "cluster/nodes/link_socket.h"
#include "schemas/monotonic_clock.h"
#include "schemas/node_codec.h"
#include "schemas/overloaded.h"

namespace troupe::cluster {
namespace {

constexpr auto kTick = std::chrono::milliseconds(100);
constexpr size_t kConnectionsMax = 2'048;
constexpr int kBatchMax = 256;  // Messages that are taken in before others go out again.

// Of the other end of a message's connection.
std::string address_of(const zmq::message_t& frame) {
  const char* const address = zmq_msg_gets(frame.handle(), "Peer-Address");
  std::string text = address == nullptr ? "" : address;
  // Of a socket that takes both families.
  if (text.rfind("::ffff:", 0) == 0) text = text.substr(7);
  return text;
}

}  // namespace

class NodeDoor::Impl {
 public:
  Impl(Options options, Handlers handlers)
      : options_(std::move(options)),
        handlers_(std::move(handlers)),
        roster_(options_.roster),
        router_(context_, zmq::socket_type::router) {}

  ~Impl() {
    mailbox_->close();
    if (thread_.joinable()) thread_.join();
    if (listener_ >= 0) forget_listener(listener_);
    router_.close();
    authenticator_.reset();
  }

  Status open() try {
    auto authenticator = Authenticator::begin(context_, find_in(options_.ring));
    if (!authenticator) return authenticator.error();
    authenticator_ = std::move(*authenticator);
    set_link_limits(router_);
    router_.set(zmq::sockopt::router_mandatory, true);
    set_curve_server(router_, options_.ring->head_keys(), KeyKind::kNode);
    auto listening = listen_at(options_.address);
    if (!listening) return listening.error();
    listener_ = listening->socket.get();
    address_ = listening->address;
    router_.set(zmq::sockopt::use_fd, listener_);
    bound_connections(listener_, kConnectionsMax);
    // The address only has to look like one: the descriptor is bound.
    router_.bind("tcp://" + text_of(address_));
    listening->socket.release();
    thread_ = std::thread([this] { run(); });
    return ok();
  } catch (const zmq::error_t& error) {
    return invalid_argument(
        fmt::format("cannot listen for nodes at {}: {}", text_of(options_.address), error.what()));
  }

  const HostPort& address() const { return address_; }
  void say(const std::string& node, ToNode message) {
    mailbox_->put({.node = node, .message = std::move(message)});
  }

 private:
  struct Item {
    std::string node{};
    std::optional<std::string> route{};  // Of a reply, beside the session.
    ToNode message{};
  };

  void run() {
    std::vector<Item> items;
    double ticked = 0;
    while (mailbox_->take(items)) {
      for (Item& item : items) {
        if (item.route) {
          reply(*item.route, {}, item.message);
        } else {
          roster_.say(item.node, item.message);
        }
      }
      bool has_more = take_in();
      const double now = monotonic_seconds();
      if (now - ticked >= std::chrono::duration<double>(kTick).count()) {
        ticked = now;
        roster_.tick(now);
        handlers_.ticked();
      }
      // What handlers say comes by the mailbox.
      hand_out();
      has_more |= send_out();
      if (has_more) continue;
      zmq::pollitem_t polled[] = {{router_.handle(), 0, ZMQ_POLLIN, 0},
                                  {nullptr, mailbox_->descriptor(), ZMQ_POLLIN, 0}};
      try {
        zmq::poll(polled, 2, kTick);
      } catch (const zmq::error_t& error) {
        if (error.num() != EINTR) throw;
      }
    }
  }

  // True: there may be more.
  bool take_in() {
    for (int i = 0; i < kBatchMax; ++i) {
      if (!receive_frames(router_, 2, frames_)) return false;
      if (frames_.size() == 2) take_message();
    }
    return true;
  }

  void take_message() {
    const std::string route = frames_[0].to_string();
    const auto sender = sender_of(frames_[1], *options_.ring);
    if (!sender) {
      for (auto& [node, its_route] : routes_) {
        if (its_route == route) roster_.revoked(node);
      }
      return;
    }
    const auto frame = link_frame_in(frames_[1]);
    if (!frame) return;
    if (frame->header.sequence > 0 || frame->bytes.empty()) {
      roster_.heard(sender->name, frame->header, frame->bytes, monotonic_seconds());
      return;
    }
    auto message = decode_from_node(frame->bytes);
    if (!message) return;
    if (auto* hello = std::get_if<NodeHello>(&*message)) {
      const ToNode answer = roster_.hello(sender->name, address_of(frames_[1]), frame->header,
                                          std::move(*hello), monotonic_seconds());
      LinkHeader with;
      if (std::holds_alternative<NodeWelcome>(answer)) {
        routes_[sender->name] = route;
        keys_[sender->name] = text_of(*key_of(frames_[1]));
        with.received = roster_.find(sender->name)->session.header().received;
      }
      reply(route, with, answer);
    } else if (auto* file = std::get_if<FileRequest>(&*message)) {
      handlers_.asked_for_file(
          sender->name, std::move(*file), [mailbox = mailbox_, route](FileReply answer) {
            mailbox->put({.node = {}, .route = route, .message = std::move(answer)});
          });
    }
  }

  void reply(const std::string& route, const LinkHeader& header, const ToNode& message) {
    send(route, header, encode(message));
  }

  // False: the connection takes no more, or is gone.
  bool send(const std::string& route, const LinkHeader& header, std::span<const std::byte> bytes) {
    try {
      return send_link_frame(router_, route, header, bytes);
    } catch (const zmq::error_t& error) {
      if (error.num() != EHOSTUNREACH) throw;
      return false;
    }
  }

  bool send_out() {
    for (auto& [name, node] : roster_.nodes()) {
      const auto route = routes_.find(name);
      if (route == routes_.end()) continue;
      // What is lost with a connection is sent again by the next one.
      while (const auto part = roster_.next(node)) send(route->second, part->header, part->bytes);
    }
    return false;
  }

  void hand_out() {
    for (NodeRoster::Event& event : roster_.take_events()) {
      std::visit(
          Overloaded{
              [&](const NodeRoster::Joined& one) {
                if (const auto* node = roster_.find(one.node)) {
                  handlers_.joined(one.node, node->hello, node->address, keys_[one.node]);
                }
              },
              [&](const NodeRoster::Away& one) { handlers_.away(one.node); },
              [&](const NodeRoster::Back& one) { handlers_.back(one.node); },
              [&](const NodeRoster::Gone& one) { handlers_.gone(one.node, one.why); },
              [&](NodeRoster::Said& one) { handlers_.said(one.node, std::move(one.message)); },
          },
          event);
    }
  }

  const Options options_;
  const Handlers handlers_;
  const std::shared_ptr<LinkMailbox<Item>> mailbox_ = std::make_shared<LinkMailbox<Item>>();
  NodeRoster roster_;
  std::map<std::string, std::string> routes_{};  // Of nodes that are welcome.
  std::map<std::string, std::string> keys_{};    // Likewise.
  std::vector<zmq::message_t> frames_{};
  zmq::context_t context_{};
  zmq::socket_t router_;
  std::unique_ptr<Authenticator> authenticator_{};
  HostPort address_{};
  int listener_ = -1;
  std::thread thread_{};
};

NodeDoor::NodeDoor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NodeDoor::~NodeDoor() = default;

Result<std::unique_ptr<NodeDoor>> NodeDoor::open(Options options, Handlers handlers) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handlers));
  if (Status opened = impl->open(); !opened) return opened.error();
  return std::unique_ptr<NodeDoor>(new NodeDoor(std::move(impl)));
}

const HostPort& NodeDoor::address() const { return impl_->address(); }
void NodeDoor::say(const std::string& node, ToNode message) {
  impl_->say(node, std::move(message));
}

}  // namespace troupe::cluster
