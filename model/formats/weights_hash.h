// The identity of a set of weights: a tree, so that whoever owns some of them hashes only those.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/formats/safetensors.h"
#include "schemas/hash.h"

namespace troupe::model {

// Of each chunk of a tensor: kChunkElements elements of its row-major bytes, or the rest.
std::vector<Sha256Digest> chunk_digests(const TensorView& tensor);

// A tensor of which the chunks are known elsewhere.
struct HashedTensor {
  std::string name{};
  DType dtype = DType::kBF16;
  std::vector<int64_t> shape{};
  std::span<const Sha256Digest> chunks{};  // All of them, in order.
};

// SHA-256, in hexadecimal, of all tensors in byte order of their names (given in any order; no two
// may be equal), each as
//   u32 length of the name, the name, u32 length of the dtype's name, the dtype's name ("BF16"),
//   u32 rank, u64 per dimension, the 32 bytes of each chunk's digest
// with all numbers little-endian and nothing in between. Files, shards and metadata do not enter,
// so weights have the same identity however they are stored.
std::string weights_sha256(std::span<const HashedTensor> tensors);
std::string weights_sha256(std::span<const TensorView> tensors);

}  // namespace troupe::model
