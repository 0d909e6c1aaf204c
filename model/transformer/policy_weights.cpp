#include "model/transformer/policy_weights.h"

#include <algorithm>

namespace troupe::model {

using kernels::kChunkElements;
using kernels::Packed;
using kernels::Precision;

namespace {

MatrixList list_of(const std::vector<Matrix>& matrices) {
  MatrixList list;
  list.first = matrices[0];
  list.count = static_cast<int64_t>(matrices.size());
  if (list.count > 1) {
    list.w_stride_bytes = static_cast<int64_t>(matrices[1].w.address - matrices[0].w.address);
    list.wt_stride_bytes = static_cast<int64_t>(matrices[1].wt.address - matrices[0].wt.address);
    list.stride = matrices[1].offset - matrices[0].offset;
  }
  for (int64_t i = 0; i < list.count; ++i) {
    const Matrix& matrix = matrices[static_cast<size_t>(i)];
    TROUPE_CHECK(list.at(i).offset == matrix.offset);
    TROUPE_CHECK(list.at(i).w.address == matrix.w.address);
    TROUPE_CHECK(list.at(i).wt.address == matrix.wt.address);
  }
  return list;
}

}  // namespace

PolicyWeights::PolicyWeights(const kernels::Backend& backend, const TransformerConfig& config,
                             const ParameterLayout& layout, Options options)
    : backend_(backend),
      config_(config),
      layout_(layout),
      options_(options),
      values_(backend, layout.num_floats()) {
  // Once to learn the size, then again with addresses.
  lay_out();
  packed_ = DeviceBuffer<char>(backend, packed_bytes_);
  lay_out();
}

Vector PolicyWeights::vector(const std::string& name) const {
  const int64_t offset = layout_.offset(name);
  return {values_.get() + offset, offset};
}

Packed PolicyWeights::plan(int64_t rows, int64_t cols, int64_t offset, int64_t ld,
                           bool is_transposed) {
  const Packed packed{packed_.get().address + static_cast<uint64_t>(packed_bytes_), rows, cols};
  packed_bytes_ += backend_.packed_bytes(options_.precision, rows, cols);
  tasks_.push_back({packed, offset, ld, is_transposed});
  return packed;
}

Matrix PolicyWeights::forward_matrix(const std::string& name, int64_t rows, int64_t cols) {
  Matrix m;
  m.offset = layout_.offset(name);
  m.ld = cols;
  m.w = plan(rows, cols, m.offset, cols, false);
  return m;
}

void PolicyWeights::add_backward(Matrix& matrix) {
  if (!options_.is_trainable) return;
  matrix.wt = plan(matrix.w.cols, matrix.w.rows, matrix.offset, matrix.ld, true);
}

Matrix PolicyWeights::matrix(const std::string& name, int64_t rows, int64_t cols) {
  Matrix m = forward_matrix(name, rows, cols);
  add_backward(m);
  return m;
}

MlpWeights PolicyWeights::mlp(const std::string& prefix, int64_t inner) {
  const int64_t D = config_.hidden_size;
  MlpWeights weights;
  weights.gate = forward_matrix(prefix + "gate_proj.weight", inner, D);
  weights.up = forward_matrix(prefix + "up_proj.weight", inner, D);
  add_backward(weights.gate);
  add_backward(weights.up);
  weights.down = matrix(prefix + "down_proj.weight", D, inner);
  return weights;
}

ExpertWeights PolicyWeights::experts(const std::string& prefix, const ParameterNames& names) {
  const int64_t D = config_.hidden_size, F = config_.moe_intermediate_size;
  ExpertWeights weights;
  std::vector<Matrix> gate, up, down;
  const auto add = [&](std::vector<Matrix>& matrices, const std::string& suffix, int64_t rows,
                       int64_t cols) {
    const std::string number = std::to_string(matrices.size());
    matrices.push_back(forward_matrix(prefix + number + suffix, rows, cols));
  };
  for (int64_t e = 0; e < config_.n_routed_experts; ++e) {
    add(gate, names.expert_gate, F, D);
    add(up, names.expert_up, F, D);
  }
  for (int64_t e = 0; e < config_.n_routed_experts; ++e) add(down, names.expert_down, D, F);
  for (auto* matrices : {&gate, &up, &down}) {
    for (Matrix& matrix : *matrices) add_backward(matrix);
  }
  weights.gate = list_of(gate);
  weights.up = list_of(up);
  weights.down = list_of(down);
  return weights;
}

void PolicyWeights::lay_out_latent(LayerWeights& layer, const std::string& attn) {
  const TransformerConfig& c = config_;
  const int64_t D = c.hidden_size, H = c.num_attention_heads, R = c.kv_lora_rank;
  const int64_t nope = c.qk_nope_head_dim, v = c.v_head_dim;
  if (c.q_lora_rank > 0) {
    layer.q_a = matrix(attn + "q_a_proj.weight", c.q_lora_rank, D);
    layer.q_a_norm = vector(attn + "q_a_layernorm.weight");
    layer.q = matrix(attn + "q_b_proj.weight", c.query_width(), c.q_lora_rank);
  } else {
    layer.q = matrix(attn + "q_proj.weight", c.query_width(), D);
  }
  layer.kv_a = matrix(attn + "kv_a_proj_with_mqa.weight", R + c.qk_rope_head_dim, D);
  layer.kv_norm = vector(attn + "kv_a_layernorm.weight");

  // kv_b (H * (nope + v), R): per head the rows that make keys, then those that make values. The
  // keys' part is used from its other side, because the query is brought into the latent.
  const int64_t kv_b = layout_.offset(attn + "kv_b_proj.weight");
  const auto heads = [&](int64_t first_row, int64_t rows, bool is_absorbing) {
    std::vector<Matrix> matrices(static_cast<size_t>(H));
    for (const bool is_backward : {false, true}) {
      if (is_backward && !options_.is_trainable) break;
      const bool is_transposed = is_absorbing != is_backward;
      int64_t row = first_row;
      for (Matrix& matrix : matrices) {
        matrix.offset = kv_b + row * R;
        matrix.ld = R;
        (is_backward ? matrix.wt : matrix.w) = plan(
            is_transposed ? R : rows, is_transposed ? rows : R, matrix.offset, R, is_transposed);
        row += nope + v;
      }
    }
    return list_of(matrices);
  };
  layer.absorb = heads(0, nope, true);
  layer.value = heads(nope, v, false);
}

void PolicyWeights::lay_out_grouped(LayerWeights& layer, const std::string& attn) {
  const TransformerConfig& c = config_;
  const int64_t D = c.hidden_size, width = c.num_key_value_heads * c.head_dim;
  layer.q = matrix(attn + "q_proj.weight", c.query_width(), D);
  layer.k = matrix(attn + "k_proj.weight", width, D);
  layer.v = matrix(attn + "v_proj.weight", width, D);
  if (c.has_qkv_bias()) {
    layer.q_bias = vector(attn + "q_proj.bias");
    layer.k_bias = vector(attn + "k_proj.bias");
    layer.v_bias = vector(attn + "v_proj.bias");
  }
  if (c.has_qk_norm()) {
    layer.q_norm = vector(attn + "q_norm.weight");
    layer.k_norm = vector(attn + "k_norm.weight");
  }
}

void PolicyWeights::lay_out() {
  const TransformerConfig& c = config_;
  const int64_t D = c.hidden_size;
  const ParameterNames names = parameter_names(c.family);
  packed_bytes_ = 0;
  tasks_.clear();
  layers_.clear();
  embedding_ = vector("model.embed_tokens.weight");
  final_norm_ = vector("model.norm.weight");
  head_ = matrix(c.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight",
                 c.vocab_size, D);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    const std::string attn = prefix + "self_attn.";
    LayerWeights layer;
    layer.input_norm = vector(prefix + "input_layernorm.weight");
    layer.post_norm = vector(prefix + "post_attention_layernorm.weight");
    if (c.is_latent()) {
      lay_out_latent(layer, attn);
    } else {
      lay_out_grouped(layer, attn);
    }
    layer.o = matrix(attn + "o_proj.weight", D, c.attended_width());
    if (c.is_dense(i)) {
      layer.dense = mlp(prefix + "mlp.", c.intermediate_size);
    } else {
      layer.router = matrix(prefix + names.router, c.n_routed_experts, D);
      if (c.has_router_bias()) {
        layer.router_bias = vector(prefix + "mlp.gate.e_score_correction_bias");
      }
      layer.experts = experts(prefix + names.experts, names);
      if (c.n_shared_experts > 0) {
        layer.shared =
            mlp(prefix + "mlp.shared_experts.", c.n_shared_experts * c.moe_intermediate_size);
      }
    }
    layers_.push_back(layer);
  }
}

