// Who may see what a request asks for. Decisions only: no sockets and no clock.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "cluster/dashboard/http_server.h"
#include "schemas/control.h"

namespace troupe::cluster {

class Access {
 public:
  static constexpr const char* kCookie = "troupe_session";

  struct Options {
    // Only this host reaches it: whoever does is the operator, as at the daemon's own sockets.
    bool is_loopback = true;
    std::string keys{};  // The keys folder, where it is not.
  };

  explicit Access(Options options) : options_(std::move(options)) {}

  // What is wrong with a request whoever sends it: another site's page may have made a browser send
  // it. Status 0: nothing.
  HttpReply check_origin(const HttpRequest& request) const;

  // Who asks, or the reply that says that nobody is known. `now`: seconds since 1970.
  std::variant<Asker, HttpReply> find(const HttpRequest& request, int64_t now) const;

  // POST /session with {"once": CODE} or {"token": TOKEN}: a session as a cookie.
  HttpReply begin_session(const HttpRequest& request, int64_t now) const;

 private:
  const Options options_;
};

// A name or an address by which only this host is reached; another's name never is one.
bool is_this_host(const std::string& host);

}  // namespace troupe::cluster
