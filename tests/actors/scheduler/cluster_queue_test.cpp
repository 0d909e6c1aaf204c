#include "actors/scheduler/cluster_queue.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "schemas/overloaded.h"

namespace troupe::actors {
namespace {

using Lines = std::vector<std::string>;

// "a a - b": hosts by slot, "-" where there is none.
std::string to_text(const ClusterQueue::Nodes& nodes) {
  std::string text;
  for (const auto& node : nodes) {
    text += (text.empty() ? "" : " ") + (node.empty() ? std::string("-") : node);
  }
  return text;
}

// What a decision says: "1 running", "start 1: a a", "resize 1 #2: a -", "stop 1 paused".
Lines decided(ClusterQueue& queue, double now = 0) {
  Lines lines;
  for (const auto& command : queue.decide(now)) {
    std::visit(Overloaded{
                   [&](const ClusterQueue::Start& one) {
                     lines.push_back(fmt::format("start {}: {}", one.job, to_text(one.nodes)));
                   },
                   [&](const ClusterQueue::Resize& one) {
                     lines.push_back(
                         fmt::format("resize {} #{}: {}", one.job, one.number, to_text(one.nodes)));
                   },
                   [&](const ClusterQueue::Stop& one) {
                     lines.push_back(fmt::format("stop {} {}", one.job, name(one.state)));
                   },
                   [&](const ClusterQueue::Changed& one) {
                     lines.push_back(fmt::format("{} {}", one.job, name(one.state)));
                   },
               },
               command);
  }
  return lines;
}

// Of a colocated job without verifiers: all slots are the learner's host's.
JobNeed need(uint32_t required, uint32_t lent = 0, int64_t priority = 0) {
  return {.slots = {.learner = 1, .required = required, .lent = lent}, .priority = priority};
}
JobNeed split(uint32_t learner, uint32_t rollout, uint32_t verifier = 0) {
  return {.slots = {.learner = learner,
                    .required = learner + rollout,
                    .verifier = verifier,
                    .is_split = true}};
}

ClusterQueue with_hosts(const std::map<std::string, uint32_t>& hosts) {
  ClusterQueue queue({});
  for (const auto& [name, slots] : hosts) queue.host_up(name, slots, false);
  return queue;
}

// A host that takes one job at a time, like a head that is alone.
ClusterQueue alone() {
  ClusterQueue queue({});
  queue.host_up("a", 1, true);
  return queue;
}

bool says(const std::string& text, const std::string& words) {
  INFO(text);
  const bool found = text.find(words) != std::string::npos;
  CHECK(found);
  return found;
}

TEST_CASE("cluster queue: with one slot one job runs, the others wait as they came") {
  ClusterQueue queue = alone();
  for (uint64_t job : {1, 2, 3}) queue.submit(job, need(1));
  CHECK(decided(queue) == Lines{"1 running", "start 1: a"});
  queue.ended(1, JobState::kFinished);
  CHECK(decided(queue) == Lines{"1 finished", "2 running", "start 2: a"});
  queue.ended(2, JobState::kFailed);
  CHECK(decided(queue) == Lines{"2 failed", "3 running", "start 3: a"});
}

TEST_CASE("cluster queue: who waits is paused and cancelled at once, who runs is stopped") {
  ClusterQueue queue = alone();
  for (uint64_t job : {1, 2, 3}) queue.submit(job, need(1));
  decided(queue);
  CHECK(queue.pause(2));
  CHECK(queue.cancel(3));
  CHECK(decided(queue) == Lines{"2 paused", "3 cancelled"});
  CHECK(queue.pause(1));
  CHECK(queue.pause(1));
  CHECK(decided(queue) == Lines{"stop 1 paused"});
  const Status refused = queue.resume(1);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kInvalidArgument);
  queue.ended(1, JobState::kPaused);
  CHECK(decided(queue) == Lines{"1 paused"});
  CHECK(queue.resume(2));
  CHECK(queue.resume(1));
  CHECK(decided(queue) == Lines{"2 queued", "1 queued", "2 running", "start 2: a"});
  for (auto verb : {&ClusterQueue::pause, &ClusterQueue::resume}) CHECK_FALSE((queue.*verb)(3));
  CHECK(queue.cancel(3));
  CHECK(queue.why(3, 0) == "has ended: it is cancelled");
}

TEST_CASE("cluster queue: a cancel that overtakes a pause is kept") {
  ClusterQueue queue = alone();
  queue.submit(1, need(1));
  decided(queue);
  CHECK(queue.pause(1));
  CHECK(queue.cancel(1));
  CHECK_FALSE(queue.pause(1));
  decided(queue);
  queue.ended(1, JobState::kPaused);
  CHECK(queue.state(1) == JobState::kCancelled);
}

TEST_CASE("cluster queue: a job that ends itself before it is stopped has ended") {
  ClusterQueue queue = alone();
  queue.submit(1, need(1));
  decided(queue);
  CHECK(queue.pause(1));
  queue.ended(1, JobState::kFinished);
  CHECK(queue.state(1) == JobState::kFinished);
}

TEST_CASE("cluster queue: what was running when the head went comes first, as it had come") {
  ClusterQueue queue = with_hosts({{"a", 2}});
  queue.restore(1, need(1), JobState::kQueued);
  queue.restore(2, need(1), JobState::kRunning);
  queue.restore(3, need(1), JobState::kPaused);
  queue.restore(4, need(1), JobState::kFinished);
  queue.restore(5, need(1), JobState::kRunning);
  CHECK(decided(queue) == Lines{"2 running", "start 2: a", "5 running", "start 5: a"});
  CHECK(queue.state(1) == JobState::kQueued);
  CHECK(queue.state(3) == JobState::kPaused);
}

TEST_CASE("cluster queue: a head that goes stops all jobs, begins none, and they stay running") {
  ClusterQueue queue = with_hosts({{"a", 2}});
  for (uint64_t job : {1, 2, 3}) queue.submit(job, need(1));
  decided(queue);
  queue.drain();
  CHECK(decided(queue) == Lines{"stop 1 paused", "stop 2 paused"});
  queue.ended(1, JobState::kPaused);
  queue.ended(2, JobState::kFinished);
  CHECK(decided(queue) == Lines{"2 finished"});
  CHECK(queue.state(1) == JobState::kRunning);
  CHECK(queue.is_idle());
}

TEST_CASE("cluster queue: a higher priority comes first, and equals as they came") {
  ClusterQueue queue = alone();
  queue.submit(1, need(1));
  decided(queue);
  CHECK(queue.pause(1));  // So that it is on its way out already.
  queue.submit(2, need(1, 0, 0));
  queue.submit(3, need(1, 0, 7));
  queue.submit(4, need(1, 0, 7));
  decided(queue);
  queue.ended(1, JobState::kPaused);
  CHECK(decided(queue) == Lines{"1 paused", "3 running", "start 3: a"});
  queue.ended(3, JobState::kFinished);
  CHECK(decided(queue) == Lines{"3 finished", "4 running", "start 4: a"});
}

TEST_CASE("cluster queue: several jobs run where there is room, each with all that it needs") {
  ClusterQueue queue = with_hosts({{"a", 2}, {"b", 3}});
  queue.submit(1, need(2));
  queue.submit(2, need(2));
  queue.submit(3, need(2));
  CHECK(decided(queue) == Lines{"1 running", "start 1: a a", "2 running", "start 2: b b"});
  queue.ended(2, JobState::kFinished);
  CHECK(decided(queue) == Lines{"2 finished", "3 running", "start 3: b b"});
}

TEST_CASE("cluster queue: an elastic host takes one job of any size, or several that fit") {
  ClusterQueue queue({});
  queue.host_up("a", 2, true);
  queue.submit(1, need(5));
  queue.submit(2, need(1));
  CHECK(decided(queue) == Lines{"1 running", "start 1: a a a a a"});
  queue.submit(3, need(5));
  queue.ended(1, JobState::kFinished);
  // The first begins; the large one waits for the whole host, and what comes later waits for it.
  CHECK(decided(queue) == Lines{"1 finished", "2 running", "start 2: a"});
  queue.submit(4, need(1));
  CHECK(decided(queue).empty());
  CHECK(queue.reserved_for() == 3);
  queue.ended(2, JobState::kFinished);
  CHECK(decided(queue) == Lines{"2 finished", "3 running", "start 3: a a a a a"});
}

TEST_CASE("cluster queue: small jobs pass the first one only where they do not delay it") {
  ClusterQueue queue = with_hosts({{"a", 4}, {"b", 4}});
  queue.submit(1, need(3));
  queue.submit(2, need(3));
  decided(queue);
  // Waits for one of the two; one free slot is on each host.
  queue.submit(3, need(4));
  queue.submit(4, need(1));
  queue.submit(5, need(1));
  // Where it waits, the slot is kept; on the other host somebody begins.
  CHECK(decided(queue) == Lines{"4 running", "start 4: b"});
  CHECK(queue.reserved_for() == 3);
  says(queue.why(3, 0), "is the next to begin; needs 4 slots, 1 is free; waits for job 1");
  says(queue.why(5, 0), "needs 1 slot, 1 is free; waits behind job 3, which needs 4 slots");
  queue.ended(4, JobState::kFinished);
  CHECK(decided(queue) == Lines{"4 finished", "5 running", "start 5: b"});
  queue.ended(1, JobState::kFinished);
  CHECK(decided(queue) == Lines{"1 finished", "3 running", "start 3: a a a a"});
}

TEST_CASE("cluster queue: a reservation stays where it is, whoever ends elsewhere") {
  ClusterQueue queue = with_hosts({{"a", 4}, {"b", 4}});
  queue.submit(1, need(3));
  queue.submit(2, need(4));
  queue.submit(3, need(4));
  decided(queue);
  CHECK(queue.reserved_for() == 3);
  // Host b has more room now, but not enough; what begins there does not delay the first.
  queue.ended(2, JobState::kFinished);
  CHECK(decided(queue) == Lines{"2 finished", "3 running", "start 3: b b b b"});
}

TEST_CASE("cluster queue: a job that no host can hold waits without holding others up") {
  ClusterQueue queue = with_hosts({{"a", 4}, {"b", 4}});
  queue.submit(1, need(9));
  queue.submit(2, need(4));
  CHECK(decided(queue) == Lines{"2 running", "start 2: a a a a"});
  CHECK(queue.why(1, 0) == "needs 9 slots; all hosts together have 8");
  queue.host_away("b", 10);
  decided(queue, 10);
  CHECK(queue.why(1, 22) == "needs 9 slots; all hosts together have 4; host b is away for 12 s");
  queue.host_up("b", 5, false);
  decided(queue, 23);
  CHECK(queue.reserved_for() == 1);
}

TEST_CASE("cluster queue: a learner that must have one host says so") {
  ClusterQueue queue({.learner_hosts_max = 1});
  queue.host_up("a", 2, false);
  queue.host_up("b", 3, false);
  queue.submit(1, {.slots = {.learner = 4, .required = 4}});
  queue.submit(2, {.slots = {.learner = 3, .required = 4}});
  CHECK(decided(queue) == Lines{"2 running", "start 2: b b b a"});
  CHECK(queue.why(1, 0) == "needs 4 slots on one host; the largest host has 3");
}

TEST_CASE("cluster queue: idle slots are lent, and come back when a job waits for them") {
  ClusterQueue queue = with_hosts({{"a", 4}});
  queue.submit(1, need(1, 5));
  CHECK(decided(queue) == Lines{"1 running", "start 1: a a a a - -"});
  queue.submit(2, need(2));
  CHECK(decided(queue) == Lines{"resize 1 #1: a a - - - -"});
  says(queue.why(2, 0), "needs 2 slots; begins when job 1 has left them");
  // Not before nothing runs there any more.
  CHECK(decided(queue).empty());
  queue.resized(1, 0);
  CHECK(decided(queue).empty());
  queue.resized(1, 1);
  CHECK(decided(queue) == Lines{"2 running", "start 2: a a"});
  queue.ended(2, JobState::kFinished);
  CHECK(decided(queue) == Lines{"2 finished", "resize 1 #2: a a a a - -"});
}

TEST_CASE(
    "cluster queue: what is lent goes to the higher priority, then evenly, and comes back so") {
  ClusterQueue queue = with_hosts({{"a", 9}});
  queue.submit(1, need(1, 9));
  queue.submit(2, need(1, 9));
  queue.submit(3, need(1, 2, 5));
  CHECK(decided(queue) == Lines{"1 running", "start 1: a a a - - - - - - -", "2 running",
                                "start 2: a a a - - - - - - -", "3 running", "start 3: a a a"});
  queue.submit(4, need(2));
  CHECK(decided(queue).size() == 1);
  queue.resized(2, 1);
  CHECK(decided(queue) == Lines{"4 running", "start 4: a a"});
}

TEST_CASE("cluster queue: reserved slots are lent too") {
  ClusterQueue queue = with_hosts({{"a", 4}});
  queue.submit(1, need(2, 2));
  queue.submit(2, need(1));
  queue.submit(3, need(4));
  CHECK(decided(queue) == Lines{"1 running", "start 1: a a a -", "2 running", "start 2: a"});
  CHECK(queue.reserved_for() == 3);
  queue.ended(1, JobState::kFinished);
  queue.ended(2, JobState::kFinished);
  CHECK(decided(queue) == Lines{"1 finished", "2 finished", "3 running", "start 3: a a a a"});
}

TEST_CASE("cluster queue: a higher priority has as few others stopped as are enough") {
  ClusterQueue queue = with_hosts({{"a", 2}, {"b", 2}});
  queue.submit(1, need(2, 0, -1));
  decided(queue, 1);
  queue.submit(2, need(1, 0, -2));
  decided(queue, 2);
  queue.submit(3, need(1, 0, -1));
  decided(queue, 3);
  queue.submit(4, need(2, 0, 0));
  // Stopping the lowest, job 2, makes no room alone; with job 3 on the same host it does, and job 1
  // alone is not younger.
  CHECK(decided(queue, 4) == Lines{"stop 2 queued", "stop 3 queued"});
  says(queue.why(4, 4), "begins when job 2, job 3 has left them at its next step's boundary");
  says(queue.why(2, 4), "stops at its next step's boundary: job 4 has a higher priority, 0");
  queue.ended(2, JobState::kPaused);
  CHECK(decided(queue, 5) == Lines{"2 queued"});
  queue.ended(3, JobState::kPaused);
  CHECK(decided(queue, 6) == Lines{"3 queued", "4 running", "start 4: b b"});
  queue.submit(5, need(1, 0, -1));
  queue.ended(4, JobState::kFinished);
  // Who had begun comes before who has not, within a priority.
  CHECK(decided(queue, 7) ==
        Lines{"4 finished", "3 running", "start 3: b", "5 running", "start 5: b"});
}

TEST_CASE("cluster queue: nobody is preempted twice within ten minutes, or by an equal") {
  ClusterQueue queue = alone();
  queue.submit(1, need(1, 0, 1));
  decided(queue, 0);
  queue.submit(2, need(1, 0, 1));
  CHECK(decided(queue, 1).empty());
  queue.submit(3, need(1, 0, 2));
  CHECK(decided(queue, 2) == Lines{"stop 1 queued"});
  queue.ended(1, JobState::kPaused);
  decided(queue, 3);
  queue.ended(3, JobState::kFinished);
  CHECK(decided(queue, 4) == Lines{"3 finished", "1 running", "start 1: a"});
  queue.submit(4, need(1, 0, 3));
  CHECK(decided(queue, 5).empty());
  CHECK(decided(queue, 601.9).empty());
  CHECK(decided(queue, 602) == Lines{"stop 1 queued"});
}

TEST_CASE("cluster queue: a preempted job that is paused meanwhile is paused, and stays stopped") {
  ClusterQueue queue = alone();
  queue.submit(1, need(1));
  decided(queue);
  queue.submit(2, need(1, 0, 1));
  CHECK(decided(queue) == Lines{"stop 1 queued"});
  CHECK(queue.resume(1));
  CHECK(queue.pause(1));
  CHECK(decided(queue) == Lines{"stop 1 paused"});
  queue.ended(1, JobState::kPaused);
  CHECK(decided(queue) == Lines{"1 paused", "2 running", "start 2: a"});
}

TEST_CASE("cluster queue: lent slots are taken back before anybody is stopped") {
  ClusterQueue queue = with_hosts({{"a", 4}});
  queue.submit(1, need(1, 1));
  queue.submit(2, need(2));
  decided(queue);
  queue.submit(3, need(1, 0, 9));
  CHECK(decided(queue) == Lines{"resize 1 #1: a -"});
}

TEST_CASE(
    "cluster queue: a host that goes takes rollouts with it, and the next free slots replace "
    "them") {
  ClusterQueue queue = with_hosts({{"a", 3}, {"b", 2}, {"c", 1}});
  queue.submit(1, split(3, 2, 2));
  CHECK(decided(queue) == Lines{"1 running", "start 1: a a a b b a b"});
  queue.host_gone("b");
  CHECK(decided(queue) == Lines{"resize 1 #1: a a a c - a a"});
  says(queue.why(1, 0), "1 more of its rollouts wait for slots");
  queue.submit(2, need(1));
  queue.host_up("b", 1, false);
  CHECK(decided(queue) == Lines{"resize 1 #2: a a a c b a a"});
}

TEST_CASE("cluster queue: a host that is away for a while is given up") {
  ClusterQueue queue = with_hosts({{"a", 3}, {"b", 2}});
  queue.submit(1, split(3, 2));
  decided(queue);
  queue.host_away("b", 100);
  CHECK(decided(queue, 129).empty());
  queue.host_up("b", 2, false);
  CHECK(decided(queue, 140).empty());
  queue.host_away("b", 200);
  // Both rollouts are gone, and there is no slot for another.
  CHECK(decided(queue, 230) == Lines{"stop 1 queued", "resize 1 #1: a a a - -"});
  says(queue.why(1, 230), "no slot is free for its rollouts");
}

TEST_CASE("cluster queue: the job of a drained host goes to another, and in front") {
  ClusterQueue queue = with_hosts({{"a", 2}, {"b", 2}});
  queue.submit(1, need(2));
  queue.submit(2, need(1));
  decided(queue);
  queue.submit(3, need(2));
  CHECK_FALSE(queue.drain_host("z"));
  REQUIRE(queue.drain_host("a"));
  CHECK(decided(queue) == Lines{"stop 1 queued"});
  queue.ended(1, JobState::kPaused);
  CHECK(decided(queue) == Lines{"1 queued"});
  says(queue.why(1, 0), "is the next to begin; needs 2 slots, 1 is free; waits for job 2");
  queue.ended(2, JobState::kFinished);
  CHECK(decided(queue) == Lines{"2 finished", "1 running", "start 1: b b"});
  CHECK(queue.undrain_host("a"));
  CHECK(decided(queue) == Lines{"3 running", "start 3: a a"});
}

TEST_CASE("cluster queue: a drained host stays drained while it is away") {
  ClusterQueue queue = with_hosts({{"a", 1}});
  REQUIRE(queue.drain_host("a"));
  queue.host_away("a", 1);
  queue.host_up("a", 1, false);
  queue.submit(1, need(1));
  CHECK(decided(queue, 2).empty());
  CHECK(queue.why(1, 2) == "needs 1 slot; no host takes jobs; host a is drained");
}

TEST_CASE("cluster queue: a host that comes back smaller is not overfilled by what was lent") {
  ClusterQueue queue = with_hosts({{"a", 4}});
  queue.submit(1, need(2, 2));
  decided(queue);
  queue.host_up("a", 3, false);
  CHECK(decided(queue) == Lines{"resize 1 #1: a a a -"});
  CHECK(decided(queue).empty());
}

TEST_CASE("cluster queue: jobs go on where they were, and wait a while for their hosts") {
  ClusterQueue queue = with_hosts({{"a", 2}, {"b", 2}});
  queue.hold_until(10);
  queue.restore(1, need(1), JobState::kRunning, {"b"});
  queue.restore(2, need(2), JobState::kRunning, {"c", "c"});
  queue.submit(3, need(1));
  queue.submit(4, need(1));
  CHECK(queue.cancel(4));
  CHECK(decided(queue, 3) == Lines{"4 cancelled"});
  CHECK(queue.why(3, 3) == "needs 1 slot; hosts are waited for, 7 s more");
  queue.host_up("c", 2, false);
  CHECK(decided(queue, 4) ==
        Lines{"1 running", "start 1: b", "2 running", "start 2: c c", "3 running", "start 3: b"});
}

TEST_CASE("cluster queue: a job whose hosts do not come back begins on others") {
  ClusterQueue queue = with_hosts({{"a", 2}});
  queue.hold_until(10);
  queue.restore(1, need(2), JobState::kRunning, {"c", "c"});
  CHECK(decided(queue, 9.9).empty());
  CHECK(decided(queue, 10) == Lines{"1 running", "start 1: a a"});
}

TEST_CASE("cluster queue: what is on a host can be seen") {
  ClusterQueue queue = with_hosts({{"a", 4}, {"b", 1}});
  queue.submit(7, {.slots = {.learner = 1, .required = 2, .verifier = 1, .lent = 1}});
  decided(queue);
  queue.host_away("b", 5);
  const auto hosts = queue.hosts(6.5);
  REQUIRE(hosts.size() == 2);
  CHECK(hosts[0].name == "a");
  CHECK(hosts[0].used == 2);
  CHECK(hosts[0].lent == 1);
  REQUIRE(hosts[0].tenants.size() == 1);
  CHECK(hosts[0].tenants[0].job == 7);
  CHECK(hosts[0].tenants[0].slots == std::vector<uint32_t>{0, 1, 2, 3});
  CHECK(hosts[1].state == HostState::kAway);
  CHECK(hosts[1].away_seconds == 1.5);
  CHECK(queue.why(7, 10) == "runs for 10 s on 3 slots of host a; 1 is lent");
}

}  // namespace
}  // namespace troupe::actors
