#include "cluster/cli/submission_speed.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>

#include "cluster/gateway/front_door.h"
#include "cluster/gateway/front_door_client.h"
#include "cluster/jobs/embedded_jobs.h"
#include "cluster/jobs/job_file.h"
#include "cluster/keys/curve_socket.h"
#include "schemas/control_codec.h"

namespace troupe::cluster {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kSyncs = 200;
constexpr auto kStartPatience = std::chrono::seconds(10);
constexpr auto kAnswerPatience = std::chrono::seconds(30);

double ms_since(Clock::time_point from) {
  return std::chrono::duration<double, std::milli>(Clock::now() - from).count();
}

// A folder that is gone at the end.
class Folder {
 public:
  static Result<std::unique_ptr<Folder>> make() {
    std::string path = (fs::temp_directory_path() / "troupe-bench-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) {
      return Error{ErrorCode::kInternal, "cannot make a folder like " + path};
    }
    return std::unique_ptr<Folder>(new Folder(std::move(path)));
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  explicit Folder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

Result<std::vector<double>> measure_syncs(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return Error{ErrorCode::kInternal, "cannot create " + path};
  const std::array<char, 4096> bytes{};
  std::vector<double> all;
  bool is_good = true;
  for (int i = 0; i < kSyncs && is_good; ++i) {
    const auto start = Clock::now();
    is_good = ::write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
              ::fdatasync(file) == 0;
    all.push_back(ms_since(start));
  }
  ::close(file);
  if (!is_good) return Error{ErrorCode::kInternal, "cannot write " + path};
  std::sort(all.begin(), all.end());
  return all;
}

// This program under its other name, without a terminal.
class DaemonProcess {
 public:
  explicit DaemonProcess(std::vector<std::string> words) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const int number : {0, 1, 2}) {
      posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0);
    }
    if (::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, argv.data(), environ) != 0) {
      pid_ = 0;
    }
    posix_spawn_file_actions_destroy(&actions);
  }
  ~DaemonProcess() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;

 private:
  pid_t pid_ = 0;
};

// A job that waits: its data are a pipe that nobody writes to.
Result<JobSpec> waiting_job(const Folder& folder) {
  const std::string pipe = folder.file("pipe");
  if (::mkfifo(pipe.c_str(), 0600) != 0) {
    return Error{ErrorCode::kInternal, "cannot make a pipe at " + pipe};
  }
  const std::vector<std::string> overrides = {
      "data.train=" + pipe, fmt::format("data.cold_start=[\"{0}\", \"{0}\"]", pipe),
      "data.held_out=" + pipe};
  return parse_job(quickstart_job(), folder.file("job.toml"), overrides);
}

// Where the daemon is to be found, by a user of each client, and with the words that it needs for
// that.
struct Door {
  std::string folder{};
  std::optional<HostPort> address{};
  std::vector<KeyFile> keys{};
  std::vector<std::string> words{};
};

Result<HostPort> free_address() {
  const auto listening = listen_at({"127.0.0.1", 0});
  if (!listening) return listening.error();
  return listening->address;
}

Result<Door> door_of(const Folder& folder, size_t num_clients, bool is_network) {
  Door door{.folder = folder.file("door")};
  if (!is_network) return door;
  const std::string keys = folder.file("keys");
  if (Status status = init_keys(keys); !status) return status.error();
  for (size_t i = 0; i < num_clients; ++i) {
    const std::string name = fmt::format("user-{}", i);
    const std::string path = folder.file((name + ".key").c_str());
    const Status added = add_key(keys, {.kind = KeyKind::kUser, .name = name}, path);
    if (!added) return added.error();
    auto key = read_key_file(path);
    if (!key) return key.error();
    door.keys.push_back(*std::move(key));
  }
  const auto users = free_address();
  const auto nodes = free_address();
  if (!users) return users.error();
  if (!nodes) return nodes.error();
  door.address = *users;
  door.words = {"--keys", keys, "--listen", text_of(*users), "--listen-nodes", text_of(*nodes)};
  return door;
}

// One user, who asks and waits.
struct Client {
  zmq::socket_t socket;
  Clock::time_point asked{};
};

class Clients {
 public:
  Clients(const Door& door, JobSpec job, size_t num_clients) {
    request_.job = std::move(job);
    for (size_t i = 0; i < num_clients; ++i) {
      clients_.push_back({zmq::socket_t(context_, zmq::socket_type::dealer)});
      clients_.back().socket.set(zmq::sockopt::linger, 0);
      if (door.address) set_curve_client(clients_.back().socket, door.keys[i]);
      clients_.back().socket.connect(door.address ? "tcp://" + text_of(*door.address)
                                                  : "ipc://" + control_socket(door.folder));
      items_.push_back({clients_.back().socket.handle(), 0, ZMQ_POLLIN, 0});
    }
  }

