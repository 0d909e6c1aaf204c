#include "cluster/deploy/kubernetes.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "cluster/deploy/embedded_texts.h"
#include "cluster/deploy/yaml_text.h"
#include "cluster/monitor/text.h"

namespace troupe::cluster {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kUsersPort = 7733;
constexpr int kNodesPort = 7734;
constexpr int kOurUser = 10'001;
// What trouped takes to stop by itself, and some more.
constexpr int kHeadGraceSeconds = 330;
constexpr int kNodeGraceSeconds = 150;
constexpr size_t kNameMax = 40;  // With what is behind it, a host's name has at most 63.
constexpr char kDoor[] = "/run/troupe/door";

// Objects of one deployment.
class Maker {
 public:
  explicit Maker(const KubernetesCluster& cluster) : cluster_(cluster) {}

  std::vector<Json> standing() const {
    std::vector<Json> objects = {
        service(head_name(), "head", Json({{"clusterIP", "None"}})),
        service(node_name(), "node", Json({{"clusterIP", "None"}})),
        service(cluster_.name, "head", Json::object()),
    };
    Json head = stateful_set("head", 1, kHeadGraceSeconds, head_spec());
    Json node = stateful_set("node", cluster_.nodes, kNodeGraceSeconds,
                             node_spec(fmt::format("{}:{}", head_name(), kNodesPort)));
    // None of them waits for another.
    node["spec"]["podManagementPolicy"] = "Parallel";
    objects.push_back(std::move(head));
    objects.push_back(std::move(node));
    return objects;
  }

  std::vector<Json> one_job() const {
    Json claim = {{"apiVersion", "v1"},
                  {"kind", "PersistentVolumeClaim"},
                  {"metadata", metadata(head_name())},
                  {"spec", claim_spec()}};
    Json job = {{"apiVersion", "v1"},
                {"kind", "ConfigMap"},
                {"metadata", metadata(cluster_.name + "-job")},
                {"data", {{"job.toml", cluster_.job->text}}}};
    return {std::move(claim), std::move(job), job_set()};
  }

  std::string head_name() const { return cluster_.name + "-head"; }
  std::string node_name() const { return cluster_.name + "-node"; }
  std::string head_keys() const { return cluster_.name + "-head-keys"; }
  std::string node_keys() const { return cluster_.name + "-node-keys"; }

 private:
  Json labels(const std::string& part) const {
    return {{"app.kubernetes.io/name", "troupe"},
            {"app.kubernetes.io/instance", cluster_.name},
            {"app.kubernetes.io/component", part}};
  }

  Json metadata(const std::string& name) const {
    return {
        {"name", name},
        {"namespace", cluster_.space},
        {"labels",
         {{"app.kubernetes.io/name", "troupe"}, {"app.kubernetes.io/instance", cluster_.name}}}};
  }

  Json service(const std::string& name, const std::string& part, Json spec) const {
    spec["selector"] = labels(part);
    if (part == "head") {
      spec["ports"] = {{{"name", "users"}, {"port", kUsersPort}, {"targetPort", "users"}},
                       {{"name", "nodes"}, {"port", kNodesPort}, {"targetPort", "nodes"}}};
    }
    // Pods find each other while they are not ready yet.
    if (spec.contains("clusterIP")) spec["publishNotReadyAddresses"] = true;
    return {{"apiVersion", "v1"},
            {"kind", "Service"},
            {"metadata", metadata(name)},
            {"spec", std::move(spec)}};
  }

  Json stateful_set(const std::string& part, uint32_t replicas, int grace_seconds,
                    Json spec) const {
    const std::string name = part == "head" ? head_name() : node_name();
    spec["terminationGracePeriodSeconds"] = grace_seconds;
    Json claim = {{"metadata", {{"name", "home"}}}, {"spec", claim_spec()}};
    return {{"apiVersion", "apps/v1"},
            {"kind", "StatefulSet"},
            {"metadata", metadata(name)},
            {"spec",
             {{"serviceName", name},
              {"replicas", replicas},
              {"selector", {{"matchLabels", labels(part)}}},
              {"template", {{"metadata", {{"labels", labels(part)}}}, {"spec", std::move(spec)}}},
              {"volumeClaimTemplates", Json::array({std::move(claim)})}}}};
  }

  Json claim_spec() const {
    Json spec = {{"accessModes", {"ReadWriteOnce"}},
                 {"resources", {{"requests", {{"storage", cluster_.storage}}}}}};
    if (!cluster_.storage_class.empty()) spec["storageClassName"] = cluster_.storage_class;
    return spec;
  }

