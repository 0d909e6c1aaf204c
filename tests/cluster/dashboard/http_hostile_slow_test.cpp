// Hostile requests, and a good client among them. TROUPE_HOSTILE_REQUESTS=100000 says how many.
#include <doctest/doctest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <optional>
#include <random>

#include "cluster/dashboard/http_server.h"
#include "tests/support/hostile_bytes.h"
#include "tests/support/http.h"

namespace troupe::cluster {
namespace {

int requests_to_send() {
  const char* given = std::getenv("TROUPE_HOSTILE_REQUESTS");
  return given == nullptr ? 20'000 : std::atoi(given);
}

constexpr size_t kGrowthMax = 16 << 20;

size_t resident_bytes() {
  ::malloc_trim(0);  // What was given back to the process is nobody's.
  return tests::resident_bytes();
}

// What a stranger may say: a request with something wrong, in the middle or everywhere.
std::string hostile(std::mt19937_64& random) {
  static const std::string good[] = {
      "GET /api/jobs/7/curves?of=steps&names=a%2Fb HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "POST /session HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
      "Content-Length: 12\r\n\r\n{\"once\":\"a\"}",
      "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
      "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
      "GET /events HTTP/1.1\r\nHost: localhost\r\nCookie: a=b; troupe_session=x\r\n\r\n",
      "HEAD /a HTTP/1.0\r\nConnection: keep-alive\r\nHost: [::1]\r\n\r\n"};
  std::string text = good[random() % std::size(good)];
  switch (random() % 5) {
    case 0:
      text.insert(random() % text.size(), std::string(random() % 20'000, 'A'));
      break;
    case 1:
      text.resize(random() % text.size());
      break;
    case 2:
      for (char& c : text) c = static_cast<char>(random());
      break;
    default:
      for (uint64_t changes = 1 + random() % 8; changes > 0; --changes) {
        text[random() % text.size()] = static_cast<char>(random());
      }
  }
  return text;
}

TEST_CASE("http_server: hostile requests take no memory and nobody's turn") {
  std::atomic<uint64_t> served{0};
  auto server = HttpServer::open(
      {.address = {"127.0.0.1", 0}},
      [&served](const HttpRequest& request, const HttpServer::Answer& answer) {
        ++served;
        if (request.target.path == "/events") return answer({.is_event_stream = true});
        answer({.body = std::make_shared<const std::string>(request.target.path)});
      },
      [] { return std::string("{}"); });
  REQUIRE(server);
  const uint16_t port = (*server)->address().port;
  std::mt19937_64 random(1);
  std::optional<tests::HttpClient> good(port);
  CHECK(good->get("/good").body == "/good");
  const auto attack = [&](int requests) {
    for (int i = 0; i < requests; ++i) {
      {
        const tests::HttpClient stranger(port);
        stranger.send(hostile(random));
      }
      if (i % 100 != 0) continue;
      const auto answer = good->get("/good");
      CHECK(answer.status == 200);
      CHECK(answer.body == "/good");
    }
  };
  const int num_requests = requests_to_send();
  attack(num_requests / 10);  // What is made once and kept is made.
  const size_t before = resident_bytes();
  attack(num_requests);
  CHECK(resident_bytes() < before + kGrowthMax);
  // Some of it was plainly right.
  CHECK(served > static_cast<uint64_t>(num_requests / 100));
}

}  // namespace
}  // namespace troupe::cluster
