#include "cluster/cli/bench_daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "cluster/gateway/front_door.h"

namespace troupe::cluster {
namespace {

namespace fs = std::filesystem;

constexpr auto kStartPatience = std::chrono::seconds(10);

Result<HostPort> free_address() {
  const auto listening = listen_at({"127.0.0.1", 0});
  if (!listening) return listening.error();
  return listening->address;
}

}  // namespace

Result<std::unique_ptr<BenchDaemon>> BenchDaemon::start(const BenchFolder& folder,
                                                        Options options) {
  std::unique_ptr<BenchDaemon> daemon(new BenchDaemon);
  daemon->door_ = folder.file("door");
  std::vector<std::string> words = {
      "trouped", "--home", folder.file("home"), "--server", daemon->door_, "--slots", "1"};
  if (options.num_keys > 0) {
    if (Status status = daemon->make_keys(folder, options); !status) return status.error();
    const auto users = free_address();
    const auto nodes = free_address();
    if (!users) return users.error();
    if (!nodes) return nodes.error();
    daemon->address_ = *users;
    words.insert(words.end(), {"--keys", folder.file("keys"), "--listen", text_of(*users),
                               "--listen-nodes", text_of(*nodes), "--allow-path", folder.data()});
  }
  if (Status status = daemon->spawn(std::move(words)); !status) return status.error();
  return daemon;
}

Status BenchDaemon::make_keys(const BenchFolder& folder, Options options) {
  const std::string keys = folder.file("keys");
  if (Status status = init_keys(keys); !status) return status;
  for (size_t i = 0; i < options.num_keys; ++i) {
    const Identity who{.kind = KeyKind::kUser,
                       .name = fmt::format("user-{}", i),
                       .is_operator = options.are_operators};
    const std::string path = folder.file(who.name + ".key");
    if (Status added = add_key(keys, who, path); !added) return added;
    auto key = read_key_file(path);
    if (!key) return key.error();
    keys_.push_back(*std::move(key));
  }
  return ok();
}

// Without a terminal.
Status BenchDaemon::spawn(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int number : {0, 1, 2}) {
    posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0);
  }
  const int failure =
      ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure == 0) return ok();
  pid_ = 0;
  return Error{ErrorCode::kInternal, "the daemon cannot be started"};
}

BenchDaemon::~BenchDaemon() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

Result<ControlReply> BenchDaemon::first_answer(const ControlRequest& request) const {
  const auto until = std::chrono::steady_clock::now() + kStartPatience;
  while (true) {
    Error error{ErrorCode::kInternal, "the daemon does not start"};
    if (fs::exists(control_socket(door_))) {
      auto client = FrontDoorClient::connect({.folder = door_});
      if (client) {
        auto reply = (*client)->ask(request);
        if (reply) return reply;
        error = reply.error();
      }
    }
    if (std::chrono::steady_clock::now() > until) return error;
    ::poll(nullptr, 0, 5);
  }
}

}  // namespace troupe::cluster
