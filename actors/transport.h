// How Troupe's own processes talk: CAF over TLS, mutual, with the credentials of this run. A
// message is bytes whose layout is a schema (schemas/control.h), in one wrapper type.
//
// One root actor is published per node and other handles travel in messages: a second TLS
// connection to another port of the same node breaks the first one silently. A request to a remote
// actor that is gone is never answered and only times out, so callers set a timeout and monitor.
// A function that is spawned takes at least one argument: without any, CAF dereferences a null
// pointer to them, which the library's assertions in the dev build end the process for.
#pragma once

#include <caf/actor_system_config.hpp>
#include <caf/fwd.hpp>
#include <caf/meta/type_name.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "schemas/result.h"

namespace troupe::actors {

struct WireBytes {
  std::vector<char> bytes{};
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& inspector, WireBytes& x) {
  return inspector(caf::meta::type_name("wire_bytes"), x.bytes);
}

inline WireBytes to_wire(std::span<const std::byte> bytes) {
  const char* const first = reinterpret_cast<const char*>(bytes.data());
  return {std::vector<char>(first, first + bytes.size())};
}
inline std::span<const std::byte> from_wire(const WireBytes& x) {
  return std::as_bytes(std::span(x.bytes));
}

// kInvalidArgument unless the three files of a credentials folder are there and belong together.
// To be asked before a NodeConfig is made: without files CAF would talk to strangers.
Status check_credentials(const std::string& folder);

// A caf::actor_system that is made from this can be reached, and reaches others, over TLS only. No
// file and no command line is read.
class NodeConfig : public caf::actor_system_config {
 public:
  explicit NodeConfig(const std::string& credentials_folder);
};

// Listens on 127.0.0.1 for nodes with credentials of the same authority; 0 chooses a free port.
// Returns the port. kInvalidArgument when it is taken.
Result<uint16_t> publish_root(const caf::actor& root, uint16_t port);

// The root actor published on a port of this host. Blocks until the handshake is through; kInternal
// when there is nobody or either side refuses the other. It also fails by chance, where a heartbeat
// of either side falls into the handshake, which CAF takes for silence since 1970: callers try
// again a few times, and the same system may.
Result<caf::actor> connect_root(caf::actor_system& system, uint16_t port);

}  // namespace troupe::actors
