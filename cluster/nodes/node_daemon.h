// The daemon of a host that works for a head elsewhere: it starts and ends workers as it is told,
// passes on what they say, and brings the files that they need.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cluster/daemon/service_notice.h"
#include "kernels/backend.h"
#include "schemas/result.h"

namespace troupe::cluster {

struct NodeDaemonOptions {
  std::string head{};      // "host:port"
  std::string key_file{};  // From `troupe keys node NAME` at the head.
  std::string home{};      // Of jobs' files here; created when missing.
  std::string address{};   // Under which other hosts reach this one; empty: as the head sees it.
  // The head's --home, where this host sees it under the same path: what lies there is not moved,
  // and recovery points have one copy, there. Proven when it joins. Empty: hosts share no files.
  std::string shared_home{};
  uint32_t slots = 0;  // 0: as many as there are devices, or else cores.
  std::function<bool()> is_interrupted = [] { return false; };
  // Is told that the daemon works once it dials, whether or not its head is there.
  std::shared_ptr<ServiceNotice> service = std::make_shared<ServiceNotice>();
};

// Works until it is interrupted; then its workers end. Says on standard error what it does.
// kInvalidArgument when key or home cannot be used, or the head will not have this node.
Status run_node(const kernels::Backend& backend, const NodeDaemonOptions& options);

}  // namespace troupe::cluster
