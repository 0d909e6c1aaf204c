#include "actors/crew/activity.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

TEST_CASE("activity: what is under way is shared out over the times that it is asked for") {
  BusyTime time;
  const auto seconds = [&time](double now) {
    Busy busy;
    time.take(busy, now);
    return busy.seconds;
  };
  time.begin(10);
  time.end(12);
  time.end(20);  // Nothing has begun since.
  time.begin(30);
  CHECK(seconds(33) == 5);
  CHECK(seconds(37) == 4);
  time.end(38);
  CHECK(seconds(50) == 1);
  CHECK(seconds(60) == 0);
}

TEST_CASE("activity: work is told once, as long ago as it was, and only the newest of much") {
  WorkLog log;
  for (size_t i = 0; i < WorkLog::kSpansMax + 5; ++i) {
    log.add({.slot = static_cast<uint32_t>(i), .began_ago = 10, .ended_ago = 12});
  }
  std::vector<WorkSpan> told;
  log.take(told, 20);
  REQUIRE(told.size() == WorkLog::kSpansMax);
  CHECK(told.front().slot == 5);
  CHECK(told.front().began_ago == 10);
  CHECK(told.front().ended_ago == 8);
  log.take(told, 30);
  CHECK(told.size() == WorkLog::kSpansMax);
}

TEST_CASE("activity: when work that ends began, also if somebody has asked in between") {
  BusyTime time;
  CHECK(!time.end(1));
  time.begin(10);
  Busy busy;
  time.take(busy, 15);
  CHECK(time.end(17) == 10);
  CHECK(!time.end(18));
}

TEST_CASE("activity: a share is of all workers' time, at most all of it, and nobody's is none") {
  CHECK(Busy{.seconds = 3, .workers = 2}.share(3) == 0.5);
  CHECK(Busy{.seconds = 5, .workers = 1}.share(4) == 1);
  CHECK(Busy{}.share(4) == 0);
}

}  // namespace
}  // namespace troupe::actors
