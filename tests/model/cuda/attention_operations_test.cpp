// What attention, its cache and the sampler do on CUDA's kernels, against the CPU's.
#include <numeric>

#include "kernels/random.h"
#include "tests/model/cuda/as_the_cpu.h"

namespace troupe::tests {
namespace {

std::vector<int32_t> counted(int64_t count, int32_t first = 0, int32_t step = 1) {
  std::vector<int32_t> values(static_cast<size_t>(count));
  for (int32_t& value : values) value = std::exchange(first, first + step);
  return values;
}

// Cosines and sines of `pairs` angles for each position.
std::vector<float> rotations(int64_t positions, int64_t pairs) {
  std::vector<float> table;
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<double>(p) / std::pow(100.0, static_cast<double>(i));
      table.push_back(static_cast<float>(std::cos(angle)));
      table.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  return table;
}

TEST_CASE("cuda operations: rows of latents and of queries, as the CPU has them") {
  constexpr int64_t N = 5, R = 40, P = 8, H = 3, kNope = 24, W = kernels::padded(R + P);
  check("mla_latent and its gradient", kStored, [](OnDevice& d) {
    const auto cache = d.filled_stored(2 * N * W, 0), dkv = d.filled_stored(N * (R + P), 0);
    const auto rstd = d.filled<float>(N, 0), dweight = d.send(random_values(R, 4));
    const auto kv = d.send(random_values(N * (R + P), 1)), weight = d.send(random_values(R, 2));
    const auto position = d.send(counted(N, 3)), slot = d.send(counted(N, 9, -2));
    const auto table = d.send(rotations(16, P / 2));
    d->mla_latent(d.stream(), {.cache = cache,
                               .rstd = rstd,
                               .kv = kv,
                               .weight = weight,
                               .position = position,
                               .slot = slot,
                               .table = table,
                               .N = N,
                               .R = R,
                               .P = P,
                               .epsilon = 1e-6f});
    d->mla_latent_backward(d.stream(), {.dkv = dkv,
                                        .dweight = dweight,
                                        .dlatent = d.send(random_values(N * W, 5)),
                                        .kv = kv,
                                        .rstd = rstd,
                                        .weight = weight,
                                        .position = position,
                                        .table = table,
                                        .N = N,
                                        .R = R,
                                        .P = P});
    return joined({d.receive(cache, 2 * N * W), d.receive(rstd, N), d.receive(dkv, N * (R + P)),
                   d.receive(dweight, R)});
  });
  check("mla_query and its gradient", kStored, [](OnDevice& d) {
    constexpr int64_t kQuery = N * H * (kNope + P);
    const auto nope = d.filled_stored(N * H * kNope, 0), row = d.filled_stored(N * H * W, 0);
    const auto dq = d.filled_stored(kQuery, 0);
    const auto position = d.send(counted(N, 3));
    const auto table = d.send(rotations(16, P / 2));
    d->mla_query(d.stream(), {.nope = nope,
                              .row = row,
                              .q = d.send(random_values(kQuery, 1)),
                              .position = position,
                              .table = table,
                              .N = N,
                              .H = H,
                              .nope_dim = kNope,
                              .R = R,
                              .P = P});
    d->mla_query_backward(d.stream(), {.dq = dq,
                                       .dnope = d.send(random_values(N * H * kNope, 2)),
                                       .drow = d.send(random_values(N * H * W, 3)),
                                       .position = position,
                                       .table = table,
                                       .N = N,
                                       .H = H,
                                       .nope_dim = kNope,
                                       .R = R,
                                       .P = P});
    // The latent part of a row is another operation's.
    std::vector<float> turned;
    const std::vector<float> rows = d.receive(row, N * H * W);
    for (int64_t i = 0; i < N * H; ++i) {
      turned.insert(turned.end(), rows.begin() + i * W + R, rows.begin() + (i + 1) * W);
    }
    return joined({d.receive(nope, N * H * kNope), turned, d.receive(dq, kQuery)});
  });
}

TEST_CASE("cuda operations: rows of heads, as the CPU has them") {
  constexpr int64_t N = 5, H = 3, kWidth = 24, kStride = kernels::padded(kWidth);
  for (const bool has_norm : {false, true}) {
    for (const bool turns : {false, true}) {
      CAPTURE(has_norm);
      CAPTURE(turns);
      check("head_rows and its gradient", kStored, [&](OnDevice& d) {
        const auto x = d.send(random_values(N * H * kWidth, 1));
        const auto y = d.filled_stored(N * H * kStride, 0);
        const auto dx = d.filled_stored(N * H * kWidth, 0);
        const auto dweight = d.send(random_values(kWidth, 4));
        kernels::HeadRows args{.y = y,
                               .x = x,
                               .position = d.send(counted(N, 2)),
                               .slot = d.send(counted(N, 4, -1)),
                               .N = N,
                               .H = H,
                               .d = kWidth,
                               .ldy = H * kStride,
                               .stride = kStride,
                               .epsilon = 1e-6f};
        if (has_norm) args.rstd = d.filled<float>(N * H, 0);
        if (has_norm) args.weight = d.send(random_values(kWidth, 2));
        if (turns) args.table = d.send(rotations(16, kWidth / 2));
        d->head_rows(d.stream(), args);
        d->head_rows_backward(d.stream(), {.dx = dx,
                                           .dweight = has_norm ? dweight : kernels::Device<float>{},
                                           .dy = d.send(random_values(N * H * kStride, 5)),
                                           .x = x,
                                           .rstd = args.rstd,
                                           .weight = args.weight,
                                           .position = args.position,
                                           .table = args.table,
                                           .N = N,
                                           .H = H,
                                           .d = kWidth,
                                           .lddy = H * kStride,
                                           .stride = kStride});
        return joined({d.receive(y, N * H * kStride), d.receive(dx, N * H * kWidth),
                       d.receive(dweight, kWidth)});
      });
    }
  }
}

// Three sequences of a batch whose pages are scattered; keys in groups of heads, or latents of
// which the values are a part.
struct Sequences {
  static constexpr int64_t H = 4;
  kernels::CacheRow row{};
  std::vector<int64_t> lengths{33, 1, 70};

