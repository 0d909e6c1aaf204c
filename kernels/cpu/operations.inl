// The table of operations of one instruction set. Included once by each isa_*.cpp after its lanes.

// Subnormals are flushed and read as zero while an operation runs, as AMX does, and the caller's
// mode is restored after it.
class FlushSubnormals {
 public:
  FlushSubnormals() : saved_(_mm_getcsr()) { _mm_setcsr(0x1f80 | 0x8040); }
  ~FlushSubnormals() { _mm_setcsr(saved_); }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
  unsigned saved_;
};

template <class F>
inline void in_precision(Stream* stream, F&& f) {
  const FlushSubnormals scope;
  auto* state = reinterpret_cast<StreamState*>(stream);
  if (state->precision == Precision::kBf16) {
    f(Bf16{}, state->workspace());
  } else {
    f(Fp32{}, state->workspace());
  }
}

template <class F>
inline void in_float(Stream* stream, F&& f) {
  const FlushSubnormals scope;
  f(reinterpret_cast<StreamState*>(stream)->workspace());
}

template <class S>
void grouped_gemm(S s, Workspace workspace, const GroupedGemm& args) {
  const int32_t* offsets = at(args.offsets);
  for (int64_t e = 0; e < args.num_groups; ++e) {
    Gemm one = args.gemm;
    one.M = offsets[e + 1] - offsets[e];
    if (one.M == 0) continue;
    one.w.address += static_cast<uint64_t>(e * args.w_stride_bytes);
    move_rows(one, offsets[e]);
    gemm(s, workspace, one);
  }
}

// Some columns at a time, so that their rows stay in the second cache until they are added up.
template <class S>
void combine_experts(S s, Workspace workspace, const CombineExperts& args) {
  const int64_t M = args.N * args.K, D = args.D;
  if (M == 0) return;
  const int64_t columns_max = combined_columns(M);
  const int64_t columns = D < columns_max ? padded(D, kPanelN) : columns_max;
  const int32_t* offsets = at(args.offsets);
  float* rows = workspace.take<float>(M * columns);
  for (int64_t first = 0; first < D; first += columns) {
    const int64_t width = D - first < columns ? D - first : columns;
    const auto product = [&](Stored x, const Packed& w, const auto& into) {
      for (int64_t e = 0; e < args.E; ++e) {
        const int64_t row = offsets[e], count = offsets[e + 1] - row;
        const auto* from = at(s, x) + row * args.F;
        const auto* panels = reinterpret_cast<const typename S::Word*>(
            w.address + static_cast<uint64_t>(e * args.w_stride_bytes));
        multiply(s, workspace, LeftRows{[&](int64_t m) { return from + m * args.F; }}, count,
                 panels + packed_words<S>(first, args.F), width, args.F, blocks_of(args.F),
                 into.of_row(row));
      }
    };
    product(args.x, args.w, IntoScratch{rows, columns});
    if (args.x2) product(args.x2, args.w2, AddToScratch{rows, columns});
    combine(at(args.out) + first, D, rows, columns, width, at(args.weight), at(args.slot_row),
            args.N, args.K);
  }
}

template <class S>
void grouped_weight_gradient(S s, Workspace workspace, const GroupedWeightGradient& args) {
  const int32_t* offsets = at(args.offsets);
  for (int64_t e = 0; e < args.num_groups; ++e) {
    WeightGradient one = args.gradient;
    const int64_t first = offsets[e];
    one.T = offsets[e + 1] - first;
    one.dw = one.dw + e * args.dw_stride;
    if (one.dy_rows) {
      one.dy_rows = one.dy_rows + first;
    } else {
      one.dy = one.dy + first * one.lddy;
    }
    if (one.x_rows) {
      one.x_rows = one.x_rows + first;
    } else {
      one.x = one.x + first * one.ldx;
    }
    weight_gradient(s, workspace, one);
  }
}

#define TROUPE_IN_PRECISION(name, Args)                                                   \
  table.name = [](Stream* stream, const Args& args) {                                     \
    in_precision(stream, [&](auto s, Workspace workspace) { name(s, workspace, args); }); \
  }
#define TROUPE_IN_PRECISION_PLAIN(name, Args)                        \
  table.name = [](Stream* stream, const Args& args) {                \
    in_precision(stream, [&](auto s, Workspace) { name(s, args); }); \
  }
