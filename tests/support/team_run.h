// A run whose learner has several ranks, what its end must be however many there are, and its ranks
// killed and stopped one after another.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "model/formats/recovery_point.h"
#include "schemas/hash.h"
#include "tests/support/killed_run.h"
#include "tests/support/text.h"

namespace troupe::tests {

// What any number of ranks must end with: history_of without the manifest, which names their parts,
// but with everything that the parts hold, and loss and norm of each step.
inline nlohmann::json team_history_of(const nlohmann::json& result, const std::string& home) {
  nlohmann::json history = history_of(result);
  const std::string manifest = history["manifest"];
  history.erase("manifest");
  const auto sha256 = [](const auto& values) {
    return sha256_hex(std::as_bytes(std::span(values)));
  };
  const PointRecord point{.manifest_sha256 = sha256(manifest)};
  const auto config = model::named_config("tiny-moe");
  REQUIRE(config);
  const auto state = model::load_recovery_point(result["checkpoint"], point,
                                                model::ParameterLayout(*config), true);
  REQUIRE_MESSAGE(state, state.error().message);
  history["masters"] = sha256(state->masters);
  history["m"] = sha256(state->m);
  history["v"] = sha256(state->v);
  history["reference"] = sha256(state->reference);
  std::istringstream lines(contents(home + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto step = nlohmann::json::parse(line);
    const auto version = step.find("policy_version");
    if (version == step.end() || !step.contains("grad_norm")) continue;
    history["steps_learned"][version->dump()] = {step["loss"], step["grad_norm"]};
  }
  CHECK(history["steps_learned"].size() == history["steps"]);
  return history;
}

struct Strikes {
  int kills = 0;
  int stops = 0;
};

// Kills and stops ranks of a run, at moments that the seed says, and waits each time until the loss
// is named and another process is in the place. Kills fall anywhere, also while the team forms; who
// is stopped is learning, because who is only starting is given a minute.
inline void strike_ranks(Process& run, const std::string& home, int num_ranks, Strikes strikes,
                         unsigned seed) {
  using namespace std::chrono_literals;
  std::mt19937 random(seed);
  const auto below = [&random](int limit) {
    return static_cast<int>(random() % static_cast<unsigned>(limit));
  };
  const auto num_steps = [&home] {
    return count_of(contents(home + "/metrics.jsonl"), "\"grad_norm\"");
  };
  double slowest_kill = 0, slowest_stop = 0;
  while (strikes.kills + strikes.stops > 0) {
    const bool stops = below(strikes.kills + strikes.stops) < strikes.stops;
    if (stops) {
      REQUIRE(run.waits_for([&, before = num_steps()] { return num_steps() > before; }, 60s));
    }
    const std::chrono::milliseconds moment(20 + below(stops ? 200 : 700));
    static_cast<void>(run.waits_for([] { return false; }, moment));
    const int slot = below(num_ranks);
    const auto pids = workers_of(home);
    const auto victim = pids.find(slot);
    if (victim == pids.end()) continue;  // Between two processes.
    const auto num_losses = [&run, title = "worker " + std::to_string(slot)] {
      return count_of(run.error(), title + " (learner) is lost") +
             count_of(run.error(), title + " (rollout+learner) is lost");
    };
    const size_t before = num_losses();
    const auto struck = std::chrono::steady_clock::now();
    if (::kill(victim->second, stops ? SIGSTOP : SIGKILL) != 0) continue;
    const bool is_named = run.waits_for([&] { return num_losses() > before; }, 20s);
    const std::chrono::duration<double> named = std::chrono::steady_clock::now() - struck;
    CAPTURE(run.error());
    REQUIRE(is_named);
    double& slowest = stops ? slowest_stop : slowest_kill;
    slowest = std::max(slowest, named.count());
    const auto is_replaced = [&, gone = victim->second] {
      const auto now = workers_of(home);
      return now.count(slot) == 1 && now.at(slot) != gone;
    };
    REQUIRE(run.waits_for(is_replaced, 20s));
    --(stops ? strikes.stops : strikes.kills);
  }
  CHECK(slowest_kill < 0.5);
  CHECK(slowest_stop < 3.0);
  MESSAGE("named within ", slowest_kill, " s (killed) and ", slowest_stop, " s (stopped)");
}

}  // namespace troupe::tests
