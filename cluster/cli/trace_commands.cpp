// `troupe trace` and `troupe export-traces`: what a run did and wrote, for other programs.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "cluster/cli/command.h"
#include "cluster/cli/door.h"
#include "cluster/formats/chrome_trace.h"
#include "cluster/formats/rollout_lines.h"

namespace troupe::cluster {
namespace {

struct TraceCommand {
  std::string run{};
  std::string out{};
  ServerChoice server{};
  RolloutFilter filter{};
};

// A folder that is there, or the home of a job that a daemon has.
Result<std::string> home_of(const TraceCommand& command) {
  std::error_code ignored;
  if (std::filesystem::is_directory(command.run, ignored)) return command.run;
  if (command.run.empty() || command.run.find_first_not_of("0123456789") != std::string::npos ||
      command.run.size() > 18) {
    return invalid_argument(command.run + ": is no folder, and no number of a job");
  }
  auto client = connect_to(command.server);
  if (!client) return client.error();
  const auto job = show_job(**client, std::stoull(command.run));
  if (!job) return job.error();
  if (!std::filesystem::is_directory(job->home, ignored)) {
    return invalid_argument(
        fmt::format("job {}: its home {} is on the head's host; ask there, or on the dashboard",
                    command.run, job->home));
  }
  return job->home;
}

// A file that is whole or not there, or standard output.
class Output {
 public:
  explicit Output(const std::string& path)
      : path_(path), file_(path.empty() ? stdout : std::fopen(unfinished().c_str(), "w")) {}
  ~Output() {
    if (path_.empty() || file_ == nullptr) return;
    std::fclose(file_);
    std::remove(unfinished().c_str());
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  bool is_open() const { return file_ != nullptr; }
  void write(std::string_view text) {
    is_well_ = std::fwrite(text.data(), 1, text.size(), file_) == text.size() && is_well_;
  }
  Status end() {
    if (path_.empty()) return ok();  // Its end is looked at for all commands.
    is_well_ = std::fclose(std::exchange(file_, nullptr)) == 0 && is_well_;
    if (is_well_ && std::rename(unfinished().c_str(), path_.c_str()) == 0) return ok();
    std::remove(unfinished().c_str());
    return invalid_argument(path_ + ": cannot be written; is there room?");
  }

 private:
  std::string unfinished() const { return path_ + ".unfinished"; }

  const std::string path_;
  std::FILE* file_;
  bool is_well_ = true;
};

Status with_output(const TraceCommand& command,
                   const std::function<Status(const std::string& home, Output& out)>& write) {
  const auto home = home_of(command);
  if (!home) return home.error();
  Output out(command.out);
  if (!out.is_open()) return invalid_argument(command.out + ": cannot be written");
  if (Status written = write(*home, out); !written) return written.error();
  return out.end();
}

Status run_trace(const TraceCommand& command) {
  return with_output(command, [](const std::string& home, Output& out) {
    return write_chrome_trace(home, [&out](std::string_view text) { out.write(text); });
  });
}

Status run_export_traces(const TraceCommand& command) {
  return with_output(command, [&command](const std::string& home, Output& out) -> Status {
    const auto count = write_rollout_lines(home, command.filter,
                                           [&out](std::string_view text) { out.write(text); });
    if (!count) return count.error();
    fmt::print(stderr, "{} responses\n", *count);
    return ok();
  });
}

void add_common(Command& command, TraceCommand& state) {
  command.add_option("run", state.run, "Home of a run, or the number of a job at the daemon")
      .required();
  command.add_option("--out", state.out, "File to write; default: standard output");
  add_server_options(command, state.server);
}

}  // namespace

void add_trace(Command& program, int& exit_code) {
  Command command = program.add_command("trace", "Who did what when, for ui.perfetto.dev");
  command.footer("Example:\n  troupe trace runs/quickstart --out trace.json");
  auto state = std::make_shared<TraceCommand>();
  add_common(command, *state);
  command.callback([state, &exit_code] {
    const Status status = run_trace(*state);
    exit_code = status ? 0 : report("trace", status.error());
  });
}

void add_export_traces(Command& program, int& exit_code) {
  Command command = program.add_command("export-traces", "Responses with rewards, as JSON lines");
  command.footer(
      "A line for each response that was kept (resources.traces_kept_mib): input, output, gts,\n"
      "score and step as in verl's rollout files, and round, group, sample, tokens, is_cut,\n"
      "rewards/NAME, verdicts/NAME.\n"
      "Example, for rejection sampling:\n"
      "  troupe export-traces runs/quickstart --min-reward 1 --whole --out right.jsonl");
  auto state = std::make_shared<TraceCommand>();
  add_common(command, *state);
  command.add_option("--min-reward", state->filter.reward_min, "Only rewards from this on");
  command.add_option("--max-reward", state->filter.reward_max, "Only rewards up to this");
  command.add_option("--from-round", state->filter.round_min, "Only rounds from this on");
  command.add_option("--to-round", state->filter.round_max, "Only rounds up to this");
  command.add_flag("--whole", state->filter.is_whole, "Without responses that were cut");
  command.callback([state, &exit_code] {
    const Status status = run_export_traces(*state);
    exit_code = status ? 0 : report("export-traces", status.error());
  });
}

}  // namespace troupe::cluster
