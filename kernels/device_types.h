// What every operation's header is written in: addresses on a device, operands of products, and the
// sizes that they are padded to. This header and those of the operations stay C++17, because device
// compilers read them.
#pragma once

#include <cstdint>

namespace troupe::kernels {

// An address in device memory. Arithmetic is in elements; the host never reads through it.
template <class T>
struct Device {
  uint64_t address = 0;

  Device operator+(int64_t elements) const {
    return {address + static_cast<uint64_t>(elements) * sizeof(T)};
  }
  explicit operator bool() const { return address != 0; }
};

enum class Precision : uint8_t { kBf16 = 0, kFp32 = 1 };

// An operand of a matrix product: bf16 or float by the Precision that the stream was made with, so
// that its element size is not known to the type.
struct Stored {
  uint64_t address = 0;
  uint8_t element_bytes = 2;

  Stored operator+(int64_t elements) const {
    return {address + static_cast<uint64_t>(elements) * element_bytes, element_bytes};
  }
  explicit operator bool() const { return address != 0; }
};

inline constexpr int64_t kPadK = 32;         // Inner products run over whole blocks of this many.
inline constexpr int64_t kPanelN = 16;       // Packed weights hold whole panels of this many rows.
inline constexpr int64_t kBlockTokens = 32;  // Tokens of one block of the latent cache.
inline constexpr int64_t kChunkElements = 65536;  // Unit of the gradient norm's sum.

constexpr int64_t padded(int64_t size, int64_t unit = kPadK) {
  return (size + unit - 1) / unit * unit;
}

struct Stream;  // Opaque.

// A weight matrix (rows, cols) in the layout that products want. Address of packed_bytes() bytes.
struct Packed {
  uint64_t address = 0;
  int64_t rows = 0;  // Outputs of y = x W^T.
  int64_t cols = 0;  // Inputs.
};

}  // namespace troupe::kernels
