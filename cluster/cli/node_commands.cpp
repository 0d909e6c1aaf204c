// The commands about the hosts of a cluster.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>

#include "cluster/cli/command.h"
#include "cluster/cli/door.h"
#include "cluster/monitor/text.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

struct NodeCommand {
  std::string host{};
  ServerChoice server{};
  bool is_json = false;
};

std::string tenant_text(const HostTenant& tenant) {
  std::string text = fmt::format("job {}:", tenant.job);
  std::string before = " ";
  const auto part = [&](uint32_t number, const char* what) {
    if (number == 0) return;
    text += fmt::format("{}{} {}", before, number, what);
    before = ", ";
  };
  part(tenant.learner, "learner");
  part(tenant.rollout - tenant.lent, "rollout");
  part(tenant.lent, "lent rollout");
  part(tenant.verifier, "verifier");
  return text;
}

void print_hosts(const std::vector<HostSummary>& hosts, bool is_json) {
  if (is_json) {
    auto list = nlohmann::ordered_json::array();
    for (const HostSummary& host : hosts) {
      auto tenants = nlohmann::ordered_json::array();
      for (const HostTenant& one : host.tenants) {
        tenants.push_back({{"job", one.job},
                           {"learner", one.learner},
                           {"rollout", one.rollout},
                           {"lent", one.lent},
                           {"verifier", one.verifier}});
      }
      list.push_back({{"name", host.name},
                      {"state", host.state},
                      {"away_seconds", host.away_seconds},
                      {"slots", host.slots},
                      {"used", host.used},
                      {"lent", host.lent},
                      {"elastic", host.is_elastic},
                      {"disk_free_bytes", host.disk_free_bytes},
                      {"tenants", std::move(tenants)}});
    }
    std::printf("%s\n", to_text(list, {.replaces_invalid = true}).c_str());
    return;
  }
  std::printf("%-16s %-14s %5s %5s %5s %10s  %s\n", "HOST", "STATE", "SLOTS", "USED", "LENT",
              "DISK FREE", "WORKS FOR");
  for (const HostSummary& host : hosts) {
    std::string state = host.state;
    if (host.away_seconds > 0) state += fmt::format(" {:.0f} s", host.away_seconds);
    std::string works;
    for (const HostTenant& one : host.tenants) {
      works += (works.empty() ? "" : "; ") + tenant_text(one);
    }
    std::printf("%-16s %-14s %5u %5u %5u %10s  %s\n", printable(host.name).c_str(),
                printable(state).c_str(), host.slots, host.used, host.lent,
                byte_count(host.disk_free_bytes).c_str(), works.c_str());
  }
}

Status ask_about_hosts(const NodeCommand& command, ControlRequest request) {
  auto client = connect_to(command.server);
  if (!client) return client.error();
  const auto reply = (*client)->ask(std::move(request));
  if (!reply) return reply.error();
  print_hosts(reply->hosts, command.is_json);
  return ok();
}

template <class Request>
void add_host_change(Command& program, int& exit_code, const std::string& verb, const char* what,
                     const char* more) {
  Command command = program.add_command(verb, what);
  command.footer(fmt::format("{}\nExample:\n  troupe {} b", more, verb));
  auto state = std::make_shared<NodeCommand>();
  command.add_option("host", state->host, "The host's name, as troupe nodes prints it").required();
  add_server_options(command, state->server);
  command.add_flag("--json", state->is_json, "The host as a JSON array of one");
  command.callback([state, verb, &exit_code] {
    const Status done = ask_about_hosts(*state, Request{state->host});
    exit_code = done ? 0 : report(verb, done.error());
  });
}

}  // namespace

void add_nodes(Command& program, int& exit_code) {
  Command command = program.add_command("nodes", "List the hosts and what runs on each");
  command.footer(
      "A slot is a device, or a core, that one worker has. What is lent is taken back when a job "
      "waits for it.\nExample:\n  troupe nodes\n  troupe nodes --json");
  auto state = std::make_shared<NodeCommand>();
  add_server_options(command, state->server);
  command.add_flag("--json", state->is_json, "A JSON array of the hosts");
  command.callback([state, &exit_code] {
    const Status done = ask_about_hosts(*state, ListHosts{});
    exit_code = done ? 0 : report("nodes", done.error());
  });
}

void add_node_changes(Command& program, int& exit_code) {
  add_host_change<DrainHost>(
      program, exit_code, "drain", "Let what runs on a host go elsewhere",
      "Nothing new goes there. Jobs whose learner is there stop at their next step and begin again "
      "elsewhere, with the same history.");
  add_host_change<UndrainHost>(program, exit_code, "undrain", "Use a drained host again",
                               "Jobs that wait may begin there at once.");
}

}  // namespace troupe::cluster
