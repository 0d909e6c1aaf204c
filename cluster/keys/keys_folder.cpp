#include "cluster/keys/keys_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "cluster/keys/private_file.h"
#include "cluster/keys/toml_texts.h"
#include "cluster/keys/web_tokens.h"
#include "cluster/monitor/text.h"
#include "model/formats/file.h"
#include "schemas/nearest.h"
#include "schemas/private_folder.h"

namespace troupe::cluster {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAllowedEnd = ".pub";

std::string head_path(const std::string& folder) { return folder + "/head.key"; }

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The texts of a file: all of `names`, perhaps some of `more`, and nothing else.
Result<std::map<std::string, std::string>> read_texts(const std::string& path,
                                                      const std::set<std::string>& names,
                                                      const std::set<std::string>& more = {}) {
  auto text = read_private_file(path, kKeyFileBytesMax);
  if (!text) return text.error();
  auto texts = read_toml_texts(*text, path);
  if (!texts) return texts.error();
  for (const auto& [name, table] : texts->tables) {
    return invalid_argument(fmt::format("{}: [{}] has no place in it", path, printable(name)));
  }
  for (const auto& [name, value] : texts->values) {
    if (names.count(name) == 0 && more.count(name) == 0) {
      return invalid_argument(fmt::format("{}: {} has no place in it", path, printable(name)));
    }
  }
  for (const std::string& name : names) {
    if (texts->values.count(name) == 0) {
      return invalid_argument(fmt::format("{}: {} is missing", path, name));
    }
  }
  return std::move(texts->values);
}

Result<KeyKind> kind_in(const std::string& path, const std::string& text) {
  if (text == "node") return KeyKind::kNode;
  if (text == "user") return KeyKind::kUser;
  return invalid_argument(
      fmt::format("{}: kind is \"{}\" and may be node or user", path, printable(text)));
}

Error no_key(const std::string& path, const char* name) {
  return invalid_argument(fmt::format("{}: {} is no key of CURVE", path, name));
}

}  // namespace

std::string config_folder() {
  if (const auto folder = variable("XDG_CONFIG_HOME"); !folder.empty()) return folder + "/troupe";
  if (const auto home = variable("HOME"); !home.empty()) return home + "/.config/troupe";
  return {};
}

std::string default_keys_folder() {
  const std::string folder = config_folder();
  return folder.empty() ? "" : folder + "/keys";
}

std::string allowed_path(const std::string& folder, const std::string& name) {
  return fmt::format("{}/{}{}", folder, name, kAllowedEnd);
}

Status init_keys(const std::string& folder) {
  if (auto made = make_private_folder(folder); !made) return made;
  auto keys = make_curve_keys();
  if (!keys) return keys.error();
  const std::string path = head_path(folder);
  if (fs::exists(fs::symlink_status(path))) {
    return invalid_argument(fmt::format(
        "{} is there already, and all nodes and users know the head by it; to begin anew, remove "
        "the folder",
        path));
  }
  return create_private_file(path,
                             fmt::format("# The head's key. Whoever has this file is the head.\n"
                                         "secret_key = \"{}\"\n",
                                         keys->secret_key));
}

Status check_keys_folder(const std::string& folder) {
  if (folder.empty()) {
    return invalid_argument(
        "where the keys are cannot be told: XDG_CONFIG_HOME and HOME are not set; say --keys DIR");
  }
  if (auto closed = check_private_folder(folder); !closed) {
    if (fs::exists(folder)) return closed;
    return invalid_argument(fmt::format(
        "there are no keys in {}; make them with: troupe keys init --keys {}", folder, folder));
  }
  if (fs::exists(head_path(folder))) return ok();
  return invalid_argument(fmt::format(
      "the head has no key in {}; make it with: troupe keys init --keys {}", folder, folder));
}

Result<CurveKeys> read_head_keys(const std::string& folder) {
  if (auto checked = check_keys_folder(folder); !checked) return checked.error();
  const std::string path = head_path(folder);
  auto texts = read_texts(path, {"secret_key"});
  if (!texts) return texts.error();
  auto keys = keys_of_secret(texts->at("secret_key"));
  if (!keys) return no_key(path, "secret_key");
  return *keys;
}

Status add_key(const std::string& folder, const Identity& identity, const std::string& out) {
  if (auto named = check_identity_name(identity.name); !named) return named;
  const auto head = read_head_keys(folder);
  if (!head) return head.error();
  const auto known = allowed_names(folder);
  if (!known) return known.error();
  if (std::binary_search(known->begin(), known->end(), identity.name)) {
    return invalid_argument(
        fmt::format("{} has a key already: {}; for a new one, first: troupe keys revoke {}",
                    identity.name, allowed_path(folder, identity.name), identity.name));
  }
  if (known->size() >= kKeysMax) {
    return invalid_argument(fmt::format("{} has {} keys, and may have no more", folder, kKeysMax));
  }
  const auto keys = make_curve_keys();
  if (!keys) return keys.error();
  const Status handed_out =
      create_private_file(out, fmt::format("# Whoever has this file is the {} {}.\n"
                                           "kind = \"{}\"\n"
                                           "name = \"{}\"\n"
                                           "secret_key = \"{}\"\n"
                                           "head_key = \"{}\"\n",
                                           name(identity.kind), identity.name, name(identity.kind),
                                           identity.name, keys->secret_key, head->public_key));
  if (!handed_out) return handed_out;
  std::string text =
      fmt::format("kind = \"{}\"\nname = \"{}\"\n", name(identity.kind), identity.name);
  if (identity.kind == KeyKind::kUser) {
    text += fmt::format("role = \"{}\"\n", identity.is_operator ? "operator" : "user");
  }
  text += fmt::format("public_key = \"{}\"\n", keys->public_key);
  Status allowed = create_private_file(allowed_path(folder, identity.name), text);
  if (!allowed) ::unlink(out.c_str());
  return allowed;
}

