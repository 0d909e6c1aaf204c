// What both ends of the link between a head and a node do with ZeroMQ.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "schemas/node.h"

namespace troupe::cluster {

// Options that both ends need; before the socket is bound or connected. Throws zmq::error_t.
void set_link_limits(zmq::socket_t& socket);

// What is in a frame, for as long as the frame is there.
struct LinkFrame {
  LinkHeader header{};
  std::span<const std::byte> bytes{};
};

// A header and what comes with it as one frame: the header's length in words, the header, the rest.
// One frame, because a DEALER that loses its connection may lose it between the frames of a message
// that it is giving out, and ZeroMQ then ends the process.
zmq::message_t link_frame(const LinkHeader& header, std::span<const std::byte> bytes);

// Nothing, where it is no such frame. It may come from anybody.
std::optional<LinkFrame> link_frame_in(const zmq::message_t& frame);

// Sends a frame, behind a route where there is one. False: there is no connection, or it takes no
// more now.
bool send_link_frame(zmq::socket_t& socket, const std::optional<std::string>& route,
                     const LinkHeader& header, std::span<const std::byte> bytes);

// A whole message that is there; false when there is none. More frames than may be are dropped and
// the message has none.
bool receive_frames(zmq::socket_t& socket, size_t frames_max, std::vector<zmq::message_t>& frames);

}  // namespace troupe::cluster
