// `troupe doctor`: what this machine can promise, tried and not assumed.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "actors/verifier/sandbox/box.h"
#include "cluster/cli/command.h"
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
      program.add_command("doctor", "Try what this machine needs to run untrusted programs");
  command.footer(
      "Exit codes: 0 everything needed is there, 1 something is missing.\n\n"
      "Example:\n  troupe doctor --json");
  auto is_json = std::make_shared<bool>(false);
  command.add_flag("--json", *is_json, "One JSON object instead of a table");
  command.callback([is_json, &exit_code] {
    const actors::BoxSupport support = actors::probe_box_support();
    if (*is_json) {
      print_json(support);
    } else {
      print_table(support);
    }
    exit_code = support.level == actors::BoxLevel::kFull ? 0 : 1;
  });
}

}  // namespace troupe::cluster