void PolicyWeights::publish(Threads& threads, const std::vector<kernels::Stream*>& streams,
                            kernels::Device<float> masters) {
  TROUPE_CHECK(streams.size() >= static_cast<size_t>(threads.count()));
  const int64_t total = layout_.num_floats();
  const int64_t chunks = (total + kChunkElements - 1) / kChunkElements;
  const bool is_rounded = options_.precision == Precision::kBf16;
  threads.run(chunks, [&](int64_t chunk, int thread) {
    const int64_t begin = chunk * kChunkElements;
    const int64_t count = std::min(kChunkElements, total - begin);
    kernels::Stream* stream = streams[static_cast<size_t>(thread)];
    backend_.copy(stream, (values_.get() + begin).address, (masters + begin).address, count * 4);
    if (is_rounded) backend_.round_bf16(stream, values_.get() + begin, count);
  });
  if (is_rounded) {
    for (const auto& parameter : layout_.by_name()) {
      if (!parameter.shape.is_float32) continue;
      backend_.copy(streams[0], (values_.get() + parameter.offset).address,
                    (masters + parameter.offset).address, parameter.shape.size() * 4);
    }
  }
  threads.run(static_cast<int64_t>(tasks_.size()), [&](int64_t i, int thread) {
    const PackTask& task = tasks_[static_cast<size_t>(i)];
    backend_.pack(streams[static_cast<size_t>(thread)], task.to, values_.get() + task.offset,
                  task.ld, task.is_transposed);
  });
}

}  // namespace troupe::model
