#include "model/formats/checkpoint.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "model/formats/file.h"
#include "model/formats/gguf_model.h"
#include "model/formats/hf_config.h"
#include "model/formats/other_weights.h"
#include "model/formats/quantization.h"
#include "model/formats/safetensors.h"
#include "model/formats/sharded_safetensors.h"
#include "model/formats/tensor_reading.h"
#include "model/formats/weight_values.h"
#include "model/formats/weights_hash.h"
#include "schemas/check.h"
#include "schemas/json_text.h"
#include "schemas/system_error.h"

namespace troupe::model {
namespace {

namespace fs = std::filesystem;

uint16_t to_bf16(float x) {
  const auto u = std::bit_cast<uint32_t>(x);
  return static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

std::vector<int64_t> dimensions(const TensorShape& shape) {
  if (shape.is_matrix()) return {shape.rows, shape.cols};
  return {shape.rows};
}

DType published_dtype(const TensorShape& shape, Stored stored = Stored::kBf16) {
  return shape.is_float32 || stored == Stored::kFloat32 ? DType::kF32 : DType::kBF16;
}

// Some of a tensor's values as they are published.
std::vector<std::byte> published_bytes(std::span<const float> values, DType dtype) {
  std::vector<std::byte> bytes(values.size() * bytes_of(dtype));
  if (dtype == DType::kF32) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t half = to_bf16(values[i]);
    std::memcpy(bytes.data() + 2 * i, &half, 2);
  }
  return bytes;
}

// The published tensors of `values`, with their bytes.
struct Published {
  std::vector<std::vector<std::byte>> storage{};
  std::vector<TensorView> tensors{};
};

Published publish(const TransformerConfig& config, const std::vector<float>& values,
                  Stored stored = Stored::kBf16) {
  const ParameterLayout layout(config);
  TROUPE_CHECK(static_cast<int64_t>(values.size()) == layout.num_floats());
  Published published;
  published.storage.reserve(layout.by_name().size());
  for (const auto& [shape, offset] : layout.by_name()) {
    const std::span from(values.data() + offset, static_cast<size_t>(shape.size()));
    const DType dtype = published_dtype(shape, stored);
    const auto& bytes = published.storage.emplace_back(published_bytes(from, dtype));
    published.tensors.push_back(
        {.name = shape.name, .dtype = dtype, .shape = dimensions(shape), .bytes = bytes});
  }
  return published;
}

Error foreign_tensor(const std::string& path, const std::string& name) {
  return invalid_argument(path + ": tensor " + name +
                          " does not belong to the model of config.json");
}

// Everything that can be said of a tensor without reading it; null: it is not there.
Status check_tensor(const std::string& path, const TensorShape& shape,
                    const std::vector<int64_t>* found) {
  if (found == nullptr && shape.name == "lm_head.weight") {
    return invalid_argument(path +
                            ": tensor lm_head.weight is missing, and config.json does not say "
                            "\"tie_word_embeddings\": true; set that if the embeddings are the "
                            "model's head too, else fetch or export the file again");
  }
  if (found == nullptr) {
    return invalid_argument(path + ": tensor " + shape.name + " is missing");
  }
  if (*found != dimensions(shape)) {
    return invalid_argument(path + ": tensor " + shape.name +
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
      return foreign_tensor(file.path(), name);
    }
  }
  return ok();
}

Result<std::vector<float>> read_values(const ShardedSafetensors& file,
                                       const TransformerConfig& config, const ScaleBlocks& blocks) {
  const ParameterLayout layout(config);
  // The bytes must be there before memory for what config.json claims is.
  for (const auto& [shape, offset] : layout.by_name()) {
    const TensorView* tensor = file.find(shape.name);
    const Status status = check_tensor(file.path(), shape, tensor ? &tensor->shape : nullptr);
    if (!status) return status.error();
  }
  if (Status status = check_no_others(file, config, layout); !status) return status.error();
  if (Status status = check_tied_head(file, config, blocks); !status) return status.error();
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

// One of the files of a folder is no model.
Result<GgufFile> open_gguf(const std::string& path) {
  const fs::path name(path);
  if (name.extension() == ".safetensors" || name.extension() == ".json") {
    const std::string folder = name.parent_path().string();
    return invalid_argument(fmt::format("{}: is one file of a model; give its folder instead: {}",
                                        path, folder.empty() ? "." : folder));
  }
  return GgufFile::open(path);
}

Result<Checkpoint> load_gguf(const std::string& path) {
  const auto file = open_gguf(path);
  if (!file) return file.error();
  const auto model = describe_gguf(file->contents(), path);
  if (!model) return model.error();
  auto config = parse_hf_config(to_text(model->config), path);
  if (!config) return config.error();
  auto text = gguf_policy_text(file->contents(), *config, path);
  if (!text) return text.error();
  const ParameterLayout layout(*config);
  for (const auto& [shape, offset] : layout.by_name()) {
    const GgufSource* source = model->find(shape.name);
    const Status status = check_tensor(path, shape, source ? &source->shape : nullptr);
    if (!status) return status.error();
  }
  for (const GgufSource& source : model->tensors) {
    if (!is_known(layout, source.name)) return foreign_tensor(path, source.name);
  }
  Checkpoint checkpoint{.config = *config, .text = std::move(*text)};
  checkpoint.values.resize(static_cast<size_t>(layout.num_floats()));
  for (const auto& [shape, offset] : layout.by_name()) {
    read_as_float(*model->find(shape.name), checkpoint.values.data() + offset);
  }
  if (Status status = check_finite(path, layout, checkpoint.values); !status) {
    return status.error();
  }
  if (Status status = check_filled(path, layout, checkpoint.values); !status) {
    return status.error();
  }
  return checkpoint;
}

// Weights of another kind are told of before a config.json that may be missing beside them.
Result<TransformerConfig> folder_config(const std::string& folder) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) {
    return invalid_argument(
        fmt::format("{}: no such folder or file; a model is not fetched by its name, download it "
                    "first",
                    folder));
  }
  if (const auto error = other_weights(folder)) return *error;
  return load_hf_config(folder);
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

Result<TransformerConfig> load_policy_config(const std::string& path) {
  if (!is_file(path)) return folder_config(path);
  const auto file = open_gguf(path);
  if (!file) return file.error();
  const auto model = describe_gguf(file->contents(), path);
  if (!model) return model.error();
  return parse_hf_config(to_text(model->config), path);
}

Result<Checkpoint> load_checkpoint(const std::string& path) {
  if (is_file(path)) return load_gguf(path);
  auto config = folder_config(path);
  if (!config) return config.error();
  if (Status status = check_no_adapter(path); !status) return status.error();
  auto text = load_policy_text(path, *config);
  if (!text) return text.error();
  const auto blocks = load_quantization(path);
  if (!blocks) return blocks.error();
  const auto file = ShardedSafetensors::open(path);
  if (!file) return file.error();
  auto values = read_values(*file, *config, blocks->value_or(ScaleBlocks{}));
  if (!values) return values.error();
  const ParameterLayout layout(*config);
  if (Status status = check_finite(file->path(), layout, *values); !status) return status.error();
  if (Status status = check_filled(file->path(), layout, *values); !status) return status.error();
  return Checkpoint{.config = *config, .values = std::move(*values), .text = std::move(*text)};
}

namespace {

Status write_checkpoint(const std::string& folder, const std::string& unfinished,
                        const Checkpoint& checkpoint, Stored stored) {
  std::error_code error;
  fs::remove_all(unfinished, error);
  fs::create_directories(unfinished, error);
  if (error && is_exhaustion(error.value())) {
    return system_error("cannot create " + unfinished, error.value());
  }
  if (error) return invalid_argument("cannot create " + unfinished + ": " + error.message());
  const auto written = write_checkpoint_files(unfinished, checkpoint, stored);
  if (!written) return written.error();
  fs::remove_all(folder, error);
  fs::rename(unfinished, folder, error);
  if (error) {
    return system_error("cannot rename " + unfinished, error.value());
  }
  return ok();
}

}  // namespace

Status save_checkpoint(const std::string& path, const Checkpoint& checkpoint, Stored stored) {
  const std::string folder = path.substr(0, path.find_last_not_of('/') + 1);
  if (folder.empty()) return invalid_argument("\"" + path + "\" is no folder to write");
  const std::string unfinished = folder + ".unfinished";
  Status status = write_checkpoint(folder, unfinished, checkpoint, stored);
  std::error_code ignored;
  if (!status) fs::remove_all(unfinished, ignored);
  return status;
}

Result<std::vector<std::string>> write_checkpoint_files(const std::string& folder,
                                                        const Checkpoint& checkpoint,
                                                        Stored stored) {
  auto files = files_of(checkpoint.text);
  files["config.json"] =
      to_hf_config(checkpoint.config, stored == Stored::kBf16 ? "bfloat16" : "float32");
  std::vector<std::string> names;
  for (const auto& [name, text] : files) {
    if (auto s = write_file(folder + "/" + name, text); !s) return s.error();
    names.push_back(name);
  }
  names.emplace_back("model.safetensors");
  const Published published = publish(checkpoint.config, checkpoint.values, stored);
  const Status written = write_safetensors(folder + "/" + names.back(), published.tensors);
  if (!written) return written.error();
  return names;
}

int64_t count_rounded(const Checkpoint& checkpoint) {
  const ParameterLayout layout(checkpoint.config);
  int64_t rounded = 0;
  for (const auto& [shape, offset] : layout.by_name()) {
    if (shape.is_float32) continue;
    const std::span values(checkpoint.values.data() + offset, static_cast<size_t>(shape.size()));
    rounded += std::count_if(values.begin(), values.end(),
                             [](float x) { return (std::bit_cast<uint32_t>(x) & 0xffff) != 0; });
  }
  return rounded;
}

std::string checkpoint_sha256(const TransformerConfig& config, const std::vector<float>& values) {
  const ParameterLayout layout(config);
  TROUPE_CHECK(static_cast<int64_t>(values.size()) == layout.num_floats());
  const ShardMap all(layout, 1);
  return checkpoint_sha256(layout, published_digests(layout, all.chunks(), values));
}

std::vector<Sha256Digest> published_digests(const ParameterLayout& layout,
                                            std::span<const Chunk> chunks,
                                            std::span<const float> values, int64_t begin) {
  std::vector<Sha256Digest> digests;
  digests.reserve(chunks.size());
  for (const Chunk& chunk : chunks) {
    TROUPE_CHECK(chunk.offset >= begin);
    const auto at = static_cast<size_t>(chunk.offset - begin);
    const auto count = static_cast<size_t>(chunk.count);
    TROUPE_CHECK(at <= values.size() && count <= values.size() - at);
    const DType dtype = published_dtype(layout.by_name()[chunk.parameter].shape);
    digests.push_back(sha256(published_bytes(values.subspan(at, count), dtype)));
  }
  return digests;
}

std::string checkpoint_sha256(const ParameterLayout& layout,
                              std::span<const Sha256Digest> digests) {
  const ShardMap all(layout, 1);
  TROUPE_CHECK(digests.size() == all.chunks().size());
  std::vector<HashedTensor> tensors;
  // A tensor's chunks lie one after another.
  for (size_t begin = 0; begin < digests.size();) {
    const size_t parameter = all.chunks()[begin].parameter;
    size_t end = begin;
    while (end < digests.size() && all.chunks()[end].parameter == parameter) ++end;
    const TensorShape& shape = layout.by_name()[parameter].shape;
    tensors.push_back({.name = shape.name,
                       .dtype = published_dtype(shape),
                       .shape = dimensions(shape),
                       .chunks = digests.subspan(begin, end - begin)});
    begin = end;
  }
  return weights_sha256(tensors);
}

}  // namespace troupe::model
