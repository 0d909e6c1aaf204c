// Gate of gate.h on CUDA, and its gradient: a block for each token. All threads make scores, the
// first warp chooses.
#include "kernels/gate.h"

#include "kernels/cuda/device.h"
#include "kernels/cuda/elementary.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/row.h"
#include "schemas/check.h"

namespace troupe::kernels::cuda {
namespace {

constexpr float kTaken = -3.0e38f;  // Below every biased score.
constexpr int64_t kExpertsMax = 8192, kLanes = kWarp;
constexpr int kNone = INT32_MAX;

TROUPE_DEVICE float larger(float a, float b) { return b > a ? b : a; }

// The largest number of a row, `lowest` where there is none.
TROUPE_DEVICE float row_max(const float* row, int E, float (&warps)[kRowWarps], float lowest) {
  float most = lowest;
  for (int e = thread_index(); e < E; e += kRowThreads) most = larger(most, row[e]);
  TROUPE_UNROLL
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    most = larger(most, shuffle_xor(kAllLanes, most, lanes));
  }
  if (thread_index() % kWarp == 0) warps[thread_index() / kWarp] = most;
  sync_block();
  TROUPE_UNROLL
  for (int w = 0; w < kRowWarps; ++w) most = larger(most, warps[w]);
  return most;
}

// Lane g has group g: how good it is. The experts of those that are not kept are taken.
TROUPE_DEVICE void keep_groups(const Gate& args, float* biased, int lane) {
  const int groups = static_cast<int>(args.num_groups), size = static_cast<int>(args.E) / groups;
  float best = kTaken, second = kTaken;
  for (int e = lane * size; lane < groups && e < (lane + 1) * size; ++e) {
    if (biased[e] > best) {
      second = best;
      best = biased[e];
    } else if (biased[e] > second) {
      second = biased[e];
    }
  }
  const float merit = size > 1 && !args.groups_by_best ? best + second : best;
  int num_better = 0;
  for (int g = 0; g < groups; ++g) {
    const float other = shuffle(kAllLanes, merit, g);
    if (other > merit || (other == merit && g < lane)) ++num_better;
  }
  if (lane < groups && num_better >= args.groups_kept) {
    for (int e = lane * size; e < (lane + 1) * size; ++e) biased[e] = kTaken;
  }
  sync_warp(kAllLanes);
}

// The expert with the largest biased score, the smaller index among equals; kNone if there is none.
TROUPE_DEVICE int best_expert(const float* biased, int E, int lane) {
  float best = kTaken;
  int index = kNone;
  for (int e = lane; e < E; e += kWarp) {
    if (biased[e] > best) {
      best = biased[e];
      index = e;
    }
  }
  TROUPE_UNROLL
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    const float other = shuffle_xor(kAllLanes, best, lanes);
    const int other_index = shuffle_xor(kAllLanes, index, lanes);
    if (other > best || (other == best && other_index < index)) {
      best = other;
      index = other_index;
    }
  }
  return index;
}

}  // namespace

TROUPE_KERNEL(kRowThreads) gate_kernel(Gate args) {
  TROUPE_SHARED(float, partials, kRowWarps);
  TROUPE_SHARED(float, maxima, kRowWarps);
  TROUPE_SHARED(int, chosen, kWarp);
  TROUPE_DYNAMIC_SHARED(bytes);
  float* biased = reinterpret_cast<float*>(bytes);  // (E)
  const int E = static_cast<int>(args.E), K = static_cast<int>(args.K);
  const int64_t n = block_index().x;
  const int lane = thread_index() % kWarp;
  const float* logit = at(args.logit) + n * E;
  float* score = at(args.score) + n * E;

  float total = 1;
  if (args.is_softmax) {
    const float most = row_max(logit, E, maxima, kTaken);
    float sum = 0;
    for (int first = thread_index() * 4; first < E; first += kRowStep) {
      for (int e = first; e < E && e < first + 4; ++e) {
        biased[e] = exponential(logit[e] - most);
        sum += biased[e];
      }
    }
    total = row_sum(sum, partials);  // Its barrier makes the exponentials everyone's.
  }
  for (int e = thread_index(); e < E; e += kRowThreads) {
    const float value = args.is_softmax ? divide(biased[e], total) : sigmoid(logit[e]);
    score[e] = value;
    biased[e] = args.bias.address != 0 ? value + at(args.bias)[e] : value;
  }
  sync_block();
  if (thread_index() >= kWarp) return;

  if (args.groups_kept < args.num_groups) keep_groups(args, biased, lane);
  int mine = kNone;  // Lane k has the expert that was chosen k-th.
  for (int k = 0; k < K; ++k) {
    int best = best_expert(biased, E, lane);
    // Scores that are not numbers compare with nothing: any fixed choice will do.
    if (best == kNone) best = k;
    sync_warp(kAllLanes);
    if (lane == 0) biased[best] = kTaken;
    sync_warp(kAllLanes);
    if (lane == k) mine = best;
  }
  int place = 0;
  for (int k = 0; k < K; ++k) {
    const int other = shuffle(kAllLanes, mine, k);
    if (other < mine || (other == mine && k < lane)) ++place;
  }
  if (lane < K) chosen[place] = mine;
  sync_warp(kAllLanes);
  const int expert = lane < K ? chosen[lane] : 0;
  const float own = score[expert];
  float sum = 0;
  for (int k = 0; k < K; ++k) sum += shuffle(kAllLanes, own, k);
  if (lane < K) {
    at(args.expert)[n * K + lane] = expert;
    at(args.weight)[n * K + lane] =
        (args.normalises ? divide(own, sum + 1e-20f) : own) * args.scaling;
  }
}

