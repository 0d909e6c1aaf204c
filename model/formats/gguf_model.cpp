#include "model/formats/gguf_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>

#include "model/formats/in_quotes.h"
#include "schemas/check.h"

namespace troupe::model {
namespace {

using Json = nlohmann::json;
using Layout = GgufSource::Layout;

// Bounds before anything is made as often as the metadata says.
constexpr int64_t kLayersMax = 1024;
constexpr int64_t kExpertsMax = 1024;
constexpr int64_t kSizeMax = int64_t{1} << 30;

enum class Architecture : uint8_t { kLlama, kQwen2, kQwen3, kQwen3Moe, kDeepSeek2 };

struct ArchitectureFacts {
  Architecture architecture;
  std::string_view name;  // general.architecture, and the prefix of its keys.
  const char* model_type;
  const char* class_name;
};

// deepseek2 is one of two models of transformers, see deepseek().
constexpr std::array kArchitectures = {
    ArchitectureFacts{Architecture::kLlama, "llama", "llama", "LlamaForCausalLM"},
    ArchitectureFacts{Architecture::kQwen2, "qwen2", "qwen2", "Qwen2ForCausalLM"},
    ArchitectureFacts{Architecture::kQwen3, "qwen3", "qwen3", "Qwen3ForCausalLM"},
    ArchitectureFacts{Architecture::kQwen3Moe, "qwen3moe", "qwen3_moe", "Qwen3MoeForCausalLM"},
    ArchitectureFacts{Architecture::kDeepSeek2, "deepseek2", "deepseek_v2",
                      "DeepseekV2ForCausalLM"},
};

// A tensor's name between "blk.N." and ".weight" or ".bias", and between "model.layers.N." and
// that.
struct TensorName {
  std::string_view gguf;
  std::string_view hf;
};

constexpr std::array kLayerNames = {
    TensorName{"attn_norm", "input_layernorm"},
    TensorName{"attn_q", "self_attn.q_proj"},
    TensorName{"attn_k", "self_attn.k_proj"},
    TensorName{"attn_v", "self_attn.v_proj"},
    TensorName{"attn_output", "self_attn.o_proj"},
    TensorName{"ffn_norm", "post_attention_layernorm"},
    TensorName{"ffn_gate", "mlp.gate_proj"},
    TensorName{"ffn_up", "mlp.up_proj"},
    TensorName{"ffn_down", "mlp.down_proj"},
};

constexpr std::array kQwen3Names = {
    TensorName{"attn_q_norm", "self_attn.q_norm"},
    TensorName{"attn_k_norm", "self_attn.k_norm"},
};

constexpr std::array kMoeNames = {
    TensorName{"ffn_gate_inp", "mlp.gate"},
};

constexpr std::array kDeepSeekNames = {
    TensorName{"attn_q_a", "self_attn.q_a_proj"},
    TensorName{"attn_q_a_norm", "self_attn.q_a_layernorm"},
    TensorName{"attn_q_b", "self_attn.q_b_proj"},
    TensorName{"attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"},
    TensorName{"attn_kv_a_norm", "self_attn.kv_a_layernorm"},
    TensorName{"attn_kv_b", "self_attn.kv_b_proj"},
    TensorName{"ffn_gate_shexp", "mlp.shared_experts.gate_proj"},
    TensorName{"ffn_up_shexp", "mlp.shared_experts.up_proj"},
    TensorName{"ffn_down_shexp", "mlp.shared_experts.down_proj"},
};

// One tensor for all experts of a layer: (experts, rows, cols).
constexpr std::array kExpertNames = {
    TensorName{"ffn_gate_exps", "gate_proj"},
    TensorName{"ffn_up_exps", "up_proj"},
    TensorName{"ffn_down_exps", "down_proj"},
};

template <size_t kCount>
std::optional<std::string_view> hf_name(const std::array<TensorName, kCount>& names,
                                        std::string_view gguf) {
  for (const TensorName& name : names) {
    if (name.gguf == gguf) return name.hf;
  }
  return std::nullopt;
}

// Floats of the metadata were written in decimal once: 1e-05, not 9.999999747378752e-06.
double in_decimal(double value) {
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), static_cast<float>(value)).ptr;
  double read = value;
  std::from_chars(text.data(), end, read);
  return read;
}

