// `troupe deploy`: prints what systemd, Slurm or Kubernetes need to start the daemons.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cluster/cli/command.h"
#include "cluster/cli/daemon_settings.h"
#include "cluster/deploy/deploy_texts.h"
#include "cluster/deploy/kubernetes.h"
#include "cluster/jobs/job_file.h"
#include "cluster/monitor/text.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

constexpr int64_t kHostsMax = 4'096;
constexpr int64_t kGraceSecondsMax = 86'400;

// This program; whoever deploys it may move it.
std::string own_path() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "/usr/local/bin/troupe" : path.string();
}

std::string absolute(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::absolute(path, ignored).lexically_normal().string();
}

Status check_path(const char* option, const std::string& path) {
  for (const char c : path) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '%' || c == '"' || c == '\\') {
      return invalid_argument(fmt::format(
          "{} {}: a unit of systemd takes no blanks, quotes, % and \\ here; choose another path",
          option, printable(path)));
    }
  }
  if (!path.empty() && path[0] == '/') return ok();
  return invalid_argument(fmt::format("{} {}: must begin with /", option, printable(path)));
}

// ---- systemd

struct SystemdCommand {
  std::string kind{};
  SystemdUnit unit{};
};

Status print_unit(SystemdCommand& command) {
  if (command.kind != "head" && command.kind != "node") {
    return invalid_argument(fmt::format("{} is neither head nor node", printable(command.kind)));
  }
  command.unit.is_head = command.kind == "head";
  for (const auto& [option, path] : {std::pair("--program", &command.unit.trouped),
                                     {"--config", &command.unit.config},
                                     {"--home", &command.unit.home}}) {
    if (Status fine = check_path(option, *path); !fine) return fine;
  }
  if (command.unit.user.empty() ||
      command.unit.user.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") !=
          std::string::npos) {
    return invalid_argument(
        fmt::format("--user {}: must be of a-z, 0-9, _ and -", printable(command.unit.user)));
  }
  std::fputs(systemd_unit(command.unit).c_str(), stdout);
  return ok();
}

void add_systemd(Command& deploy, int& exit_code) {
  Command command = deploy.add_command("systemd", "A unit for a head or a node");
  const auto state = std::make_shared<SystemdCommand>();
  state->unit.trouped = (std::filesystem::path(own_path()).parent_path() / "trouped").string();
  command.add_option("kind", state->kind, "head or node").required();
  command.add_option("--config", state->unit.config, "The daemon's file, see trouped --help")
      .show_default();
  command.add_option("--home", state->unit.home, "Folder of the store and of the jobs")
      .show_default();
  command.add_option("--user", state->unit.user, "Who it runs as").show_default();
  command.add_option("--program", state->unit.trouped, "Where trouped is on that host")
      .show_default();
  command.footer(
      "The unit waits until the daemon serves (Type=notify), ends one that hangs (WatchdogSec),\n"
      "and stops it after its jobs' steps. Boxes of verifiers go on working in it.\n"
      "Example:\n  troupe deploy systemd head >/etc/systemd/system/troupe-head.service\n"
      "  troupe deploy systemd node --program /opt/troupe/trouped");
  command.callback([state, &exit_code] {
    const Status done = print_unit(*state);
    exit_code = done ? 0 : report("deploy systemd", done.error());
  });
}

// ---- Slurm

struct SlurmCommand {
  SlurmScript script{};
  int64_t nodes = 0;
  int64_t slots = 0;
  int64_t attempts = 100;
  int64_t grace_seconds = 120;
};

