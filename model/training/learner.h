// The learner: owns the fp32 masters and the optimizer's moments, and turns a minibatch into one
// step. Results do not depend on the number of threads: micro-batches are dealt to fixed lanes,
// each lane adds up in order, lanes are folded as a tree, and norms are sums over fixed chunks.
//
// Nor do they depend on the number of ranks. Each rank of a team works its part of the same
// minibatch, and owns a shard of masters and moments (ZeRO-1):
//
//   own lanes ──▶ sum of own lanes ──▶ own shard of the sum ──▶ AdamW ──▶ all values ──▶ published
//                                all to all                          gather
//
// Where several ranks share a lane, gradients leave behind each wave for those who own them, and a
// rank keeps the sums of its own part only (ZeRO-2).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/parallel/team_exchange.h"
#include "model/training/microbatch.h"
#include "model/training/objective.h"
#include "model/transformer/transformer.h"

namespace troupe::model {

struct StepOptions {
  std::optional<GrpoObjective> grpo{};  // Absent: SFT.
  float temperature = 1;
  double learning_rate = 0;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0;  // Matrices only.
  double gradient_clip = 1;
  double balance_bias_rate = 0;  // gamma: bias += gamma * sign(total - experts * count)
};

// Over the learned tokens of one sequence, in order: it does not depend on how they were packed.
struct SequenceResult {
  double log_ratio_abs_sum = 0;  // |logprob - rollout_logprob|
  double importance_weight_sum = 0;
  double importance_weight_max = 0;
  int64_t num_truncated = 0;  // Importance weights above the cap.
};

struct StepResult {
  bool was_skipped = false;  // Nothing to learn, or the gradient was not finite.
  bool was_finite = true;
  double loss = 0;
  double gradient_norm = 0;  // Before clipping.
  std::string digest{};      // SHA-256 of the squares' sums by chunk; empty: nothing was learned.
  int64_t tokens = 0;        // Through forward and backward.
  int64_t tokens_learned = 0;
  double entropy = 0;  // Means over the learned tokens from here on.
  double kl = 0;
  double ppo_kl = 0;
  double clip_fraction = 0;
  double ratio_max = 0;
  double expert_load_max_violation = 0;
  std::vector<SequenceResult> sequences{};  // GRPO: by sequence.
};

// Everything that the steps to come depend on. N = floats of the layout, S = of the rank's shard,
// which is N where there is one rank.
struct LearnerState {
  std::vector<float> masters{};    // (S)
  std::vector<float> m{}, v{};     // (S)
  std::vector<float> reference{};  // (N)  As published; empty without a reference.
  double beta1_power = 1;
  double beta2_power = 1;
};

class Learner {
 public:
  struct Options {
    kernels::Precision precision = kernels::Precision::kBf16;
    int64_t microbatch_tokens = 8192;
    int64_t context_max = 0;
    int64_t gradient_lanes = 4;
    int64_t lane_width = 1;
    bool recomputes = false;  // As Transformer's.
    bool has_reference = false;
    Seat seat{};  // Its team has a layout (team_layout.h).
  };

  // What a rank of `team` will hold in parameters and activations, the greater part of its
  // memory; to be asked before it is made.
  static int64_t memory_bytes(const kernels::Backend& backend, const TransformerConfig& config,
                              const ParameterLayout& layout, int num_threads,
                              const TeamLayout& team, const Options& options);

  // `initial` has the layout's floats, the same on all ranks.
  Learner(const kernels::Backend& backend, const TransformerConfig& config,
          const ParameterLayout& layout, Threads& threads, std::span<const float> initial,
          Options options);
  ~Learner();

  // The current version, ready for generation too.
  const PolicyWeights& weights() const { return weights_; }

  // The published values by layout, on the host.
  std::vector<float> published() const;

  // This rank's floats of masters and moments.
  FloatRange shard() const { return shards_.range_of(options_.seat.rank()); }

