#include "cluster/planner/pace.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace troupe::cluster {
namespace {

constexpr double kPieceTokens = 4096;  // As in round_model.cpp.

double between(const std::vector<double>& x, const std::vector<double>& y, double at) {
  const auto above = std::lower_bound(x.begin(), x.end(), at);
  if (above == x.begin()) return y.front();
  if (above == x.end()) return y.back();
  const auto i = static_cast<size_t>(above - x.begin());
  return y[i - 1] + (y[i] - y[i - 1]) * (at - x[i - 1]) / (x[i] - x[i - 1]);
}

}  // namespace

double Pace::seconds_at(double at_tokens) const { return between(tokens, seconds, at_tokens); }

double Pace::tokens_at(double at_seconds) const { return between(seconds, tokens, at_seconds); }

Pace pace_of(std::vector<double> all, const DrawnInputs& inputs, const PlanLayout& layout) {
  const CostInputs& in = inputs.costs;
  const RoundLengths lengths = exact_lengths(std::move(all), inputs.lengths.prompt_tokens);
  const auto width = static_cast<double>(layout.width);
  Pace pace;
  double alive = lengths.responses;
  for (const SurvivalPoint& point : lengths.curve) {
    const double begin = pace.tokens.back();
    const double pieces = std::ceil((point.tokens - begin) / kPieceTokens);
    for (double i = 0; i < pieces; ++i) {
      const double tokens = (point.tokens - begin) / pieces;
      const double context = lengths.prompt_tokens + begin + (i + 0.5) * tokens;
      pace.tokens.push_back(begin + (i + 1) * tokens);
      pace.seconds.push_back(pace.seconds.back() +
                             tokens / decode_rate(in, alive / width, context, layout.width));
    }
    alive = point.after;
  }
  RoundCosts costs;
  costs.rate = [&in, &layout](double responses, double context) {
    return decode_rate(in, responses, context, layout.width);
  };
  costs.cache_tokens = cache_tokens(in, layout);
  if (peak_cache_tokens(lengths, width) <= costs.cache_tokens) return pace;
  const double slower = generation_seconds(lengths, costs, width) / pace.seconds.back();
  for (double& one : pace.seconds) one *= slower;
  return pace;
}

}  // namespace troupe::cluster
