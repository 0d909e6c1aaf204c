#include "model/formats/weights_hash.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "schemas/check.h"
#include "schemas/hash.h"

namespace troupe::model {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are hashed little-endian");

template <class Number>
void add(Sha256& hash, Number value) {
  hash.update(std::as_bytes(std::span(&value, 1)));
}

void add_text(Sha256& hash, std::string_view text) {
  add(hash, static_cast<uint32_t>(text.size()));
  hash.update(std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace

std::string weights_sha256(std::span<const TensorView> tensors) {
  std::vector<const TensorView*> by_name;
  for (const TensorView& tensor : tensors) by_name.push_back(&tensor);
  std::sort(by_name.begin(), by_name.end(),
            [](const TensorView* a, const TensorView* b) { return a->name < b->name; });

  Sha256 hash;
  const TensorView* previous = nullptr;
  for (const TensorView* tensor : by_name) {
    TROUPE_CHECK(previous == nullptr || previous->name != tensor->name);
    TROUPE_CHECK(tensor_bytes(tensor->dtype, tensor->shape) == tensor->bytes.size());
    add_text(hash, tensor->name);
    add_text(hash, name(tensor->dtype));
    add(hash, static_cast<uint32_t>(tensor->shape.size()));
    for (int64_t size : tensor->shape) add(hash, static_cast<uint64_t>(size));
    hash.update(tensor->bytes);
    previous = tensor;
  }
  return hash.hex();
}

}  // namespace troupe::model
