// Manifests for Kubernetes: a cluster that stays, as two StatefulSets, or one job, as a JobSet that
// Kueue may admit.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "schemas/result.h"

namespace troupe::cluster {

struct KubernetesJob {
  std::string text{};   // Of the job file, with the paths of the head's pod.
  std::string queue{};  // Of Kueue's; empty: none.
};

struct KubernetesCluster {
  std::string name{"troupe"};    // In front of the names of all objects.
  std::string space{"default"};  // Namespace.
  std::string image{};           // With troupe and trouped on its PATH.
  uint32_t nodes = 1;
  uint32_t slots = 0;  // Of each node; 0: one per core.
  uint32_t gpus = 0;   // Of each node.
  std::string cpu{"8"};
  std::string memory{"32Gi"};
  std::string shm{"8Gi"};              // Of /dev/shm, out of the memory.
  std::string storage{"100Gi"};        // Of the head, and of each node that stays.
  std::string storage_class{};         // Empty: the cluster's default.
  std::string data_claim{};            // A volume that is there already, at /srv/data of the head.
  bool has_boxes = false;              // Nodes run programs that models wrote.
  std::optional<KubernetesJob> job{};  // One job and no more; else a cluster that stays.
};

// Objects in the order in which they are to be made.
std::vector<nlohmann::ordered_json> kubernetes_objects(const KubernetesCluster& cluster);

// The same as YAML, below what is to be done first.
std::string kubernetes_manifest(const KubernetesCluster& cluster);

// kInvalidArgument for a name that Kubernetes would refuse, and sizes that are none.
Status check_kubernetes(const KubernetesCluster& cluster);

}  // namespace troupe::cluster
