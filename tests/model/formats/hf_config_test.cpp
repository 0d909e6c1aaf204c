#include "model/formats/hf_config.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "model/formats/file.h"
#include "tests/support/temp_dir.h"

namespace troupe::model {
namespace {

using Json = nlohmann::json;

TransformerConfig example() {
  return {
      .vocab_size = 264,
      .hidden_size = 64,
      .num_hidden_layers = 3,
      .first_k_dense_replace = 1,
      .intermediate_size = 128,
      .moe_intermediate_size = 32,
      .n_routed_experts = 8,
      .n_shared_experts = 1,
      .num_experts_per_tok = 2,
      .n_group = 2,
      .topk_group = 1,
      .norm_topk_prob = true,
      .routed_scaling_factor = 2.5,
      .num_attention_heads = 2,
      .q_lora_rank = 0,
      .kv_lora_rank = 32,
      .qk_nope_head_dim = 32,
      .qk_rope_head_dim = 16,
      .v_head_dim = 32,
      .rms_norm_eps = 1e-6,
      .rope_theta = 10000.0,
      .max_position_embeddings = 512,
      .bos_token_id = 256,
      .eos_token_id = 257,
  };
}

// The example's file with `field` replaced.
std::string error_with(const char* field, const Json& value) {
  Json json = Json::parse(to_hf_config(example()));
  json[field] = value;
  const auto result = parse_hf_config(json.dump(), "m/config.json");
  if (result) return "";
  CHECK(result.error().code == ErrorCode::kInvalidArgument);
  CHECK(result.error().message.find('\n') == std::string::npos);
  return result.error().message;
}

TEST_CASE("hf_config: what is written is read") {
  TransformerConfig config = example();
  auto read = parse_hf_config(to_hf_config(config), "config.json");
  REQUIRE(read);
  CHECK(*read == config);

  config.q_lora_rank = 48;
  config.rope_theta = 50000.5;
  read = parse_hf_config(to_hf_config(config), "config.json");
  REQUIRE(read);
  CHECK(*read == config);
}

TEST_CASE("hf_config: the file has what transformers looks for, in its types") {
  const Json json = Json::parse(to_hf_config(example()));
  CHECK(json["architectures"] == Json::array({"DeepseekV3ForCausalLM"}));
  CHECK(json["model_type"] == "deepseek_v3");
  CHECK(json["scoring_func"] == "sigmoid");
  CHECK(json["topk_method"] == "noaux_tc");
  CHECK(json["hidden_act"] == "silu");
  CHECK(json["rope_interleave"] == true);
  CHECK(json["q_lora_rank"].is_null());
  CHECK(json["rope_scaling"].is_null());
  CHECK(json["rope_theta"].is_number_float());
  CHECK(json["num_key_value_heads"] == 2);
  CHECK(json["tie_word_embeddings"] == false);
  CHECK(json["torch_dtype"] == "bfloat16");
  CHECK_FALSE(json.contains("quantization_config"));
}

TEST_CASE("hf_config: what this program does not compute is refused by name") {
  const auto refused = [](const char* field, const Json& value, const char* word) {
    CAPTURE(field);
    const std::string error = error_with(field, value);
    CAPTURE(error);
    CHECK(error.find("m/config.json: ") == 0);
    CHECK(error.find(field) != std::string::npos);
    CHECK(error.find(word) != std::string::npos);
  };
  refused("model_type", "llama", "\"deepseek_v3\"");
  refused("model_type", nullptr, "missing");
  refused("architectures", Json::array({"LlamaForCausalLM"}), "LlamaForCausalLM");
  refused("rope_scaling", {{"type", "yarn"}}, "yarn");
  refused("attention_bias", true, "true");
  refused("tie_word_embeddings", true, "true");
  refused("moe_layer_freq", 2, "only 1");
  refused("scoring_func", "softmax", "sigmoid");
  refused("topk_method", "greedy", "noaux_tc");
  refused("hidden_act", "gelu", "silu");
  refused("rope_interleave", false, "true");
  refused("quantization_config", {{"quant_method", "awq"}}, "awq");
  refused("num_nextn_predict_layers", 1, "only 0");
  refused("num_key_value_heads", 1, "num_attention_heads");
  refused("rope_parameters", {{"rope_type", "yarn"}}, "yarn");
}

TEST_CASE("hf_config: missing fields and wrong types are named") {
  CHECK(error_with("hidden_size", nullptr) == "m/config.json: hidden_size is missing");
  CHECK(error_with("hidden_size", "64").find("must be an integer") != std::string::npos);
  CHECK(error_with("hidden_size", -64).find("out of range") != std::string::npos);
  CHECK(error_with("hidden_size", 18446744073709551615u).find("out of range") != std::string::npos);
  CHECK(error_with("eos_token_id", Json::array({1, 2})).find("eos_token_id") != std::string::npos);
  CHECK(error_with("eos_token_id", 3'000'000'000).find("out of range") != std::string::npos);
  CHECK(error_with("norm_topk_prob", 1).find("true or false") != std::string::npos);
  CHECK(error_with("rms_norm_eps", "x").find("must be a number") != std::string::npos);
  CHECK_FALSE(parse_hf_config("{", "c"));
  CHECK_FALSE(parse_hf_config("[]", "c"));
}

TEST_CASE("hf_config: fields that do not change the mathematics are ignored") {
  CHECK(error_with("transformers_version", "4.57.0") == "");
  CHECK(error_with("rope_parameters", {{"rope_type", "default"}, {"rope_theta", 10000}}) == "");
}

TEST_CASE("hf_config: a folder is read by its config.json, and a missing one is named") {
  const tests::TempDir dir;
  const auto missing = load_hf_config(dir.path());
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message.find("config.json") != std::string::npos);
  REQUIRE(write_file(dir.file("config.json"), to_hf_config(example())));
  const auto loaded = load_hf_config(dir.path());
  REQUIRE(loaded);
  CHECK(*loaded == example());
}

}  // namespace
}  // namespace troupe::model
