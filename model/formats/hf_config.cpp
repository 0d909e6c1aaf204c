#include "model/formats/hf_config.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <variant>

#include "model/formats/file.h"
#include "model/formats/quantization.h"
#include "schemas/check.h"

namespace troupe::model {
namespace {

using Json = nlohmann::json;

constexpr size_t kConfigBytesMax = 1 << 20;

using Member = std::variant<int64_t TransformerConfig::*, int32_t TransformerConfig::*,
                            double TransformerConfig::*, bool TransformerConfig::*>;

struct Field {
  const char* name;
  Member member;
  bool is_required = true;  // Otherwise missing means TransformerConfig's default.
};

// In the order of the file. q_lora_rank is apart: its 0 is a null there.
const std::array kFields = {
    Field{"vocab_size", &TransformerConfig::vocab_size},
    Field{"hidden_size", &TransformerConfig::hidden_size},
    Field{"num_hidden_layers", &TransformerConfig::num_hidden_layers},
    Field{"first_k_dense_replace", &TransformerConfig::first_k_dense_replace},
    Field{"intermediate_size", &TransformerConfig::intermediate_size},
    Field{"moe_intermediate_size", &TransformerConfig::moe_intermediate_size},
    Field{"n_routed_experts", &TransformerConfig::n_routed_experts},
    Field{"n_shared_experts", &TransformerConfig::n_shared_experts},
    Field{"num_experts_per_tok", &TransformerConfig::num_experts_per_tok},
    Field{"n_group", &TransformerConfig::n_group, false},
    Field{"topk_group", &TransformerConfig::topk_group, false},
    Field{"norm_topk_prob", &TransformerConfig::norm_topk_prob, false},
    Field{"routed_scaling_factor", &TransformerConfig::routed_scaling_factor, false},
    Field{"num_attention_heads", &TransformerConfig::num_attention_heads},
    Field{"kv_lora_rank", &TransformerConfig::kv_lora_rank},
    Field{"qk_nope_head_dim", &TransformerConfig::qk_nope_head_dim},
    Field{"qk_rope_head_dim", &TransformerConfig::qk_rope_head_dim},
    Field{"v_head_dim", &TransformerConfig::v_head_dim},
    Field{"rms_norm_eps", &TransformerConfig::rms_norm_eps, false},
    Field{"max_position_embeddings", &TransformerConfig::max_position_embeddings},
    Field{"bos_token_id", &TransformerConfig::bos_token_id},
    Field{"eos_token_id", &TransformerConfig::eos_token_id},
};

// What the mathematics here is, said the way the file says it. A file with another value asks for
// another model. A missing one means this value in transformers too, unless `is_required`.
struct Fixed {
  const char* name;
  Json value;
  bool is_required = false;
};

const std::vector<Fixed>& fixed_fields() {
  static const std::vector<Fixed> fields = {
      {"model_type", "deepseek_v3", true},
      {"hidden_act", "silu"},
      {"scoring_func", "sigmoid"},
      {"topk_method", "noaux_tc"},
      {"moe_layer_freq", 1},
      {"rope_interleave", true},
      {"rope_scaling", nullptr},
      {"attention_bias", false},
      {"attention_dropout", 0.0},
      {"tie_word_embeddings", false},
      {"num_nextn_predict_layers", 0},
      {"pretraining_tp", 1},
  };
  return fields;
}

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

class Reader {
 public:
  Reader(const Json& json, std::string_view origin) : json_(json), origin_(origin) {}

  Error bad(std::string_view field, std::string_view what) const {
    return invalid_argument(fmt::format("{}: {} {}", origin_, field, what));
  }

  // Null when the field is missing or null.
  const Json* find(const char* field) const {
    const auto found = json_.find(field);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }

  template <class Integer>
  Status read(const char* field, const Json& value, Integer& out) const {
    if (!value.is_number_integer()) {
      return bad(field, fmt::format("must be an integer, not {}", shown(value)));
    }
    // Unsigned values beyond int64 arrive as negative numbers here, and are refused as such.
    const int64_t number = value.get<int64_t>();
    if (number < 0 || number > std::numeric_limits<Integer>::max()) {
      return bad(field, fmt::format("is out of range: {}", shown(value)));
    }
    out = static_cast<Integer>(number);
    return ok();
  }

  Status read(const char* field, const Json& value, double& out) const {
    if (!value.is_number()) {
      return bad(field, fmt::format("must be a number, not {}", shown(value)));
    }
    out = value.get<double>();
    return ok();
  }

  Status read(const char* field, const Json& value, bool& out) const {
    if (!value.is_boolean()) {
      return bad(field, fmt::format("must be true or false, not {}", shown(value)));
    }
    out = value.get<bool>();
    return ok();
  }

