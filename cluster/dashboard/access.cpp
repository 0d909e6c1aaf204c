#include "cluster/dashboard/access.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "cluster/keys/web_tokens.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

constexpr std::string_view kBearer = "Bearer ";
constexpr int kBodyDepthMax = 2;

Asker asker_of(const Identity& identity) {
  return {.name = identity.name, .is_operator = identity.is_operator};
}

}  // namespace

bool is_this_host(const std::string& host) {
  if (host == "localhost" || host == "::1") return true;
  if (!host.starts_with("127.")) return false;
  return host.find_first_not_of("0123456789.") == std::string::npos;
}

HttpReply Access::check_origin(const HttpRequest& request) const {
  const auto host = host_name(request.host);
  if (!host) return http_error(400, "the request's Host header is missing or no host");
  // A name of another's that leads here would make this page one of theirs.
  if (options_.is_loopback && !is_this_host(*host)) {
    return http_error(421,
                      "this address is for this host only: use localhost or 127.0.0.1, e.g. "
                      "through ssh -L");
  }
  const bool is_own_page =
      request.origin == "http://" + request.host || request.origin == "https://" + request.host;
  if (!request.origin.empty() && !is_own_page) {
    return http_error(403, "another site's page may not ask this");
  }
  if (request.method == "POST" && !is_own_page) {
    return http_error(403, "only the page itself may send this: its Origin header is missing");
  }
  if (request.fetch_site == "cross-site" && request.target.path != "/") {
    return http_error(403, "another site's page may not ask this");
  }
  return {.status = 0};
}

std::variant<Asker, HttpReply> Access::find(const HttpRequest& request, int64_t now) const {
  if (options_.is_loopback) return local_operator();
  if (request.authorization.starts_with(kBearer)) {
    const auto identity =
        find_token(options_.keys, std::string_view(request.authorization).substr(kBearer.size()));
    if (identity) return asker_of(*identity);
  } else if (const auto session = cookie_value(request.cookie, kCookie)) {
    const auto identity = find_session(options_.keys, *session, now);
    if (identity) return asker_of(*identity);
  }
  HttpReply reply = http_error(
      401,
      "a token is needed: troupe keys web NAME at the head makes one, and a link for a browser");
  reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  return reply;
}

HttpReply Access::begin_session(const HttpRequest& request, int64_t now) const {
  if (request.method != "POST") return http_error(405, "a session is begun with POST");
  const auto body = parse_json(request.body, kBodyDepthMax);
  const auto text = [&body](const char* name) -> std::string {
    if (!body.is_object() || !body.contains(name) || !body[name].is_string()) return {};
    return body[name].get<std::string>();
  };
  const std::string once = text("once"), token = text("token");
  const auto session = options_.is_loopback ? std::nullopt
                       : !once.empty()      ? take_once(options_.keys, once, now)
                                            : session_of(options_.keys, token, now);
  if (!session) {
    return http_error(401,
                      "this link or token is not known: it was used before, is too old, or its "
                      "key was revoked; troupe keys web NAME makes a new one");
  }
  HttpReply reply{.body = std::make_shared<const std::string>("{}")};
  reply.headers.emplace_back(
      "Set-Cookie", fmt::format("{}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict", kCookie,
                                *session, kSessionSeconds));
  return reply;
}

}  // namespace troupe::cluster
