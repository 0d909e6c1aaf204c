#include "cluster/keys/curve_socket.h"

#include "cluster/keys/authenticator.h"

namespace troupe::cluster {
namespace {

// ZMQ_ZAP_ENFORCE_DOMAIN, which the library takes and its header keeps among drafts: with it no
// handler means that nobody comes in.
constexpr int kEnforceDomain = 93;

}  // namespace

void set_curve_server(zmq::socket_t& socket, const CurveKeys& head, KeyKind kind) {
  socket.set(zmq::sockopt::curve_server, true);
  socket.set(zmq::sockopt::curve_secretkey, head.secret_key);
  socket.set(zmq::sockopt::zap_domain, zap_domain(kind));
  const int is_enforced = 1;
  if (zmq_setsockopt(socket.handle(), kEnforceDomain, &is_enforced, sizeof(is_enforced)) != 0) {
    throw zmq::error_t();
  }
}

void set_curve_client(zmq::socket_t& socket, const KeyFile& file) {
  socket.set(zmq::sockopt::curve_serverkey, file.head_key);
  socket.set(zmq::sockopt::curve_publickey, file.keys.public_key);
  socket.set(zmq::sockopt::curve_secretkey, file.keys.secret_key);
}

}  // namespace troupe::cluster
