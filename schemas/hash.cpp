#include "schemas/hash.h"

#include <openssl/evp.h>

#include "schemas/check.h"

namespace troupe {

void Sha256::FreeContext::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  TROUPE_CHECK(context_ != nullptr);
  TROUPE_CHECK(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

void Sha256::update(std::span<const std::byte> bytes) {
  TROUPE_CHECK(context_ != nullptr);
  TROUPE_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

Sha256Digest Sha256::digest() {
  TROUPE_CHECK(context_ != nullptr);
  TROUPE_CHECK(EVP_MD_CTX_size(context_.get()) == int{sizeof(Sha256Digest)});
  Sha256Digest digest{};
  auto* to = reinterpret_cast<unsigned char*>(digest.data());
  TROUPE_CHECK(EVP_DigestFinal_ex(context_.get(), to, nullptr) == 1);
  context_.reset();
  return digest;
}

std::string Sha256::hex() {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * sizeof(Sha256Digest));
  for (const std::byte byte : digest()) {
    text += kDigits[std::to_integer<size_t>(byte >> 4)];
    text += kDigits[std::to_integer<size_t>(byte & std::byte{15})];
  }
  return text;
}

Sha256Digest sha256(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.digest();
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

}  // namespace troupe
