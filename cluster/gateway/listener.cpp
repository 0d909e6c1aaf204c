#include "cluster/gateway/listener.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "cluster/keys/curve_socket.h"

namespace troupe::cluster {
namespace {

constexpr int kMessagesWaitingMax = 64;  // Per connection, beside what is in the kernel.
constexpr int kHandshakeMs = 3'000;
constexpr int kHeartbeatMs = 5'000;
constexpr int kHeartbeatTimeoutMs = 20'000;
constexpr int kBacklog = 64;

void set_limits(zmq::socket_t& socket, int high_water) {
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndhwm, high_water);
  socket.set(zmq::sockopt::rcvhwm, kMessagesWaitingMax);
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
  socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
  socket.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeoutMs);
  socket.set(zmq::sockopt::backlog, kBacklog);
}

}  // namespace

FileListener::FileListener(zmq::context_t& context, zmq::socket_type type, const std::string& path,
                           size_t connections_max, int high_water)
    : path_(path),
      connections_max_(connections_max),
      socket_(context, type),
      events_(context, zmq::socket_type::pair) {
  set_limits(socket_, high_water);
}

FileListener::~FileListener() {
  // A monitor that nobody reads would block libzmq's own thread.
  std::array<std::byte, 6> event{};
  while (zmq_recv(events_.handle(), event.data(), event.size(), ZMQ_DONTWAIT) >= 0) {
  }
  zmq_socket_monitor(socket_.handle(), nullptr, 0);
  events_.close();
  socket_.close();
  ::unlink(path_.c_str());
}

void FileListener::bind() {
  const std::string events = "inproc://events" + path_;
  if (zmq_socket_monitor(socket_.handle(), events.c_str(),
                         ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED) != 0) {
    throw zmq::error_t();
  }
  events_.set(zmq::sockopt::linger, 0);
  events_.connect(events);
  listen();
}

bool FileListener::count_connections() {
  (void)socket_.get(zmq::sockopt::events);
  bool is_new = false;
  std::array<std::byte, 6> event{};  // 16 bits of what happened and 32 of a value.
  while (zmq_recv(events_.handle(), event.data(), event.size(), ZMQ_DONTWAIT) >= 0) {
    zmq_recv(events_.handle(), nullptr, 0, ZMQ_DONTWAIT);  // The address.
    uint16_t what = 0;
    std::memcpy(&what, event.data(), sizeof(what));
    if (what == ZMQ_EVENT_ACCEPTED) ++connections_;
    if (what == ZMQ_EVENT_DISCONNECTED) --connections_;
    if (what == ZMQ_EVENT_CLOSED && is_closing_) {
      // Its connections went with it. Not earlier: closing removes the file at the path.
      connections_ = 0;
      is_closing_ = false;
      listen();
      is_new = true;
    }
  }
  connections_ = std::max<int64_t>(connections_, 0);
  if (!is_closing_ && connections_ >= static_cast<int64_t>(connections_max_)) {
    socket_.unbind(endpoint());
    is_closing_ = true;
  }
  return is_new;
}

void FileListener::listen() {
  ::unlink(path_.c_str());
  socket_.bind(endpoint());
}

NetworkListener::NetworkListener(zmq::context_t& context, zmq::socket_type type,
                                 Listening listening, const CurveKeys& head, size_t connections_max,
                                 int high_water)
    : listening_(std::move(listening)),
      descriptor_(listening_.socket.get()),
      socket_(context, type) {
  set_limits(socket_, high_water);
  set_curve_server(socket_, head, KeyKind::kUser);
  socket_.set(zmq::sockopt::use_fd, descriptor_);
  bound_connections(descriptor_, connections_max);
}

NetworkListener::~NetworkListener() {
  forget_listener(descriptor_);
  socket_.close();
}

// The address only has to look like one: the descriptor is bound.
void NetworkListener::bind() {
  socket_.bind("tcp://" + text_of(address()));
  listening_.socket.release();
}

}  // namespace troupe::cluster
