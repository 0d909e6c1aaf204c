// The manifests that `troupe deploy kubernetes` prints: their parts know each other, and
// Kubernetes' own schemas take them where those are installed.
#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cluster/deploy/yaml_text.h"
#include "tests/support/process.h"
#include "tests/support/short_job.h"

namespace troupe {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using tests::Ended;
using Words = std::vector<std::string>;

Words command(const Words& more) {
  Words words = {"deploy", "kubernetes", "--nodes",
                 "3",      "--image",    "registry.example:5000/troupe:1"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// What is printed with --json, by kind and name.
std::map<std::string, json> objects(Words more) {
  more.push_back("--json");
  const Ended printed = tests::troupe(command(more));
  REQUIRE_MESSAGE(printed.exit_code == 0, printed.error);
  std::map<std::string, json> found;
  const json list = json::parse(printed.out);
  for (const json& one : list["items"]) {
    const auto name =
        one["kind"].get<std::string>() + "/" + one["metadata"]["name"].get<std::string>();
    CHECK_MESSAGE(found.emplace(name, one).second, name);
  }
  return found;
}

std::set<std::string> names_of(const json& list) {
  std::set<std::string> names;
  for (const json& one : list) CHECK(names.insert(one["name"]).second);
  return names;
}

// Everything that a pod's containers mount and ask for is there, and its daemon understands its
// arguments. `claims` are volumes that come from elsewhere.
void check_pod(const json& spec, const std::set<std::string>& claims) {
  auto volumes = names_of(spec["volumes"]);
  volumes.insert(claims.begin(), claims.end());
  std::set<std::string> mounted;
  for (const char* kind : {"initContainers", "containers"}) {
    for (const json& container : spec[kind]) {
      CHECK(container["image"] == "registry.example:5000/troupe:1");
      for (const json& mount : container["volumeMounts"]) {
        CHECK_MESSAGE(volumes.count(mount["name"]) == 1, mount.dump());
        mounted.insert(mount["name"].get<std::string>());
      }
    }
  }
  CHECK(mounted == volumes);
  const json& container = spec["containers"][0];
  for (const char* probe : {"startupProbe", "readinessProbe", "livenessProbe"}) {
    CHECK(container[probe]["exec"]["command"][0] == "troupe");
  }
  for (const json& volume : spec["volumes"]) {
    if (volume["name"] != "shm") continue;
    CHECK(volume["emptyDir"]["medium"] == "Memory");
    CHECK(volume["emptyDir"].contains("sizeLimit"));
  }
  CHECK(spec["terminationGracePeriodSeconds"].get<int>() >= 150);
  // Kept by the kernel's own rules, whoever made the image.
  CHECK(spec["securityContext"]["runAsNonRoot"] == true);
}

// As trouped itself reads them, in a container where nothing of it is.
void check_arguments(const json& container, const std::string& expected_refusal) {
  Words words;
  for (const json& one : container["args"]) words.push_back(one);
  const Ended ended = tests::Process({.arguments = words, .name = "trouped"}).wait();
  CHECK(ended.exit_code == 2);
  CHECK_MESSAGE(ended.error.find(expected_refusal) != std::string::npos, ended.error);
}

TEST_CASE("deploy kubernetes: the parts of a cluster that stays know each other") {
  const auto all = objects({"--head", "--name", "rl", "--slots", "4", "--gpus", "2", "--shm",
                            "12Gi", "--storage", "2Ti", "--storage-class", "fast"});
  CHECK(all.size() == 5);
  for (const std::string part : {"head", "node"}) {
    const json& set = all.at("StatefulSet/rl-" + part);
    const json& spec = set["spec"];
    CHECK(spec["replicas"] == (part == "head" ? 1 : 3));
    // Its own headless service, which selects its pods.
    const json& service = all.at("Service/" + spec["serviceName"].get<std::string>());
    CHECK(service["spec"]["clusterIP"] == "None");
    const json& labels = spec["template"]["metadata"]["labels"];
    CHECK(service["spec"]["selector"] == labels);
    CHECK(spec["selector"]["matchLabels"] == labels);
    CHECK(spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "2Ti");
    CHECK(spec["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast");
    check_pod(spec["template"]["spec"], {spec["volumeClaimTemplates"][0]["metadata"]["name"]});
  }
  const json& head = all.at("StatefulSet/rl-head")["spec"]["template"]["spec"]["containers"][0];
  const json& node = all.at("StatefulSet/rl-node")["spec"]["template"]["spec"]["containers"][0];
  std::map<std::string, int> ports;
  for (const json& one : head["ports"]) ports[one["name"]] = one["containerPort"];
  for (const char* service : {"Service/rl-head", "Service/rl"}) {
    CHECK(all.at(service)["spec"]["ports"].size() == 2);
    for (const json& port : all.at(service)["spec"]["ports"]) {
      CHECK(port["port"] == ports.at(port["targetPort"]));
    }
  }
  CHECK(node["args"][1] == "rl-head:" + std::to_string(ports.at("nodes")));
  CHECK(node["args"][3] == "/keys/own/$(NODE).key");
  CHECK(node["resources"]["limits"]["nvidia.com/gpu"] == "2");
  CHECK(
      all.at("StatefulSet/rl-head")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] ==
      330);
  check_arguments(head, "there are no keys in /keys/own");
  check_arguments(node, "/keys/own/$(NODE).key");
}

TEST_CASE("deploy kubernetes: boxes get what the kernel wants of them, and only when asked for") {
  for (const bool has_boxes : {false, true}) {
    const auto all = objects(has_boxes ? Words{"--head", "--boxes"} : Words{"--head"});
    const json& spec = all.at("StatefulSet/troupe-node")["spec"]["template"]["spec"];
    CHECK(spec.contains("hostUsers") == has_boxes);
    CHECK(spec["containers"][0]["securityContext"].contains("procMount") == has_boxes);
    CHECK(spec["securityContext"]["seccompProfile"]["type"] ==
          (has_boxes ? "Unconfined" : "RuntimeDefault"));
  }
}

Words of_job(const tests::ShortJob& job) {
  return {job.job(),
          "--set",
          "data.train=/srv/data/train.jsonl",
          "--set",
          "data.cold_start=[\"/srv/data/a.jsonl\"]",
          "--set",
          "data.held_out=/srv/data/held_out.jsonl"};
}

TEST_CASE("deploy kubernetes: one job is a JobSet, which Kueue admits and which ends as it does") {
  const tests::ShortJob job;
  Words words = of_job(job);
  words.insert(words.end(), {"--name", "rl", "--queue", "research", "--data", "sets"});
  const auto all = objects(words);
  CHECK(all.size() == 3);
  const json& set = all.at("JobSet/rl");
  CHECK(set["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research");
  CHECK(set["spec"]["successPolicy"]["targetReplicatedJobs"] == json({"head"}));
  const json& head_job = set["spec"]["replicatedJobs"][0];
  const json& node_job = set["spec"]["replicatedJobs"][1];
  CHECK(head_job["name"] == "head");
  CHECK(node_job["template"]["spec"]["parallelism"] == 3);
  const json& head = head_job["template"]["spec"]["template"]["spec"];
  const json& node = node_job["template"]["spec"]["template"]["spec"];
  check_pod(head, {});
  check_pod(node, {});
  CHECK(head["restartPolicy"] == "Never");
  // The host that nodes dial is the JobSet's first head.
  CHECK(node["containers"][0]["args"][1] == "rl-head-0-0.rl:7734");
  CHECK(set["spec"]["network"]["subdomain"] == "rl");
  std::set<std::string> used;
  for (const json& volume : head["volumes"]) {
    if (volume.contains("configMap")) used.insert(volume["configMap"]["name"].get<std::string>());
    if (volume.contains("persistentVolumeClaim")) {
      used.insert(volume["persistentVolumeClaim"]["claimName"].get<std::string>());
    }
  }
  CHECK(used == std::set<std::string>{"rl-job", "rl-head", "sets"});
  CHECK(all.count("PersistentVolumeClaim/rl-head") == 1);
  // What is in it is the same job.
  const std::string text = all.at("ConfigMap/rl-job")["data"]["job.toml"];
  tests::write_text(job.file("again.toml"), text);
  CHECK(tests::troupe(
            {"deploy", "kubernetes", job.file("again.toml"), "--nodes", "1", "--image", "x"})
            .exit_code == 0);
  tests::write_text(job.file("head.sh"), head["containers"][0]["command"][2].get<std::string>());
  CHECK(std::system(("sh -n " + job.file("head.sh")).c_str()) == 0);
}

TEST_CASE("deploy kubernetes: the head of one job ends as the job does, however often it begins") {
  const tests::ShortJob job;
  Words words = of_job(job);
  const auto all = objects(words);
  const json& pods = all.at("JobSet/troupe")["spec"]["replicatedJobs"][0]["template"]["spec"];
  const json& container = pods["template"]["spec"]["containers"][0];
  CHECK(container["command"][0] == "/bin/sh");
  tests::write_text(job.file("head.sh"), container["command"][2].get<std::string>());
  const auto run = [&](const std::string& home) {
    const std::string folder = std::filesystem::path(TROUPE_BINARY).parent_path().string();
    const std::string line = "PATH=" + folder + ":$PATH door=" + job.file("door") +
                             " job=" + job.file("job.toml") + " sh " + job.file("head.sh") +
                             " --home " + job.file(home) + " --server " + job.file("door") +
                             " --slots 1 >" + job.file("said") + " 2>&1";
    return WEXITSTATUS(std::system(line.c_str()));
  };
  CHECK(run("home") == 0);
  CHECK(tests::contents(job.file("said")).find("finished") != std::string::npos);
  CHECK(run("home") == 0);  // It has ended already.
  std::filesystem::remove(job.file("data/train.jsonl"));
  CHECK(run("other") == 2);
  // The same words, which say which end is the job's own, are the JobSet's.
  CHECK(pods["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == json({1, 2, 3}));
}

TEST_CASE("deploy kubernetes: what Kubernetes would refuse is refused here, in words") {
  const tests::ShortJob job;
  const auto refused = [](const Words& more) {
    const Ended ended = tests::troupe(command(more));
    CHECK(ended.exit_code == 2);
    CHECK(ended.out.empty());
    CHECK(std::count(ended.error.begin(), ended.error.end(), '\n') == 1);
    return ended.error;
  };
  CHECK(refused({}).find("either a job's file") != std::string::npos);
  CHECK(refused({job.job(), "--head"}).find("either a job's file") != std::string::npos);
  CHECK(refused({job.job()}).find("begin with /") != std::string::npos);
  CHECK(refused({"--head", "--queue", "a"}).find("--queue is of one job") != std::string::npos);
  CHECK(refused({"--head", "--name", "A"}).find("--name A") != std::string::npos);
  CHECK(refused({"--head", "--memory", "64 GB"}).find("must be an amount") != std::string::npos);
  CHECK(refused({"--head", "--namespace", "a: b"}).find("--namespace") != std::string::npos);
  CHECK(refused({"--head", "--storage-class", "x\ny"}).find("--storage-class") !=
        std::string::npos);
}

TEST_CASE("deploy kubernetes: YAML and JSON say the same, and Kubernetes' schemas take them") {
  const tests::TempDir dir;
  const tests::ShortJob job;
  const ordered_json odd = {{"yes", "no"},
                            {"1", "0x10"},
                            {"a", {1, 2.5, true, nullptr, "", "~", "- x", "a: b", "\xc3\xa9", "#"}},
                            {"lines", "a\n\n  b\n"},
                            {"ends", "a\n\n"},
                            {"starts", " a\nb\n"},
                            {"deep",
                             {{{"x", ordered_json::array()}, {"y", ordered_json::object()}},
                              ordered_json::array({ordered_json::array({"1e3", "null"})})}}};
  tests::write_text(dir.file("odd.json"), odd.dump());
  tests::write_text(dir.file("odd.yaml"), cluster::yaml_text(odd));
  int number = 0;
  for (const Words& words : {Words{"--head", "--boxes", "--gpus", "1"}, of_job(job)}) {
    Words as_json = command(words);
    as_json.push_back("--json");
    const std::string name = dir.file("manifest" + std::to_string(++number));
    tests::write_text(name + ".yaml", tests::troupe(command(words)).out);
    tests::write_text(name + ".json", tests::troupe(as_json).out);
  }
  tests::write_text(dir.file("check.py"), R"(
import json, sys
try:
    import yaml
except ImportError:
    sys.exit(77)
folder = sys.argv[1]
assert yaml.safe_load(open(folder + '/odd.yaml')) == json.load(open(folder + '/odd.json'))
documents = []
for number in '12':
    some = list(yaml.safe_load_all(open(f'{folder}/manifest{number}.yaml')))
    assert some == json.load(open(f'{folder}/manifest{number}.json'))['items'], number
    documents += some
try:
    import kubernetes_validate
except ImportError:
    sys.exit(78)
version = kubernetes_validate.latest_version()
checked = 0
for one in documents:
    if one['kind'] != 'JobSet':
        kubernetes_validate.validate(one, version, strict=True)
        checked += 1
        continue
    # A JobSet is not Kubernetes' own, but what it makes is.
    for job in one['spec']['replicatedJobs']:
        kubernetes_validate.validate({'apiVersion': 'batch/v1', 'kind': 'Job', 'metadata': {
            'name': job['name']}, 'spec': job['template']['spec']}, version, strict=True)
        checked += 1
assert checked == 9, checked
)");
  const char* python = std::getenv("TROUPE_ORACLE_PYTHON");
  const std::string line = std::string(python == nullptr ? "python3" : python) + " " +
                           dir.file("check.py") + " " + dir.path() + " 2>" + dir.file("said");
  const int status = WEXITSTATUS(std::system(line.c_str()));
  if (status == 77) MESSAGE("PyYAML is not here: YAML is not read back");
  if (status == 78) MESSAGE("kubernetes-validate is not here: no schemas");
  const bool is_fine = status == 0 || status == 77 || status == 78;
  CHECK_MESSAGE(is_fine, tests::contents(dir.file("said")));
}

}  // namespace
}  // namespace troupe
