// A micro-batch as the transformer takes it, and the device memory of the lane that works on it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/training/learn_sequence.h"
#include "model/transformer/transformer.h"

namespace troupe::model {

// Sums over the learned tokens of a micro-batch, in order.
struct MicrobatchSums {
  double loss = 0;
  int64_t tokens = 0;  // Through forward and backward.
  int64_t tokens_learned = 0;
  double entropy = 0;
  double kl = 0;
  double ppo_kl = 0;
  double clip_fraction = 0;
  double ratio_max = 0;
};

// Sequences end to end, with the tokens that are predicted.
struct Microbatch {
  std::vector<size_t> sequences{};
  std::vector<int32_t> token{}, position{}, slot{}, logit_row{}, target{};
  std::vector<int32_t> query_offset{0}, context{}, block_table{};
  std::vector<size_t> target_sequence{}, target_token{};  // Where each target came from.
  int64_t blocks_max = 1;
  int64_t context_max = 1;
  // Filled in by a step, per target.
  std::vector<float> logprob{}, entropy{};
  MicrobatchSums sums{};
};

// All micro-batches of a minibatch by their numbers; of those that are not one's own, only the list
// of sequences.
std::vector<Microbatch> make_microbatches(std::span<const LearnSequence> sequences,
                                          int64_t microbatch_tokens,
                                          const std::function<bool(int64_t)>& is_own);

// Device memory for a micro-batch's description and a lane's sums. One lane is worked on by one
// thread at a time.
class GradientLane {
 public:
  GradientLane(const kernels::Backend& backend, const TransformerConfig& config, int64_t num_floats,
               int64_t tokens_max, int64_t context_max);

  // The batch on the device; valid until the next upload.
  TokenBatch upload(kernels::Stream* stream, const Microbatch& m);

  DeviceBuffer<float> gradient;
  DeviceBuffer<float> dlogprob;
  DeviceBuffer<int64_t> expert_counts;
  kernels::Device<int32_t> target{};

 private:
  kernels::Device<int32_t> send(kernels::Stream* stream, const std::vector<int32_t>& values);

  const kernels::Backend& backend_;
  DeviceBuffer<int32_t> ints_;
  int64_t used_ = 0;
};

}  // namespace troupe::model
