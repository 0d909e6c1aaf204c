// Sixteen floats as two AVX2 registers; same results as lanes_portable.inl.

struct F16 {
  __m256 lo;
  __m256 hi;
};

inline __m256i mask_of(int64_t n) {  // The first n of 8 lanes.
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), index);
}
inline int64_t upper(int64_t n) { return n > 8 ? n - 8 : 0; }

inline F16 splat(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline F16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline F16 load_n(const float* p, int64_t n) {
  return {_mm256_maskload_ps(p, mask_of(n)), _mm256_maskload_ps(p + 8, mask_of(upper(n)))};
}
inline void store(float* p, F16 x) {
  _mm256_storeu_ps(p, x.lo);
  _mm256_storeu_ps(p + 8, x.hi);
}
inline void store_n(float* p, F16 x, int64_t n) {
  _mm256_maskstore_ps(p, mask_of(n), x.lo);
  _mm256_maskstore_ps(p + 8, mask_of(upper(n)), x.hi);
}
inline __m256 widen_bf16(__m128i halves) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}
inline F16 load_bf16(const uint16_t* p) {
  return {widen_bf16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          widen_bf16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
inline F16 load_bf16_n(const uint16_t* p, int64_t n) {
  if (n >= 16) return load_bf16(p);
  uint16_t all[16] = {};
  for (int64_t i = 0; i < n; ++i) all[i] = p[i];
  return load_bf16(all);
}
inline __m256i rounded_bits(__m256 x) {
  const __m256i u = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  return _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
}
inline void store_bf16(uint16_t* p, F16 x) {
  const __m256i lo = _mm256_srli_epi32(rounded_bits(x.lo), 16);
  const __m256i hi = _mm256_srli_epi32(rounded_bits(x.hi), 16);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(lo, hi), 0xd8);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), packed);
}
inline void store_bf16_n(uint16_t* p, F16 x, int64_t n) {
  if (n >= 16) {
    store_bf16(p, x);
    return;
  }
  uint16_t all[16];
  store_bf16(all, x);
  for (int64_t i = 0; i < n; ++i) p[i] = all[i];
}
inline __m256 round_half(__m256 x) {
  return _mm256_castsi256_ps(
      _mm256_and_si256(rounded_bits(x), _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
}
inline F16 round_to_bf16(F16 x) { return {round_half(x.lo), round_half(x.hi)}; }

inline F16 operator+(F16 a, F16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
inline F16 operator-(F16 a, F16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
inline F16 operator*(F16 a, F16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
inline F16 operator/(F16 a, F16 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
inline F16 square_root(F16 a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
inline F16 maximum(F16 a, F16 b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
inline F16 minimum(F16 a, F16 b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
inline F16 select_less(F16 a, F16 b, F16 x, F16 y) {
  return {_mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
          _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}
inline __m256 power_half(__m256 n) {
  const __m256i biased = _mm256_add_epi32(_mm256_cvttps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
inline F16 power_of_two(F16 n) { return {power_half(n.lo), power_half(n.hi)}; }
inline float fold_sum(F16 x) {
  const __m256 eight = _mm256_add_ps(x.lo, x.hi);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline float fold_max(F16 x) {
  const __m256 eight = _mm256_max_ps(x.lo, x.hi);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

struct Chain {
  static constexpr int kWidth = 8;
  static constexpr int kRows = 6;
  // Of a tile: 12 chains at most, beside weights and an element.
  static constexpr int panels(int rows) { return rows > 2 ? 1 : 2; }
  __m256 v;
};
inline Chain chain_zero() { return {_mm256_setzero_ps()}; }
inline Chain chain_fma(float a, Chain b, Chain c) {
  return {_mm256_fmadd_ps(_mm256_set1_ps(a), b.v, c.v)};
}
inline Chain chain_add(Chain a, Chain b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Chain chain_load(const float* p) { return {_mm256_loadu_ps(p)}; }
inline void chain_store(float* p, Chain x) { _mm256_storeu_ps(p, x.v); }
template <bool kIsOdd>
inline Chain chain_weight(const uint32_t* words) {
  const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
  if constexpr (!kIsOdd) return {_mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16))};
  return {_mm256_castsi256_ps(
      _mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xffff0000u))))};
}

inline void transpose_words_8(uint32_t* to, const uint32_t* from, int64_t ldfrom) {
  __m256 r[8], t[8];
  for (int i = 0; i < 8; ++i)
    r[i] = _mm256_loadu_ps(reinterpret_cast<const float*>(from + i * ldfrom));
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(reinterpret_cast<float*>(to + i * 16),
                     _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(reinterpret_cast<float*>(to + (i + 4) * 16),
                     _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}
inline void transpose_words(uint32_t* to, const uint32_t* from, int64_t ldfrom) {
  transpose_words_8(to, from, ldfrom);
  transpose_words_8(to + 8, from + 8 * ldfrom, ldfrom);
  transpose_words_8(to + 8 * 16, from + 8, ldfrom);
  transpose_words_8(to + 8 * 16 + 8, from + 8 * ldfrom + 8, ldfrom);
}
inline void interleave_halves(uint32_t* to, const uint16_t* low, const uint16_t* high) {
  for (int i = 0; i < 16; i += 8) {
    const __m256i a =
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low + i)));
    const __m256i b =
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(high + i)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i),
                        _mm256_or_si256(a, _mm256_slli_epi32(b, 16)));
  }
}
