#include "cluster/cli/watching_speed.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zmq.hpp>

#include <cstdlib>
#include <deque>
#include <string>

#include "cluster/cli/bench_daemon.h"
#include "cluster/daemon/process_card.h"
#include "cluster/gateway/frame_bytes.h"
#include "cluster/gateway/front_door_client.h"
#include "cluster/jobs/embedded_jobs.h"
#include "cluster/jobs/job_file.h"
#include "cluster/keys/curve_socket.h"
#include "model/data/arithmetic.h"
#include "schemas/control_codec.h"
#include "schemas/monotonic_clock.h"

namespace troupe::cluster {
namespace {

constexpr size_t kWatchersOfKey = 200;  // Fewer than a key may have.
constexpr double kWatchSeconds = 10;    // Less than who follows may be silent.
constexpr double kPatienceSeconds = 60;
constexpr int kDrainMs = 20;

// User and system time of a process so far.
double processor_seconds(pid_t pid) {
  constexpr size_t kUser = 11, kSystem = 12;  // From the state on.
  const auto fields = stat_fields(pid);
  if (fields.size() <= kSystem) return 0;
  const double ticks =
      std::strtod(fields[kUser].c_str(), nullptr) + std::strtod(fields[kSystem].c_str(), nullptr);
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

class Watchers {
 public:
  Watchers(const BenchDaemon& daemon, size_t count) {
    context_.set(zmq::ctxopt::max_sockets, static_cast<int>(count) + 16);
    for (size_t i = 0; i < count; ++i) {
      zmq::socket_t& socket = sockets_.emplace_back(context_, zmq::socket_type::dealer);
      socket.set(zmq::sockopt::linger, 0);
      set_curve_client(socket, daemon.keys()[i / kWatchersOfKey]);
      socket.connect("tcp://" + text_of(*daemon.address()));
    }
  }

  // All ask to follow the job, as often as one of them is told to wait.
  Status follow(uint64_t job) {
    const auto request = encode(ControlRequest(FollowJob{job}));
    const double until = monotonic_seconds() + kPatienceSeconds;
    for (zmq::socket_t& socket : sockets_) {
      while (true) {
        socket.send(zmq::str_buffer("tag"), zmq::send_flags::sndmore);
        socket.send(zmq::const_buffer(request.data(), request.size()), zmq::send_flags::none);
        auto answer = next_answer(socket);
        if (!answer) return answer.error();
        if (!answer->error) break;
        if (monotonic_seconds() > until) return *answer->error;
        ::poll(nullptr, 0, kDrainMs);
      }
    }
    return ok();
  }

  // How many events came in.
  size_t drain() {
    size_t count = 0;
    zmq::message_t frame;
    for (zmq::socket_t& socket : sockets_) {
      while (socket.recv(frame, zmq::recv_flags::dontwait)) {
        if (frame.more()) continue;
        const auto reply = decode_control_reply(bytes_of(frame));
        if (reply) count += reply->events.size();
      }
    }
    return count;
  }

 private:
  // What is marked with nothing are events.
  static Result<ControlReply> next_answer(zmq::socket_t& socket) {
    socket.set(zmq::sockopt::rcvtimeo, static_cast<int>(kPatienceSeconds * 1000));
    zmq::message_t tag, reply;
    while (socket.recv(tag) && socket.recv(reply)) {
      if (tag.size() > 0) return decode_control_reply(bytes_of(reply));
    }
    return Error{ErrorCode::kUnknownOutcome, "the daemon does not answer"};
  }

  zmq::context_t context_{1};
  std::deque<zmq::socket_t> sockets_{};
};

Result<double> steps_done(FrontDoorClient& client, uint64_t job) {
  const auto reply = client.ask(ShowJob{job});
  if (!reply) return reply.error();
  if (reply->jobs.empty()) return Error{ErrorCode::kInternal, "the job is not there"};
  return static_cast<double>(reply->jobs.front().steps_done);
}

}  // namespace

Result<WatchingSpeed> measure_watching(size_t num_watchers) try {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);

  auto folder = BenchFolder::make();
  if (!folder) return folder.error();
  const std::string data = (*folder)->data();
  if (Status made = model::make_arithmetic({}, data); !made) return made.error();
  const auto job = parse_job(quickstart_job(), (*folder)->file("job.toml"), {});
  if (!job) return job.error();
  const size_t num_keys = num_watchers / kWatchersOfKey + 1;
  const auto daemon = BenchDaemon::start(**folder, {.num_keys = num_keys, .are_operators = true});
  if (!daemon) return daemon.error();
  const auto submitted = (*daemon)->first_answer(SubmitJob{"watched", *job});
  if (!submitted) return submitted.error();
  if (submitted->jobs.empty()) return Error{ErrorCode::kInternal, "no job was made"};
  const uint64_t id = submitted->jobs.front().id;
  auto client = FrontDoorClient::connect({.folder = (*daemon)->door()});
  if (!client) return client.error();

  Watchers watchers(**daemon, num_watchers);
  if (Status status = watchers.follow(id); !status) return status.error();
  const double until = monotonic_seconds() + kPatienceSeconds;
  double first_steps = 0;
  while (first_steps < 1) {
    const auto steps = steps_done(**client, id);
    if (!steps) return steps.error();
    first_steps = *steps;
    if (monotonic_seconds() > until) return Error{ErrorCode::kInternal, "the job does not begin"};
    ::poll(nullptr, 0, kDrainMs);
    (void)watchers.drain();
  }
  const double began = monotonic_seconds();
  const double head_began = processor_seconds((*daemon)->pid());
  size_t num_events = 0;
  while (monotonic_seconds() < began + kWatchSeconds) {
    ::poll(nullptr, 0, kDrainMs);
    num_events += watchers.drain();
  }
  const auto last_steps = steps_done(**client, id);
  if (!last_steps) return last_steps.error();
  return WatchingSpeed{.num_watchers = num_watchers,
                       .seconds = monotonic_seconds() - began,
                       .head_seconds = processor_seconds((*daemon)->pid()) - head_began,
                       .num_events = static_cast<double>(num_events),
                       .steps = *last_steps - first_steps};
} catch (const zmq::error_t& error) {
  return Error{ErrorCode::kInternal, std::string("cannot reach the daemon: ") + error.what()};
}

}  // namespace troupe::cluster
