// What is done with logits, on lanes of sixteen: log-probabilities, their gradient, and sampling.

// x / t; a division by 1 is left out, which changes no bit.
struct Tempered {
  F16 t;
  bool is_one;
  explicit Tempered(float temperature) : t(splat(temperature)), is_one(temperature == 1.0f) {}
  F16 operator()(F16 x) const { return is_one ? x : x / t; }
};

// ln of the sum of exp(logit / temperature).
inline float row_lse(const float* logit, int64_t V, float temperature) {
  const Tempered tempered(temperature);
  F16 largest = splat(-3.0e38f);
  const int64_t whole = V / 16 * 16;
  for (int64_t i = 0; i < whole; i += 16) largest = maximum(largest, load(logit + i));
  if (whole < V) largest = maximum(largest, load_or_lowest(logit + whole, V - whole));
  const F16 max = splat(fold_max(largest) / temperature);
  F16 sum = splat(0.0f);
  for (int64_t i = 0; i < whole; i += 16) sum = sum + exp16(tempered(load(logit + i)) - max);
  // The lanes beyond V hold a number whose exponential is 0.
  if (whole < V) sum = sum + exp16(tempered(load_or_lowest(logit + whole, V - whole)) - max);
  return fold_max(max) + static_cast<float>(log_exact(static_cast<double>(fold_sum(sum))));
}

void token_logprob(const TokenLogprob& args) {
  const int64_t V = args.V;
  const Tempered tempered(args.temperature);
  for (int64_t n = 0; n < args.N; ++n) {
    const float* logit = at(args.logit) + n * V;
    const float lse = row_lse(logit, V, args.temperature);
    at(args.lse)[n] = lse;
    at(args.logprob)[n] = logit[at(args.token)[n]] / args.temperature - lse;
    if (!args.entropy) continue;
    at(args.entropy)[n] = lse - sum16(V, [&](int64_t i, int64_t count) {
                            const F16 z = tempered(load_or_lowest(logit + i, count));
                            const F16 p = exp16(z - splat(lse));
                            return p * (count >= 16 ? z : tempered(load_n(logit + i, count)));
                          });
  }
}

template <class S>
void token_logprob_backward(S s, const TokenLogprobBackward& args) {
  const int64_t V = args.V;
  const Tempered tempered(args.temperature);
  for (int64_t n = 0; n < args.N; ++n) {
    const float* logit = at(args.logit) + n * V;
    auto* dlogit = at(s, args.dlogit) + n * V;
    const float d = at(args.dlogprob)[n] / args.temperature;
    const F16 lse = splat(at(args.lse)[n]);
    for (int64_t i = 0; i < V; i += 16) {
      const F16 p = exp16(tempered(load_n(logit + i, V - i)) - lse);
      store_stored_n(dlogit + i, splat(d) * (splat(0.0f) - p), V - i);
    }
    const int32_t hit = at(args.token)[n];
    alignas(64) float lanes[16];
    store(lanes, exp16(tempered(splat(logit[hit])) - lse));
    dlogit[hit] = to_stored<S>(d * (1.0f - lanes[0]));
  }
}

// Some rows of probabilities are summed side by side, because a sum in id order is one addition
// after the other, and each sum leaves marks, so that who looks for a place in it need not start at
// its beginning.
constexpr int64_t kSummedRows = 8;
constexpr int64_t kMarkIds = 256;

// marks[r * ld + j] = sum in id order of p[r * ldp + i] over i < (j + 1) * kMarkIds.
inline void sum_rows(double* marks, int64_t ld, float* p, int64_t ldp, int64_t rows, int64_t V) {
  double sum[kSummedRows] = {};
  for (int64_t first = 0, mark = 0; first < V; first += kMarkIds, ++mark) {
    const int64_t end = V - first < kMarkIds ? V : first + kMarkIds;
    if (rows == kSummedRows) {
      for (int64_t i = first; i < end; ++i) {
        for (int64_t r = 0; r < kSummedRows; ++r) sum[r] += static_cast<double>(p[r * ldp + i]);
      }
    } else {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t i = first; i < end; ++i) sum[r] += static_cast<double>(p[r * ldp + i]);
      }
    }
    for (int64_t r = 0; r < rows; ++r) marks[r * ld + mark] = sum[r];
  }
}

