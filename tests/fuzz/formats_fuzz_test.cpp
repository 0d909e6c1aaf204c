// Seeded damage to files of tensors that other programs wrote.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "model/formats/file.h"
#include "model/formats/gguf.h"
#include "model/formats/safetensors.h"
#include "tests/fuzz/targets.h"

namespace troupe::fuzz {
namespace {

std::string golden(const std::string& name) {
  const auto bytes = model::read_file(
      std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/formats/" + name, 1 << 20);
  REQUIRE(bytes);
  return *bytes;
}

// Damages headers rather than tensors, which may hold anything. Numbers become those at which
// arithmetic of sizes goes wrong.
class Damage {
 public:
  Damage(uint64_t seed, size_t header_bytes) : random_(seed), header_bytes_(header_bytes) {}

  std::string next(const std::string& original) {
    std::string bytes = original;
    for (size_t count = 1 + below(4); count > 0; --count) change(bytes);
    return bytes;
  }

 private:
  size_t below(size_t bound) { return static_cast<size_t>(random_() % bound); }

  void change(std::string& bytes) {
    constexpr std::array<uint64_t, 14> kNumbers = {0,
                                                   1,
                                                   2,
                                                   7,
                                                   31,
                                                   255,
                                                   0x7fffffff,
                                                   0x80000000,
                                                   0xffffffff,
                                                   uint64_t{1} << 32,
                                                   INT64_MAX,
                                                   uint64_t{1} << 63,
                                                   UINT64_MAX - 7,
                                                   UINT64_MAX};
    if (bytes.size() < 16) return;
    const size_t at = below(std::min(header_bytes_, bytes.size() - 8));
    switch (below(8)) {
      case 0:
      case 1:
        bytes[at] = static_cast<char>(random_());
        return;
      case 2:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        return;
      case 3:
        std::memcpy(bytes.data() + at, &kNumbers[below(kNumbers.size())], 8);
        return;
      case 4:
        std::memcpy(bytes.data() + at, &kNumbers[below(kNumbers.size())], 4);
        return;
      case 5:  // A piece of the header over another one.
        std::memmove(bytes.data() + at, bytes.data() + below(at + 1),
                     below(std::min<size_t>(64, bytes.size() - at)));
        return;
      case 6:
        bytes.resize(below(8) == 0 ? below(bytes.size()) : bytes.size() - below(9));
        return;
      default:
        if (below(2) == 0) {
          bytes.erase(at, 1 + below(8));
        } else {
          bytes.insert(at, 1 + below(8), static_cast<char>(random_()));
        }
        return;
    }
  }

  std::mt19937_64 random_;
  size_t header_bytes_;
};

TEST_CASE("formats fuzz: damaged GGUF files are read within bounds or refused") {
  struct Case {
    const char* file;
    size_t header_bytes;
    int count;
  };
  for (const Case& c :
       {Case{"types.gguf", 2400, 8000}, Case{"more_types.gguf", 500, 4000},
        Case{"llama/model.gguf", 3200, 2000}, Case{"qwen3moe/model.gguf", 3000, 2000},
        Case{"deepseek_v3/model.gguf", 3800, 3000}, Case{"deepseek_v2/old.gguf", 3500, 2000}}) {
    CAPTURE(c.file);
    const std::string original = golden(c.file);
    Damage damage(5, c.header_bytes);
    int read = 0;
    for (int i = 0; i < c.count; ++i) {
      const std::string bytes = damage.next(original);
      gguf::fuzz_one(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
      if (model::parse_gguf(std::as_bytes(std::span(bytes)))) ++read;
    }
    // Both happen, so neither is all that is tried.
    CHECK(read > c.count / 100);
    CHECK(read < c.count);
  }
}

TEST_CASE("formats fuzz: damaged safetensors are read within bounds or refused") {
  const std::string original = golden("numbers.safetensors");
  Damage damage(6, 1000);
  int read = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string bytes = damage.next(original);
    safetensors::fuzz_one(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    if (model::parse_safetensors(std::as_bytes(std::span(bytes)))) ++read;
  }
  CHECK(read > 200);
  CHECK(read < 20'000);
}

}  // namespace
}  // namespace troupe::fuzz