  // Key files are closed to others and no links, which those of a Secret are not: they are copied.
  Json keys_container() const {
    return {{"name", "keys"},
            {"image", cluster_.image},
            {"command",
             {"/bin/sh", "-c",
              "umask 077 && mkdir -p /keys/own && cp -f /secret/* /keys/own/ && chmod 600 "
              "/keys/own/*"}},
            {"securityContext", container_security()},
            {"volumeMounts",
             {{{"name", "secret"}, {"mountPath", "/secret"}, {"readOnly", true}},
              {{"name", "keys"}, {"mountPath", "/keys"}}}}};
  }

  static Json container_security() {
    return {{"allowPrivilegeEscalation", false}, {"capabilities", {{"drop", {"ALL"}}}}};
  }

  // `command` is asked by the kubelet.
  static Json probe(const Json& command, int period_seconds, int failures) {
    return {{"exec", {{"command", command}}},
            {"periodSeconds", period_seconds},
            {"timeoutSeconds", 10},
            {"failureThreshold", failures}};
  }
  static void add_probes(Json& container, const Json& command) {
    // A store that has much to read at its start has ten minutes for it.
    container["startupProbe"] = probe(command, 5, 120);
    container["readinessProbe"] = probe(command, 10, 3);
    container["livenessProbe"] = probe(command, 20, 6);
  }

  Json pod_spec(Json container, const std::string& secret) const {
    Json volumes = {
        {{"name", "secret"}, {"secret", {{"secretName", secret}, {"defaultMode", 0440}}}},
        {{"name", "keys"}, {"emptyDir", {{"medium", "Memory"}, {"sizeLimit", "16Mi"}}}},
        {{"name", "run"}, {"emptyDir", {{"medium", "Memory"}, {"sizeLimit", "16Mi"}}}},
        {{"name", "tmp"}, {"emptyDir", Json::object()}},
        {{"name", "shm"}, {"emptyDir", {{"medium", "Memory"}, {"sizeLimit", cluster_.shm}}}}};
    container["volumeMounts"] = {{{"name", "home"}, {"mountPath", "/srv/troupe"}},
                                 {{"name", "keys"}, {"mountPath", "/keys"}},
                                 {{"name", "run"}, {"mountPath", "/run/troupe"}},
                                 {{"name", "tmp"}, {"mountPath", "/tmp"}},
                                 {{"name", "shm"}, {"mountPath", "/dev/shm"}}};
    return {{"automountServiceAccountToken", false},
            // Somebody has to wait for processes that have lost their parents.
            {"shareProcessNamespace", true},
            {"securityContext",
             {{"runAsNonRoot", true},
              {"runAsUser", kOurUser},
              {"runAsGroup", kOurUser},
              {"fsGroup", kOurUser},
              {"fsGroupChangePolicy", "OnRootMismatch"},
              {"seccompProfile", {{"type", "RuntimeDefault"}}}}},
            {"initContainers", Json::array({keys_container()})},
            {"containers", Json::array({std::move(container)})},
            {"volumes", std::move(volumes)}};
  }

  Json head_arguments() const {
    return {"--head",
            "--home",
            "/srv/troupe/head",
            "--server",
            kDoor,
            "--keys",
            "/keys/own",
            "--listen",
            fmt::format("0.0.0.0:{}", kUsersPort),
            "--listen-nodes",
            fmt::format("0.0.0.0:{}", kNodesPort),
            "--slots",
            "0"};
  }

  Json head_spec() const {
    Json container = {
        {"name", "head"},
        {"image", cluster_.image},
        {"command", {"trouped"}},
        {"args", head_arguments()},
        {"ports",
         {{{"name", "users"}, {"containerPort", kUsersPort}},
          {{"name", "nodes"}, {"containerPort", kNodesPort}}}},
        {"resources",
         {{"requests", {{"cpu", "2"}, {"memory", "8Gi"}}}, {"limits", {{"memory", "8Gi"}}}}},
        {"securityContext", container_security()}};
    add_probes(container, {"troupe", "jobs", "--server", kDoor});
    Json spec = pod_spec(std::move(container), head_keys());
    if (!cluster_.data_claim.empty()) {
      spec["volumes"].push_back(
          {{"name", "data"},
           {"persistentVolumeClaim", {{"claimName", cluster_.data_claim}, {"readOnly", true}}}});
      spec["containers"][0]["volumeMounts"].push_back(
          {{"name", "data"}, {"mountPath", "/srv/data"}, {"readOnly", true}});
    }
    return spec;
  }

