// A daemon of its own for each measurement: this program under its other name, in a folder that is
// gone afterwards.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/cli/bench_folder.h"
#include "cluster/gateway/front_door_client.h"
#include "cluster/keys/keys_folder.h"
#include "schemas/control.h"
#include "schemas/result.h"

namespace troupe::cluster {

// It has one slot, and listens in a folder; with users' keys over the loopback network, too.
class BenchDaemon {
 public:
  struct Options {
    size_t num_keys = 0;  // One key file for each of so many users; 0: no network.
    bool are_operators = false;
  };

  static Result<std::unique_ptr<BenchDaemon>> start(const BenchFolder& folder, Options options);
  ~BenchDaemon();
  BenchDaemon(const BenchDaemon&) = delete;
  BenchDaemon& operator=(const BenchDaemon&) = delete;

  // Asks until the daemon, which has just been started, gives an answer.
  Result<ControlReply> first_answer(const ControlRequest& request) const;

  pid_t pid() const { return pid_; }
  const std::string& door() const { return door_; }
  const std::optional<HostPort>& address() const { return address_; }
  const std::vector<KeyFile>& keys() const { return keys_; }

 private:
  BenchDaemon() = default;
  Status make_keys(const BenchFolder& folder, Options options);
  Status spawn(std::vector<std::string> words);

  pid_t pid_ = 0;
  std::string door_{};
  std::optional<HostPort> address_{};
  std::vector<KeyFile> keys_{};
};

}  // namespace troupe::cluster
