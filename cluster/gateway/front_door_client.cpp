#include "cluster/gateway/front_door_client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "cluster/gateway/front_door.h"
#include "cluster/monitor/metrics_feed.h"
#include "schemas/control_codec.h"

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kFeedHighWater = 1'000;
constexpr int kRequestsWaitingMax = 16;
constexpr int kReconnectMs = 50;

// A daemon listens at the path. libzmq would wait for one for ever.
Status check_listening(const std::string& folder) {
  const std::string path = control_socket(folder);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) {
    return Error{ErrorCode::kInternal,
                 "cannot make a socket: " + std::generic_category().message(errno)};
  }
  const int connected =
      ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  ::close(socket);
  if (connected == 0 || error == EAGAIN) return ok();  // EAGAIN: others wait to be let in too.
  if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR) {
    return Error{ErrorCode::kInternal,
                 fmt::format("no daemon serves {}; start trouped, or name its folder with --server",
                             folder)};
  }
  return Error{ErrorCode::kInternal, fmt::format("cannot reach the daemon at {}: {}", path,
                                                 std::generic_category().message(error))};
}

bool may_be_sent_again(const ControlRequest& request) {
  return !std::holds_alternative<CancelJob>(request) &&
         !std::holds_alternative<PauseJob>(request) && !std::holds_alternative<ResumeJob>(request);
}

std::span<const std::byte> bytes_of(const zmq::message_t& frame) {
  return {static_cast<const std::byte*>(frame.data()), frame.size()};
}

// All frames of the next message; empty when none waits.
std::vector<zmq::message_t> receive(void* socket) {
  std::vector<zmq::message_t> frames;
  for (bool has_more = true; has_more;) {
    zmq::message_t frame;
    if (zmq_msg_recv(frame.handle(), socket, ZMQ_DONTWAIT) < 0) return {};
    has_more = frame.more();
    frames.push_back(std::move(frame));
  }
  return frames;
}

// A connection for requests, which notices when it breaks.
class Connection {
 public:
  Connection(zmq::context_t& context, const std::string& folder, uint64_t number)
      : socket_(context, zmq::socket_type::dealer), events_(context, zmq::socket_type::pair) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::sndhwm, kRequestsWaitingMax);
    socket_.set(zmq::sockopt::rcvhwm, kRequestsWaitingMax);
    socket_.set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(kControlBytesMax));
    socket_.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
    const std::string endpoint = fmt::format("inproc://door-events-{}", number);
    if (zmq_socket_monitor(socket_.handle(), endpoint.c_str(), ZMQ_EVENT_DISCONNECTED) != 0) {
      throw zmq::error_t();
    }
    events_.set(zmq::sockopt::linger, 0);
    events_.connect(endpoint);
    socket_.connect("ipc://" + control_socket(folder));
  }
  ~Connection() {
    zmq_socket_monitor(socket_.handle(), nullptr, 0);
    events_.close();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(uint64_t tag, const std::vector<std::byte>& payload) {
    // A socket hears only now and then that its queue was emptied, and would refuse as if it were
    // full; asking for its state makes it listen.
    zmq::pollitem_t item{socket_.handle(), 0, ZMQ_POLLOUT, 0};
    zmq_poll(&item, 1, 0);
    zmq_send(socket_.handle(), &tag, sizeof(tag), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket_.handle(), payload.data(), payload.size(), ZMQ_DONTWAIT);
  }

  enum class Heard { kReply, kBroken, kNothing };
  Heard wait(uint64_t tag, Clock::time_point deadline, zmq::message_t& reply) {
    for (;;) {
      // What came before the connection broke counts.
      for (auto frames = receive(socket_.handle()); !frames.empty();
           frames = receive(socket_.handle())) {
        // An answer to an earlier request that was given up has another tag.
        if (frames.size() == 2 && frames[0].size() == sizeof(tag) &&
            std::memcmp(frames[0].data(), &tag, sizeof(tag)) == 0) {
          reply = std::move(frames[1]);
          return Heard::kReply;
        }
      }
      if (!receive(events_.handle()).empty()) return Heard::kBroken;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) return Heard::kNothing;
      std::array<zmq::pollitem_t, 2> items = {zmq::pollitem_t{socket_.handle(), 0, ZMQ_POLLIN, 0},
                                              zmq::pollitem_t{events_.handle(), 0, ZMQ_POLLIN, 0}};
      zmq_poll(items.data(), 2, static_cast<long>(left.count()));
    }
  }

 private:
  zmq::socket_t socket_;
  zmq::socket_t events_;
};

}  // namespace

