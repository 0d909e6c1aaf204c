// host:port, as people write it, and sockets there.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "schemas/descriptor.h"
#include "schemas/result.h"

namespace troupe::cluster {

struct HostPort {
  std::string host{};  // A name or an address, IPv6 without brackets.
  uint16_t port = 0;

  bool operator==(const HostPort&) const = default;
};

// "head:7070", "10.0.0.1:7070", "[::1]:7070". kInvalidArgument for anything else.
Result<HostPort> parse_host_port(const std::string& text);
std::string text_of(const HostPort& address);

// What somebody can connect to. kInvalidArgument when the address is none of this host or is taken.
struct Listening {
  Descriptor socket{};
  HostPort address{};  // With the port that was chosen, where 0 was asked for.
};
Result<Listening> listen_at(const HostPort& address);

// The numeric address of the host where somebody listens. kInvalidArgument for a name that nobody
// knows, kInternal when nobody answers within `patience`.
Result<HostPort> find_listener(const HostPort& address, std::chrono::milliseconds patience);

// From now on a listening socket of libzmq's has at most so many connections; who comes when there
// are as many is hung up on, and those that are there stay. Until forget_listener.
void bound_connections(int listener, size_t connections_max);
void forget_listener(int listener);

}  // namespace troupe::cluster
