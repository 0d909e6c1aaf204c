#include "cluster/keys/curve_key.h"

#include <fmt/format.h>
#include <zmq.h>

namespace troupe::cluster {

Result<CurveKeys> make_curve_keys() {
  std::array<char, kKeyTextBytes + 1> open{}, secret{};
  if (zmq_curve_keypair(open.data(), secret.data()) != 0) {
    return Error{ErrorCode::kInternal,
                 fmt::format("cannot make keys for CURVE: {}", zmq_strerror(zmq_errno()))};
  }
  return CurveKeys{open.data(), secret.data()};
}

std::optional<CurveKeys> keys_of_secret(const std::string& secret_key) {
  std::array<char, kKeyTextBytes + 1> open{};
  if (!public_key_of(secret_key) || zmq_curve_public(open.data(), secret_key.c_str()) != 0) {
    return std::nullopt;
  }
  return CurveKeys{open.data(), secret_key};
}

std::optional<PublicKey> public_key_of(const std::string& text) {
  PublicKey key{};
  // The library reads to the first zero.
  if (text.size() != kKeyTextBytes || text.find('\0') != std::string::npos ||
      zmq_z85_decode(key.data(), text.c_str()) == nullptr) {
    return std::nullopt;
  }
  return key;
}

std::string text_of(const PublicKey& key) {
  std::array<char, kKeyTextBytes + 1> text{};
  zmq_z85_encode(text.data(), key.data(), key.size());
  return text.data();
}

}  // namespace troupe::cluster