Result<std::vector<std::string>> allowed_names(const std::string& folder) {
  if (auto closed = check_private_folder(folder); !closed) return closed.error();
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string file = entry->path().filename().string();
    if (file.size() <= kAllowedEnd.size() || !file.ends_with(kAllowedEnd)) continue;
    names.push_back(file.substr(0, file.size() - kAllowedEnd.size()));
    if (names.size() > kKeysMax) {
      return invalid_argument(
          fmt::format("{} has more than the {} keys that it may have", folder, kKeysMax));
    }
  }
  if (error) return invalid_argument(fmt::format("cannot read {}: {}", folder, error.message()));
  std::sort(names.begin(), names.end());
  return names;
}

Result<AllowedKey> read_allowed(const std::string& folder, const std::string& name) {
  const std::string path = allowed_path(folder, name);
  auto texts = read_texts(path, {"kind", "name", "public_key"}, {"role"});
  if (!texts) return texts.error();
  const auto kind = kind_in(path, texts->at("kind"));
  if (!kind) return kind.error();
  const auto role = texts->find("role");
  if ((role != texts->end()) != (*kind == KeyKind::kUser)) {
    return invalid_argument(fmt::format("{}: a user has a role, and a node has none", path));
  }
  AllowedKey allowed{.identity = {.kind = *kind, .name = texts->at("name")}};
  if (role != texts->end()) {
    if (role->second != "user" && role->second != "operator") {
      return invalid_argument(fmt::format("{}: role is \"{}\" and may be user or operator", path,
                                          printable(role->second)));
    }
    allowed.identity.is_operator = role->second == "operator";
  }
  // Who is revoked by name must be the one whom that name's file lets in.
  if (allowed.identity.name != name || !is_identity_name(name)) {
    return invalid_argument(
        fmt::format("{}: it is the file of a \"{}\"; its name must be that, "
                    "and one of a-z, 0-9 and -",
                    path, printable(allowed.identity.name)));
  }
  const auto key = public_key_of(texts->at("public_key"));
  if (!key) return no_key(path, "public_key");
  allowed.key = *key;
  return allowed;
}

Result<std::vector<AllowedKey>> list_keys(const std::string& folder) {
  const auto names = allowed_names(folder);
  if (!names) return names.error();
  std::vector<AllowedKey> keys;
  std::map<PublicKey, std::string> owners;
  for (const std::string& name : *names) {
    auto allowed = read_allowed(folder, name);
    if (!allowed) return allowed.error();
    const auto [owner, is_new] = owners.try_emplace(allowed->key, name);
    if (!is_new) {
      return invalid_argument(fmt::format("{} and {} have one key; remove one of them",
                                          allowed_path(folder, owner->second),
                                          allowed_path(folder, name)));
    }
    keys.push_back(std::move(*allowed));
  }
  return keys;
}

Result<Identity> revoke_key(const std::string& folder, const std::string& name) {
  if (auto checked = check_keys_folder(folder); !checked) return checked.error();
  const auto names = allowed_names(folder);
  if (!names) return names.error();
  if (!std::binary_search(names->begin(), names->end(), name)) {
    return invalid_argument(
        fmt::format("nobody called {} has a key in {}{}", printable(name), folder,
                    names->empty() ? "" : "; there are " + nearest_first_list(name, *names)));
  }
  // A file that nobody can read any more is removed as well.
  const auto who = read_allowed(folder, name);
  const std::string path = allowed_path(folder, name);
  if (::unlink(path.c_str()) != 0) {
    return invalid_argument(fmt::format("cannot remove {}: {}", path, std::strerror(errno)));
  }
  // Whoever gets the name next has not what this one could show.
  remove_web_token(folder, name);
  if (auto synced = model::sync_folder(folder); !synced) return synced.error();
  return who ? who->identity : Identity{.name = name};
}

Result<KeyFile> read_key_file(const std::string& path) {
  auto texts = read_texts(path, {"kind", "name", "secret_key", "head_key"});
  if (!texts) return texts.error();
  const auto kind = kind_in(path, texts->at("kind"));
  if (!kind) return kind.error();
  const auto keys = keys_of_secret(texts->at("secret_key"));
  if (!keys) return no_key(path, "secret_key");
  KeyFile file{
      .kind = *kind, .name = texts->at("name"), .keys = *keys, .head_key = texts->at("head_key")};
  if (!is_identity_name(file.name)) return invalid_argument(path + ": its name is no name");
  if (!public_key_of(file.head_key)) return no_key(path, "head_key");
  return file;
}

}  // namespace troupe::cluster
