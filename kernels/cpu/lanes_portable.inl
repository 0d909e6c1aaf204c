// Sixteen floats and the chain vector in plain C++: the definition of the arithmetic. Included
// inside an anonymous namespace of the one source that is compiled for this instruction set.

struct F16 {
  float v[16];
};

#define TROUPE_EACH_LANE for (int i = 0; i < 16; ++i)

inline F16 splat(float x) {
  F16 r;
  TROUPE_EACH_LANE r.v[i] = x;
  return r;
}
inline F16 load(const float* p) {
  F16 r;
  TROUPE_EACH_LANE r.v[i] = p[i];
  return r;
}
inline F16 load_n(const float* p, int64_t n) {  // Lanes from n on are 0.
  F16 r;
  TROUPE_EACH_LANE r.v[i] = i < n ? p[i] : 0.0f;
  return r;
}
inline void store(float* p, F16 x) { TROUPE_EACH_LANE p[i] = x.v[i]; }
inline void store_n(float* p, F16 x, int64_t n) { TROUPE_EACH_LANE if (i < n) p[i] = x.v[i]; }
inline F16 load_bf16(const uint16_t* p) {
  F16 r;
  TROUPE_EACH_LANE r.v[i] = bits_to_float(static_cast<uint32_t>(p[i]) << 16);
  return r;
}
inline F16 load_bf16_n(const uint16_t* p, int64_t n) {
  F16 r;
  TROUPE_EACH_LANE r.v[i] = i < n ? bits_to_float(static_cast<uint32_t>(p[i]) << 16) : 0.0f;
  return r;
}
// Round to nearest, ties to even.
inline void store_bf16(uint16_t* p, F16 x) {
  TROUPE_EACH_LANE {
    const uint32_t u = float_to_bits(x.v[i]);
    p[i] = static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
  }
}
// For values that bf16 holds exactly.
inline void store_exact_bf16(uint16_t* p, F16 x) {
  TROUPE_EACH_LANE p[i] = static_cast<uint16_t>(float_to_bits(x.v[i]) >> 16);
}
inline void store_bf16_n(uint16_t* p, F16 x, int64_t n) {
  uint16_t all[16];
  store_bf16(all, x);
  TROUPE_EACH_LANE if (i < n) p[i] = all[i];
}
inline F16 round_to_bf16(F16 x) {
  uint16_t all[16];
  store_bf16(all, x);
  return load_bf16(all);
}

inline F16 operator+(F16 a, F16 b) {
  TROUPE_EACH_LANE a.v[i] += b.v[i];
  return a;
}
inline F16 operator-(F16 a, F16 b) {
  TROUPE_EACH_LANE a.v[i] -= b.v[i];
  return a;
}
inline F16 operator*(F16 a, F16 b) {
  TROUPE_EACH_LANE a.v[i] *= b.v[i];
  return a;
}
inline F16 operator/(F16 a, F16 b) {
  TROUPE_EACH_LANE a.v[i] /= b.v[i];
  return a;
}
inline F16 square_root(F16 a) {
  TROUPE_EACH_LANE a.v[i] = __builtin_sqrtf(a.v[i]);
  return a;
}
// The second operand where the first is not a number, as the vector instructions do.
inline F16 maximum(F16 a, F16 b) {
  TROUPE_EACH_LANE a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return a;
}
inline F16 minimum(F16 a, F16 b) {
  TROUPE_EACH_LANE a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
  return a;
}
// a < b ? x : y
inline F16 select_less(F16 a, F16 b, F16 x, F16 y) {
  TROUPE_EACH_LANE x.v[i] = a.v[i] < b.v[i] ? x.v[i] : y.v[i];
  return x;
}
// 2^n for integral n in [-126, 127].
inline F16 power_of_two(F16 n) {
  TROUPE_EACH_LANE n.v[i] =
      bits_to_float(static_cast<uint32_t>(static_cast<int32_t>(n.v[i]) + 127) << 23);
  return n;
}
inline float fold_sum(F16 x) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) x.v[i] += x.v[i + half];
  }
  return x.v[0];
}
inline float fold_max(F16 x) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) x.v[i] = x.v[i] > x.v[i + half] ? x.v[i] : x.v[i + half];
  }
  return x.v[0];
}

// A vector of independent multiply-add chains, whose operands hold bf16 values.
struct Chain {
  static constexpr int kWidth = 16;
  static constexpr int kRows = 2;                 // Of a product's tile, at most,
  static constexpr int panels(int) { return 1; }  // and its panels with so many rows.
  F16 v;
};
inline Chain chain_zero() { return {splat(0.0f)}; }
// The product of two bf16 values is exact in double, and so is the sum's rounding to float.
inline Chain chain_fma(float a, Chain b, Chain c) {
  TROUPE_EACH_LANE c.v.v[i] =
      static_cast<float>(static_cast<double>(a) * b.v.v[i] + static_cast<double>(c.v.v[i]));
  return c;
}
inline Chain chain_add(Chain a, Chain b) { return {a.v + b.v}; }
inline Chain chain_load(const float* p) { return {load(p)}; }
inline void chain_store(float* p, Chain x) { store(p, x.v); }
// Of packed pairs: the even or the odd element of each word.
template <bool kIsOdd>
inline Chain chain_weight(const uint32_t* words) {
  Chain weight;
  TROUPE_EACH_LANE weight.v.v[i] = bits_to_float(kIsOdd ? words[i] & 0xffff0000u : words[i] << 16);
  return weight;
}

// to[c * 16 + r] = from_row_r[c] for 16 rows of 16 words.
inline void transpose_words(uint32_t* to, const uint32_t* from, int64_t ldfrom) {
  for (int r = 0; r < 16; ++r) {
    for (int c = 0; c < 16; ++c) to[c * 16 + r] = from[r * ldfrom + c];
  }
}
// to[i] = low[i] | high[i] << 16 for 16 pairs of halves.
inline void interleave_halves(uint32_t* to, const uint16_t* low, const uint16_t* high) {
  TROUPE_EACH_LANE to[i] = static_cast<uint32_t>(low[i]) | static_cast<uint32_t>(high[i]) << 16;
}

#undef TROUPE_EACH_LANE
