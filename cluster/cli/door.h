// What the commands that talk to a daemon share: where it is, how a job is shown and followed.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cluster/cli/command_line.h"
#include "cluster/gateway/front_door_client.h"
#include "cluster/monitor/job_json.h"
#include "cluster/monitor/metrics_feed.h"
#include "schemas/control.h"
#include "schemas/result.h"

namespace troupe::cluster {

// $TROUPE_SERVER, else $XDG_RUNTIME_DIR/troupe, else $HOME/.local/state/troupe/door; empty where
// none of the three is set, which check_door_folder refuses in words.
std::string default_door_folder();
Status check_door_folder(const std::string& folder);

// --server of the daemon itself; an empty `folder` becomes the above.
void add_door_folder_option(Command& command, std::string& folder);

// Which daemon a command is for.
struct ServerChoice {
  std::string server{};  // A folder, a name in servers.toml, or host:port with a key.
  std::string key{};     // Path of a key file.
};

// --server and --key, which outlive the reading.
void add_server_options(Command& command, ServerChoice& choice);

// Where names of servers are: servers.toml beside the keys folder.
std::string servers_file();

// kInvalidArgument for a name that nobody knows, the nearest one first, for a host without a key or
// a key without a host, and for a key file that cannot be used.
Result<FrontDoorClient::Options> find_server(const ServerChoice& choice);

Result<std::unique_ptr<FrontDoorClient>> connect_to(const ServerChoice& choice);

// All jobs, page after page.
Result<std::vector<JobSummary>> list_jobs(FrontDoorClient& client);
// For people who see their own jobs only, and need not be told whose they are.
std::vector<JobSummary> without_own_name(std::vector<JobSummary> jobs,
                                         const FrontDoorClient& client);
// The one job that a reply to show or a change is about.
Result<JobSummary> only_job(const Result<ControlReply>& reply);
Result<JobSummary> show_job(FrontDoorClient& client, uint64_t id);

// Waits, and returns early when the user asks for the stop.
void pause_for(std::chrono::milliseconds duration);

// A job's past, as far as the daemon remembers it, and then what happens: told to a view through
// `reader`, each event once.
class JobFollower {
 public:
  // All outlive it.
  JobFollower(FrontDoorClient& client, FeedReader& reader, uint64_t id)
      : client_(client), reader_(reader), id_(id) {}

  Status begin();
  // Tells what comes until `deadline`. What the feed lost is asked for when it has been quiet.
  Status follow(std::chrono::milliseconds duration);

 private:
  Status catch_up();

  FrontDoorClient& client_;
  FeedReader& reader_;
  uint64_t id_;
  std::chrono::steady_clock::time_point heard_at_{};
};

}  // namespace troupe::cluster
