#include "cluster/dashboard/http_server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <list>
#include <thread>

#include "tests/support/http.h"

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;
using tests::HttpAnswer;
using tests::HttpClient;

// Says what it was asked for; /later is answered from another thread, /never not at all.
class Echo {
 public:
  explicit Echo(HttpServer::Limits limits = {}) {
    auto server = HttpServer::open(
        {.address = {"127.0.0.1", 0}, .limits = limits},
        [this](HttpRequest request, HttpServer::Answer answer) { serve(request, answer); },
        [this] { return "news " + std::to_string(news_++); });
    REQUIRE(server);
    server_ = std::move(*server);
  }
  ~Echo() {
    server_.reset();
    for (auto& one : threads_) one.join();
  }
  uint16_t port() const { return server_->address().port; }
  void end() { server_.reset(); }

 private:
  void serve(const HttpRequest& request, const HttpServer::Answer& answer) {
    if (request.target.path == "/never") return;
    if (request.target.path == "/events") return answer({.is_event_stream = true});
    std::string text = request.method + " " + request.target.path + " " + request.body;
    if (request.target.path == "/large") text.assign(32 << 20, 'x');
    HttpReply reply{.content_type = "text/plain",
                    .body = std::make_shared<const std::string>(std::move(text))};
    if (request.target.path != "/later") return answer(std::move(reply));
    threads_.emplace_back([answer, reply] { answer(reply); });
  }

  std::list<std::thread> threads_{};
  std::atomic<int> news_{0};
  std::unique_ptr<HttpServer> server_{};
};

HttpAnswer say(uint16_t port, const std::string& bytes) {
  HttpClient client(port);
  client.send(bytes);
  return client.read_answer();
}

TEST_CASE("http_server: requests on one connection, from any thread, GET, HEAD and POST") {
  Echo echo;
  HttpClient client(echo.port());
  CHECK(client.get("/a").body == "GET /a ");
  const auto later = client.get("/later");
  CHECK(later.status == 200);
  CHECK(later.body == "GET /later ");
  client.send("HEAD /b HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto head = client.read_answer(false);
  CHECK(head.status == 200);
  CHECK(head.head.find("Content-Length: 8\r\n") != std::string::npos);
  client.send("POST /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nxyz");
  const auto posted = client.read_answer();
  CHECK(posted.body == "POST /c xyz");
  for (const char* header : {"Content-Security-Policy: default-src 'none'; script-src 'self';",
                             "X-Frame-Options: DENY", "X-Content-Type-Options: nosniff",
                             "Referrer-Policy: no-referrer", "Cache-Control: no-store"}) {
    CAPTURE(header);
    CHECK(posted.head.find(header) != std::string::npos);
  }
}

TEST_CASE("http_server: what is too large, too odd or no HTTP is refused with the reason") {
  HttpServer::Limits limits;
  limits.request = 500ms;
  limits.answer = 200ms;
  Echo echo(limits);
  const std::string host = "Host: localhost\r\n";
  CHECK(
      say(echo.port(), "GET /a HTTP/1.1\r\n" + host + "X: " + std::string(9'000, 'x') + "\r\n\r\n")
          .status == 431);
  CHECK(say(echo.port(), "POST /a HTTP/1.1\r\n" + host + "Content-Length: 5000\r\n\r\n" +
                             std::string(5'000, 'x'))
            .status == 413);
  CHECK(say(echo.port(), "DELETE /a HTTP/1.1\r\n" + host + "\r\n").status == 405);
  CHECK(say(echo.port(), "GET /%zz HTTP/1.1\r\n" + host + "\r\n").status == 400);
  CHECK(say(echo.port(), "GET /a HTTP/1.1\r\n" + host + host + "\r\n").status == 400);
  CHECK(say(echo.port(), "\x16\x03\x01\x02 hello\r\n\r\n").status == 400);
  // Nobody answers; nobody asks.
  CHECK(say(echo.port(), "GET /never HTTP/1.1\r\n" + host + "\r\n").status == 504);
  HttpClient silent(echo.port());
  CHECK(silent.read_all().empty());
}

TEST_CASE("http_server: streams tell news, and one who does not read is dropped alone") {
  HttpServer::Limits limits;
  limits.news = 20ms;
  limits.write = 300ms;
  Echo echo(limits);
  HttpClient stream(echo.port());
  stream.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  // It asks for much and takes nothing of it.
  HttpClient greedy(echo.port());
  const int small = 4'096;
  ::setsockopt(greedy.socket(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
  greedy.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
  // Three times as long as it may take for what it was sent.
  std::string told;
  size_t events = 0;
  while (events < 45) {
    const std::string part = stream.read_some_bytes();
    REQUIRE(!part.empty());
    told += part;
    events = 0;
    for (size_t at = 0; (at = told.find("data: news", at)) != std::string::npos; ++at) ++events;
  }
  CHECK(tests::http_get(echo.port(), "/a").status == 200);
  CHECK(greedy.read_all(2).size() < (32 << 20));
  echo.end();
  CHECK(told.find("text/event-stream") != std::string::npos);
  stream.read_all(1);  // It was hung up on.
}

TEST_CASE("http_server: as many connections as may be; the next comes when one has gone") {
  HttpServer::Limits limits;
  limits.connections_max = 4;
  Echo echo(limits);
  std::list<HttpClient> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back(echo.port());
    CHECK(clients.back().get("/a").status == 200);
  }
  CHECK(tests::http_get(echo.port(), "/a").status == 0);
  clients.pop_front();
  int status = 0;
  for (int tries = 0; tries < 10'000 && status == 0; ++tries) {
    status = tests::http_get(echo.port(), "/a").status;
  }
  CHECK(status == 200);
}

}  // namespace
}  // namespace troupe::cluster