Status print_script(SlurmCommand& command) {
  SlurmScript& script = command.script;
  const auto job = load_job(script.job, script.overrides);
  if (!job) return job.error();
  const std::string given_home = script.home;
  script.made_by = fmt::format("troupe deploy slurm {} --nodes {}", script.job, command.nodes);
  if (!given_home.empty()) script.made_by += " --home " + given_home;
  script.name = job->name;
  script.troupe = absolute(script.troupe);
  script.job = absolute(script.job);
  script.home = absolute(given_home.empty() ? "troupe-" + job->name : given_home);
  if (!script.node_home.empty() && script.node_home[0] != '/') {
    return invalid_argument("--node-home must begin with /: it is a folder of each host's own");
  }
  for (const std::string& option : script.options) {
    const bool is_one = !option.empty() && option.find_first_of("\n\r") == option.npos &&
                        ((option[0] >= 'a' && option[0] <= 'z'));
    if (!is_one) {
      return invalid_argument(fmt::format(
          "--sbatch {}: must be KEY or KEY=VALUE as sbatch's long options are, without the dashes",
          printable(option)));
    }
    const std::string key = option.substr(0, option.find('='));
    for (const char* own : {"nodes", "ntasks", "ntasks-per-node", "requeue", "no-requeue", "signal",
                            "array", "wrap"}) {
      if (key == own) {
        return invalid_argument(
            fmt::format("--sbatch {}: the script itself needs to say {}", option, key));
      }
    }
  }
  script.nodes = static_cast<uint32_t>(command.nodes);
  script.slots = static_cast<uint32_t>(command.slots);
  script.attempts_max = static_cast<uint32_t>(command.attempts);
  script.grace_seconds = static_cast<uint32_t>(command.grace_seconds);
  std::fputs(slurm_script(script).c_str(), stdout);
  return ok();
}

