#include "cluster/cli/submission_speed.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <string>

#include "cluster/cli/bench_daemon.h"
#include "cluster/gateway/front_door.h"
#include "cluster/jobs/embedded_jobs.h"
#include "cluster/jobs/job_file.h"
#include "cluster/keys/curve_socket.h"
#include "schemas/control_codec.h"

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSyncs = 200;
constexpr auto kAnswerPatience = std::chrono::seconds(30);

double ms_since(Clock::time_point from) {
  return std::chrono::duration<double, std::milli>(Clock::now() - from).count();
}

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

// A job that waits: its data are a pipe that nobody writes to.
Result<JobSpec> waiting_job(const BenchFolder& folder) {
  const std::string pipe = folder.data() + "/pipe";
  if (::mkfifo(pipe.c_str(), 0600) != 0) {
    return Error{ErrorCode::kInternal, "cannot make a pipe at " + pipe};
  }
  const std::vector<std::string> overrides = {
      "data.train=" + pipe, fmt::format("data.cold_start=[\"{0}\", \"{0}\"]", pipe),
      "data.held_out=" + pipe};
  return parse_job(quickstart_job(), folder.file("job.toml"), overrides);
}

// One user, who asks and waits.
struct Client {
  zmq::socket_t socket;
  Clock::time_point asked{};
};

class Clients {
 public:
  Clients(const BenchDaemon& daemon, JobSpec job, size_t num_clients) {
    request_.job = std::move(job);
    for (size_t i = 0; i < num_clients; ++i) {
      clients_.push_back({zmq::socket_t(context_, zmq::socket_type::dealer)});
      clients_.back().socket.set(zmq::sockopt::linger, 0);
      if (daemon.address()) set_curve_client(clients_.back().socket, daemon.keys()[i]);
      clients_.back().socket.connect(daemon.address() ? "tcp://" + text_of(*daemon.address())
                                                      : "ipc://" + control_socket(daemon.door()));
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

}  // namespace

Result<SubmissionSpeed> measure_submissions(size_t num_clients, size_t num_jobs,
                                            bool is_network) try {
  auto folder = BenchFolder::make();
  if (!folder) return folder.error();
  auto job = waiting_job(**folder);
  if (!job) return job.error();
  auto syncs = measure_syncs((*folder)->file("syncs"));
  if (!syncs) return syncs.error();
  const auto daemon = BenchDaemon::start(**folder, {.num_keys = is_network ? num_clients : 0});
  if (!daemon) return daemon.error();
  // One job is accepted, which the others wait behind.
  if (auto first = (*daemon)->first_answer(SubmitJob{"first", *job}); !first) {
    return first.error();
  }
  Clients clients(**daemon, std::move(*job), num_clients);
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
