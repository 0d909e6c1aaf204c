// Who waits for whom in a run, told from its workers and queues.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "schemas/metrics.h"

namespace troupe::cluster {

// Shares of a role's time that it had nothing to do, by whom it waits for; at most one of each role
// is above 0, and none while the role has work.
struct WaitingShares {
  double learner_for_rollout = 0;
  double learner_for_verifier = 0;
  double learner_for_store = 0;
  double rollout_for_learner = 0;
  double rollout_for_verifier = 0;

  bool operator==(const WaitingShares&) const = default;
};

WaitingShares waiting_in(const RunSample& sample);

// One sentence for people: "the learner waits for rollout: 12 groups are being generated".
std::string who_waits(const RunSample& sample);

// Tokens per second of each rollout worker over the last minute, from what each has counted.
class WorkerPace {
 public:
  static constexpr double kWindowSeconds = 60;
  static constexpr size_t kWorkersMax = 4'096;  // Further ones are not looked at.

  struct Rates {
    double mean = 0;
    double worst = 0;
    uint32_t worst_slot = 0;
    size_t num_workers = 0;                // Nothing is known while there is none.
    std::map<uint32_t, double> by_slot{};  //
  };

  // `time` never goes back. Workers that are not ready do not count.
  Rates add(const RunSample& sample, double time);

 private:
  struct Moment {
    double time = 0;
    std::map<uint32_t, uint64_t> tokens{};  // By slot.
  };
  std::deque<Moment> moments_{};
};

}  // namespace troupe::cluster
