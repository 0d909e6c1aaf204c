// trouped: the daemon's command line.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "cluster/cli/command.h"
#include "cluster/cli/door.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/trusted_verifiers.h"
#include "cluster/daemon/daemon.h"
#include "cluster/keys/keys_folder.h"
#include "cluster/nodes/node_daemon.h"
#include "kernels/cpu/cpu_backend.h"

namespace troupe::cluster {
namespace {

std::string default_home() {
  const char* home = std::getenv("HOME");
  return home == nullptr || *home == '\0' ? "" : std::string(home) + "/.local/state/troupe";
}

Status serve(DaemonOptions options, const NodeDaemonOptions& node, const std::string& listen,
             const std::string& listen_nodes, const std::vector<std::string>& trusted_verifiers) {
  if (!node.key_file.empty() || !node.address.empty() || !node.shared_home.empty()) {
    return invalid_argument(
        "--key, --address and --shared-home are of a host that joins: say --join HOST:PORT too");
  }
  auto trusted = read_trusted_verifiers(trusted_verifiers);
  if (!trusted) return trusted.error();
  options.trusted_programs = std::move(*trusted);
  // Jobs in a folder that depends on where the daemon was started would be lost to the next one.
  if (options.home.empty()) {
    return invalid_argument(
        "where the store is to lie cannot be told: HOME is not set; set it, or say --home DIR");
  }
  if (Status known = check_door_folder(options.server); !known) return known;
  if (!listen.empty()) {
    auto address = parse_host_port(listen);
    if (!address) return invalid_argument("--listen " + address.error().message);
    options.listen = std::move(*address);
  }
  if (!listen_nodes.empty()) {
    if (listen.empty()) return invalid_argument("--listen-nodes needs --listen ADDR:PORT too");
    auto address = parse_host_port(listen_nodes);
    if (!address) return invalid_argument("--listen-nodes " + address.error().message);
    options.listen_nodes = std::move(*address);
  }
  std::error_code ignored;
  options.home = std::filesystem::absolute(options.home, ignored).lexically_normal().string();
  auto backend = kernels::cpu_backend();
  if (!backend) return backend.error();
  watch_for_interrupts();
  options.is_interrupted = is_interrupted;
  return run_daemon(**backend, options);
}

// On a host that works for a head elsewhere.
Status join(NodeDaemonOptions options) {
  if (options.key_file.empty()) {
    return invalid_argument(
        "--join needs --key FILE, which troupe keys node NAME makes at the head");
  }
  if (options.home.empty()) {
    return invalid_argument(
        "where jobs' files are to lie cannot be told: HOME is not set; set it, or say --home DIR");
  }
  if (auto address = parse_host_port(options.head); !address) {
    return invalid_argument("--join " + address.error().message);
  }
  std::error_code ignored;
  options.home = std::filesystem::absolute(options.home, ignored).lexically_normal().string();
  auto backend = kernels::cpu_backend();
  if (!backend) return backend.error();
  watch_for_interrupts();
  options.is_interrupted = is_interrupted;
  return run_node(**backend, options);
}

}  // namespace

int run_trouped(int argc, char** argv) {
  Program program("The Troupe daemon: takes jobs, runs them, survives being killed.", "trouped");
  program.footer(
      "Users talk to it with troupe submit, jobs, show, why, watch, logs, cancel, pause, resume, "
      "top, nodes, drain and undrain.\nSIGTERM stops it after the step under way; its jobs go on "
      "with the next daemon.\n"
      "Example:\n  trouped --home /srv/troupe &\n  troupe submit job.toml\n"
      "For users of other hosts:\n  troupe keys init\n  troupe keys user alice\n"
      "  trouped --home /srv/troupe --listen 0.0.0.0:7733 &\n"
      "Another host that works for it:\n  troupe keys node b   # at the head; take b.key there\n"
      "  trouped --join head:7734 --key b.key &");
  DaemonOptions options;
  options.home = default_home();
  bool is_head = false;
  program.add_flag("--head", is_head,
                   "This host is the head of a cluster, as it is without --join");
  program.add_option("--home", options.home, "Folder of the store and of the jobs").show_default();
  add_door_folder_option(program, options.server);
  std::string listen;
  program.add_option("--listen", listen,
                     "ADDR:PORT for users of other hosts, who have keys: "
                     "0.0.0.0 is all addresses, port 0 any that is free");
  std::string listen_nodes;
  program.add_option("--listen-nodes", listen_nodes,
                     "ADDR:PORT for hosts that join; default: the port behind that of --listen");
  options.keys = default_keys_folder();
  program.add_option("--keys", options.keys,
                     "The keys of those who may come in there, made with troupe keys; default "
                     "$XDG_CONFIG_HOME/troupe/keys or ~/.config/troupe/keys");
  program
      .add_option("--allow-path", options.allowed_paths,
                  "A folder of this host: users of other hosts may name what lies below it, as "
                  "data or as a model. Their own files travel with their jobs")
      .may_repeat();
  NodeDaemonOptions node;
  program.add_option("--join", node.head,
                     "HOST:PORT of a head's nodes: this host works for it, and has no jobs");
  program.add_option("--key", node.key_file, "This node's key, from troupe keys node NAME");
  program.add_option("--address", node.address,
                     "Under which other hosts reach this one; default: as the head sees it");
  program.add_option("--shared-home", node.shared_home,
                     "The head's --home, where this host has it too, under the same path: then "
                     "jobs' files are not moved, and points have one copy, there. It is tried when "
                     "this host joins");
  program.add_option("--slots", node.slots,
                     "Workers with a device that this host takes at a time; default: its cores");
  std::vector<std::string> trusted_verifiers;
  add_trusted_verifier_option(program, trusted_verifiers);
  if (const auto ended = program.read(argc, argv)) return *ended;
  node.home = options.home;
  options.slots = node.slots;
  const Status served =
      node.head.empty() ? serve(std::move(options), node, listen, listen_nodes, trusted_verifiers)
                        : join(std::move(node));
  if (served) return 0;
  std::fprintf(stderr, "trouped: %s\n", served.error().message.c_str());
  return exit_code(served.error());
}

}  // namespace troupe::cluster
