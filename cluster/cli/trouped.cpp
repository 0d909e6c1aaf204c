// trouped: the daemon's command line.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/cli/command.h"
#include "cluster/cli/daemon_settings.h"
#include "cluster/cli/dashboard_option.h"
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

// Where a daemon of either kind keeps what it has.
Result<std::string> home_in(const DaemonSettings& settings) {
  // Jobs in a folder that depends on where the daemon was started would be lost to the next one.
  if (settings.home.empty()) {
    return invalid_argument(
        "where jobs are to lie cannot be told: HOME is not set; set it, or say --home DIR");
  }
  std::error_code ignored;
  return std::filesystem::absolute(settings.home, ignored).lexically_normal().string();
}

Status serve(const DaemonSettings& settings, std::shared_ptr<ServiceNotice> service) {
  if (!settings.key.empty() || !settings.address.empty() || !settings.shared_home.empty()) {
    return invalid_argument(
        "--key, --address and --shared-home are of a host that joins: say --join HOST:PORT too");
  }
  DaemonOptions options{.server = settings.server,
                        .keys = settings.keys,
                        .allowed_paths = settings.allowed_paths,
                        .slots = settings.slots};
  auto trusted = read_trusted_verifiers(settings.trusted_verifiers);
  if (!trusted) return trusted.error();
  options.trusted_programs = std::move(*trusted);
  auto home = home_in(settings);
  if (!home) return home.error();
  options.home = std::move(*home);
  if (Status known = check_door_folder(options.server); !known) return known;
  if (!settings.listen.empty()) {
    auto address = parse_host_port(settings.listen);
    if (!address) return invalid_argument("--listen " + address.error().message);
    options.listen = std::move(*address);
  }
  if (!settings.listen_nodes.empty()) {
    if (!options.listen) return invalid_argument("--listen-nodes needs --listen ADDR:PORT too");
    auto address = parse_host_port(settings.listen_nodes);
    if (!address) return invalid_argument("--listen-nodes " + address.error().message);
    options.listen_nodes = std::move(*address);
  }
  if (options.slots == 0u && !options.listen) {
    return invalid_argument(
        "with --slots 0 jobs run on other hosts only, and none can join: say --listen ADDR:PORT "
        "too");
  }
  auto backend = kernels::cpu_backend();
  if (!backend) return backend.error();
  watch_for_interrupts();
  options.is_interrupted = is_interrupted;
  options.service = std::move(service);
  const auto dashboard = open_dashboard(settings.dashboard, settings.keys);
  if (!dashboard) return dashboard.error();
  options.dashboard = dashboard->get();
  return run_daemon(**backend, options);
}

// On a host that works for a head elsewhere.
Status join(const DaemonSettings& settings, std::shared_ptr<ServiceNotice> service) {
  if (!settings.listen.empty() || !settings.listen_nodes.empty() ||
      !settings.allowed_paths.empty() || !settings.trusted_verifiers.empty() ||
      !settings.dashboard.empty()) {
    return invalid_argument(
        "--listen, --listen-nodes, --allow-path, --trusted-verifier and --dashboard are of a head, "
        "and --join of a host that works for one");
  }
  if (settings.key.empty()) {
    return invalid_argument(
        "--join needs --key FILE, which troupe keys node NAME makes at the head");
  }
  if (settings.slots == 0u) {
    return invalid_argument("--slots 0 is for a head: a host that joins one is there to work");
  }
  NodeDaemonOptions options{.head = settings.join,
                            .key_file = settings.key,
                            .address = settings.address,
                            .shared_home = settings.shared_home,
                            .slots = settings.slots.value_or(0)};
  auto home = home_in(settings);
  if (!home) return home.error();
  options.home = std::move(*home);
  if (auto address = parse_host_port(options.head); !address) {
    return invalid_argument("--join " + address.error().message);
  }
  auto backend = kernels::cpu_backend();
  if (!backend) return backend.error();
  watch_for_interrupts();
  options.is_interrupted = is_interrupted;
  options.service = std::move(service);
  return run_node(**backend, options);
}

