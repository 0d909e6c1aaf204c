#include "cluster/nodes/link_session.h"

#include <doctest/doctest.h>

#include <deque>
#include <random>
#include <string>

using namespace troupe;
using namespace troupe::cluster;

namespace {

LinkSession::Bytes bytes_of(const std::string& text) {
  const auto all = std::as_bytes(std::span(text.data(), text.size()));
  return {all.begin(), all.end()};
}

std::string text_of(const LinkSession::Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Frame {
  LinkHeader header{};
  LinkSession::Bytes bytes{};
};

// One direction of a connection: keeps the order, and loses all that it has when it breaks.
using Pipe = std::deque<Frame>;

void send_all(LinkSession& from, Pipe& pipe) {
  while (const auto part = from.next()) {
    pipe.push_back({part->header, {part->bytes.begin(), part->bytes.end()}});
  }
}

// Of what has been heard, appended to `heard`. Whether something was missing.
bool hear_all(LinkSession& to, Pipe& pipe, std::vector<std::string>& heard) {
  bool is_missing = false;
  while (!pipe.empty()) {
    const auto result = to.hear(pipe.front().header, pipe.front().bytes);
    REQUIRE(result);
    if (result->message) heard.push_back(text_of(*result->message));
    is_missing |= result->is_missing;
    pipe.pop_front();
  }
  return is_missing;
}

void reconnect(LinkSession& a, LinkSession& b) {
  CHECK(a.resume(b.header().received));
  CHECK(b.resume(a.header().received));
}

constexpr LinkSession::Limits kSmall{
    .part_bytes = 4, .under_way_bytes = 16, .message_bytes_max = 64};

}  // namespace

TEST_CASE("link_session: messages arrive whole and in order, however long") {
  LinkSession a(7, kSmall);
  LinkSession b(7, kSmall);
  Pipe pipe;
  std::vector<std::string> heard;
  a.say(bytes_of("one"));
  a.say(bytes_of(""));
  a.say(bytes_of("a message of several parts"));
  for (int i = 0; i < 4; ++i) {
    send_all(a, pipe);
    CHECK_FALSE(hear_all(b, pipe, heard));
    CHECK(a.hear(b.header(), {}));
  }
  CHECK(heard == std::vector<std::string>{"one", "", "a message of several parts"});
  CHECK(a.bytes_waiting() == 0);
}

TEST_CASE("link_session: no more is under way than may be") {
  LinkSession a(7, kSmall);
  LinkSession b(7, kSmall);
  Pipe pipe;
  std::vector<std::string> heard;
  a.say(bytes_of(std::string(40, 'x')));
  send_all(a, pipe);
  CHECK(pipe.size() == 4);
  hear_all(b, pipe, heard);
  CHECK(b.owes_header());
  CHECK(a.hear(b.header(), {}));
  CHECK_FALSE(b.owes_header());
  send_all(a, pipe);
  CHECK(pipe.size() == 4);
}

TEST_CASE("link_session: a broken connection loses nothing and doubles nothing") {
  LinkSession a(7, kSmall);
  LinkSession b(7, kSmall);
  Pipe pipe;
  std::vector<std::string> heard;
  a.say(bytes_of("first, and long"));
  send_all(a, pipe);
  pipe.resize(2);  // The rest is lost on its way.
  hear_all(b, pipe, heard);
  a.say(bytes_of("next"));
  reconnect(a, b);
  send_all(a, pipe);
  CHECK_FALSE(hear_all(b, pipe, heard));
  CHECK(a.hear(b.header(), {}));
  send_all(a, pipe);
  CHECK_FALSE(hear_all(b, pipe, heard));
  CHECK(heard == std::vector<std::string>{"first, and long", "next"});
  // What an old connection still brings is known.
  pipe.push_back({{.session = 7, .sequence = 1}, bytes_of("firs")});
  CHECK_FALSE(hear_all(b, pipe, heard));
  CHECK(heard.size() == 2);
}

TEST_CASE("link_session: what is missing is noticed, and said to the other side") {
  LinkSession a(7, kSmall);
  LinkSession b(7, kSmall);
  Pipe pipe;
  std::vector<std::string> heard;
  a.say(bytes_of("1"));
  a.say(bytes_of("2"));
  send_all(a, pipe);
  pipe.pop_front();
  CHECK(hear_all(b, pipe, heard));
  CHECK(heard.empty());
  const auto told = a.hear(b.header(), {});
  REQUIRE(told);
  CHECK(told->is_missing);
  reconnect(a, b);
  send_all(a, pipe);
  CHECK_FALSE(hear_all(b, pipe, heard));
  CHECK(heard == std::vector<std::string>{"1", "2"});
  CHECK_FALSE(a.hear(b.header(), {})->is_missing);
}

TEST_CASE("link_session: who does not keep to the rules is refused") {
  LinkSession a(7, kSmall);
  CHECK(a.hear({.session = 7, .received = 1}, {}).error().code == ErrorCode::kCorruption);
  CHECK(a.resume(1).error().code == ErrorCode::kCorruption);
  // A message that never ends.
  const auto part = bytes_of(std::string(16, 'x'));
  for (uint64_t i = 1; i <= 4; ++i) {
    CHECK(a.hear({.session = 7, .sequence = i, .goes_on = true}, part));
  }
  CHECK(a.hear({.session = 7, .sequence = 5, .goes_on = true}, part).error().code ==
        ErrorCode::kCorruption);
}

TEST_CASE("link_session: any order of losses, late frames and reconnections") {
  for (uint64_t seed = 0; seed < 2'000; ++seed) {
    std::mt19937_64 random(seed);
    const auto chance = [&random](uint64_t one_in) { return random() % one_in == 0; };
    LinkSession a(7, kSmall);
    LinkSession b(7, kSmall);
    Pipe to_b;
    Pipe to_a;
    Pipe late;  // Of connections that are gone.
    std::vector<std::string> said;
    std::vector<std::string> heard;
    std::vector<std::string> nothing;
    for (int i = 0; i < 200; ++i) {
      if (chance(3)) {
        said.push_back(std::string(random() % 30, 'a' + static_cast<char>(random() % 26)));
        a.say(bytes_of(said.back()));
      }
      if (chance(2)) send_all(a, to_b);
      if (chance(4)) to_a.push_back({b.header(), {}});
      bool is_missing = false;
      if (chance(3)) is_missing |= hear_all(b, to_b, heard);
      if (chance(3)) is_missing |= hear_all(a, to_a, nothing);
      if (!late.empty() && chance(5)) {
        to_b.push_front(late.front());
        late.pop_front();
      }
      if (is_missing || chance(20)) {
        late.insert(late.end(), to_b.begin(), to_b.end());
        to_b.clear();
        to_a.clear();
        reconnect(a, b);
      }
    }
    reconnect(a, b);
    to_b.clear();
    for (int i = 0; i < 500 && a.bytes_waiting() > 0; ++i) {
      send_all(a, to_b);
      REQUIRE_FALSE(hear_all(b, to_b, heard));
      REQUIRE(a.hear(b.header(), {}));
    }
    send_all(a, to_b);
    hear_all(b, to_b, heard);
    REQUIRE_MESSAGE(heard == said, "seed " << seed);
  }
}
