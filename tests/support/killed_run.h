// A job of seconds whose processes are killed and stopped by tests, what its store says afterwards,
// and the processes of a run, found where the system lists them.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "actors/replay/replay_store.h"
#include "cluster/daemon/head.h"
#include "schemas/metrics_codec.h"
#include "schemas/records_codec.h"
#include "tests/support/short_job.h"

namespace troupe::tests {

// ---- Processes.

// The workers of the head that runs in `home`: process id by slot. They name its credentials.
inline std::map<int, pid_t> workers_of(const std::string& home) {
  std::map<int, pid_t> workers;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    int slot = -1;
    bool is_ours = false;
    // Words are separated by NUL; there are none of a process that has ended.
    std::istringstream words(contents(entry.path().string() + "/cmdline"));
    for (std::string word; std::getline(words, word, '\0');) {
      if (word == "--slot" && std::getline(words, word, '\0')) slot = std::stoi(word);
      is_ours |= word == home + "/credentials";
    }
    if (is_ours && slot >= 0) workers[slot] = std::stoi(name);
  }
  return workers;
}

// The letter that the system has for what a process does; 0 when there is no such process.
inline char state_of(pid_t pid) {
  const std::string stat = contents("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(')');
  return name_end == std::string::npos || name_end + 2 >= stat.size() ? '\0' : stat[name_end + 2];
}
inline bool is_running(pid_t pid) {
  const char state = state_of(pid);
  return state != '\0' && state != 'Z';
}

// ---- Jobs.

// Cold start with a gate between its two files, evaluations, rounds of two steps.
inline const std::vector<std::string> kKilledJob = {
    "sft.steps=30",
    "sft.gate_pass_at_1=0.5",
    "grpo.steps=20",
    "grpo.kl_coef=0.01",
    "grpo.prompts_per_round=8",
    "grpo.reference_refresh_steps=6",
    "eval.every_steps=5",
    "schedule.checkpoint_every_steps=2",
};

inline std::vector<std::string> with(std::vector<std::string> set,
                                     const std::vector<std::string>& more) {
  set.insert(set.end(), more.begin(), more.end());
  return set;
}

inline Invocation resumed(Invocation invocation) {
  invocation.arguments.push_back("--resume");
  return invocation;
}

inline Invocation replayed(Invocation invocation, const std::string& home) {
  invocation.arguments.insert(invocation.arguments.end(), {"--replay", home});
  return invocation;
}

// The one object that a run prints.
inline nlohmann::json result_of(const Ended& ended) {
  REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
  return nlohmann::json::parse(ended.out);
}

// What no fault may change. The manifest of the last recovery point has the digests of weights,
// moments and reference.
inline nlohmann::json history_of(const nlohmann::json& result) {
  const std::string manifest = contents(result["checkpoint"].get<std::string>() + "/manifest.json");
  CHECK(!manifest.empty());
  return {{"state", result["state"]},
          {"manifest", manifest},
          {"steps", result["steps"]},
          {"weights_sha256", result["weights_sha256"]},
          {"generated", result["trajectories"]["generated"]},
          {"learned", result["trajectories"]["learned"]},
          {"dropped", result["trajectories"]["dropped"]},
          {"tokens_generated", result["ledger"]["tokens_generated"]},
          {"tokens_learned", result["ledger"]["tokens_learned"]},
          {"verdicts", result["ledger"]["verdicts"]}};
}

// Lines that a run has written of its steps so far.
inline size_t lines_in(const std::string& path) {
  const std::string text = contents(path);
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// ---- The store.

// Versions 1 to `steps` have a record each, with the groups of their round's minibatch, and no
// group is in two of them.
inline void check_store(const std::string& home, uint64_t steps, uint64_t sft_steps,
                        uint64_t groups_per_step) {
  using actors::RecordKind;
  const auto store = actors::ReplayStore::open(cluster::store_folder(home));
  REQUIRE_MESSAGE(store, store.error().message);
  const auto records = (*store)->list(1, RecordKind::kStep);
  REQUIRE(records);
  CHECK(records->size() == steps);
  std::set<std::pair<uint64_t, uint32_t>> consumed;
  uint64_t version = 0;
  for (const auto& stored : *records) {
    const auto record = decode_step_record(stored.value);
    REQUIRE(record);
    ++version;
    CHECK(stored.key.number == version);
    CHECK(number(record->metrics.version) == version);
    CHECK(record->consumed.size() == (version > sft_steps ? groups_per_step : 0));
    for (const GroupId& id : record->consumed) {
      CAPTURE(version);
      CHECK(consumed.insert({number(id.round), id.ordinal}).second);
    }
  }
  CHECK(consumed.size() == (steps - sft_steps) * groups_per_step);
  // Rounds that may have to be learned again are all there.
  const auto groups = (*store)->list(1, RecordKind::kGroup);
  REQUIRE(groups);
  CHECK_FALSE(groups->empty());
  for (const auto& stored : *groups) {
    CHECK(consumed.count({stored.key.number, stored.key.ordinal}) == 1);
  }
}

}  // namespace troupe::tests