  int64_t tokens() const { return std::accumulate(lengths.begin(), lengths.end(), int64_t{0}); }
  static constexpr int64_t kBlocksMax = 3, kCacheRows = 12 * 32;
  std::vector<int32_t> table() const {
    std::vector<int32_t> blocks;
    for (int32_t i = 0; i < 9; ++i) blocks.push_back(i * 5 % 12 * 32);
    return blocks;
  }
  // Token n of the batch has row n of `keys` at its place in the cache.
  std::vector<float> cache(const std::vector<float>& keys) const {
    std::vector<float> all(static_cast<size_t>(kCacheRows * row.width), 0.0f);
    auto from = keys.begin();
    for (size_t s = 0; s < lengths.size(); ++s) {
      for (int64_t j = 0; j < lengths[s]; ++j, from += row.width) {
        const auto block = table()[s * kBlocksMax + static_cast<size_t>(j / 32)];
        std::copy_n(from, row.width, all.begin() + (block + j % 32) * row.width);
      }
    }
    return all;
  }
  kernels::SequenceBatch batch(OnDevice& d) const {
    std::vector<int32_t> offset{0}, context;
    for (const int64_t length : lengths) {
      offset.push_back(offset.back() + static_cast<int32_t>(length));
      context.push_back(static_cast<int32_t>(length));
    }
    return {.query_offset = d.send(offset),
            .context = d.send(context),
            .block_table = d.send(table()),
            .S = static_cast<int64_t>(lengths.size()),
            .blocks_max = kBlocksMax,
            .context_max = 70};
  }
};

TEST_CASE("cuda operations: attention and its gradient, as the CPU has them") {
  const Sequences latent{.row = {.width = 64, .key_width = 64, .value_width = 40}};
  const Sequences grouped{.row = {.width = 128,
                                  .groups = 2,
                                  .group_stride = 64,
                                  .key_width = 32,
                                  .value_offset = 32,
                                  .value_width = 24}};
  for (const Sequences& s : {latent, grouped}) {
    CAPTURE(s.row.groups);
    check("attention and its gradient", kStored, [&](OnDevice& d) {
      const int64_t N = s.tokens(), H = Sequences::H, Q = s.row.key_width, V = s.row.value_width;
      const auto out = d.filled_stored(N * H * V, 0);
      const auto max = d.filled<float>(N * H, 0), sum = d.filled<float>(N * H, 0);
      const auto query = d.send_stored(random_values(N * H * Q, 1));
      const auto cache = d.send_stored(s.cache(random_values(N * s.row.width, 2)));
      const auto sequences = s.batch(d);
      constexpr float kScale = 0.3f;
      d->attention(d.stream(), {.out = out,
                                .max = max,
                                .sum = sum,
                                .query = query,
                                .cache = cache,
                                .row = s.row,
                                .sequences = sequences,
                                .H = H,
                                .scale = kScale});
      const auto dquery = d.filled<float>(N * H * Q, 0),
                 dcache = d.filled<float>(N * s.row.width, 0);
      d->attention_backward(d.stream(), {.dquery = dquery,
                                         .dcache = dcache,
                                         .dout = d.send_stored(random_values(N * H * V, 3)),
                                         .query = query,
                                         .cache = cache,
                                         .max = max,
                                         .sum = sum,
                                         .row = s.row,
                                         .sequences = sequences,
                                         .N = N,
                                         .H = H,
                                         .scale = kScale});
      return joined({d.receive(out, N * H * V), d.receive(dquery, N * H * Q),
                     d.receive(dcache, N * s.row.width)});
    });
  }
}

TEST_CASE("cuda operations: tokens' log-probabilities and their gradient, as the CPU has them") {
  constexpr int64_t N = 7, V = 301;
  for (const float temperature : {1.0f, 0.7f}) {
    CAPTURE(temperature);
    const auto run = [&](OnDevice& d, bool gives_gradient) {
      const auto logprob = d.filled<float>(N, 0), lse = d.filled<float>(N, 0);
      const auto entropy = d.filled<float>(N, 0), logit = d.send(random_values(N * V, 1, 4));
      const auto token = d.send(counted(N, 0, 50));
      d->token_logprob(d.stream(), {.logprob = logprob,
                                    .lse = lse,
                                    .entropy = entropy,
                                    .logit = logit,
                                    .token = token,
                                    .N = N,
                                    .V = V,
                                    .temperature = temperature});
      if (!gives_gradient) {
        return joined({d.receive(logprob, N), d.receive(lse, N), d.receive(entropy, N)});
      }
      const auto dlogit = d.filled_stored(N * V, 0);
      d->token_logprob_backward(d.stream(), {.dlogit = dlogit,
                                             .dlogprob = d.send(random_values(N, 2)),
                                             .lse = lse,
                                             .logit = logit,
                                             .token = token,
                                             .N = N,
                                             .V = V,
                                             .temperature = temperature});
      return d.receive(dlogit, N * V);
    };
    check("token_logprob", kFloat, [&](OnDevice& d) { return run(d, false); });
    check("its gradient", kStored, [&](OnDevice& d) { return run(d, true); });
  }
}

// One random number has one place among the running sums of either: between two of them they would
// have to differ by more than their rounding for another token.
TEST_CASE("cuda operations: the sampler draws the CPU's tokens") {
  constexpr int64_t N = 24, V = 301;
  for (const auto& [temperature, top_p] : {std::pair{0.0f, 1.0f}, {1.0f, 1.0f}, {0.8f, 0.6f}}) {
    CAPTURE(temperature);
    CAPTURE(top_p);
    check("sample", kFloat, [&, t = temperature, p = top_p](OnDevice& d) {
      std::vector<kernels::SampleKey> keys;
      for (uint32_t n = 0; n < N; ++n) {
        keys.push_back({.seed = 5,
                        .round = 2,
                        .stream = static_cast<uint32_t>(kernels::StreamId::kSample),
                        .ordinal = n,
                        .position = 3 * n});
      }
      const auto token = d.filled<int32_t>(N, -1);
      const auto logprob = d.filled<float>(N, 0);
      d->sample(d.stream(), {.token = token,
                             .logprob = logprob,
                             .logit = d.send(random_values(N * V, 1, 3)),
                             .key = d.send(keys),
                             .N = N,
                             .V = V,
                             .temperature = t,
                             .top_p = p});
      return joined({as_floats(d.receive(token, N)), d.receive(logprob, N)});
    });
  }
}

}  // namespace
}  // namespace troupe::tests
