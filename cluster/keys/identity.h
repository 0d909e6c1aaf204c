// Whom a key belongs to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "schemas/result.h"

namespace troupe::cluster {

enum class KeyKind : uint8_t { kNode, kUser };

struct Identity {
  KeyKind kind = KeyKind::kUser;
  std::string name{};
  bool is_operator = false;  // Of a user only: may see and change everybody's jobs.

  bool operator==(const Identity&) const = default;
};

inline const char* name(KeyKind kind) { return kind == KeyKind::kNode ? "node" : "user"; }

inline constexpr size_t kIdentityNameBytesMax = 63;

// Lower-case letters, digits and hyphens, the first one no hyphen.
bool is_identity_name(std::string_view name);
// kInvalidArgument with what a name may be.
Status check_identity_name(std::string_view name);

}  // namespace troupe::cluster
