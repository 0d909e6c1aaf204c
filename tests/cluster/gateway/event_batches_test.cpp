#include "cluster/gateway/event_batches.h"

#include <doctest/doctest.h>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

using Events = std::vector<std::vector<std::byte>>;

const EventBatches::Time kStart{};

std::vector<std::byte> event(char byte, size_t size = 1) {
  return std::vector<std::byte>(size, static_cast<std::byte>(byte));
}

TEST_CASE("event_batches: what few follow goes at once, what many follow goes together") {
  EventBatches batches({.pause_for_each = 1ms});
  CHECK_FALSE(batches.next());
  batches.add("job/1/", "alice", event('a'));
  CHECK(*batches.next() <= kStart);
  auto due = batches.take(kStart);
  REQUIRE(due.size() == 1);
  CHECK(due[0].owner == "alice");
  CHECK(due[0].events.size() == 1);
  batches.sent("job/1/", 500, kStart);
  batches.add("job/1/", "alice", event('b'));
  batches.add("job/1/", "alice", event('c'));
  CHECK(*batches.next() == kStart + 500ms);
  CHECK(batches.take(kStart + 499ms).empty());
  due = batches.take(kStart + 500ms);
  REQUIRE(due.size() == 1);
  CHECK(due[0].events == Events{event('b'), event('c')});
  CHECK_FALSE(batches.next());
}

TEST_CASE("event_batches: each topic has its own time") {
  EventBatches batches({.pause_for_each = 1ms});
  batches.sent("job/1/", 1000, kStart);
  batches.add("job/1/", "alice", event('a'));
  batches.add("job/2/", "bob", event('b'));
  const auto due = batches.take(kStart);
  REQUIRE(due.size() == 1);
  CHECK(due[0].topic == "job/2/");
  CHECK(due[0].owner == "bob");
}

TEST_CASE("event_batches: what is much does not wait, and does not go in one") {
  EventBatches batches({.pause_for_each = 1ms, .bytes_max = 100, .events_max = 2});
  batches.sent("job/1/", 1000, kStart);
  batches.add("job/1/", "alice", event('a', 60));
  CHECK(batches.take(kStart).empty());
  batches.add("job/1/", "alice", event('b', 60));
  CHECK(*batches.next() <= kStart);
  auto due = batches.take(kStart);
  REQUIRE(due.size() == 2);
  CHECK(due[0].events == Events{event('a', 60)});
  CHECK(due[1].events == Events{event('b', 60)});
  CHECK_FALSE(batches.next());
  // One that is more than may be in a batch is in one of its own.
  batches.add("job/1/", "alice", event('c', 200));
  batches.add("job/1/", "alice", event('d'));
  due = batches.take(kStart);
  REQUIRE(due.size() == 2);
  CHECK(due[0].events == Events{event('c', 200)});
  for (const char byte : {'e', 'f', 'g'}) batches.add("job/1/", "alice", event(byte));
  CHECK(batches.take(kStart).size() == 2);
}

}  // namespace
}  // namespace troupe::cluster
