#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "actors/worker/worker.h"
#include "cluster/cli/command.h"
#include "cluster/daemon/lifeline.h"
#include "cluster/daemon/process_host.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/device_backend.h"

namespace troupe::cluster {
namespace {

Status work(actors::WorkerOptions options, const std::string& device) {
  const auto lifeline = lifeline_from_environment();
  const char* token = std::getenv(kTokenVariable);
  if (!lifeline || token == nullptr) {
    return invalid_argument("workers are started by a head; use: troupe run JOB.toml");
  }
  HeadWatch head(*lifeline, options.credentials_folder);
  options.token = token;
  options.lease_taken = [&head](std::chrono::seconds patience) { head.settle(patience); };
  options.next_head = [&head] { return head.next_head(); };
  auto cpu = kernels::cpu_backend();
  if (!cpu) return cpu.error();
  auto chosen = kernels::device_backend(device, **cpu);
  if (!chosen) return chosen.error();
  if (!chosen->note.empty()) std::fprintf(stderr, "worker: %s\n", chosen->note.c_str());
  return actors::run_worker(*chosen->backend, options);
}

}  // namespace

void add_worker(Command& program, int& exit_code) {
  Command command = program.add_command("worker", "Plays roles for a head");
  command.hide();
  command.footer("Example:\n  troupe run job.toml   # starts its own workers");
  auto options = std::make_shared<actors::WorkerOptions>();
  auto device = std::make_shared<std::string>("cpu");
  command.add_option("--job", options->job).required();
  command.add_option("--slot", options->slot).required();
  command.add_option("--port", options->port).required();
  command.add_option("--credentials", options->credentials_folder).required();
  command.add_option("--device", *device);
  command.callback([options, device, &exit_code] {
    const Status ended = work(*options, *device);
    exit_code = ended ? 0 : report("worker", ended.error());
  });
}

}  // namespace troupe::cluster
