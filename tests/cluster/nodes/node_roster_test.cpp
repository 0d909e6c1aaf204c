#include "cluster/nodes/node_roster.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "cluster/nodes/node_member.h"
#include "schemas/node_codec.h"

using namespace troupe;
using namespace troupe::cluster;

namespace {

NodeRoster::Options options() {
  return {.build = "b1", .arithmetic_id = "cpu-1", .first_session = 100};
}

NodeHello hello(uint64_t instance = 1) {
  return {.instance = instance, .build = "b1", .arithmetic_id = "cpu-1", .facts = {.slots = 2}};
}

template <class Event>
std::vector<Event> take(NodeRoster& roster) {
  std::vector<Event> found;
  for (auto& event : roster.take_events()) {
    if (auto* one = std::get_if<Event>(&event)) found.push_back(std::move(*one));
  }
  return found;
}

std::string reason(const ToNode& answer) {
  const auto* refused = std::get_if<NodeRefused>(&answer);
  REQUIRE(refused != nullptr);
  return refused->reason;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// A node and its head, and what is between them.
struct Pair {
  std::optional<NodeRoster> roster{std::in_place, options()};
  NodeMember member{{.hello = hello()}};
  double now = 10;
  bool is_cut = false;

  // All that either says goes to the other.
  void exchange() {
    for (int i = 0; i < 10; ++i) {
      while (auto frame = member.next()) {
        if (is_cut) continue;
        const auto& [header, bytes] = *frame;
        if (header.sequence > 0 || bytes.empty()) {
          roster->heard("b", header, bytes, now);
          continue;
        }
        auto message = decode_from_node(bytes);
        REQUIRE(message);
        const ToNode answer =
            roster->hello("b", "10.0.0.2", header, std::get<NodeHello>(*message), now);
        LinkHeader with;
        if (auto* node = roster->find("b")) with.received = node->session.header().received;
        member.heard(with, encode(answer), now);
      }
      auto* node = roster->find("b");
      while (node != nullptr) {
        const auto part = roster->next(*node);
        if (!part) break;
        if (!is_cut) member.heard(part->header, part->bytes, now);
      }
    }
  }
  void pass(double seconds) {
    for (double until = now + seconds; now < until;) {
      now += 0.05;
      member.tick(now);
      for (auto& event : member.take_events()) {
        if (std::holds_alternative<NodeMember::Reconnect>(event) && !is_cut) member.connected(now);
        if (std::holds_alternative<NodeMember::Joined>(event)) ++joined;
        if (std::holds_alternative<NodeMember::Back>(event)) ++back;
        if (auto* no = std::get_if<NodeMember::Refused>(&event)) refusal = no->reason;
        if (auto* told_now = std::get_if<NodeMember::Heard>(&event)) {
          told.push_back(std::get<KillProcess>(told_now->message).pid);
        }
      }
      exchange();
      roster->tick(now);
      for (auto& event : roster->take_events()) {
        auto* said = std::get_if<NodeRoster::Said>(&event);
        if (said != nullptr && !std::holds_alternative<NodeBeat>(said->message)) {
          heard.push_back(std::get<WorkerGone>(said->message).peer);
        }
        if (std::holds_alternative<NodeRoster::Away>(event)) away_at = now;
        if (std::holds_alternative<NodeRoster::Back>(event)) back_at = now;
        if (std::holds_alternative<NodeRoster::Gone>(event)) ++gone;
      }
    }
  }

  int joined = 0, back = 0, gone = 0;
  double away_at = 0, back_at = 0;
  std::string refusal{};
  std::vector<uint64_t> told{}, heard{};
};

}  // namespace

TEST_CASE("node_roster: who runs another build or arithmetic is refused with both named") {
  NodeRoster roster(options());
  NodeHello other = hello();
  other.build = "b2";
  std::string why = reason(roster.hello("b", "10.0.0.2", {}, other, 0));
  CHECK(has(why, "b1"));
  CHECK(has(why, "b2"));
  other = hello();
  other.arithmetic_id = "cpu-9";
  why = reason(roster.hello("b", "10.0.0.2", {}, other, 0));
  CHECK(has(why, "cpu-1"));
  CHECK(has(why, "cpu-9"));
  CHECK(roster.take_events().empty());
}

TEST_CASE("node_roster: loopback is for nodes that are all on one host") {
  NodeRoster roster(options());
  CHECK(std::holds_alternative<NodeWelcome>(roster.hello("b", "127.0.0.1", {}, hello(1), 0)));
  CHECK(std::holds_alternative<NodeWelcome>(roster.hello("c", "127.0.0.1", {}, hello(2), 0)));
  const std::string why = reason(roster.hello("d", "10.0.0.2", {}, hello(3), 0));
  CHECK(has(why, "127.0.0.1"));
  CHECK(has(why, "10.0.0.2"));
  NodeHello named = hello(3);
  named.address = "127.0.0.5";
  CHECK(std::holds_alternative<NodeWelcome>(roster.hello("d", "10.0.0.2", {}, named, 0)));
}

TEST_CASE("node_roster: two daemons are not one node, unless the first has fallen silent") {
  NodeRoster roster(options());
  roster.hello("b", "10.0.0.2", {}, hello(1), 0);
  CHECK(has(reason(roster.hello("b", "10.0.0.3", {}, hello(2), 1)), "another daemon"));
  roster.tick(2);
  CHECK(take<NodeRoster::Away>(roster).size() == 1);
  const ToNode answer = roster.hello("b", "10.0.0.3", {}, hello(2), 2);
  REQUIRE(std::holds_alternative<NodeWelcome>(answer));
  CHECK(std::get<NodeWelcome>(answer).session == 101);
  const auto events = roster.take_events();
  REQUIRE(events.size() == 2);
  CHECK(std::holds_alternative<NodeRoster::Gone>(events[0]));
  CHECK(std::holds_alternative<NodeRoster::Joined>(events[1]));
  CHECK_FALSE(roster.heard("b", {.session = 100, .sequence = 1}, {}, 2));
}

TEST_CASE("node_roster: silence, and a node that never comes back") {
  NodeRoster roster(options());
  roster.hello("b", "10.0.0.2", {}, hello(), 0);
  roster.tick(1.4);
  CHECK(take<NodeRoster::Away>(roster).empty());
  roster.tick(1.6);
  CHECK(take<NodeRoster::Away>(roster).size() == 1);
  roster.tick(119);
  CHECK(take<NodeRoster::Gone>(roster).empty());
  roster.tick(121);
  CHECK(take<NodeRoster::Gone>(roster).size() == 1);
  CHECK(roster.find("b") == nullptr);
}

TEST_CASE("node_roster: what breaks the rules, or lost its key, is given up") {
  NodeRoster roster(options());
  roster.hello("b", "10.0.0.2", {}, hello(), 0);
  CHECK_FALSE(roster.heard("b", {.session = 100, .sequence = 1}, LinkSession::Bytes(8), 0));
  CHECK(take<NodeRoster::Gone>(roster).size() == 1);
  roster.hello("b", "10.0.0.2", {}, hello(), 0);
  roster.revoked("b");
  CHECK(take<NodeRoster::Gone>(roster).size() == 1);
}

TEST_CASE("node_member: joins, and is heard again after a cut with nothing lost or doubled") {
  Pair pair;
  pair.member.connected(pair.now);
  pair.pass(1);
  CHECK(pair.joined == 1);
  pair.roster->say("b", KillProcess{1});
  pair.member.say(WorkerGone{1});
  pair.pass(0.5);
  pair.is_cut = true;
  pair.roster->say("b", KillProcess{2});
  pair.member.say(WorkerGone{2});
  const double cut_at = pair.now;
  pair.pass(10);
  CHECK(pair.away_at - cut_at < 3);
  pair.roster->say("b", KillProcess{3});
  pair.member.say(WorkerGone{3});
  pair.is_cut = false;
  const double mended_at = pair.now;
  pair.pass(4);
  CHECK(pair.back_at - mended_at < 3);
  CHECK(pair.back_at > mended_at);
  CHECK(pair.joined == 1);
  CHECK(pair.back == 1);
  CHECK(pair.gone == 0);
  CHECK(pair.told == std::vector<uint64_t>{1, 2, 3});
  CHECK(pair.heard == std::vector<uint64_t>{1, 2, 3});
}

TEST_CASE("node_member: another head begins another session") {
  Pair pair;
  pair.member.connected(pair.now);
  pair.pass(1);
  pair.member.say(WorkerGone{1});
  pair.roster.emplace(
      NodeRoster::Options{.build = "b1", .arithmetic_id = "cpu-1", .first_session = 900});
  pair.member.connected(pair.now);
  pair.pass(1);
  CHECK(pair.joined == 2);
  // What was said to the old one is not for the new one.
  CHECK(pair.heard.empty());
  pair.member.say(WorkerGone{2});
  pair.pass(1);
  CHECK(pair.heard == std::vector<uint64_t>{2});
}

TEST_CASE("node_member: a refusal is told once, with its reason") {
  Pair pair;
  pair.roster.emplace(NodeRoster::Options{.build = "b7", .arithmetic_id = "cpu-1"});
  pair.member.connected(pair.now);
  pair.pass(2);
  CHECK(has(pair.refusal, "b7"));
  CHECK(pair.joined == 0);
}