  static Json variable(const char* name, const char* field) {
    return {{"name", name}, {"valueFrom", {{"fieldRef", {{"fieldPath", field}}}}}};
  }

  // $(NODE) is what the pod is called as a node, with a key of that name.
  Json node_spec(const std::string& head) const {
    Json args = {"--join",           head,        "--key",    "/keys/own/$(NODE).key", "--home",
                 "/srv/troupe/node", "--address", "$(POD_IP)"};
    if (cluster_.slots > 0) {
      args.push_back("--slots");
      args.push_back(std::to_string(cluster_.slots));
    }
    Json limits = {{"cpu", cluster_.cpu}, {"memory", cluster_.memory}};
    if (cluster_.gpus > 0) limits["nvidia.com/gpu"] = std::to_string(cluster_.gpus);
    Json container = {
        {"name", "node"},
        {"image", cluster_.image},
        {"command", {"trouped"}},
        {"args", std::move(args)},
        {"env", {variable("NODE", "metadata.name"), variable("POD_IP", "status.podIP")}},
        {"resources", {{"requests", limits}, {"limits", limits}}},
        {"securityContext", container_security()}};
    add_probes(container, {"troupe", "alive", "/srv/troupe/node"});
    if (cluster_.has_boxes) container["securityContext"]["procMount"] = "Unmasked";
    Json spec = pod_spec(std::move(container), node_keys());
    if (cluster_.has_boxes) {
      spec["hostUsers"] = false;
      spec["securityContext"]["seccompProfile"]["type"] = "Unconfined";
    }
    return spec;
  }

  // ---- One job.

  Json replicated_job(const std::string& part, uint32_t pods, Json spec) const {
    spec["restartPolicy"] = "Never";
    return {{"name", part},
            {"replicas", 1},
            {"template",
             {{"spec",
               {{"parallelism", pods},
                {"completions", pods},
                {"completionMode", "Indexed"},
                {"backoffLimit", 0},
                {"template",
                 {{"metadata", {{"labels", labels(part)}}}, {"spec", std::move(spec)}}}}}}}};
  }

  Json job_set() const {
    Json head = head_spec();
    head["terminationGracePeriodSeconds"] = kHeadGraceSeconds;
    head["volumes"].push_back(
        {{"name", "home"}, {"persistentVolumeClaim", {{"claimName", head_name()}}}});
    head["volumes"].push_back({{"name", "job"}, {"configMap", {{"name", cluster_.name + "-job"}}}});
    Json& container = head["containers"][0];
    container["volumeMounts"].push_back(
        {{"name", "job"}, {"mountPath", "/job"}, {"readOnly", true}});
    container["command"] = {"/bin/sh", "-c", std::string(kubernetes_job_text()), "head"};
    container["env"] = {{{"name", "door"}, {"value", kDoor}},
                        {{"name", "job"}, {"value", "/job/job.toml"}}};
    Json head_job = replicated_job("head", 1, std::move(head));
    // How the job has ended, as against how an attempt has.
    head_job["template"]["spec"]["podFailurePolicy"] = {
        {"rules",
         {{{"action", "FailJob"},
           {"onExitCodes",
            {{"containerName", "head"}, {"operator", "In"}, {"values", {1, 2, 3}}}}}}}};

    Json node =
        node_spec(fmt::format("{}-head-0-0.{}:{}", cluster_.name, cluster_.name, kNodesPort));
    node["terminationGracePeriodSeconds"] = kNodeGraceSeconds;
    node["volumes"].push_back({{"name", "home"}, {"emptyDir", Json::object()}});
    // Pods of a JobSet have other names each time.
    node["containers"][0]["env"] = {
        variable("INDEX", "metadata.annotations['batch.kubernetes.io/job-completion-index']"),
        {{"name", "NODE"}, {"value", node_name() + "-$(INDEX)"}},
        variable("POD_IP", "status.podIP")};
    Json node_job = replicated_job("node", cluster_.nodes, std::move(node));

    Json about = metadata(cluster_.name);
    if (!cluster_.job->queue.empty()) {
      about["labels"]["kueue.x-k8s.io/queue-name"] = cluster_.job->queue;
    }
    return {{"apiVersion", "jobset.x-k8s.io/v1alpha2"},
            {"kind", "JobSet"},
            {"metadata", std::move(about)},
            {"spec",
             {{"network", {{"enableDNSHostnames", true}, {"subdomain", cluster_.name}}},
              {"successPolicy", {{"operator", "All"}, {"targetReplicatedJobs", {"head"}}}},
              {"failurePolicy",
               {{"maxRestarts", 100},
                {"rules",
                 {{{"name", "jobHasEnded"},
                   {"action", "FailJobSet"},
                   {"targetReplicatedJobs", {"head"}},
                   {"onJobFailureReasons", {"PodFailurePolicy"}}}}}}},
              {"replicatedJobs", Json::array({std::move(head_job), std::move(node_job)})}}}};
  }

