// The program: every command of command.h, and the daemon's name for it.
#include <csignal>
#include <cstdio>
#include <exception>
#include <string_view>

#include <fmt/format.h>

#include "cluster/cli/command.h"
#include "cluster/nodes/inventory.h"
#include "kernels/cpu/cpu_backend.h"

namespace troupe::cluster {
namespace {

bool is_daemon_name(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0.
  return name.size() >= 7 && name.substr(name.size() - 7) == "trouped";
}

int run_command(int argc, char** argv) {
  Program program("Troupe trains reasoning language models by reinforcement learning.", "troupe");
  program.footer(
      "Example:\n  troupe quickstart\n\n"
      "Exit codes: 0 done, 1 failed, 2 wrong input or usage, 3 stopped by the user.");
  program.version([] {
    const auto build = build_of_program();
    const auto backend = kernels::cpu_backend();
    return fmt::format("troupe {}, build {}, arithmetic {} by {}", TROUPE_VERSION,
                       build ? *build : "unknown", backend ? (*backend)->arithmetic_id : "none",
                       backend ? (*backend)->name : "nothing");
  });
  int code = 0;
  add_quickstart(program, code);
  add_run(program, code);
  add_init(program, code);
  add_make_data(program, code);
  add_eval(program, code);
  add_generate(program, code);
  add_score(program, code);
  add_export(program, code);
  add_trace(program, code);
  add_export_traces(program, code);
  add_bench(program, code);
  add_verify(program, code);
  add_doctor(program, code);
  add_keys(program, code);
  add_deploy(program, code);
  add_alive(program, code);
  add_worker(program, code);
  add_submit(program, code);
  add_jobs(program, code);
  add_job_changes(program, code);
  add_why(program, code);
  add_logs(program, code);
  add_watch(program, code);
  add_top(program, code);
  add_nodes(program, code);
  add_node_changes(program, code);
  add_completion(program, program, code);
  add_man(program, program, code);
  if (const auto ended = program.read(argc, argv)) {
    if (*ended != 0) return *ended;
    const Status written = flush_output();
    return written ? 0 : report("--help", written.error());
  }
  if (program.chosen_command().empty()) {
    std::fputs(program.help().c_str(), stderr);
    return 2;
  }
  // Results that did not arrive are no results.
  if (const Status written = flush_output(); !written && code == 0) {
    return report(program.chosen_command(), written.error());
  }
  return code;
}

}  // namespace
}  // namespace troupe::cluster

int main(int argc, char** argv) try {
  // Who reads the output may go away: that is an error of the write, not a death without a word.
  std::signal(SIGPIPE, SIG_IGN);
  if (argc > 0 && troupe::cluster::is_daemon_name(argv[0])) {
    return troupe::cluster::run_trouped(argc, argv);
  }
  return troupe::cluster::run_command(argc, argv);
} catch (const std::exception& exception) {
  // Only a library or the device throws, and whoever owns it has not caught it: one line, no core.
  std::fprintf(stderr, "troupe: %s\n", exception.what());
  return 1;
}
