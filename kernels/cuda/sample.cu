// sample.h on CUDA: a block draws a token from a row of logits. Probabilities are added up as
// integers, so sums depend on no order, and the places in them are found by many threads.
#include "kernels/sample.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/logits.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/wide.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr int kDigitBits = 4, kDigits = 1 << kDigitBits;

}  // namespace

// p 2^60, cut off; 0 where p is no number. p is at most about 1.
TROUPE_DEVICE uint64_t fixed_point(float p) {
  if (!(p > 0)) return 0;
  const uint32_t bits = bits_of(p);
  const int exponent = static_cast<int>(bits >> 23);
  const uint64_t mantissa = exponent > 0 ? (bits & 0x7FFFFF) | 0x800000 : 0;
  const int shift = exponent - 90;  // A mantissa counts 2^(exponent - 150).
  if (shift >= 0) return mantissa << shift;
  return shift > -24 ? mantissa >> -shift : 0;
}

// A row and its probabilities.
struct Drawn {
  const float* logit;
  int V;
  float temperature, lse;

  TROUPE_DEVICE float probability(int v) const {
    return exponential(divide(logit[v], temperature) - lse);
  }
};

// The sum over all threads, the same in each.
TROUPE_DEVICE uint64_t block_sum(uint64_t x, uint64_t (&warps)[kRowWarps], Place place = here()) {
  x = warp_sum_wide(x, place);
  sync_block(place);  // Nobody reads what was there any more.
  if (thread_index() % kWarp == 0) warps[thread_index() / kWarp] = x;
  sync_block(place);
  uint64_t sum = 0;
  TROUPE_UNROLL
  for (int w = 0; w < kRowWarps; ++w) sum += warps[w];
  return sum;
}

// The first id in order at which the running sum of weight(id) is beyond `target`, and 0 if it
// never is, in each thread. Each warp adds up a part of the ids; that in which the place lies looks
// for it.
template <class Weight>
TROUPE_DEVICE int find_in_order(int V, uint64_t target, const Weight& weight,
                                uint64_t (&warps)[kRowWarps], int& found, Place place = here()) {
  const int warp = thread_index() / kWarp, lane = thread_index() % kWarp;
  const int part = (V + kRowThreads - 1) / kRowThreads * kWarp;
  const int begin = warp * part, end = begin + part < V ? begin + part : V;
  uint64_t own = 0;
  for (int v = begin + lane; v < end; v += kWarp) own += weight(v);
  own = warp_sum_wide(own, place);
  sync_block(place);
  if (lane == 0) warps[warp] = own;
  if (thread_index() == 0) found = 0;
  sync_block(place);
  uint64_t before = 0;
  for (int w = 0; w < warp; ++w) before += warps[w];
  if (before <= target && target < before + own) {
    for (int first = begin; first < end; first += kWarp) {
      const uint64_t mine = first + lane < end ? weight(first + lane) : 0;
      const uint64_t all = warp_sum_wide(mine, place);
      if (target >= before + all) {
        before += all;
        continue;
      }
      uint64_t running = mine;  // Of the lanes up to this one.
      TROUPE_UNROLL
      for (int lanes = 1; lanes < kWarp; lanes *= 2) {
        const int from = lane - lanes;
        const uint32_t low =
            shuffle(kAllLanes, static_cast<uint32_t>(running), from & (kWarp - 1), place);
        const uint32_t high =
            shuffle(kAllLanes, static_cast<uint32_t>(running >> 32), from & (kWarp - 1), place);
        if (from >= 0) running += static_cast<uint64_t>(high) << 32 | low;
      }
      const uint32_t beyond = ballot(kAllLanes, target < before + running, place);
      if (lane == 0) found = first + trailing_zeros(beyond);
      break;
    }
  }
  sync_block(place);
  return found;
}

// Which ids stay: those more probable than `least`, and those as probable up to `last_id`.
// Probabilities are compared as the bits of floats.
struct Kept {
  uint32_t least;
  int last_id;
  TROUPE_DEVICE bool has(float p, int v) const {
    return p > 0 && (bits_of(p) > least || (bits_of(p) == least && v <= last_id));
  }
};

