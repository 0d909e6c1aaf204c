// What a policy consists of: named architectures, parameters and their places, and fresh weights.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "model/formats/checkpoint.h"
#include "model/transformer/initialise.h"
#include "tests/support/tiny_policy.h"

namespace troupe::model {
namespace {

TEST_CASE("config: the named ones are valid, and small is about ten times tiny") {
  const auto tiny = named_config("tiny-moe"), small = named_config("small-moe");
  REQUIRE(tiny);
  REQUIRE(small);
  CHECK(validate(*tiny));
  CHECK(validate(*small));
  const auto tiny_size = static_cast<double>(ParameterLayout(*tiny).num_parameters());
  const auto small_size = static_cast<double>(ParameterLayout(*small).num_parameters());
  CHECK(tiny_size > 5e5);
  CHECK(tiny_size < 1e6);
  CHECK(small_size / tiny_size > 7);
  CHECK(small_size / tiny_size < 14);
  const auto none = named_config("large-moe");
  REQUIRE_FALSE(none);
  CHECK(none.error().message.find("tiny-moe, small-moe") != std::string::npos);
}

TEST_CASE("config: every size that cannot be run is refused by name") {
  struct Wrong {
    const char* field;
    int64_t TransformerConfig::*member;
    int64_t value;
  };
  constexpr int64_t kHuge = int64_t{1} << 62;
  const Wrong wrongs[] = {
      {"vocab_size", &TransformerConfig::vocab_size, 0},
      {"vocab_size", &TransformerConfig::vocab_size, kHuge},
      {"hidden_size", &TransformerConfig::hidden_size, -1},
      {"hidden_size", &TransformerConfig::hidden_size, kHuge},
      {"num_hidden_layers", &TransformerConfig::num_hidden_layers, 1025},
      {"num_attention_heads", &TransformerConfig::num_attention_heads, 0},
      {"kv_lora_rank", &TransformerConfig::kv_lora_rank, 0},
      {"qk_nope_head_dim", &TransformerConfig::qk_nope_head_dim, kHuge},
      {"qk_rope_head_dim", &TransformerConfig::qk_rope_head_dim, 15},
      {"v_head_dim", &TransformerConfig::v_head_dim, 0},
      {"q_lora_rank", &TransformerConfig::q_lora_rank, -4},
      {"max_position_embeddings", &TransformerConfig::max_position_embeddings, kHuge},
      {"first_k_dense_replace", &TransformerConfig::first_k_dense_replace, 3},
      {"intermediate_size", &TransformerConfig::intermediate_size, 0},
      {"moe_intermediate_size", &TransformerConfig::moe_intermediate_size, kHuge},
      {"n_routed_experts", &TransformerConfig::n_routed_experts, 4096},
      {"n_shared_experts", &TransformerConfig::n_shared_experts, 65},
      {"n_group", &TransformerConfig::n_group, 3},
      {"topk_group", &TransformerConfig::topk_group, 2},
      {"num_experts_per_tok", &TransformerConfig::num_experts_per_tok, 5},
  };
  CHECK(validate(tests::tiny_config()));
  for (const auto& wrong : wrongs) {
    CAPTURE(wrong.field);
    TransformerConfig config = tests::tiny_config();
    config.*wrong.member = wrong.value;
    const Status status = validate(config);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kInvalidArgument);
    CHECK(status.error().message.find(wrong.field) != std::string::npos);
  }
}

TEST_CASE("config: sizes that are allowed one by one but too much together are refused") {
  TransformerConfig config = tests::tiny_config();
  config.vocab_size = config.hidden_size = 1 << 20;
  config.num_hidden_layers = 64;
  CHECK_FALSE(validate(config));
}

TEST_CASE("parameters: the names are Hugging Face's, all of them and no other") {
  TransformerConfig c = tests::tiny_config();
  c.q_lora_rank = 8;
  std::set<std::string> names;
  for (const auto& shape : parameters(c)) CHECK(names.insert(shape.name).second);
  std::set<std::string> want = {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"};
  for (int layer = 0; layer < 2; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    for (const char* name :
         {"input_layernorm", "post_attention_layernorm", "self_attn.q_a_proj",
          "self_attn.q_a_layernorm", "self_attn.q_b_proj", "self_attn.kv_a_proj_with_mqa",
          "self_attn.kv_a_layernorm", "self_attn.kv_b_proj", "self_attn.o_proj"}) {
      want.insert(prefix + name + ".weight");
    }
  }
  std::vector<std::string> mlps = {"model.layers.0.mlp.", "model.layers.1.mlp.shared_experts."};
  for (int e = 0; e < 4; ++e) {
    mlps.push_back("model.layers.1.mlp.experts." + std::to_string(e) + ".");
  }
  for (const auto& mlp : mlps) {
    for (const char* part : {"gate_proj", "up_proj", "down_proj"})
      want.insert(mlp + part + ".weight");
  }
  want.insert("model.layers.1.mlp.gate.weight");
  want.insert("model.layers.1.mlp.gate.e_score_correction_bias");
  CHECK(names == want);

  c.q_lora_rank = 0;
  names.clear();
  for (const auto& shape : parameters(c)) names.insert(shape.name);
  CHECK(names.count("model.layers.0.self_attn.q_proj.weight") == 1);
  CHECK(names.count("model.layers.0.self_attn.q_a_proj.weight") == 0);
}

TEST_CASE("layout: places do not overlap, and experts lie at equal distances in numeric order") {
  TransformerConfig c = tests::tiny_config();
  c.n_routed_experts = 13;
  c.moe_intermediate_size = 7;  // Needs a gap after each tensor.
  const ParameterLayout layout(c);
  std::vector<std::pair<int64_t, int64_t>> places;
  int64_t floats = 0;
  std::string last;
  for (const auto& [shape, offset] : layout.by_name()) {
    CHECK(last < shape.name);
    last = shape.name;
    CHECK(offset % 16 == 0);
    CHECK(layout.offset(shape.name) == offset);
    places.emplace_back(offset, offset + shape.size());
    floats += shape.size();
  }
  CHECK(floats == layout.num_parameters());
  std::sort(places.begin(), places.end());
  for (size_t i = 1; i < places.size(); ++i) CHECK(places[i - 1].second <= places[i].first);
  CHECK(places.back().second <= layout.num_floats());
  for (const char* part : {"gate_proj", "up_proj", "down_proj"}) {
    const auto at = [&](int e) {
      return layout.offset("model.layers.1.mlp.experts." + std::to_string(e) + "." + part +
                           ".weight");
    };
    for (int e = 1; e < 13; ++e) CHECK(at(e) - at(e - 1) == at(1) - at(0));
    CHECK(at(1) > at(0));
  }
}

TEST_CASE("initial weights: a function of seed and names, pinned for tiny-moe") {
  const auto config = *named_config("tiny-moe");
  const ParameterLayout layout(config);
  const auto values = initial_parameters(config, layout, 1);
  CHECK(initial_parameters(config, layout, 1) == values);
  CHECK(initial_parameters(config, layout, 2) != values);
  // Every history begins here: a change of this hash is a change of all of them.
  CHECK(checkpoint_sha256(config, values) ==
        "b7f13da7f95ba3a4f5290dd6f3ef424e279c7598f96462ce2c3a3e794452e403");
  // Another architecture with a tensor of the same name and shape begins with the same numbers.
  TransformerConfig deeper = config;
  deeper.n_routed_experts = 16;
  const ParameterLayout other(deeper);
  const auto more = initial_parameters(deeper, other, 1);
  const std::string name = "model.embed_tokens.weight";
  CHECK(std::equal(values.begin() + layout.offset(name),
                   values.begin() + layout.offset(name) + 272 * 128,
                   more.begin() + other.offset(name)));
}

TEST_CASE("initial weights: mean zero and the variance of their kind") {
  const auto config = *named_config("tiny-moe");
  const ParameterLayout layout(config);
  const auto values = initial_parameters(config, layout, 3);
  for (const auto& [shape, offset] : layout.by_name()) {
    CAPTURE(shape.name);
    const float* x = values.data() + offset;
    const auto n = static_cast<double>(shape.size());
    if (!shape.is_matrix()) {
      const float want = shape.is_float32 ? 0.0f : 1.0f;
      for (int64_t i = 0; i < shape.size(); ++i) REQUIRE(x[i] == want);
      continue;
    }
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < shape.size(); ++i) {
      sum += static_cast<double>(x[i]);
      squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
    const auto ends = [&](const std::string& end) {
      return shape.name.size() > end.size() &&
             shape.name.compare(shape.name.size() - end.size(), end.size(), end) == 0;
    };
    double want = 1.0 / static_cast<double>(shape.cols);
    if (ends("o_proj.weight") || ends("down_proj.weight")) want /= 2.0 * 3;
    if (shape.name == "model.embed_tokens.weight") want = 0.25;
    if (shape.name == "lm_head.weight") want /= 4;
    // Five deviations of the estimates.
    CHECK(std::fabs(sum / n) < 5 * std::sqrt(want / n));
    CHECK(std::fabs(squares / n / want - 1) < 5 * std::sqrt(2 / n));
  }
}

}  // namespace
}  // namespace troupe::model
