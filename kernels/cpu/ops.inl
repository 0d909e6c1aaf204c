// Every operation but products, attention and what is done with logits, on lanes of sixteen. A sum
// over an axis is sixteen partial sums (element i goes to partial i mod 16) folded 8-4-2-1.

template <class T>
inline T* at(Device<T> p) {
  return reinterpret_cast<T*>(p.address);
}
template <class S>
inline typename S::Element* at(S, Stored p) {
  return reinterpret_cast<typename S::Element*>(p.address);
}

// e^x to 2 ulp for any x: 2^n e^r with |r| <= ln 2 / 2 and a polynomial of degree 6 for e^r.
// Below the smallest normal number the result is 0, above the largest it stays finite; what is no
// number stays none (minimum and maximum give their second operand then), so that a broken step is
// seen in its loss.
template <class F>
[[gnu::always_inline]] inline F exp16(F x) {
  const F clamped = maximum(splat(-87.33f), minimum(splat(88.37f), x));
  // Adding 1.5 * 2^23 rounds to the nearest integer, ties to even.
  const F16 magic = splat(12582912.0f);
  const F n = (clamped * splat(0x1.715476p+0f) + magic) - magic;
  const F r = (clamped - n * splat(0x1.62ep-1f)) - n * splat(0x1.0bfbe8p-15f);
  F p = splat(1.0f / 5040.0f) * r + splat(1.0f / 720.0f);
  p = p * r + splat(1.0f / 120.0f);
  p = p * r + splat(1.0f / 24.0f);
  p = p * r + splat(1.0f / 6.0f);
  p = p * r + splat(0.5f);
  const F e = splat(1.0f) + (r + r * r * p);
  return select_less(x, splat(-87.33f), splat(0.0f), e * power_of_two(n));
}

inline F16 sigmoid16(F16 x) { return splat(1.0f) / (splat(1.0f) + exp16(splat(0.0f) - x)); }

// Sum over i < n of f(i, lanes), where f gives the 16 addends from i on and zeros beyond n.
template <class F>
inline float sum16(int64_t n, F&& f) {
  F16 sum = splat(0.0f);
  for (int64_t i = 0; i < n; i += 16) sum = sum + f(i, n - i);
  return fold_sum(sum);
}

// Lanes from n on hold a number that no maximum picks.
inline F16 load_or_lowest(const float* p, int64_t n) {
  if (n >= 16) return load(p);
  alignas(64) float lanes[16];
  for (int64_t i = 0; i < 16; ++i) lanes[i] = i < n ? p[i] : -3.0e38f;
  return load(lanes);
}

template <class S>
void store_rows(S s, Stored to, Device<float> from, int64_t N, int64_t n, int64_t ldto,
                int64_t ldfrom) {
  for (int64_t i = 0; i < N; ++i) store_row(at(s, to) + i * ldto, at(from) + i * ldfrom, n);
}

void round_in_place(float* x, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    store_n(x + i, round_to_bf16(load_n(x + i, n - i)), n - i);
  }
}

// rstd of a row, and y = x * rstd * weight into the stored type.
template <class S>
inline float rmsnorm_row(S, typename S::Element* y, const float* x, const float* weight, int64_t D,
                         float epsilon) {
  const float squares = sum16(D, [&](int64_t i, int64_t n) {
    const F16 v = load_n(x + i, n);
    return v * v;
  });
  const float rstd = 1.0f / __builtin_sqrtf(squares / static_cast<float>(D) + epsilon);
  for (int64_t i = 0; i < D; i += 16) {
    const F16 v = load_n(x + i, D - i) * splat(rstd) * load_n(weight + i, D - i);
    store_stored_n(y + i, v, D - i);
  }
  return rstd;
}

template <class S>
void rmsnorm(S s, const RmsNorm& args) {
  const int32_t* rows = at(args.x_rows);
  for (int64_t n = 0; n < args.N; ++n) {
    const float* x = at(args.x) + (rows != nullptr ? rows[n] : n) * args.ldx;
    at(args.rstd)[n] =
        rmsnorm_row(s, at(s, args.y) + n * args.ldy, x, at(args.weight), args.D, args.epsilon);
  }
}

