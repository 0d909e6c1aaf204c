// What the bench runs kernels on: operands of a linear layer, and sequences that attend.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/backend.h"
#include "kernels/random.h"
#include "model/device.h"

namespace troupe::cluster {

// One thread's operands of a linear layer y (M, N) = x (M, K) W^T. Activations are in their stored
// type, as the operations before leave them; what a product does to them on the way in is measured.
class LinearLayer {
 public:
  LinearLayer(const kernels::Backend& backend, int64_t M, int64_t K, int64_t N)
      : backend_(backend),
        M_(M),
        K_(K),
        N_(N),
        stream_(backend, kernels::Precision::kBf16, {.tokens_max = M, .width_max = std::max(K, N)}),
        x_(backend, M * K),
        dy_(backend, M * N),
        y_(backend, M * std::max(K, N)),
        dw_(backend, N * K),
        w_(backend, backend.packed_bytes(kernels::Precision::kBf16, N, K)),
        w_transposed_(backend, backend.packed_bytes(kernels::Precision::kBf16, K, N)) {
    const model::DeviceBuffer<float> source(backend, std::max(K * N, M * std::max(K, N)));
    kernels::RandomStream random(1, kernels::StreamId::kInit);
    std::vector<float> values(static_cast<size_t>(source.count()));
    for (float& value : values) value = static_cast<float>(random.uniform() - 0.5);
    backend.upload(stream(), source.get().address, values.data(), source.count() * 4);
    backend.store(stream(), stored(x_), source.get(), M, K, K, K);
    backend.store(stream(), stored(dy_), source.get(), M, N, N, N);
    backend.pack(stream(), {w_.get().address, N, K}, source.get(), K, /*is_transposed=*/false);
    backend.pack(stream(), {w_transposed_.get().address, K, N}, source.get(), K,
                 /*is_transposed=*/true);
  }

  void forward() {
    backend_.gemm(stream(), {.y = y_.get(),
                             .x = stored(x_),
                             .w = {w_.get().address, N_, K_},
                             .M = M_,
                             .ldy = N_,
                             .ldx = K_});
  }
  void backward_x() {
    backend_.gemm(stream(), {.y = y_.get(),
                             .x = stored(dy_),
                             .w = {w_transposed_.get().address, K_, N_},
                             .M = M_,
                             .ldy = K_,
                             .ldx = N_});
  }
  void backward_w() {
    backend_.weight_gradient(stream(), {.dw = dw_.get(),
                                        .dy = stored(dy_),
                                        .x = stored(x_),
                                        .T = M_,
                                        .rows = N_,
                                        .cols = K_,
                                        .ldw = K_,
                                        .lddy = N_,
                                        .ldx = K_});
  }

  double flops() const {
    return 2.0 * static_cast<double>(M_) * static_cast<double>(K_) * static_cast<double>(N_);
  }

 private:
  kernels::Stream* stream() const { return stream_.get(); }
  static kernels::Stored stored(const model::DeviceBuffer<uint16_t>& buffer) {
    return {buffer.get().address, 2};
  }

  const kernels::Backend& backend_;
  int64_t M_, K_, N_;
  model::OwnedStream stream_;
  model::DeviceBuffer<uint16_t> x_, dy_;
  model::DeviceBuffer<float> y_, dw_;
  model::DeviceBuffer<char> w_, w_transposed_;
};

// One thread's sequences of `context` tokens, of which the last `num_queries` ask.
class AttentionCase {
 public:
  static constexpr int64_t kSequences = 8, kHeads = 8, kLatent = 64, kWidth = 96;

  AttentionCase(const kernels::Backend& backend, int64_t context, int64_t num_queries)
      : backend_(backend),
        context_(context),
        num_queries_(num_queries),
        stream_(backend, kernels::Precision::kBf16,
                {.tokens_max = kSequences * num_queries,
                 .width_max = kHeads * kWidth,
                 .heads = kHeads,
                 .key_width = kWidth,
                 .value_width = kLatent,
                 .context_max = context}),
        query_(backend, kSequences * num_queries * kHeads * kWidth),
        out_(backend, kSequences * num_queries * kHeads * kLatent),
        cache_(backend, kSequences * kernels::padded(context) * kWidth),
        offset_(backend, kSequences + 1),
        context_of_(backend, kSequences),
        table_(backend, kSequences * blocks()) {
    std::vector<int32_t> offset, contexts(kSequences, static_cast<int32_t>(context)), table;
    for (int64_t s = 0; s <= kSequences; ++s) {
      offset.push_back(static_cast<int32_t>(s * num_queries));
    }
    for (int64_t i = 0; i < kSequences * blocks(); ++i) {
      table.push_back(static_cast<int32_t>(i * kernels::kBlockTokens));
    }
    const auto send = [&](const model::DeviceBuffer<int32_t>& to,
                          const std::vector<int32_t>& from) {
      backend.upload(stream_.get(), to.get().address, from.data(), to.count() * 4);
    };
    send(offset_, offset);
    send(context_of_, contexts);
    send(table_, table);
    // One value in bf16 everywhere: what is drawn changes no time.
    for (const auto* buffer : {&query_, &cache_}) {
      const std::vector<uint16_t> ones(static_cast<size_t>(buffer->count()), 0x3e00);
      backend.upload(stream_.get(), buffer->get().address, ones.data(), buffer->count() * 2);
    }
  }

  double run() {
    kernels::Attention args{.out = {out_.get().address, 2},
                            .query = {query_.get().address, 2},
                            .cache = {cache_.get().address, 2},
                            .row = {.width = kWidth, .key_width = kWidth, .value_width = kLatent},
                            .H = kHeads,
                            .scale = 0.125f};
    args.sequences = {.query_offset = offset_.get(),
                      .context = context_of_.get(),
                      .block_table = table_.get(),
                      .S = kSequences,
                      .blocks_max = blocks(),
                      .context_max = context_};
    backend_.attention(stream_.get(), args);
    return static_cast<double>(kSequences * num_queries_) * 1e3;  // Of 1e-3: the unit is 1e6.
  }

 private:
  int64_t blocks() const { return kernels::padded(context_) / kernels::kBlockTokens; }

  const kernels::Backend& backend_;
  int64_t context_, num_queries_;
  model::OwnedStream stream_;
  model::DeviceBuffer<uint16_t> query_, out_, cache_;
  model::DeviceBuffer<int32_t> offset_, context_of_, table_;
};

}  // namespace troupe::cluster
