#include "model/transformer/rope.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementary.h"

namespace troupe::model {
namespace {

using kernels::log_exact;

constexpr double kTwoPi = 6.283185307179586;

double yarn_magnitude(double factor, double mscale) {
  return factor <= 1 ? 1 : 0.1 * mscale * log_exact(factor) + 1;
}

// YaRN blends between stretched and plain angles over the pairs whose wavelength makes between
// beta_slow and beta_fast turns in the original context.
double yarn_frequency(const TransformerConfig& config, double plain, int64_t pair) {
  const RopeScaling& scaling = config.rope_scaling;
  const auto P = static_cast<double>(config.rotated_dim());
  const auto pair_of_turns = [&](double turns) {
    return P * log_exact(scaling.original_max_position_embeddings / (turns * kTwoPi)) /
           (2 * log_exact(config.rope_theta));
  };
  const double low = std::max(std::floor(pair_of_turns(scaling.beta_fast)), 0.0);
  double high = std::min(std::ceil(pair_of_turns(scaling.beta_slow)), P - 1);
  if (low == high) high += 0.001;
  const double ramp = std::clamp((static_cast<double>(pair) - low) / (high - low), 0.0, 1.0);
  return plain / scaling.factor * ramp + plain * (1 - ramp);
}

double llama3_frequency(const RopeScaling& scaling, double plain) {
  const double turns = scaling.original_max_position_embeddings * plain / kTwoPi;
  if (turns < scaling.low_freq_factor) return plain / scaling.factor;
  if (turns > scaling.high_freq_factor) return plain;
  const double smooth =
      (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return (1 - smooth) * plain / scaling.factor + smooth * plain;
}

double frequency(const TransformerConfig& config, int64_t pair) {
  const double plain =
      kernels::exp_exact(-log_exact(config.rope_theta) * static_cast<double>(2 * pair) /
                         static_cast<double>(config.rotated_dim()));
  switch (config.rope_scaling.kind) {
    case RopeScaling::Kind::kNone:
      return plain;
    case RopeScaling::Kind::kLinear:
      return plain / config.rope_scaling.factor;
    case RopeScaling::Kind::kLlama3:
      return llama3_frequency(config.rope_scaling, plain);
    case RopeScaling::Kind::kYarn:
      return yarn_frequency(config, plain, pair);
  }
  return plain;
}

double magnitude(const RopeScaling& scaling) {
  if (scaling.kind != RopeScaling::Kind::kYarn) return 1;
  if (scaling.attention_factor > 0) return scaling.attention_factor;
  if (scaling.mscale > 0 && scaling.mscale_all_dim > 0) {
    return yarn_magnitude(scaling.factor, scaling.mscale) /
           yarn_magnitude(scaling.factor, scaling.mscale_all_dim);
  }
  return yarn_magnitude(scaling.factor, 1);
}

}  // namespace

std::vector<float> rope_table(const TransformerConfig& config, int64_t positions) {
  const int64_t P = config.rotated_dim();
  const double size = magnitude(config.rope_scaling);
  std::vector<float> table(static_cast<size_t>(positions * P));
  for (int64_t pair = 0; pair < P / 2; ++pair) {
    const double step = frequency(config, pair);
    for (int64_t position = 0; position < positions; ++position) {
      const double angle = static_cast<double>(position) * step;
      float* to = table.data() + position * P + 2 * pair;
      to[0] = static_cast<float>(size * kernels::cos_exact(angle));
      to[1] = static_cast<float>(size * kernels::sin_exact(angle));
    }
  }
  return table;
}

float attention_scale(const TransformerConfig& config) {
  const int64_t head = config.is_latent() ? config.qk_head_dim() : config.head_dim;
  double scale = 1.0 / std::sqrt(static_cast<double>(head));
  const RopeScaling& scaling = config.rope_scaling;
  if (config.is_latent() && scaling.kind == RopeScaling::Kind::kYarn &&
      scaling.mscale_all_dim > 0) {
    const double size = yarn_magnitude(scaling.factor, scaling.mscale_all_dim);
    scale *= size * size;
  }
  return static_cast<float>(scale);
}

}  // namespace troupe::model
