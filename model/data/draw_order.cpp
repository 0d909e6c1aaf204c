#include "model/data/draw_order.h"

#include <numeric>
#include <utility>

#include "kernels/random.h"
#include "schemas/check.h"

namespace troupe::model {

DrawOrder::DrawOrder(Options options) : options_(options) { TROUPE_CHECK(options.count > 0); }

int64_t DrawOrder::at(int64_t draw) {
  TROUPE_CHECK(draw >= 0);
  const int64_t place = draw % options_.count;
  if (!options_.shuffle) return place;
  const int64_t epoch = draw / options_.count;
  if (epoch != epoch_) {
    kernels::RandomStream random(options_.seed, kernels::StreamId::kShuffle,
                                 static_cast<uint64_t>(epoch), options_.deck);
    permutation_.resize(static_cast<size_t>(options_.count));
    std::iota(permutation_.begin(), permutation_.end(), int64_t{0});
    for (size_t i = permutation_.size() - 1; i > 0; --i) {
      std::swap(permutation_[i], permutation_[random.below(i + 1)]);
    }
    epoch_ = epoch;
  }
  return permutation_[static_cast<size_t>(place)];
}

PromptOrder::PromptOrder(Options options)
    : options_(options),
      order_({options.seed, DrawOrder::kTrainDeck, options.count, options.shuffle}) {
  TROUPE_CHECK(options.prompts_per_round > 0);
}

int64_t PromptOrder::at(int64_t round, int64_t ordinal) {
  TROUPE_CHECK(round >= 0 && round <= UINT32_MAX);
  TROUPE_CHECK(ordinal >= 0 && ordinal <= UINT32_MAX);
  if (ordinal < options_.prompts_per_round) {
    return order_.at(round * options_.prompts_per_round + ordinal);
  }
  kernels::RandomStream random(options_.seed, kernels::StreamId::kReplacement,
                               static_cast<uint64_t>(round) << 32 | static_cast<uint64_t>(ordinal));
  return static_cast<int64_t>(random.below(static_cast<uint64_t>(options_.count)));
}

}  // namespace troupe::model