// Flags are laid over what `settings` has. The exit code where there is nothing more to do.
std::optional<int> read_flags(int argc, char** argv, DaemonSettings& settings) {
  Program program("The Troupe daemon: takes jobs, runs them, survives being killed.", "trouped");
  program.footer(
      "Users talk to it with troupe submit, jobs, show, why, watch, logs, cancel, pause, resume, "
      "top, nodes, drain and undrain.\nSIGTERM stops it after the step under way; its jobs go on "
      "with the next daemon.\n"
      "Example:\n  trouped --home /srv/troupe &\n  troupe submit job.toml\n"
      "For users of other hosts:\n  troupe keys init\n  troupe keys user alice\n"
      "  trouped --home /srv/troupe --listen 0.0.0.0:7733 &\n"
      "Another host that works for it:\n  troupe keys node b   # at the head; take b.key there\n"
      "  trouped --join head:7734 --key b.key &\n"
      "The same as a file, for trouped --config FILE:\n"
      "  [head]                        # home, server, listen, listen_nodes, keys, slots,\n"
      "  listen = \"0.0.0.0:7733\"       # allow_paths = [\"/data\"],\n"
      "                                # trusted_verifiers = [\"NAME=PROGRAM\"]\n"
      "  [join]                        # head, key, home, address, shared_home, slots\n"
      "  head = \"head:7734\"\n  key = \"b.key\"");
  program.add_option("--config", settings.config,
                     "TOML file with a table [head] or [join] and a key for each of these flags, "
                     "which win over it; with both tables --head or --join says which counts");
  program.add_flag("--head", settings.is_head,
                   "This host is the head of a cluster, as it is without --join");
  program.add_option("--home", settings.home, "Folder of the store and of the jobs").show_default();
  add_door_folder_option(program, settings.server);
  program.add_option("--listen", settings.listen,
                     "ADDR:PORT for users of other hosts, who have keys: "
                     "0.0.0.0 is all addresses, port 0 any that is free");
  program.add_option("--listen-nodes", settings.listen_nodes,
                     "ADDR:PORT for hosts that join; default: the port behind that of --listen");
  program.add_option("--keys", settings.keys,
                     "The keys of those who may come in there, made with troupe keys; default "
                     "$XDG_CONFIG_HOME/troupe/keys or ~/.config/troupe/keys");
  program
      .add_option("--allow-path", settings.allowed_paths,
                  "A folder of this host: users of other hosts may name what lies below it, as "
                  "data or as a model. Their own files travel with their jobs")
      .may_repeat();
  add_dashboard_option(program, settings.dashboard);
  program.add_option("--join", settings.join,
                     "HOST:PORT of a head's nodes: this host works for it, and has no jobs");
  program.add_option("--key", settings.key, "This node's key, from troupe keys node NAME");
  program.add_option("--address", settings.address,
                     "Under which other hosts reach this one; default: as the head sees it");
  program.add_option("--shared-home", settings.shared_home,
                     "The head's --home, where this host has it too, under the same path: then "
                     "jobs' files are not moved, and points have one copy, there. It is tried when "
                     "this host joins");
  program.add_option("--slots", settings.slots,
                     "Workers with a device that this host takes at a time; default: its cores; 0 "
                     "is for a head that leaves all work to the hosts that join it");
  add_trusted_verifier_option(program, settings.trusted_verifiers);
  return program.read(argc, argv);
}

// A file is laid over the defaults, and flags over both.
Result<DaemonSettings> with_file(const DaemonSettings& defaults, const DaemonSettings& flags) {
  DaemonSettings settings = defaults;
  settings.is_head = flags.is_head;
  settings.join = flags.join;
  if (Status read = load_daemon_file(flags.config, settings); !read) return read.error();
  return settings;
}

Status run(const DaemonSettings& settings) {
  if (settings.slots > kHostSlotsMax) {
    return invalid_argument(fmt::format("--slots {}: at most {}", *settings.slots, kHostSlotsMax));
  }
  if (settings.is_head && !settings.join.empty()) {
    return invalid_argument("--head and --join exclude each other: a host is one of the two");
  }
  auto service = std::make_shared<ServiceNotice>(ServiceNotice::from_environment());
  return settings.join.empty() ? serve(settings, std::move(service))
                               : join(settings, std::move(service));
}

}  // namespace

int run_trouped(int argc, char** argv) {
  const DaemonSettings defaults{.home = default_home(), .keys = default_keys_folder()};
  DaemonSettings settings = defaults;
  if (const auto ended = read_flags(argc, argv, settings)) return *ended;
  Status done = ok();
  if (!settings.config.empty()) {
    auto filed = with_file(defaults, settings);
    if (filed) {
      settings = std::move(*filed);
      if (const auto ended = read_flags(argc, argv, settings)) return *ended;
    } else {
      done = filed.error();
    }
  }
  if (done) done = run(settings);
  if (done) return 0;
  std::fprintf(stderr, "trouped: %s\n", done.error().message.c_str());
  return exit_code(done.error());
}

}  // namespace troupe::cluster
