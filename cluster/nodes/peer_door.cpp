#include "cluster/nodes/peer_door.h"

#include <fmt/format.h>
#include <zmq.hpp>

#include <algorithm>
#include <chrono>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/gateway/host_port.h"
#include "cluster/keys/authenticator.h"
#include "cluster/keys/curve_socket.h"
#include "cluster/nodes/link_mailbox.h"
#include "cluster/nodes/link_socket.h"
#include "cluster/nodes/peer_reader.h"
#include "schemas/node_codec.h"

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kConnectionsMax = 256;
constexpr int kBatchMax = 64;
// For bytes that are not here yet, of all who wait together: whoever reads gives up later.
constexpr size_t kWaitingMax = 4'096;
constexpr auto kWaitMax = kPeerSilenceMax / 2;
constexpr auto kTick = std::chrono::milliseconds(200);

struct Nothing {};

}  // namespace

class PeerDoor::Impl {
 public:
  Impl(CopyShelf& shelf, CurveKeys keys)
      : shelf_(shelf), keys_(std::move(keys)), router_(context_, zmq::socket_type::router) {}

  ~Impl() {
    shelf_.on_change({});
    mailbox_->close();
    if (thread_.joinable()) thread_.join();
    if (listener_ >= 0) forget_listener(listener_);
    router_.close();
    authenticator_.reset();
  }

  Status open(const std::string& address) try {
    auto authenticator =
        Authenticator::begin(context_, [this](const PublicKey& key) { return find(key); });
    if (!authenticator) return authenticator.error();
    authenticator_ = std::move(*authenticator);
    set_link_limits(router_);
    router_.set(zmq::sockopt::router_mandatory, true);
    set_curve_server(router_, keys_, KeyKind::kNode);
    auto listening = listen_at({address, 0});
    if (!listening) return listening.error();
    listener_ = listening->socket.get();
    port_ = listening->address.port;
    router_.set(zmq::sockopt::use_fd, listener_);
    bound_connections(listener_, kConnectionsMax);
    // The address only has to look like one: the descriptor is bound.
    router_.bind("tcp://" + text_of(listening->address));
    listening->socket.release();
    shelf_.on_change([mailbox = mailbox_] { mailbox->put({}); });
    thread_ = std::thread([this] { run(); });
    return ok();
  } catch (const zmq::error_t& error) {
    return invalid_argument(
        fmt::format("cannot listen for other nodes at {}: {}", address, error.what()));
  }

  uint16_t port() const { return port_; }
  const std::string& key() const { return keys_.public_key; }

  void let_in(const std::string& node, const std::string& text) {
    const auto key = public_key_of(text);
    const std::lock_guard lock(mutex_);
    std::erase_if(allowed_, [&](const auto& one) { return one.second == node; });
    if (key) allowed_[*key] = node;
  }
  void shut_out(const std::string& node) {
    const std::lock_guard lock(mutex_);
    std::erase_if(allowed_, [&](const auto& one) { return one.second == node; });
  }
  void shut_all_out() {
    const std::lock_guard lock(mutex_);
    allowed_.clear();
  }

 private:
  struct Waiting {
    std::string route{};
    uint64_t request_id = 0;
    ReadCopy what{};
    Clock::time_point since{};
  };

  std::optional<Identity> find(const PublicKey& key) {
    const std::lock_guard lock(mutex_);
    const auto node = allowed_.find(key);
    if (node == allowed_.end()) return std::nullopt;
    return Identity{.kind = KeyKind::kNode, .name = node->second};
  }

  void run() {
    std::vector<Nothing> ignored;
    while (mailbox_->take(ignored)) {
      answer_waiting();
      if (take_in()) continue;
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
    // A connection outlives its key.
    const auto key = key_of(frames_[1]);
    if (!key || !find(*key)) return;
    const auto frame = link_frame_in(frames_[1]);
    if (!frame) return;
    auto message = decode_from_node(frame->bytes);
    if (!message) return;
    const auto* request = std::get_if<FileRequest>(&*message);
    const auto* what = request == nullptr ? nullptr : std::get_if<ReadCopy>(&request->what);
    if (what == nullptr || what->size == 0) return;
    Waiting one{frames_[0].to_string(), request->request_id, *what, Clock::now()};
    if (!answer(one) && waiting_.size() < kWaitingMax) waiting_.push_back(std::move(one));
  }

  void answer_waiting() {
    waiting_.remove_if([this](const Waiting& one) { return answer(one); });
  }

  // False: it is to wait.
  bool answer(const Waiting& one) {
    FileReply reply{.request_id = one.request_id};
    auto bytes = shelf_.read(one.what);
    if (!bytes) {
      if (Clock::now() - one.since < kWaitMax) return false;
      bytes = Error{ErrorCode::kInternal, fmt::format("{} does not come on", one.what.file.path)};
    }
    if (*bytes) {
      reply.bytes = std::move(**bytes);
    } else {
      reply.error = bytes->error();
    }
    try {
      send_link_frame(router_, one.route, {}, encode(ToNode(std::move(reply))));
    } catch (const zmq::error_t& error) {
      if (error.num() != EHOSTUNREACH) throw;
    }
    return true;
  }

  CopyShelf& shelf_;
  const CurveKeys keys_;
  const std::shared_ptr<LinkMailbox<Nothing>> mailbox_ = std::make_shared<LinkMailbox<Nothing>>();
  std::mutex mutex_{};
  std::map<PublicKey, std::string> allowed_{};  // Guarded by mutex_.
  std::list<Waiting> waiting_{};
  std::vector<zmq::message_t> frames_{};
  zmq::context_t context_{};
  zmq::socket_t router_;
  std::unique_ptr<Authenticator> authenticator_{};
  uint16_t port_ = 0;
  int listener_ = -1;
  std::thread thread_{};
};

PeerDoor::PeerDoor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PeerDoor::~PeerDoor() = default;

Result<std::unique_ptr<PeerDoor>> PeerDoor::open(const std::string& address, CopyShelf& shelf) {
  auto keys = make_curve_keys();
  if (!keys) return keys.error();
  auto impl = std::make_unique<Impl>(shelf, std::move(*keys));
  if (Status opened = impl->open(address); !opened) return opened.error();
  return std::unique_ptr<PeerDoor>(new PeerDoor(std::move(impl)));
}

uint16_t PeerDoor::port() const { return impl_->port(); }
const std::string& PeerDoor::key() const { return impl_->key(); }
void PeerDoor::let_in(const std::string& node, const std::string& key) { impl_->let_in(node, key); }
void PeerDoor::shut_out(const std::string& node) { impl_->shut_out(node); }
void PeerDoor::shut_all_out() { impl_->shut_all_out(); }

}  // namespace troupe::cluster