// dx (+)= rstd * (dy w - x rstd^2 mean(dy w x)); partials of dweight collect dy x rstd by row
// mod 16.
inline void rmsnorm_backward_row(float* dx, float* partial, const float* dy, const float* x,
                                 const float* weight, float rstd, int64_t D, bool overwrites) {
  const float dot = sum16(D, [&](int64_t i, int64_t n) {
    return load_n(dy + i, n) * load_n(weight + i, n) * load_n(x + i, n);
  });
  const F16 shrink = splat(rstd * rstd * (dot / static_cast<float>(D)));
  for (int64_t i = 0; i < D; i += 16) {
    const int64_t n = D - i;
    const F16 xi = load_n(x + i, n), dyi = load_n(dy + i, n);
    F16 d = splat(rstd) * (dyi * load_n(weight + i, n) - xi * shrink);
    if (!overwrites) d = load_n(dx + i, n) + d;
    store_n(dx + i, d, n);
    store_n(partial + i, load_n(partial + i, n) + dyi * (xi * splat(rstd)), n);
  }
}

// dweight += the sixteen partial rows (16, D) folded 8-4-2-1.
inline void fold_rows(float* dweight, float* partials, int64_t D) {
  for (int64_t half = 8; half > 0; half /= 2) {
    for (int64_t i = 0; i < half * D; ++i) partials[i] += partials[half * D + i];
  }
  for (int64_t i = 0; i < D; ++i) dweight[i] += partials[i];
}

void rmsnorm_backward(Workspace workspace, const RmsNormBackward& args) {
  const int64_t D = args.D;
  const int32_t* rows = at(args.x_rows);
  float* partials = workspace.take<float>(16 * D);
  std::memset(partials, 0, static_cast<size_t>(16 * D) * sizeof(float));
  for (int64_t n = 0; n < args.N; ++n) {
    const int64_t row = rows != nullptr ? rows[n] : n;
    rmsnorm_backward_row(at(args.dx) + row * args.ldx, partials + n % 16 * D,
                         at(args.dy) + n * args.lddy, at(args.x) + row * args.ldx, at(args.weight),
                         at(args.rstd)[n], D, args.overwrites);
  }
  fold_rows(at(args.dweight), partials, D);
}

// A rounded product. GCC's vectoriser turns a b - c d beside a d + c b into vfmaddsub even under
// -ffp-contract=off; it cannot see through this.
inline float product(float a, float b) {
  float p = a * b;
  asm("" : "+x"(p));
  return p;
}

// Rotates pairs: (a, b) -> (a cos - b sin, b cos + a sin); table row: cos, sin per pair. Pair i is
// elements i * step and i * step + gap: step 2 and gap 1 for neighbours, 1 and P / 2 for halves.
inline void rotate(float* to, const float* from, const float* table, int64_t P, int64_t step,
                   int64_t gap) {
  for (int64_t i = 0; i < P / 2; ++i, to += step, from += step) {
    const float a = from[0], b = from[gap], c = table[2 * i], s = table[2 * i + 1];
    to[0] = product(a, c) - product(b, s);
    to[gap] = product(b, c) + product(a, s);
  }
}
inline void rotate_back(float* to, const float* from, const float* table, int64_t P, int64_t step,
                        int64_t gap) {
  for (int64_t i = 0; i < P / 2; ++i, to += step, from += step) {
    const float a = from[0], b = from[gap], c = table[2 * i], s = table[2 * i + 1];
    to[0] = product(a, c) + product(b, s);
    to[gap] = product(b, c) - product(a, s);
  }
}

constexpr int64_t kRotatedMax = 512;  // Bound on P, for a buffer on the stack.

template <class S>
void mla_query(S s, const MlaQuery& args) {
  const int64_t W = padded(args.R + args.P), P = args.P;
  TROUPE_CHECK(args.P <= kRotatedMax);
  float rotated[kRotatedMax];
  for (int64_t n = 0; n < args.N; ++n) {
    const float* table = at(args.table) + at(args.position)[n] * P;
    for (int64_t h = 0; h < args.H; ++h) {
      const float* q = at(args.q) + (n * args.H + h) * (args.nope_dim + P);
      store_row(at(s, args.nope) + (n * args.H + h) * args.nope_dim, q, args.nope_dim);
      auto* row = at(s, args.row) + (n * args.H + h) * W;
      rotate(rotated, q + args.nope_dim, table, P, 2, 1);
      store_row(row + args.R, rotated, P);
      for (int64_t i = args.R + P; i < W; ++i) row[i] = 0;
    }
  }
}

