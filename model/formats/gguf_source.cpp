#include <algorithm>
#include <vector>

#include "model/formats/gguf_model.h"
#include "schemas/check.h"

namespace troupe::model {
namespace {

using Layout = GgufSource::Layout;

// (heads, half, 2, width) to (heads, 2, half, width), by way of one head.
void halves_from_pairs(float* out, int64_t heads, int64_t rows, int64_t width) {
  const int64_t half = rows / 2;
  std::vector<float> pairs(static_cast<size_t>(rows * width));
  for (int64_t head = 0; head < heads; ++head) {
    float* of_head = out + head * rows * width;
    std::copy_n(of_head, rows * width, pairs.begin());
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t from = row < half ? 2 * row : 2 * (row - half) + 1;
      std::copy_n(pairs.begin() + from * width, width, of_head + row * width);
    }
  }
}

// Per head: keys (latent, nope) transposed, values (value, latent).
void join_kv_b(const GgufSource& source, float* out) {
  const int64_t latent = source.tensor->shape[1];
  const int64_t nope = source.tensor->shape[2];
  const int64_t value = source.values->shape[1];
  std::vector<float> keys(static_cast<size_t>(latent * nope));
  for (int64_t head = 0; head < source.heads; ++head) {
    dequantise(*source.tensor, head * latent, (head + 1) * latent, keys.data());
    for (int64_t i = 0; i < nope; ++i) {
      for (int64_t j = 0; j < latent; ++j) *out++ = keys[static_cast<size_t>(j * nope + i)];
    }
    dequantise(*source.values, head * value, (head + 1) * value, out);
    out += value * latent;
  }
}

}  // namespace

int64_t GgufSource::size() const {
  int64_t product = 1;
  for (int64_t n : shape) product *= n;
  return product;
}

void read_as_float(const GgufSource& source, float* out) {
  TROUPE_CHECK(source.tensor != nullptr);
  if (source.layout == Layout::kSplitKvB) return join_kv_b(source, out);
  const int64_t rows = source.shape.size() == 1 ? 1 : source.shape[0];
  dequantise(*source.tensor, source.first_row, source.first_row + rows, out);
  if (source.layout != Layout::kRopePairs) return;
  const int64_t units = source.shape[0];
  halves_from_pairs(out, source.heads, units / source.heads, source.size() / units);
}

}  // namespace troupe::model
