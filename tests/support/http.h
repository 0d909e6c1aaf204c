// A client of HTTP that sends the bytes it is given: tests say good things and bad ones with it.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace troupe::tests {

struct HttpAnswer {
  int status = 0;  // 0: none.
  std::string head{};
  std::string body{};
};

class HttpClient {
 public:
  // To a port of 127.0.0.1.
  explicit HttpClient(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_open_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~HttpClient() { ::close(socket_); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  bool is_open() const { return is_open_; }
  int socket() const { return socket_; }

  bool send(std::string_view bytes) const {
    return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }

  // What comes until the other side ends it or `seconds` pass without anything.
  std::string read_all(int seconds = 10) const {
    std::string all;
    std::string part(64 << 10, '\0');
    while (true) {
      pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, seconds * 1'000) <= 0) return all;
      const ssize_t count = ::recv(socket_, part.data(), part.size(), 0);
      if (count <= 0) return all;
      all.append(part.data(), static_cast<size_t>(count));
    }
  }

  // What comes next; nothing when the other side has ended it or says nothing for ten seconds.
  std::string read_some_bytes() const {
    std::string part(64 << 10, '\0');
    pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 10'000) <= 0) return "";
    part.resize(
        static_cast<size_t>(std::max<ssize_t>(0, ::recv(socket_, part.data(), part.size(), 0))));
    return part;
  }

  // One answer with a Content-Length; the connection may go on.
  HttpAnswer read_answer(bool has_body = true) {
    HttpAnswer answer;
    size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!read_some()) return {};
    }
    answer.head = buffer_.substr(0, end + 4);
    buffer_.erase(0, end + 4);
    if (answer.head.rfind("HTTP/1.1 ", 0) == 0) answer.status = std::atoi(&answer.head[9]);
    size_t length = 0;
    if (const size_t at = answer.head.find("Content-Length: "); at != std::string::npos) {
      length = std::strtoul(&answer.head[at + 16], nullptr, 10);
    }
    while (has_body && buffer_.size() < length) {
      if (!read_some()) return {};
    }
    if (has_body) {
      answer.body = buffer_.substr(0, length);
      buffer_.erase(0, length);
    }
    return answer;
  }

  HttpAnswer get(const std::string& target, const std::string& headers = "") {
    send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
    return read_answer();
  }

 private:
  bool read_some() {
    const std::string part = read_some_bytes();
    buffer_ += part;
    return !part.empty();
  }

  int socket_;
  bool is_open_ = false;
  std::string buffer_{};
};

inline HttpAnswer http_get(uint16_t port, const std::string& target,
                           const std::string& headers = "") {
  return HttpClient(port).get(target, headers);
}

// The port in "http://127.0.0.1:8080/".
inline uint16_t port_in(const std::string& url) {
  const size_t colon = url.rfind(':');
  REQUIRE(colon != std::string::npos);
  return static_cast<uint16_t>(std::atoi(&url[colon + 1]));
}

}  // namespace troupe::tests
