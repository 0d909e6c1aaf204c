// Sixteen floats as one AVX-512 register; same results as lanes_portable.inl.

struct F16 {
  __m512 v;
};

inline __mmask16 mask_of(int64_t n) {  // The first n of 16 lanes.
  return n >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << n) - 1);
}

inline F16 splat(float x) { return {_mm512_set1_ps(x)}; }
inline F16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline F16 load_n(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(mask_of(n), p)}; }
inline void store(float* p, F16 x) { _mm512_storeu_ps(p, x.v); }
inline void store_n(float* p, F16 x, int64_t n) { _mm512_mask_storeu_ps(p, mask_of(n), x.v); }
inline F16 widen_bf16(__m256i halves) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
}
inline F16 load_bf16(const uint16_t* p) {
  return widen_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline F16 load_bf16_n(const uint16_t* p, int64_t n) {
  return widen_bf16(_mm256_maskz_loadu_epi16(mask_of(n), p));
}
inline __m512i rounded_bits(F16 x) {
  const __m512i u = _mm512_castps_si512(x.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  return _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
}
inline __m256i bf16_of(F16 x) {
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded_bits(x), 16));
}
inline void store_bf16(uint16_t* p, F16 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), bf16_of(x));
}
inline void store_exact_bf16(uint16_t* p, F16 x) {
  const __m512i halves = _mm512_srli_epi32(_mm512_castps_si512(x.v), 16);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(halves));
}
inline void store_bf16_n(uint16_t* p, F16 x, int64_t n) {
  _mm256_mask_storeu_epi16(p, mask_of(n), bf16_of(x));
}
inline F16 round_to_bf16(F16 x) {
  return {_mm512_castsi512_ps(
      _mm512_and_si512(rounded_bits(x), _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
}

inline F16 operator+(F16 a, F16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F16 operator-(F16 a, F16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F16 operator*(F16 a, F16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F16 operator/(F16 a, F16 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F16 square_root(F16 a) { return {_mm512_sqrt_ps(a.v)}; }
inline F16 maximum(F16 a, F16 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F16 minimum(F16 a, F16 b) { return {_mm512_min_ps(a.v, b.v)}; }
inline F16 select_less(F16 a, F16 b, F16 x, F16 y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
inline F16 power_of_two(F16 n) {
  const __m512i biased = _mm512_add_epi32(_mm512_cvttps_epi32(n.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23))};
}
inline __m256 upper_half(__m512 x) {
  return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1));
}
inline float fold_sum(F16 x) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x.v), upper_half(x.v));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline float fold_max(F16 x) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(x.v), upper_half(x.v));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

struct Chain {
  static constexpr int kWidth = 16;
  static constexpr int kRows = 12;
  // Of a tile: 24 chains at most, beside weights and an element.
  static constexpr int panels(int rows) { return rows > 8 ? 2 : rows > 6 ? 3 : rows > 3 ? 4 : 8; }
  __m512 v;
};
inline Chain chain_zero() { return {_mm512_setzero_ps()}; }
inline Chain chain_add(Chain a, Chain b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Chain chain_load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void chain_store(float* p, Chain x) { _mm512_storeu_ps(p, x.v); }
inline Chain chain_fma(float a, Chain b, Chain c) {
  return {_mm512_fmadd_ps(_mm512_set1_ps(a), b.v, c.v)};
}
#if !defined(TROUPE_DOT)
template <bool kIsOdd>
inline Chain chain_weight(const uint32_t* words) {
  const __m512i pairs = _mm512_loadu_si512(words);
  if constexpr (!kIsOdd) return {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16))};
  return {_mm512_castsi512_ps(
      _mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
}
#endif

inline void transpose_words(uint32_t* to, const uint32_t* from, int64_t ldfrom) {
  __m512i r[16], t[16];
  for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_si512(from + i * ldfrom);
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // r[4 * a + c] holds column 4 * q + c of rows 4a .. 4a+3 in its quarter q.
  for (int c = 0; c < 4; ++c) {
    const __m512i a = _mm512_shuffle_i32x4(r[c], r[4 + c], 0x88);
    const __m512i b = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0x88);
    const __m512i d = _mm512_shuffle_i32x4(r[c], r[4 + c], 0xdd);
    const __m512i e = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0xdd);
    _mm512_storeu_si512(to + (c + 0) * 16, _mm512_shuffle_i32x4(a, b, 0x88));
    _mm512_storeu_si512(to + (c + 8) * 16, _mm512_shuffle_i32x4(a, b, 0xdd));
    _mm512_storeu_si512(to + (c + 4) * 16, _mm512_shuffle_i32x4(d, e, 0x88));
    _mm512_storeu_si512(to + (c + 12) * 16, _mm512_shuffle_i32x4(d, e, 0xdd));
  }
}
inline void interleave_halves(uint32_t* to, const uint16_t* low, const uint16_t* high) {
  const __m512i a =
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(low)));
  const __m512i b =
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(high)));
  _mm512_storeu_si512(to, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
}