template <class S>
void mla_query_backward(S s, const MlaQueryBackward& args) {
  const int64_t W = padded(args.R + args.P), P = args.P;
  TROUPE_CHECK(args.P <= kRotatedMax);
  float rotated[kRotatedMax];
  for (int64_t n = 0; n < args.N; ++n) {
    const float* table = at(args.table) + at(args.position)[n] * P;
    for (int64_t h = 0; h < args.H; ++h) {
      auto* dq = at(s, args.dq) + (n * args.H + h) * (args.nope_dim + P);
      store_row(dq, at(args.dnope) + (n * args.H + h) * args.nope_dim, args.nope_dim);
      rotate_back(rotated, at(args.drow) + (n * args.H + h) * W + args.R, table, P, 2, 1);
      store_row(dq + args.nope_dim, rotated, P);
    }
  }
}

template <class S>
void mla_latent(S s, const MlaLatent& args) {
  const int64_t W = padded(args.R + args.P), P = args.P;
  TROUPE_CHECK(args.P <= kRotatedMax);
  float rotated[kRotatedMax];
  for (int64_t n = 0; n < args.N; ++n) {
    const float* kv = at(args.kv) + n * (args.R + P);
    auto* row = at(s, args.cache) + at(args.slot)[n] * W;
    at(args.rstd)[n] = rmsnorm_row(s, row, kv, at(args.weight), args.R, args.epsilon);
    rotate(rotated, kv + args.R, at(args.table) + at(args.position)[n] * P, P, 2, 1);
    store_row(row + args.R, rotated, P);
    for (int64_t i = args.R + P; i < W; ++i) row[i] = 0;
  }
}

template <class S>
void mla_latent_backward(S s, Workspace workspace, const MlaLatentBackward& args) {
  const int64_t W = padded(args.R + args.P), R = args.R, P = args.P;
  float* partials = workspace.take<float>(16 * R);
  float* dc = workspace.take<float>(R);
  std::memset(partials, 0, static_cast<size_t>(16 * R) * sizeof(float));
  TROUPE_CHECK(args.P <= kRotatedMax);
  float rotated[kRotatedMax];
  for (int64_t n = 0; n < args.N; ++n) {
    const float* dlatent = at(args.dlatent) + n * W;
    auto* dkv = at(s, args.dkv) + n * (R + P);
    rmsnorm_backward_row(dc, partials + n % 16 * R, dlatent, at(args.kv) + n * (R + P),
                         at(args.weight), at(args.rstd)[n], R, /*overwrites=*/true);
    store_row(dkv, dc, R);
    rotate_back(rotated, dlatent + R, at(args.table) + at(args.position)[n] * P, P, 2, 1);
    store_row(dkv + R, rotated, P);
  }
  fold_rows(at(args.dweight), partials, R);
}

template <class S>
void head_rows(S s, const HeadRows& args) {
  const int64_t d = args.d;
  TROUPE_CHECK(d <= kRotatedMax);
  float normed[kRotatedMax], rotated[kRotatedMax];
  for (int64_t n = 0; n < args.N; ++n) {
    const int64_t row = args.slot ? at(args.slot)[n] : n;
    for (int64_t h = 0; h < args.H; ++h) {
      const float* from = at(args.x) + (n * args.H + h) * d;
      if (args.weight) {
        at(args.rstd)[n * args.H + h] =
            rmsnorm_row(Fp32{}, normed, from, at(args.weight), d, args.epsilon);
        from = normed;
      }
      if (args.table) {
        rotate(rotated, from, at(args.table) + at(args.position)[n] * d, d, 1, d / 2);
        from = rotated;
      }
      auto* to = at(s, args.y) + row * args.ldy + h * args.stride;
      store_row(to, from, d);
      for (int64_t i = d; i < padded(d); ++i) to[i] = 0;
    }
  }
}

template <class S>
void head_rows_backward(S s, Workspace workspace, const HeadRowsBackward& args) {
  const int64_t d = args.d;
  TROUPE_CHECK(d <= kRotatedMax);
  float rotated[kRotatedMax], dx[kRotatedMax];
  float* partials = workspace.take<float>(16 * d);
  std::memset(partials, 0, static_cast<size_t>(16 * d) * sizeof(float));
  for (int64_t n = 0; n < args.N; ++n) {
    for (int64_t h = 0; h < args.H; ++h) {
      const int64_t head = n * args.H + h;
      const float* dy = at(args.dy) + n * args.lddy + h * args.stride;
      if (args.table) {
        rotate_back(rotated, dy, at(args.table) + at(args.position)[n] * d, d, 1, d / 2);
        dy = rotated;
      }
      if (args.weight) {
        rmsnorm_backward_row(dx, partials + head % 16 * d, dy, at(args.x) + head * d,
                             at(args.weight), at(args.rstd)[head], d, /*overwrites=*/true);
        dy = dx;
      }
      store_row(at(s, args.dx) + head * d, dy, d);
    }
  }
  if (args.weight) fold_rows(at(args.dweight), partials, d);
}

