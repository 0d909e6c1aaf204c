// The model in a GGUF file as a Hugging Face checkpoint would have it: its config.json and its
// tensors, by the names and in the layout that transformers uses.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "model/formats/gguf.h"
#include "schemas/result.h"

namespace troupe::model {

// Where a Hugging Face tensor's elements are in the file.
struct GgufSource {
  enum class Layout : uint8_t {
    kRows,       // Rows from `first_row` of the tensor.
    kRopePairs,  // Rows (or elements of a vector) of each head in pairs (0, k), (1, k + 1), ...
                 // with k half the head. llama.cpp's RoPE for Llama turns neighbours; transformers'
                 // turns elements half a head apart.
    kSplitKvB,   // kv_b_proj: of each head the transpose of `tensor`, then `values`.
  };

  std::string name{};            // As transformers says.
  std::vector<int64_t> shape{};  // (rows, cols) or (size).
  Layout layout = Layout::kRows;
  const GgufTensor* tensor = nullptr;  // All live in the file's Gguf.
  const GgufTensor* values = nullptr;  // Of kSplitKvB.
  int64_t first_row = 0;               // Of kRows: an expert's, in its stack.
  int64_t heads = 0;                   // Of kRopePairs and kSplitKvB.

  int64_t size() const;
};

struct GgufModel {
  nlohmann::json config{};            // Of config.json, with the fields that the file determines.
  std::vector<GgufSource> tensors{};  // In byte order of their names.

  const GgufSource* find(std::string_view name) const;
};

// For general.architecture llama, qwen2, qwen3, qwen3moe and deepseek2. kInvalidArgument, naming
// `origin` and the key or tensor, for another architecture, for a key that is missing or asks for
// mathematics that config.json has no words for, for a tensor that is unknown or whose shape
// contradicts the metadata, and for a part of a split file. The tensors point into `file`. Whether
// all tensors of the model are there is left to who knows the model.
Result<GgufModel> describe_gguf(const Gguf& file, std::string_view origin);

// All elements of the tensor, row-major, into `out`, which has room for size() of them.
void read_as_float(const GgufSource& source, float* out);

}  // namespace troupe::model