// The first id with a probability at which the sum in id order exceeds `target`. Rounding may leave
// the sum short of it: then the last one it is.
inline int64_t find_in_sum(const float* p, const double* marks, int64_t V, double target) {
  int64_t mark = 0, chosen = 0;
  while ((mark + 1) * kMarkIds < V && !(marks[mark] > target)) ++mark;
  double sum = mark > 0 ? marks[mark - 1] : 0;
  for (int64_t i = mark * kMarkIds; i < V; ++i) {
    if (p[i] == 0) continue;
    chosen = i;
    sum += static_cast<double>(p[i]);
    if (sum > target) return chosen;
  }
  for (chosen = V - 1; chosen > 0 && p[chosen] == 0; --chosen) {
  }
  return chosen;
}

// The most probable ids whose sum first reaches top_p of `total` stay, ties go to the smaller id;
// the others become 0.
inline void keep_top(float* p, int32_t* order, int64_t V, double top_p, double total) {
  sort_by_probability(order, p, V);
  double kept = 0;
  int64_t count = 0;
  while (count < V && (count == 0 || kept < top_p * total)) {
    kept += static_cast<double>(p[order[count++]]);
  }
  for (int64_t i = count; i < V; ++i) p[order[i]] = 0;
}

// Probabilities are exponentials in float; sums over them are double, in id order.
void sample(Workspace workspace, const Sample& args) {
  const int64_t V = args.V, ld = padded(V), num_marks = (V + kMarkIds - 1) / kMarkIds;
  const bool is_drawn = args.temperature > 0;
  const float temperature = is_drawn ? args.temperature : 1.0f;
  const Tempered tempered(temperature);
  float* p = workspace.take<float>(kSummedRows * ld);
  double* marks = workspace.take<double>(kSummedRows * num_marks);
  int32_t* order = workspace.take<int32_t>(V);
  for (int64_t first = 0; first < args.N; first += kSummedRows) {
    const int64_t rows = args.N - first < kSummedRows ? args.N - first : kSummedRows;
    float lse[kSummedRows];
    for (int64_t r = 0; r < rows; ++r) {
      const float* logit = at(args.logit) + (first + r) * V;
      lse[r] = row_lse(logit, V, temperature);
      if (!is_drawn) continue;
      for (int64_t i = 0; i < V; i += 16) {
        const F16 e = exp16(tempered(load_or_lowest(logit + i, V - i)) - splat(lse[r]));
        // What is no number becomes 0, because it could not be sorted. Its logprob tells.
        store(p + r * ld + i, select_less(splat(0.0f), e, e, splat(0.0f)));
      }
    }
    if (is_drawn) sum_rows(marks, num_marks, p, ld, rows, V);
    for (int64_t r = 0; r < rows; ++r) {
      const float* logit = at(args.logit) + (first + r) * V;
      int64_t chosen = 0;
      if (is_drawn) {
        float* row = p + r * ld;
        double* sums = marks + r * num_marks;
        if (args.top_p < 1) {
          keep_top(row, order, V, static_cast<double>(args.top_p), sums[num_marks - 1]);
          sum_rows(sums, num_marks, row, ld, 1, V);
        }
        const double target = sample_uniform(at(args.key)[first + r]) * sums[num_marks - 1];
        chosen = find_in_sum(row, sums, V, target);
      } else {
        for (int64_t i = 1; i < V; ++i) {
          if (logit[i] > logit[chosen]) chosen = i;
        }
      }
      at(args.token)[first + r] = static_cast<int32_t>(chosen);
      at(args.logprob)[first + r] = logit[chosen] / temperature - lse[r];
    }
  }
}