// What a file says of its model. One class in one file, longer than others: each step reads what
// the steps before it found, and each family's names stand beside the shapes that they must have.
class Describer {
 public:
  Describer(const Gguf& file, std::string_view origin) : file_(file), origin_(origin) {}

  Result<GgufModel> describe() {
    if (Status status = find_architecture(); !status) return status.error();
    for (const auto step : {&Describer::sizes, &Describer::heads, &Describer::mixture,
                            &Describer::deepseek, &Describer::rope, &Describer::vocabulary}) {
      if (Status status = (this->*step)(); !status) return status.error();
    }
    for (const GgufTensor& tensor : file_.tensors) {
      if (Status status = add(tensor); !status) return status.error();
    }
    if (Status status = check_names(); !status) return status.error();
    return std::move(model_);
  }

 private:
  Error bad(std::string_view what) const {
    return invalid_argument(fmt::format("{}: {}", origin_, what));
  }
  Error bad_tensor(const GgufTensor& tensor, std::string_view what) const {
    return bad(fmt::format("tensor {}: {}", in_quotes(tensor.name), what));
  }
  bool is(Architecture architecture) const { return facts_->architecture == architecture; }

  std::string key(std::string_view rest) const { return fmt::format("{}.{}", facts_->name, rest); }
  bool has(std::string_view rest) const { return file_.value(key(rest)) != nullptr; }

  // A size by its key after the architecture; `otherwise` where the key may be missing.
  Result<int64_t> size(std::string_view rest, std::optional<int64_t> otherwise = {},
                       int64_t max = kSizeMax) const {
    if (otherwise && !has(rest)) return *otherwise;
    const auto value = file_.integer(key(rest));
    if (!value) return bad(value.error().message);
    if (*value < 0 || *value > max) {
      return bad(fmt::format("{} is {}, 0 to {} are allowed", key(rest), *value, max));
    }
    return *value;
  }

  Result<double> number(std::string_view rest, std::optional<double> otherwise = {}) const {
    if (otherwise && !has(rest)) return *otherwise;
    const auto value = file_.number(key(rest));
    if (!value) return bad(value.error().message);
    const double decimal = in_decimal(*value);
    if (!std::isfinite(decimal)) return bad(fmt::format("{} is not finite", key(rest)));
    return decimal;
  }

  // Puts what `value` has into the field, or hands on its error.
  template <class T>
  Status set(const char* field, const Result<T>& value) {
    if (!value) return value.error();
    model_.config[field] = *value;
    return ok();
  }

  Status find_architecture() {
    const auto name = file_.text("general.architecture");
    if (!name) return bad(name.error().message);
    for (const ArchitectureFacts& facts : kArchitectures) {
      if (facts.name == *name) facts_ = &facts;
    }
    if (facts_ == nullptr) {
      return bad(fmt::format(
          "general.architecture {} is not supported; llama, qwen2, qwen3, qwen3moe and deepseek2 "
          "are",
          in_quotes(*name)));
    }
    if (file_.value("split.count") != nullptr) {
      const auto parts = file_.integer("split.count");
      if (!parts || *parts > 1) {
        return bad("is one part of a split model; join the parts: llama-gguf-split --merge");
      }
    }
    for (const char* unknown :
         {"attention.sliding_window", "attention.clamp_kqv", "logit_scale", "rope.scale_linear",
          "attn_logit_softcapping", "final_logit_softcapping"}) {
      if (has(unknown)) return bad(fmt::format("{} is not supported", key(unknown)));
    }
    model_.config = {{"model_type", facts_->model_type},
                     {"architectures", Json::array({facts_->class_name})},
                     {"hidden_act", "silu"}};
    return ok();
  }

