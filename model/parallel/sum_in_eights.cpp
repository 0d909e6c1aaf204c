#include "model/parallel/sum_in_eights.h"

#include "schemas/check.h"

namespace troupe::model {

using kernels::Device;

int64_t SumInEights::num_arrays(int64_t count_max) {
  int64_t arrays = 1;
  for (int64_t block = 8; block < count_max; block *= 8) ++arrays;
  return arrays;
}

SumInEights::SumInEights(const kernels::Backend& backend, int64_t num_floats, int64_t count_max)
    : backend_(&backend) {
  for (int64_t i = 0; i < num_arrays(count_max); ++i) {
    levels_.emplace_back().sum = DeviceBuffer<float>(backend, num_floats);
  }
}

void SumInEights::add(kernels::Stream* stream, int64_t position, Device<float> summand,
                      int64_t count) {
  TROUPE_CHECK(!levels_.empty());
  // Blocks that end before this position are complete.
  int64_t block = 8;
  for (size_t i = 0; i + 1 < levels_.size() && position / block != last_ / block; ++i, block *= 8) {
    pass_up(stream, i, count);
  }
  last_ = position;
  take(stream, levels_.front(), summand, count);
}

std::optional<Device<float>> SumInEights::finish(kernels::Stream* stream, int64_t count) {
  for (size_t i = 0; i + 1 < levels_.size(); ++i) pass_up(stream, i, count);
  last_ = 0;
  Level& top = levels_.back();
  if (!top.is_begun) return std::nullopt;
  top.is_begun = false;
  return top.sum.get();
}

void SumInEights::take(kernels::Stream* stream, Level& level, Device<float> summand,
                       int64_t count) {
  if (level.is_begun) {
    backend_->add(stream, level.sum.get(), summand, count);
  } else {
    backend_->copy(stream, level.sum.get().address, summand.address,
                   count * static_cast<int64_t>(sizeof(float)));
  }
  level.is_begun = true;
}

void SumInEights::pass_up(kernels::Stream* stream, size_t level, int64_t count) {
  if (!levels_[level].is_begun) return;
  take(stream, levels_[level + 1], levels_[level].sum.get(), count);
  levels_[level].is_begun = false;
}

}  // namespace troupe::model
