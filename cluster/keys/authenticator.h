// Lets connections in, for all sockets of one ZeroMQ context: whoever has a known key, of the kind
// that the socket is for. It answers ZeroMQ's own question (ZAP, RFC 27) before the first byte
// of a message is taken.
//
// What comes over such a socket says whose it is by its connection's key and never by its content:
// see sender_of.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <zmq.hpp>

#include "cluster/keys/identity.h"
#include "cluster/keys/key_ring.h"
#include "schemas/descriptor.h"
#include "schemas/result.h"

namespace troupe::cluster {

// The domain of a socket that is for this kind.
const char* zap_domain(KeyKind kind);

// Whose a key is; nothing: a stranger. Asked from the authenticator's thread.
using FindKey = std::function<std::optional<Identity>(const PublicKey&)>;
inline FindKey find_in(std::shared_ptr<KeyRing> ring) {
  return [ring = std::move(ring)](const PublicKey& key) { return ring->find(key); };
}

// Who a ZAP request is of, and with which key, if it may come in. `frames` are what came, of any
// number and size.
struct Admitted {
  Identity identity{};
  PublicKey key{};
};
std::optional<Admitted> admit(std::span<const std::string> frames, const FindKey& find);

// The reply's frames to a request whose frames were these.
std::vector<std::string> zap_reply(std::span<const std::string> frames,
                                   const std::optional<Admitted>& admitted);

class Authenticator {
 public:
  struct Counts {
    uint64_t admitted = 0;
    uint64_t refused = 0;
  };

  // Begins before any server socket of the context is bound, and ends before the context does.
  static Result<std::unique_ptr<Authenticator>> begin(zmq::context_t& context, FindKey find);
  ~Authenticator();
  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;

  Counts counts() const { return {.admitted = admitted_, .refused = refused_}; }

 private:
  Authenticator(zmq::context_t& context, FindKey find, Descriptor end);

  void run();
  void answer();

  const FindKey find_;
  const Descriptor end_;
  zmq::socket_t knocks_;
  std::atomic<uint64_t> admitted_{0}, refused_{0};
  std::thread thread_{};
};

// The key that the connection of this message has shown; nothing where it came another way.
std::optional<PublicKey> key_of(const zmq::message_t& frame);

// Who sent this message, asked anew of the ring: the connection of a key that was taken away lives
// on, and its messages are nobody's. A frame of a message that came over a socket of
// set_curve_server; the name is also its property "User-Id".
std::optional<Identity> sender_of(const zmq::message_t& frame, KeyRing& ring);

}  // namespace troupe::cluster
