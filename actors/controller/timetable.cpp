#include "actors/controller/timetable.h"

#include "schemas/ids.h"

namespace troupe::actors {

uint64_t Timetable::rounds_ahead() const {
  return troupe::rounds_ahead(job_.schedule, job_.grpo.minibatches_per_round);
}

uint64_t Timetable::num_rounds_provided_for() const {
  const bool has_lag = job_.grpo.steps > 0 && !is_async();
  return num_rounds() + (!has_lag ? 0 : rounds_ahead());
}

uint64_t Timetable::round_at(uint64_t version) const {
  if (version < sft_steps()) return 0;
  return (version - sft_steps()) / minibatches();
}

int64_t Timetable::minibatch_at(uint64_t version) const {
  return static_cast<int64_t>((version - sft_steps()) % minibatches());
}

uint64_t Timetable::version_after(uint64_t round) const {
  return sft_steps() + (round + 1) * minibatches();
}

uint64_t Timetable::generates(uint64_t round) const {
  return number(generating_version(Round{round}, sft_steps(), minibatches(), rounds_ahead()));
}

bool Timetable::begins_round(uint64_t version) const {
  return version == sft_steps() || version_after(round_at(version - 1)) == version;
}

}  // namespace troupe::actors
