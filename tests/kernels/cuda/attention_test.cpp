// Attention on CUDA kernels against the reference, bit for bit.
#include <cmath>

#include "kernels/cuda/operations.h"
#include "tests/kernels/cuda/engines.h"
#include "tests/support/cuda_reference/operations.h"

namespace troupe::tests {
namespace {

using cuda_reference::Attended;
using cuda_reference::AttentionCase;
using cuda_reference::from_bf16;
using cuda_reference::TensorCore;

constexpr int64_t kBlock = kernels::kBlockTokens;

struct Sequence {
  int context, queries;
};
// A case with its operands. What no sequence reads of the cache is NaN.
struct Inputs {
  AttentionCase what{};
  std::vector<uint16_t> query{}, cache{};
};
Inputs inputs_of(uint64_t seed, const std::vector<Sequence>& sequences, int64_t H,
                 const kernels::CacheRow& row) {
  Random random(seed);
  Inputs in;
  in.what = {.row = row, .query_offset = {0}, .H = H, .scale = 0.3f};
  int64_t blocks = 0;
  for (const Sequence& s : sequences) {
    in.what.query_offset.push_back(in.what.query_offset.back() + s.queries);
    in.what.context.push_back(s.context);
    const int64_t own = (s.context + kBlock - 1) / kBlock;
    in.what.blocks_max = std::max(in.what.blocks_max, own);
    blocks += own;
  }
  // Blocks in the opposite order, and one between them that nobody has.
  int64_t next = 2 * blocks;
  in.cache.assign(static_cast<size_t>(2 * blocks * kBlock * row.width), 0x7FFF);
  for (const Sequence& s : sequences) {
    for (int64_t b = 0; b < in.what.blocks_max; ++b) {
      const bool is_own = b * kBlock < s.context;
      if (is_own) next -= 2;
      in.what.block_table.push_back(is_own ? static_cast<int32_t>(next * kBlock) : INT32_MAX / 2);
      const int64_t tokens = std::min<int64_t>(kBlock, s.context - b * kBlock);
      for (int64_t i = 0; i < tokens * row.width; ++i) {
        in.cache[static_cast<size_t>(next * kBlock * row.width + i)] = random.bf16(-6, 0);
      }
    }
  }
  in.query.resize(static_cast<size_t>(in.what.query_offset.back() * H * row.key_width));
  for (uint16_t& q : in.query) q = random.bf16(-6, 1);
  return in;
}

kernels::CacheRow latent_row(int64_t R, int64_t P) {
  const int64_t W = kernels::padded(R + P);
  return {.width = W, .key_width = W, .value_width = R};
}
kernels::CacheRow grouped_row(int64_t groups, int64_t d) {
  const int64_t width = kernels::padded(d);
  return {.width = groups * 2 * width,
          .groups = groups,
          .group_stride = 2 * width,
          .key_width = width,
          .value_offset = width,
          .value_width = d};
}

Attended run(const Inputs& in, bool keeps_sums) {
  const AttentionCase& what = in.what;
  const size_t N = static_cast<size_t>(what.query_offset.back());
  const size_t rows = N * static_cast<size_t>(what.H);
  const simt::Array<uint16_t> query(in.query), cache(in.cache);
  const simt::Array<uint16_t> out(rows * static_cast<size_t>(what.row.value_width));
  const simt::Array<float> max(rows), sum(rows);
  const simt::Array<int32_t> offset(what.query_offset), context(what.context);
  const simt::Array<int32_t> table(what.block_table);
  int32_t context_max = 0;
  for (const int32_t c : what.context) context_max = std::max(context_max, c);
  kernels::Attention args{.out = out.stored(),
                          .query = query.stored(),
                          .cache = cache.stored(),
                          .row = what.row,
                          .sequences = {.query_offset = offset.device(),
                                        .context = context.device(),
                                        .block_table = table.device(),
                                        .S = static_cast<int64_t>(what.context.size()),
                                        .blocks_max = what.blocks_max,
                                        .context_max = context_max},
                          .H = what.H,
                          .scale = what.scale};
  if (keeps_sums) args.max = max.device();
  if (keeps_sums) args.sum = sum.device();
  kernels::cuda::attention(nullptr, args);
  return {out.values(), max.values(), sum.values()};
}

struct Case {
  std::vector<Sequence> sequences;
  int64_t H;
  kernels::CacheRow row;
};
const Case kCases[] = {
    {{}, 4, latent_row(16, 4)},
    {{{1, 1}}, 1, latent_row(1, 2)},
    {{{40, 40}, {1, 1}, {9, 0}, {17, 3}}, 3, latent_row(33, 20)},
    {{{300, 2}, {33, 1}}, 20, latent_row(64, 32)},
    {{{15, 15}, {16, 2}}, 17, latent_row(130, 16)},
    {{{5, 2}}, 33, latent_row(512, 64)},
    {{{257, 3}, {31, 31}}, 6, grouped_row(2, 30)},
    {{{256, 1}, {255, 2}, {513, 1}}, 4, grouped_row(4, 32)},
    {{{19, 19}}, 10, grouped_row(2, 128)},
};

TEST_CASE("cuda attention: the reference's bits from every engine and schedule") {
  for (const Case& c : kCases) {
    CAPTURE(c.H);
    CAPTURE(c.row.width);
    const Inputs in = inputs_of(static_cast<uint64_t>(c.row.width), c.sequences, c.H, c.row);
    const Attended expected[] = {
        cuda_reference::attention(TensorCore::kSm80, in.query, in.cache, in.what),
        cuda_reference::attention(TensorCore::kSm90, in.query, in.cache, in.what)};
    on_every_engine(1, [&] {
      const Attended got = run(in, true);
      const Attended& want = expected[simt::settings().tensor_core == TensorCore::kSm90];
      REQUIRE(got.out == want.out);
      REQUIRE(has_same_bits(got.max, want.max));
      REQUIRE(has_same_bits(got.sum, want.sum));
    });
  }
}

// Tokens of one sequence, each as the last of a sequence of its own, over the same cache.
Inputs decoding(const Inputs& prefill) {
  Inputs in = prefill;
  in.what.query_offset = {0};
  in.what.context.clear();
  in.what.block_table.clear();
  for (int32_t t = 0; t < prefill.what.context[0]; ++t) {
    in.what.query_offset.push_back(t + 1);
    in.what.context.push_back(t + 1);
    in.what.block_table.insert(in.what.block_table.end(), prefill.what.block_table.begin(),
                               prefill.what.block_table.end());
  }
  return in;
}

TEST_CASE("cuda attention: decoding gives the bits of prefill, whatever lies behind a query") {
  for (const bool is_latent : {false, true}) {
    CAPTURE(is_latent);
    const kernels::CacheRow row = is_latent ? latent_row(24, 8) : grouped_row(2, 24);
    Inputs in = inputs_of(7, {{26, 26}}, 4, row);
    // Small values, then huge ones: an exponent of a later token moves no bit of an earlier one.
    for (int64_t j = 0; j < 26; ++j) {
      const int64_t at =
          (in.what.block_table[static_cast<size_t>(j / kBlock)] + j % kBlock) * row.width;
      for (int64_t i = 0; i < row.width; ++i) {
        uint16_t& v = in.cache[static_cast<size_t>(at + i)];
        const bool is_value =
            is_latent ? i < row.value_width : i % (2 * row.key_width) >= row.key_width;
        if (is_value && !is_latent)
          v = static_cast<uint16_t>((v & 0x807F) | (j < 21 ? 2 : 250) << 7);
      }
    }
    on_every_engine(1, [&] {
      const Attended together = run(in, false), apart = run(decoding(in), false);
      REQUIRE(together.out == apart.out);
    });
  }
}

TEST_CASE("cuda attention: the reference is the mathematics within bf16") {
  const Inputs in = inputs_of(3, {{280, 1}}, 2, grouped_row(1, 32));
  const Attended got = cuda_reference::attention(TensorCore::kSm90, in.query, in.cache, in.what);
  const auto cached = [&](size_t j, size_t i) {
    return double{
        from_bf16(in.cache[(static_cast<size_t>(in.what.block_table[j / 32]) + j % 32) * 64 + i])};
  };
  for (size_t h = 0; h < 2; ++h) {
    double total = 0;
    std::vector<double> out(32);
    for (size_t j = 0; j < 280; ++j) {
      double score = 0;
      for (size_t i = 0; i < 32; ++i)
        score += double{from_bf16(in.query[h * 32 + i])} * cached(j, i);
      const double e = std::exp(score * double{in.what.scale});
      total += e;
      for (size_t v = 0; v < 32; ++v) out[v] += e * cached(j, 32 + v);
    }
    const double lse = double{got.max[h]} + std::log(double{got.sum[h]});
    CHECK(lse == doctest::Approx(std::log(total)).epsilon(1e-5));
    for (size_t v = 0; v < 32; ++v) {
      CHECK(std::abs(double{from_bf16(got.out[h * 32 + v])} - out[v] / total) < 0.004);
    }
  }
}

struct Gradient {
  std::vector<float> dquery, dcache;
};
Gradient run_backward(const Inputs& in, const std::vector<uint16_t>& douts, const Attended& kept) {
  const AttentionCase& what = in.what;
  const size_t N = static_cast<size_t>(what.query_offset.back());
  const size_t rows = N * static_cast<size_t>(what.H);
  const simt::Array<uint16_t> query(in.query), cache(in.cache), dout(douts);
  const simt::Array<float> max(kept.max), sum(kept.sum), dots(rows);
  const simt::Array<float> dquery(in.query.size());
  // Where a row has neither keys nor values nothing is written.
  const simt::Array<float> dcache(N * static_cast<size_t>(what.row.width));
  const simt::Array<int32_t> offset(what.query_offset), context(what.context);
  const simt::Array<int32_t> table(what.block_table);
  kernels::cuda::attention_backward(nullptr,
                                    {.dquery = dquery.device(),
                                     .dcache = dcache.device(),
                                     .dout = dout.stored(),
                                     .query = query.stored(),
                                     .cache = cache.stored(),
                                     .max = max.device(),
                                     .sum = sum.device(),
                                     .row = what.row,
                                     .sequences = {.query_offset = offset.device(),
                                                   .context = context.device(),
                                                   .block_table = table.device(),
                                                   .S = static_cast<int64_t>(what.context.size()),
                                                   .blocks_max = what.blocks_max},
                                     .N = static_cast<int64_t>(N),
                                     .H = what.H,
                                     .scale = what.scale},
                                    dots.device());
  return {dquery.values(), dcache.values()};
}

std::vector<uint16_t> douts_of(const Inputs& in) {
  Random random(77);
  std::vector<uint16_t> dout(
      static_cast<size_t>(in.what.query_offset.back() * in.what.H * in.what.row.value_width));
  for (uint16_t& d : dout) d = random.bf16(-6, 0);
  return dout;
}

TEST_CASE("cuda attention backward: the reference's bits from every engine and schedule") {
  const Case cases[] = {
      {{}, 4, latent_row(16, 4)},
      {{{1, 1}}, 1, latent_row(1, 2)},
      {{{40, 40}, {1, 1}, {0, 0}, {17, 17}}, 3, latent_row(33, 20)},
      {{{15, 15}, {16, 16}}, 17, latent_row(130, 16)},
      {{{3, 3}}, 33, latent_row(512, 64)},
      {{{33, 33}, {2, 2}}, 6, grouped_row(2, 30)},
      {{{261, 261}}, 1, grouped_row(1, 16)},
      {{{9, 9}}, 10, grouped_row(2, 128)},
  };
  for (const Case& c : cases) {
    CAPTURE(c.H);
    CAPTURE(c.row.width);
    const Inputs in = inputs_of(static_cast<uint64_t>(c.row.width + 1), c.sequences, c.H, c.row);
    const std::vector<uint16_t> dout = douts_of(in);
    Attended kept[2];
    cuda_reference::AttentionGradient expected[2];
    for (const TensorCore core : {TensorCore::kSm80, TensorCore::kSm90}) {
      const size_t i = core == TensorCore::kSm90;
      kept[i] = cuda_reference::attention(core, in.query, in.cache, in.what);
      expected[i] =
          cuda_reference::attention_backward(core, dout, in.query, in.cache, kept[i], in.what);
    }
    on_every_engine(1, [&] {
      const size_t i = simt::settings().tensor_core == TensorCore::kSm90;
      const Gradient got = run_backward(in, dout, kept[i]);
      REQUIRE(has_same_bits(got.dquery, expected[i].dquery));
      REQUIRE(has_same_bits(got.dcache, expected[i].dcache));
    });
  }
}

TEST_CASE("cuda attention backward: a sequence's bits are its own") {
  const kernels::CacheRow row = grouped_row(2, 16);
  Inputs both = inputs_of(5, {{19, 19}, {21, 21}}, 6, row);
  const std::vector<uint16_t> dout = douts_of(both);
  Inputs second = both;
  second.what.query_offset = {0, 21};
  second.what.context = {21};
  second.what.block_table.erase(second.what.block_table.begin(),
                                second.what.block_table.begin() + both.what.blocks_max);
  second.query.erase(second.query.begin(), second.query.begin() + 19 * 6 * row.key_width);
  on_every_engine(1, [&] {
    const Gradient all = run_backward(both, dout, run(both, true));
    const Gradient own = run_backward(second, {dout.begin() + 19 * 6 * row.value_width, dout.end()},
                                      run(second, true));
    REQUIRE(std::equal(own.dquery.rbegin(), own.dquery.rend(), all.dquery.rbegin()));
    REQUIRE(std::equal(own.dcache.rbegin(), own.dcache.rend(), all.dcache.rbegin()));
  });
}

// The sum over all of dout times attention's output, in double, of a sequence whose key is its
// value.
double loss_of(const std::vector<double>& query, const std::vector<double>& cache,
               const std::vector<uint16_t>& dout, size_t T, size_t W, double scale) {
  double loss = 0;
  for (size_t t = 0; t < T; ++t) {
    std::vector<double> out(W);
    double sum = 0;
    for (size_t j = 0; j <= t; ++j) {
      double z = 0;
      for (size_t i = 0; i < W; ++i) z += query[t * W + i] * cache[j * W + i];
      const double e = std::exp(scale * z);
      sum += e;
      for (size_t v = 0; v < W; ++v) out[v] += e * cache[j * W + v];
    }
    for (size_t v = 0; v < W; ++v) loss += double{from_bf16(dout[t * W + v])} * out[v] / sum;
  }
  return loss;
}

TEST_CASE("cuda attention backward: the reference is the slope of attention within bf16") {
  constexpr size_t T = 6, W = 32;
  Inputs in = inputs_of(11, {{T, T}}, 1, {.width = W, .key_width = W, .value_width = W});
  const std::vector<uint16_t> dout = douts_of(in);
  const Attended kept = cuda_reference::attention(TensorCore::kSm90, in.query, in.cache, in.what);
  const auto got = cuda_reference::attention_backward(TensorCore::kSm90, dout, in.query, in.cache,
                                                      kept, in.what);
  std::vector<double> query, cache;
  const size_t first = static_cast<size_t>(in.what.block_table[0]) * W;
  for (size_t i = 0; i < T * W; ++i) {
    query.push_back(double{from_bf16(in.query[i])});
    cache.push_back(double{from_bf16(in.cache[first + i])});
  }
  const auto slope = [&](std::vector<double>& values, size_t i) {
    constexpr double kStep = 1e-4;
    const double before = values[i];
    const auto loss = [&](double x) {
      values[i] = x;
      return loss_of(query, cache, dout, T, W, double{in.what.scale});
    };
    const double difference = loss(before + kStep) - loss(before - kStep);
    values[i] = before;
    return difference / (2 * kStep);
  };
  for (size_t i = 0; i < T * W; ++i) {
    CAPTURE(i);
    CHECK(std::abs(double{got.dquery[i]} - slope(query, i)) < 0.02);
    CHECK(std::abs(double{got.dcache[i]} - slope(cache, i)) < 0.03);
  }
}

}  // namespace
}  // namespace troupe::tests
