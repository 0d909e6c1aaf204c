// Links that are fused multiply-adds of floats: a word of a panel is one weight of each chain. From
// the instruction set: chain_weight<is_odd>(words) widens it, chain_fma(x, weight, chain) is the
// link.

struct Links {
  using Left = float;  // An element.
  // A row's Lefts and a panel's words, by link and block: the even chain's at i * kLeftStep and i,
  // the odd one's kOddLeft and kOddWord behind.
  static constexpr int64_t kCount = 16, kLeftOfBlock = 32, kLeftStep = 2, kOddLeft = 1,
                           kOddWord = 0;
};

[[gnu::always_inline]] inline Chain chain_link(float x, Chain weight, Chain chain) {
  return chain_fma(x, weight, chain);
}

// The Lefts of K elements of a row, zeros to the end of the block.
inline void lefts_of_row(float* to, const uint16_t* from, int64_t K) { expand_row(to, from, K); }

// Left j of a block for M rows, side by side; column(k) is none behind the last one. The block
// begins at element k0.
template <class Column>
inline void lefts_of_column(float* to, int64_t M, int64_t k0, int64_t j, Column&& column) {
  const uint16_t* from = column(k0 + j);
  for (int64_t m = 0; m < M; m += 16) {
    store(to + m, from != nullptr ? load_bf16_n(from + m, M - m) : splat(0.0f));
  }
}
