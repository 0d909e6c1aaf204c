#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>

#include "cluster/cli/command.h"
#include "cluster/cli/door.h"
#include "cluster/cli/interrupt.h"
#include "cluster/cli/number_checks.h"
#include "cluster/monitor/run_view.h"
#include "cluster/monitor/text.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

constexpr std::chrono::milliseconds kStatePeriod{1'000};

struct WatchCommand {
  uint64_t id = 0;
  ServerChoice server{};
  bool is_json = false;
};

bool is_over(JobState state) { return is_terminal(state) || state == JobState::kPaused; }

// The job as it ended or was stopped.
Result<JobSummary> watch(const WatchCommand& command) {
  watch_for_interrupts();
  auto client = connect_to(command.server);
  if (!client) return client.error();
  auto job = show_job(**client, command.id);
  if (!job) return job.error();

  FeedClock clock;
  const auto view = make_view(command.is_json ? stderr : stdout, [&clock] { return clock.now(); });
  FeedReader reader(clock, *view);
  JobFollower follower(**client, reader, command.id);
  if (auto begun = follower.begin(); !begun) return begun.error();
  bool was_told_to_wait = false;
  while (!is_over(job->state)) {
    if (job->state == JobState::kQueued && !was_told_to_wait) {
      view->progressed("queued", 0, 0);
      was_told_to_wait = true;
    }
    if (auto followed = follower.follow(kStatePeriod); !followed) return followed.error();
    if (is_interrupted()) {
      return Error{ErrorCode::kStopped,
                   fmt::format("no longer watching; job {} goes on", command.id)};
    }
    // The run's last event comes before the job's state says so.
    if (reader.has_ended()) pause_for(std::chrono::milliseconds{100});
    job = show_job(**client, command.id);
    if (!job) return job.error();
  }
  // What was told between the last look and the end.
  if (!reader.has_ended()) {
    if (auto caught_up = follower.begin(); !caught_up) return caught_up.error();
  }
  return job;
}

int exit_code_of(JobState state) {
  return state == JobState::kFinished ? 0 : state == JobState::kFailed ? 1 : 3;
}

}  // namespace

void add_watch(Command& program, int& exit_code) {
  Command command = program.add_command("watch", "Watch a job as it runs");
  command.footer(
      "The page that troupe run shows, of a job at the daemon, from its beginning. Ctrl-C stops\n"
      "the watching and not the job. Exit code 0 when the job finished, 1 when it failed, 3 when\n"
      "it was cancelled or paused.\n"
      "Example:\n  troupe watch 1");
  auto state = std::make_shared<WatchCommand>();
  command.add_option("id", state->id, "The job's id, as troupe jobs prints it")
      .required()
      .check(check_whole_number);
  add_server_options(command, state->server);
  command.add_flag("--json", state->is_json, "The job as one JSON object at the end");
  command.callback([state, &exit_code] {
    const auto job = watch(*state);
    if (!job) {
      exit_code = report("watch", job.error());
      return;
    }
    if (state->is_json) {
      std::printf("%s\n", to_text(to_json(*job), {.replaces_invalid = true}).c_str());
    }
    exit_code = exit_code_of(job->state);
    if (exit_code == 0) return;
    const std::string why = job->message.empty() ? "" : ": " + printable(job->message);
    std::fprintf(stderr, "troupe watch: job %llu is %s%s\n",
                 static_cast<unsigned long long>(job->id), name(job->state), why.c_str());
  });
}

}  // namespace troupe::cluster
