#include "cluster/dashboard/access.h"

#include <doctest/doctest.h>

#include <random>

#include "cluster/keys/keys_folder.h"
#include "cluster/keys/web_tokens.h"
#include "tests/support/temp_dir.h"

namespace troupe::cluster {
namespace {

constexpr int64_t kNow = 1'700'000'000;

HttpRequest request(const std::string& method = "GET", const std::string& path = "/api/cluster") {
  HttpRequest one{.method = method, .host = "head.example.org:7080"};
  one.target.path = path;
  return one;
}

struct Keys {
  Keys() {
    REQUIRE(init_keys(folder));
    for (const char* name : {"alice", "olga"}) {
      REQUIRE(add_key(folder, {.kind = KeyKind::kUser, .name = name, .is_operator = name[0] == 'o'},
                      dir.file(std::string(name) + ".key")));
    }
  }
  Access access() const { return Access({.is_loopback = false, .keys = folder}); }

  tests::TempDir dir{};
  std::string folder = dir.file("keys");
};

const Asker* asker(const std::variant<Asker, HttpReply>& who) { return std::get_if<Asker>(&who); }

TEST_CASE("access: a token says who asks, until another is made or the key is revoked") {
  const Keys keys;
  const Access access = keys.access();
  CHECK(asker(access.find(request(), kNow)) == nullptr);
  const auto alice = make_web_token(keys.folder, "alice", kNow);
  const auto olga = make_web_token(keys.folder, "olga", kNow);
  REQUIRE(alice);
  REQUIRE(olga);
  CHECK(!make_web_token(keys.folder, "nobody", kNow));
  HttpRequest asks = request();
  asks.authorization = "Bearer " + alice->token;
  const auto who = access.find(asks, kNow);
  REQUIRE(asker(who) != nullptr);
  CHECK(asker(who)->name == "alice");
  CHECK(!asker(who)->is_operator);
  HttpRequest other = request();
  other.authorization = "Bearer " + olga->token;
  REQUIRE(asker(access.find(other, kNow)) != nullptr);
  CHECK(asker(access.find(other, kNow))->is_operator);
  REQUIRE(make_web_token(keys.folder, "alice", kNow));
  CHECK(asker(access.find(asks, kNow)) == nullptr);
  REQUIRE(revoke_key(keys.folder, "olga"));
  CHECK(asker(access.find(other, kNow)) == nullptr);
}

TEST_CASE("access: a link's code is good once, and a session until it ends") {
  const Keys keys;
  const Access access = keys.access();
  const auto made = make_web_token(keys.folder, "alice", kNow);
  REQUIRE(made);
  HttpRequest begins = request("POST", "/session");
  begins.body = "{\"once\":\"" + made->once + "\"}";
  CHECK(access.begin_session(begins, kNow + kOnceSeconds + 1).status == 401);
  const HttpReply begun = access.begin_session(begins, kNow);
  CHECK(begun.status == 200);
  REQUIRE(begun.headers.size() == 1);
  const std::string cookie = begun.headers[0].second;
  CHECK(cookie.find("HttpOnly; SameSite=Strict") != std::string::npos);
  CHECK(access.begin_session(begins, kNow).status == 401);
  HttpRequest asks = request();
  asks.cookie = cookie.substr(0, cookie.find(';'));
  REQUIRE(asker(access.find(asks, kNow + 60)) != nullptr);
  CHECK(asker(access.find(asks, kNow + 60))->name == "alice");
  CHECK(asker(access.find(asks, kNow + kSessionSeconds + 1)) == nullptr);
  asks.cookie.back() = asks.cookie.back() == '0' ? '1' : '0';
  CHECK(asker(access.find(asks, kNow + 60)) == nullptr);
  // Nothing is begun by a GET, and none with what is no code.
  CHECK(access.begin_session(request("GET", "/session"), kNow).status == 405);
  for (const char* body : {"", "[]", "{\"once\":7}", "{\"token\":\"alice.0\"}", "{"}) {
    begins.body = body;
    CHECK(access.begin_session(begins, kNow).status == 401);
  }
}

TEST_CASE("access: ten thousand guesses are nobody") {
  const Keys keys;
  const Access access = keys.access();
  const auto made = make_web_token(keys.folder, "alice", kNow);
  REQUIRE(made);
  std::mt19937_64 random(1);
  int known = 0;
  for (int i = 0; i < 10'000; ++i) {
    std::string token = made->token;
    for (uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
      char& at = token[random() % token.size()];
      at = static_cast<char>(at ^ static_cast<char>(1 + random() % 255));
    }
    if (token == made->token) continue;
    HttpRequest asks = request();
    if (i % 2 == 0) {
      asks.authorization = "Bearer " + token;
    } else {
      asks.cookie = std::string(Access::kCookie) + "=" + token;
    }
    known += asker(access.find(asks, kNow)) != nullptr ? 1 : 0;
  }
  CHECK(known == 0);
}

TEST_CASE("access: other sites' pages, and other names of this host, get nothing") {
  const Access local({.is_loopback = true});
  HttpRequest asks = request();
  CHECK(local.check_origin(asks).status == 421);
  for (const char* host : {"localhost:7080", "127.0.0.1:7080", "[::1]:7080", "LOCALHOST"}) {
    CAPTURE(host);
    asks.host = host;
    CHECK(local.check_origin(asks).status == 0);
  }
  asks.host = "localhost.evil.example";
  CHECK(local.check_origin(asks).status == 421);
  asks.host = "localhost:7080";
  asks.origin = "http://evil.example";
  CHECK(local.check_origin(asks).status == 403);
  asks.origin = "http://localhost:7080";
  CHECK(local.check_origin(asks).status == 0);
  asks.origin.clear();
  asks.fetch_site = "cross-site";
  CHECK(local.check_origin(asks).status == 403);
  asks.target.path = "/";  // A link to it.
  CHECK(local.check_origin(asks).status == 0);
  HttpRequest posts = request("POST", "/session");
  posts.host = "localhost:7080";
  CHECK(local.check_origin(posts).status == 403);
  asks.host.clear();
  CHECK(local.check_origin(asks).status == 400);
}

}  // namespace
}  // namespace troupe::cluster