  // A learner that is given the state of another goes on as that one would, bit for bit. The sizes
  // and the presence of a reference must be this learner's. All ranks set theirs together; errors
  // are the communicator's.
  LearnerState state() const;
  Status set_state(const LearnerState& state);

  // Whether this rank learns a sequence of a minibatch with these lengths; of the others it needs
  // only the length.
  std::vector<bool> own_sequences(std::span<const int64_t> lengths) const;

  // One optimizer update, published before it returns. All ranks step together, with the same
  // minibatch, and have the same result. Errors are the communicator's, kInternal where another
  // rank's part has another size; the learner is of no use then.
  Result<StepResult> step(std::span<const LearnSequence> minibatch, const StepOptions& options);

  // ln p of every token with loss_mask 1 under the current version, by the training forward; zeros
  // elsewhere. By sequence, by this rank alone.
  std::vector<std::vector<float>> score(std::span<const LearnSequence> sequences,
                                        float temperature);

  // A stage begins: moments and t start again.
  void reset_optimizer();
  // The reference becomes the current version.
  void refresh_reference();

 private:
  std::vector<Microbatch> own_microbatches(std::span<const LearnSequence> sequences) const;
  int64_t first_lane() const { return team_.first_lane(options_.seat.rank()); }
  Status learn_lane(int64_t lane_index, int thread, std::vector<Microbatch>& microbatches,
                    std::span<const LearnSequence> minibatch, const StepOptions& options,
                    std::vector<SequenceResult>& by_sequence);
  Status learn_wave(int64_t wave, int64_t lane_index, int thread,
                    std::vector<Microbatch>& microbatches, std::span<const LearnSequence> minibatch,
                    const StepOptions& options, std::vector<SequenceResult>& by_sequence);
  // Adds its gradient to `gradient` (layout), or to zeros instead of what that holds.
  void learn(Microbatch& m, GradientLane& lane, Transformer& worker,
             std::span<const LearnSequence> minibatch, const StepOptions& options,
             std::vector<SequenceResult>& by_sequence, kernels::Device<float> gradient,
             bool overwrites) const;
  Status add_parts_of_all(std::vector<Microbatch>& microbatches, StepResult& result);
  void add_own_lanes();
  // By chunk, of all ranks.
  Result<std::vector<double>> gradient_squares();
  void update_shard(const StepOptions& options, double gradient_norm);
  void update_bias(const StepOptions& options, StepResult& result);
  Status publish();

  const kernels::Backend& backend_;
  const TransformerConfig config_;
  const ParameterLayout& layout_;
  Threads& threads_;
  const Options options_;
  const TeamLayout team_;
  const ShardMap shards_;
  TeamExchange exchange_;

  DeviceBuffer<float> masters_, m_, v_;  // Of the shard.
  PolicyWeights weights_;
  std::optional<PolicyWeights> reference_;
  // Of a lane whose waves are wider than one micro-batch.
  struct WaveSums {
    // A lane of this rank alone: the gradient of one micro-batch, and the lane's is the sum.
    // A lane that is shared: the sum over waves of what this rank owns, and the lane's gradient is
    // that of one micro-batch.
    DeviceBuffer<float> other{};
    SumInEights own_slots{};
  };
  kernels::Device<float> sum_of(size_t lane_index) const;
  kernels::Device<float> scratch_of(size_t lane_index) const;

  std::vector<std::unique_ptr<GradientLane>> lanes_;   // This rank's.
  std::vector<WaveSums> waves_;                        // By lane.
  std::vector<std::unique_ptr<Transformer>> workers_;  // One per thread.
  std::vector<kernels::Stream*> streams_;
  DeviceBuffer<double> square_sums_;    // Of the shard's chunks.
  std::vector<int64_t> expert_counts_;  // Of all ranks, of the last step.
  double beta1_power_ = 1;
  double beta2_power_ = 1;
};

}  // namespace troupe::model