#define TROUPE_IN_FLOAT(name, Args)                                        \
  table.name = [](Stream* stream, const Args& args) {                      \
    in_float(stream, [&](Workspace workspace) { name(workspace, args); }); \
  }
#define TROUPE_IN_FLOAT_PLAIN(name, Args)             \
  table.name = [](Stream* stream, const Args& args) { \
    in_float(stream, [&](Workspace) { name(args); }); \
  }

Backend operations(const char* isa) {
  Backend table;
  table.name = isa;
  table.arithmetic_id = "cpu-1";
  table.pack = [](Stream* stream, const Packed& to, Device<float> from, int64_t ld,
                  bool is_transposed) {
    in_precision(stream, [&](auto s, Workspace workspace) {
      pack(s, workspace, to, at(from), ld, is_transposed);
    });
  };
  table.packed_bytes = [](Precision precision, int64_t rows, int64_t cols) {
    return precision == Precision::kBf16 ? packed_words<Bf16>(rows, cols) * 4
                                         : packed_words<Fp32>(rows, cols) * 4;
  };
  table.store = [](Stream* stream, Stored to, Device<float> from, int64_t N, int64_t n,
                   int64_t ldto, int64_t ldfrom) {
    in_precision(stream, [&](auto s, Workspace) { store_rows(s, to, from, N, n, ldto, ldfrom); });
  };
  table.round_bf16 = [](Stream* stream, Device<float> x, int64_t n) {
    in_float(stream, [&](Workspace) { round_in_place(at(x), n); });
  };
  TROUPE_IN_PRECISION(gemm, Gemm);
  TROUPE_IN_PRECISION(grouped_gemm, GroupedGemm);
  TROUPE_IN_PRECISION(weight_gradient, WeightGradient);
  TROUPE_IN_PRECISION(grouped_weight_gradient, GroupedWeightGradient);
  TROUPE_IN_PRECISION_PLAIN(rmsnorm, RmsNorm);
  TROUPE_IN_FLOAT(rmsnorm_backward, RmsNormBackward);
  TROUPE_IN_PRECISION_PLAIN(mla_query, MlaQuery);
  TROUPE_IN_PRECISION_PLAIN(mla_query_backward, MlaQueryBackward);
  TROUPE_IN_PRECISION_PLAIN(mla_latent, MlaLatent);
  TROUPE_IN_PRECISION(mla_latent_backward, MlaLatentBackward);
  TROUPE_IN_PRECISION_PLAIN(head_rows, HeadRows);
  TROUPE_IN_PRECISION(head_rows_backward, HeadRowsBackward);
  TROUPE_IN_FLOAT_PLAIN(add_bias, AddBias);
  TROUPE_IN_PRECISION(bias_gradient, BiasGradient);
  TROUPE_IN_PRECISION(attention, Attention);
  TROUPE_IN_PRECISION(attention_backward, AttentionBackward);
  TROUPE_IN_FLOAT_PLAIN(gate, Gate);
  TROUPE_IN_PRECISION_PLAIN(gate_backward, GateBackward);
  TROUPE_IN_FLOAT_PLAIN(route, Route);
  TROUPE_IN_PRECISION(combine_experts, CombineExperts);
  TROUPE_IN_PRECISION_PLAIN(swiglu, Swiglu);
  TROUPE_IN_PRECISION_PLAIN(swiglu_backward, SwigluBackward);
  TROUPE_IN_FLOAT_PLAIN(embedding, Embedding);
  TROUPE_IN_FLOAT_PLAIN(embedding_backward, EmbeddingBackward);
  TROUPE_IN_FLOAT_PLAIN(token_logprob, TokenLogprob);
  TROUPE_IN_PRECISION_PLAIN(token_logprob_backward, TokenLogprobBackward);
  TROUPE_IN_FLOAT(sample, Sample);
  table.add = [](Stream* stream, Device<float> y, Device<float> x, int64_t n) {
    in_float(stream, [&](Workspace) { add(at(y), at(x), n); });
  };
  table.square_sums = [](Stream* stream, Device<double> sums, Device<float> x, int64_t n) {
    in_float(stream, [&](Workspace) { square_sums(at(sums), at(x), n); });
  };
  TROUPE_IN_FLOAT_PLAIN(adamw, AdamW);
  return table;
}
