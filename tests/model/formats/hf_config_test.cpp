#include "model/formats/hf_config.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "model/formats/file.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_policy.h"

namespace troupe::model {
namespace {

using Json = nlohmann::json;
using Kind = RopeScaling::Kind;

const std::string kOrigin = "m/config.json";

Json file_of(Family family) { return Json::parse(to_hf_config(tests::tiny_config(family))); }

Result<TransformerConfig> parse(const Json& json) { return parse_hf_config(json.dump(), kOrigin); }

// The family's file with `field` replaced.
std::string error_with(Family family, const char* field, const Json& value) {
  Json json = file_of(family);
  json[field] = value;
  const auto result = parse(json);
  if (result) return "";
  CHECK(result.error().code == ErrorCode::kInvalidArgument);
  CHECK(result.error().message.find('\n') == std::string::npos);
  return result.error().message;
}

TransformerConfig accepted(const Json& json) {
  const auto result = parse(json);
  REQUIRE_MESSAGE(result, result.error().message);
  return *result;
}

TransformerConfig accepted_with(Family family, const char* field, const Json& value) {
  Json json = file_of(family);
  json[field] = value;
  return accepted(json);
}

TransformerConfig accepted_without(Family family, const char* field) {
  Json json = file_of(family);
  json.erase(field);
  return accepted(json);
}

void check_refused(Family family, const char* field, const Json& value, const char* word) {
  CAPTURE(static_cast<int>(family));
  CAPTURE(field);
  const std::string error = error_with(family, field, value);
  CAPTURE(error);
  CHECK(error.find(kOrigin + ": ") == 0);
  CHECK(error.find(field) != std::string::npos);
  CHECK(error.find(word) != std::string::npos);
}

TEST_CASE("hf_config: what is written is read, of every family") {
  for (const Family family : tests::kFamilies) {
    CAPTURE(static_cast<int>(family));
    TransformerConfig config = tests::tiny_config(family);
    const auto check = [&] {
      const std::string text = to_hf_config(config);
      const auto read = parse_hf_config(text, kOrigin);
      REQUIRE_MESSAGE(read, read.error().message);
      CHECK(*read == config);
      CHECK(to_hf_config(*read) == text);
    };
    check();
    config.tie_word_embeddings = !config.tie_word_embeddings;
    config.rope_theta = 50000.5;
    config.rms_norm_eps = 3e-5;
    config.bos_token_id = -1;
    config.more_eos_token_ids = {7, 5};
    config.vocab_size = 151'936;
    if (config.is_latent()) config.q_lora_rank = 48;
    if (!config.is_latent()) config.num_key_value_heads = 1;
    if (family == Family::kQwen3Moe) {
      config.norm_topk_prob = false;
      config.first_k_dense_replace = 1;
    }
    if (family == Family::kDeepseekV2) config.n_group = config.topk_group = 1;
    if (config.is_latent()) config.routed_scaling_factor = 2.5;
    config.rope_scaling = {.kind = Kind::kLinear, .factor = 2.5};
    check();
    config.rope_scaling = {.kind = Kind::kLlama3,
                           .factor = 32,
                           .original_max_position_embeddings = 8192,
                           .low_freq_factor = 2,
                           .high_freq_factor = 5.5};
    check();
    config.rope_scaling = {.kind = Kind::kYarn,
                           .factor = 40,
                           .original_max_position_embeddings = 4096,
                           .beta_fast = 16,
                           .beta_slow = 2,
                           .mscale = 1,
                           .mscale_all_dim = 0.5,
                           .attention_factor = 1.25};
    check();
    config.eos_token_id = -1;
    config.more_eos_token_ids.clear();
    check();
  }
}

TEST_CASE("hf_config: every field of the file counts") {
  // Another number or the opposite, in each field that our configuration has.
  for (const Family family : tests::kFamilies) {
    CAPTURE(static_cast<int>(family));
    const TransformerConfig config = tests::tiny_config(family);
    const Json json = file_of(family);
    int num_changed = 0;
    for (const auto& [field, value] : json.items()) {
      CAPTURE(field);
      const bool is_ignored = field == "initializer_range" || field == "use_cache" ||
                              field == "torch_dtype" || field == "use_sliding_window" ||
                              field == "num_nextn_predict_layers";
      Json changed = json;
      if (value.is_boolean()) {
        changed[field] = !value.get<bool>();
      } else if (value.is_number_integer()) {
        changed[field] = value.get<int64_t>() + 2;
      } else if (value.is_number()) {
        changed[field] = value.get<double>() * 1.5 + 0.001;
      } else {
        continue;
      }
      // The rotated part has the name of the whole in a latent file, and no meaning.
      if (is_ignored || (config.is_latent() && field == "head_dim")) continue;
      const auto read = parse(changed);
      CHECK_FALSE((read && *read == config));
      ++num_changed;
    }
    CHECK(num_changed > 10);
  }
}

TEST_CASE("hf_config: the file has what transformers looks for, in its types") {
  const Json json = file_of(Family::kDeepseekV3);
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
  CHECK(json["num_nextn_predict_layers"] == 0);
  CHECK(json["tie_word_embeddings"] == false);
  CHECK(json["torch_dtype"] == "bfloat16");
  CHECK_FALSE(json.contains("quantization_config"));

  const Json v2 = file_of(Family::kDeepseekV2);
  CHECK(v2["scoring_func"] == "softmax");
  CHECK(v2["topk_method"] == "group_limited_greedy");
  CHECK(v2["norm_topk_prob"] == false);
  CHECK(v2["rope_scaling"]["type"] == "yarn");
  CHECK(v2["rope_scaling"]["rope_type"] == "yarn");
  CHECK(v2["rope_scaling"]["original_max_position_embeddings"].is_number_integer());
  CHECK_FALSE(v2["rope_scaling"].contains("attention_factor"));

  const Json mixtral = file_of(Family::kMixtral);
  CHECK(mixtral["intermediate_size"] == 16);
  CHECK(mixtral["num_local_experts"] == 4);
  CHECK(mixtral["sliding_window"].is_null());
  CHECK_FALSE(mixtral.contains("moe_intermediate_size"));

  const Json qwen = file_of(Family::kQwen3Moe);
  CHECK(qwen["num_experts"] == 4);
  CHECK(qwen["decoder_sparse_step"] == 1);
  CHECK(qwen["mlp_only_layers"] == Json::array());
  CHECK(qwen["use_sliding_window"] == false);

  TransformerConfig config = tests::tiny_config(Family::kLlama);
  config.bos_token_id = -1;
  config.more_eos_token_ids = {3};
  const Json llama = Json::parse(to_hf_config(config));
  CHECK(llama["bos_token_id"].is_null());
  CHECK(llama["eos_token_id"] == Json::array({1, 3}));
  CHECK(llama["rope_scaling"]["rope_type"] == "llama3");
}

TEST_CASE("hf_config: what this program does not compute is refused by name") {
  using enum Family;
  check_refused(kDeepseekV3, "model_type", "gpt2", "\"deepseek_v3\"");
  check_refused(kDeepseekV3, "model_type", nullptr, "missing");
  check_refused(kDeepseekV3, "model_type", 3, "\"mixtral\"");
  check_refused(kDeepseekV3, "moe_layer_freq", 2, "only 1");
  check_refused(kDeepseekV3, "scoring_func", "softmax", "sigmoid");
  check_refused(kDeepseekV3, "topk_method", "greedy", "noaux_tc");
  check_refused(kDeepseekV3, "rope_interleave", false, "true");
  check_refused(kDeepseekV3, "num_key_value_heads", 1, "num_attention_heads");
  check_refused(kDeepseekV2, "topk_method", "noaux_tc", "group_limited_greedy");
  check_refused(kDeepseekV2, "scoring_func", "sigmoid", "softmax");
  check_refused(kDeepseekV2, "norm_topk_prob", true, "false");
  check_refused(kDeepseekV2, "n_group", nullptr, "missing");
  check_refused(kLlama, "mlp_bias", true, "false");
  check_refused(kLlama, "pretraining_tp", 2, "only 1");
  check_refused(kQwen3Moe, "decoder_sparse_step", 2, "only 1");
  check_refused(kQwen3Moe, "mlp_only_layers", {1}, "first layers");
  check_refused(kQwen3Moe, "mlp_only_layers", 1, "first layers");
  check_refused(kMixtral, "router_jitter_noise", 0.1, "only 0.0");
  for (const Family family : tests::kFamilies) {
    check_refused(family, "architectures", Json::array({"GPT2LMHeadModel"}), "GPT2LMHeadModel");
    check_refused(family, "hidden_act", "gelu", "silu");
    check_refused(family, "attention_dropout", 0.1, "only 0.0");
    check_refused(family, "partial_rotary_factor", 0.5, "only 1.0");
    check_refused(family, "quantization_config", {{"quant_method", "awq"}}, "awq");
    if (family != kQwen2) check_refused(family, "attention_bias", true, "only false");
  }
}

TEST_CASE("hf_config: a sliding window counts where it would cut something off") {
  using enum Family;
  for (const Family family : {kMistral, kMixtral}) {
    check_refused(family, "sliding_window", 255, "max_position_embeddings, 256");
    CHECK(error_with(family, "sliding_window", 256) == "");
    CHECK(error_with(family, "sliding_window", nullptr) == "");
  }
  for (const Family family : {kQwen2, kQwen3, kQwen3Moe}) {
    CHECK(error_with(family, "sliding_window", 16) == "");
    CHECK(error_with(family, "use_sliding_window", true) == "");  // 4096, and the context is 256.
    Json json = file_of(family);
    json["use_sliding_window"] = true;
    json["sliding_window"] = 16;
    json["max_window_layers"] = 1;
    const auto refused = parse(json);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("sliding_window is 16") != std::string::npos);
    json["max_window_layers"] = 2;  // From a layer on that is not there.
    CHECK(static_cast<bool>(parse(json)) == (family != kQwen3Moe));
    check_refused(family, "layer_types", {"full_attention", "sliding_attention"}, "sliding");
  }
  Json json = file_of(kMistral);
  json["max_position_embeddings"] = 32768;
  json.erase("sliding_window");
  const auto refused = parse(json);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("sliding_window is missing, which means 4096") !=
        std::string::npos);
}

