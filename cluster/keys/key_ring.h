// Whose a key is, as the head's keys folder says now. From any thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/keys/identity.h"
#include "cluster/keys/keys_folder.h"
#include "schemas/result.h"

namespace troupe::cluster {

class KeyRing {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct Options {
    std::string folder{};
    std::chrono::milliseconds look_every{1'000};  // The folder is looked at again; 0: each time.
    // Called with a line when the folder or a file in it cannot be used, once for each time it gets
    // so. Nobody comes in by that file, or where it is the folder, by any.
    std::function<void(const std::string& line)> noted = [](const std::string&) {};
  };

  // kInvalidArgument when the folder is not there or open to others, or a file in it is none.
  static Result<std::shared_ptr<KeyRing>> open(Options options);

  // Nothing: a stranger.
  std::optional<Identity> find(const PublicKey& key) {
    return find(key, std::chrono::steady_clock::now());
  }
  std::optional<Identity> find(const PublicKey& key, Time now);

  const CurveKeys& head_keys() const { return head_keys_; }

 private:
  // What changes when a file does: a look at it is cheaper than reading it.
  struct Stamp {
    std::string name{};
    ino_t inode = 0;
    off_t size = 0;
    int64_t modified_ns = 0;
    int64_t changed_ns = 0;

    bool operator==(const Stamp&) const = default;
  };

  KeyRing(Options options, CurveKeys head_keys);

  Result<std::vector<Stamp>> stamps() const;
  void look();
  void note_once(std::set<std::string> faults);

  const Options options_;
  const CurveKeys head_keys_;
  std::mutex mutex_{};
  // All below: guarded by mutex_.
  Time looked_at_{};
  std::vector<Stamp> stamps_{};
  std::map<PublicKey, Identity> identities_{};
  std::set<std::string> faults_{};
};

}  // namespace troupe::cluster
