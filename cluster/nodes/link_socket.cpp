#include "cluster/nodes/link_socket.h"

#include <algorithm>
#include <utility>

#include "cluster/gateway/frame_bytes.h"
#include "cluster/keys/curve_socket.h"
#include "schemas/check.h"
#include "schemas/node_codec.h"

namespace troupe::cluster {
namespace {

// A broken connection is to be noticed by ZeroMQ as soon as by the sessions above it.
constexpr int kHeartbeatMs = 500;
constexpr int kSilenceMs = 2'000;
constexpr int kConnectMs = 1'500;
constexpr int kHandshakeMs = 3'000;
constexpr int kReconnectMs = 100;
constexpr int kReconnectMaxMs = 300;
constexpr size_t kWordBytes = 8;  // Of encoded messages.
constexpr int64_t kFrameBytesMax = static_cast<int64_t>(kFileChunkBytesMax) + (64 << 10);

}  // namespace

void set_link_limits(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::linger, 0);
  // How much is under way is bounded by the sessions, and by how much is asked of files.
  socket.set(zmq::sockopt::sndhwm, 0);
  socket.set(zmq::sockopt::rcvhwm, 0);
  socket.set(zmq::sockopt::maxmsgsize, kFrameBytesMax + kCurveBytes);
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
  socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
  socket.set(zmq::sockopt::heartbeat_timeout, kSilenceMs);
  socket.set(zmq::sockopt::heartbeat_ttl, kSilenceMs);
  socket.set(zmq::sockopt::tcp_maxrt, kSilenceMs);
  socket.set(zmq::sockopt::connect_timeout, kConnectMs);
  socket.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
  socket.set(zmq::sockopt::reconnect_ivl_max, kReconnectMaxMs);
  socket.set(zmq::sockopt::ipv6, true);
}

zmq::message_t link_frame(const LinkHeader& header, std::span<const std::byte> bytes) {
  const auto head = encode(header);
  const size_t words = head.size() / kWordBytes;
  TROUPE_CHECK(words * kWordBytes == head.size() && words <= UINT8_MAX);
  zmq::message_t frame(1 + head.size() + bytes.size());
  auto* to = static_cast<std::byte*>(frame.data());
  *to++ = static_cast<std::byte>(words);
  to = std::copy(head.begin(), head.end(), to);
  std::copy(bytes.begin(), bytes.end(), to);
  return frame;
}

std::optional<LinkFrame> link_frame_in(const zmq::message_t& frame) {
  auto bytes = bytes_of(frame);
  if (bytes.empty()) return std::nullopt;
  const size_t head_bytes = std::to_integer<size_t>(bytes[0]) * kWordBytes;
  bytes = bytes.subspan(1);
  if (bytes.size() < head_bytes) return std::nullopt;
  const auto header = decode_link_header(bytes.first(head_bytes));
  if (!header) return std::nullopt;
  return LinkFrame{*header, bytes.subspan(head_bytes)};
}

bool send_link_frame(zmq::socket_t& socket, const std::optional<std::string>& route,
                     const LinkHeader& header, std::span<const std::byte> bytes) {
  constexpr auto kMore = zmq::send_flags::sndmore | zmq::send_flags::dontwait;
  if (route && !socket.send(zmq::buffer(*route), kMore)) return false;
  return socket.send(link_frame(header, bytes), zmq::send_flags::dontwait).has_value();
}

bool receive_frames(zmq::socket_t& socket, size_t frames_max, std::vector<zmq::message_t>& frames) {
  frames.clear();
  bool is_too_long = false;
  while (true) {
    zmq::message_t frame;
    // All frames of a message are there, or none.
    if (!socket.recv(frame, zmq::recv_flags::dontwait)) return false;
    const bool has_more = frame.more();
    if (frames.size() < frames_max) {
      frames.push_back(std::move(frame));
    } else {
      is_too_long = true;
    }
    if (has_more) continue;
    if (is_too_long) frames.clear();
    return true;
  }
}

}  // namespace troupe::cluster