TEST_CASE("hf_config: missing fields and wrong types are named") {
  const auto error = [](const char* field, const Json& value) {
    return error_with(Family::kDeepseekV3, field, value);
  };
  CHECK(error("hidden_size", nullptr) == "m/config.json: hidden_size is missing");
  CHECK(error("hidden_size", "64").find("must be an integer") != std::string::npos);
  CHECK(error("hidden_size", -64).find("out of range") != std::string::npos);
  CHECK(error("hidden_size", 18446744073709551615u).find("out of range") != std::string::npos);
  CHECK(error("eos_token_id", Json::array({1, "2"})).find("eos_token_id") != std::string::npos);
  CHECK(error("eos_token_id", Json::array()).find("eos_token_id") != std::string::npos);
  CHECK(error("eos_token_id", 3'000'000'000).find("out of range") != std::string::npos);
  CHECK(error("bos_token_id", -1).find("out of range") != std::string::npos);
  CHECK(error("norm_topk_prob", 1).find("true or false") != std::string::npos);
  CHECK(error("rms_norm_eps", "x").find("must be a number") != std::string::npos);
  CHECK(error_with(Family::kMixtral, "num_local_experts", nullptr) ==
        "m/config.json: num_local_experts is missing");
  CHECK(error_with(Family::kLlama, "num_key_value_heads", 3).find("must divide") !=
        std::string::npos);
  Json json = file_of(Family::kDeepseekV3);
  json.erase("q_lora_rank");
  CHECK(parse(json).error().message == "m/config.json: q_lora_rank is missing");
  CHECK_FALSE(parse_hf_config("{", "c"));
  CHECK_FALSE(parse_hf_config("[]", "c"));
}

TEST_CASE("hf_config: a missing field means what it means in transformers") {
  using enum Family;
  CHECK(accepted_without(kDeepseekV3, "rms_norm_eps").rms_norm_eps == 1e-6);
  CHECK(accepted_without(kMixtral, "rms_norm_eps").rms_norm_eps == 1e-5);
  CHECK(accepted_without(kLlama, "rope_theta").rope_theta == 10000);
  CHECK(accepted_without(kMixtral, "rope_theta").rope_theta == 1'000'000);
  CHECK(accepted_without(kDeepseekV3, "routed_scaling_factor").routed_scaling_factor == 2.5);
  CHECK(accepted_without(kDeepseekV2, "routed_scaling_factor").routed_scaling_factor == 1);
  CHECK(accepted_without(kDeepseekV2, "first_k_dense_replace").first_k_dense_replace == 0);
  CHECK(accepted_without(kDeepseekV2, "topk_method").n_group == 1);  // Chosen among all.
  CHECK(accepted_without(kQwen3Moe, "norm_topk_prob").norm_topk_prob == false);
  CHECK(accepted_without(kLlama, "bos_token_id").bos_token_id == 1);
  CHECK(accepted_without(kLlama, "eos_token_id").eos_token_ids() == std::vector<int32_t>{2});
  CHECK(accepted_without(kQwen2, "bos_token_id").bos_token_id == -1);
  CHECK(accepted_without(kQwen2, "eos_token_id").eos_token_ids().empty());
  CHECK(accepted_without(kDeepseekV3, "eos_token_id").eos_token_id == 1);
  for (const Family family : tests::kFamilies) {
    CHECK(accepted_without(family, "tie_word_embeddings").tie_word_embeddings == false);
    CHECK(accepted_without(family, "architectures").family == family);
  }
  Json experts = file_of(kDeepseekV3);
  experts["n_routed_experts"] = 16;
  experts.erase("n_group");
  experts.erase("topk_group");
  CHECK(accepted(experts).n_group == 8);
  CHECK(accepted(experts).topk_group == 4);

  // 32 wide, of 4 heads; a head of 24 is what the file says.
  CHECK(accepted_without(kLlama, "head_dim").head_dim == 8);
  CHECK(accepted_with(kQwen3, "head_dim", nullptr).head_dim == 8);
  CHECK(accepted_without(kQwen3, "head_dim").head_dim == 128);
  CHECK(accepted_without(kQwen3Moe, "head_dim").head_dim == 8);
  CHECK(accepted_without(kLlama, "num_key_value_heads").num_key_value_heads == 4);
  CHECK(accepted_with(kMistral, "num_key_value_heads", nullptr).num_key_value_heads == 4);
  Json heads = file_of(kMistral);
  heads["num_attention_heads"] = 16;
  heads.erase("num_key_value_heads");
  CHECK(accepted(heads).num_key_value_heads == 8);
  Json odd = file_of(kLlama);
  odd["hidden_size"] = 30;
  odd.erase("head_dim");
  CHECK(parse(odd).error().message.find("head_dim is missing") != std::string::npos);
}

TEST_CASE("hf_config: the other names that transformers writes are read") {
  Json qwen = file_of(Family::kQwen3Moe);
  qwen["num_local_experts"] = qwen["num_experts"];
  qwen.erase("num_experts");
  CHECK(accepted(qwen) == tests::tiny_config(Family::kQwen3Moe));

  Json llama = file_of(Family::kLlama);
  Json rope = llama["rope_scaling"];
  rope.erase("type");
  rope["rope_theta"] = 500000.0;
  llama.erase("rope_scaling");
  llama.erase("rope_theta");
  llama["rope_parameters"] = rope;
  TransformerConfig wanted = tests::tiny_config(Family::kLlama);
  wanted.rope_theta = 500000;
  CHECK(accepted(llama) == wanted);
  llama["rope_scaling"] = {{"type", "linear"}, {"factor", 2}};  // The older name wins.
  CHECK(accepted(llama).rope_scaling == RopeScaling{.kind = Kind::kLinear, .factor = 2});
  CHECK(accepted(llama).rope_theta == 10000);
}

TEST_CASE("hf_config: every way to stretch rope's angles is read, and no other") {
  const auto read = [](const Json& scaling) {
    return accepted_with(Family::kLlama, "rope_scaling", scaling).rope_scaling;
  };
  CHECK(read(nullptr) == RopeScaling{});
  CHECK(read({{"type", "default"}}) == RopeScaling{});
  CHECK(read(Json::object()) == RopeScaling{});
  CHECK(read({{"type", "dynamic"}, {"rope_type", "linear"}, {"factor", 2.0}}).factor == 2);
  const Json yarn = {{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}};
  RopeScaling wanted{.kind = Kind::kYarn, .factor = 4, .original_max_position_embeddings = 64};
  CHECK(read(yarn) == wanted);
  Json more = yarn;
  more.update({{"beta_fast", 16}, {"beta_slow", 2}, {"attention_factor", 1.5}, {"truncate", true}});
  wanted.beta_fast = 16;
  wanted.beta_slow = 2;
  wanted.attention_factor = 1.5;
  CHECK(read(more) == wanted);
  more = yarn;
  more["factor"] = nullptr;  // As much longer as the context is: 256 of 64.
  CHECK(read(more).factor == 4);
  more.erase("original_max_position_embeddings");
  CHECK(read(more).factor == 1);
  Json outside = file_of(Family::kLlama);
  outside["rope_scaling"] = yarn;
  outside["original_max_position_embeddings"] = 128;
  CHECK(accepted(outside).rope_scaling.original_max_position_embeddings == 128);

  const auto refused = [](Json scaling, const Json& change, const char* field) {
    scaling.update(change);
    const std::string error = error_with(Family::kLlama, "rope_scaling", scaling);
    CAPTURE(error);
    CAPTURE(field);
    CHECK(error.find(field) != std::string::npos);
  };
  const Json llama3 = file_of(Family::kLlama)["rope_scaling"];
  for (const char* type : {"dynamic", "longrope", "su", "mrope"}) {
    refused(yarn, {{"type", type}}, "rope_scaling.rope_type");
  }
  refused(yarn, {{"factor", 0.5}}, "rope_scaling.factor");
  refused(yarn, {{"factor", "4"}}, "rope_scaling.factor must be a number");
  refused(yarn, {{"original_max_position_embeddings", 0}}, "original_max_position_embeddings");
  refused(yarn, {{"attention_factor", 0}}, "attention_factor");
  refused(yarn, {{"beta_fast", 0.5}}, "beta_fast");
  refused(yarn, {{"mscale", -1}}, "mscale");
  refused(yarn, {{"truncate", false}}, "rope_scaling.truncate");
  refused(yarn, {{"partial_rotary_factor", 0.5}}, "rope_scaling.partial_rotary_factor");
  refused({{"full_attention", yarn}}, Json::object(), "rope_scaling.full_attention");
  refused({{"type", "linear"}}, Json::object(), "rope_scaling.factor is missing");
  refused({{"type", "linear"}, {"factor", 2}}, {{"mscale_all_dim", 1}}, "mscale_all_dim");
  refused(llama3, {{"low_freq_factor", 4}}, "high_freq_factor");
  refused(llama3, {{"low_freq_factor", nullptr}}, "low_freq_factor is missing");
  CHECK(error_with(Family::kLlama, "rope_scaling", "yarn").find("must be an object") !=
        std::string::npos);
}

TEST_CASE(
    "hf_config: a field of another family's arithmetic is refused unless it changes nothing") {
  const std::pair<const char*, std::pair<Json, Json>> fields[] = {
      {"attn_logit_softcapping", {50.0, nullptr}},
      {"final_logit_softcapping", {30.0, nullptr}},
      {"query_pre_attn_scalar", {256, nullptr}},
      {"clip_qkv", {8.0, nullptr}},
      {"logit_scale", {0.0625, 1.0}},
      {"logits_scaling", {8.0, 1}},
      {"embedding_multiplier", {12.0, 1.0}},
      {"residual_multiplier", {0.22, 1.0}},
      {"scale_emb", {12, 1}},
      {"rotary_pct", {0.25, 1.0}},
      {"parallel_attn", {true, false}},
      {"use_parallel_residual", {true, false}},
      {"alibi", {true, false}},
      {"no_rope_layers", {{1, 0}, nullptr}}};
  for (const Family family : tests::kFamilies) {
    for (const auto& [field, values] : fields) {
      CAPTURE(field);
      CHECK(error_with(family, field, values.first).find(field) != std::string::npos);
      CHECK(accepted_with(family, field, values.second) == tests::tiny_config(family));
    }
  }
}

TEST_CASE("hf_config: whatever is in a field, it is accepted or refused in one line") {
  const Json strange[] = {nullptr,
                          true,
                          -1,
                          0,
                          9223372036854775807,
                          18446744073709551615u,
                          1e308,
                          -0.5,
                          "",
                          "x\ny",
                          Json::array(),
                          Json::array({Json::array()}),
                          Json::object(),
                          {{"type", {{"a", 1}}}}};
  for (const Family family : tests::kFamilies) {
    CAPTURE(static_cast<int>(family));
    Json fields = file_of(family);
    for (const char* field :
         {"rope_parameters", "layer_types", "sliding_window", "max_window_layers", "n_group",
          "num_local_experts", "original_max_position_embeddings", "quantization_config"}) {
      fields[field] = nullptr;
    }
    for (const auto& [field, ignored] : fields.items()) {
      CAPTURE(field);
      for (const Json& value : strange) {
        const std::string error = error_with(family, field.c_str(), value);
        CHECK((error.empty() || error.starts_with(kOrigin + ": ")));
      }
    }
    for (const auto& [field, ignored] : file_of(Family::kDeepseekV2)["rope_scaling"].items()) {
      CAPTURE(field);
      for (const Json& value : strange) {
        Json scaling = file_of(Family::kDeepseekV2)["rope_scaling"];
        scaling[field] = value;
        const std::string error = error_with(family, "rope_scaling", scaling);
        CHECK((error.empty() || error.starts_with(kOrigin + ": ")));
      }
    }
  }
}

TEST_CASE("hf_config: fields that do not change the mathematics are ignored") {
  const auto error = [](const char* field, const Json& value) {
    return error_with(Family::kDeepseekV3, field, value);
  };
  CHECK(error("transformers_version", "4.57.0") == "");
  CHECK(error("rope_parameters", {{"rope_type", "default"}, {"rope_theta", 10000}}) == "");
  CHECK(error("num_nextn_predict_layers", 1) == "");
  CHECK(error("attention_dropout", 0) == "");
}

TEST_CASE("hf_config: the files that transformers writes are read") {
  const std::string folder = std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/formats/";
  for (const auto& [name, family] : {std::pair("deepseek_v2", Family::kDeepseekV2),
                                     {"deepseek_v3", Family::kDeepseekV3},
                                     {"qwen2", Family::kQwen2},
                                     {"qwen3", Family::kQwen3},
                                     {"qwen3moe", Family::kQwen3Moe}}) {
    CAPTURE(name);
    const auto config = load_hf_config(folder + name);
    REQUIRE_MESSAGE(config, config.error().message);
    CHECK(config->family == family);
    CHECK(config->vocab_size == 24);
    CHECK(config->bos_token_id == 1);
    CHECK(config->eos_token_id == 2);
  }
  // With biases, which this program has in Qwen2 only.
  const auto llama = load_hf_config(folder + "llama");
  REQUIRE_FALSE(llama);
  CHECK(llama.error().message.find("attention_bias is true") != std::string::npos);
}

TEST_CASE("hf_config: a folder is read by its config.json, and a missing one is named") {
  const tests::TempDir dir;
  const auto missing = load_hf_config(dir.path());
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message.find("config.json") != std::string::npos);
  REQUIRE(write_file(dir.file("config.json"), to_hf_config(tests::tiny_config())));
  const auto loaded = load_hf_config(dir.path());
  REQUIRE(loaded);
  CHECK(*loaded == tests::tiny_config());
}

}  // namespace
}  // namespace troupe::model
