#include "cluster/cli/door.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <thread>

#include "cluster/cli/interrupt.h"
#include "cluster/keys/keys_folder.h"
#include "cluster/keys/toml_texts.h"
#include "cluster/monitor/text.h"
#include "model/formats/file.h"
#include "schemas/control_codec.h"
#include "schemas/nearest.h"

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

// The daemon samples a running job twice a second: after this the feed has lost something, or the
// daemon was started anew.
constexpr std::chrono::milliseconds kQuiet{2'000};
constexpr std::chrono::milliseconds kLook{100};
constexpr size_t kServersBytesMax = 256 << 10;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<FrontDoorClient::Options> over_network(const HostPort& address, const std::string& key) {
  auto file = read_key_file(key);
  if (!file) return file.error();
  if (file->kind != KeyKind::kUser) {
    return invalid_argument(fmt::format(
        "{} is the key of a node, {}; users have keys of their own, from troupe keys user", key,
        file->name));
  }
  return FrontDoorClient::Options{
      .network =
          FrontDoorClient::Network{.address = address, .key = std::move(*file), .key_path = key}};
}

// Nothing where it is a folder's name.
Result<std::optional<FrontDoorClient::Options>> find_named_server(const ServerChoice& choice) {
  const std::string path = servers_file();
  const auto text = model::read_file(path, kServersBytesMax);
  if (!text) return text.error();
  const auto servers = read_toml_texts(*text, path);
  if (!servers) return servers.error();
  const auto found = servers->tables.find(choice.server);
  if (found == servers->tables.end()) {
    if (servers->tables.empty() || std::filesystem::exists(choice.server)) {
      return std::optional<FrontDoorClient::Options>{};
    }
    std::vector<std::string> names;
    for (const auto& [name, table] : servers->tables) names.push_back(printable(name));
    return invalid_argument(fmt::format("{} names no server {}; it names {}", path,
                                        printable(choice.server),
                                        nearest_first_list(choice.server, names)));
  }
  for (const auto& [key, value] : found->second) {
    if (key == "address" || key == "key") continue;
    return invalid_argument(fmt::format("{}: [{}] has no {}; it has address and key", path,
                                        choice.server, printable(key)));
  }
  const auto value_of = [&](const char* key) {
    const auto value = found->second.find(key);
    return value == found->second.end() ? std::string() : value->second;
  };
  auto address = parse_host_port(value_of("address"));
  if (!address) {
    return invalid_argument(
        fmt::format("{}: [{}] address: {}", path, choice.server, address.error().message));
  }
  std::string key = choice.key.empty() ? value_of("key") : choice.key;
  if (key.empty()) {
    return invalid_argument(
        fmt::format("{}: [{}] has no key = \"/path/of/NAME.key\"", path, choice.server));
  }
  // A relative one lies beside the file that names it.
  if (choice.key.empty()) {
    key = (std::filesystem::path(path).parent_path() / key).lexically_normal().string();
  }
  auto options = over_network(*address, key);
  if (!options) return options.error();
  return std::optional(std::move(*options));
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

void add_door_folder_option(Command& command, std::string& folder) {
  if (folder.empty()) folder = default_door_folder();
  command.add_option("--server", folder,
                     "The daemon's folder; default $TROUPE_SERVER, $XDG_RUNTIME_DIR/troupe or "
                     "~/.local/state/troupe/door");
}

void add_server_options(Command& command, ServerChoice& choice) {
  choice.server = default_door_folder();
  command.add_option("--server", choice.server,
                     "The daemon: its folder, a name in ~/.config/troupe/servers.toml, or "
                     "host:port with --key; default $TROUPE_SERVER, $XDG_RUNTIME_DIR/troupe or "
                     "~/.local/state/troupe/door");
  command.add_option("--key", choice.key,
                     "Your key at a daemon of another host, which troupe keys user made there");
}

std::string servers_file() {
  const std::string folder = config_folder();
  return folder.empty() ? "" : folder + "/servers.toml";
}

Status check_door_folder(const std::string& folder) {
  if (!folder.empty()) return ok();
  return invalid_argument(
      "where the daemon's folder is cannot be told: TROUPE_SERVER, XDG_RUNTIME_DIR and HOME are "
      "not "
      "set; set one of them, or say --server DIR");
}

Result<FrontDoorClient::Options> find_server(const ServerChoice& choice) {
  if (Status known = check_door_folder(choice.server); !known) return known.error();
  const bool is_path = choice.server.find('/') != std::string::npos;
  const bool is_address = !is_path && choice.server.find(':') != std::string::npos;
  if (!is_path && !is_address && model::is_file(servers_file())) {
    auto named = find_named_server(choice);
    if (!named) return named.error();
    if (*named) return **named;
  }
  if (!is_address) {
    if (choice.key.empty()) return FrontDoorClient::Options{.folder = choice.server};
    return invalid_argument(fmt::format(
        "--key goes with --server host:port, and {} is a folder of this host", choice.server));
  }
  auto address = parse_host_port(choice.server);
  if (!address) return address.error();
  if (choice.key.empty()) {
    return invalid_argument(
        fmt::format("{} is on the network, where it wants a key: say --key FILE, with the file "
                    "that troupe keys "
                    "user made on that host",
                    choice.server));
  }
  return over_network(*address, choice.key);
}

Result<std::unique_ptr<FrontDoorClient>> connect_to(const ServerChoice& choice) {
  auto options = find_server(choice);
  if (!options) return options.error();
  return FrontDoorClient::connect(std::move(*options));
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

std::vector<JobSummary> without_own_name(std::vector<JobSummary> jobs,
                                         const FrontDoorClient& client) {
  if (client.server().is_operator) return jobs;
  for (JobSummary& job : jobs) job.owner.clear();
  return jobs;
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
