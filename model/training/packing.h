// Micro-batches: sequences laid end to end, decided once per minibatch before anyone knows how many
// threads or ranks there are.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace troupe::model {

// Next-fit in the order given: a sequence goes to the current micro-batch if it fits into
// `microbatch_tokens`, else it opens a new one. Each length must be at most that. Returns the
// sequences' indices by micro-batch; micro-batch i belongs to lane i mod lanes.
std::vector<std::vector<size_t>> pack(std::span<const int64_t> lengths, int64_t microbatch_tokens);

}  // namespace troupe::model
