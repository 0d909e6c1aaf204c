#include "actors/crew/attempts.h"

#include <fmt/format.h>

#include <utility>

namespace troupe::actors {

Attempts::Attempts(PoolOptions options, PoolOutbox& outbox)
    : options_(std::move(options)), outbox_(outbox) {}

void Attempts::restore(const std::vector<AttemptRecord>& attempts) {
  for (const AttemptRecord& one : attempts) {
    // Kills are counted in a row, and a row ends with the head that saw it.
    tries_[{one.id, GroupPurpose::kTrain}] = {one.faults, 0};
  }
}

bool Attempts::lost(const GroupKey& group, Loss loss, double core_seconds, const std::string& why) {
  Tries& tries = tries_[group];
  if (loss == Loss::kFault) {
    ++tries.faults;
    tries.kills = 0;
  } else if (loss == Loss::kKilled) {
    ++tries.kills;
  }
  const auto [id, purpose] = group;
  if (tries.faults >= options_.faults_max) {
    outbox_.note(
        fmt::format("round {}, group {} is given up: {} of its workers ended, the last: {}",
                    number(id.round), id.ordinal, tries.faults, why));
    outbox_.add(pool::GroupAbandoned{id, purpose, "attempts"});
    return false;
  }
  if (loss == Loss::kKilled && tries.kills >= options_.kills_max) {
    outbox_.give_up(
        JobState::kPaused,
        fmt::format("round {}, group {}: its worker was killed {} times in a row; look for who "
                    "kills it (memory?), then resume",
                    number(id.round), id.ordinal, tries.kills));
  }
  outbox_.add(pool::GroupRetried{{id, tries.faults, tries.kills}, purpose, core_seconds});
  return true;
}

void Attempts::came_further(const GroupKey& group) {
  if (const auto tries = tries_.find(group); tries != tries_.end()) tries->second.kills = 0;
}

bool Attempts::is_suspect(const GroupKey& group) const {
  const auto tries = tries_.find(group);
  return tries != tries_.end() && tries->second.faults > 0;
}

}  // namespace troupe::actors