  Status sizes() {
    const auto layers = size("block_count", {}, kLayersMax);
    if (!layers) return layers.error();
    num_layers_ = *layers;
    const auto more = size("nextn_predict_layers", 0);
    if (!more) return more.error();
    if (*more != 0) return bad(fmt::format("{} is not supported", key("nextn_predict_layers")));
    model_.config["num_hidden_layers"] = num_layers_;
    for (const auto& [field, rest] : {std::pair("hidden_size", "embedding_length"),
                                      {"intermediate_size", "feed_forward_length"},
                                      {"max_position_embeddings", "context_length"}}) {
      if (Status status = set(field, size(rest)); !status) return status;
    }
    return set("rms_norm_eps", number("attention.layer_norm_rms_epsilon"));
  }

  Status heads() {
    const auto query = size("attention.head_count");
    if (!query) return query.error();
    if (*query == 0) return bad(fmt::format("{} is 0", key("attention.head_count")));
    num_heads_ = *query;
    model_.config["num_attention_heads"] = num_heads_;
    if (is(Architecture::kDeepSeek2)) {
      // The file's own count is 1 where it is laid out for one shared latent; the model's heads
      // have keys of their own.
      num_kv_heads_ = num_heads_;
      model_.config["num_key_value_heads"] = num_heads_;
      return ok();
    }
    const auto shared = size("attention.head_count_kv", num_heads_);
    if (!shared) return shared.error();
    if (*shared == 0 || num_heads_ % *shared != 0) {
      return bad(fmt::format("{} is {}, which does not divide {}", key("attention.head_count_kv"),
                             *shared, num_heads_));
    }
    num_kv_heads_ = *shared;
    model_.config["num_key_value_heads"] = num_kv_heads_;
    const auto head =
        size("attention.key_length", model_.config["hidden_size"].get<int64_t>() / num_heads_);
    if (!head) return head.error();
    const auto value_head = size("attention.value_length", *head);
    if (!value_head) return value_head.error();
    const auto rotated = size("rope.dimension_count", *head);
    if (!rotated) return rotated.error();
    if (*value_head != *head || *rotated != *head || *head % 2 != 0) {
      return bad(fmt::format("heads of {} with {} rotated and values of {} are not supported",
                             *head, *rotated, *value_head));
    }
    model_.config["head_dim"] = *head;
    return ok();
  }

  Status mixture() {
    const auto experts = size("expert_count", 0, kExpertsMax);
    if (!experts) return experts.error();
    num_experts_ = *experts;
    if (is(Architecture::kQwen3Moe)) {
      model_.config["num_experts"] = num_experts_;
      if (Status status = set("num_experts_per_tok", size("expert_used_count")); !status) {
        return status;
      }
      // Nothing in the file says so: llama.cpp computes this architecture in this way only.
      model_.config["norm_topk_prob"] = true;
      model_.config["decoder_sparse_step"] = 1;
      model_.config["mlp_only_layers"] = Json::array();
      return set("moe_intermediate_size", size("expert_feed_forward_length"));
    }
    if (num_experts_ != 0 && !is(Architecture::kDeepSeek2)) {
      return bad(fmt::format("{} is not supported", key("expert_count")));
    }
    return ok();
  }

