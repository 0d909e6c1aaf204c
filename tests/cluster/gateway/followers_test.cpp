#include "cluster/gateway/followers.h"

#include <doctest/doctest.h>

#include <random>
#include <set>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

PublicKey key_number(uint8_t number) {
  PublicKey key{};
  key[0] = number;
  return key;
}

TEST_CASE("followers: one gets the topics it asked for, until its time is up") {
  Followers followers({.lease = 30s});
  const Followers::Time start{};
  CHECK(followers.follow("job/1/", {"a", key_number(1)}, start));
  CHECK(followers.follow("job/1/", {"b", key_number(2)}, start + 10s));
  CHECK(followers.follow("job/12/", {"a", key_number(1)}, start));
  CHECK(followers.of("job/1/", start + 10s).size() == 2);
  CHECK(followers.of("job/12/", start + 10s).size() == 1);
  CHECK(followers.of("job/", start).empty());
  // Asked again in time.
  CHECK(followers.follow("job/1/", {"a", key_number(1)}, start + 20s));
  CHECK(followers.of("job/1/", start + 45s).size() == 1);
  CHECK(followers.of("job/1/", start + 45s)[0].route == "a");
  CHECK(followers.of("job/1/", start + 50s).empty());
  CHECK(followers.of("job/12/", start + 50s).empty());
  CHECK(followers.size() == 0);
}

TEST_CASE("followers: a route is whose it was last") {
  Followers followers({});
  CHECK(followers.follow("job/1/", {"a", key_number(1)}, {}));
  CHECK(followers.follow("job/1/", {"a", key_number(2)}, {}));
  const auto now = followers.of("job/1/", {});
  REQUIRE(now.size() == 1);
  CHECK(now[0].key == key_number(2));
  followers.forget("job/1/", "a");
  followers.forget("job/1/", "a");
  CHECK(followers.size() == 0);
}

TEST_CASE("followers: there is a bound for one key and for all, and room again after a while") {
  Followers followers({.followers_max = 5, .per_key_max = 3, .lease = 30s});
  const Followers::Time start{};
  for (const char* topic : {"1", "2", "3"}) {
    CHECK(followers.follow(topic, {"a", key_number(1)}, start));
  }
  CHECK_FALSE(followers.follow("4", {"a", key_number(1)}, start));
  CHECK_FALSE(followers.follow("4", {"b", key_number(1)}, start));
  CHECK(followers.follow("3", {"a", key_number(1)}, start));  // One of those that there are.
  CHECK(followers.follow("1", {"c", key_number(2)}, start + 10s));
  CHECK(followers.follow("2", {"c", key_number(2)}, start + 10s));
  CHECK_FALSE(followers.follow("1", {"d", key_number(3)}, start + 10s));
  CHECK(followers.size() == 5);
  CHECK(followers.follow("1", {"d", key_number(3)}, start + 30s));
  CHECK(followers.size() == 3);
}

TEST_CASE("followers: whatever is asked in whatever order, the bounds hold") {
  std::mt19937_64 random(7);
  Followers followers({.followers_max = 20, .per_key_max = 6, .lease = 10s});
  Followers::Time now{};
  size_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    now += std::chrono::milliseconds(random() % 400);
    const std::string topic(1, static_cast<char>('a' + random() % 6));
    const std::string route(1, static_cast<char>('A' + random() % 8));
    if (random() % 4 == 0) followers.forget(topic, route);
    refused += !followers.follow(topic, {route, key_number(random() % 4)}, now);
    size_t alive = 0;
    std::map<PublicKey, size_t> per_key;
    for (char one = 'a'; one < 'a' + 6; ++one) {
      for (const auto& follower : followers.of(std::string(1, one), now)) {
        ++alive;
        ++per_key[follower.key];
      }
    }
    REQUIRE(alive <= 20);
    REQUIRE(alive == followers.size());
    for (const auto& [key, count] : per_key) REQUIRE(count <= 6);
  }
  CHECK(refused > 100);
}

}  // namespace
}  // namespace troupe::cluster
