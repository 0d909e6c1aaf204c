// The identity of a set of weights.
#pragma once

#include <span>
#include <string>

#include "model/formats/safetensors.h"

namespace troupe::model {

// SHA-256, in hexadecimal, of all tensors in byte order of their names (given in any order; no two
// may be equal), each as
//   u32 length of the name, the name, u32 length of the dtype's name, the dtype's name ("BF16"),
//   u32 rank, u64 per dimension, the elements row-major
// with all numbers little-endian and nothing in between. Files, shards and metadata do not enter,
// so weights have the same identity however they are stored.
std::string weights_sha256(std::span<const TensorView> tensors);

}  // namespace troupe::model
