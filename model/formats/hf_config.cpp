#include "model/formats/hf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <variant>
#include <vector>

#include "model/formats/file.h"
#include "model/formats/hf_formats.h"
#include "model/formats/quantization.h"
#include "model/tokenizer/json_fields.h"
#include "schemas/check.h"
#include "schemas/json_text.h"

namespace troupe::model {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr size_t kConfigBytesMax = 1 << 20;
constexpr size_t kEosMax = 64;

std::string shown(const Json& value) {
  std::string text = to_text(value, {.is_ascii = true, .replaces_invalid = true});
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

// Null when the field is missing or null.
const Json* find(const Json& object, const std::string& field) {
  const auto found = object.find(field);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

class Parser {
 public:
  Parser(const Json& json, std::string_view origin) : json_(json), origin_(origin) {}

  Result<TransformerConfig> parse() {
    for (const auto step : {&Parser::find_format, &Parser::check_fixed, &Parser::read_fields,
                            &Parser::read_heads, &Parser::read_latent, &Parser::read_experts,
                            &Parser::check_window, &Parser::read_rope, &Parser::read_tokens}) {
      if (Status status = (this->*step)(); !status) return status.error();
    }
    if (Status status = validate(config_); !status) {
      return invalid_argument(fmt::format("{}: {}", origin_, status.error().message));
    }
    return config_;
  }

 private:
  Error bad(std::string_view field, std::string_view what) const {
    return invalid_argument(fmt::format("{}: {} {}", origin_, field, what));
  }
  Error unsupported(std::string_view field, const Json& value, std::string_view supported) const {
    return bad(field, fmt::format("is {}; only {} is supported", shown(value), supported));
  }
  bool is(Family family) const { return config_.family == family; }

  template <class Integer>
  Status read(std::string_view field, const Json& value, Integer& out) const {
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

  Status read(std::string_view field, const Json& value, double& out) const {
    if (!value.is_number()) {
      return bad(field, fmt::format("must be a number, not {}", shown(value)));
    }
    out = value.get<double>();
    return ok();
  }

  Status read(std::string_view field, const Json& value, bool& out) const {
    if (!value.is_boolean()) {
      return bad(field, fmt::format("must be true or false, not {}", shown(value)));
    }
    out = value.get<bool>();
    return ok();
  }

  // Leaves `out` as it is when the field is missing or null.
  template <class T>
  Status read_if_there(const char* field, T& out) const {
    const Json* value = find(json_, field);
    return value == nullptr ? ok() : read(field, *value, out);
  }

  Status find_format() {
    const Json* type = find(json_, "model_type");
    std::string supported;
    for (const ConfigFormat& format : config_formats()) {
      if (type != nullptr && *type == format.model_type) format_ = &format;
      supported += fmt::format("{}\"{}\"", supported.empty() ? "" : ", ", format.model_type);
    }
    if (format_ == nullptr) {
      return bad("model_type", fmt::format("is {}; supported are {}",
                                           type == nullptr ? "missing" : shown(*type), supported));
    }
    config_.family = format_->family;
    return ok();
  }

  Status check_fixed() {
    const Json* architectures = find(json_, "architectures");
    const Json wanted = Json::array({format_->architecture});
    if (architectures != nullptr && *architectures != wanted) {
      return unsupported("architectures", *architectures, shown(wanted));
    }
    for (const FixedField& fixed : format_->fixed) {
      const Json* value = find(json_, fixed.name);
      if (value != nullptr && *value != fixed.value) {
        return unsupported(fixed.name, *value, shown(fixed.value));
      }
    }
    // How the weights are stored is the business of who reads them.
    const auto blocks = parse_quantization(json_, origin_);
    return blocks ? ok() : Status(blocks.error());
  }

  Status read_fields() {
    for (const ConfigField& field : format_->fields) {
      const char* name = field.name;
      const Json* value = find(json_, name);
      if (value == nullptr && *field.alias != '\0') {
        value = find(json_, field.alias);
        if (value != nullptr) name = field.alias;
      }
      if (value == nullptr && field.missing.is_null()) return bad(field.name, "is missing");
      const Status status = std::visit(
          [&](auto member) {
            return read(name, value == nullptr ? field.missing : *value, config_.*member);
          },
          field.member);
      if (!status) return status;
    }
    return ok();
  }

  Status read_heads() {
    if (config_.is_latent()) {
      const Json* heads = find(json_, "num_key_value_heads");
      if (heads == nullptr || *heads == config_.num_attention_heads) return ok();
      return bad("num_key_value_heads",
                 fmt::format("is {}; latent attention has as many as num_attention_heads, {}",
                             shown(*heads), config_.num_attention_heads));
    }
    // A null is said: as many as there are queries.
    const bool is_said = json_.contains("num_key_value_heads");
    config_.num_key_value_heads = is_said || format_->num_key_value_heads == 0
                                      ? config_.num_attention_heads
                                      : format_->num_key_value_heads;
    if (Status status = read_if_there("num_key_value_heads", config_.num_key_value_heads);
        !status) {
      return status;
    }
    if (find(json_, "head_dim") != nullptr) {
      return read("head_dim", json_["head_dim"], config_.head_dim);
    }
    if (format_->head_dim > 0 && !json_.contains("head_dim")) {
      config_.head_dim = format_->head_dim;
      return ok();
    }
    if (config_.num_attention_heads < 1 || config_.hidden_size % config_.num_attention_heads != 0) {
      return bad("head_dim", fmt::format("is missing, and hidden_size {} is no multiple of "
                                         "num_attention_heads {}",
                                         config_.hidden_size, config_.num_attention_heads));
    }
    config_.head_dim = config_.hidden_size / config_.num_attention_heads;
    return ok();
  }

  Status read_latent() {
    if (!config_.is_latent()) return ok();
    // A null is said: there is no compression. transformers takes a missing one for that of
    // DeepSeek-V3, other programs for a null.
    if (!json_.contains("q_lora_rank")) return bad("q_lora_rank", "is missing");
    return read_if_there("q_lora_rank", config_.q_lora_rank);
  }

  Status read_experts() {
    switch (config_.family) {
      case Family::kDeepseekV3:
        return ok();
      case Family::kDeepseekV2:
        config_.norm_topk_prob = false;
        return read_groups();
      case Family::kQwen3Moe:
        return read_dense_layers();
      case Family::kMixtral:
        return ok();
      case Family::kLlama:
      case Family::kMistral:
      case Family::kQwen2:
      case Family::kQwen3:
        break;
    }
    config_.first_k_dense_replace = config_.num_hidden_layers;
    return ok();
  }

  // DeepSeek-V2's choice of experts, among all or in groups. Groups that are not used may be there.
  Status read_groups() {
    const Json* method = find(json_, "topk_method");
    if (method == nullptr || *method == "greedy") return ok();
    if (*method != "group_limited_greedy") {
      return unsupported("topk_method", *method, "\"greedy\" or \"group_limited_greedy\"");
    }
    for (const auto& [name, member] : {std::pair("n_group", &TransformerConfig::n_group),
                                       {"topk_group", &TransformerConfig::topk_group}}) {
      const Json* value = find(json_, name);
      if (value == nullptr) return bad(name, "is missing");
      if (Status status = read(name, *value, config_.*member); !status) return status;
    }
    return ok();
  }

  // Qwen3-MoE's layers without experts must be the first ones.
  Status read_dense_layers() {
    const Json* layers = find(json_, "mlp_only_layers");
    if (layers == nullptr) return ok();
    Json first = Json::array();
    while (layers->is_array() && first.size() < layers->size()) first.push_back(first.size());
    if (*layers != first) {
      return unsupported("mlp_only_layers", *layers, "[] or a list of the first layers");
    }
    config_.first_k_dense_replace = static_cast<int64_t>(first.size());
    return ok();
  }

  // Attention that is cut off within max_position_embeddings is another model.
  Status check_window() {
    const bool is_by_layer = is(Family::kQwen2) || is(Family::kQwen3);
    const bool is_qwen = is_by_layer || is(Family::kQwen3Moe);
    if (const Json* types = find(json_, "layer_types")) {
      bool is_full = types->is_array();
      for (const Json& type : *types) is_full = is_full && type == "full_attention";
      if (!is_full) return unsupported("layer_types", *types, "\"full_attention\" in all layers");
      if (is_by_layer) return ok();
    }
    bool is_used = is(Family::kMistral) || is(Family::kMixtral);
    if (is_qwen) {
      if (Status status = read_if_there("use_sliding_window", is_used); !status) return status;
    }
    if (is_by_layer) {
      int64_t first = 28;
      if (Status status = read_if_there("max_window_layers", first); !status) return status;
      is_used = is_used && first < config_.num_hidden_layers;
    }
    if (!is_used) return ok();
    int64_t window = config_.max_position_embeddings;
    const bool is_said = json_.contains("sliding_window");  // A null is said: there is none.
    if (!is_said && format_->sliding_window > 0) window = format_->sliding_window;
    if (Status status = read_if_there("sliding_window", window); !status) return status;
    if (window >= config_.max_position_embeddings) return ok();
    return bad("sliding_window",
               fmt::format("is {}; only null or at least max_position_embeddings, {}, is supported",
                           is_said ? shown(json_["sliding_window"])
                                   : fmt::format("missing, which means {}", window),
                           config_.max_position_embeddings));
  }

  // rope_theta and rope_scaling, or their newer home rope_parameters.
  Status read_rope() {
    config_.rope_theta = format_->rope_theta;
    if (Status status = read_if_there("rope_theta", config_.rope_theta); !status) return status;
    const Json* scaling = nullptr;
    for (const char* name : {"rope_parameters", "rope_scaling"}) {
      const Json* value = find(json_, name);
      if (value == nullptr) continue;
      if (!value->is_object())
        return bad(name, fmt::format("must be an object, not {}", shown(*value)));
      if (value->empty()) continue;
      scaling = value;
      rope_name_ = name;
    }
    return scaling == nullptr ? ok() : read_scaling(*scaling);
  }

  std::string in_rope(std::string_view field) const {
    return fmt::format("{}.{}", rope_name_, field);
  }

  Status read_number(const Json& scaling, const char* field, double& out) const {
    const Json* value = find(scaling, field);
    return value == nullptr ? ok() : read(in_rope(field), *value, out);
  }

  Status read_scaling(const Json& json) {
    using Kind = RopeScaling::Kind;
    RopeScaling& scaling = config_.rope_scaling;
    for (const auto& [field, value] : json.items()) {
      if (value.is_object()) {
        return bad(in_rope(field), fmt::format("is {}; only one set of parameters for all layers "
                                               "is supported",
                                               shown(value)));
      }
    }
    const Json* type = find(json, "rope_type");
    if (type == nullptr) type = find(json, "type");
    const Json name = type == nullptr ? Json("default") : *type;
    if (name == "linear") {
      scaling.kind = Kind::kLinear;
    } else if (name == "llama3") {
      scaling.kind = Kind::kLlama3;
    } else if (name == "yarn") {
      scaling.kind = Kind::kYarn;
    } else if (name != "default") {
      return bad(in_rope("rope_type"),
                 fmt::format("is {}; only \"default\", \"linear\", \"llama3\" and \"yarn\" are "
                             "supported",
                             shown(name)));
    }
    if (Status status = read_number(json, "rope_theta", config_.rope_theta); !status) {
      return status;
    }
    for (const auto& [field, value] :
         {std::pair("partial_rotary_factor", Json(1.0)), {"truncate", Json(true)}}) {
      const Json* found = find(json, field);
      if (found != nullptr && *found != value) {
        return unsupported(in_rope(field), *found, shown(value));
      }
    }
    if (scaling.kind == Kind::kNone) return ok();
    if (Status status = read_factor(json); !status) return status;
    if (scaling.kind == Kind::kLinear) return check_no_magnitudes(json);
    if (scaling.kind == Kind::kLlama3) {
      for (const auto& [field, member] :
           {std::pair("low_freq_factor", &RopeScaling::low_freq_factor),
            {"high_freq_factor", &RopeScaling::high_freq_factor}}) {
        if (find(json, field) == nullptr) return bad(in_rope(field), "is missing");
        if (Status status = read_number(json, field, scaling.*member); !status) return status;
      }
      return check_no_magnitudes(json);
    }
    for (const auto& [field, member] : {std::pair("beta_fast", &RopeScaling::beta_fast),
                                        {"beta_slow", &RopeScaling::beta_slow},
                                        {"mscale", &RopeScaling::mscale},
                                        {"mscale_all_dim", &RopeScaling::mscale_all_dim},
                                        {"attention_factor", &RopeScaling::attention_factor}}) {
      if (Status status = read_number(json, field, scaling.*member); !status) return status;
    }
    const Json* attention_factor = find(json, "attention_factor");
    if (attention_factor != nullptr && !(scaling.attention_factor > 0)) {
      return bad(in_rope("attention_factor"),
                 fmt::format("is {}; only above 0 is supported", shown(*attention_factor)));
    }
    return ok();
  }

  // How far the angles are stretched, and from which context.
  Status read_factor(const Json& json) {
    RopeScaling& scaling = config_.rope_scaling;
    if (scaling.kind != RopeScaling::Kind::kLinear) {
      scaling.original_max_position_embeddings =
          static_cast<double>(config_.max_position_embeddings);
      const char* name = "original_max_position_embeddings";
      if (Status status = read_number(json, name, scaling.original_max_position_embeddings);
          !status) {
        return status;
      }
      // Outside it is that of the model, and wins.
      if (Status status = read_if_there(name, scaling.original_max_position_embeddings); !status) {
        return status;
      }
    }
    const bool is_implied =
        scaling.kind == RopeScaling::Kind::kYarn && json.contains("factor");  // And null.
    if (find(json, "factor") == nullptr && !is_implied) return bad(in_rope("factor"), "is missing");
    scaling.factor = static_cast<double>(config_.max_position_embeddings) /
                     scaling.original_max_position_embeddings;
    return read_number(json, "factor", scaling.factor);
  }

  // transformers gives DeepSeek's scores YaRN's temperature under every type of scaling.
  Status check_no_magnitudes(const Json& json) const {
    for (const char* field : {"mscale", "mscale_all_dim"}) {
      const Json* value = find(json, field);
      if (value != nullptr && *value != 0) {
        return bad(in_rope(field), fmt::format("is {}; only \"yarn\" has one", shown(*value)));
      }
    }
    return ok();
  }

  // A null is said: there is none.
  Status read_tokens() {
    config_.bos_token_id = json_.contains("bos_token_id") ? -1 : format_->bos_token_id;
    if (Status s = read_if_there("bos_token_id", config_.bos_token_id); !s) return s;
    config_.eos_token_id = json_.contains("eos_token_id") ? -1 : format_->eos_token_id;
    const Json* eos = find(json_, "eos_token_id");
    if (eos == nullptr || !eos->is_array()) {
      return read_if_there("eos_token_id", config_.eos_token_id);
    }
    if (eos->empty() || eos->size() > kEosMax) {
      return bad("eos_token_id",
                 fmt::format("is {}; 1 to {} ids are supported", shown(*eos), kEosMax));
    }
    for (const Json& value : *eos) {
      int32_t id = 0;
      if (Status status = read("eos_token_id", value, id); !status) return status;
      config_.more_eos_token_ids.push_back(id);
    }
    config_.eos_token_id = config_.more_eos_token_ids.front();
    config_.more_eos_token_ids.erase(config_.more_eos_token_ids.begin());
    return ok();
  }

  const Json& json_;
  std::string_view origin_;
  const ConfigFormat* format_ = nullptr;
  TransformerConfig config_{};
  const char* rope_name_ = "";  // The object that rope's parameters are in.
};

// Whole numbers as transformers' readers want them: integers.
OrderedJson whole_or_not(double value) {
  const auto whole = static_cast<int64_t>(value);
  return static_cast<double>(whole) == value ? OrderedJson(whole) : OrderedJson(value);
}

OrderedJson scaling_json(const RopeScaling& scaling) {
  using Kind = RopeScaling::Kind;
  if (scaling.kind == Kind::kNone) return nullptr;
  const char* type = scaling.kind == Kind::kLinear   ? "linear"
                     : scaling.kind == Kind::kLlama3 ? "llama3"
                                                     : "yarn";
  // Both spellings of the type, for older and newer readers.
  OrderedJson json = {{"rope_type", type}, {"type", type}, {"factor", scaling.factor}};
  if (scaling.kind == Kind::kLinear) return json;
  json["original_max_position_embeddings"] = whole_or_not(scaling.original_max_position_embeddings);
  if (scaling.kind == Kind::kLlama3) {
    json["low_freq_factor"] = scaling.low_freq_factor;
    json["high_freq_factor"] = scaling.high_freq_factor;
    return json;
  }
  json["beta_fast"] = scaling.beta_fast;
  json["beta_slow"] = scaling.beta_slow;
  for (const auto& [field, value] : {std::pair("mscale", scaling.mscale),
                                     {"mscale_all_dim", scaling.mscale_all_dim},
                                     {"attention_factor", scaling.attention_factor}}) {
    if (value > 0) json[field] = value;
  }
  return json;
}

// What only some families have, and not under a name of its own in TransformerConfig.
void add_variants(const TransformerConfig& config, OrderedJson& json) {
  switch (config.family) {
    case Family::kDeepseekV3:
      json["num_nextn_predict_layers"] = 0;
      break;
    case Family::kDeepseekV2:
      json["topk_method"] = config.n_group > 1 ? "group_limited_greedy" : "greedy";
      json["n_group"] = config.n_group;
      json["topk_group"] = config.topk_group;
      break;
    case Family::kMistral:
    case Family::kMixtral:
      json["sliding_window"] = nullptr;
      break;
    case Family::kQwen3Moe:
      json["mlp_only_layers"] = OrderedJson::array();
      for (int64_t i = 0; i < config.first_k_dense_replace; ++i) {
        json["mlp_only_layers"].push_back(i);
      }
      [[fallthrough]];
    case Family::kQwen2:
    case Family::kQwen3:
      json["use_sliding_window"] = false;
      break;
    case Family::kLlama:
      break;
  }
  if (config.is_latent()) {
    json["num_key_value_heads"] = config.num_attention_heads;
    json["q_lora_rank"] = config.q_lora_rank == 0 ? OrderedJson() : OrderedJson(config.q_lora_rank);
    json["head_dim"] = config.qk_rope_head_dim;  // transformers' name for the rotated part.
  } else {
    json["num_key_value_heads"] = config.num_key_value_heads;
    json["head_dim"] = config.head_dim;
  }
}

}  // namespace

Result<TransformerConfig> parse_hf_config(std::string_view text, std::string_view origin) {
  const Json json = parse_json(text, kFileDepthMax);
  if (json.is_discarded() || !json.is_object()) {
    return invalid_argument(fmt::format("{}: is not a JSON object", origin));
  }
  return Parser(json, origin).parse();
}

Result<TransformerConfig> load_hf_config(const std::string& folder) {
  const std::string path = folder + "/config.json";
  const auto text = read_file(path, kConfigBytesMax);
  if (!text) return text.error();
  return parse_hf_config(*text, path);
}

std::string to_hf_config(const TransformerConfig& config, std::string_view torch_dtype) {
  const ConfigFormat& format = config_format_of(config.family);
  OrderedJson json = {{"architectures", OrderedJson::array({format.architecture})},
                      {"model_type", format.model_type}};
  for (const FixedField& fixed : format.fixed) {
    if (fixed.is_written) json[fixed.name] = fixed.value;
  }
  for (const ConfigField& field : format.fields) {
    std::visit([&](auto member) { json[field.name] = config.*member; }, field.member);
  }
  add_variants(config, json);
  json["rope_theta"] = config.rope_theta;
  json["rope_scaling"] = scaling_json(config.rope_scaling);
  json["bos_token_id"] = config.bos_token_id < 0 ? OrderedJson() : OrderedJson(config.bos_token_id);
  const auto eos = config.eos_token_ids();
  json["eos_token_id"] = eos.empty()       ? OrderedJson()
                         : eos.size() == 1 ? OrderedJson(eos.front())
                                           : OrderedJson(eos);
  json["initializer_range"] = 0.02;
  json["use_cache"] = true;
  json["torch_dtype"] = torch_dtype;
  return to_text(json, {.indent = 2}) + "\n";
}

}  // namespace troupe::model