void add_bias(const AddBias& args) {
  for (int64_t i = 0; i < args.N; ++i) {
    float* y = at(args.y) + i * args.n;
    for (int64_t j = 0; j < args.n; j += 16) {
      const int64_t count = args.n - j;
      store_n(y + j, load_n(y + j, count) + load_n(at(args.bias) + j, count), count);
    }
  }
}

template <class S>
void bias_gradient(S s, Workspace workspace, const BiasGradient& args) {
  float* partials = workspace.take<float>(16 * args.n);
  std::memset(partials, 0, static_cast<size_t>(16 * args.n) * sizeof(float));
  for (int64_t i = 0; i < args.N; ++i) {
    float* partial = partials + i % 16 * args.n;
    const auto* dy = at(s, args.dy) + i * args.n;
    for (int64_t j = 0; j < args.n; j += 16) {
      const int64_t count = args.n - j;
      store_n(partial + j, load_n(partial + j, count) + load_stored_n(dy + j, count), count);
    }
  }
  fold_rows(at(args.dbias), partials, args.n);
}

inline void softmax_row(float* p, const float* x, int64_t n) {
  F16 largest = splat(-3.0e38f);
  for (int64_t i = 0; i < n; i += 16) largest = maximum(largest, load_or_lowest(x + i, n - i));
  const F16 max = splat(fold_max(largest));
  const float sum = sum16(n, [&](int64_t i, int64_t count) {
    const F16 e = exp16(load_or_lowest(x + i, count) - max);
    store_n(p + i, e, count);
    return e;
  });
  for (int64_t i = 0; i < n; i += 16) store_n(p + i, load_n(p + i, n - i) / splat(sum), n - i);
}

void gate(const Gate& args) {
  TROUPE_CHECK(args.E <= kExpertsMax);
  const int64_t E = args.E, K = args.K, group_size = E / args.num_groups;
  constexpr float kTaken = -3.0e38f;  // Below every biased score.
  alignas(64) float biased[kExpertsMax];
  float group_score[kExpertsMax];
  for (int64_t n = 0; n < args.N; ++n) {
    float* score = at(args.score) + n * E;
    const float* logit = at(args.logit) + n * E;
    if (args.is_softmax) {
      softmax_row(score, logit, E);
    } else {
      for (int64_t i = 0; i < E; i += 16) {
        store_n(score + i, sigmoid16(load_n(logit + i, E - i)), E - i);
      }
    }
    for (int64_t i = 0; i < E; i += 16) {
      F16 value = load_n(score + i, E - i);
      if (args.bias) value = value + load_n(at(args.bias) + i, E - i);
      store_n(biased + i, value, E - i);
    }
    if (args.groups_kept < args.num_groups) {
      for (int64_t g = 0; g < args.num_groups; ++g) {
        float best = kTaken, second = kTaken;
        for (int64_t i = g * group_size; i < (g + 1) * group_size; ++i) {
          if (biased[i] > best) {
            second = best;
            best = biased[i];
          } else if (biased[i] > second) {
            second = biased[i];
          }
        }
        group_score[g] = group_size > 1 && !args.groups_by_best ? best + second : best;
      }
      for (int64_t dropped = 0; dropped < args.num_groups - args.groups_kept; ++dropped) {
        int64_t worst = -1;  // Among equals the larger index goes first, so the smaller is kept.
        for (int64_t g = 0; g < args.num_groups; ++g) {
          if (group_score[g] == __builtin_inff()) continue;
          if (worst < 0 || group_score[g] <= group_score[worst]) worst = g;
        }
        group_score[worst] = __builtin_inff();
        for (int64_t i = worst * group_size; i < (worst + 1) * group_size; ++i) biased[i] = kTaken;
      }
    }
    int32_t* expert = at(args.expert) + n * K;
    for (int64_t k = 0; k < K; ++k) {
      int64_t best = -1;
      for (int64_t i = 0; i < E; ++i) {
        if (biased[i] > kTaken && (best < 0 || biased[i] > biased[best])) best = i;
      }
      // Scores that are not numbers compare with nothing: any fixed choice will do, the step is
      // skipped for its gradient.
      if (best < 0) best = k;
      biased[best] = kTaken;
      int64_t place = k;
      for (; place > 0 && expert[place - 1] > best; --place) expert[place] = expert[place - 1];
      expert[place] = static_cast<int32_t>(best);
    }
    float* weight = at(args.weight) + n * K;
    for (int64_t k = 0; k < K; ++k) weight[k] = score[expert[k]];
    const float total =
        sum16(K, [&](int64_t i, int64_t count) { return load_n(weight + i, count); });
    for (int64_t k = 0; k < K; ++k) {
      if (args.normalises) weight[k] = weight[k] / (total + 1e-20f);
      weight[k] = weight[k] * args.scaling;
    }
  }
}

