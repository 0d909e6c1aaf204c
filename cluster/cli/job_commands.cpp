// The commands that ask the daemon about a job, or to change one, and print the answer.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>

#include "cluster/cli/command.h"
#include "cluster/cli/door.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/number_checks.h"
#include "cluster/monitor/text.h"
#include "cluster/monitor/top_page.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

constexpr std::chrono::milliseconds kLogPeriod{500};

struct JobCommand {
  uint64_t id = 0;
  ServerChoice server{};
  bool is_json = false;
  bool is_following = false;
};

std::shared_ptr<JobCommand> add_job_options(Command& command) {
  auto state = std::make_shared<JobCommand>();
  command.add_option("id", state->id, "The job's id, as troupe jobs prints it")
      .required()
      .check(check_whole_number);
  add_server_options(command, state->server);
  return state;
}

void print_json(const nlohmann::ordered_json& json) {
  std::printf("%s\n", to_text(json, {.replaces_invalid = true}).c_str());
}

Status print_jobs(const JobCommand& command) {
  auto client = connect_to(command.server);
  if (!client) return client.error();
  const auto jobs = list_jobs(**client);
  if (!jobs) return jobs.error();
  if (command.is_json) {
    auto list = nlohmann::ordered_json::array();
    for (const JobSummary& job : *jobs) list.push_back(to_json(job));
    print_json(list);
    return ok();
  }
  for (const std::string& line :
       job_table(sorted(without_own_name(*jobs, **client), JobOrder::kState))) {
    std::printf("%s\n", line.c_str());
  }
  return ok();
}

void print_job(const JobSummary& job) {
  const auto row = [](const char* what, const std::string& text) {
    if (!text.empty()) std::printf("%-8s %s\n", what, printable(text).c_str());
  };
  row("id", std::to_string(job.id));
  row("name", job.name);
  row("owner", job.owner);
  row("state", name(job.state));
  row("message", job.message);
  row("steps", fmt::format("{}/{}", job.steps_done, job.steps_total));
  row("cost", fmt::format("{:.4f}", job.money));
  row("home", job.home);
  row("weights", job.weights_sha256);
}

// `request` about one job, whose summary is then printed.
template <class Request>
Status ask_about(const JobCommand& command) {
  auto client = connect_to(command.server);
  if (!client) return client.error();
  const auto job = only_job((*client)->ask(Request{command.id}));
  if (!job) return job.error();
  if (command.is_json) {
    print_json(to_json(*job));
  } else {
    print_job(*job);
  }
  return ok();
}

Status print_logs(const JobCommand& command) {
  if (command.is_following) watch_for_interrupts();
  auto client = connect_to(command.server);
  if (!client) return client.error();
  for (uint64_t first_line = 0;;) {
    // Asked before the lines: what a job writes at its end is there when it is over.
    bool is_over = !command.is_following;
    if (command.is_following) {
      const auto job = show_job(**client, command.id);
      if (!job) return job.error();
      is_over = is_terminal(job->state);
    }
    auto reply = (*client)->ask(JobLogs{command.id, first_line});
    if (!reply) return reply.error();
    for (const std::string& line : reply->lines) {
      if (command.is_json) {
        print_json({{"line", line}});
      } else {
        std::printf("%s\n", printable(line).c_str());
      }
    }
    std::fflush(stdout);
    if (is_interrupted()) return stopped();
    if (!reply->lines.empty() && reply->next > first_line) {
      first_line = reply->next;
      continue;
    }
    if (is_over) return ok();
    pause_for(kLogPeriod);
    if (is_interrupted()) return stopped();
  }
}

Status print_why(const JobCommand& command) {
  auto client = connect_to(command.server);
  if (!client) return client.error();
  const auto reply = (*client)->ask(WhyJob{command.id});
  if (!reply) return reply.error();
  for (const std::string& line : reply->lines) {
    if (command.is_json) {
      print_json({{"why", line}});
    } else {
      std::printf("%s\n", printable(line).c_str());
    }
  }
  return ok();
}

template <class Request>
void add_change(Command& program, int& exit_code, const std::string& verb, const char* what,
                const char* more) {
  Command command = program.add_command(verb, what);
  command.footer(fmt::format("{}\nExample:\n  troupe {} 1", more, verb));
  auto state = add_job_options(command);
  command.add_flag("--json", state->is_json, "The job as one JSON object");
  command.callback([state, verb, &exit_code] {
    const Status done = ask_about<Request>(*state);
    exit_code = done ? 0 : report(verb, done.error());
  });
}

}  // namespace

void add_jobs(Command& program, int& exit_code) {
  Command command = program.add_command("jobs", "List the daemon's jobs");
  command.footer("Example:\n  troupe jobs\n  troupe jobs --json");
  auto state = std::make_shared<JobCommand>();
  add_server_options(command, state->server);
  command.add_flag("--json", state->is_json, "A JSON array of the jobs");
  command.callback([state, &exit_code] {
    const Status done = print_jobs(*state);
    exit_code = done ? 0 : report("jobs", done.error());
  });
}

void add_why(Command& program, int& exit_code) {
  Command command = program.add_command("why", "Say where a job runs, or why it waits");
  command.footer("Example:\n  troupe why 1");
  auto state = add_job_options(command);
  command.add_flag("--json", state->is_json, "A JSON object");
  command.callback([state, &exit_code] {
    const Status done = print_why(*state);
    exit_code = done ? 0 : report("why", done.error());
  });
}

void add_logs(Command& program, int& exit_code) {
  Command command = program.add_command("logs", "Print a job's log");
  command.footer("Example:\n  troupe logs 1 --follow");
  auto state = add_job_options(command);
  command.add_flag("--follow", state->is_following, "Go on until the job is over");
  command.add_flag("--json", state->is_json, "A JSON object per line");
  command.callback([state, &exit_code] {
    const Status done = print_logs(*state);
    exit_code = done ? 0 : report("logs", done.error());
  });
}

void add_job_changes(Command& program, int& exit_code) {
  add_change<ShowJob>(program, exit_code, "show", "Show one job",
                      "Its state, how far it is, what it cost and where its files are.");
  add_change<CancelJob>(program, exit_code, "cancel", "End a job for good",
                        "It stops at its next clean point; its files stay.");
  add_change<PauseJob>(program, exit_code, "pause", "Stop a job so that it can go on later",
                       "It stops at its next step and gives its workers back.");
  add_change<ResumeJob>(program, exit_code, "resume", "Let a paused job go on",
                        "It ends in the same weights as if it had never been paused.");
}

}  // namespace troupe::cluster
