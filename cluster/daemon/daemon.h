// The daemon: a head that stays, with a front door for users.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/daemon/service_notice.h"
#include "cluster/gateway/host_port.h"
#include "kernels/backend.h"
#include "schemas/result.h"
#include "schemas/work.h"

namespace troupe::cluster {

class Dashboard;

struct DaemonOptions {
  std::string home{};    // Store and jobs; created when missing.
  std::string server{};  // Folder of the front door's sockets.
  // Where users come in from other hosts with their keys, and the folder of those.
  std::optional<HostPort> listen{};
  std::optional<HostPort> listen_nodes{};  // Default: the port behind that.
  std::string keys{};
  Dashboard* dashboard = nullptr;  // Shows its jobs; outlives the call.
  // Folders of this host below which users of other hosts may name files in their jobs.
  std::vector<std::string> allowed_paths{};
  // Programs that may verify without a sandbox, by the names that jobs may use.
  std::vector<TrustedProgram> trusted_programs{};
  // Workers with a device at a time on this host; none: one per core.
  std::optional<uint32_t> slots{};
  std::function<bool()> is_interrupted = [] { return false; };
  // Is told that the daemon serves once a question at its own door has been answered, and that it
  // lives as long as such questions are.
  std::shared_ptr<ServiceNotice> service = std::make_shared<ServiceNotice>();
};

// Serves until it is interrupted, and then stops the jobs that run at their next steps' boundaries;
// they and those that wait go on with the next daemon. Says on standard error what it does.
// kInvalidArgument when home, server, keys or the address cannot be used, e.g. because another
// daemon has them, and when this process may not have enough files open.
Status run_daemon(const kernels::Backend& backend, const DaemonOptions& options);

}  // namespace troupe::cluster
