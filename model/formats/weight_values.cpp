#include "model/formats/weight_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "model/formats/tensor_reading.h"

namespace troupe::model {
namespace {

constexpr const char* kHead = "lm_head.weight";
constexpr const char* kEmbeddings = "model.embed_tokens.weight";

bool is_finite(float value) {
  constexpr uint32_t kExponent = 0x7f800000;
  return (std::bit_cast<uint32_t>(value) & kExponent) != kExponent;
}

// Without a branch for each value, since nearly all weights that are read are fine.
bool are_finite(std::span<const float> values) {
  uint32_t num_bad = 0;
  for (float value : values) num_bad |= is_finite(value) ? 0u : 1u;
  return num_bad == 0;
}

Result<std::vector<float>> floats_of(const ShardedSafetensors& file, const TensorView& tensor,
                                     const ScaleBlocks& blocks) {
  size_t count = 1;
  for (int64_t n : tensor.shape) count *= static_cast<size_t>(n);
  std::vector<float> values(count);
  const Status status =
      read_as_float(tensor, file.find(scale_inv_name(tensor.name)), blocks, values.data());
  if (!status) {
    return Error{status.error().code, file.path() + ": " + status.error().message};
  }
  return values;
}

Error other_head(const ShardedSafetensors& file, const std::string& what) {
  return invalid_argument(fmt::format(
      "{}: config.json says \"tie_word_embeddings\": true, but {} {} {}; set it to false in "
      "config.json if {} was trained, or take {} out of the file if it is left over",
      file.path(), kHead, what, kEmbeddings, kHead, kHead));
}

}  // namespace

Status check_finite(const std::string& path, const ParameterLayout& layout,
                    std::span<const float> values) {
  for (const auto& [shape, offset] : layout.by_name()) {
    const auto of_tensor =
        values.subspan(static_cast<size_t>(offset), static_cast<size_t>(shape.size()));
    if (are_finite(of_tensor)) continue;
    const auto bad = [](float value) { return !is_finite(value); };
    const auto count = std::count_if(of_tensor.begin(), of_tensor.end(), bad);
    const auto first = std::find_if(of_tensor.begin(), of_tensor.end(), bad) - of_tensor.begin();
    const std::string place = shape.is_matrix()
                                  ? fmt::format("[{}, {}]", first / shape.cols, first % shape.cols)
                                  : fmt::format("[{}]", first);
    return invalid_argument(fmt::format(
        "{}: tensor {}: {} of its {} values {} not a number or infinite, the first at {}; take an "
        "earlier checkpoint, or, if the values became too large for float16, export it again in "
        "bfloat16 or float32",
        path, shape.name, count, shape.size(), count == 1 ? "is" : "are", place));
  }
  return ok();
}

Status check_filled(const std::string& path, const ParameterLayout& layout,
                    std::span<const float> values) {
  for (const auto& [shape, offset] : layout.by_name()) {
    if (!shape.name.ends_with("norm.weight") && shape.name != kEmbeddings) continue;
    const auto of_tensor =
        values.subspan(static_cast<size_t>(offset), static_cast<size_t>(shape.size()));
    const bool is_blank =
        std::all_of(of_tensor.begin(), of_tensor.end(), [](float value) { return value == 0.0f; });
    if (!is_blank) continue;
    return invalid_argument(fmt::format(
        "{}: tensor {}: all of its {} values are zero, so the file was not written or fetched to "
        "its end; fetch or export it again",
        path, shape.name, shape.size()));
  }
  return ok();
}

Status check_tied_head(const ShardedSafetensors& file, const TransformerConfig& config,
                       const ScaleBlocks& blocks) {
  const TensorView* head = file.find(kHead);
  const TensorView* embeddings = file.find(kEmbeddings);
  if (!config.tie_word_embeddings || head == nullptr || embeddings == nullptr) return ok();
  if (head->shape != embeddings->shape) return other_head(file, "has another shape than");
  const bool is_same_bytes = head->dtype == embeddings->dtype && head->dtype != DType::kF8E4M3 &&
                             std::equal(head->bytes.begin(), head->bytes.end(),
                                        embeddings->bytes.begin(), embeddings->bytes.end());
  if (is_same_bytes) return ok();
  // The same values may be stored in another type.
  const auto a = floats_of(file, *head, blocks);
  if (!a) return a.error();
  const auto b = floats_of(file, *embeddings, blocks);
  if (!b) return b.error();
  size_t num_other = 0;
  for (size_t i = 0; i < a->size(); ++i) {
    num_other += std::bit_cast<uint32_t>((*a)[i]) != std::bit_cast<uint32_t>((*b)[i]) ? 1 : 0;
  }
  if (num_other == 0) return ok();
  return other_head(file, fmt::format("differs in {} of {} values from", num_other, a->size()));
}

}  // namespace troupe::model
