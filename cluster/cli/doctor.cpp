// `troupe doctor`: what this machine, or each host of a cluster, can promise, tried and not
// assumed.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "actors/verifier/sandbox/box.h"
#include "cluster/cli/command.h"
#include "cluster/cli/doctor_cluster.h"
#include "cluster/cli/door.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

void print_json(const actors::BoxSupport& support) {
  auto findings = nlohmann::ordered_json::array();
  for (const auto& finding : support.findings) {
    findings.push_back(
        {{"part", finding.part}, {"is_there", finding.is_there}, {"detail", finding.detail}});
  }
  const nlohmann::ordered_json all = {{"box_level", actors::name(support.level)},
                                      {"findings", findings}};
  // A path in a detail may hold any byte.
  std::puts(to_text(all, {.indent = 2, .replaces_invalid = true}).c_str());
}

void print_table(const actors::BoxSupport& support) {
  std::printf("Boxes for programs that nobody trusts (code rewards, command rewards):\n");
  for (const auto& finding : support.findings) {
    std::printf("  %-7s %-14s %s\n", finding.is_there ? "ok" : "MISSING", finding.part.c_str(),
                finding.detail.c_str());
  }
  std::printf("Level: %s\n", actors::name(support.level));
  if (support.level != actors::BoxLevel::kFull) {
    std::printf("Jobs that need level full are refused here until the missing parts are there.\n");
  }
}

}  // namespace

void add_doctor(Command& program, int& exit_code) {
  Command command =
      program.add_command("doctor",
                          "Try what this machine needs to run untrusted programs, or how "
                          "the hosts of a cluster are");
  command.footer(
      "With --cluster the head asks each host, tries the link to it (4 MiB each way) and times a\n"
      "product on one of its cores. Hosts are compared with the median where there are three or\n"
      "more. Of operators only.\n"
      "Exit codes: 0 everything needed is there, 1 something is missing or a host is not well.\n\n"
      "Example:\n  troupe doctor --json\n  troupe doctor --cluster --server lab");
  struct DoctorCommand {
    bool is_json = false;
    bool is_cluster = false;
    ServerChoice server{};
  };
  auto state = std::make_shared<DoctorCommand>();
  command.add_flag("--cluster", state->is_cluster, "The hosts of a daemon's cluster");
  add_server_options(command, state->server);
  command.add_flag("--json", state->is_json, "One JSON object instead of a table");
  command.callback([state, &exit_code] {
    if (state->is_cluster) {
      const Status well = examine_cluster(state->server, state->is_json);
      exit_code = well ? 0 : report("doctor", well.error());
      return;
    }
    const actors::BoxSupport support = actors::probe_box_support();
    if (state->is_json) {
      print_json(support);
    } else {
      print_table(support);
    }
    exit_code = support.level == actors::BoxLevel::kFull ? 0 : 1;
  });
}

}  // namespace troupe::cluster
