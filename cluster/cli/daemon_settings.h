// How a daemon is set: by flags, and by a TOML file that has a key for each flag. Flags win.
//
//   [head]                                  [join]
//   listen = "0.0.0.0:7733"                 head = "head.example.org:7734"
//   keys = "keys"                           key = "gpu-7.key"
//   home = "/srv/troupe"                    home = "/srv/troupe"
//   slots = 0                               slots = 8
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/result.h"

namespace troupe::cluster {

inline constexpr uint32_t kHostSlotsMax = 4'096;

// Texts are as they were given; who uses one looks at what it says.
struct DaemonSettings {
  std::string config{};  // The file, where there is one.
  bool is_head = false;  // It was said to be one. Without `join` it is one all the same.
  // Of both kinds.
  std::string home{};
  std::optional<uint32_t> slots{};  // None: one per core.
  // Of a head.
  std::string server{};
  std::string listen{};
  std::string listen_nodes{};
  std::string keys{};
  std::vector<std::string> allowed_paths{};
  std::vector<std::string> trusted_verifiers{};
  std::string dashboard{};
  // Of a host that joins one.
  std::string join{};  // HOST:PORT of the head.
  std::string key{};
  std::string address{};
  std::string shared_home{};
};

// Takes what the file says for this kind of daemon over what `settings` has. The kind is that of
// the only table, or, where there are both, of settings.is_head and settings.join: one file may be
// for all hosts. Paths are relative to the file's folder. kInvalidArgument names the file, the line
// and the nearest right name for keys that there are not, and for values of another type.
Status read_daemon_file(std::string_view text, const std::string& path, DaemonSettings& settings);
Status load_daemon_file(const std::string& path, DaemonSettings& settings);

}  // namespace troupe::cluster
