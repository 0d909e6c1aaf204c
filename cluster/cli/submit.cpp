#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "actors/job/prepared_job.h"
#include "cluster/cli/command.h"
#include "cluster/cli/door.h"
#include "cluster/gateway/content_sender.h"
#include "cluster/jobs/job_file.h"
#include "cluster/monitor/text.h"
#include "kernels/cpu/cpu_backend.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

struct SubmitCommand {
  std::string job{};
  ServerChoice server{};
  std::string request_id{};
  std::vector<std::string> overrides{};
  bool is_json = false;
};

// A name that no other submit has.
Result<std::string> random_request_id() {
  std::array<uint64_t, 2> bits{};
  if (::getrandom(bits.data(), sizeof(bits), 0) != static_cast<ssize_t>(sizeof(bits))) {
    return Error{ErrorCode::kInternal, "the system has no random numbers; give --request-id"};
  }
  return fmt::format("{:016x}{:016x}", bits[0], bits[1]);
}

// What is wrong with its data or its policy is said here and now, not when its turn comes.
Status check_files(const JobSpec& job) {
  auto backend = kernels::cpu_backend();
  if (!backend) return backend.error();
  // Which programs are trusted there, only the daemon knows.
  const auto prepared = actors::prepare_job(**backend, job, std::nullopt);
  return prepared ? ok() : Status(prepared.error());
}

Result<JobToSend> load_here(const std::string& path, const std::vector<std::string>& overrides) {
  auto job = load_job(path, overrides);
  if (!job) return job.error();
  return JobToSend{.job = std::move(*job)};
}

Result<JobSummary> submit(const SubmitCommand& command) {
  const auto server = find_server(command.server);
  if (!server) return server.error();
  const bool is_elsewhere = server->network.has_value();
  auto read = is_elsewhere ? load_job_to_send(command.job, command.overrides)
                           : load_here(command.job, command.overrides);
  if (!read) return read.error();
  const JobSpec& job = read->job;
  std::string request_id = command.request_id;
  if (request_id.empty()) {
    auto made = random_request_id();
    if (!made) return made.error();
    request_id = *made;
  }
  if (request_id.size() > kRequestIdBytesMax) {
    return invalid_argument(fmt::format("--request-id has {} bytes and may have {}",
                                        request_id.size(), kRequestIdBytesMax));
  }
  auto client = FrontDoorClient::connect(*server);
  if (!client) return client.error();
  // Of another host's files nothing can be said here.
  if (Status checked = is_elsewhere ? ok() : check_files(job); !checked) return checked.error();
  if (is_elsewhere) {
    const auto sent = send_content(**client, read->files);
    if (!sent) return sent.error();
    if (!read->files.empty()) {
      std::fprintf(stderr, "troupe submit: sent %zu of %zu files of this host, %s\n", sent->files,
                   read->files.size(), byte_count(sent->bytes).c_str());
    }
  }
  auto submitted = only_job((*client)->ask(SubmitJob{request_id, job}));
  if (!submitted && submitted.error().code == ErrorCode::kUnknownOutcome) {
    return Error{ErrorCode::kUnknownOutcome, fmt::format("{}; the same job, once: --request-id {}",
                                                         submitted.error().message, request_id)};
  }
  return submitted;
}

}  // namespace

void add_submit(Command& program, int& exit_code) {
  Command command = program.add_command("submit", "Give a job to the daemon");
  command.footer(
      "Prints the job's id once the job is durable. The same request id is the same job, however\n"
      "often it is sent. To a daemon of another host: paths that begin with / are that host's, "
      "where\nits operator allows them; relative ones are files of this host, which are sent along "
      "unless\nthe daemon has them.\n"
      "Example:\n  troupe submit job.toml --set grpo.steps=100\n  troupe watch 1\n"
      "  troupe submit job.toml --server head:7070 --key alice.key");
  auto state = std::make_shared<SubmitCommand>();
  command.add_option("job", state->job, "The job file").required();
  add_server_options(command, state->server);
  command.add_option("--set", state->overrides, "table.key=value, over what the file says")
      .may_repeat();
  command.add_option("--request-id", state->request_id, "Name of this submit; default: random");
  command.add_flag("--json", state->is_json, "The job as one JSON object");
  command.callback([state, &exit_code] {
    const auto job = submit(*state);
    if (!job) {
      exit_code = report("submit", job.error());
      return;
    }
    if (state->is_json) {
      std::printf("%s\n", to_text(to_json(*job), {.replaces_invalid = true}).c_str());
    } else {
      std::printf("%llu\n", static_cast<unsigned long long>(job->id));
    }
    exit_code = 0;
  });
}

}  // namespace troupe::cluster
