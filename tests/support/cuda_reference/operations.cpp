#include "tests/support/cuda_reference/operations.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "kernels/device_types.h"
#include "kernels/random.h"
#include "tests/support/cuda_reference/sums.h"

namespace troupe::cuda_reference {
namespace {

// The P numbers at `from`, as bf16, turned by +1 or -1 times the angle of a token's position.
void rotate(uint16_t* to, const float* from, const Rotation& rotation, size_t token,
            float direction) {
  const size_t P = static_cast<size_t>(rotation.P);
  const float* angles = &rotation.table[static_cast<size_t>(rotation.position[token]) * P];
  for (size_t i = 0; i < P; i += 2) {
    const float cosine = angles[i], sine = direction * angles[i + 1];
    to[i] = to_bf16(from[i] * cosine - from[i + 1] * sine);
    to[i + 1] = to_bf16(from[i + 1] * cosine + from[i] * sine);
  }
}

}  // namespace

std::vector<float> product(TensorCore core, const std::vector<uint16_t>& x,
                           const std::vector<uint16_t>& w, int64_t M, int64_t N, int64_t K) {
  std::vector<float> y(static_cast<size_t>(M * N));
  for (int64_t m = 0; m < M; ++m) {
    for (int64_t n = 0; n < N; ++n) {
      float sum = 0;
      for (int64_t k = 0; k < kernels::padded(K); k += 16) {
        std::array<uint16_t, 16> a{}, b{};  // Zeros behind K.
        const size_t left = static_cast<size_t>(std::clamp<int64_t>(K - k, 0, 16));
        std::copy_n(&x[static_cast<size_t>(m * K + k)], left, a.begin());
        std::copy_n(&w[static_cast<size_t>(n * K + k)], left, b.begin());
        sum = dot16(core, a.data(), b.data(), sum);
      }
      y[static_cast<size_t>(m * N + n)] = sum;
    }
  }
  return y;
}

std::vector<float> weight_gradient(TensorCore core, const std::vector<uint16_t>& dy,
                                   const std::vector<uint16_t>& x, int64_t T, int64_t N,
                                   int64_t K) {
  const auto transposed = [T](const std::vector<uint16_t>& from, int64_t width) {
    std::vector<uint16_t> to(from.size());
    for (size_t i = 0; i < from.size(); ++i) {
      const size_t row = i / static_cast<size_t>(width), col = i % static_cast<size_t>(width);
      to[col * static_cast<size_t>(T) + row] = from[i];
    }
    return to;
  };
  return product(core, transposed(dy, N), transposed(x, K), N, K, T);
}

std::vector<uint16_t> packed(const std::vector<float>& w, int64_t rows, int64_t cols) {
  const size_t width = static_cast<size_t>(kernels::padded(cols));
  const size_t cols_given = static_cast<size_t>(cols);
  std::vector<uint16_t> all(static_cast<size_t>(kernels::padded(rows, kernels::kPanelN)) * width);
  for (size_t i = 0; i < w.size(); ++i) {
    all[i / cols_given * width + i % cols_given] = to_bf16(w[i]);
  }
  return all;
}

std::vector<double> square_sums(const std::vector<float>& x) {
  constexpr size_t kChunk = static_cast<size_t>(kernels::kChunkElements);
  std::vector<double> sums;
  for (size_t begin = 0; begin < x.size(); begin += kChunk) {
    std::array<double, kPartials> partials{};
    for (size_t i = 0; i < std::min(kChunk, x.size() - begin); ++i) {
      partials[i / 4 % kPartials] += double{x[begin + i]} * x[begin + i];
    }
    sums.push_back(folded(partials));
  }
  return sums;
}

void bias_gradient(std::vector<float>& dbias, const std::vector<uint16_t>& dy) {
  const size_t width = dbias.size(), N = width == 0 ? 0 : dy.size() / width;
  for (size_t i = 0; i < width; ++i) {
    dbias[i] = sum_over_rows(dbias[i], N, [&](float partial, size_t n) {
      return partial + from_bf16(dy[n * width + i]);
    });
  }
}

void embedding_backward(std::vector<float>& dtable, const std::vector<float>& dx,
                        const std::vector<int32_t>& token) {
  const size_t D = token.empty() ? 0 : dx.size() / token.size();
  for (size_t n = 0; n < token.size(); ++n) {
    for (size_t d = 0; d < D; ++d) dtable[static_cast<size_t>(token[n]) * D + d] += dx[n * D + d];
  }
}

void adamw(AdamWElement& element, float gradient, const kernels::AdamW& step) {
  const auto normal = [](float x) {
    return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x;
  };
  const float g = gradient * step.gradient_scale;
  element.m = normal(step.beta1 * element.m + (1.0f - step.beta1) * g);
  element.v = normal(step.beta2 * element.v + (1.0f - step.beta2) * (g * g));
  const float root = std::sqrt(element.v / step.correction2) + step.epsilon;
  element.weight -= step.learning_rate * step.weight_decay * element.weight;
  element.weight -= step.learning_rate * (element.m / step.correction1 / root);
}

Normalised rmsnorm(const std::vector<float>& x, const std::vector<float>& weight, int64_t N,
                   int64_t D, float epsilon) {
  Normalised out{std::vector<uint16_t>(static_cast<size_t>(N * D)),
                 std::vector<float>(static_cast<size_t>(N))};
  for (size_t n = 0; n < static_cast<size_t>(N); ++n) {
    const float* row = x.data() + n * static_cast<size_t>(D);
    const auto x_of = [&](size_t d) { return row[d]; };
    const float mean = sum_of_products(D, x_of, x_of) / static_cast<float>(D);
    out.rstd[n] = 1.0f / std::sqrt(mean + epsilon);
    for (size_t d = 0; d < static_cast<size_t>(D); ++d) {
      out.y[n * static_cast<size_t>(D) + d] = to_bf16(row[d] * out.rstd[n] * weight[d]);
    }
  }
  return out;
}

void rmsnorm_backward(std::vector<float>& dx, std::vector<float>& dweight,
                      const std::vector<float>& dy, const std::vector<float>& x,
                      const std::vector<float>& rstd, const std::vector<float>& weight,
                      bool overwrites) {
  const size_t N = rstd.size(), D = weight.size();
  for (size_t n = 0; n < N; ++n) {
    const size_t first = n * D;
    const float dot = sum_of_products(
        static_cast<int64_t>(D), [&](size_t d) { return dy[first + d] * weight[d]; },
        [&](size_t d) { return x[first + d]; });
    const float shrink = rstd[n] * rstd[n] * (dot / static_cast<float>(D));
    for (size_t d = 0; d < D; ++d) {
      const size_t i = first + d;
      const float gradient = rstd[n] * (dy[i] * weight[d] - x[i] * shrink);
      dx[i] = overwrites ? gradient : dx[i] + gradient;
    }
  }
  for (size_t d = 0; d < D; ++d) {
    dweight[d] = sum_over_rows(dweight[d], N, [&](float partial, size_t n) {
      return std::fma(dy[n * D + d], x[n * D + d] * rstd[n], partial);
    });
  }
}

std::vector<uint16_t> swiglu(const std::vector<float>& gate, const std::vector<float>& up) {
  std::vector<uint16_t> y(gate.size());
  for (size_t i = 0; i < y.size(); ++i) {
    const float sigmoid = 1.0f / (1.0f + exponential(-gate[i]));
    y[i] = to_bf16(gate[i] * sigmoid * up[i]);
  }
  return y;
}

SwigluGradient swiglu_backward(const std::vector<float>& da, const std::vector<float>& gate,
                               const std::vector<float>& up, const std::vector<float>& weight,
                               int64_t F) {
  const std::vector<uint16_t> none(gate.size());
  SwigluGradient out{none, none, none, std::vector<float>(weight.size())};
  const auto sigmoid = [](float g) { return 1.0f / (1.0f + exponential(-g)); };
  for (size_t n = 0; n < weight.size(); ++n) {
    const size_t first = n * static_cast<size_t>(F);
    for (size_t i = first; i < first + static_cast<size_t>(F); ++i) {
      const float g = gate[i], sig = sigmoid(g), d = weight[n] * da[i];
      out.dgate[i] = to_bf16(d * up[i] * (sig * (1.0f + g * (1.0f - sig))));
      out.dup[i] = to_bf16(d * (g * sig));
      out.weighted[i] = to_bf16(weight[n] * (g * sig * up[i]));
    }
    out.dweight[n] = sum_of_products(
        F, [&](size_t f) { return da[first + f]; },
        [&](size_t f) { return gate[first + f] * sigmoid(gate[first + f]) * up[first + f]; });
  }
  return out;
}

MlaQuery mla_query(const std::vector<float>& q, const Rotation& rotation, int64_t H, int64_t nope,
                   int64_t R) {
  const size_t heads = rotation.position.size() * static_cast<size_t>(H);
  const size_t kept = static_cast<size_t>(nope), P = static_cast<size_t>(rotation.P);
  const size_t W = static_cast<size_t>(kernels::padded(R + rotation.P));
  MlaQuery out{std::vector<uint16_t>(heads * kept), std::vector<uint16_t>(heads * W)};
  for (size_t head = 0; head < heads; ++head) {
    const float* from = q.data() + head * (kept + P);
    for (size_t i = 0; i < kept; ++i) out.nope[head * kept + i] = to_bf16(from[i]);
    rotate(out.row.data() + head * W + static_cast<size_t>(R), from + kept, rotation,
           head / static_cast<size_t>(H), 1);
  }
  return out;
}

std::vector<uint16_t> mla_query_backward(const std::vector<float>& dnope,
                                         const std::vector<float>& drow, const Rotation& rotation,
                                         int64_t H, int64_t nope, int64_t R) {
  const size_t heads = rotation.position.size() * static_cast<size_t>(H);
  const size_t kept = static_cast<size_t>(nope), P = static_cast<size_t>(rotation.P);
  const size_t W = static_cast<size_t>(kernels::padded(R + rotation.P));
  std::vector<uint16_t> dq(heads * (kept + P));
  for (size_t head = 0; head < heads; ++head) {
    uint16_t* to = dq.data() + head * (kept + P);
    for (size_t i = 0; i < kept; ++i) to[i] = to_bf16(dnope[head * kept + i]);
    rotate(to + kept, drow.data() + head * W + static_cast<size_t>(R), rotation,
           head / static_cast<size_t>(H), -1);
  }
  return dq;
}

Normalised mla_latent(const std::vector<float>& kv, const std::vector<float>& weight,
                      const Rotation& rotation, int64_t R, float epsilon) {
  const size_t N = rotation.position.size(), latent = static_cast<size_t>(R);
  const size_t width = latent + static_cast<size_t>(rotation.P);
  const size_t W = static_cast<size_t>(kernels::padded(R + rotation.P));
  Normalised out{std::vector<uint16_t>(N * W), {}};
  for (size_t n = 0; n < N; ++n) {
    const float* from = kv.data() + n * width;
    const Normalised row = rmsnorm({from, from + latent}, weight, 1, R, epsilon);
    std::copy_n(row.y.begin(), latent, out.y.begin() + static_cast<int64_t>(n * W));
    out.rstd.push_back(row.rstd[0]);
    rotate(out.y.data() + n * W + latent, from + latent, rotation, n, 1);
  }
  return out;
}

std::vector<uint16_t> mla_latent_backward(
    std::vector<float>& dweight, const std::vector<float>& dlatent, const std::vector<float>& kv,
    const std::vector<float>& rstd, const std::vector<float>& weight, const Rotation& rotation) {
  const size_t N = rotation.position.size(), R = weight.size();
  const size_t width = R + static_cast<size_t>(rotation.P);
  const size_t W = static_cast<size_t>(kernels::padded(static_cast<int64_t>(width)));
  std::vector<float> x(N * R), dx(N * R), dy(N * R);
  for (size_t n = 0; n < N; ++n) {
    std::copy_n(kv.data() + n * width, R, x.data() + n * R);
    std::copy_n(dlatent.data() + n * W, R, dy.data() + n * R);
  }
  rmsnorm_backward(dx, dweight, dy, x, rstd, weight, /*overwrites=*/true);
  std::vector<uint16_t> dkv(N * width);
  for (size_t n = 0; n < N; ++n) {
    for (size_t d = 0; d < R; ++d) dkv[n * width + d] = to_bf16(dx[n * R + d]);
    rotate(dkv.data() + n * width + R, dlatent.data() + n * W + R, rotation, n, -1);
  }
  return dkv;
}

namespace {

// The d numbers at `x` turned by +1 or -1 times the angles of a token's position, in place.
void rotate_halves(float* x, const Rotation& rotation, size_t token, float direction) {
  const size_t d = static_cast<size_t>(rotation.P), half = d / 2;
  const float* angles = &rotation.table[static_cast<size_t>(rotation.position[token]) * d];
  for (size_t i = 0; i < half; ++i) {
    const float cosine = angles[2 * i], sine = direction * angles[2 * i + 1];
    const float a = x[i], b = x[i + half];
    x[i] = a * cosine - b * sine;
    x[i + half] = b * cosine + a * sine;
  }
}

}  // namespace

Normalised head_rows(const std::vector<float>& x, const HeadRows& what, float epsilon) {
  const size_t d = static_cast<size_t>(what.d), H = static_cast<size_t>(what.H);
  const size_t W = static_cast<size_t>(kernels::padded(what.d)), heads = x.size() / d;
  Normalised out{std::vector<uint16_t>(heads * W), {}};
  for (size_t head = 0; head < heads; ++head) {
    std::vector<float> row(x.data() + head * d, x.data() + (head + 1) * d);
    if (!what.weight.empty()) {
      out.rstd.push_back(rmsnorm(row, what.weight, 1, what.d, epsilon).rstd[0]);
      for (size_t i = 0; i < d; ++i) row[i] = row[i] * out.rstd[head] * what.weight[i];
    }
    if (!what.rotation.table.empty()) rotate_halves(row.data(), what.rotation, head / H, 1);
    for (size_t i = 0; i < d; ++i) out.y[head * W + i] = to_bf16(row[i]);
  }
  return out;
}

std::vector<uint16_t> head_rows_backward(std::vector<float>& dweight, const std::vector<float>& dy,
                                         const std::vector<float>& x,
                                         const std::vector<float>& rstd, const HeadRows& what) {
  const size_t d = static_cast<size_t>(what.d), H = static_cast<size_t>(what.H);
  std::vector<float> back = dy, dx(dy.size());
  if (!what.rotation.table.empty()) {
    for (size_t head = 0; head < dy.size() / d; ++head) {
      rotate_halves(back.data() + head * d, what.rotation, head / H, -1);
    }
  }
  if (what.weight.empty()) {
    dx = back;
  } else {
    rmsnorm_backward(dx, dweight, back, x, rstd, what.weight, /*overwrites=*/true);
  }
  std::vector<uint16_t> rounded;
  for (const float value : dx) rounded.push_back(to_bf16(value));
  return rounded;
}

namespace {

constexpr size_t kPartKeys = 256;

// a . b over n elements, n a multiple of sixteen.
float chain(TensorCore core, const uint16_t* a, const uint16_t* b, size_t n) {
  float sum = 0;
  for (size_t k = 0; k < n; k += 16) sum = dot16(core, a + k, b + k, sum);
  return sum;
}

}  // namespace

Attended attention(TensorCore core, const std::vector<uint16_t>& query,
                   const std::vector<uint16_t>& cache, const AttentionCase& what) {
  const size_t H = static_cast<size_t>(what.H);
  const size_t groups = static_cast<size_t>(what.row.groups);
  const size_t key_width = static_cast<size_t>(what.row.key_width);
  const size_t value_width = static_cast<size_t>(what.row.value_width);
  const size_t N = static_cast<size_t>(what.query_offset.back());
  Attended attended{std::vector<uint16_t>(N * H * value_width), std::vector<float>(N * H),
                    std::vector<float>(N * H)};
  for (size_t s = 0; s < what.context.size(); ++s) {
    const auto row_of = [&](size_t j) {
      const size_t entry = s * static_cast<size_t>(what.blocks_max) + j / 32;
      return (static_cast<size_t>(what.block_table[entry]) + j % 32) *
             static_cast<size_t>(what.row.width);
    };
    const size_t begin = static_cast<size_t>(what.query_offset[s]);
    const size_t end = static_cast<size_t>(what.query_offset[s + 1]);
    for (size_t t = begin; t < end; ++t) {
      const size_t visible = static_cast<size_t>(what.context[s]) - (end - t) + 1;
      for (size_t h = 0; h < H; ++h) {
        const size_t group = h / (H / groups) * static_cast<size_t>(what.row.group_stride);
        float max = -3.0e38f, sum = 0;
        std::vector<float> out(value_width);
        for (size_t first = 0; first < visible; first += kPartKeys) {
          const size_t keys = std::min(kPartKeys, visible - first);
          std::vector<float> score(keys);
          float part_max = -3.0e38f;
          for (size_t j = 0; j < keys; ++j) {
            score[j] = what.scale * chain(core, &query[(t * H + h) * key_width],
                                          &cache[row_of(first + j) + group], key_width);
            if (score[j] > part_max) part_max = score[j];
          }
          std::array<float, 32> partials{};
          std::vector<uint16_t> weight(kPartKeys);
          for (size_t j = 0; j < keys; ++j) {
            const float e = exponential(score[j] - part_max);
            partials[j % 32] += e;
            weight[j] = to_bf16(e);
          }
          const float new_max = part_max > max ? part_max : max;
          const float old_factor = exponential(max - new_max);
          const float factor = exponential(part_max - new_max);
          max = new_max;
          sum = std::fma(folded(partials), factor, sum * old_factor);
          for (size_t v = 0; v < value_width; ++v) {
            std::vector<uint16_t> column(kPartKeys);
            for (size_t j = 0; j < keys; ++j) {
              column[j] =
                  cache[row_of(first + j) + group + static_cast<size_t>(what.row.value_offset) + v];
            }
            const float part = chain(core, weight.data(), column.data(), (keys + 15) / 16 * 16);
            out[v] = std::fma(part, factor, out[v] * old_factor);
          }
        }
        attended.max[t * H + h] = max;
        attended.sum[t * H + h] = sum;
        for (size_t v = 0; v < value_width; ++v) {
          attended.out[(t * H + h) * value_width + v] = to_bf16(out[v] / sum);
        }
      }
    }
  }
  return attended;
}

AttentionGradient attention_backward(TensorCore core, const std::vector<uint16_t>& dout,
                                     const std::vector<uint16_t>& query,
                                     const std::vector<uint16_t>& cache, const Attended& attended,
                                     const AttentionCase& what) {
  const auto sized = [](int64_t x) { return static_cast<size_t>(x); };
  const size_t H = sized(what.H), heads = H / sized(what.row.groups), width = sized(what.row.width);
  const size_t key_width = sized(what.row.key_width), value_width = sized(what.row.value_width);
  const size_t N = sized(what.query_offset.back());
  AttentionGradient out{std::vector<float>(N * H * key_width), std::vector<float>(N * width)};
  for (size_t s = 0; s < what.context.size(); ++s) {
    const size_t begin = sized(what.query_offset[s]), T = sized(what.context[s]);
    for (size_t g = 0; g < sized(what.row.groups); ++g) {
      const size_t group = g * sized(what.row.group_stride);
      const size_t value_at = group + sized(what.row.value_offset);
      const auto cached = [&](size_t j) {
        const size_t entry = s * sized(what.blocks_max) + j / 32;
        return &cache[(sized(what.block_table[entry]) + j % 32) * width];
      };
      // Row r is a head of a token; rows of products and of sums are padded to sixteens.
      const size_t R = T * heads, R16 = (R + 15) / 16 * 16, T16 = (T + 15) / 16 * 16;
      const auto row_of = [&](size_t r) { return (begin + r / heads) * H + g * heads + r % heads; };
      std::vector<uint16_t> p16(R16 * T16), ds16(R16 * T16);
      for (size_t r = 0; r < R; ++r) {
        const size_t row = row_of(r), visible = r / heads + 1;
        std::vector<float> p(visible), dp(visible);
        std::array<float, 32> partials{};
        for (size_t j = 0; j < visible; ++j) {
          const float z = chain(core, &query[row * key_width], cached(j) + group, key_width);
          p[j] = exponential(what.scale * z - attended.max[row]) / attended.sum[row];
          std::vector<uint16_t> a((value_width + 15) / 16 * 16), b(a.size());
          std::copy_n(&dout[row * value_width], value_width, a.begin());
          std::copy_n(cached(j) + value_at, value_width, b.begin());
          dp[j] = chain(core, a.data(), b.data(), a.size());
          partials[j % 32] = std::fma(p[j], dp[j], partials[j % 32]);
        }
        const float dot = folded(partials);
        for (size_t j = 0; j < visible; ++j) {
          p16[r * T16 + j] = to_bf16(p[j]);
          ds16[r * T16 + j] = to_bf16(p[j] * (dp[j] - dot) * what.scale);
        }
        for (size_t c = 0; c < key_width; ++c) {
          std::vector<uint16_t> column(T16);
          for (size_t j = 0; j < T; ++j) column[j] = cached(j)[group + c];
          out.dquery[row * key_width + c] =
              chain(core, &ds16[r * T16], column.data(), (visible + 15) / 16 * 16);
        }
      }
      // dcache[j, at + c] += the sum over rows of factor[r, j] times element c of rows.
      const auto add = [&](const std::vector<uint16_t>& factor, const std::vector<uint16_t>& rows,
                           size_t columns, size_t at) {
        for (size_t j = 0; j < T; ++j) {
          for (size_t c = 0; c < columns; ++c) {
            std::vector<uint16_t> a(R16), b(R16);
            for (size_t r = 0; r < R; ++r) {
              a[r] = factor[r * T16 + j];
              b[r] = rows[row_of(r) * columns + c];
            }
            out.dcache[(begin + j) * width + at + c] += chain(core, a.data(), b.data(), R16);
          }
        }
      };
      add(ds16, query, key_width, group);
      add(p16, dout, value_width, value_at);
    }
  }
  return out;
}

TokenLogprobs token_logprob(const std::vector<float>& logit, const std::vector<int32_t>& token,
                            int64_t V, float temperature) {
  TokenLogprobs out;
  for (size_t n = 0; n < token.size(); ++n) {
    const float* row = logit.data() + n * static_cast<size_t>(V);
    const auto z = [&](size_t v) { return row[v] / temperature; };
    const float max = *std::max_element(row, row + V) / temperature;
    const float sum = sum_of_products(
        V, [&](size_t v) { return exponential(z(v) - max); }, [](size_t) { return 1.0f; });
    const float lse = max + logarithm(sum);
    out.lse.push_back(lse);
    out.logprob.push_back(z(static_cast<size_t>(token[n])) - lse);
    out.entropy.push_back(lse - sum_of_products(
                                    V, [&](size_t v) { return exponential(z(v) - lse); }, z));
  }
  return out;
}

std::vector<uint16_t> token_logprob_backward(const std::vector<float>& dlogprob,
                                             const std::vector<float>& lse,
                                             const std::vector<float>& logit,
                                             const std::vector<int32_t>& token, int64_t V,
                                             float temperature) {
  std::vector<uint16_t> dlogit;
  for (size_t i = 0; i < logit.size(); ++i) {
    const size_t n = i / static_cast<size_t>(V), v = i % static_cast<size_t>(V);
    const float p = exponential(logit[i] / temperature - lse[n]);
    const float hit = static_cast<size_t>(token[n]) == v ? 1.0f : 0.0f;
    dlogit.push_back(to_bf16(dlogprob[n] / temperature * (hit - p)));
  }
  return dlogit;
}

Sampled sample(const std::vector<float>& logit, const std::vector<kernels::SampleKey>& keys,
               int64_t V, float temperature, float top_p) {
  Sampled out;
  for (size_t n = 0; n < keys.size(); ++n) {
    const float* begin = logit.data() + n * static_cast<size_t>(V);
    const std::vector<float> row(begin, begin + V);
    const float divisor = temperature > 0 ? temperature : 1.0f;
    const float lse = token_logprob(row, {0}, V, divisor).lse[0];
    size_t chosen = 0;
    if (temperature > 0) {
      std::vector<float> p;
      std::vector<uint64_t> weight;
      uint64_t total = 0;
      for (const float x : row) {
        p.push_back(exponential(x / temperature - lse));
        weight.push_back(static_cast<uint64_t>(std::ldexp(double{p.back()}, 60)));
        total += weight.back();
      }
      if (top_p < 1) {
        // The least whole number that is at least the part of the total.
        const auto part = static_cast<unsigned __int128>(std::ldexp(top_p, 32)) * total;
        const auto needed = std::max<uint64_t>(1, static_cast<uint64_t>((part + 0xFFFFFFFF) >> 32));
        std::vector<size_t> order(row.size());
        std::iota(order.begin(), order.end(), size_t{0});
        std::stable_sort(order.begin(), order.end(),
                         [&](size_t a, size_t b) { return p[a] > p[b]; });
        uint64_t kept = 0;
        for (const size_t v : order) {
          if (kept >= needed) weight[v] = 0;
          kept += weight[v];
        }
        total = kept;
      }
      const kernels::SampleKey& key = keys[n];
      const kernels::RandomStream stream(key.seed, static_cast<kernels::StreamId>(key.stream),
                                         key.round << 32 | key.ordinal, key.sample);
      const auto bits = static_cast<uint64_t>(std::ldexp(stream.uniform_at(key.position), 53));
      const auto target = static_cast<uint64_t>(static_cast<unsigned __int128>(bits) * total >> 53);
      uint64_t running = weight[0];
      while (running <= target) running += weight[++chosen];
    } else {
      chosen = static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    }
    out.token.push_back(static_cast<int32_t>(chosen));
    out.logprob.push_back(row[chosen] / divisor - lse);
  }
  return out;
}

// As README.md has it, for normal numbers above 0.
float logarithm(float x) {
  if (std::isnan(x) || std::isinf(x)) return x;
  int exponent;
  float m = 2 * std::frexp(x, &exponent);
  --exponent;
  if (m > 1.41421354f) {
    m /= 2;
    ++exponent;
  }
  const float s = (m - 1) / (m + 1), z = s * s;
  float sum = 1.0f / 9;
  for (const float coefficient : {1.0f / 7, 1.0f / 5, 1.0f / 3}) {
    sum = std::fma(sum, z, coefficient);
  }
  const float n = static_cast<float>(exponent);
  const float rest = std::fma(n, 1.42860677e-6f, std::fma(2 * s, z * sum, 2 * s));
  return std::fma(n, 0.693145752f, rest);
}

// As README.md has it.
float exponential(float x) {
  if (std::isnan(x)) return x;
  if (x > 89) return INFINITY;
  if (x < -104) return 0;
  // The sum is beyond 2^23, where floats are integers.
  const float n = std::fma(x, 1.44269502f, 0x1.8p23f) - 0x1.8p23f;
  const float r = std::fma(n, -1.42860677e-6f, std::fma(n, -0.693145752f, x));
  float sum = 1.0f / 5040;
  for (const float coefficient : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) {
    sum = std::fma(sum, r, coefficient);
  }
  const int scale = static_cast<int>(n);
  return std::ldexp(1.0f, scale / 2) * sum * std::ldexp(1.0f, scale - scale / 2);
}

uint16_t to_bf16(float x) {
  if (std::isnan(x)) return 0x7FFF;
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  // Half of the last place that stays, a tie towards an even one.
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

float from_bf16(uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

}  // namespace troupe::cuda_reference
