#include "cluster/gateway/host_port.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <random>

namespace troupe::cluster {
namespace {

TEST_CASE("host_port: what people write is read, and written the same way") {
  for (const std::string& text :
       {std::string("head:7070"), std::string("head.example.org:1"), std::string("10.0.0.1:65535"),
        std::string("[::1]:7070"), std::string("[fe80::1%eth0]:0")}) {
    CAPTURE(text);
    const auto address = parse_host_port(text);
    REQUIRE(address);
    CHECK(text_of(*address) == text);
  }
  CHECK(*parse_host_port("[::1]:7070") == HostPort{"::1", 7070});
}

TEST_CASE("host_port: anything else is one line") {
  for (const std::string& text :
       {std::string(), std::string("head"), std::string(":7070"), std::string("head:"),
        std::string("head:x"), std::string("head:70707"), std::string("head:-1"),
        std::string("head:7070 "), std::string("::1:7070"), std::string("[]:1"),
        std::string("a b:1"), std::string("a/b:1"), std::string("head\n:1"),
        std::string(254, 'a') + ":1", std::string("tcp://head:1")}) {
    CAPTURE(text);
    const auto address = parse_host_port(text);
    REQUIRE_FALSE(address);
    CHECK(address.error().code == ErrorCode::kInvalidArgument);
    CHECK(address.error().message.find('\n') == std::string::npos);
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string text(random() % 12, '\0');
    for (char& c : text) c = "a1.:[]%-\0\n"[random() % 10];
    if (const auto address = parse_host_port(text)) CHECK(parse_host_port(text_of(*address)));
  }
}

TEST_CASE("host_port: an address is listened at once, and found") {
  for (const char* host : {"127.0.0.1", "0.0.0.0", "::1"}) {
    CAPTURE(host);
    const auto listening = listen_at({host, 0});
    if (!listening && std::string(host) == "::1") continue;  // A host without IPv6.
    REQUIRE(listening);
    CHECK(listening->address.port != 0);
    const auto second = listen_at(listening->address);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == ErrorCode::kInvalidArgument);
    CHECK(second.error().message.find("cannot listen at ") == 0);
    const bool is_any = std::string(host) == "0.0.0.0";
    CHECK(find_listener({is_any ? "127.0.0.1" : host, listening->address.port},
                        std::chrono::seconds(10)));
  }
}

TEST_CASE("host_port: who is not there is said at once, with the reason") {
  HostPort free;
  {
    const auto listening = listen_at({"127.0.0.1", 0});
    REQUIRE(listening);
    free = listening->address;
  }
  const auto refused = find_listener(free, std::chrono::seconds(10));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kInternal);
  CHECK(refused.error().message.find("Connection refused") != std::string::npos);
  const auto unknown = find_listener({"no.such.host.invalid", 1}, std::chrono::seconds(10));
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code == ErrorCode::kInvalidArgument);
  CHECK(listen_at({"192.0.2.1", 0}).error().code == ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace troupe::cluster
