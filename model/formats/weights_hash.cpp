#include "model/formats/weights_hash.h"

#include <algorithm>
#include <bit>

#include "kernels/device_types.h"
#include "schemas/check.h"

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

size_t chunk_bytes(DType dtype) {
  return static_cast<size_t>(kernels::kChunkElements) * bytes_of(dtype);
}

}  // namespace

std::vector<Sha256Digest> chunk_digests(const TensorView& tensor) {
  TROUPE_CHECK(tensor_bytes(tensor.dtype, tensor.shape) == tensor.bytes.size());
  const size_t size = chunk_bytes(tensor.dtype);
  std::vector<Sha256Digest> digests;
  for (size_t at = 0; at < tensor.bytes.size(); at += size) {
    digests.push_back(sha256(tensor.bytes.subspan(at, std::min(size, tensor.bytes.size() - at))));
  }
  return digests;
}

std::string weights_sha256(std::span<const HashedTensor> tensors) {
  std::vector<const HashedTensor*> by_name;
  for (const HashedTensor& tensor : tensors) by_name.push_back(&tensor);
  std::sort(by_name.begin(), by_name.end(),
            [](const HashedTensor* a, const HashedTensor* b) { return a->name < b->name; });

  Sha256 hash;
  const HashedTensor* previous = nullptr;
  for (const HashedTensor* tensor : by_name) {
    TROUPE_CHECK(previous == nullptr || previous->name != tensor->name);
    const auto bytes = tensor_bytes(tensor->dtype, tensor->shape);
    TROUPE_CHECK(bytes.has_value());
    const size_t size = chunk_bytes(tensor->dtype);
    TROUPE_CHECK(tensor->chunks.size() == *bytes / size + (*bytes % size != 0 ? 1 : 0));
    add_text(hash, tensor->name);
    add_text(hash, name(tensor->dtype));
    add(hash, static_cast<uint32_t>(tensor->shape.size()));
    for (int64_t dimension : tensor->shape) add(hash, static_cast<uint64_t>(dimension));
    hash.update(std::as_bytes(tensor->chunks));
    previous = tensor;
  }
  return hash.hex();
}

std::string weights_sha256(std::span<const TensorView> tensors) {
  std::vector<std::vector<Sha256Digest>> digests;
  std::vector<HashedTensor> hashed;
  digests.reserve(tensors.size());
  for (const TensorView& tensor : tensors) {
    digests.push_back(chunk_digests(tensor));
    hashed.push_back({.name = tensor.name,
                      .dtype = tensor.dtype,
                      .shape = tensor.shape,
                      .chunks = digests.back()});
  }
  return weights_sha256(hashed);
}

}  // namespace troupe::model
