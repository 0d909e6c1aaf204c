// The operations of a mixture of experts.
#include <algorithm>
#include <cmath>
#include <utility>

#include "tests/support/cuda_reference/operations.h"
#include "tests/support/cuda_reference/sums.h"

namespace troupe::cuda_reference {

Gated gate(const std::vector<float>& logit, const std::vector<float>& bias,
           const kernels::Gate& what) {
  const size_t N = static_cast<size_t>(what.N), E = static_cast<size_t>(what.E);
  const size_t K = static_cast<size_t>(what.K), groups = static_cast<size_t>(what.num_groups);
  const size_t size = E / groups;
  Gated out{{}, {}, std::vector<float>(N * E)};
  for (size_t n = 0; n < N; ++n) {
    const float* x = logit.data() + n * E;
    float* score = out.score.data() + n * E;
    if (what.is_softmax) {
      const float most = *std::max_element(x, x + E);
      for (size_t e = 0; e < E; ++e) score[e] = exponential(x[e] - most);
      const float sum = sum_of_products(
          what.E, [&](size_t e) { return score[e]; }, [](size_t) { return 1.0f; });
      for (size_t e = 0; e < E; ++e) score[e] /= sum;
    } else {
      for (size_t e = 0; e < E; ++e) score[e] = 1.0f / (1.0f + exponential(-x[e]));
    }
    const auto biased = [&](size_t e) { return bias.empty() ? score[e] : score[e] + bias[e]; };

    // Sorted by merit; stable, so that the smaller index comes first among equals.
    std::vector<std::pair<float, size_t>> ranked;
    const auto by_merit = [](const auto& a, const auto& b) { return a.first > b.first; };
    for (size_t g = 0; g < groups; ++g) {
      std::vector<float> members;
      for (size_t e = g * size; e < (g + 1) * size; ++e) members.push_back(biased(e));
      std::sort(members.rbegin(), members.rend());
      const bool is_sum = size > 1 && !what.groups_by_best;
      ranked.emplace_back(is_sum ? members[0] + members[1] : members[0], g);
    }
    std::stable_sort(ranked.begin(), ranked.end(), by_merit);
    ranked.resize(std::min(groups, static_cast<size_t>(what.groups_kept)));
    std::vector<size_t> kept;
    for (const auto& group : ranked) kept.push_back(group.second);
    std::sort(kept.begin(), kept.end());
    ranked.clear();
    for (const size_t g : kept) {
      for (size_t e = g * size; e < (g + 1) * size; ++e) ranked.emplace_back(biased(e), e);
    }
    std::stable_sort(ranked.begin(), ranked.end(), by_merit);
    std::vector<size_t> chosen;
    for (size_t k = 0; k < K; ++k) chosen.push_back(ranked[k].second);
    std::sort(chosen.begin(), chosen.end());

    float sum = 0;
    for (const size_t e : chosen) sum += score[e];
    for (const size_t e : chosen) {
      out.expert.push_back(static_cast<int32_t>(e));
      out.weight.push_back((what.normalises ? score[e] / (sum + 1e-20f) : score[e]) * what.scaling);
    }
  }
  return out;
}

std::vector<uint16_t> gate_backward(const std::vector<float>& dweight,
                                    const std::vector<int32_t>& expert,
                                    const std::vector<float>& score,
                                    const kernels::GateBackward& what) {
  const size_t N = static_cast<size_t>(what.N), E = static_cast<size_t>(what.E);
  const size_t K = static_cast<size_t>(what.K);
  std::vector<uint16_t> dlogit(N * E);
  for (size_t n = 0; n < N; ++n) {
    const float* row = score.data() + n * E;
    std::vector<float> own, dscore;
    for (size_t k = 0; k < K; ++k) {
      own.push_back(row[static_cast<size_t>(expert[n * K + k])]);
      dscore.push_back(dweight[n * K + k] * what.scaling);
    }
    const auto dot = [&] {
      float sum = 0;
      for (size_t k = 0; k < K; ++k) sum = std::fma(dscore[k], own[k], sum);
      return sum;
    };
    if (what.normalises) {
      float sum = 0;
      for (const float s : own) sum += s;
      sum += 1e-20f;
      const float shared = dot() / (sum * sum);
      for (float& d : dscore) d = d / sum - shared;
    }
    const float mean = what.is_softmax ? dot() : 0;
    for (size_t e = 0; e < E; ++e) {
      dlogit[n * E + e] = to_bf16(what.is_softmax ? row[e] * (0.0f - mean) : 0.0f);
    }
    for (size_t k = 0; k < K; ++k) {
      const float gradient =
          what.is_softmax ? own[k] * (dscore[k] - mean) : dscore[k] * (own[k] * (1.0f - own[k]));
      dlogit[n * E + static_cast<size_t>(expert[n * K + k])] = to_bf16(gradient);
    }
  }
  return dlogit;
}

Routed route(const std::vector<int32_t>& expert, int64_t E, int64_t K) {
  Routed out{{0}, {}, std::vector<int32_t>(expert.size())};
  for (int64_t e = 0; e < E; ++e) {
    for (size_t slot = 0; slot < expert.size(); ++slot) {
      if (expert[slot] != e) continue;
      out.slot_row[slot] = static_cast<int32_t>(out.row_token.size());
      out.row_token.push_back(static_cast<int32_t>(static_cast<int64_t>(slot) / K));
    }
    out.offsets.push_back(static_cast<int32_t>(out.row_token.size()));
  }
  return out;
}

void combine(std::vector<float>& out, const std::vector<float>& rows,
             const std::vector<float>& weight, const std::vector<int32_t>& slot_row, int64_t D,
             int64_t K) {
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t token = i / static_cast<size_t>(D), d = i % static_cast<size_t>(D);
    float sum = 0;
    for (size_t slot = token * size_t(K); slot < (token + 1) * size_t(K); ++slot) {
      const float value = rows[static_cast<size_t>(slot_row[slot]) * static_cast<size_t>(D) + d];
      sum += weight.empty() ? value : weight[slot] * value;
    }
    out[i] += sum;
  }
}

}  // namespace troupe::cuda_reference
