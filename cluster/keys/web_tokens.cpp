#include "cluster/keys/web_tokens.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <map>
#include <span>

#include "cluster/keys/keys_folder.h"
#include "cluster/keys/private_file.h"
#include "cluster/keys/toml_texts.h"
#include "schemas/check.h"
#include "schemas/hash.h"

namespace troupe::cluster {
namespace {

constexpr size_t kSecretBytes = 32;
constexpr size_t kTextBytesMax = 512;  // Of a token, a code or a session.

std::string web_path(const std::string& folder, const std::string& name) {
  return folder + "/" + name + ".web";
}
std::string once_path(const std::string& folder, const std::string& name) {
  return folder + "/" + name + ".once";
}

std::string hex(std::span<const unsigned char> bytes) {
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string make_secret() {
  std::array<unsigned char, kSecretBytes> bytes{};
  TROUPE_CHECK(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return hex(bytes);
}

std::string digest_of(std::string_view text) {
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

// In a time that does not tell how much of it is right.
bool is_same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// "NAME.REST" of a name that may be one.
std::optional<std::pair<std::string, std::string_view>> named(std::string_view text) {
  const size_t dot = text.find('.');
  if (text.size() > kTextBytesMax || dot == std::string_view::npos) return std::nullopt;
  std::string name(text.substr(0, dot));
  if (!is_identity_name(name)) return std::nullopt;
  return std::pair{std::move(name), text.substr(dot + 1)};
}

std::map<std::string, std::string> texts_of(const std::string& path) {
  const auto text = read_private_file(path, kKeyFileBytesMax);
  if (!text) return {};
  auto texts = read_toml_texts(*text, path);
  if (!texts) return {};
  return {texts->values.begin(), texts->values.end()};
}

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t number = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || at != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Identity> user_called(const std::string& folder, const std::string& name) {
  const auto allowed = read_allowed(folder, name);
  if (!allowed || allowed->identity.kind != KeyKind::kUser) return std::nullopt;
  return allowed->identity;
}

// What a session is signed with: changes with the token.
std::string signature(const std::string& token_sha256, std::string_view signed_text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  TROUPE_CHECK(::HMAC(EVP_sha256(), token_sha256.data(), static_cast<int>(token_sha256.size()),
                      reinterpret_cast<const unsigned char*>(signed_text.data()),
                      signed_text.size(), digest.data(), &size) != nullptr);
  return hex(std::span(digest.data(), size));
}

std::optional<std::string> new_session(const std::string& folder, const std::string& name,
                                       int64_t now) {
  const auto texts = texts_of(web_path(folder, name));
  const auto token = texts.find("token_sha256");
  if (token == texts.end() || !user_called(folder, name)) return std::nullopt;
  const std::string text = fmt::format("{}.{}", name, now + kSessionSeconds);
  return text + "." + signature(token->second, text);
}

}  // namespace

Result<WebToken> make_web_token(const std::string& folder, const std::string& name, int64_t now) {
  if (Status checked = check_keys_folder(folder); !checked) return checked.error();
  if (Status called = check_identity_name(name); !called) return called.error();
  const auto allowed = read_allowed(folder, name);
  if (!allowed || allowed->identity.kind != KeyKind::kUser) {
    return invalid_argument(fmt::format(
        "no user called {} has a key in {}; a token is for one who has: troupe keys user {}", name,
        folder, name));
  }
  const std::string secret = make_secret();
  const std::string code = make_secret();
  WebToken made{.token = name + "." + secret, .once = name + "." + code};
  remove_web_token(folder, name);
  if (Status kept = create_private_file(web_path(folder, name),
                                        fmt::format("token_sha256 = \"{}\"\n", digest_of(secret)));
      !kept) {
    return kept.error();
  }
  if (Status kept = create_private_file(once_path(folder, name),
                                        fmt::format("code_sha256 = \"{}\"\nuntil = \"{}\"\n",
                                                    digest_of(code), now + kOnceSeconds));
      !kept) {
    return kept.error();
  }
  return made;
}

void remove_web_token(const std::string& folder, const std::string& name) {
  ::unlink(web_path(folder, name).c_str());
  ::unlink(once_path(folder, name).c_str());
}

std::optional<Identity> find_token(const std::string& folder, std::string_view token) {
  const auto parts = named(token);
  if (!parts) return std::nullopt;
  const auto texts = texts_of(web_path(folder, parts->first));
  const auto kept = texts.find("token_sha256");
  if (kept == texts.end() || !is_same(kept->second, digest_of(parts->second))) return std::nullopt;
  return user_called(folder, parts->first);
}

std::optional<std::string> take_once(const std::string& folder, std::string_view once,
                                     int64_t now) {
  const auto parts = named(once);
  if (!parts) return std::nullopt;
  const std::string path = once_path(folder, parts->first);
  const auto texts = texts_of(path);
  const auto code = texts.find("code_sha256");
  const auto until = texts.find("until");
  if (code == texts.end() || until == texts.end()) return std::nullopt;
  const auto end = whole_number(until->second);
  if (!end || now > *end || !is_same(code->second, digest_of(parts->second))) return std::nullopt;
  // Of two that come at once, one removes it.
  if (::unlink(path.c_str()) != 0) return std::nullopt;
  return new_session(folder, parts->first, now);
}

std::optional<std::string> session_of(const std::string& folder, std::string_view token,
                                      int64_t now) {
  const auto identity = find_token(folder, token);
  if (!identity) return std::nullopt;
  return new_session(folder, identity->name, now);
}

std::optional<Identity> find_session(const std::string& folder, std::string_view session,
                                     int64_t now) {
  const auto parts = named(session);
  if (!parts) return std::nullopt;
  const size_t dot = parts->second.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto end = whole_number(parts->second.substr(0, dot));
  if (!end || now > *end) return std::nullopt;
  const auto texts = texts_of(web_path(folder, parts->first));
  const auto token = texts.find("token_sha256");
  if (token == texts.end()) return std::nullopt;
  const std::string_view signed_text = session.substr(0, parts->first.size() + 1 + dot);
  if (!is_same(parts->second.substr(dot + 1), signature(token->second, signed_text))) {
    return std::nullopt;
  }
  return user_called(folder, parts->first);
}

}  // namespace troupe::cluster