 private:
  const Json& json_;
  std::string_view origin_;
};

Status check_fixed(const Reader& reader) {
  for (const Fixed& fixed : fixed_fields()) {
    const Json* value = reader.find(fixed.name);
    if (value == nullptr && !fixed.is_required) continue;
    if (value == nullptr || *value != fixed.value) {
      return reader.bad(fixed.name, fmt::format("is {}; only {} is supported",
                                                value == nullptr ? "missing" : shown(*value),
                                                shown(fixed.value)));
    }
  }
  const Json* architectures = reader.find("architectures");
  if (architectures != nullptr && *architectures != Json::array({"DeepseekV3ForCausalLM"})) {
    return reader.bad("architectures", fmt::format("is {}; only [\"DeepseekV3ForCausalLM\"] is "
                                                   "supported",
                                                   shown(*architectures)));
  }
  return ok();
}

// rope_theta, or its newer home rope_parameters = {rope_theta, rope_type}.
Status read_rope(const Reader& reader, TransformerConfig& config) {
  if (const Json* theta = reader.find("rope_theta")) {
    if (Status status = reader.read("rope_theta", *theta, config.rope_theta); !status) {
      return status;
    }
  }
  const Json* parameters = reader.find("rope_parameters");
  if (parameters == nullptr) return ok();
  if (!parameters->is_object() || parameters->value("rope_type", Json("default")) != "default") {
    return reader.bad("rope_parameters", fmt::format("is {}; only rope_type \"default\" is "
                                                     "supported",
                                                     shown(*parameters)));
  }
  const auto theta = parameters->find("rope_theta");
  if (theta == parameters->end()) return ok();
  return reader.read("rope_parameters.rope_theta", *theta, config.rope_theta);
}

// Shortest text that reads back as the same double, and as a float rather than an integer in
// readers that tell the two apart.
std::string to_text(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}
std::string to_text(int64_t value) { return std::to_string(value); }
std::string to_text(int32_t value) { return std::to_string(value); }
std::string to_text(bool value) { return value ? "true" : "false"; }

}  // namespace

Result<TransformerConfig> parse_hf_config(std::string_view text, std::string_view origin) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    return invalid_argument(fmt::format("{}: is not a JSON object", origin));
  }
  const Reader reader(json, origin);
  if (Status status = check_fixed(reader); !status) return status.error();
  // How the weights are stored is the business of who reads them.
  if (auto blocks = parse_quantization(json, origin); !blocks) return blocks.error();

  TransformerConfig config;
  for (const Field& field : kFields) {
    const Json* value = reader.find(field.name);
    if (value == nullptr) {
      if (field.is_required) return reader.bad(field.name, "is missing");
      continue;
    }
    const Status status = std::visit(
        [&](auto member) { return reader.read(field.name, *value, config.*member); }, field.member);
    if (!status) return status.error();
  }
  if (const Json* rank = reader.find("q_lora_rank")) {
    if (Status status = reader.read("q_lora_rank", *rank, config.q_lora_rank); !status) {
      return status.error();
    }
  }
  if (Status status = read_rope(reader, config); !status) return status.error();
  if (const Json* heads = reader.find("num_key_value_heads");
      heads != nullptr && *heads != config.num_attention_heads) {
    return reader.bad("num_key_value_heads",
                      fmt::format("is {}; latent attention has as many as num_attention_heads, {}",
                                  shown(*heads), config.num_attention_heads));
  }
  if (Status status = validate(config); !status) {
    return invalid_argument(fmt::format("{}: {}", origin, status.error().message));
  }
  return config;
}

Result<TransformerConfig> load_hf_config(const std::string& folder) {
  const std::string path = folder + "/config.json";
  const auto text = read_file(path, kConfigBytesMax);
  if (!text) return text.error();
  return parse_hf_config(*text, path);
}

std::string to_hf_config(const TransformerConfig& config, std::string_view torch_dtype) {
  std::string text = "{\n  \"architectures\": [\"DeepseekV3ForCausalLM\"],\n";
  const auto add = [&text](std::string_view field, std::string_view value) {
    text += fmt::format("  \"{}\": {},\n", field, value);
  };
  for (const Fixed& fixed : fixed_fields()) {
    add(fixed.name, shown(fixed.value));
  }
  for (const Field& field : kFields) {
    add(field.name, std::visit([&](auto member) { return to_text(config.*member); }, field.member));
  }
  add("num_key_value_heads", to_text(config.num_attention_heads));
  add("q_lora_rank", config.q_lora_rank == 0 ? "null" : to_text(config.q_lora_rank));
  add("rope_theta", to_text(config.rope_theta));
  add("head_dim", to_text(config.qk_rope_head_dim));  // transformers' name for the rotated part.
  add("initializer_range", "0.02");
  add("use_cache", "true");
  text += fmt::format("  \"torch_dtype\": \"{}\"\n}}\n", torch_dtype);
  return text;
}

}  // namespace troupe::model