template <class S>
void gate_backward(S s, const GateBackward& args) {
  TROUPE_CHECK(args.E <= kExpertsMax);
  const int64_t E = args.E, K = args.K;
  float chosen[kExpertsMax], dweight[kExpertsMax];
  for (int64_t n = 0; n < args.N; ++n) {
    const float* score = at(args.score) + n * E;
    const int32_t* expert = at(args.expert) + n * K;
    auto* dlogit = at(s, args.dlogit) + n * E;
    for (int64_t k = 0; k < K; ++k) {
      chosen[k] = score[expert[k]];
      dweight[k] = at(args.dweight)[n * K + k] * args.scaling;
    }
    for (int64_t i = 0; i < E; ++i) dlogit[i] = 0;
    float total = 1, shared = 0;
    if (args.normalises) {
      total = sum16(K, [&](int64_t i, int64_t c) { return load_n(chosen + i, c); }) + 1e-20f;
      shared = sum16(
          K, [&](int64_t i, int64_t c) { return load_n(dweight + i, c) * load_n(chosen + i, c); });
      shared = shared / (total * total);
    }
    for (int64_t k = 0; k < K; ++k) dweight[k] = dweight[k] / total - shared;  // Now dscore.
    if (args.is_softmax) {
      const float mean = sum16(
          K, [&](int64_t i, int64_t c) { return load_n(dweight + i, c) * load_n(chosen + i, c); });
      for (int64_t i = 0; i < E; i += 16) {
        store_stored_n(dlogit + i, load_n(score + i, E - i) * splat(0.0f - mean), E - i);
      }
      for (int64_t k = 0; k < K; ++k) {
        dlogit[expert[k]] = to_stored<S>(chosen[k] * (dweight[k] - mean));
      }
      continue;
    }
    for (int64_t k = 0; k < K; ++k) {
      dlogit[expert[k]] = to_stored<S>(dweight[k] * (chosen[k] * (1.0f - chosen[k])));
    }
  }
}

void route(const Route& args) {
  TROUPE_CHECK(args.E <= kExpertsMax);
  const int64_t slots = args.N * args.K;
  int32_t* offsets = at(args.offsets);
  const int32_t* expert = at(args.expert);
  for (int64_t e = 0; e <= args.E; ++e) offsets[e] = 0;
  for (int64_t i = 0; i < slots; ++i) ++offsets[expert[i] + 1];
  if (args.counts) {
    for (int64_t e = 0; e < args.E; ++e) at(args.counts)[e] += offsets[e + 1];
  }
  for (int64_t e = 0; e < args.E; ++e) offsets[e + 1] += offsets[e];
  int32_t next[kExpertsMax];
  for (int64_t e = 0; e < args.E; ++e) next[e] = offsets[e];
  for (int64_t i = 0; i < slots; ++i) {
    const int32_t row = next[expert[i]]++;
    at(args.row_token)[row] = static_cast<int32_t>(i / args.K);
    at(args.slot_row)[i] = row;
  }
}

// out[n, i] += sum over k of weight[n, k] rows[slot_row[n, k], i] for i < width.
inline void combine(float* out, int64_t ld, const float* rows, int64_t ld_rows, int64_t width,
                    const float* weight, const int32_t* slot_row, int64_t N, int64_t K) {
  for (int64_t n = 0; n < N; ++n, out += ld, slot_row += K) {
    for (int64_t i = 0; i < width; i += 16) {
      const int64_t count = width - i;
      F16 sum = splat(0.0f);
      for (int64_t k = 0; k < K; ++k) {
        const F16 row = load_n(rows + slot_row[k] * ld_rows + i, count);
        sum = sum + (weight != nullptr ? splat(weight[n * K + k]) * row : row);
      }
      store_n(out + i, load_n(out + i, count) + sum, count);
    }
  }
}

