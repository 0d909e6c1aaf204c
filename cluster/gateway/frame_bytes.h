// What is in a ZeroMQ message.
#pragma once

#include <cstddef>
#include <span>
#include <zmq.hpp>

namespace troupe::cluster {

// Of the frame, for as long as it is there.
inline std::span<const std::byte> bytes_of(const zmq::message_t& frame) {
  return {static_cast<const std::byte*>(frame.data()), frame.size()};
}

}  // namespace troupe::cluster
