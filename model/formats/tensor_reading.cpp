#include "model/formats/tensor_reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "model/formats/in_quotes.h"
#include "model/formats/small_floats.h"

namespace troupe::model {
namespace {

template <class Bits, class Convert>
void convert(std::span<const std::byte> bytes, float* out, Convert to_float) {
  for (size_t i = 0; i < bytes.size() / sizeof(Bits); ++i) {
    Bits bits{};
    std::memcpy(&bits, bytes.data() + i * sizeof(Bits), sizeof(Bits));
    out[i] = to_float(bits);
  }
}

int64_t num_blocks(int64_t size, int64_t block) { return size / block + (size % block != 0); }

Status read_f8(const TensorView& tensor, const TensorView* scale_inv, const ScaleBlocks& blocks,
               float* out) {
  const auto bad = [&](std::string_view what) {
    return invalid_argument(fmt::format("tensor {}: {}", in_quotes(tensor.name), what));
  };
  if (scale_inv == nullptr) {
    return bad(fmt::format("is {} but there is no {}", name(tensor.dtype),
                           in_quotes(scale_inv_name(tensor.name))));
  }
  if (tensor.shape.size() != 2) return bad("is F8_E4M3 but not a matrix");
  const int64_t rows = tensor.shape[0];
  const int64_t cols = tensor.shape[1];
  const int64_t scale_rows = num_blocks(rows, blocks.rows);
  const int64_t scale_cols = num_blocks(cols, blocks.cols);
  if (scale_inv->shape != std::vector<int64_t>{scale_rows, scale_cols}) {
    return bad(fmt::format("its scales should be [{}, {}], one for each {} x {} elements",
                           scale_rows, scale_cols, blocks.rows, blocks.cols));
  }
  if (scale_inv->dtype != DType::kF32 && scale_inv->dtype != DType::kBF16) {
    return bad(fmt::format("its scales are {}; F32 and BF16 are read", name(scale_inv->dtype)));
  }
  std::vector<float> scales(static_cast<size_t>(scale_rows * scale_cols));
  if (Status status = read_as_float(*scale_inv, nullptr, blocks, scales.data()); !status) {
    return status;
  }
  const std::byte* in = tensor.bytes.data();
  for (int64_t row = 0; row < rows; ++row) {
    const float* scale = scales.data() + row / blocks.rows * scale_cols;
    for (int64_t begin = 0; begin < cols; begin += blocks.cols) {
      const int64_t end = std::min(begin + blocks.cols, cols);
      for (int64_t col = begin; col < end; ++col) {
        *out++ = kF8E4M3Values[std::to_integer<size_t>(*in++)] * *scale;
      }
      ++scale;
    }
  }
  return ok();
}

}  // namespace

Status read_as_float(const TensorView& tensor, const TensorView* scale_inv,
                     const ScaleBlocks& blocks, float* out) {
  if (tensor.dtype == DType::kF8E4M3) return read_f8(tensor, scale_inv, blocks, out);
  if (scale_inv != nullptr) {
    return invalid_argument(fmt::format("tensor {} is {} but there are scales {} for it",
                                        in_quotes(tensor.name), name(tensor.dtype),
                                        in_quotes(scale_inv->name)));
  }
  switch (tensor.dtype) {
    case DType::kF32:
      if (!tensor.bytes.empty()) std::memcpy(out, tensor.bytes.data(), tensor.bytes.size());
      return ok();
    case DType::kF16:
      convert<uint16_t>(tensor.bytes, out, f16_to_float);
      return ok();
    case DType::kBF16:
      convert<uint16_t>(tensor.bytes, out, bf16_to_float);
      return ok();
    default:
      return invalid_argument(fmt::format("tensor {} is {}; F32, F16, BF16 and F8_E4M3 are read",
                                          in_quotes(tensor.name), name(tensor.dtype)));
  }
}

std::string scale_inv_name(const std::string& tensor_name) { return tensor_name + "_scale_inv"; }

}  // namespace troupe::model
