// What a device holds when it generates and when it learns, part by part.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/planner/cost_model.h"

namespace troupe::cluster {

struct MemoryPart {
  std::string name{};
  double bytes = 0;
};

struct MemoryPlan {
  std::vector<MemoryPart> parts{};
  double usable = 0;

  double used() const;
  double short_by() const;  // Bytes; 0: it fits.
};

// Of a replica of `width` devices. The cache is what is left, and in `parts` at least the room of
// `cache_tokens`, the longest context.
MemoryPlan generating_memory(const CostInputs& in, int64_t width, double cache_tokens,
                             double usable, double workspace, double redundant_experts);

struct LearnerShape {
  int64_t devices = 1;
  int64_t experts = 1;  // Devices that have one copy of the experts together.
  int64_t context = 1;  // Devices that have one sequence together.
};

// `tokens` go through a device's share of the learner at once.
MemoryPlan learning_memory(const CostInputs& in, const LearnerShape& shape, double tokens,
                           bool recomputes, double usable, double workspace);

// The shape with the fewest devices to an expert and a sequence that leaves a fourth free, else the
// one that leaves most.
LearnerShape best_learner_shape(const CostInputs& in, int64_t devices, int64_t context_max,
                                double tokens, bool recomputes, double usable, double workspace);

}  // namespace troupe::cluster
