// Jobs that need GPUs among others that need none, on hosts with and without.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "actors/scheduler/cluster_queue.h"

namespace troupe::actors {
namespace {

using Hosts = std::map<std::string, uint32_t>;

JobNeed need(uint32_t required, bool needs_gpus, uint32_t lent = 0, int64_t priority = 0) {
  return {.slots = {.learner = 1, .required = required, .lent = lent, .is_split = true},
          .priority = priority,
          .needs_gpus = needs_gpus};
}

ClusterQueue with_hosts(const Hosts& cores, const Hosts& gpus) {
  ClusterQueue queue({});
  for (const auto& [name, slots] : cores) queue.host_up(name, slots, false);
  for (const auto& [name, slots] : gpus) queue.host_up(name, slots, false, SlotKind::kGpus);
  return queue;
}

// What each job has from now on: "1: g g -".
std::vector<std::string> placed(ClusterQueue& queue, double now = 0) {
  std::vector<std::string> lines;
  const auto add = [&](uint64_t job, const ClusterQueue::Nodes& nodes) {
    std::string line = fmt::format("{}:", job);
    for (const auto& node : nodes) line += " " + (node.empty() ? std::string("-") : node);
    lines.push_back(line);
  };
  for (const auto& command : queue.decide(now)) {
    if (const auto* start = std::get_if<ClusterQueue::Start>(&command)) {
      add(start->job, start->nodes);
    } else if (const auto* resize = std::get_if<ClusterQueue::Resize>(&command)) {
      add(resize->job, resize->nodes);
    }
  }
  return lines;
}

using Lines = std::vector<std::string>;

TEST_CASE("gpu slots: a job that needs GPUs takes no other slots, one that needs none takes any") {
  ClusterQueue queue = with_hosts({{"c", 8}}, {{"g", 2}});
  queue.submit(1, need(2, true));
  queue.submit(2, need(1, true));
  queue.submit(3, need(8, false));
  CHECK(placed(queue) == Lines{"1: g g", "3: c c c c c c c c"});
  CHECK(queue.why(2, 0).find("needs 1 GPU, 0 are free; waits for job 1") != std::string::npos);
  queue.ended(1, JobState::kFinished);
  CHECK(placed(queue) == Lines{"2: g"});
  queue.submit(4, need(1, false));
  CHECK(placed(queue) == Lines{"4: g"});
}

TEST_CASE("gpu slots: why a job waits where there are no GPUs, or too few") {
  ClusterQueue queue = with_hosts({{"c", 8}}, {});
  queue.submit(1, need(2, true));
  CHECK(placed(queue).empty());
  CHECK(queue.why(1, 0) == "needs 2 GPUs; no host that takes jobs has any");
  queue.host_up("g", 1, false, SlotKind::kGpus);
  CHECK(placed(queue).empty());
  CHECK(queue.why(1, 0) == "needs 2 GPUs; all hosts together have 1");
  queue.host_up("h", 1, false, SlotKind::kGpus);
  CHECK(placed(queue) == Lines{"1: g h"});
}

TEST_CASE("gpu slots: a host that is alone holds as many as it has, however empty it is") {
  ClusterQueue queue({});
  queue.host_up("a", 2, true, SlotKind::kGpus);
  queue.submit(1, need(3, true));
  CHECK(placed(queue).empty());
  CHECK(queue.why(1, 0).find("all hosts together have 2") != std::string::npos);
  queue.submit(2, need(3, false));
  CHECK(placed(queue) == Lines{"2: a a a"});
}

TEST_CASE("gpu slots: rollouts are lent, and moved, to GPUs only") {
  ClusterQueue queue = with_hosts({{"c", 8}}, {{"g", 2}, {"h", 2}});
  queue.submit(1, need(2, true, 4));
  CHECK(placed(queue) == Lines{"1: g g h h - -"});
  // The learner's host is g; what was lent on h is given up, and nothing goes to c.
  queue.host_gone("h");
  CHECK(placed(queue) == Lines{"1: g g - - - -"});
  queue.resized(1, 1);
  CHECK(placed(queue).empty());
  queue.host_up("i", 1, false, SlotKind::kGpus);
  CHECK(placed(queue) == Lines{"1: g g i - - -"});
}

TEST_CASE("gpu slots: a lost rollout waits for a GPU, and takes none of what is lent elsewhere") {
  ClusterQueue queue = with_hosts({{"c", 3}}, {{"g", 2}, {"h", 1}});
  queue.submit(1, need(3, true));
  CHECK(placed(queue) == Lines{"1: g g h"});
  queue.submit(2, need(1, false, 3));
  CHECK(placed(queue) == Lines{"2: c c c -"});
  queue.host_gone("h");
  CHECK(placed(queue) == Lines{"1: g g -"});
  CHECK(placed(queue).empty());
  CHECK(queue.why(1, 0).find("1 more of its rollouts wait for slots") != std::string::npos);
  // Before what is back is lent to anybody.
  queue.host_up("h", 1, false, SlotKind::kGpus);
  CHECK(placed(queue) == Lines{"1: g g h"});
}

TEST_CASE("gpu slots: where a job was is where it goes on, unless there are no GPUs any more") {
  for (const auto kind : {SlotKind::kCores, SlotKind::kGpus}) {
    ClusterQueue queue({});
    queue.restore(1, need(1, true), JobState::kRunning, {"b"});
    queue.host_up("a", 1, false, SlotKind::kGpus);
    queue.host_up("b", 1, false, kind);
    CHECK(placed(queue) == Lines{kind == SlotKind::kGpus ? "1: b" : "1: a"});
  }
}

TEST_CASE("gpu slots: for GPUs only such jobs are preempted as have some") {
  ClusterQueue queue = with_hosts({{"c", 1}}, {{"g", 1}});
  queue.submit(1, need(1, true));
  CHECK(placed(queue) == Lines{"1: g"});
  queue.submit(2, need(1, false));
  CHECK(placed(queue, 1) == Lines{"2: c"});
  queue.submit(3, need(1, true, 0, 5));
  size_t stopped = 0;
  for (const auto& command : queue.decide(2)) {
    if (const auto* stop = std::get_if<ClusterQueue::Stop>(&command)) {
      CHECK(stop->job == 1);
      ++stopped;
    }
  }
  CHECK(stopped == 1);
  queue.ended(1, JobState::kPaused);
  CHECK(placed(queue, 3) == Lines{"3: g"});
}

}  // namespace
}  // namespace troupe::actors
