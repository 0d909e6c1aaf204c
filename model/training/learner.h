// The learner: owns the fp32 masters and the optimizer's moments, and turns a minibatch into one
// step. Results do not depend on the number of threads: micro-batches are dealt to fixed lanes,
// each lane adds up in order, lanes are folded as a tree, and norms are sums over fixed chunks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/training/objective.h"
#include "model/transformer/transformer.h"

namespace troupe::model {

// A sequence to learn from. T tokens; entry t of the lists speaks of token t.
struct LearnSequence {
  std::span<const int32_t> tokens{};          // (T)
  std::span<const uint8_t> loss_mask{};       // (T)  1 = learned; the first token never is.
  std::span<const float> rollout_logprobs{};  // (T)  GRPO only
  // (T)  GRPO with a correction only: by the policy that the round's learning began with. Empty:
  // that policy is the current one.
  std::span<const float> old_logprobs{};
  double advantage = 0;     //      GRPO only
  double token_weight = 0;  // Of each learned token in the loss.
};

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

// Everything that the steps to come depend on. N = floats of the layout.
struct LearnerState {
  std::vector<float> masters{};    // (N)
  std::vector<float> m{}, v{};     // (N)
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
    bool recomputes = false;  // As Transformer's.
    bool has_reference = false;
  };

  // What a learner will hold in parameters and activations, the greater part of its memory; to be
  // asked before it is made.
  static int64_t memory_bytes(const kernels::Backend& backend, const TransformerConfig& config,
                              const ParameterLayout& layout, int num_threads,
                              const Options& options);

  Learner(const kernels::Backend& backend, const TransformerConfig& config,
          const ParameterLayout& layout, Threads& threads, std::span<const float> initial,
          Options options);
  ~Learner();

  // The current version, ready for generation too.
  const PolicyWeights& weights() const { return weights_; }

  // The published values by layout, on the host.
  std::vector<float> published() const;

  // A learner that is given the state of another goes on as that one would, bit for bit. The sizes
  // and the presence of a reference must be this learner's.
  LearnerState state() const;
  void set_state(const LearnerState& state);

  // One optimizer update, published before it returns.
  StepResult step(std::span<const LearnSequence> minibatch, const StepOptions& options);

  // ln p of every token with loss_mask 1 under the current version, by the training forward; zeros
  // elsewhere. By sequence.
  std::vector<std::vector<float>> score(std::span<const LearnSequence> sequences,
                                        float temperature);

  // A stage begins: moments and t start again.
  void reset_optimizer();
  // The reference becomes the current version.
  void refresh_reference();

 private:
  struct Microbatch;
  class Lane;

  std::vector<Microbatch> make_microbatches(std::span<const LearnSequence> sequences) const;
  double gradient_norm();
  void update_bias(const StepOptions& options, StepResult& result);

  const kernels::Backend& backend_;
  const TransformerConfig config_;
  const ParameterLayout& layout_;
  Threads& threads_;
  const Options options_;

  DeviceBuffer<float> masters_, m_, v_;
  PolicyWeights weights_;
  std::optional<PolicyWeights> reference_;
  std::vector<std::unique_ptr<Lane>> lanes_;           // Gradient of each lane.
  std::vector<std::unique_ptr<Transformer>> workers_;  // One per thread.
  std::vector<kernels::Stream*> streams_;
  DeviceBuffer<double> square_sums_;
  double beta1_power_ = 1;
  double beta2_power_ = 1;
};

}  // namespace troupe::model
