// A small HTTP server: requests in, replies out, and streams of events. It trusts nobody: size,
// time and number of everything are bounded. Boost.Beast is seen in http_server.cpp only.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/dashboard/http_target.h"
#include "cluster/gateway/host_port.h"
#include "schemas/result.h"

namespace troupe::cluster {

// Headers that are not there are empty; one that is there twice makes no request.
struct HttpRequest {
  std::string method{};  // GET, HEAD or POST; others are refused before.
  HttpTarget target{};
  std::string host{};
  std::string origin{};
  std::string cookie{};
  std::string authorization{};
  std::string fetch_site{};  // Sec-Fetch-Site
  std::string body{};
};

struct HttpReply {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::shared_ptr<const std::string> body = std::make_shared<const std::string>();
  std::vector<std::pair<std::string, std::string>> headers{};  // Beside those that all have.
  // The connection is told news from now on; there is no body.
  bool is_event_stream = false;
};

// With {"error": what} as its body; `what` says what was wrong and what to do.
HttpReply http_error(unsigned status, std::string_view what);

class HttpServer {
 public:
  struct Limits {
    size_t connections_max = 256;
    size_t connections_per_address = 64;  // Of an address that is not this host's own.
    size_t header_bytes = 8 << 10;
    size_t body_bytes = 4 << 10;
    std::chrono::milliseconds request{
        15'000};  // From the connection, or the reply before, to its end.
    std::chrono::milliseconds answer{15'000};  // Until whoever serves has answered.
    std::chrono::milliseconds write{15'000};   // Until a viewer has taken a reply or an event.
    std::chrono::milliseconds news{1'000};     // Between looks for news.
    std::chrono::milliseconds sign_of_life{15'000};  // An event where there is no news.
  };
  struct Options {
    HostPort address{};  // Port 0: any that is free.
    Limits limits{};
  };
  // Called on the server's thread and must not wait. The answer is called once, from any thread.
  using Answer = std::function<void(HttpReply)>;
  using Serve = std::function<void(HttpRequest, Answer)>;
  // One line that is another whenever there is something to look at; on the server's thread.
  using News = std::function<std::string()>;

  // kInvalidArgument when the address cannot be had.
  static Result<std::unique_ptr<HttpServer>> open(Options options, Serve serve, News news);
  // Hangs up on everybody. Nobody is served any more once it returns.
  ~HttpServer();

  const HostPort& address() const;

 private:
  class Implementation;
  explicit HttpServer(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace troupe::cluster
