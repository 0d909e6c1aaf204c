#include "model/formats/checkpoint.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "model/formats/file.h"
#include "model/formats/hf_config.h"
#include "model/formats/quantization.h"
#include "model/formats/safetensors.h"
#include "model/formats/sharded_safetensors.h"
#include "model/formats/tensor_reading.h"
#include "model/formats/weights_hash.h"
#include "schemas/check.h"

namespace troupe::model {
namespace {

namespace fs = std::filesystem;

uint16_t to_bf16(float x) {
  const auto u = std::bit_cast<uint32_t>(x);
  return static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

// The published tensors of `values`, with their bytes.
struct Published {
  std::vector<std::vector<std::byte>> storage{};
  std::vector<TensorView> tensors{};
};

Published publish(const TransformerConfig& config, const std::vector<float>& values) {
  const ParameterLayout layout(config);
  TROUPE_CHECK(static_cast<int64_t>(values.size()) == layout.num_floats());
  Published published;
  published.storage.reserve(layout.by_name().size());
  for (const auto& [shape, offset] : layout.by_name()) {
    const auto count = static_cast<size_t>(shape.size());
    const float* from = values.data() + offset;
    auto& bytes = published.storage.emplace_back(count * (shape.is_float32 ? 4 : 2));
    if (shape.is_float32) {
      std::memcpy(bytes.data(), from, bytes.size());
    } else {
      for (size_t i = 0; i < count; ++i) {
        const uint16_t half = to_bf16(from[i]);
        std::memcpy(bytes.data() + 2 * i, &half, 2);
      }
    }
    std::vector<int64_t> dims{shape.rows};
    if (shape.is_matrix()) dims.push_back(shape.cols);
    published.tensors.push_back({.name = shape.name,
                                 .dtype = shape.is_float32 ? DType::kF32 : DType::kBF16,
                                 .shape = dims,
                                 .bytes = bytes});
  }
  return published;
}

// Everything that can be said of a tensor without reading it.
Status check_tensor(const ShardedSafetensors& file, const TensorShape& shape) {
  const TensorView* tensor = file.find(shape.name);
  if (tensor == nullptr) {
    return invalid_argument(file.path() + ": tensor " + shape.name + " is missing");
  }
  std::vector<int64_t> dims{shape.rows};
  if (shape.is_matrix()) dims.push_back(shape.cols);
  if (tensor->shape != dims) {
    return invalid_argument(file.path() + ": tensor " + shape.name +
                            " has another shape than config.json asks for");
  }
  return ok();
}

bool is_known(const ParameterLayout& layout, const std::string& name) {
  const auto& known = layout.by_name();  // In byte order of names.
  const auto found = std::lower_bound(
      known.begin(), known.end(), name,
      [](const Parameter& parameter, const std::string& n) { return parameter.shape.name < n; });
  return found != known.end() && found->shape.name == name;
}

// What published files hold beside the model, and transformers leaves out too: the head of a model
// whose head is its embedding, tables of angles, and DeepSeek-V3's layers after the last that
// predict further tokens, which are those that join two inputs (eh_proj).
bool is_left_out(const ShardedSafetensors& file, const TransformerConfig& config,
                 const std::string& name) {
  if (name == "lm_head.weight") return config.tie_word_embeddings;
  if (name.ends_with(".rotary_emb.inv_freq")) return true;
  constexpr std::string_view kLayer = "model.layers.";
  if (config.family != Family::kDeepseekV3 || !name.starts_with(kLayer)) return false;
  const char* end = name.data() + name.size();
  int64_t layer = -1;
  const auto [rest, error] = std::from_chars(name.data() + kLayer.size(), end, layer);
  return error == std::errc() && rest != end && *rest == '.' && layer >= config.num_hidden_layers &&
         file.find(name.substr(0, static_cast<size_t>(rest - name.data())) + ".eh_proj.weight");
}

// Scales belong to the tensor that they are the scales of.
Status check_no_others(const ShardedSafetensors& file, const TransformerConfig& config,
                       const ParameterLayout& layout) {
  const std::string suffix = scale_inv_name("");
  for (const auto& tensor : file.tensors()) {
    const std::string& name = tensor.name;
    if (is_left_out(file, config, name)) continue;
    const bool is_scale = name.ends_with(suffix);
    if (!is_known(layout, is_scale ? name.substr(0, name.size() - suffix.size()) : name)) {
      return invalid_argument(file.path() + ": tensor " + name +
                              " does not belong to the model of config.json");
    }
  }
  return ok();
}

Result<std::vector<float>> read_values(const ShardedSafetensors& file,
                                       const TransformerConfig& config, const ScaleBlocks& blocks) {
  const ParameterLayout layout(config);
  // The bytes must be there before memory for what config.json claims is.
  for (const auto& [shape, offset] : layout.by_name()) {
    if (Status status = check_tensor(file, shape); !status) return status.error();
  }
  if (Status status = check_no_others(file, config, layout); !status) return status.error();
  std::vector<float> values(static_cast<size_t>(layout.num_floats()));
  for (const auto& [shape, offset] : layout.by_name()) {
    const Status status =
        read_as_float(*file.find(shape.name), file.find(scale_inv_name(shape.name)), blocks,
                      values.data() + offset);
    if (!status) {
      return Error{status.error().code, file.path() + ": " + status.error().message};
    }
  }
  return values;
}

}  // namespace

Result<std::vector<float>> read_policy_file(const std::string& path,
                                            const TransformerConfig& config) {
  auto file = ShardedSafetensors::open_file(path);
  if (!file) return file.error();
  return read_values(*file, config, {});
}

Status write_policy_file(const std::string& path, const TransformerConfig& config,
                         const std::vector<float>& values) {
  return write_safetensors(path, publish(config, values).tensors, {{"format", "pt"}},
                           Durability::kNone);
}

Result<Checkpoint> load_checkpoint(const std::string& folder) {
  auto config = load_hf_config(folder);
  if (!config) return config.error();
  const auto blocks = load_quantization(folder);
  if (!blocks) return blocks.error();
  const auto file = ShardedSafetensors::open(folder);
  if (!file) return file.error();
  auto values = read_values(*file, *config, blocks->value_or(ScaleBlocks{}));
  if (!values) return values.error();
  Checkpoint checkpoint{.config = *config, .values = std::move(*values)};

  const std::string tokenizer_path = folder + "/tokenizer_config.json";
  if (fs::exists(tokenizer_path)) {
    auto text = read_file(tokenizer_path, 1 << 20);
    if (!text) return text.error();
    const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return invalid_argument(tokenizer_path + ": not a JSON object");
    const auto text_of = [&](const char* key, std::string& to) {
      if (json.contains(key) && json[key].is_string()) to = json[key].get<std::string>();
    };
    text_of("troupe_tokenizer", checkpoint.tokenizer);
    text_of("troupe_template", checkpoint.prompt_template);
    if (checkpoint.tokenizer != "bytes") {
      return invalid_argument(tokenizer_path + ": troupe_tokenizer = \"" + checkpoint.tokenizer +
                              "\" is not a tokenizer of this program; there is: bytes");
    }
  }
  return checkpoint;
}

Status save_checkpoint(const std::string& folder, const Checkpoint& checkpoint) {
  const std::string unfinished = folder + ".unfinished";
  std::error_code error;
  fs::remove_all(unfinished, error);
  fs::create_directories(unfinished, error);
  if (error) return invalid_argument("cannot create " + unfinished + ": " + error.message());
  const Published published = publish(checkpoint.config, checkpoint.values);
  if (auto s = write_file(unfinished + "/config.json", to_hf_config(checkpoint.config)); !s)
    return s;
  const nlohmann::ordered_json tokenizer{{"troupe_tokenizer", checkpoint.tokenizer},
                                         {"troupe_template", checkpoint.prompt_template}};
  if (auto s = write_file(unfinished + "/tokenizer_config.json", tokenizer.dump(2) + "\n"); !s) {
    return s;
  }
  if (auto s = write_safetensors(unfinished + "/model.safetensors", published.tensors); !s) {
    return s;
  }
  fs::remove_all(folder, error);
  fs::rename(unfinished, folder, error);
  if (error) {
    return Error{ErrorCode::kInternal, "cannot rename " + unfinished + ": " + error.message()};
  }
  return ok();
}

std::string checkpoint_sha256(const TransformerConfig& config, const std::vector<float>& values) {
  return weights_sha256(publish(config, values).tensors);
}

}  // namespace troupe::model
