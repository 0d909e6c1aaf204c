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
#include <deque>
#include <map>
#include <span>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/gateway/frame_bytes.h"
#include "cluster/gateway/front_door.h"
#include "cluster/keys/curve_socket.h"
#include "cluster/monitor/metrics_feed.h"
#include "schemas/control_codec.h"

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kFeedHighWater = 1'000;
constexpr int kRequestsWaitingMax = 16;
constexpr int kReconnectMs = 50;
constexpr int kHeartbeatMs = 5'000;
constexpr int kHeartbeatTimeoutMs = 20'000;
constexpr std::chrono::milliseconds kFollowAgain{10'000};
static_assert(kFollowAgain < std::chrono::seconds(kFollowSeconds) / 2);

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

// Where the daemon's socket is, and what it is shown there.
struct Place {
  std::string endpoint{};
  const KeyFile* key = nullptr;  // Over the network; outlives the sockets.
};

void set_door(zmq::socket_t& socket, const Place& place, int high_water) {
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndhwm, high_water);
  socket.set(zmq::sockopt::rcvhwm, high_water);
  socket.set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(kControlBytesMax) + kCurveBytes);
  socket.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
  if (place.key == nullptr) return;
  set_curve_client(socket, *place.key);
  socket.set(zmq::sockopt::ipv6, true);
  // A host that is gone without a word is noticed.
  socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
  socket.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeoutMs);
}