  Status deepseek() {
    if (!is(Architecture::kDeepSeek2)) return ok();
    constexpr int64_t kSigmoid = 2;
    const auto gating = size("expert_gating_func", 0);  // 0: softmax, in files before it was a key.
    if (!gating) return gating.error();
    if (*gating > kSigmoid) {
      return bad(fmt::format("{} is {}, which is unknown", key("expert_gating_func"), *gating));
    }
    const bool is_sigmoid = *gating == kSigmoid;
    Json& config = model_.config;
    config["n_routed_experts"] = num_experts_;
    config["moe_layer_freq"] = 1;
    config["num_nextn_predict_layers"] = 0;
    config["q_lora_rank"] = nullptr;
    if (has("attention.q_lora_rank")) {
      if (Status s = set("q_lora_rank", size("attention.q_lora_rank")); !s) return s;
    }
    for (const auto& [field, rest] :
         {std::pair("first_k_dense_replace", "leading_dense_block_count"),
          {"kv_lora_rank", "attention.kv_lora_rank"},
          {"num_experts_per_tok", "expert_used_count"},
          {"moe_intermediate_size", "expert_feed_forward_length"},
          {"n_shared_experts", "expert_shared_count"},
          {"qk_rope_head_dim", "rope.dimension_count"}}) {
      if (Status status = set(field, size(rest)); !status) return status;
    }
    if (Status s = set("routed_scaling_factor", number("expert_weights_scale", 1.0)); !s) return s;
    config["norm_topk_prob"] = false;
    if (has("expert_weights_norm")) {
      const auto norm = file_.boolean(key("expert_weights_norm"));
      if (!norm) return bad(norm.error().message);
      config["norm_topk_prob"] = *norm;
    }
    // Files from before groups were keys: the one family of 256 experts chosen by sigmoid is
    // DeepSeek-V3's, published with 8 groups of which 4 are used.
    const bool is_v3 = is_sigmoid && num_experts_ == 256;
    if (Status s = set("n_group", size("expert_group_count", is_v3 ? 8 : 1)); !s) return s;
    if (Status s = set("topk_group", size("expert_group_used_count", is_v3 ? 4 : 1)); !s) return s;

    // Per head; files without the _mla keys have no other lengths.
    const bool has_mla = has("attention.key_length_mla");
    const auto whole = size(has_mla ? "attention.key_length_mla" : "attention.key_length");
    if (!whole) return whole.error();
    const int64_t nope = *whole - config["qk_rope_head_dim"].get<int64_t>();
    if (nope <= 0) {
      return bad(fmt::format("keys of {} have no part that is not rotated", *whole));
    }
    nope_ = nope;
    config["qk_nope_head_dim"] = nope;
    if (is_sigmoid) {
      config["model_type"] = "deepseek_v3";
      config["architectures"] = Json::array({"DeepseekV3ForCausalLM"});
      config["scoring_func"] = "sigmoid";
      config["topk_method"] = "noaux_tc";
    } else {
      config["scoring_func"] = "softmax";
      config["topk_method"] = config["n_group"] == 1 ? "greedy" : "group_limited_greedy";
    }
    return set("v_head_dim",
               size(has_mla ? "attention.value_length_mla" : "attention.value_length"));
  }

  Status rope() {
    if (Status s = set("rope_theta", number("rope.freq_base", 10000.0)); !s) return s;
    model_.config["rope_scaling"] = nullptr;
    if (const GgufTensor* slower = file_.find("rope_freqs.weight")) return llama3_rope(*slower);
    if (!has("rope.scaling.type")) return ok();
    const auto type = file_.text(key("rope.scaling.type"));
    if (!type) return bad(type.error().message);
    if (*type == "none") return ok();
    if (*type != "linear" && *type != "yarn") {
      return bad(fmt::format("{} {} is not supported; none, linear and yarn are",
                             key("rope.scaling.type"), in_quotes(*type)));
    }
    const auto factor = number("rope.scaling.factor");
    if (!factor) return factor.error();
    // Both spellings of the type, for older and newer readers.
    Json scaling = {{"type", *type}, {"rope_type", *type}, {"factor", *factor}};
    if (*type == "yarn") {
      const auto original = size("rope.scaling.original_context_length");
      if (!original) return original.error();
      scaling["original_max_position_embeddings"] = *original;
      const auto fast = number("rope.scaling.yarn_beta_fast", 32.0);
      if (!fast) return fast.error();
      const auto slow = number("rope.scaling.yarn_beta_slow", 1.0);
      if (!slow) return slow.error();
      scaling["beta_fast"] = *fast;
      scaling["beta_slow"] = *slow;
      for (const char* unknown : {"rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor",
                                  "rope.scaling.yarn_ext_factor"}) {
        const auto value = number(unknown, 1.0);
        if (!value) return value.error();
        if (*value != 1.0) return bad(fmt::format("{} is not supported", key(unknown)));
      }
      if (is(Architecture::kDeepSeek2)) {
        // The file has a tenth of mscale_all_dim. mscale itself is nowhere; all published models
        // have the two equal, which makes the rotation's own factor 1.
        const auto tenth = number("rope.scaling.yarn_log_multiplier", 0.0);
        if (!tenth) return tenth.error();
        scaling["mscale_all_dim"] = in_decimal(*tenth * 10);
        scaling["mscale"] = scaling["mscale_all_dim"];
      }
    }
    model_.config["rope_scaling"] = scaling;
    return ok();
  }

