// The policy's forward and backward on one stream. Prefill, decode and training run the same
// operations in the same order, so a token's log-probability has the same bits in each.
#pragma once

#include <cstdint>
#include <vector>

#include "model/device.h"
#include "model/transformer/policy_weights.h"

namespace troupe::model {

// Tokens of several sequences, packed without padding; arrays are on the device.
struct TokenBatch {
  int64_t N = 0;
  kernels::Device<int32_t> token{};     // (N)
  kernels::Device<int32_t> position{};  // (N)
  kernels::Device<int32_t> slot{};      // (N)  Cache row of each token.
  kernels::SequenceBatch sequences{};
  int64_t num_logits = 0;
  kernels::Device<int32_t> logit_rows{};  // (num_logits)  Tokens whose next token is wanted.
};

// What a token leaves in the cache in each layer, and where in it keys and values are.
kernels::CacheRow cache_row(const TransformerConfig& config);

// Rows of all layers.
struct LayerCache {
  kernels::Stored rows{};
  int64_t layer_stride = 0;  // In elements.
};

class Transformer {
 public:
  struct Options {
    kernels::Precision precision = kernels::Precision::kBf16;
    int64_t tokens_max = 0;     // Of one forward.
    int64_t logits_max = 0;     // Of one forward.
    int64_t context_max = 0;    // Of one sequence.
    bool is_trainable = false;  // Keeps activations, and has a cache of its own.
    bool recomputes = false;    // Keeps each layer's input only; backward computes the rest again.
  };

  Transformer(const kernels::Backend& backend, const TransformerConfig& config, Options options);

  // logits() (num_logits, V) of the batch. What tokens leave in the cache is written first, so a
  // sequence may start in this batch or continue from an earlier one.
  void forward(const PolicyWeights& weights, const TokenBatch& batch, const LayerCache& cache);

  // The same for whole sequences, keeping what backward needs. logit row i predicts target[i].
  // Results: logprobs(), entropies(). Tokens per expert are added to `expert_counts` (moe layers,
  // E) when given.
  void forward_training(const PolicyWeights& weights, const TokenBatch& batch,
                        kernels::Device<int32_t> target, float temperature,
                        kernels::Device<int64_t> expert_counts = {});

  // After forward_training: adds the gradient of sum_i dlogprob[i] * logprob[i] to `gradient` (by
  // layout). With `overwrites`, what that held is taken for zeros: it is faster than filling it
  // with them, and gives the same bits.
  void backward(const PolicyWeights& weights, const TokenBatch& batch,
                kernels::Device<int32_t> target, kernels::Device<float> dlogprob, float temperature,
                kernels::Device<float> gradient, bool overwrites = false);

  kernels::Device<float> logits() const { return logits_; }
  kernels::Device<float> logprobs() const { return logprobs_; }    // (num_logits)
  kernels::Device<float> entropies() const { return entropies_; }  // (num_logits)

  kernels::Stream* stream() const { return stream_.get(); }
  int64_t memory_bytes() const { return memory_.count(); }  // Activations; linear in tokens_max.

 private:
  // What one layer leaves behind for its backward; in generation all layers share one, and with
  // `recomputes` all but x0.
  struct Activations {
    kernels::Device<float> x0{}, x1{};                 // (N, D)  input, after attention
    kernels::Device<float> rstd0{}, rstd1{};           // (N)
    kernels::Device<float> rstd_q{}, rstd_kv{};        // (N), or (N, H) and (N, G)
    kernels::Stored h0{}, h1{};                        // (N, D)
    kernels::Device<float> q{}, k{};                   // (N, H, d), (N, G, d)  grouped heads
    kernels::Device<float> qa{};                       // (N, q_lora)
    kernels::Stored qn{};                              // (N, q_lora)
    kernels::Device<float> kv{};                       // (N, R + P)
    kernels::Stored nope{};                            // (N, H, nope)
    kernels::Stored row{};                             // (N, H, key_width)
    kernels::Device<float> max{}, sum{};               // (N, H)
    kernels::Stored latent{};                          // (N, H, R)
    kernels::Stored value{};                           // (N, H, v)
    kernels::Device<float> gate_up{};                  // (N, 2, padded F)  dense or shared
    kernels::Stored inner{};                           // (N, F)
    kernels::Device<float> score{};                    // (N, E)
    kernels::Device<int32_t> expert{};                 // (N, K)
    kernels::Device<float> weight{};                   // (N, K)
    kernels::Device<int32_t> offsets{};                // (E+1)
    kernels::Device<int32_t> row_token{}, slot_row{};  // (N*K)
    kernels::Device<float> expert_gate_up{};           // (N*K, 2, padded Fe)
    kernels::Stored expert_inner{};                    // (N*K, Fe)
  };
  class Arena;

