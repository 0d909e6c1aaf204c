#include "schemas/hash.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace troupe {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST_CASE("sha256: agrees with the published examples") {
  CHECK(sha256_hex({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex(bytes_of("abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("sha256: the digest is what the hexadecimal digits say") {
  std::string digits;
  for (const std::byte byte : sha256(bytes_of("abc"))) {
    for (const auto half : {std::to_integer<int>(byte >> 4), std::to_integer<int>(byte) & 15}) {
      digits += "0123456789abcdef"[half];
    }
  }
  CHECK(digits == sha256_hex(bytes_of("abc")));
}

TEST_CASE("sha256: does not depend on how the bytes were cut") {
  Sha256 hash;
  for (char c : std::string_view("abc")) hash.update(bytes_of({&c, 1}));
  hash.update({});
  CHECK(hash.hex() == sha256_hex(bytes_of("abc")));
}

}  // namespace
}  // namespace troupe