  const KubernetesCluster& cluster_;
};

}  // namespace

std::vector<Json> kubernetes_objects(const KubernetesCluster& cluster) {
  const Maker maker(cluster);
  return cluster.job ? maker.one_job() : maker.standing();
}

std::string kubernetes_manifest(const KubernetesCluster& cluster) {
  const Maker maker(cluster);
  std::string text = fmt::format(
      "# Troupe: {} on {} node{}. First, once, the keys. They are in no\n"
      "# manifest, so that none overwrites them. A node has one of its own name:\n"
      "#   troupe keys init --keys keys && mkdir node-keys\n"
      "#   for i in $(seq 0 {}); do\n"
      "#     troupe keys node {}-$i --keys keys --out node-keys/{}-$i.key\n"
      "#   done\n"
      "#   troupe keys user olga --operator --keys keys\n"
      "#   kubectl -n {} create secret generic {} --from-file=keys\n"
      "#   kubectl -n {} create secret generic {} --from-file=node-keys\n",
      cluster.job ? "one job" : "a cluster that stays", cluster.nodes,
      cluster.nodes == 1 ? "" : "s", cluster.nodes - 1, maker.node_name(), maker.node_name(),
      cluster.space, maker.head_keys(), cluster.space, maker.node_keys());
  if (!cluster.job) {
    text += fmt::format(
        "# Then, from outside:\n"
        "#   kubectl -n {} port-forward service/{} {}\n"
        "#   troupe nodes --server 127.0.0.1:{} --key olga.key\n"
        "# Who is to come in no longer, at once and for good:\n"
        "#   kubectl exec {}-0 -c head -- troupe keys revoke NAME --keys /keys/own\n"
        "#   rm keys/NAME.pub, and make the Secret anew\n",
        cluster.space, cluster.name, kUsersPort, kUsersPort, maker.head_name());
  }
  text += cluster.has_boxes
              ? "# Boxes for programs need user namespaces of pods (hostUsers, procMount).\n"
              : "# Programs that models wrote do not run there: that needs --boxes.\n";
  for (const Json& object : kubernetes_objects(cluster)) text += "---\n" + yaml_text(object);
  return text;
}

Status check_kubernetes(const KubernetesCluster& cluster) {
  static const std::regex name("[a-z]([a-z0-9-]*[a-z0-9])?");
  static const std::regex dotted_name("[a-z0-9]([a-z0-9.-]*[a-z0-9])?");
  static const std::regex size("[1-9][0-9]*(\\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?");
  const auto refused = [](const char* option, const std::string& value, const char* what) {
    return invalid_argument(fmt::format("{} {}: {}", option, printable(value), what));
  };
  if (!std::regex_match(cluster.name, name) || cluster.name.size() > kNameMax) {
    return refused("--name", cluster.name, "must be 1 to 40 of a-z, 0-9 and -, and begin with a-z");
  }
  if (!std::regex_match(cluster.space, name) || cluster.space.size() > 63) {
    return refused("--namespace", cluster.space, "is no namespace's name");
  }
  if (cluster.image.empty() || std::any_of(cluster.image.begin(), cluster.image.end(), [](char c) {
        return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f;
      })) {
    return refused("--image", cluster.image, "is no image's name");
  }
  for (const auto& [option, value] : {std::pair("--cpu", &cluster.cpu),
                                      {"--memory", &cluster.memory},
                                      {"--shm", &cluster.shm},
                                      {"--storage", &cluster.storage}}) {
    if (value->size() > 20 || !std::regex_match(*value, size)) {
      return refused(option, *value, "must be an amount as Kubernetes has them: 8, 500m, 64Gi");
    }
  }
  for (const auto& [option, value] :
       {std::pair("--storage-class", &cluster.storage_class), {"--data", &cluster.data_claim}}) {
    if (!value->empty() && (value->size() > 253 || !std::regex_match(*value, dotted_name))) {
      return refused(option, *value, "is no name of an object");
    }
  }
  if (cluster.job && !cluster.job->queue.empty() &&
      (cluster.job->queue.size() > 63 || !std::regex_match(cluster.job->queue, dotted_name))) {
    return refused("--queue", cluster.job->queue, "is no queue's name");
  }
  return ok();
}

}  // namespace troupe::cluster
