// Two hundred kills of one run's head, half of them with all workers, at random moments and inside
// recovery points:
// nothing that the run had told of is lost, and nothing is learned twice.
#include <doctest/doctest.h>

#include <cstdlib>
#include <random>

#include "tests/support/tree_kill.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::Process;
using tests::ShortJob;

constexpr uint64_t kSftSteps = 10;
constexpr uint64_t kGroupsPerStep = 4;

// TROUPE_KILLS asks for more.
int kills_wanted() {
  const char* asked = std::getenv("TROUPE_KILLS");
  return asked == nullptr ? 200 : std::atoi(asked);
}

// The newest step that a run has told of, which is after its record is durable.
uint64_t told_version(const std::string& home) {
  std::ifstream metrics(home + "/metrics.jsonl");
  uint64_t version = 0;
  for (std::string line; std::getline(metrics, line);) {
    const json one = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (one.is_object() && one.contains("stage")) {
      version = std::max<uint64_t>(version, one["policy_version"]);
    }
  }
  return version;
}

// Steps that the store has, which are 1 to that number; each with its groups, no group twice.
uint64_t stored_version(const std::string& home, size_t& num_groups) {
  const auto store = actors::ReplayStore::open(cluster::store_folder(home));
  REQUIRE_MESSAGE(store, store.error().message);
  const auto records = (*store)->list(1, actors::RecordKind::kStep);
  REQUIRE(records);
  std::set<std::pair<uint64_t, uint32_t>> learned;
  uint64_t version = 0;
  for (const auto& stored : *records) {
    const auto record = decode_step_record(stored.value);
    REQUIRE(record);
    CHECK(stored.key.number == ++version);
    for (const GroupId& id : record->consumed) {
      CHECK(learned.insert({number(id.round), id.ordinal}).second);
    }
  }
  num_groups = learned.size();
  return version;
}

TEST_CASE("killed hundreds of times: every trajectory that was told of is there and learned once") {
  const ShortJob job;
  const int kills_max = kills_wanted();
  const auto grpo_steps = static_cast<uint64_t>(6 * kills_max);
  const auto set =
      tests::with(tests::kKilledJob,
                  {"sft.steps=10", "grpo.steps=" + std::to_string(grpo_steps), "eval.every_steps=0",
                   "eval.problems=1", "schedule.checkpoint_every_steps=6"});
  const json undisturbed = tests::result_of(tests::troupe(job.run("undisturbed", set)));
  const std::string home = job.file("home");
  std::mt19937 random(21);
  const auto random_ms = [&random](unsigned below) {
    return std::chrono::milliseconds(random() % below);
  };
  int kills = 0;
  int in_points = 0;
  uint64_t lost = 0;
  uint64_t redone = 0;
  for (; kills < kills_max; ++kills) {
    Process run(kills == 0 ? job.run("home", set) : tests::resumed(job.run("home", set)));
    const uint64_t before = told_version(home);
    // One in eight is killed before it has learned anything.
    const bool is_early = kills > 0 && random() % 8 == 0;
    const auto is_learning = [&] { return told_version(home) > before + random() % 3; };
    if (is_early) {
      tests::after(random_ms(400))(run, home);
    } else {
      REQUIRE_MESSAGE(run.waits_for(is_learning, std::chrono::seconds(60)), run.error());
      if (random() % 4 == 0) {
        tests::at_point(random() % 2 == 0 ? IN_CREATE : IN_MOVED_TO, random_ms(12))(run, home);
        ++in_points;
      } else {
        tests::after(random_ms(60))(run, home);
      }
    }
    const auto kill = kills % 2 == 0 ? tests::kill_head : tests::kill_tree;
    REQUIRE(kill(run, home).exit_code == -1);
    const uint64_t told = told_version(home);
    size_t num_groups = 0;
    const uint64_t stored = stored_version(home, num_groups);
    if (stored < told) lost += told - stored;
    CHECK(num_groups == (stored > kSftSteps ? (stored - kSftSteps) * kGroupsPerStep : 0));
    redone += stored - std::min(stored, told);
  }
  const json result = tests::result_of(tests::troupe(tests::resumed(job.run("home", set))));
  const json& trajectories = result["trajectories"];
  MESSAGE(kills << " kills, " << in_points << " of them at a recovery point: " << lost
                << " acknowledged steps lost; " << trajectories["learned"].dump()
                << " trajectories learned, " << trajectories["regenerated"].dump()
                << " generated again; " << redone << " steps were durable and not told of yet");
  CHECK(lost == 0);
  CHECK(tests::history_of(result) == tests::history_of(undisturbed));
  tests::check_store(home, kSftSteps + grpo_steps, kSftSteps, kGroupsPerStep);
}

}  // namespace
}  // namespace troupe
