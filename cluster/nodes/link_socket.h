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

// Sends a header and what comes with it, behind a route where there is one. False: there is no
// connection, or it takes no more now.
bool send_link_frame(zmq::socket_t& socket, const std::optional<std::string>& route,
                     const LinkHeader& header, std::span<const std::byte> bytes);

// A whole message that is there; false when there is none. More frames than may be are dropped and
// the message has none.
bool receive_frames(zmq::socket_t& socket, size_t frames_max, std::vector<zmq::message_t>& frames);

}  // namespace troupe::cluster
