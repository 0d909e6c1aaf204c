// What somebody who means harm sends to a port, and what this process needs meanwhile.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <string>

#include "schemas/descriptor.h"

namespace troupe::tests {

inline size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  size_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

class Bytes {
 public:
  size_t below(size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random_); }
  std::string any(size_t size_max) {
    std::string bytes(below(size_max + 1), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }

 private:
  std::mt19937_64 random_{20'240'717};
};

// A bare connection to a port of this host that sends this and goes, once the other side has begun
// to answer: what is not accepted yet would make the next connections wait for seconds. False when
// there is no connection.
inline bool say_to_port(uint16_t port, const std::string& bytes) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return false;
  }
  (void)!::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  pollfd answer{.fd = socket.get(), .events = POLLIN, .revents = 0};
  constexpr int kAnswerMs = 1'000;
  ::poll(&answer, 1, kAnswerMs);
  return true;
}

// A greeting for CURVE, so that some bytes reach the handshake with keys.
inline std::string hostile_curve_greeting(Bytes& bytes) {
  std::string greeting(
      "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00"
      "CURVE",
      17);
  greeting.resize(64, '\0');
  switch (bytes.below(4)) {
    case 0:
      return bytes.any(300);
    case 1:
      greeting.resize(bytes.below(65));
      return greeting;
    case 2: {
      // A HELLO of the right length, and a command of any length behind it.
      std::string hello("\x04\xc8\x05HELLO\x01\x00", 10);
      hello += std::string(72, '\0');
      hello.resize(202, 'x');
      return greeting + hello + bytes.any(300);
    }
    default:
      return greeting + bytes.any(300);
  }
}

}  // namespace troupe::tests
