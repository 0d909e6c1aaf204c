#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/cli/command.h"
#include "cluster/cli/door.h"
#include "cluster/cli/interrupt.h"
#include "cluster/monitor/run_view.h"
#include "cluster/monitor/top_page.h"

namespace troupe::cluster {
namespace {

constexpr std::chrono::milliseconds kRefresh{500};

// The running job, as far as its feed tells.
struct Followed {
  explicit Followed(FrontDoorClient& client, uint64_t job)
      : id(job), reader(clock, sink), follower(client, reader, job) {}

  uint64_t id;
  FeedClock clock{};
  StateSink sink{[this] { return clock.now(); }};
  FeedReader reader;
  JobFollower follower;
};

std::optional<uint64_t> running_job(const std::vector<JobSummary>& jobs) {
  const auto found = std::find_if(jobs.begin(), jobs.end(), [](const JobSummary& job) {
    return job.state == JobState::kRunning;
  });
  return found == jobs.end() ? std::nullopt : std::optional(found->id);
}

Status show_live(FrontDoorClient& client) {
  PageWriter writer(stdout, {.has_colours = has_colours()});
  std::vector<JobSummary> jobs;
  std::unique_ptr<Followed> followed;
  while (!is_interrupted()) {
    // A daemon that is away for a moment is no reason to leave the page.
    std::string message;
    if (auto listed = list_jobs(client)) {
      jobs = without_own_name(std::move(*listed), client);
      const auto running = running_job(jobs);
      if (!running) {
        followed.reset();
      } else if (!followed || followed->id != *running) {
        followed = std::make_unique<Followed>(client, *running);
        if (auto begun = followed->follower.begin(); !begun) message = begun.error().message;
      }
    } else {
      message = listed.error().message;
    }
    const ViewSize size = terminal_size(stdout);
    writer.draw(render_top(jobs, followed ? &followed->sink.state() : nullptr, message,
                           {size.columns, size.rows - 1}, followed ? followed->clock.now() : 0),
                size);
    if (!followed || followed->reader.has_ended()) {
      pause_for(kRefresh);
    } else if (auto heard = followed->follower.follow(kRefresh); !heard) {
      pause_for(kRefresh);
    }
  }
  return ok();
}

Status top(const ServerChoice& server) {
  const bool is_live = can_redraw(stdout);
  if (is_live) watch_for_interrupts();
  auto client = connect_to(server);
  if (!client) return client.error();
  if (is_live) return show_live(**client);
  const auto jobs = list_jobs(**client);
  if (!jobs) return jobs.error();
  for (const std::string& line : job_table(without_own_name(*jobs, **client)))
    std::printf("%s\n", line.c_str());
  return ok();
}

}  // namespace

void add_top(Command& program, int& exit_code) {
  Command command = program.add_command("top", "Watch the whole cluster");
  command.footer(
      "The jobs, and the page of the one that runs. Ctrl-C leaves it. Once, as plain lines, when\n"
      "standard output is no terminal.\n"
      "Example:\n  troupe top");
  auto server = std::make_shared<ServerChoice>();
  add_server_options(command, *server);
  command.callback([server, &exit_code] {
    const Status done = top(*server);
    exit_code = done ? 0 : report("top", done.error());
  });
}

}  // namespace troupe::cluster
