// CURVE's keys (RFC 26): who shows the public one has proved to ZeroMQ that it has the secret one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/result.h"

namespace troupe::cluster {

inline constexpr size_t kKeyTextBytes = 40;  // 32 bytes as Z85 (RFC 32).

using PublicKey = std::array<uint8_t, 32>;

// As text, the way files and ZeroMQ's options have them.
struct CurveKeys {
  std::string public_key{};
  std::string secret_key{};
};

Result<CurveKeys> make_curve_keys();
// Nothing where the text is no secret key.
std::optional<CurveKeys> keys_of_secret(const std::string& secret_key);

std::optional<PublicKey> public_key_of(const std::string& text);
std::string text_of(const PublicKey& key);

}  // namespace troupe::cluster
