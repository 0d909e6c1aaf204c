// One seed of the simulation: which jobs, which workers, which misfortune; and what must come out.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <utility>

#include "tests/sim/world.h"

namespace troupe::tests {

struct Simulated {
  Counts counts{};
  uint64_t digest = 0;
};

// How a job of a kind ends when nothing happens to it.
inline const Outcome& undisturbed(const JobKind& kind) {
  static std::map<JobKind, Outcome> known;
  const auto found = known.find(kind);
  if (found != known.end()) return found->second;
  Scenario scenario;
  scenario.jobs.push_back(prepare(kind));
  scenario.jobs[0].job.schedule.checkpoint_every_steps = 0;
  World world(std::move(scenario));
  world.run();
  return known[kind] = world.outcome(1);
}

// A history that nobody can foresee comes out the same once its groups are known.
inline void check_replay(actors::PreparedJob prepared, std::vector<actors::StoredRecord> history,
                         const Outcome& expected) {
  Scenario scenario;
  for (auto& record : history) record.key.job = 1;
  scenario.history = std::move(history);
  scenario.jobs.push_back(std::move(prepared));
  scenario.jobs[0].job.schedule.checkpoint_every_steps = 0;
  World world(std::move(scenario));
  world.run();
  const Outcome outcome = world.outcome(1);
  require(world.counts().trained == 0, "a group that is known was asked for");
  require(outcome.weights == expected.weights, "the weights differ when it is replayed");
  require(outcome.steps == expected.steps, "the steps differ when it is replayed");
  require(outcome.learned == expected.learned, "other groups are learned when it is replayed");
}

inline Simulated simulate(uint64_t seed, bool prints = false) {
  SimulatedClock dice(seed, /*prints=*/false);
  Scenario scenario;
  scenario.seed = seed;
  scenario.prints = prints;
  scenario.fault_period = std::vector<double>{0.6, 1.5, 4}[dice.below(3)];
  scenario.varies_ranks = true;
  scenario.is_harsh = dice.chance(0.2);
  const size_t num_jobs = dice.chance(0.25) ? 2 + dice.below(2) : 1;
  scenario.has_user = num_jobs > 1 || dice.chance(0.2);
  std::vector<JobKind> kinds;
  for (size_t i = 0; i < num_jobs; ++i) {
    const bool is_async = dice.chance(0.2);
    const JobKind kind{
        .zero_variance = std::vector<std::string>{"keep", "drop", "replace"}[dice.below(3)],
        .has_sft = dice.chance(0.6),
        .has_gate = dice.chance(0.5),
        .has_evaluations = dice.chance(0.5),
        .minibatches = dice.chance(0.5) ? 2 : 1,
        .is_corrected = dice.chance(0.5),
        .lag = is_async ? 0 : std::vector<int64_t>{0, 0, 1, 2}[dice.below(4)],
        .is_async = is_async};
    kinds.push_back(kind);
    auto& prepared = scenario.jobs.emplace_back(prepare(kind));
    JobSpec& job = prepared.job;
    if (dice.chance(0.5)) job.resources.placement = "split";
    job.resources.rollout = 1 + static_cast<int64_t>(dice.below(3));
    job.resources.verifier = 1 + static_cast<int64_t>(dice.below(2));
    job.schedule.checkpoint_every_steps = static_cast<int64_t>(dice.below(4));
    job.schedule.checkpoints_kept = 1 + static_cast<int64_t>(dice.below(3));
    job.schedule.keep_best = dice.chance(0.3);
    if (!is_async && dice.chance(0.5)) job.rollout.segment_tokens = 5;
  }
  // Several jobs have groups of that name.
  if (scenario.is_harsh && num_jobs == 1 && dice.chance(0.5)) scenario.poison = {Round{1}, 2};
  const bool is_harsh = scenario.is_harsh;
  World world(std::move(scenario));
  world.run();
  for (size_t i = 0; i < num_jobs; ++i) {
    if (world.state(i + 1) != JobState::kFinished) continue;
    const Outcome outcome = world.outcome(i + 1);
    int64_t dropped = 0;
    for (const auto& [reason, count] : outcome.dropped) dropped += count;
    require(outcome.trajectories_generated == outcome.trajectories_learned + dropped,
            "a trajectory is nowhere");
    if (kinds[i].is_async) check_replay(prepare(kinds[i]), world.history(i + 1), outcome);
    if (is_harsh || kinds[i].is_async) continue;
    const Outcome& expected = undisturbed(kinds[i]);
    require(outcome.weights == expected.weights, "the weights differ");
    require(outcome.steps == expected.steps, "the steps differ");
    require(outcome.learned == expected.learned, "other groups were learned");
    require(outcome.evaluations == expected.evaluations, "the evaluations differ");
    require(outcome == expected, "the ledger differs");
  }
  return {world.counts(), world.digest()};
}

// On machines that do not compute the same. True when the job failed by it.
inline bool simulate_unsound(uint64_t seed, Counts& counts) {
  SimulatedClock dice(seed, /*prints=*/false);
  Scenario scenario;
  scenario.seed = seed;
  scenario.fault_period = 1;
  scenario.is_unsound = scenario.varies_ranks = true;
  auto& prepared = scenario.jobs.emplace_back(prepare({.has_sft = dice.chance(0.5)}));
  prepared.job.schedule.checkpoint_every_steps = static_cast<int64_t>(dice.below(4));
  World world(std::move(scenario));
  world.run();
  counts.add(world.counts());
  return world.state(1) == JobState::kFailed;
}

// Runs `count` seeds from `first`, or the one that TROUPE_SIM_SEED names, with its trace.
inline Counts simulate_all(uint64_t first, uint64_t count) {
  Counts counts;
  const auto run = [&](uint64_t seed, bool prints) {
    CAPTURE(seed);
    try {
      const Simulated one = simulate(seed, prints);
      counts.add(one.counts);
      return one.digest;
    } catch (const std::exception& violation) {
      FAIL_CHECK("TROUPE_SIM_SEED=" << seed << ": " << std::string(violation.what()));
      return uint64_t{0};
    }
  };
  if (const char* seed = std::getenv("TROUPE_SIM_SEED")) {
    run(std::strtoull(seed, nullptr, 10), /*prints=*/true);
    return counts;
  }
  const auto begun = std::chrono::steady_clock::now();
  for (uint64_t seed = first; seed < first + count; ++seed) run(seed, /*prints=*/false);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  MESSAGE("" << static_cast<double>(count) / seconds << " seeds/s, "
             << counts.simulated_seconds / seconds << " simulated seconds per second");
  return counts;
}

// A system that does nothing, or to which nothing happens, must not pass.
inline void check_all_happened(const Counts& counts, uint64_t seeds) {
  if (std::getenv("TROUPE_SIM_SEED") != nullptr) return;
  CHECK(counts.trajectories_learned > seeds * 20);
  CHECK(counts.jobs_finished > seeds * 9 / 10);
  for (const auto& [what, count] : {std::pair<const char*, uint64_t>{"kills", counts.kills},
                                    {"exits by a worker's own fault", counts.fault_exits},
                                    {"freezes", counts.freezes},
                                    {"hangs", counts.hangs},
                                    {"stalls", counts.stalls},
                                    {"partitions", counts.partitions},
                                    {"failures to start", counts.start_failures},
                                    {"head crashes", counts.head_crashes},
                                    {"workers that outlived a head", counts.survivors},
                                    {"of these, with another lease", counts.other_leases},
                                    {"groups kept for the next head", counts.kept_groups},
                                    {"parts of responses told", counts.segments},
                                    {"tokens that somebody went on from", counts.tokens_kept},
                                    {"lost commits", counts.lost_commits},
                                    {"lost messages", counts.lost_messages},
                                    {"damaged recovery points", counts.damaged_points},
                                    {"stale messages", counts.stale_messages},
                                    {"stale hellos", counts.stale_hellos},
                                    {"repeated messages", counts.repeated_messages},
                                    {"policies removed", counts.policies_removed},
                                    {"policies out of recovery points", counts.policies_restored},
                                    {"generations beside learning", counts.overlaps},
                                    {"groups by two versions", counts.switches},
                                    {"workers lost at a poisoned group", counts.poisonings},
                                    {"steps redone", counts.steps_redone},
                                    {"trajectories generated again", counts.groups_again},
                                    {"slots lent, taken back or moved", counts.places_changed},
                                    {"pauses", counts.pauses},
                                    {"cancels", counts.cancels},
                                    {"groups dropped after losses", counts.groups_abandoned},
                                    {"jobs failed by losses", counts.jobs_failed},
                                    {"steps of several ranks", counts.team_steps},
                                    {"ranks lost in a step", counts.ranks_lost_in_step},
                                    {"ranks frozen in a step", counts.ranks_frozen_in_step},
                                    {"ranks lost while a team forms", counts.ranks_lost_forming},
                                    {"ranks lost while they save", counts.ranks_lost_saving},
                                    {"ranks out of reach", counts.ranks_unreachable},
                                    {"meetings of teams that are over", counts.old_meetings},
                                    {"messages of ranks without a team", counts.ranks_stale},
                                    {"points read by other ranks", counts.points_regrouped}}) {
    CAPTURE(std::string(what));
    MESSAGE(std::string(what) << ": " << count);
    CHECK(count > 0);
  }
}

}  // namespace troupe::tests