void add_slurm(Command& deploy, int& exit_code) {
  Command command = deploy.add_command("slurm", "A script for sbatch that runs one job");
  const auto state = std::make_shared<SlurmCommand>();
  state->script.troupe = own_path();
  command.add_option("job", state->script.job, "The job file, which all hosts see").required();
  command.add_option("--nodes", state->nodes, "Hosts").required().range<int64_t>(1, kHostsMax);
  command.add_option("--home", state->script.home,
                     "Folder of keys, store and logs, which all hosts see and one job has; "
                     "default ./troupe-NAME");
  command.add_option("--node-home", state->script.node_home,
                     "Folder of each host's own; default below its TMPDIR");
  command.add_option("--slots", state->slots, "Workers with a device of each host; default: cores")
      .range<int64_t>(1, kHostSlotsMax);
  command.add_option("--set", state->script.overrides, "table.key=value, over what the job says")
      .may_repeat();
  command
      .add_option("--sbatch", state->script.options,
                  "KEY=VALUE, any of sbatch's options: time=4:00:00, partition=gpu")
      .may_repeat();
  command.add_option("--attempts", state->attempts, "It is queued again at most so often")
      .show_default()
      .range<int64_t>(0, 10'000);
  command
      .add_option("--grace", state->grace_seconds,
                  "Seconds before a time limit in which it stops by itself")
      .show_default()
      .range<int64_t>(10, kGraceSecondsMax);
  command.add_option("--program", state->script.troupe, "Where troupe is, which all hosts see")
      .show_default();
  command.footer(
      "The head is on the first host and a daemon on each. A host that is lost, and the time "
      "limit,\n"
      "queue the job again; it goes on where it was, also when the same script is submitted anew.\n"
      "Its exit code is that of the job: 0 finished, 1 failed, 3 cancelled or paused.\n"
      "Example:\n  troupe deploy slurm job.toml --nodes 4 --home /shared/run1 "
      "--sbatch time=12:00:00 >run1.sh\n  sbatch run1.sh");
  command.callback([state, &exit_code] {
    const Status done = print_script(*state);
    exit_code = done ? 0 : report("deploy slurm", done.error());
  });
}

// ---- Kubernetes

struct KubernetesCommand {
  KubernetesCluster cluster{};
  std::string job{};
  std::string queue{};
  std::vector<std::string> overrides{};
  int64_t nodes = 0;
  int64_t slots = 0;
  int64_t gpus = 0;
  bool is_head = false;
  bool is_json = false;
};

Result<std::string> job_for_pods(const KubernetesCommand& command) {
  auto read = load_job_to_send(command.job, command.overrides);
  if (!read) return read.error();
  if (!read->files.empty()) {
    return invalid_argument(
        fmt::format("{}: {} is a file of this host, and a JobSet brings none along: its paths are "
                    "those of the head's pod, and begin with /",
                    command.job, printable(read->files.front().path)));
  }
  const JobSpec& job = read->job;
  for (const RewardSpec& reward : job.rewards) {
    if (reward.files.empty()) continue;
    return invalid_argument(fmt::format(
        "{}: rewards.{} has files, which a JobSet does not bring along; submit it to a cluster "
        "that stays: troupe deploy kubernetes --head",
        command.job, reward.name));
  }
  return to_toml(job);
}

Status print_manifest(KubernetesCommand& command) {
  KubernetesCluster& cluster = command.cluster;
  if (command.job.empty() != command.is_head) {
    return invalid_argument(
        "say either a job's file, which becomes a JobSet, or --head, for a cluster that stays");
  }
  if (command.is_head && !command.queue.empty()) {
    return invalid_argument("--queue is of one job, and --head is of a cluster that stays");
  }
  cluster.nodes = static_cast<uint32_t>(command.nodes);
  cluster.slots = static_cast<uint32_t>(command.slots);
  cluster.gpus = static_cast<uint32_t>(command.gpus);
  if (!command.is_head) {
    auto text = job_for_pods(command);
    if (!text) return text.error();
    cluster.job = {.text = std::move(*text), .queue = command.queue};
  }
  if (Status fine = check_kubernetes(cluster); !fine) return fine;
  if (command.is_json) {
    const nlohmann::ordered_json list = {
        {"apiVersion", "v1"}, {"kind", "List"}, {"items", kubernetes_objects(cluster)}};
    return print_line(to_text(list, {.indent = 2, .replaces_invalid = true}));
  }
  std::fputs(kubernetes_manifest(cluster).c_str(), stdout);
  return ok();
}

void add_kubernetes(Command& deploy, int& exit_code) {
  Command command = deploy.add_command("kubernetes", "Manifests of a cluster, or of one job");
  const auto state = std::make_shared<KubernetesCommand>();
  KubernetesCluster& cluster = state->cluster;
  command.add_option("job", state->job,
                     "The job file; its paths are the head's pod's and begin with /");
  command.add_flag("--head", state->is_head, "A cluster that stays instead, for many users' jobs");
  command.add_option("--queue", state->queue, "Kueue's queue that admits the job");
  command.add_option("--set", state->overrides, "table.key=value, over what the job says")
      .may_repeat();
  command.add_option("--nodes", state->nodes, "Pods that work")
      .required()
      .range<int64_t>(1, kHostsMax);
  command.add_option("--image", cluster.image, "Image with troupe and trouped on its PATH")
      .required();
  command.add_option("--name", cluster.name, "Of all objects").show_default();
  command.add_option("--namespace", cluster.space, "Where they are").show_default();
  command.add_option("--slots", state->slots, "Workers with a device of each; default: its cores")
      .range<int64_t>(1, kHostSlotsMax);
  command.add_option("--gpus", state->gpus, "nvidia.com/gpu of each").range<int64_t>(0, 64);
  command.add_option("--cpu", cluster.cpu, "Cores of each").show_default();
  command.add_option("--memory", cluster.memory, "Of each").show_default();
  command.add_option("--shm", cluster.shm, "Of each pod's /dev/shm, out of its memory")
      .show_default();
  command.add_option("--storage", cluster.storage, "Of the head, and of each node that stays")
      .show_default();
  command.add_option("--storage-class", cluster.storage_class, "Default: the cluster's");
  command.add_option("--data", cluster.data_claim,
                     "A PersistentVolumeClaim that is there, at /srv/data of the head");
  command.add_flag("--boxes", cluster.has_boxes,
                   "Nodes run programs that models wrote (code rewards)");
  command.add_flag("--json", state->is_json, "One JSON object, a List, instead of YAML");
  command.footer(
      "How to make the keys is said at the top of the manifest.\n"
      "Example:\n  troupe deploy kubernetes --head --nodes 4 --image registry/troupe:1 "
      "| kubectl apply -f -\n"
      "  troupe deploy kubernetes job.toml --nodes 4 --image registry/troupe:1 --queue research");
  command.callback([state, &exit_code] {
    const Status done = print_manifest(*state);
    exit_code = done ? 0 : report("deploy kubernetes", done.error());
  });
}

}  // namespace

void add_deploy(Command& program, int& exit_code) {
  Command deploy =
      program.add_command("deploy", "Print what systemd, Slurm or Kubernetes need to run daemons");
  deploy.require_command();
  deploy.footer("Example:\n  troupe deploy systemd head\n  troupe deploy slurm job.toml --nodes 4");
  add_systemd(deploy, exit_code);
  add_slurm(deploy, exit_code);
  add_kubernetes(deploy, exit_code);
}

}  // namespace troupe::cluster
