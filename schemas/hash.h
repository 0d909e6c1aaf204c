// SHA-256, the one digest that names weights, specifications and files.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

struct evp_md_ctx_st;

namespace troupe {

// Streaming: update() any number of times, then hex() once.
class Sha256 {
 public:
  Sha256();

  void update(std::span<const std::byte> bytes);
  // 64 lower-case hexadecimal digits of everything seen. Nothing may follow it.
  std::string hex();

 private:
  struct FreeContext {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, FreeContext> context_;
};

std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace troupe