  // Llama 3.1's scaling is not in the metadata but as a tensor: how much slower than plain RoPE's
  // each frequency is. All published models have the same bounds of wavelengths and differ in the
  // factor, which is that of the slowest frequency.
  Status llama3_rope(const GgufTensor& slower) {
    constexpr double kLow = 1;
    constexpr double kHigh = 4;
    constexpr double kOriginal = 8192;
    const int64_t head = model_.config.value("head_dim", int64_t{0});
    if (!is(Architecture::kLlama) || slower.rows() != 1 || slower.cols() != head / 2) {
      return bad_tensor(slower, "does not belong to this model");
    }
    std::vector<float> values(static_cast<size_t>(slower.cols()));
    dequantise(slower, 0, 1, values.data());
    const double factor = in_decimal(values.back());
    const auto theta = model_.config["rope_theta"].get<double>();
    for (size_t i = 0; i < values.size(); ++i) {
      const double exponent = 2 * static_cast<double>(i) / static_cast<double>(head);
      const double wavelength = 2 * std::numbers::pi * std::pow(theta, exponent);
      const double smooth = std::clamp((kOriginal / wavelength - kLow) / (kHigh - kLow), 0.0, 1.0);
      const double wanted = 1 / ((1 - smooth) / factor + smooth);
      if (!(std::abs(values[i] - wanted) <= 1e-4 * wanted)) {
        return bad_tensor(slower, "is another scaling of RoPE than Llama 3's");
      }
    }
    model_.config["rope_scaling"] = {
        {"type", "llama3"},
        {"rope_type", "llama3"},
        {"factor", factor},
        {"low_freq_factor", kLow},
        {"high_freq_factor", kHigh},
        {"original_max_position_embeddings", static_cast<int64_t>(kOriginal)}};
    return ok();
  }

  Status vocabulary() {
    // The rows that are there: vocab_size is missing in many files, and a list of tokens may be
    // shorter than the rows.
    const GgufTensor* embedding = file_.find("token_embd.weight");
    if (embedding == nullptr) return bad("tensor \"token_embd.weight\" is missing");
    model_.config["vocab_size"] = embedding->rows();
    model_.config["tie_word_embeddings"] = file_.find("output.weight") == nullptr;
    for (const auto& [field, id] : {std::pair("bos_token_id", "tokenizer.ggml.bos_token_id"),
                                    {"eos_token_id", "tokenizer.ggml.eos_token_id"}}) {
      model_.config[field] = nullptr;  // A missing one would mean some id.
      if (file_.value(id) == nullptr) continue;
      const auto value = file_.integer(id);
      if (!value) return bad(value.error().message);
      model_.config[field] = *value;
    }
    if (!is(Architecture::kQwen2)) {  // Which has its biases always.
      model_.config["attention_bias"] = file_.find("blk.0.attn_q.bias") != nullptr;
    }
    if (is(Architecture::kLlama)) {
      model_.config["mlp_bias"] = file_.find("blk.0.ffn_gate.bias") != nullptr;
    }
    return ok();
  }

