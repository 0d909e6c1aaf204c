// The sum of a wave: eight summands one after another, eight such sums one after another, and so
// on, because a host has eight devices. What is absent is left out. Who has whole blocks adds up
// those, and whoever adds up the blocks comes to the same bits as one who has all.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/device.h"

namespace troupe::model {

class SumInEights {
 public:
  // Of arrays of so many floats, at positions below `count_max`. Nothing can be added to one that
  // was made without arguments.
  SumInEights() = default;
  SumInEights(const kernels::Backend& backend, int64_t num_floats, int64_t count_max);

  // Arrays are needed for it: so many.
  static int64_t num_arrays(int64_t count_max);

  // The next position that is there, ascending; the first `count` floats of it.
  void add(kernels::Stream* stream, int64_t position, kernels::Device<float> summand,
           int64_t count);
  // The sum of what was added since the last finish; nothing where nothing was. Valid until the
  // next add.
  std::optional<kernels::Device<float>> finish(kernels::Stream* stream, int64_t count);

 private:
  // levels_[i] is a sum over a block of 8^(i+1) positions.
  struct Level {
    DeviceBuffer<float> sum{};
    bool is_begun = false;
  };

  void take(kernels::Stream* stream, Level& level, kernels::Device<float> summand, int64_t count);
  void pass_up(kernels::Stream* stream, size_t level, int64_t count);

  const kernels::Backend* backend_ = nullptr;
  std::vector<Level> levels_{};
  int64_t last_ = 0;  // Position that was added.
};

}  // namespace troupe::model
