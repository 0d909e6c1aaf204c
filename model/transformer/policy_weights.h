// One version of the policy in the form that the transformer computes with: vectors rounded to what
// is published, matrices packed, and for learning packed a second time for the way back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/device.h"
#include "model/transformer/parameter_layout.h"

namespace troupe::model {

// A vector parameter and its place in arrays of gradients.
struct Vector {
  kernels::Device<float> value{};
  int64_t offset = 0;
};

// A matrix parameter: forward computes y = x W^T with `w`, backward dx = dy W with `wt`.
struct Matrix {
  kernels::Packed w{};
  kernels::Packed wt{};  // Address 0 where only generation is wanted.
  int64_t offset = 0;
  int64_t ld = 0;  // Of the parameter's rows.
};

// Equal matrices one after another: experts, or the heads' parts of one parameter.
struct MatrixList {
  Matrix first{};
  int64_t count = 0;
  int64_t w_stride_bytes = 0;
  int64_t wt_stride_bytes = 0;
  int64_t stride = 0;  // Of the parameters, in floats.

  Matrix at(int64_t i) const {
    Matrix m = first;
    m.w.address += static_cast<uint64_t>(i * w_stride_bytes);
    m.wt.address += static_cast<uint64_t>(i * wt_stride_bytes);
    m.offset += i * stride;
    return m;
  }
};

// A SwiGLU's; up's panels follow those of gate.
struct MlpWeights {
  Matrix gate{}, up{}, down{};
};
struct ExpertWeights {
  MatrixList gate{}, up{}, down{};
};
// Both as one weight (2 padded(F, kPanelN), D), with which forward multiplies.
inline kernels::Packed gate_and_up(const Matrix& gate) {
  return {gate.w.address, 2 * kernels::padded(gate.w.rows, kernels::kPanelN), gate.w.cols};
}

// What a configuration lacks has address 0.
struct LayerWeights {
  Vector input_norm{}, post_norm{};
  Matrix q{}, o{};  // With q_lora, q is q_b_proj.
  // Latent attention.
  Vector q_a_norm{}, kv_norm{};
  Matrix q_a{}, kv_a{};
  MatrixList absorb{};  // Per head: the no-rope query (nope) into the latent (R).
  MatrixList value{};   // Per head: the attended latent (R) into the value (v).
  // Grouped heads.
  Matrix k{}, v{};
  Vector q_bias{}, k_bias{}, v_bias{}, q_norm{}, k_norm{};

  MlpWeights dense{};
  Matrix router{};
  Vector router_bias{};
  ExpertWeights experts{};
  MlpWeights shared{};
};

class PolicyWeights {
 public:
  struct Options {
    kernels::Precision precision = kernels::Precision::kBf16;
    bool is_trainable = false;  // Packs for backward too.
  };

  PolicyWeights(const kernels::Backend& backend, const TransformerConfig& config,
                const ParameterLayout& layout, Options options);

  // Takes over the values of `masters` (layout's floats), rounded to bf16 unless the precision is
  // fp32; float32 tensors stay as they are. `streams` has one for each thread.
  void publish(Threads& threads, const std::vector<kernels::Stream*>& streams,
               kernels::Device<float> masters);

  // The published values as floats, by layout.
  kernels::Device<float> values() const { return values_.get(); }

  const ParameterLayout& layout() const { return layout_; }
  const std::vector<LayerWeights>& layers() const { return layers_; }
  const Vector& embedding() const { return embedding_; }
  const Vector& final_norm() const { return final_norm_; }
  const Matrix& head() const { return head_; }

 private:
  struct PackTask {
    kernels::Packed to{};
    int64_t offset = 0;
    int64_t ld = 0;
    bool is_transposed = false;
  };

  Vector vector(const std::string& name) const;
  kernels::Packed plan(int64_t rows, int64_t cols, int64_t offset, int64_t ld, bool is_transposed);
  Matrix forward_matrix(const std::string& name, int64_t rows, int64_t cols);
  void add_backward(Matrix& matrix);  // Where it is wanted.
  Matrix matrix(const std::string& name, int64_t rows, int64_t cols);
  MlpWeights mlp(const std::string& prefix, int64_t inner);
  ExpertWeights experts(const std::string& prefix, const ParameterNames& names);
  void lay_out();
  void lay_out_latent(LayerWeights& layer, const std::string& attn);
  void lay_out_grouped(LayerWeights& layer, const std::string& attn);

  const kernels::Backend& backend_;
  const TransformerConfig config_;
  const ParameterLayout& layout_;
  const Options options_;
  DeviceBuffer<float> values_;
  DeviceBuffer<char> packed_;
  int64_t packed_bytes_ = 0;
  std::vector<PackTask> tasks_;
  std::vector<LayerWeights> layers_;
  Vector embedding_{}, final_norm_{};
  Matrix head_{};
};

}  // namespace troupe::model
