// The head's keys: a folder that only its user may enter, with the head's own key pair and, for
// each node and each user that may come in, one file with the public key. Whose file is removed is
// a stranger from then on.
//
//   DIR/head.key   secret_key
//   DIR/NAME.pub   kind, name, role (of a user), public_key
//
// What the other machine gets is a file of its own, with the secret key:
//
//   NAME.key       kind, name, secret_key, head_key
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cluster/keys/curve_key.h"
#include "cluster/keys/identity.h"
#include "schemas/result.h"

namespace troupe::cluster {

inline constexpr size_t kKeysMax = 4'096;  // In one folder.

// $XDG_CONFIG_HOME/troupe, else $HOME/.config/troupe; empty where neither is set.
std::string config_folder();
// `keys` in the above; empty where that is.
std::string default_keys_folder();

// One that may come in.
struct AllowedKey {
  Identity identity{};
  PublicKey key{};
};

// What a node or a user shows the head, and by what it knows the head.
struct KeyFile {
  KeyKind kind = KeyKind::kUser;
  std::string name{};
  CurveKeys keys{};
  std::string head_key{};  // The head's public key, as text.
};

// Makes the folder and the head's key pair. kInvalidArgument when there is one: all that know the
// head know it by that key.
Status init_keys(const std::string& folder);

// The head's own pair.
Result<CurveKeys> read_head_keys(const std::string& folder);

// Makes a key pair for somebody new, writes its secret half to `out`, which must not exist, and
// lets its public half in. kInvalidArgument for a name that is taken or is no name.
Status add_key(const std::string& folder, const Identity& identity, const std::string& out);

// By name. kInvalidArgument names the file that is none, or the two with one key.
Result<std::vector<AllowedKey>> list_keys(const std::string& folder);

// Who it was; a head that runs refuses it within a second. kInvalidArgument for a name that is not
// there.
Result<Identity> revoke_key(const std::string& folder, const std::string& name);

// kInvalidArgument when it is not there, open to others or no key file.
Result<KeyFile> read_key_file(const std::string& path);

// The folder is ours and closed to others, and the head has a key in it.
Status check_keys_folder(const std::string& folder);

// ---- For who looks at the folder again and again.

inline constexpr size_t kKeyFileBytesMax = 4'096;

// Names of the files of those that may come in, without ".pub", sorted.
Result<std::vector<std::string>> allowed_names(const std::string& folder);
std::string allowed_path(const std::string& folder, const std::string& name);
Result<AllowedKey> read_allowed(const std::string& folder, const std::string& name);

}  // namespace troupe::cluster
