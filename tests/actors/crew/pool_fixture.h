// A worker pool, its time and what it has said, for tests of all its parts together.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "actors/crew/worker_pool.h"

namespace troupe::tests {

inline constexpr Roles kRollout{.rollout = true};
inline constexpr Roles kLearner{.learner = true};
inline constexpr Roles kVerifier{.verifier = true};

// A pool, its time and what it has said since last asked.
struct PoolFixture {
  explicit PoolFixture(const std::vector<Roles>& roles, actors::WorkerPool::Options options = {},
                       uint32_t verifier_threads = 1)
      : pool(plans(roles, verifier_threads), Lease{}, std::move(options)) {
    pool.start(now);
    take();
    for (uint32_t slot = 0; slot < roles.size(); ++slot) bring_up(slot);
  }

  // With processes of an earlier head.
  PoolFixture(const std::vector<Roles>& roles, const std::vector<actors::Survivor>& survivors)
      : pool(plans(roles), Lease{}, {.first_epoch = 100}),
        pids(roles.size()),
        epochs(roles.size()) {
    for (const actors::Survivor& one : survivors) {
      if (one.slot < roles.size()) pids[one.slot] = one.pid;
    }
    pool.start(now, survivors);
  }

  static std::vector<actors::SlotPlan> plans(const std::vector<Roles>& roles,
                                             uint32_t verifier_threads = 1) {
    std::vector<actors::SlotPlan> slots;
    for (Roles one : roles) {
      slots.push_back({.roles = one, .verifier_threads = verifier_threads});
    }
    return slots;
  }

  void take() {
    for (auto& command : pool.take_commands()) commands.push_back(std::move(command));
  }
  template <class Command>
  std::vector<Command> all() {
    take();
    std::vector<Command> found;
    for (const auto& command : commands) {
      if (const auto* one = std::get_if<Command>(&command)) found.push_back(*one);
    }
    std::erase_if(commands, [](const actors::PoolCommand& one) {
      return std::holds_alternative<Command>(one);
    });
    return found;
  }
  // What was sent of one kind, with to whom.
  template <class Message>
  std::vector<std::pair<actors::pool::Send, Message>> sent() {
    std::vector<std::pair<actors::pool::Send, Message>> found;
    for (const auto& send : all<actors::pool::Send>()) {
      if (const auto* one = std::get_if<Message>(&send.message)) found.emplace_back(send, *one);
    }
    return found;
  }

  void bring_up(uint32_t slot) {
    pids.resize(std::max<size_t>(pids.size(), slot + 1));
    epochs.resize(pids.size());
    pids[slot] = ++next_pid;
    const std::string token = "token " + std::to_string(next_pid);
    pool.started(slot, token, pids[slot], now);
    const auto epoch = pool.hello({.slot = slot, .token = token, .arithmetic_id = "cpu-1"}, now);
    REQUIRE(epoch);
    epochs[slot] = *epoch;
    say(slot, 0, WorkerReady{});
  }
  void say(uint32_t slot, uint64_t request, FromWorker message) {
    pool.received(slot, epochs[slot], request, std::move(message), now);
  }
  void end(uint32_t slot, int signal) {
    pool.ended({.slot = slot, .pid = pids[slot], .exit_code = 0, .signal = signal}, now);
  }
  void restart(uint32_t slot) {
    now += 20;
    for (uint32_t i = 0; i < pids.size(); ++i) say(i, 0, Heartbeat{});
    pool.tick(now);
    bring_up(slot);
  }
  void generate(uint32_t count, uint64_t round = 0, uint64_t version = 0,
                int64_t segment_tokens = 0) {
    GenerateGroups request{.version = PolicyVersion{version}, .segment_tokens = segment_tokens};
    for (uint32_t i = 0; i < count; ++i) request.groups.push_back({.id = {Round{round}, i}});
    pool.publish(request.version, now);
    pool.generate(std::move(request), now);
  }
  // The learner, in `slot`, has published a version.
  void publish(uint32_t slot, uint64_t version) {
    pool.publish(PolicyVersion{version}, now);
    say(slot, sent<PublishPolicy>().at(0).first.request_id,
        PolicyPublished{.version = PolicyVersion{version}, .path = std::to_string(version)});
  }

  double now = 0;
  actors::WorkerPool pool;
  std::vector<actors::PoolCommand> commands{};
  std::vector<uint64_t> pids{}, epochs{};
  uint64_t next_pid = 100;
};

inline std::vector<uint32_t> ordinals(const GenerateGroups& request) {
  std::vector<uint32_t> found;
  for (const auto& group : request.groups) found.push_back(group.id.ordinal);
  return found;
}

}  // namespace troupe::tests