template <class S>
void swiglu(S s, const Swiglu& args) {
  const int64_t F = args.F;
  for (int64_t row = 0; row < args.N; ++row) {
    const float* gate_row = at(args.gate) + row * args.ld;
    const float* up_row = at(args.up) + row * args.ld;
    for (int64_t i = 0; i < F; i += 16) {
      const F16 g = load_n(gate_row + i, F - i);
      const F16 y = g * sigmoid16(g) * load_n(up_row + i, F - i);
      store_stored_n(at(s, args.y) + row * F + i, y, F - i);
    }
  }
}

template <class S>
void swiglu_backward(S s, const SwigluBackward& args) {
  const int64_t F = args.F;
  const auto row_of = [&](int64_t row, float weight) {
    const float* gate_row = at(args.gate) + row * args.ld;
    const float* up_row = at(args.up) + row * args.ld;
    const float* da_row = at(args.da) + row * F;
    F16 dot = splat(0.0f);
    for (int64_t i = 0; i < F; i += 16) {
      const int64_t n = F - i;
      const F16 g = load_n(gate_row + i, n), u = load_n(up_row + i, n), da = load_n(da_row + i, n);
      const F16 sig = sigmoid16(g);
      const F16 silu = g * sig;
      const F16 a = silu * u;
      dot = dot + da * a;
      const F16 d = splat(weight) * da;
      // silu'(g) = sig (1 + g (1 - sig))
      const F16 slope = sig * (splat(1.0f) + g * (splat(1.0f) - sig));
      store_stored_n(at(s, args.dgate) + row * F + i, d * u * slope, n);
      store_stored_n(at(s, args.dup) + row * F + i, d * silu, n);
      if (args.weighted) store_stored_n(at(s, args.weighted) + row * F + i, splat(weight) * a, n);
    }
    return fold_sum(dot);
  };
  if (!args.weight) {
    for (int64_t row = 0; row < args.N; ++row) row_of(row, 1.0f);
    return;
  }
  for (int64_t slot = 0; slot < args.num_slots; ++slot) {
    at(args.dweight)[slot] = row_of(at(args.slot_row)[slot], at(args.weight)[slot]);
  }
}

void embedding(const Embedding& args) {
  for (int64_t n = 0; n < args.N; ++n) {
    std::memcpy(at(args.x) + n * args.D, at(args.table) + at(args.token)[n] * args.D,
                static_cast<size_t>(args.D) * sizeof(float));
  }
}

void add(float* y, const float* x, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    store_n(y + i, load_n(y + i, n - i) + load_n(x + i, n - i), n - i);
  }
}

void embedding_backward(const EmbeddingBackward& args) {
  for (int64_t n = 0; n < args.N; ++n) {
    add(at(args.dtable) + at(args.token)[n] * args.D, at(args.dx) + n * args.D, args.D);
  }
}

void square_sums(double* sums, const float* x, int64_t n) {
  for (int64_t begin = 0; begin < n; begin += kChunkElements) {
    const int64_t end = n - begin < kChunkElements ? n : begin + kChunkElements;
    double partial[16] = {};
    for (int64_t i = begin; i < end; i += 16) {
      for (int64_t j = 0; j < 16; ++j) {
        const double value = i + j < end ? static_cast<double>(x[i + j]) : 0.0;
        partial[j] += value * value;
      }
    }
    for (int64_t half = 8; half > 0; half /= 2) {
      for (int64_t i = 0; i < half; ++i) partial[i] += partial[i + half];
    }
    *sums++ = partial[0];
  }
}

void adamw(const AdamW& args) {
  const F16 b1 = splat(args.beta1), b2 = splat(args.beta2);
  const F16 a1 = splat(1.0f - args.beta1), a2 = splat(1.0f - args.beta2);
  const F16 decay = splat(args.learning_rate * args.weight_decay);
  for (int64_t i = 0; i < args.n; i += 16) {
    const int64_t n = args.n - i;
    const F16 g = load_n(at(args.gradient) + i, n) * splat(args.gradient_scale);
    const F16 m = b1 * load_n(at(args.m) + i, n) + a1 * g;
    const F16 v = b2 * load_n(at(args.v) + i, n) + a2 * (g * g);
    const F16 root = square_root(v / splat(args.correction2)) + splat(args.epsilon);
    const F16 update = m / splat(args.correction1) / root;
    F16 w = load_n(at(args.weight) + i, n);
    w = w - decay * w;
    w = w - splat(args.learning_rate) * update;
    store_n(at(args.weight) + i, w, n);
    store_n(at(args.m) + i, m, n);
    store_n(at(args.v) + i, v, n);
  }
}
