// How users of a head show a browser's or a program's requests to be theirs: a token, made for a
// key of the keys folder, and what it can be exchanged for once.
//
//   DIR/NAME.web    token_sha256
//   DIR/NAME.once   code_sha256, until (seconds since 1970)
//
// Only digests are kept. Whose key is revoked has no token any more.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/keys/identity.h"
#include "schemas/result.h"

namespace troupe::cluster {

inline constexpr int64_t kOnceSeconds = 600;               // A link is good for so long ...
inline constexpr int64_t kSessionSeconds = 7 * 24 * 3600;  // ... and a session for so long.

struct WebToken {
  std::string token{};  // "NAME.SECRET"; takes the place of one that NAME had.
  std::string once{};   // "NAME.CODE", for a link.
};

// For a user's key that is in the folder. kInvalidArgument where there is none.
Result<WebToken> make_web_token(const std::string& folder, const std::string& name, int64_t now);

// Nobody has a token of that name any more.
void remove_web_token(const std::string& folder, const std::string& name);

// Whose token it is; nothing for anything else.
std::optional<Identity> find_token(const std::string& folder, std::string_view token);

// Takes a link's code, which is gone then, for the text of a session.
std::optional<std::string> take_once(const std::string& folder, std::string_view once, int64_t now);
// A session for whoever has the token.
std::optional<std::string> session_of(const std::string& folder, std::string_view token,
                                      int64_t now);
// Whose session it is, until it ends or its token is another.
std::optional<Identity> find_session(const std::string& folder, std::string_view session,
                                     int64_t now);

}  // namespace troupe::cluster