// A connection for requests, which notices when it breaks.
class Connection {
 public:
  Connection(zmq::context_t& context, const Place& place, uint64_t number)
      : socket_(context, zmq::socket_type::dealer), events_(context, zmq::socket_type::pair) {
    set_door(socket_, place, kRequestsWaitingMax);
    const std::string endpoint = fmt::format("inproc://door-events-{}", number);
    const int watched = place.key == nullptr
                            ? ZMQ_EVENT_DISCONNECTED
                            : ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                                  ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    if (zmq_socket_monitor(socket_.handle(), endpoint.c_str(), watched) != 0) {
      throw zmq::error_t();
    }
    events_.set(zmq::sockopt::linger, 0);
    events_.connect(endpoint);
    socket_.connect(place.endpoint);
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

  // What became of showing the key.
  enum class Handshake { kTaken, kRefused, kBroken, kNothing };
  Handshake shake_hands(Clock::time_point deadline) {
    for (;;) {
      const auto frames = receive(events_.handle());
      if (!frames.empty() && frames[0].size() >= sizeof(uint16_t)) {
        uint16_t what = 0;
        std::memcpy(&what, frames[0].data(), sizeof(what));
        if (what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) return Handshake::kTaken;
        return what == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ? Handshake::kRefused : Handshake::kBroken;
      }
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) return Handshake::kNothing;
      zmq::pollitem_t item{events_.handle(), 0, ZMQ_POLLIN, 0};
      zmq_poll(&item, 1, static_cast<long>(left.count()));
    }
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
  explicit Impl(Options options) : options_(std::move(options)) {}

  Status begin() {
    server_.is_operator = true;
    if (auto connected = renew(Clock::now()); !connected) return connected;
    if (!options_.network) return ok();
    auto reply = ask(ShowServer{});
    if (!reply) return reply.error();
    if (reply->server) server_ = *reply->server;
    return ok();
  }

  const ServerFacts& server() const { return server_; }

  Result<ControlReply> ask(const ControlRequest& request) {
    const auto payload = encode(request);
    const auto deadline = Clock::now() + options_.deadline;
    if (!connection_) {
      // The last try to have one failed.
      if (auto connected = renew(Clock::now()); !connected) return connected.error();
    }
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
          // A key that was taken away is not told so, but does not come in again.
          if (options_.network) {
            const auto again = renew(Clock::now());
            if (!again && again.error().code == ErrorCode::kInvalidArgument) return again.error();
          }
          return Error{ErrorCode::kUnknownOutcome,
                       fmt::format("no answer from {} within {} s; is trouped running?", where(),
                                   std::chrono::duration<double>(options_.deadline).count())};
        case Connection::Heard::kBroken:
          if (auto connected = renew(deadline); !connected) {
            if (connected.error().code == ErrorCode::kInvalidArgument) return connected.error();
            return Error{ErrorCode::kUnknownOutcome,
                         fmt::format("{}; the request may have been done: look with troupe jobs",
                                     connected.error().message)};
          }
          if (renewals > 0 || !may_be_sent_again(request)) {
            return Error{ErrorCode::kUnknownOutcome,
                         fmt::format("the connection to {} broke before the answer came; the "
                                     "request may have been done: look with troupe jobs",
                                     where())};
          }
          connection_->send(tag, payload);
      }
    }
  }

  Status subscribe(uint64_t job) {
    if (!feed_ && options_.network) {
      feed_.emplace(context_, zmq::socket_type::dealer);
      set_door(*feed_, place(), kFeedHighWater);
      feed_->connect(endpoint_);
    } else if (!feed_) {
      feed_.emplace(context_, zmq::socket_type::sub);
      set_door(*feed_, {}, kFeedHighWater);
      feed_->connect("ipc://" + feed_socket(options_.folder));
    }
    if (options_.network) {
      followed_[job] = {};
      follow_again();
    } else {
      feed_->set(zmq::sockopt::subscribe, feed_topic(job));
    }
    return ok();
  }

  Result<std::optional<RunEvent>> next_event(std::chrono::milliseconds timeout) {
    if (!feed_) return std::optional<RunEvent>{};
    follow_again();
    if (auto event = take_event(); !event || *event) return event;
    zmq::pollitem_t item{feed_->handle(), 0, ZMQ_POLLIN, 0};
    zmq_poll(&item, 1, static_cast<long>(timeout.count()));
    return take_event();
  }

 private:
  std::string where() const {
    return options_.network ? text_of(options_.network->address) : options_.folder;
  }

  Place place() const {
    return {.endpoint = endpoint_, .key = options_.network ? &options_.network->key : nullptr};
  }

  // Over the network it is tried until `deadline`, and once: a daemon may be on its way back.
  Status renew(Clock::time_point deadline) {
    connection_.reset();
    if (!options_.network) {
      endpoint_ = "ipc://" + control_socket(options_.folder);
      connection_.emplace(context_, place(), ++last_connection_);
      return ok();
    }
    const Network& network = *options_.network;
    auto found = find_listener(network.address, options_.deadline);
    while (!found && found.error().code == ErrorCode::kInternal && Clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(kReconnectMs));
      found = find_listener(network.address, options_.deadline);
    }
    if (!found) return found.error();
    endpoint_ = "tcp://" + text_of(*found);
    connection_.emplace(context_, place(), ++last_connection_);
    const auto hands = connection_->shake_hands(Clock::now() + options_.deadline);
    if (hands == Connection::Handshake::kTaken) return ok();
    connection_.reset();
    switch (hands) {
      case Connection::Handshake::kRefused:
        return invalid_argument(
            fmt::format("{} refuses the key {}: it is of a {} called {} and was revoked, or it is "
                        "no key of a user; ask for a new one, which troupe keys user makes there",
                        where(), network.key_path, name(network.key.kind), network.key.name));
      case Connection::Handshake::kBroken:
        return invalid_argument(
            fmt::format("{} hangs up on the key {}: another head than the one that made the key "
                        "answers there, or something else than trouped, or it has too many "
                        "connections",
                        where(), network.key_path));
      default:
        return Error{
            ErrorCode::kInternal,
            fmt::format("{} takes the connection and says nothing within {} s; is it "
                        "trouped that listens there?",
                        where(), std::chrono::duration<double>(options_.deadline).count())};
    }
  }

  // Over the network following lasts for a while only; a daemon that was started anew has not heard
  // of it.
  void follow_again() {
    const auto now = Clock::now();
    for (auto& [job, asked_at] : followed_) {
      if (asked_at && now - *asked_at < kFollowAgain) continue;
      asked_at = now;
      const uint64_t tag = ++last_tag_;
      const auto payload = encode(ControlRequest(FollowJob{job}));
      zmq_send(feed_->handle(), &tag, sizeof(tag), ZMQ_SNDMORE | ZMQ_DONTWAIT);
      zmq_send(feed_->handle(), payload.data(), payload.size(), ZMQ_DONTWAIT);
    }
  }

  // One that has come.
  Result<std::optional<RunEvent>> take_event() {
    while (events_.empty()) {
      auto frames = receive(feed_->handle());
      if (frames.empty()) return std::optional<RunEvent>{};
      if (frames.size() != 2) {
        return Error{ErrorCode::kCorruption,
                     fmt::format("an event of {} parts came from {}", frames.size(), where())};
      }
      if (!options_.network) {
        const auto bytes = bytes_of(frames[1]);  // Behind its topic.
        events_.emplace_back(bytes.begin(), bytes.end());
        continue;
      }
      // Answers come the same way, behind what they were marked with; what they refuse, the history
      // tells as well.
      if (frames[0].size() != 0) continue;
      auto reply = decode_control_reply(bytes_of(frames[1]));
      if (!reply) return reply.error();
      for (auto& event : reply->events) events_.push_back(std::move(event));
    }
    const auto bytes = std::move(events_.front());
    events_.pop_front();
    auto event = decode_run_event(bytes);
    if (!event) return event.error();
    return std::optional<RunEvent>(std::move(*event));
  }

  const Options options_;
  ServerFacts server_{};
  std::string endpoint_{};
  std::map<uint64_t, std::optional<Clock::time_point>> followed_{};  // When it was asked for last.
  zmq::context_t context_{1};
  uint64_t last_tag_ = 0;
  uint64_t last_connection_ = 0;
  std::optional<Connection> connection_{};
  std::optional<zmq::socket_t> feed_{};
  std::deque<std::vector<std::byte>> events_{};  // That came together.
};

FrontDoorClient::FrontDoorClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FrontDoorClient::~FrontDoorClient() = default;

Result<std::unique_ptr<FrontDoorClient>> FrontDoorClient::connect(Options options) try {
  if (!options.network) {
    if (auto checked = check_socket_paths(options.folder); !checked) return checked.error();
    if (auto there = check_listening(options.folder); !there) return there.error();
  }
  auto impl = std::make_unique<Impl>(std::move(options));
  if (auto begun = impl->begin(); !begun) return begun.error();
  return std::unique_ptr<FrontDoorClient>(new FrontDoorClient(std::move(impl)));
} catch (const zmq::error_t& error) {
  return Error{ErrorCode::kInternal, std::string("cannot make the sockets: ") + error.what()};
}

const ServerFacts& FrontDoorClient::server() const { return impl_->server(); }

Result<ControlReply> FrontDoorClient::ask(const ControlRequest& request) {
  return impl_->ask(request);
}
Status FrontDoorClient::subscribe(uint64_t job) { return impl_->subscribe(job); }
Result<std::optional<RunEvent>> FrontDoorClient::next_event(std::chrono::milliseconds timeout) {
  return impl_->next_event(timeout);
}

}  // namespace troupe::cluster