// What AMX tiles are filled from and emptied to beyond the above.
#if defined(TROUPE_AMX)
inline F16 first_n(F16 x, F16 others, int64_t n) {
  return {_mm512_mask_blend_ps(mask_of(n), others.v, x.v)};
}
// What store_bf16() gives for 32 values, none of them subnormal (zero here) nor a NaN whose upper
// half does not say so.
inline void store_rounded(uint16_t* p, F16 early, F16 late) {
  const __m512bh halves = _mm512_cvtne2ps_pbh(late.v, early.v);
  _mm512_storeu_si512(p, (__m512i)halves);
}
// to[16 n + m] = from[16 m + n] for 16 values m and eight n.
inline void transpose_eight(float* to, const float* from) {
  // r[i] holds what is of m and of m + 4, m = i % 4 + i / 4 * 8.
  __m512 r[8], t[8];
  for (int i = 0; i < 8; ++i) {
    const float* m = from + (i % 4 + i / 4 * 8) * 16;
    r[i] =
        _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(m)), _mm256_loadu_ps(m + 64), 1);
  }
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  const auto low = [](__m512 a, __m512 b) {
    return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
  };
  const auto high = [](__m512 a, __m512 b) {
    return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
  };
  for (int i = 0; i < 8; i += 4) {
    r[i] = low(t[i], t[i + 2]);
    r[i + 1] = high(t[i], t[i + 2]);
    r[i + 2] = low(t[i + 1], t[i + 3]);
    r[i + 3] = high(t[i + 1], t[i + 3]);
  }
  // The even quarters of r[c] and r[4 + c] are n = c, the odd ones n = 4 + c.
  for (int c = 0; c < 4; ++c) {
    _mm512_storeu_ps(to + c * 16, _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88));
    _mm512_storeu_ps(to + (4 + c) * 16, _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd));
  }
}
// Pairs of low[i] and high[i], i < 32: those with i % 8 < 4 to `first`, the others to `second`,
// which takes half of the shuffles that their order would. join_quarters() puts in order again what
// was computed from them.
inline void interleave_quarters(uint32_t* first, uint32_t* second, const uint16_t* low,
                                const uint16_t* high) {
  const __m512i a = _mm512_loadu_si512(low), b = _mm512_loadu_si512(high);
  _mm512_storeu_si512(first, _mm512_unpacklo_epi16(a, b));
  _mm512_storeu_si512(second, _mm512_unpackhi_epi16(a, b));
}
inline void join_quarters(float* first, float* second) {
  const __m512 a = _mm512_loadu_ps(first), b = _mm512_loadu_ps(second);
  const __m512 lower = _mm512_shuffle_f32x4(a, b, 0x44), upper = _mm512_shuffle_f32x4(a, b, 0xee);
  _mm512_storeu_ps(first, _mm512_shuffle_f32x4(lower, lower, 0xd8));
  _mm512_storeu_ps(second, _mm512_shuffle_f32x4(upper, upper, 0xd8));
}
#endif
