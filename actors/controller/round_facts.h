// What learning is told of a round.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "actors/crew/learn_step.h"
#include "schemas/ids.h"
#include "schemas/metrics.h"

namespace troupe::actors {

// What one step learns, in the order of learning. It may be empty.
struct Minibatch {
  int64_t index = 0;  // Within its round.
  std::vector<GroupId> ids{};
  EncodedGroups groups{};
  // The round's later minibatches, where they are wanted before the weights move.
  std::vector<EncodedGroups> later{};
};

// A complete round, for the records of its steps.
struct RoundFigures {
  StepMetrics metrics{};  // The fields that belong to the round.
  double generate_seconds = 0;
  double verify_seconds = 0;
  bool has_segments = false;  // The store has parts of its responses.
};

}  // namespace troupe::actors
