// The learning rate of a step, in double: linear warm-up, then constant or cosine.
#pragma once

#include <cstdint>
#include <string_view>

namespace troupe::model {

struct LearningRate {
  double peak = 0;
  int64_t warmup_steps = 0;
  int64_t steps = 0;       // Of the stage.
  bool is_cosine = false;  // Falls from peak to final_fraction * peak, else stays.
  double final_fraction = 0.1;

  double at(int64_t step) const;  // 1 <= step <= steps
};

}  // namespace troupe::model
