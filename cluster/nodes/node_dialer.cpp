#include "cluster/nodes/node_dialer.h"

#include <fmt/format.h>
#include <zmq.hpp>

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "cluster/keys/curve_socket.h"
#include "cluster/nodes/link_mailbox.h"
#include "cluster/nodes/link_socket.h"
#include "schemas/monotonic_clock.h"
#include "schemas/node_codec.h"
#include "schemas/overloaded.h"

namespace troupe::cluster {
namespace {

constexpr auto kTick = std::chrono::milliseconds(50);
constexpr int kBatchMax = 256;
constexpr auto kLastPatience = std::chrono::seconds(2);

}  // namespace

class NodeDialer::Impl {
 public:
  Impl(Options options, Handlers handlers)
      : options_(std::move(options)), handlers_(std::move(handlers)), member_(options_.member) {}

  ~Impl() {
    mailbox_->close();
    if (thread_.joinable()) thread_.join();
    hang_up();
  }

  Status open() try {
    dial();
    thread_ = std::thread([this] { run(); });
    return ok();
  } catch (const zmq::error_t& error) {
    return invalid_argument(
        fmt::format("cannot dial the head at {}: {}", options_.endpoint, error.what()));
  }

  void say(FromNode message) { mailbox_->put(std::move(message)); }

  void say_last(FromNode message) {
    std::unique_lock lock(mutex_);
    last_ = std::move(message);
    // The thread looks often enough by itself.
    said_last_.wait_for(lock, kLastPatience, [this] { return !last_; });
  }

 private:
  // Hands over the last word, and notices when the head has it.
  void say_what_is_last() {
    const std::lock_guard lock(mutex_);
    if (!last_) return;
    if (!is_last_said_) {
      member_.say(*last_);
      is_last_said_ = true;
    } else if (member_.bytes_waiting() == 0) {
      last_.reset();
      said_last_.notify_all();
    }
  }

  void dial() {
    socket_ = zmq::socket_t(context_, zmq::socket_type::dealer);
    set_link_limits(socket_);
    // Nothing is kept for a connection that is not there; the session keeps what counts.
    socket_.set(zmq::sockopt::immediate, true);
    set_curve_client(socket_, options_.key);
    const std::string events = fmt::format("inproc://events{}", ++num_dialled_);
    if (zmq_socket_monitor(socket_.handle(), events.c_str(), ZMQ_EVENT_HANDSHAKE_SUCCEEDED) != 0) {
      throw zmq::error_t();
    }
    events_ = zmq::socket_t(context_, zmq::socket_type::pair);
    events_.set(zmq::sockopt::linger, 0);
    events_.connect(events);
    socket_.connect(options_.endpoint);
  }

  void hang_up() {
    if (!socket_) return;
    zmq_socket_monitor(socket_.handle(), nullptr, 0);
    events_.close();
    socket_.close();
  }

  void run() {
    std::vector<FromNode> items;
    while (mailbox_->take(items)) {
      for (FromNode& item : items) {
        if (std::holds_alternative<FileRequest>(item)) {
          send_link_frame(socket_, std::nullopt, {}, encode(item));
        } else {
          member_.say(item);
        }
      }
      say_what_is_last();
      look_for_connections();
      const bool has_more = take_in();
      member_.set_disk_free(handlers_.disk_free_bytes());
      member_.tick(monotonic_seconds());
      hand_out();
      while (const auto frame = member_.next()) {
        send_link_frame(socket_, std::nullopt, frame->first, frame->second);
      }
      if (has_more) continue;
      zmq::pollitem_t polled[] = {{socket_.handle(), 0, ZMQ_POLLIN, 0},
                                  {events_.handle(), 0, ZMQ_POLLIN, 0},
                                  {nullptr, mailbox_->descriptor(), ZMQ_POLLIN, 0}};
      try {
        zmq::poll(polled, 3, kTick);
      } catch (const zmq::error_t& error) {
        if (error.num() != EINTR) throw;
      }
    }
  }

  void look_for_connections() {
    std::array<std::byte, 6> event{};
    while (zmq_recv(events_.handle(), event.data(), event.size(), ZMQ_DONTWAIT) >= 0) {
      zmq_recv(events_.handle(), nullptr, 0, ZMQ_DONTWAIT);  // The address.
      member_.connected(monotonic_seconds());
    }
  }

  bool take_in() {
    for (int i = 0; i < kBatchMax; ++i) {
      if (!receive_frames(socket_, 1, frames_)) return false;
      if (frames_.empty()) continue;
      const auto frame = link_frame_in(frames_[0]);
      if (frame) member_.heard(frame->header, frame->bytes, monotonic_seconds());
    }
    return true;
  }

  void hand_out() {
    for (NodeMember::Event& event : member_.take_events()) {
      std::visit(
          Overloaded{
              [&](const NodeMember::Joined&) { member_.say(handlers_.joined()); },
              [&](const NodeMember::Back&) { handlers_.back(); },
              [&](const NodeMember::Silent&) { handlers_.silent(); },
              [&](const NodeMember::Reconnect&) {
                hang_up();
                dial();
              },
              [&](const NodeMember::Refused& one) { handlers_.refused(one.reason, one.is_final); },
              [&](NodeMember::Heard& one) { handlers_.heard(std::move(one.message)); },
          },
          event);
    }
  }

  const Options options_;
  const Handlers handlers_;
  const std::shared_ptr<LinkMailbox<FromNode>> mailbox_ = std::make_shared<LinkMailbox<FromNode>>();
  NodeMember member_;
  std::vector<zmq::message_t> frames_{};
  zmq::context_t context_{};
  zmq::socket_t socket_{};
  zmq::socket_t events_{};
  uint64_t num_dialled_ = 0;
  std::mutex mutex_{};
  std::condition_variable said_last_{};
  std::optional<FromNode> last_{};  // Guarded by mutex_.
  bool is_last_said_ = false;       // Guarded by mutex_.
  std::thread thread_{};
};

NodeDialer::NodeDialer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NodeDialer::~NodeDialer() = default;

Result<std::unique_ptr<NodeDialer>> NodeDialer::open(Options options, Handlers handlers) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handlers));
  if (Status opened = impl->open(); !opened) return opened.error();
  return std::unique_ptr<NodeDialer>(new NodeDialer(std::move(impl)));
}

void NodeDialer::say(FromNode message) { impl_->say(std::move(message)); }
void NodeDialer::say_last(FromNode message) { impl_->say_last(std::move(message)); }
void NodeDialer::ask_for_file(FileRequest request) { impl_->say(std::move(request)); }

}  // namespace troupe::cluster
