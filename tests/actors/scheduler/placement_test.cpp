#include "actors/scheduler/placement.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

using Hosts = std::vector<uint32_t>;

std::vector<HostRoom> hosts_with(const std::vector<int64_t>& rooms) {
  std::vector<HostRoom> hosts;
  for (const int64_t room : rooms) hosts.push_back({.slots = 8, .room = room});
  return hosts;
}

// Nothing is {kNoHost}.
Hosts placed(const SlotCounts& need, const std::vector<HostRoom>& hosts,
             uint32_t learner_hosts_max = kAnyNumber) {
  return place(need, hosts, learner_hosts_max).value_or(Hosts{kNoHost});
}

const Hosts kNothing = {kNoHost};

TEST_CASE("placement: a job of one host goes where it leaves the least") {
  CHECK(placed({.learner = 1, .required = 3}, hosts_with({8, 3, 4})) == Hosts{1, 1, 1});
  CHECK(placed({.learner = 1, .required = 5}, hosts_with({8, 3, 4})) == Hosts(5, 0));
}

TEST_CASE("placement: all slots or none, host by host") {
  CHECK(placed({.learner = 1, .required = 4}, hosts_with({1, 2})) == kNothing);
  CHECK(placed({.learner = 1, .required = 4}, hosts_with({1, 2, 1})) == Hosts{1, 1, 0, 2});
  CHECK(placed({.learner = 1, .required = 1}, hosts_with({0, -3})) == kNothing);
  CHECK(placed({.learner = 1, .required = 1}, {}) == kNothing);
}

TEST_CASE("placement: a learner has as few hosts as fit, and no more than it may have") {
  const auto hosts = hosts_with({2, 4, 2, 3});
  CHECK(placed({.learner = 4, .required = 6}, hosts) == Hosts{1, 1, 1, 1, 0, 0});
  CHECK(placed({.learner = 6, .required = 6}, hosts) == Hosts{1, 1, 1, 1, 3, 3});
  CHECK(placed({.learner = 6, .required = 6}, hosts, 2) == Hosts{1, 1, 1, 1, 3, 3});
  CHECK(placed({.learner = 6, .required = 6}, hosts, 1) == kNothing);
  CHECK(placed({.learner = 4, .required = 6}, hosts, 1) == Hosts{1, 1, 1, 1, 0, 0});
}

TEST_CASE("placement: an empty elastic host takes any one job") {
  HostRoom host{.slots = 2, .room = 2, .is_elastic = true};
  CHECK(placed({.learner = 1, .required = 5}, {host}) == Hosts(5, 0));
  host.room = 1;
  CHECK(placed({.learner = 1, .required = 5}, {host}) == kNothing);
  CHECK(placed({.learner = 1, .required = 1}, {host}) == Hosts{0});
}

TEST_CASE("placement: what to wait for is where there is the most room, and holds the job") {
  const auto wait = [](const SlotCounts& need, const std::vector<HostRoom>& hosts, uint32_t max) {
    return place_to_wait_for(need, hosts, max);
  };
  using Slots = std::vector<int64_t>;
  const auto hosts = hosts_with({1, -2, 5, 0});
  CHECK(wait({.learner = 8, .required = 10}, hosts, 1) == Slots{2, 0, 8, 0});
  CHECK(wait({.learner = 9, .required = 9}, hosts, 1).empty());
  CHECK(wait({.learner = 9, .required = 9}, hosts, 2) == Slots{1, 0, 8, 0});
  CHECK(wait({.learner = 1, .required = 33}, hosts, kAnyNumber).empty());
  // A host that is too small for the learner does not come first for having more room.
  std::vector<HostRoom> uneven = hosts_with({0, 4});
  uneven[1].slots = 4;
  CHECK(wait({.learner = 6, .required = 6}, uneven, 1) == Slots{6, 0});
  uneven[1].is_elastic = true;
  CHECK(wait({.learner = 6, .required = 6}, uneven, 1) == Slots{0, 6});
}

TEST_CASE("placement: verifiers are spread over the hosts of the job") {
  const Hosts required = {3, 3, 1};
  CHECK(spread_verifiers(3, required) == Hosts{3, 1, 3});
  CHECK(spread_verifiers(0, required).empty());
  CHECK(spread_verifiers(1, Hosts{kNoHost, 2}) == Hosts{2});
}

TEST_CASE("placement: what a job needs in words") {
  const auto words = [](SlotCounts slots, uint32_t hosts, bool needs_gpus = false) {
    return to_text(JobNeed{.slots = slots, .needs_gpus = needs_gpus}, hosts);
  };
  CHECK(words({.learner = 1, .required = 1}, 1) == "1 slot");
  CHECK(words({.learner = 4, .required = 4}, 1) == "4 slots on one host");
  CHECK(words({.learner = 4, .required = 6}, 1) == "6 slots, 4 of them on one host");
  CHECK(words({.learner = 4, .required = 6}, 2) == "6 slots, 4 of them on 2 hosts");
  CHECK(words({.learner = 4, .required = 6}, kAnyNumber) == "6 slots");
  CHECK(words({.learner = 1, .required = 1}, 1, true) == "1 GPU");
  CHECK(words({.learner = 4, .required = 6}, 1, true) == "6 GPUs, 4 of them on one host");
}

TEST_CASE("placement: a job's file says what it needs") {
  JobSpec job;
  job.priority = -5;
  job.resources = {
      .placement = "split", .rollout = 3, .rollout_max = 5, .learner = 2, .verifier = 2};
  const JobNeed need = need_of(job);
  CHECK(need.priority == -5);
  CHECK(need.slots.learner == 2);
  CHECK(need.slots.required == 5);
  CHECK(need.slots.verifier == 2);
  CHECK(need.slots.lent == 2);
  CHECK_FALSE(need.needs_gpus);
  job.resources.device = "cuda";
  CHECK(need_of(job).needs_gpus);
  job.resources.device = "auto";
  CHECK_FALSE(need_of(job).needs_gpus);
  CHECK(need_of(job, true).needs_gpus);
  job.resources.device = "cpu";
  CHECK_FALSE(need_of(job, true).needs_gpus);
}

}  // namespace
}  // namespace troupe::actors
