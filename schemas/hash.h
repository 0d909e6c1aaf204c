// SHA-256, the one digest that names weights, specifications and files.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

struct evp_md_ctx_st;

namespace troupe {

using Sha256Digest = std::array<std::byte, 32>;

// Streaming: update() any number of times, then digest() or hex() once.
class Sha256 {
 public:
  Sha256();

  void update(std::span<const std::byte> bytes);
  // Of everything seen. Nothing may follow it.
  Sha256Digest digest();
  // The same as 64 lower-case hexadecimal digits.
  std::string hex();

 private:
  struct FreeContext {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, FreeContext> context_;
};

Sha256Digest sha256(std::span<const std::byte> bytes);
std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace troupe
