#include "cluster/cli/door.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>
#include <thread>

#include "cluster/cli/interrupt.h"
#include "schemas/control_codec.h"

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

// The daemon samples a running job twice a second: after this the feed has lost something, or the
// daemon was started anew.
constexpr std::chrono::milliseconds kQuiet{2'000};
constexpr std::chrono::milliseconds kLook{100};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string default_door_folder() {
  if (const auto folder = variable("TROUPE_SERVER"); !folder.empty()) return folder;
  if (const auto folder = variable("XDG_RUNTIME_DIR"); !folder.empty()) return folder + "/troupe";
  if (const auto home = variable("HOME"); !home.empty()) {
    return home + "/.local/state/troupe/door";
  }
  return {};
}

void add_server_option(Command& command, std::string& folder) {
  folder = default_door_folder();
  command.add_option("--server", folder,
                     "The daemon's folder; default $TROUPE_SERVER, $XDG_RUNTIME_DIR/troupe or "
                     "~/.local/state/troupe/door");
}

Status check_door_folder(const std::string& folder) {
  if (!folder.empty()) return ok();
  return invalid_argument(
      "where the daemon's folder is cannot be told: TROUPE_SERVER, XDG_RUNTIME_DIR and HOME are "
      "not "
      "set; set one of them, or say --server DIR");
}

Result<std::unique_ptr<FrontDoorClient>> connect_to(const std::string& folder) {
  if (Status known = check_door_folder(folder); !known) return known.error();
  return FrontDoorClient::connect({.folder = folder});
}

Result<std::vector<JobSummary>> list_jobs(FrontDoorClient& client) {
  std::vector<JobSummary> jobs;
  for (uint64_t first_id = 0;;) {
    auto reply = client.ask(ListJobs{first_id});
    if (!reply) return reply.error();
    std::move(reply->jobs.begin(), reply->jobs.end(), std::back_inserter(jobs));
    if (reply->next <= first_id) return jobs;  // 0 when complete.
    first_id = reply->next;
  }
}

Result<JobSummary> only_job(const Result<ControlReply>& reply) {
  if (!reply) return reply.error();
  if (reply->jobs.size() == 1) return reply->jobs.front();
  return Error{ErrorCode::kInternal,
               fmt::format("the daemon answered with {} jobs for one", reply->jobs.size())};
}

Result<JobSummary> show_job(FrontDoorClient& client, uint64_t id) {
  return only_job(client.ask(ShowJob{id}));
}

nlohmann::ordered_json to_json(const JobSummary& job) {
  return {{"id", job.id},
          {"name", job.name},
          {"state", name(job.state)},
          {"message", job.message},
          {"steps_done", job.steps_done},
          {"steps_total", job.steps_total},
          {"home", job.home},
          {"weights_sha256", job.weights_sha256},
          {"money", job.money}};
}

void pause_for(std::chrono::milliseconds duration) {
  const auto until = Clock::now() + duration;
  while (!is_interrupted() && Clock::now() < until) {
    std::this_thread::sleep_for(std::min(kLook, duration));
  }
}

Status JobFollower::begin() {
  // First the feed and then the past, so that nothing falls between the two.
  if (auto subscribed = client_.subscribe(id_); !subscribed) return subscribed.error();
  return catch_up();
}

Status JobFollower::follow(std::chrono::milliseconds duration) {
  const auto until = Clock::now() + duration;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0 || is_interrupted() || reader_.has_ended()) return ok();
    auto event = client_.next_event(std::min(left, kLook));
    if (!event) return event.error();
    if (*event) {
      if ((*event)->job != id_) continue;
      if ((*event)->sequence > reader_.next_sequence()) {
        // The feed has lost what lies between, or had not begun when it was published.
        if (auto caught_up = catch_up(); !caught_up) return caught_up.error();
      }
      if (reader_.apply(**event)) heard_at_ = Clock::now();
    } else if (Clock::now() - heard_at_ > kQuiet) {
      if (auto caught_up = catch_up(); !caught_up) return caught_up.error();
    }
  }
}

Status JobFollower::catch_up() {
  heard_at_ = Clock::now();
  for (uint64_t first = reader_.next_sequence();;) {
    auto reply = client_.ask(WatchJob{id_, first});
    // The next event, or the next quiet moment, asks again.
    if (!reply && reply.error().code == ErrorCode::kOverloaded) return ok();
    if (!reply) return reply.error();
    if (reply->next < first) {
      // The daemon has not come that far: it is another run of it, which numbers anew.
      reader_.restart();
      if (reply->next == 0) return ok();
      first = 1;
      continue;
    }
    for (const auto& bytes : reply->events) {
      auto event = decode_run_event(bytes);
      if (!event) return event.error();
      reader_.apply(*event);
    }
    if (reply->events.empty() || reply->next == first) return ok();
    first = reply->next;
  }
}

}  // namespace troupe::cluster