  Status add(const GgufTensor& tensor) {
    if (tensor.name == "rope_freqs.weight") return ok();  // See llama3_rope.
    if (tensor.name == "token_embd.weight") return add_plain(tensor, "model.embed_tokens.weight");
    if (tensor.name == "output.weight") return add_plain(tensor, "lm_head.weight");
    if (tensor.name == "output_norm.weight") return add_plain(tensor, "model.norm.weight");

    constexpr std::string_view kBlock = "blk.";
    std::string_view rest = tensor.name;
    int64_t layer = -1;
    if (rest.starts_with(kBlock)) {
      rest.remove_prefix(kBlock.size());
      const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), layer);
      // "blk.00." would be a second name of the same layer.
      if (error != std::errc() ||
          fmt::format("{}", layer).size() != static_cast<size_t>(end - rest.data())) {
        layer = -1;
      }
      rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    }
    const size_t dot = rest.rfind('.');
    const bool is_parameter = rest.ends_with(".weight") || rest.ends_with(".bias");
    if (layer < 0 || layer >= num_layers_ || !rest.starts_with(".") || dot == 0 || !is_parameter) {
      return bad_tensor(tensor, "is not known");
    }
    return add_of_layer(tensor, fmt::format("model.layers.{}.", layer), rest.substr(1, dot - 1),
                        rest.substr(dot));
  }

  // `part` is such as "attn_q", `kind` such as ".weight".
  Status add_of_layer(const GgufTensor& tensor, const std::string& layer, std::string_view part,
                      std::string_view kind) {
    const bool is_deepseek = is(Architecture::kDeepSeek2);
    const bool is_mixture = is_deepseek || is(Architecture::kQwen3Moe);
    if (auto hf = hf_name(kLayerNames, part)) {
      if (is(Architecture::kLlama) && (part == "attn_q" || part == "attn_k")) {
        return add_pairs(tensor, fmt::format("{}{}{}", layer, *hf, kind),
                         part == "attn_q" ? num_heads_ : num_kv_heads_);
      }
      return add_plain(tensor, fmt::format("{}{}{}", layer, *hf, kind));
    }
    std::optional<std::string_view> hf;
    if (is(Architecture::kQwen3) || is(Architecture::kQwen3Moe)) hf = hf_name(kQwen3Names, part);
    if (!hf && is_mixture) hf = hf_name(kMoeNames, part);
    if (!hf && is_deepseek) hf = hf_name(kDeepSeekNames, part);
    if (hf) return add_plain(tensor, fmt::format("{}{}{}", layer, *hf, kind));
    if (is_mixture && kind == ".weight") {
      if (auto expert = hf_name(kExpertNames, part)) return add_stack(tensor, layer, *expert);
    }
    if (is_deepseek && part == "exp_probs_b" && kind == ".bias") {
      return add_plain(tensor, layer + "mlp.gate.e_score_correction_bias");
    }
    if (is_deepseek && part == "attn_k_b" && kind == ".weight") return add_split(tensor, layer);
    if (is_deepseek && part == "attn_v_b" && kind == ".weight") return check_has_key(tensor);
    return bad_tensor(tensor, "is not known");
  }

  Status add_plain(const GgufTensor& tensor, std::string name) {
    if (tensor.shape.size() > 2) return bad_tensor(tensor, "has more than two dimensions");
    model_.tensors.push_back({.name = std::move(name), .shape = tensor.shape, .tensor = &tensor});
    return ok();
  }

  Status add_pairs(const GgufTensor& tensor, std::string name, int64_t heads) {
    if (tensor.shape.size() > 2) return bad_tensor(tensor, "has more than two dimensions");
    const int64_t wanted = heads * model_.config["head_dim"].get<int64_t>();
    if (tensor.shape[0] != wanted) {
      return bad_tensor(tensor,
                        fmt::format("has {} rows; its heads have {}", tensor.shape[0], wanted));
    }
    model_.tensors.push_back({.name = std::move(name),
                              .shape = tensor.shape,
                              .layout = Layout::kRopePairs,
                              .tensor = &tensor,
                              .heads = heads});
    return ok();
  }

  Status add_stack(const GgufTensor& tensor, const std::string& layer, std::string_view part) {
    if (tensor.shape.size() != 3 || tensor.shape[0] != num_experts_) {
      return bad_tensor(tensor, fmt::format("is not a stack of {} experts", num_experts_));
    }
    for (int64_t i = 0; i < num_experts_; ++i) {
      model_.tensors.push_back({.name = fmt::format("{}mlp.experts.{}.{}.weight", layer, i, part),
                                .shape = {tensor.shape[1], tensor.shape[2]},
                                .tensor = &tensor,
                                .first_row = i * tensor.shape[1]});
    }
    return ok();
  }

  Status add_split(const GgufTensor& keys, const std::string& layer) {
    std::string name = keys.name;
    name.replace(name.find("attn_k_b"), 8, "attn_v_b");
    const GgufTensor* values = file_.find(name);
    if (values == nullptr) return bad_tensor(keys, "is there without attn_v_b");
    const auto latent = model_.config["kv_lora_rank"].get<int64_t>();
    const auto value_size = model_.config["v_head_dim"].get<int64_t>();
    if (keys.shape != std::vector<int64_t>{num_heads_, latent, nope_}) {
      return bad_tensor(keys, fmt::format("is not [{}, {}, {}]", num_heads_, latent, nope_));
    }
    if (values->shape != std::vector<int64_t>{num_heads_, value_size, latent}) {
      return bad_tensor(*values,
                        fmt::format("is not [{}, {}, {}]", num_heads_, value_size, latent));
    }
    model_.tensors.push_back({.name = layer + "self_attn.kv_b_proj.weight",
                              .shape = {num_heads_ * (nope_ + value_size), latent},
                              .layout = Layout::kSplitKvB,
                              .tensor = &keys,
                              .values = values,
                              .heads = num_heads_});
    return ok();
  }

  Status check_has_key(const GgufTensor& values) const {
    std::string name = values.name;
    name.replace(name.find("attn_v_b"), 8, "attn_k_b");
    if (file_.find(name) == nullptr) return bad_tensor(values, "is there without attn_k_b");
    return ok();
  }

  Status check_names() {
    auto& tensors = model_.tensors;
    std::sort(tensors.begin(), tensors.end(),
              [](const GgufSource& a, const GgufSource& b) { return a.name < b.name; });
    const auto twice = std::adjacent_find(
        tensors.begin(), tensors.end(),
        [](const GgufSource& a, const GgufSource& b) { return a.name == b.name; });
    if (twice == tensors.end()) return ok();
    return bad(fmt::format("tensors {} and {} are both {}", in_quotes(twice->tensor->name),
                           in_quotes((twice + 1)->tensor->name), twice->name));
  }

  const Gguf& file_;
  std::string_view origin_;
  const ArchitectureFacts* facts_ = nullptr;
  GgufModel model_{};
  int64_t num_layers_ = 0;
  int64_t num_heads_ = 0;
  int64_t num_kv_heads_ = 0;
  int64_t num_experts_ = 0;
  int64_t nope_ = 0;  // Of deepseek2: a key's part that is not rotated.
};

}  // namespace

const GgufSource* GgufModel::find(std::string_view name) const {
  const auto found =
      std::lower_bound(tensors.begin(), tensors.end(), name,
                       [](const GgufSource& t, std::string_view n) { return t.name < n; });
  return found != tensors.end() && found->name == name ? &*found : nullptr;
}

Result<GgufModel> describe_gguf(const Gguf& file, std::string_view origin) {
  return Describer(file, origin).describe();
}

}  // namespace troupe::model
