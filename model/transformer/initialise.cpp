#include "model/transformer/initialise.h"

#include <cmath>
#include <string_view>

#include "kernels/elementary.h"
#include "kernels/random.h"

namespace troupe::model {
namespace {

// FNV-1a over the name: a stream per tensor that does not move when tensors are added.
uint64_t stream_of(std::string_view name) {
  uint64_t hash = 14695981039346656037ULL;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

// Box and Muller's transform of one block of four words gives two normals.
void fill_normal(float* to, int64_t count, double deviation, uint64_t seed, std::string_view name) {
  const kernels::RandomStream stream(seed, kernels::StreamId::kInit, stream_of(name));
  constexpr double kTwoPi = 6.283185307179586;
  for (int64_t i = 0; i < count; i += 2) {
    const auto words = stream.block_at(static_cast<uint32_t>(i / 2));
    const uint64_t a = uint64_t{words[0]} << 32 | words[1], b = uint64_t{words[2]} << 32 | words[3];
    const double u = (static_cast<double>(a >> 11) + 1.0) * 0x1p-53;  // In (0, 1].
    const double angle = kTwoPi * (static_cast<double>(b >> 11) * 0x1p-53);
    const double radius = deviation * std::sqrt(-2.0 * kernels::log_exact(u));
    to[i] = static_cast<float>(radius * kernels::cos_exact(angle));
    if (i + 1 < count) to[i + 1] = static_cast<float>(radius * kernels::sin_exact(angle));
  }
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

std::vector<float> initial_parameters(const TransformerConfig& config,
                                      const ParameterLayout& layout, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(layout.num_floats()));
  for (const auto& [shape, offset] : layout.by_name()) {
    float* to = values.data() + offset;
    if (!shape.is_matrix()) {
      const float value = ends_with(shape.name, "bias") ? 0.0f : 1.0f;
      for (int64_t i = 0; i < shape.size(); ++i) to[i] = value;
      continue;
    }
    double deviation = 1.0 / std::sqrt(static_cast<double>(shape.cols));
    if (ends_with(shape.name, "o_proj.weight") || ends_with(shape.name, "down_proj.weight") ||
        ends_with(shape.name, ".w2.weight")) {
      deviation /= std::sqrt(2.0 * static_cast<double>(config.num_hidden_layers));
    } else if (shape.name == "model.embed_tokens.weight") {
      deviation = 0.5;
    } else if (shape.name == "lm_head.weight") {
      deviation *= 0.5;
    }
    fill_normal(to, shape.size(), deviation, seed, shape.name);
  }
  return values;
}

}  // namespace troupe::model