// The most probable ids whose sum first reaches `needed` > 0, of equals the smaller ids. The least
// probability is found digit by digit, from the highest: sums of those with a larger one so far are
// in `above`.
TROUPE_DEVICE Kept kept_ids(const Drawn& row, uint64_t needed, uint64_t (&warps)[kRowWarps],
                            int& found) {
  uint32_t least = 0;
  uint64_t above = 0;
  for (int shift = 32 - kDigitBits; shift >= 0; shift -= kDigitBits) {
    uint64_t sums[kDigits] = {};
    for (int v = thread_index(); v < row.V; v += kRowThreads) {
      const float p = row.probability(v);
      if (!(p > 0)) continue;
      const uint32_t bits = bits_of(p);
      if ((static_cast<uint64_t>(bits) >> (shift + kDigitBits)) !=
          (static_cast<uint64_t>(least) >> (shift + kDigitBits))) {
        continue;
      }
      const uint64_t weight = fixed_point(p);
      const uint32_t digit = bits >> shift & (kDigits - 1);
      TROUPE_UNROLL
      for (uint32_t i = 0; i < kDigits; ++i) sums[i] += digit == i ? weight : 0;
    }
    bool is_found = false;
    TROUPE_UNROLL
    for (int i = kDigits - 1; i >= 0; --i) {
      const uint64_t sum = block_sum(sums[i], warps);
      if (is_found) continue;
      if (above + sum >= needed) {
        is_found = true;
        least |= static_cast<uint32_t>(i) << shift;
      } else {
        above += sum;
      }
    }
  }
  // Of the ids that are just as probable as many stay as are needed.
  const uint64_t weight = fixed_point(float_of(least));
  const uint64_t ties = weight > 0 ? (needed - above + weight - 1) / weight : 1;
  const auto is_tie = [&](int v) {
    const float p = row.probability(v);
    return static_cast<uint64_t>(p > 0 && bits_of(p) == least);
  };
  return {least, find_in_order(row.V, ties - 1, is_tie, warps, found)};
}

// top_p is in units of 2^-32; 2^32 keeps all.
TROUPE_KERNEL(kRowThreads) sample_kernel(Sample args, uint64_t top_p, bool is_aligned) {
  TROUPE_SHARED(float, maxima, kRowWarps);
  TROUPE_SHARED(float, partials, kRowWarps);
  TROUPE_SHARED(uint64_t, warps, kRowWarps);
  TROUPE_SHARED(int, found, 1);
  const int64_t n = block_index().x;
  const int V = static_cast<int>(args.V);
  const bool is_drawn = args.temperature > 0;
  const float temperature = is_drawn ? args.temperature : 1.0f;
  const float* logit = at(args.logit) + n * V;
  const float lse = row_lse(logit, V, temperature, is_aligned, {maxima, partials});
  const Drawn row{logit, V, temperature, lse};

  int chosen;
  if (is_drawn) {
    Kept kept{0, V};
    const auto weight = [&](int v) {
      const float p = row.probability(v);
      return kept.has(p, v) ? fixed_point(p) : uint64_t{0};
    };
    const auto total_of_kept = [&] {
      uint64_t sum = 0;
      for (int v = thread_index(); v < V; v += kRowThreads) sum += weight(v);
      return block_sum(sum, warps);
    };
    uint64_t total = total_of_kept();
    if (top_p >> 32 == 0 && total > 0) {
      const Wide part = product_of(top_p, total);
      const uint64_t needed =
          (part.high << 32 | part.low >> 32) + ((part.low & 0xFFFFFFFF) != 0 ? 1 : 0);
      kept = kept_ids(row, needed > 0 ? needed : 1, warps, found[0]);
      total = total_of_kept();
    }
    const SampleKey& key = at(args.key)[n];
    const uint64_t bits = random_bits({key.seed, key.round << 32 | key.ordinal, key.stream,
                                       key.sample, key.position}) >>
                          11;
    const Wide place = product_of(bits, total);
    chosen = find_in_order(V, place.high << 11 | place.low >> 53, weight, warps, found[0]);
  } else {
    float most = -3.0e38f;
    for (int v = thread_index(); v < V; v += kRowThreads) most = logit[v] > most ? logit[v] : most;
    TROUPE_UNROLL
    for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
      const float other = shuffle_xor(kAllLanes, most, lanes);
      most = other > most ? other : most;
    }
    sync_block();
    if (thread_index() % kWarp == 0) maxima[thread_index() / kWarp] = most;
    sync_block();
    TROUPE_UNROLL
    for (int w = 0; w < kRowWarps; ++w) most = maxima[w] > most ? maxima[w] : most;
    chosen = find_in_order(
        V, 0, [&](int v) { return static_cast<uint64_t>(logit[v] == most); }, warps, found[0]);
  }
  if (thread_index() == 0) {
    at(args.token)[n] = chosen;
    at(args.logprob)[n] = divide(logit[chosen], temperature) - lse;
  }
}

void sample(StreamHandle stream, const Sample& args) {
  TROUPE_CHECK(args.V > 0 && args.V <= INT32_MAX / 2);
  TROUPE_CHECK(args.temperature >= 0 && args.top_p >= 0);
  TROUPE_CHECK(args.N <= INT32_MAX);
  if (args.N == 0) return;
  const uint64_t top_p =
      args.top_p < 1 ? static_cast<uint64_t>(args.top_p * 4294967296.0f) : uint64_t{1} << 32;
  launch(sample_kernel, static_cast<unsigned>(args.N), kRowThreads, 0, stream, args, top_p,
         rows_are_aligned(args.logit, args.V));
}

}  // namespace troupe::kernels::cuda
