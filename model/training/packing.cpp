#include "model/training/packing.h"

#include "schemas/check.h"

namespace troupe::model {

std::vector<std::vector<size_t>> pack(std::span<const int64_t> lengths, int64_t microbatch_tokens) {
  std::vector<std::vector<size_t>> microbatches;
  int64_t used = 0;
  for (size_t i = 0; i < lengths.size(); ++i) {
    TROUPE_CHECK(lengths[i] > 0);
    TROUPE_CHECK(lengths[i] <= microbatch_tokens);
    if (microbatches.empty() || used + lengths[i] > microbatch_tokens) {
      microbatches.emplace_back();
      used = 0;
    }
    microbatches.back().push_back(i);
    used += lengths[i];
  }
  return microbatches;
}

}  // namespace troupe::model