class FrontDoorClient::Impl {
 public:
  explicit Impl(Options options) : options_(std::move(options)) { renew(); }

  Result<ControlReply> ask(const ControlRequest& request) {
    const auto payload = encode(request);
    const auto deadline = Clock::now() + options_.deadline;
    const uint64_t tag = ++last_tag_;
    connection_->send(tag, payload);
    for (int renewals = 0;; ++renewals) {
      zmq::message_t reply;
      switch (connection_->wait(tag, deadline, reply)) {
        case Connection::Heard::kReply: {
          auto decoded = decode_control_reply(bytes_of(reply));
          if (decoded && decoded->error) return *decoded->error;
          return decoded;
        }
        case Connection::Heard::kNothing:
          return Error{
              ErrorCode::kUnknownOutcome,
              fmt::format("no answer from {} within {} s; is trouped running?", options_.folder,
                          std::chrono::duration<double>(options_.deadline).count())};
        case Connection::Heard::kBroken:
          renew();
          if (renewals > 0 || !may_be_sent_again(request)) {
            return Error{ErrorCode::kUnknownOutcome,
                         fmt::format("the connection to {} broke before the answer came; the "
                                     "request may have been done: look with troupe jobs",
                                     options_.folder)};
          }
          connection_->send(tag, payload);
      }
    }
  }

  Status subscribe(uint64_t job) {
    if (!feed_) {
      feed_.emplace(context_, zmq::socket_type::sub);
      feed_->set(zmq::sockopt::linger, 0);
      feed_->set(zmq::sockopt::rcvhwm, kFeedHighWater);
      feed_->set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(kControlBytesMax));
      feed_->set(zmq::sockopt::reconnect_ivl, kReconnectMs);
      feed_->connect("ipc://" + feed_socket(options_.folder));
    }
    feed_->set(zmq::sockopt::subscribe, feed_topic(job));
    return ok();
  }

  Result<std::optional<RunEvent>> next_event(std::chrono::milliseconds timeout) {
    if (!feed_) return std::optional<RunEvent>{};
    auto frames = receive(feed_->handle());
    if (frames.empty()) {
      zmq::pollitem_t item{feed_->handle(), 0, ZMQ_POLLIN, 0};
      zmq_poll(&item, 1, static_cast<long>(timeout.count()));
      frames = receive(feed_->handle());
    }
    if (frames.empty()) return std::optional<RunEvent>{};
    if (frames.size() != 2) {
      return Error{ErrorCode::kCorruption, fmt::format("an event of {} parts came from {}",
                                                       frames.size(), options_.folder)};
    }
    auto event = decode_run_event(bytes_of(frames[1]));
    if (!event) return event.error();
    return std::optional<RunEvent>(std::move(*event));
  }

 private:
  void renew() {
    connection_.reset();
    connection_.emplace(context_, options_.folder, ++last_connection_);
  }

  Options options_;
  zmq::context_t context_{1};
  uint64_t last_tag_ = 0;
  uint64_t last_connection_ = 0;
  std::optional<Connection> connection_{};
  std::optional<zmq::socket_t> feed_{};
};

FrontDoorClient::FrontDoorClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FrontDoorClient::~FrontDoorClient() = default;

Result<std::unique_ptr<FrontDoorClient>> FrontDoorClient::connect(Options options) try {
  if (auto checked = check_socket_paths(options.folder); !checked) return checked.error();
  if (auto there = check_listening(options.folder); !there) return there.error();
  return std::unique_ptr<FrontDoorClient>(
      new FrontDoorClient(std::make_unique<Impl>(std::move(options))));
} catch (const zmq::error_t& error) {
  return Error{ErrorCode::kInternal, std::string("cannot make the sockets: ") + error.what()};
}

Result<ControlReply> FrontDoorClient::ask(const ControlRequest& request) {
  return impl_->ask(request);
}
Status FrontDoorClient::subscribe(uint64_t job) { return impl_->subscribe(job); }
Result<std::optional<RunEvent>> FrontDoorClient::next_event(std::chrono::milliseconds timeout) {
  return impl_->next_event(timeout);
}

}  // namespace troupe::cluster
