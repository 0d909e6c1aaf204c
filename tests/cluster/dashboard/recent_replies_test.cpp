#include "cluster/dashboard/recent_replies.h"

#include <doctest/doctest.h>

namespace troupe::cluster {
namespace {

using namespace std::chrono_literals;

struct Asked {
  RecentReplies replies{500ms};
  RecentReplies::Clock::time_point now{};
  int made = 0;
  std::vector<RecentReplies::Answer> making{};  // Not answered yet.

  // The status that comes at once; 0: none.
  unsigned get(const std::string& key) {
    const auto status = std::make_shared<unsigned>(0);
    replies.get(
        key, now, [status](const HttpReply& reply) { *status = reply.status; },
        [this](RecentReplies::Answer answer) {
          ++made;
          making.push_back(std::move(answer));
        });
    return *status;
  }
  void answer(unsigned status, size_t bytes = 1) {
    HttpReply reply{.status = status, .body = std::make_shared<const std::string>(bytes, 'x')};
    std::exchange(making, {}).at(0)(std::move(reply));
  }
};

TEST_CASE("recent_replies: made once for all who ask meanwhile and for a moment") {
  Asked asked;
  int later = 0;
  CHECK(asked.get("a") == 0);
  asked.replies.get(
      "a", asked.now, [&](const HttpReply&) { ++later; },
      [&](const RecentReplies::Answer&) { ++asked.made; });
  CHECK(asked.made == 1);
  asked.answer(200);
  CHECK(later == 1);
  CHECK(asked.get("a") == 200);
  CHECK(asked.made == 1);
  CHECK(asked.get("b") == 0);  // Another's.
  asked.answer(200);
  CHECK(asked.made == 2);
  asked.now += 501ms;
  CHECK(asked.get("a") == 0);
  CHECK(asked.made == 3);
}

TEST_CASE("recent_replies: failures are made anew, and what is large or many is not kept") {
  Asked asked;
  asked.get("a");
  asked.answer(503);
  CHECK(asked.get("a") == 0);
  asked.answer(200, RecentReplies::kBytesMax + 1);
  CHECK(asked.get("a") == 0);
  asked.answer(200);
  for (size_t i = 1; i < RecentReplies::kRepliesMax; ++i) {
    asked.get(std::to_string(i));
    asked.answer(200);
  }
  const int made = asked.made;
  for (int i = 0; i < 2; ++i) {
    CHECK(asked.get("one more") == 0);
    asked.answer(200);
  }
  CHECK(asked.made == made + 2);
  CHECK(asked.get("1") == 200);
  asked.now += 501ms;
  CHECK(asked.get("one more") == 0);
  asked.answer(200);
  CHECK(asked.get("one more") == 200);
}

TEST_CASE(
    "recent_replies: nobody waits for what may never come, and what comes late is for its own") {
  Asked asked;
  CHECK(asked.get("a") == 0);
  int waited = 0;
  asked.replies.get(
      "a", asked.now, [&](const HttpReply&) { ++waited; },
      [](const RecentReplies::Answer&) { CHECK(false); });
  auto lost = std::exchange(asked.making, {});
  asked.now += 2'001ms;
  CHECK(asked.get("a") == 0);
  CHECK(asked.made == 2);
  asked.answer(200, 7);
  lost.at(0)({.status = 200, .body = std::make_shared<const std::string>("late")});
  CHECK(waited == 1);
  CHECK(asked.get("a") == 200);
  CHECK(asked.made == 2);
}

}  // namespace
}  // namespace troupe::cluster
