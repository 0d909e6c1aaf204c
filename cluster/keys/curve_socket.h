// CURVE on ZeroMQ's sockets, before they are bound or connected. All throw zmq::error_t.
#pragma once

#include <zmq.hpp>

#include "cluster/keys/curve_key.h"
#include "cluster/keys/keys_folder.h"

namespace troupe::cluster {

// What CURVE adds to a message. A bound on messages (maxmsgsize) is on what arrives, so it has to
// be so much higher.
inline constexpr int64_t kCurveBytes = 64;

// Only keys of this kind come in, and nobody as long as the context has no Authenticator.
void set_curve_server(zmq::socket_t& socket, const CurveKeys& head, KeyKind kind);

// Shows the file's key, and speaks to nobody but the head that made it.
void set_curve_client(zmq::socket_t& socket, const KeyFile& file);

}  // namespace troupe::cluster
