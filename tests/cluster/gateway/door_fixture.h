// A front door in a folder of its own with a small book of jobs behind it, and raw sockets for
// those who do not keep to the rules.
#pragma once

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.hpp>

#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cluster/gateway/front_door.h"
#include "cluster/gateway/front_door_client.h"
#include "schemas/control_codec.h"
#include "tests/support/temp_dir.h"

namespace troupe::tests {

using std::chrono::milliseconds;

// What the daemon keeps, as far as the front door cares.
class JobBook {
 public:
  ControlReply serve(const ControlRequest& request) {
    const std::lock_guard lock(mutex_);
    if (const auto* submit = std::get_if<SubmitJob>(&request)) {
      const auto [found, is_new] = ids_.emplace(submit->request_id, jobs_.size() + 1);
      if (is_new) jobs_.push_back({.id = found->second, .name = submit->job.name});
      return {.jobs = {jobs_[found->second - 1]}};
    }
    if (const auto* list = std::get_if<ListJobs>(&request)) {
      ControlReply reply;
      for (const JobSummary& job : jobs_) {
        if (job.id >= list->first_id) reply.jobs.push_back(job);
      }
      return reply;
    }
    if (const auto* logs = std::get_if<JobLogs>(&request)) {
      return {.lines = {"line of job " + std::to_string(logs->id)}, .next = logs->first_line + 1};
    }
    if (const auto* watch = std::get_if<WatchJob>(&request)) {
      return {.events = {encode(RunEvent{.job = watch->id, .sequence = 1, .what = Noted{"past"}})},
              .next = 2};
    }
    if (const auto* cancel = std::get_if<CancelJob>(&request)) {
      return change(cancel->id, JobState::kCancelled);
    }
    if (const auto* pause = std::get_if<PauseJob>(&request)) {
      return change(pause->id, JobState::kPaused);
    }
    if (const auto* resume = std::get_if<ResumeJob>(&request)) {
      return change(resume->id, JobState::kQueued);
    }
    if (const auto* show = std::get_if<ShowJob>(&request)) return change(show->id, std::nullopt);
    return change(0, std::nullopt);  // Of hosts it knows nothing.
  }

  cluster::ServeControl at_once() {
    return [this](const ControlRequest& request, const Asker&,
                  const std::function<void(ControlReply)>& answer) { answer(serve(request)); };
  }

 private:
  ControlReply change(uint64_t id, std::optional<JobState> state) {
    if (id == 0 || id > jobs_.size()) {
      return {.error = invalid_argument("there is no job " + std::to_string(id))};
    }
    if (state) jobs_[id - 1].state = *state;
    return {.jobs = {jobs_[id - 1]}};
  }

  std::mutex mutex_{};
  std::map<std::string, uint64_t> ids_{};
  std::vector<JobSummary> jobs_{};
};

inline std::unique_ptr<cluster::FrontDoor> open_door(cluster::FrontDoor::Options options,
                                                     cluster::ServeControl serve) {
  auto door = cluster::FrontDoor::open(std::move(options), std::move(serve));
  if (!door) MESSAGE(door.error().message);
  REQUIRE(door);
  return std::move(*door);
}

inline std::unique_ptr<cluster::FrontDoorClient> client_of(
    const std::string& folder, milliseconds deadline = milliseconds(10'000)) {
  auto client = cluster::FrontDoorClient::connect({.folder = folder, .deadline = deadline});
  if (!client) MESSAGE(client.error().message);
  REQUIRE(client);
  return std::move(*client);
}

// Asks again and again until it holds; false after a minute.
inline bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    zmq_poll(nullptr, 0, 1);  // Lets others run.
  }
  return true;
}

// A client that sends whatever frames it likes.
class RawClient {
 public:
  explicit RawClient(const std::string& folder) : socket_(context_, zmq::socket_type::dealer) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::sndhwm, 1'000);
    socket_.set(zmq::sockopt::rcvtimeo, 30'000);
    socket_.set(zmq::sockopt::reconnect_ivl, 1);
    socket_.connect("ipc://" + cluster::control_socket(folder));
  }

  void send(const std::vector<std::string>& frames) {
    for (size_t i = 0; i < frames.size(); ++i) {
      const int more = i + 1 < frames.size() ? ZMQ_SNDMORE : 0;
      zmq_send(socket_.handle(), frames[i].data(), frames[i].size(), more);
    }
  }
  void send(const std::string& tag, const ControlRequest& request) {
    const auto bytes = encode(request);
    send({tag, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())});
  }

  // The tag and the reply; fails the test when none comes.
  std::pair<std::string, ControlReply> receive() {
    zmq::message_t tag;
    zmq::message_t payload;
    REQUIRE(zmq_msg_recv(tag.handle(), socket_.handle(), 0) >= 0);
    REQUIRE(zmq_msg_recv(payload.handle(), socket_.handle(), 0) >= 0);
    auto reply =
        decode_control_reply({static_cast<const std::byte*>(payload.data()), payload.size()});
    REQUIRE(reply);
    return {tag.to_string(), std::move(*reply)};
  }
  // Forgets what has come.
  void drain() {
    zmq::message_t frame;
    while (zmq_msg_recv(frame.handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0) {
    }
  }

 private:
  zmq::context_t context_{1};
  zmq::socket_t socket_;
};

// A bare connection to the socket at `path`; -1 when it is not taken.
inline int connect_bare(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return socket;
  }
  ::close(socket);
  return -1;
}

}  // namespace troupe::tests