  // Everybody submits until `num_jobs` are accepted. Latencies in their order.
  Result<std::vector<double>> submit(size_t num_jobs) {
    std::vector<double> latency_ms;
    size_t num_asked = 0;
    for (Client& client : clients_) {
      if (num_asked++ < num_jobs) ask(client);
    }
    while (latency_ms.size() < num_jobs) {
      const auto patience = std::chrono::milliseconds(kAnswerPatience).count();
      if (zmq_poll(items_.data(), static_cast<int>(items_.size()), patience) <= 0) {
        return Error{ErrorCode::kUnknownOutcome, "the daemon does not answer"};
      }
      for (size_t i = 0; i < clients_.size(); ++i) {
        if ((items_[i].revents & ZMQ_POLLIN) == 0) continue;
        if (Status status = hear(clients_[i]); !status) return status.error();
        latency_ms.push_back(ms_since(clients_[i].asked));
        if (num_asked++ < num_jobs) ask(clients_[i]);
      }
    }
    return latency_ms;
  }

 private:
  void ask(Client& client) {
    const size_t number = next_number_++;
    request_.request_id = fmt::format("{}", number);
    const auto bytes = encode(ControlRequest(request_));
    client.asked = Clock::now();
    client.socket.send(zmq::const_buffer(&number, sizeof(number)), zmq::send_flags::sndmore);
    client.socket.send(zmq::const_buffer(bytes.data(), bytes.size()), zmq::send_flags::none);
  }

  static Status hear(Client& client) {
    zmq::message_t tag, bytes;
    if (!client.socket.recv(tag) || !client.socket.recv(bytes)) {
      return Error{ErrorCode::kInternal, "half an answer"};
    }
    const auto reply =
        decode_control_reply({static_cast<const std::byte*>(bytes.data()), bytes.size()});
    if (!reply) return reply.error();
    if (reply->error) return *reply->error;
    return ok();
  }

  zmq::context_t context_{1};
  SubmitJob request_{};
  size_t next_number_ = 0;
  std::deque<Client> clients_{};
  std::vector<zmq::pollitem_t> items_{};
};

// Until one job is accepted, which the others wait behind.
Status wait_for_daemon(const std::string& server, const JobSpec& job) {
  const auto until = Clock::now() + kStartPatience;
  while (true) {
    Error error{ErrorCode::kInternal, "the daemon does not start"};
    if (fs::exists(control_socket(server))) {
      auto client = FrontDoorClient::connect({.folder = server});
      if (client) {
        const auto reply = (*client)->ask(SubmitJob{"first", job});
        if (reply) return ok();
        error = reply.error();
      }
    }
    if (Clock::now() > until) return error;
    ::poll(nullptr, 0, 5);
  }
}

}  // namespace

Result<SubmissionSpeed> measure_submissions(size_t num_clients, size_t num_jobs,
                                            bool is_network) try {
  auto folder = Folder::make();
  if (!folder) return folder.error();
  auto job = waiting_job(**folder);
  if (!job) return job.error();
  auto syncs = measure_syncs((*folder)->file("syncs"));
  if (!syncs) return syncs.error();
  const auto door = door_of(**folder, num_clients, is_network);
  if (!door) return door.error();
  std::vector<std::string> words = {
      "trouped", "--home", (*folder)->file("home"), "--server", door->folder, "--slots", "1"};
  words.insert(words.end(), door->words.begin(), door->words.end());
  const DaemonProcess daemon(std::move(words));
  if (Status status = wait_for_daemon(door->folder, *job); !status) return status.error();
  Clients clients(*door, std::move(*job), num_clients);
  // The first of each connects, too.
  if (auto connected = clients.submit(num_clients); !connected) return connected.error();
  const auto start = Clock::now();
  auto latency_ms = clients.submit(num_jobs);
  if (!latency_ms) return latency_ms.error();
  SubmissionSpeed speed{.num_clients = num_clients,
                        .seconds = ms_since(start) / 1000,
                        .latency_ms = std::move(*latency_ms),
                        .sync_ms = std::move(*syncs)};
  std::sort(speed.latency_ms.begin(), speed.latency_ms.end());
  return speed;
} catch (const zmq::error_t& error) {
  return Error{ErrorCode::kInternal, std::string("cannot reach the daemon: ") + error.what()};
}

}  // namespace troupe::cluster
