// Links by VDPBF16PS, two to an instruction: with (x1, x0) and (w1, w0) in the lower and upper
// halves of words it is fma(x1, w1, fma(x0, w0, c)), each rounded to nearest even, subnormals read
// and left as zero (Intel's instruction set extensions reference). Neither operand is widened.

struct Links {
  using Left = uint32_t;  // Two elements of one chain.
  // A row's Lefts and a panel's words, by pair of links and block: eight of the even chain, then
  // eight of the odd one.
  static constexpr int64_t kCount = 8, kLeftOfBlock = 16, kLeftStep = 1, kOddLeft = 8, kOddWord = 8;
};

template <bool kIsOdd>
[[gnu::always_inline]] inline Chain chain_weight(const uint32_t* words) {
  return chain_load(reinterpret_cast<const float*>(words));
}
[[gnu::always_inline]] inline Chain chain_link(uint32_t x, Chain weight, Chain chain) {
  const __m512i pair = _mm512_set1_epi32(static_cast<int>(x));
  return {_mm512_dpbf16_ps(chain.v, (__m512bh)pair, (__m512bh)_mm512_castps_si512(weight.v))};
}

// The Lefts of K elements of a row, zeros to the end of the block.
inline void lefts_of_row(uint32_t* to, const uint16_t* from, int64_t K) {
  for (; K >= kPadK; K -= kPadK, from += kPadK, to += 16) {
    _mm512_storeu_si512(to, ordered_words(_mm512_loadu_si512(from)));
  }
  if (K > 0) {
    const auto there = static_cast<__mmask32>((1ull << K) - 1);
    _mm512_storeu_si512(to, ordered_words(_mm512_maskz_loadu_epi16(there, from)));
  }
}

// Left j of a block for M rows, side by side; column(k) is none behind the last one. The block
// begins at element k0.
template <class Column>
inline void lefts_of_column(uint32_t* to, int64_t M, int64_t k0, int64_t j, Column&& column) {
  const uint16_t* low = column(k0 + low_of_word(j));
  const uint16_t* high = column(k0 + high_of_word(j));
  const auto words = [](const uint16_t* from, int64_t m, int64_t n) {
    if (from == nullptr) return _mm512_setzero_si512();
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask_of(n), from + m));
  };
  for (int64_t m = 0; m < M; m += 16) {
    const __m512i upper = _mm512_slli_epi32(words(high, m, M - m), 16);
    _mm512_storeu_si512(to + m, _mm512_or_si512(words(low, m, M - m), upper));
  }
}
