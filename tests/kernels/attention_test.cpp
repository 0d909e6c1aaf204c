#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/support/on_device.h"

namespace troupe::kernels {
namespace {

using tests::dot;
using tests::joined;
using tests::OnDevice;
using tests::random_values;
using tests::require_gradient;
using tests::require_same;
using tests::require_same_everywhere;

// Sequences that end inside, at and behind a block of 32 keys and a tile of 16 queries.
struct Shape {
  int64_t H = 3, R = 37, W = 64;
  std::vector<int64_t> lengths{1, 5, 16, 33, 64, 71};

  int64_t num_tokens() const { return std::accumulate(lengths.begin(), lengths.end(), int64_t{0}); }
  CacheRow row() const { return {.width = W, .key_width = W, .value_width = R}; }
  int64_t blocks_max() const {
    return (*std::max_element(lengths.begin(), lengths.end()) + 31) / 32;
  }
};
// Values of whole pairs of tiles may go another way than others; fewer heads than rows of a tile,
// as many, and more; sequences of several strips.
const std::vector<Shape> kShapes = {
    {},
    {.H = 3, .R = 64, .W = 96},
    {.H = 8, .R = 32, .W = 64, .lengths = {3, 130, 97, 18}},
    {.H = 20, .R = 96, .W = 96, .lengths = {40, 2}},
    {.H = 1, .R = 32, .W = 32, .lengths = {200, 17, 32}},
};
constexpr float kScale = 0.3f;

// Where token j of sequence s lies: blocks in order, or scattered over the cache.
std::vector<int32_t> block_table(const Shape& shape, bool is_scattered) {
  const auto count = static_cast<int64_t>(shape.lengths.size()) * shape.blocks_max();
  std::vector<int32_t> table;
  for (int64_t i = 0; i < count; ++i) {
    table.push_back(static_cast<int32_t>(is_scattered ? (i * 7 + 3) % (count + 4) * 32 : i * 32));
  }
  return table;
}
int64_t cache_rows(const Shape& shape) {
  return (static_cast<int64_t>(shape.lengths.size()) * shape.blocks_max() + 4) * 32;
}

// The cache that holds `latent` (tokens, W); NaN wherever no token is.
std::vector<float> cache_of(const Shape& shape, const std::vector<float>& latent,
                            const std::vector<int32_t>& table) {
  std::vector<float> cache(static_cast<size_t>(cache_rows(shape) * shape.W),
                           std::numeric_limits<float>::quiet_NaN());
  int64_t token = 0;
  for (size_t s = 0; s < shape.lengths.size(); ++s) {
    for (int64_t j = 0; j < shape.lengths[s]; ++j, ++token) {
      const auto block = static_cast<size_t>(static_cast<int64_t>(s) * shape.blocks_max() + j / 32);
      std::copy_n(latent.begin() + token * shape.W, shape.W,
                  cache.begin() + (table[block] + j % 32) * shape.W);
    }
  }
  return cache;
}

struct Out {
  std::vector<float> out, max, sum;
};

// Queries [begin, end) of every sequence as far as it has them, in one call.
Out attend(OnDevice& device, const Shape& shape, const std::vector<float>& query, Stored cache,
           const std::vector<int32_t>& table, int64_t begin, int64_t end) {
  std::vector<int32_t> offset{0}, context, blocks;
  std::vector<float> rows;
  int64_t first = 0;
  for (size_t s = 0; s < shape.lengths.size(); ++s) {
    const int64_t length = shape.lengths[s];
    if (length > begin) {
      const int64_t last = std::min(end, length), width = shape.H * shape.W;
      rows.insert(rows.end(), query.begin() + (first + begin) * width,
                  query.begin() + (first + last) * width);
      offset.push_back(offset.back() + static_cast<int32_t>(last - begin));
      context.push_back(static_cast<int32_t>(last));
      const auto at = table.begin() + static_cast<int64_t>(s) * shape.blocks_max();
      blocks.insert(blocks.end(), at, at + shape.blocks_max());
    }
    first += length;
  }
  if (context.empty()) return {};
  const int64_t N = offset.back();
  Attention args{.out = device.filled_stored(N * shape.H * shape.R, 7),
                 .max = device.filled(N * shape.H, 0.0f),
                 .sum = device.filled(N * shape.H, 0.0f),
                 .query = device.send_stored(rows),
                 .cache = cache,
                 .row = shape.row(),
                 .H = shape.H,
                 .scale = kScale};
  args.sequences = {.query_offset = device.send(offset),
                    .context = device.send(context),
                    .block_table = device.send(blocks),
                    .S = static_cast<int64_t>(context.size()),
                    .blocks_max = shape.blocks_max(),
                    .context_max = *std::max_element(context.begin(), context.end())};
  device->attention(device.stream(), args);
  return {device.receive(args.out, N * shape.H * shape.R), device.receive(args.max, N * shape.H),
          device.receive(args.sum, N * shape.H)};
}

Out attend_all(OnDevice& device, const Shape& shape, const std::vector<float>& query,
               const std::vector<float>& latent, bool is_scattered = false) {
  const auto table = block_table(shape, is_scattered);
  const Stored cache = device.send_stored(cache_of(shape, latent, table));
  return attend(device, shape, query, cache, table, 0, 1000);
}

// The outputs (tokens, H * R) when every sequence is fed `step` tokens at a time.
std::vector<float> attend_in_steps(OnDevice& device, const Shape& shape,
                                   const std::vector<float>& query,
                                   const std::vector<float>& latent, int64_t step,
                                   bool is_scattered) {
  const auto table = block_table(shape, is_scattered);
  const Stored cache = device.send_stored(cache_of(shape, latent, table));
  const int64_t width = shape.H * shape.R;
  std::vector<float> all(static_cast<size_t>(shape.num_tokens() * width));
  for (int64_t begin = 0; begin < shape.blocks_max() * 32; begin += step) {
    const auto part = attend(device, shape, query, cache, table, begin, begin + step);
    auto from = part.out.begin();
    int64_t first = 0;
    for (int64_t length : shape.lengths) {
      for (int64_t t = begin; t < std::min(begin + step, length); ++t, from += width) {
        std::copy_n(from, width, all.begin() + (first + t) * width);
      }
      first += length;
    }
  }
  return all;
}

struct Gradient {
  std::vector<float> dquery, dlatent;
};
Gradient run_backward(OnDevice& device, const Shape& shape, const std::vector<float>& query,
                      const std::vector<float>& latent, const std::vector<float>& dout,
                      bool is_scattered) {
  const auto forward = attend_all(device, shape, query, latent, is_scattered);
  const auto table = block_table(shape, is_scattered);
  std::vector<int32_t> offset{0}, context;
  for (int64_t length : shape.lengths) {
    offset.push_back(offset.back() + static_cast<int32_t>(length));
    context.push_back(static_cast<int32_t>(length));
  }
  const int64_t N = shape.num_tokens();
  AttentionBackward args{.dquery = device.filled(N * shape.H * shape.W, 7.0f),
                         .dcache = device.filled(N * shape.W, 7.0f),
                         .dout = device.send_stored(dout),
                         .query = device.send_stored(query),
                         .cache = device.send_stored(cache_of(shape, latent, table)),
                         .max = device.send(forward.max),
                         .sum = device.send(forward.sum),
                         .row = shape.row(),
                         .N = N,
                         .H = shape.H,
                         .scale = kScale};
  args.sequences = {.query_offset = device.send(offset),
                    .context = device.send(context),
                    .block_table = device.send(table),
                    .S = static_cast<int64_t>(context.size()),
                    .blocks_max = shape.blocks_max(),
                    .context_max = *std::max_element(context.begin(), context.end())};
  device->attention_backward(device.stream(), args);
  return {device.receive(args.dquery, N * shape.H * shape.W),
          device.receive(args.dcache, N * shape.W)};
}

std::vector<float> some_queries(const Shape& shape) {
  return random_values(shape.num_tokens() * shape.H * shape.W, 1);
}
std::vector<float> some_latents(const Shape& shape) {
  return random_values(shape.num_tokens() * shape.W, 2);
}

TEST_CASE("attention: is the softmax of the scores times the latent part, causally") {
  const Shape shape;
  const auto query = some_queries(shape), latent = some_latents(shape);
  OnDevice device(*cpu_backends().front(), Precision::kFp32);
  const auto got = attend_all(device, shape, query, latent).out;
  int64_t first = 0;
  for (int64_t length : shape.lengths) {
    for (int64_t t = 0; t < length; ++t) {
      for (int64_t h = 0; h < shape.H; ++h) {
        const int64_t row = (first + t) * shape.H + h;
        std::vector<double> p;
        double total = 0;
        for (int64_t j = 0; j <= t; ++j) {
          double score = 0;
          for (int64_t i = 0; i < shape.W; ++i) {
            score += static_cast<double>(query[static_cast<size_t>(row * shape.W + i)]) *
                     latent[static_cast<size_t>((first + j) * shape.W + i)];
          }
          p.push_back(std::exp(static_cast<double>(kScale) * score));
          total += p.back();
        }
        for (int64_t r = 0; r < shape.R; ++r) {
          double want = 0;
          for (int64_t j = 0; j <= t; ++j) {
            want += p[static_cast<size_t>(j)] / total *
                    latent[static_cast<size_t>((first + j) * shape.W + r)];
          }
          REQUIRE(std::fabs(got[static_cast<size_t>(row * shape.R + r)] - want) < 1e-5);
        }
      }
    }
    first += length;
  }
}

TEST_CASE("attention: prefill, decoding and any chunks give the same bits, blocks in any place") {
  for (const Shape& shape : kShapes) {
    CAPTURE(shape.H);
    const auto query = some_queries(shape), latent = some_latents(shape);
    for (const Backend* backend : cpu_backends()) {
      CAPTURE(backend->name);
      OnDevice device(*backend);
      const auto prefill = attend_all(device, shape, query, latent).out;
      for (int64_t step : {1, 7, 16, 40}) {
        CAPTURE(step);
        require_same(attend_in_steps(device, shape, query, latent, step, step % 2 == 1), prefill);
      }
    }
  }
}

TEST_CASE("attention: the same bits with every instruction set, forward and backward") {
  for (const Shape& shape : kShapes) {
    CAPTURE(shape.H);
    require_same_everywhere([&](OnDevice& device) {
      const auto query = some_queries(shape), latent = some_latents(shape);
      const auto dout = random_values(shape.num_tokens() * shape.H * shape.R, 3);
      const auto forward = attend_all(device, shape, query, latent);
      const auto back = run_backward(device, shape, query, latent, dout, /*is_scattered=*/true);
      return joined({forward.out, forward.max, forward.sum, back.dquery, back.dlatent});
    });
  }
}

TEST_CASE("attention: backward agrees with finite differences over several tiles and blocks") {
  const Shape shape{.H = 2, .R = 11, .W = 32, .lengths = {3, 20, 35}};
  const auto query = some_queries(shape), latent = some_latents(shape);
  const auto dout = random_values(shape.num_tokens() * shape.H * shape.R, 3);
  OnDevice device(*cpu_backends().front(), Precision::kFp32);
  const auto back = run_backward(device, shape, query, latent, dout, /*is_scattered=*/true);
  require_gradient(query, back.dquery, [&](const auto& moved) {
    return dot(attend_all(device, shape, moved, latent).out, dout);
  });
  require_gradient(latent, back.dlatent, [&](const auto& moved) {
    return dot(attend_all(device, shape, query, moved).out, dout);
  });
}

TEST_CASE("attention: a sequence's gradient does not depend on the sequences beside it") {
  const Shape three{.H = 2, .R = 11, .W = 32, .lengths = {19, 33, 4}};
  const Shape one{.H = 2, .R = 11, .W = 32, .lengths = {33}};
  const auto query = some_queries(three), latent = some_latents(three);
  const auto dout = random_values(three.num_tokens() * three.H * three.R, 3);
  const auto part = [](const std::vector<float>& all, int64_t width) {
    return std::vector<float>(all.begin() + 19 * width, all.begin() + 52 * width);
  };
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    const auto all = run_backward(device, three, query, latent, dout, /*is_scattered=*/false);
    const auto alone = run_backward(device, one, part(query, 64), part(latent, 32), part(dout, 22),
                                    /*is_scattered=*/false);
    require_same(alone.dquery, part(all.dquery, 64));
    require_same(alone.dlatent, part(all.dlatent, 32));
  }
}

// Whole sequences of these lengths, forward and backward, whatever a cache row holds; `cache` and
// `dcache` by token.
struct Whole {
  std::vector<float> out, dquery, dcache;
};
Whole attend_whole(OnDevice& device, const CacheRow& row, int64_t H,
                   const std::vector<float>& query, const std::vector<float>& cache,
                   const std::vector<float>& dout) {
  const Shape shape{.H = H, .R = row.value_width, .W = row.width, .lengths = {5, 33, 20}};
  const auto table = block_table(shape, /*is_scattered=*/true);
  std::vector<int32_t> offset{0}, context;
  for (int64_t length : shape.lengths) {
    offset.push_back(offset.back() + static_cast<int32_t>(length));
    context.push_back(static_cast<int32_t>(length));
  }
  const int64_t N = shape.num_tokens();
  const SequenceBatch sequences{.query_offset = device.send(offset),
                                .context = device.send(context),
                                .block_table = device.send(table),
                                .S = static_cast<int64_t>(context.size()),
                                .blocks_max = shape.blocks_max(),
                                .context_max = 33};
  const Attention forward{.out = device.filled_stored(N * H * row.value_width, 7),
                          .max = device.filled(N * H, 0.0f),
                          .sum = device.filled(N * H, 0.0f),
                          .query = device.send_stored(query),
                          .cache = device.send_stored(cache_of(shape, cache, table)),
                          .row = row,
                          .sequences = sequences,
                          .H = H,
                          .scale = kScale};
  device->attention(device.stream(), forward);
  const AttentionBackward backward{.dquery = device.filled(N * H * row.key_width, 7.0f),
                                   .dcache = device.filled(N * row.width, 7.0f),
                                   .dout = device.send_stored(dout),
                                   .query = forward.query,
                                   .cache = forward.cache,
                                   .max = forward.max,
                                   .sum = forward.sum,
                                   .row = row,
                                   .sequences = sequences,
                                   .N = N,
                                   .H = H,
                                   .scale = kScale};
  device->attention_backward(device.stream(), backward);
  return {device.receive(forward.out, N * H * row.value_width),
          device.receive(backward.dquery, N * H * row.key_width),
          device.receive(backward.dcache, N * row.width)};
}

// Columns [from, from + count) of rows of `width`.
std::vector<float> columns(const std::vector<float>& rows, int64_t width, int64_t from,
                           int64_t count) {
  std::vector<float> part;
  for (size_t i = 0; i < rows.size(); i += static_cast<size_t>(width)) {
    const auto begin = rows.begin() + static_cast<int64_t>(i) + from;
    part.insert(part.end(), begin, begin + count);
  }
  return part;
}

void check_groups(int64_t value_width) {
  CAPTURE(value_width);
  constexpr int64_t kTokens = 58, kGroups = 2, kHeads = 3, kKey = 32;
  const CacheRow row{.width = kGroups * 64,
                     .groups = kGroups,
                     .group_stride = 64,
                     .key_width = kKey,
                     .value_offset = 32,
                     .value_width = value_width};
  const CacheRow alone{
      .width = 64, .key_width = kKey, .value_offset = 32, .value_width = value_width};
  const auto query = random_values(kTokens * kGroups * kHeads * kKey, 1);
  const auto cache = random_values(kTokens * row.width, 2);
  const auto dout = random_values(kTokens * kGroups * kHeads * value_width, 3);
  for (const Backend* backend : cpu_backends()) {
    CAPTURE(backend->name);
    OnDevice device(*backend);
    const Whole all = attend_whole(device, row, kGroups * kHeads, query, cache, dout);
    for (int64_t group = 0; group < kGroups; ++group) {
      const auto heads = [&](const std::vector<float>& x, int64_t width) {
        return columns(x, kGroups * kHeads * width, group * kHeads * width, kHeads * width);
      };
      const auto cached = [&](const std::vector<float>& x) {
        return columns(x, row.width, group * 64, 64);
      };
      const Whole one = attend_whole(device, alone, kHeads, heads(query, kKey), cached(cache),
                                     heads(dout, value_width));
      require_same(heads(all.out, value_width), one.out);
      require_same(heads(all.dquery, kKey), one.dquery);
      require_same(cached(all.dcache), one.dcache);
    }
  }
}

TEST_CASE("attention: a group of heads attends to its own keys and values and to no others") {
  check_groups(20);
  check_groups(32);
}

TEST_CASE("attention: values beside the keys are those of a latent whose query ignores them") {
  constexpr int64_t kTokens = 58, kHeads = 3;
  const CacheRow beside{.width = 64, .key_width = 32, .value_offset = 32, .value_width = 32};
  const CacheRow latent{.width = 64, .key_width = 64, .value_width = 32};
  const auto query = random_values(kTokens * kHeads * 32, 1);
  const auto key = random_values(kTokens * 32, 2), value = random_values(kTokens * 32, 4);
  const auto dout = random_values(kTokens * kHeads * 32, 3);
  // Rows (a, b) side by side.
  const auto paired = [](const std::vector<float>& a, const std::vector<float>& b) {
    std::vector<float> rows;
    for (size_t i = 0; i < a.size(); i += 32) {
      rows.insert(rows.end(), a.begin() + static_cast<int64_t>(i),
                  a.begin() + static_cast<int64_t>(i) + 32);
      rows.insert(rows.end(), b.begin() + static_cast<int64_t>(i),
                  b.begin() + static_cast<int64_t>(i) + 32);
    }
    return rows;
  };
  OnDevice device(*cpu_backends().front());
  const Whole got = attend_whole(device, beside, kHeads, query, paired(key, value), dout);
  const Whole want =
      attend_whole(device, latent, kHeads, paired(std::vector<float>(query.size()), query),
                   paired(value, key), dout);
  require_same(got.out, want.out);
  require_same(got.dquery, columns(want.dquery, 64, 32, 32));
  require_same(columns(got.dcache, 64, 0, 32), columns(want.dcache, 64, 32, 32));
  require_same(columns(got.dcache, 64, 32, 32), columns(want.dcache, 64, 0, 32));
}

TEST_CASE("attention: scores of any size give numbers, and the largest wins") {
  const Shape shape{.H = 1, .R = 5, .W = 32, .lengths = {40}};
  auto query = some_queries(shape), latent = some_latents(shape);
  for (float& x : query) x *= 1e3f;
  for (float& x : latent) x *= 1e3f;
  for (const Backend* backend : cpu_backends()) {
    OnDevice device(*backend);
    for (float x : attend_all(device, shape, query, latent).out) REQUIRE(std::isfinite(x));
    const auto dout = random_values(40 * 5, 3);
    const auto back = run_backward(device, shape, query, latent, dout, /*is_scattered=*/false);
    for (float x : back.dquery) REQUIRE(std::isfinite(x));
    for (float x : back.dlatent) REQUIRE(std::isfinite(x));
  }
}

TEST_CASE("attention: a key that is no number shows in every query that sees it") {
  const Shape shape{.H = 1, .R = 5, .W = 32, .lengths = {40}};
  auto latent = some_latents(shape);
  latent[3 * 32 + 20] = std::numeric_limits<float>::quiet_NaN();  // Not in the latent part.
  for (const Backend* backend : cpu_backends()) {
    CAPTURE(backend->name);
    OnDevice device(*backend);
    const auto out = attend_all(device, shape, some_queries(shape), latent).out;
    for (size_t t = 0; t < 40; ++t) REQUIRE(std::isnan(out[t * 5]) == (t >= 3));
  }
}

}  // namespace
}  // namespace troupe::kernels