// The first warp makes what the chosen experts get; all threads write the row.
TROUPE_KERNEL(kRowThreads) gate_backward_kernel(GateBackward args) {
  TROUPE_SHARED(int, chosen, kWarp);
  TROUPE_SHARED(float, gradients, kWarp);
  TROUPE_SHARED(float, means, 1);
  const int E = static_cast<int>(args.E), K = static_cast<int>(args.K);
  const int64_t n = block_index().x;
  const int lane = thread_index() % kWarp;
  const float* score = at(args.score) + n * E;
  uint16_t* dlogit = bf16_at(args.dlogit) + n * E;
  if (thread_index() < kWarp) {
    // Lane k has the k-th chosen expert; beyond K all is zero.
    const int expert = lane < K ? at(args.expert)[n * K + lane] : 0;
    const float own = lane < K ? score[expert] : 0;
    float d = lane < K ? at(args.dweight)[n * K + lane] * args.scaling : 0;
    if (args.normalises) {
      float sum = 0, dot = 0;
      for (int k = 0; k < K; ++k) {
        const float other = shuffle(kAllLanes, own, k);
        sum += other;
        dot = fma(shuffle(kAllLanes, d, k), other, dot);
      }
      sum += 1e-20f;
      d = divide(d, sum) - divide(dot, sum * sum);
    }
    float mean = 0;
    for (int k = 0; k < K; ++k) {
      mean = fma(shuffle(kAllLanes, d, k), shuffle(kAllLanes, own, k), mean);
    }
    if (lane == 0) means[0] = mean;
    chosen[lane] = expert;
    gradients[lane] = args.is_softmax ? own * (d - mean) : d * (own * (1.0f - own));
  }
  sync_block();
  for (int e = thread_index(); e < E; e += kRowThreads) {
    float gradient = args.is_softmax ? score[e] * (0.0f - means[0]) : 0;
    for (int k = 0; k < K; ++k) {
      if (chosen[k] == e) gradient = gradients[k];
    }
    dlogit[e] = to_bf16(gradient);
  }
}

void gate(StreamHandle stream, const Gate& args) {
  TROUPE_CHECK(args.E > 0 && args.E <= kExpertsMax);
  TROUPE_CHECK(args.K <= kLanes && args.K <= args.E);
  TROUPE_CHECK(args.groups_kept >= args.num_groups ||
               (args.num_groups <= kLanes && args.E % args.num_groups == 0));
  TROUPE_CHECK(args.N <= INT32_MAX);
  if (args.N == 0) return;
  launch(gate_kernel, static_cast<unsigned>(args.N), kRowThreads,
         static_cast<size_t>(args.E) * sizeof(float), stream, args);
}

void gate_backward(StreamHandle stream, const GateBackward& args) {
  TROUPE_CHECK(args.dlogit.element_bytes == 2);
  TROUPE_CHECK(args.E > 0 && args.E <= kExpertsMax);
  TROUPE_CHECK(args.K <= kLanes && args.K <= args.E);
  TROUPE_CHECK(args.N <= INT32_MAX);
  if (args.N == 0) return;
  launch(gate_backward_kernel, static_cast<unsigned>(args.N), kRowThreads, 0, stream, args);
}

}  // namespace troupe::kernels::cuda
