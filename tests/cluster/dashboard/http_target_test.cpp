#include "cluster/dashboard/http_target.h"

#include <doctest/doctest.h>

#include <random>

namespace troupe::cluster {
namespace {

TEST_CASE("http_target: path and parameters, decoded") {
  const auto target = parse_target("/api/jobs/7/curves?of=steps&names=a%2Fb,c&empty=");
  REQUIRE(target);
  CHECK(target->path == "/api/jobs/7/curves");
  CHECK(target->query.at("of") == "steps");
  CHECK(target->query.at("names") == "a/b,c");
  CHECK(target->query.at("empty").empty());
  const auto parts = path_parts(target->path);
  REQUIRE(parts.size() == 4);
  CHECK(parts[0] == "api");
  CHECK(parts[3] == "curves");
}

TEST_CASE("http_target: what is not plainly right is refused") {
  for (const char* text : {"", "api", "http://host/", "*", "/a b", "/%", "/%4", "/%zz", "/%00",
                           "/%0a", "/\x7f", "/\xc3\xbc", "/?a=1&a=2", "/a?b=%1"}) {
    CAPTURE(text);
    CHECK(!parse_target(text));
  }
  CHECK(parse_target("/" + std::string(kTargetBytesMax - 1, 'a')));
  CHECK(!parse_target("/" + std::string(kTargetBytesMax, 'a')));
  std::string many = "/?";
  for (size_t i = 0; i < kParametersMax; ++i) many += "p" + std::to_string(i) + "=1&";
  CHECK(!parse_target(many + "one_more=1"));
}

TEST_CASE("http_target: numbers, hosts and cookies") {
  CHECK(parse_number("18446744073709551615") == UINT64_MAX);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616"}) {
    CAPTURE(text);
    CHECK(!parse_number(text));
  }
  CHECK(host_name("LocalHost:80") == "localhost");
  CHECK(host_name("[::1]:80") == "::1");
  CHECK(host_name("127.0.0.1") == "127.0.0.1");
  for (const char* text : {"", ":80", "a b", "a/b", "[::1", "a:b:c", "user@host"}) {
    CAPTURE(text);
    CHECK(!host_name(text));
  }
  CHECK(cookie_value("a=1; troupe_session=x.y; b=2", "troupe_session") == "x.y");
  CHECK(!cookie_value("a=1", "troupe_session"));
  CHECK(!cookie_value("troupe_session=1; troupe_session=2", "troupe_session"));
  CHECK(!cookie_value("xtroupe_session=1", "troupe_session"));
}

TEST_CASE("http_target: a million random bytes never do more than be refused or read") {
  std::mt19937_64 random(1);
  const std::string seeds[] = {"/api/jobs/7/curves?of=steps&names=a%2Fb,c&points=600",
                               "/api/jobs/18446744073709551615/rounds/3/4", "/?a=%41&b=%42",
                               "a=1; troupe_session=x.y", "[::1]:8080"};
  size_t fed = 0;
  size_t read = 0;
  while (fed < 1'000'000) {
    std::string text = seeds[random() % std::size(seeds)];
    for (uint64_t changes = random() % 6; changes > 0; --changes) {
      const size_t at = random() % (text.size() + 1);
      const char byte = static_cast<char>(random());
      if (random() % 3 == 0) {
        text.insert(at, 1, byte);
      } else if (at < text.size()) {
        text[at] = byte;
      }
    }
    fed += text.size();
    if (const auto target = parse_target(text)) {
      ++read;
      // What was read has nothing in it that a file or a log would stumble over.
      for (const char c : target->path) CHECK(static_cast<unsigned char>(c) >= 0x20);
      CHECK(target->path.front() == '/');
      (void)path_parts(target->path);
    }
    (void)host_name(text);
    (void)cookie_value(text, "troupe_session");
    (void)parse_number(text);
  }
  CHECK(read > 0);
}

}  // namespace
}  // namespace troupe::cluster
