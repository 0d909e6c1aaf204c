#include "cluster/keys/identity.h"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/monitor/text.h"

namespace troupe::cluster {

bool is_identity_name(std::string_view name) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !name.empty() && name.size() <= kIdentityNameBytesMax && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), is_allowed);
}

Status check_identity_name(std::string_view name) {
  if (is_identity_name(name)) return ok();
  return invalid_argument(fmt::format(
      "\"{}\" is no name of a node or a user: it may have 1 to {} of a-z, 0-9 and -, and begins "
      "with no -",
      printable(std::string(name.substr(0, 2 * kIdentityNameBytesMax))), kIdentityNameBytesMax));
}

}  // namespace troupe::cluster