  void lay_out(Arena& arena);
  Activations lay_out_layer(Arena& arena) const;
  void run_layer(const PolicyWeights& weights, const TokenBatch& batch, const LayerCache& cache,
                 int64_t i);
  void run_layers(const PolicyWeights& weights, const TokenBatch& batch, const LayerCache& cache);
  // Adds to a.x1, and to `out`, which begin as copies of what is read; in generation all are one.
  void attention_forward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                         kernels::Stored cache);
  void latent_forward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                      kernels::Stored cache);
  void grouped_forward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                       kernels::Stored cache);
  void attend(kernels::Stored out, Activations& a, const TokenBatch& batch, kernels::Stored cache);
  void mlp_forward(const LayerWeights& w, Activations& a, int64_t layer, int64_t N,
                   kernels::Device<float> out);
  void head_forward(const PolicyWeights& weights, const TokenBatch& batch);
  void attention_backward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                          kernels::Stored cache, kernels::Device<float> gradient);
  void latent_backward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                       kernels::Stored cache, kernels::Device<float> gradient);
  void grouped_backward(const LayerWeights& w, Activations& a, const TokenBatch& batch,
                        kernels::Stored cache, kernels::Device<float> gradient);
  void attend_backward(kernels::Stored dout, Activations& a, const TokenBatch& batch,
                       kernels::Stored cache);
  void mlp_backward(const LayerWeights& w, Activations& a, int64_t layer, int64_t N,
                    kernels::Device<float> gradient);
  // y = x W^T (or += with `accumulates`), x (M, ldx) stored.
  void multiply(kernels::Device<float> y, kernels::Stored x, const kernels::Packed& w, int64_t M,
                int64_t ldy, int64_t ldx, bool accumulates = false);
  // Fills with zeros what learn() does not write.
  void begin_gradient(const PolicyWeights& weights, kernels::Device<float> gradient);
  // dW += dy^T x, or without dW where the gradient is overwritten: no matrix has two such terms.
  void learn(kernels::Device<float> gradient, const Matrix& matrix, int64_t rows, int64_t cols,
             kernels::Stored dy, int64_t lddy, kernels::Stored x, int64_t ldx, int64_t T);
  // dh (N, D) (+)= gradient of a SwiGLU with inner gradient `dx` through its down projection.
  void swiglu_backward(const MlpWeights& w, Activations& a, int64_t F, int64_t N,
                       kernels::Device<float> gradient);

  const kernels::Backend& backend_;
  const TransformerConfig c_;
  const Options options_;
  const kernels::CacheRow row_;
  OwnedStream stream_;

  DeviceBuffer<char> memory_;
  std::vector<Activations> layers_;
  LayerCache own_cache_{};
  kernels::Device<float> rope_{};
  kernels::Device<float> final_x_{}, final_rstd_{}, logits_{}, logprobs_{}, lse_{}, entropies_{};
  kernels::Stored final_h_{};
  kernels::Device<int64_t> expert_counts_{};  // Of the current forward; may be absent.
  bool overwrites_ = false;                   // Of the current backward.
  // Scratch of forward.
  kernels::Device<float> q_{}, value_{}, router_logits_{};
  // Scratch of backward.
  kernels::Device<float> dx_{}, dh_{}, da_{}, dquery_{}, dcache_{}, dnope_{}, dqn_{}, dqa_{},
      dweight_{};
  kernels::Stored dxs_{}, dgate_{}, dup_{}, weighted_{}, drouter_{}, dvalue_{}, dattended_{},
      dabsorbed_{}, dq_{}, dqas_{}, dkv_{}, dlogits_{};
};

}  // namespace troupe::model
