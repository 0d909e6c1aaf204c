#include "cluster/gateway/front_door.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

#include "schemas/check.h"
#include "schemas/control_codec.h"
#include "schemas/descriptor.h"
#include "schemas/private_folder.h"

// libzmq ends the process when no descriptor is left for a connection. In this program such a
// connection waits instead, and is taken when the door has let go of others.
extern "C" int accept4(int socket, sockaddr* address, socklen_t* size, int flags) {
  const auto accepted = static_cast<int>(::syscall(SYS_accept4, socket, address, size, flags));
  if (accepted < 0 && (errno == EMFILE || errno == ENFILE)) errno = EAGAIN;
  return accepted;
}

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMessagesWaitingMax = 64;  // Per connection, each way, beside what is in the kernel.
constexpr int kHandshakeMs = 3'000;
constexpr int kHeartbeatMs = 5'000;
constexpr int kHeartbeatTimeoutMs = 20'000;
constexpr int kBacklog = 64;
constexpr int kBatchMax = 256;  // Messages that are taken in before answers go out again.

std::string reason() { return std::generic_category().message(errno); }

// Held for as long as the descriptor is open; the system lets go of it when the process ends.
Result<Descriptor> lock_folder(const std::string& folder) {
  const std::string path = folder + "/lock";
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return invalid_argument(fmt::format("cannot open {}: {}", path, reason()));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return Error{ErrorCode::kInternal, fmt::format("cannot lock {}: {}", path, reason())};
    }
    return invalid_argument("another daemon serves " + folder + "; stop it or name another folder");
  }
  return file;
}

// A bound socket that begins anew when it has too many connections: libzmq itself takes all that
// come and keeps memory for each. Clients that keep to the rules connect again by themselves.
class Listener {
 public:
  Listener(zmq::context_t& context, zmq::socket_type type, const std::string& path,
           size_t connections_max, int high_water)
      : path_(path),
        connections_max_(connections_max),
        socket_(context, type),
        events_(context, zmq::socket_type::pair) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::sndhwm, high_water);
    socket_.set(zmq::sockopt::rcvhwm, kMessagesWaitingMax);
    socket_.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
    socket_.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
    socket_.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeoutMs);
    socket_.set(zmq::sockopt::backlog, kBacklog);
  }
  ~Listener() {
    // A monitor that nobody reads would block libzmq's own thread.
    std::array<std::byte, 6> event{};
    while (zmq_recv(events_.handle(), event.data(), event.size(), ZMQ_DONTWAIT) >= 0) {
    }
    zmq_socket_monitor(socket_.handle(), nullptr, 0);
    events_.close();
    socket_.close();
    ::unlink(path_.c_str());
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Throws zmq::error_t. Whatever lies at the path is replaced.
  void bind() {
    const std::string events = "inproc://events" + path_;
    if (zmq_socket_monitor(socket_.handle(), events.c_str(),
                           ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED) != 0) {
      throw zmq::error_t();
    }
    events_.set(zmq::sockopt::linger, 0);
    events_.connect(events);
    listen();
  }

  // Also lets the socket clean up behind connections that ended: it does so only when it is used.
  // Throws zmq::error_t. True when it began anew.
  bool count_connections() {
    (void)socket_.get(zmq::sockopt::events);
    bool is_new = false;
    std::array<std::byte, 6> event{};  // 16 bits of what happened and 32 of a value.
    while (zmq_recv(events_.handle(), event.data(), event.size(), ZMQ_DONTWAIT) >= 0) {
      zmq_recv(events_.handle(), nullptr, 0, ZMQ_DONTWAIT);  // The address.
      uint16_t what = 0;
      std::memcpy(&what, event.data(), sizeof(what));
      if (what == ZMQ_EVENT_ACCEPTED) ++connections_;
      if (what == ZMQ_EVENT_DISCONNECTED) --connections_;
      if (what == ZMQ_EVENT_CLOSED && is_closing_) {
        // Its connections went with it. Not earlier: closing removes the file at the path.
        connections_ = 0;
        is_closing_ = false;
        listen();
        is_new = true;
      }
    }
    connections_ = std::max<int64_t>(connections_, 0);
    if (!is_closing_ && connections_ >= static_cast<int64_t>(connections_max_)) {
      socket_.unbind(endpoint());
      is_closing_ = true;
    }
    return is_new;
  }

  void* handle() { return socket_.handle(); }
  zmq::socket_t& socket() { return socket_; }
  void* events() { return events_.handle(); }

 private:
  std::string endpoint() const { return "ipc://" + path_; }
  void listen() {
    ::unlink(path_.c_str());
    socket_.bind(endpoint());
  }

  std::string path_;
  size_t connections_max_;
  zmq::socket_t socket_;
  zmq::socket_t events_;
  int64_t connections_ = 0;
  bool is_closing_ = false;
};

std::vector<std::byte> encode_error(Error error) { return encode(ControlReply{.error = error}); }

std::span<const std::byte> bytes_of(const zmq::message_t& frame) {
  return {static_cast<const std::byte*>(frame.data()), frame.size()};
}

// What other threads leave for the door's. Answers outlive the door, so this is shared.
class Inbox {
 public:
  explicit Inbox(Descriptor wake) : wake_(std::move(wake)) {}

  struct Answer {
    uint64_t ticket = 0;
    std::vector<std::byte> reply{};
  };
  struct Event {
    std::string topic{};
    std::vector<std::byte> bytes{};
  };

  void add(Answer answer) {
    {
      const std::lock_guard lock(mutex_);
      // At most one per ticket, and those are bounded.
      if (is_closed_) return;
      answers_.push_back(std::move(answer));
    }
    wake();
  }

  // False when more events wait than may.
  bool add(Event event, size_t events_max, size_t bytes_max) {
    {
      const std::lock_guard lock(mutex_);
      if (is_closed_ || events_.size() >= events_max ||
          event_bytes_ + event.bytes.size() > bytes_max) {
        return false;
      }
      event_bytes_ += event.bytes.size();
      events_.push_back(std::move(event));
    }
    wake();
    return true;
  }

  void close() {
    {
      const std::lock_guard lock(mutex_);
      is_closed_ = true;
      answers_.clear();
      events_.clear();
    }
    wake();
  }

  // What is there now. False when closed.
  bool take(std::vector<Answer>& answers, std::vector<Event>& events) {
    uint64_t ignored = 0;
    // Before the lists are taken: what comes later wakes again.
    while (::read(wake_.get(), &ignored, sizeof(ignored)) < 0 && errno == EINTR) {
    }
    const std::lock_guard lock(mutex_);
    answers.swap(answers_);
    events.swap(events_);
    event_bytes_ = 0;
    return !is_closed_;
  }

  int wake_descriptor() const { return wake_.get(); }

 private:
  void wake() const {
    const uint64_t one = 1;
    // Fails only when the counter is full, and then the door is awake.
    while (::write(wake_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
    }
  }

  Descriptor wake_;
  std::mutex mutex_{};
  std::vector<Answer> answers_{};
  std::vector<Event> events_{};
  size_t event_bytes_ = 0;
  bool is_closed_ = false;
};

}  // namespace

std::string control_socket(const std::string& folder) { return folder + "/control.sock"; }
std::string feed_socket(const std::string& folder) { return folder + "/feed.sock"; }

Status check_socket_paths(const std::string& folder) {
  constexpr size_t kPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;
  const size_t size = std::max(control_socket(folder).size(), feed_socket(folder).size());
  if (folder.empty()) return invalid_argument("the daemon's folder has no name");
  if (size <= kPathBytesMax) return ok();
  return invalid_argument(
      fmt::format("{}: the name of a socket in it would have {} bytes and the system takes {}; "
                  "name a folder with a shorter path",
                  folder, size, kPathBytesMax));
}

class FrontDoor::Impl {
 public:
  Impl(Options options, ServeControl serve, Descriptor lock, Descriptor wake)
      : options_(std::move(options)),
        serve_(std::move(serve)),
        lock_(std::move(lock)),
        inbox_(std::make_shared<Inbox>(std::move(wake))),
        admission_(options_.limits, Clock::now()) {}

  ~Impl() {
    inbox_->close();
    if (thread_.joinable()) thread_.join();
  }

  Status begin() try {
    const size_t connections = options_.connections_max;
    control_.emplace(context_, zmq::socket_type::router, control_socket(options_.folder),
                     connections, kMessagesWaitingMax);
    control_->socket().set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(kControlBytesMax));
    // A reply to a client that is gone fails instead of vanishing, and nobody takes over another's
    // identity.
    control_->socket().set(zmq::sockopt::router_mandatory, true);
    control_->socket().set(zmq::sockopt::router_handover, false);
    feed_.emplace(context_, zmq::socket_type::pub, feed_socket(options_.folder), connections,
                  static_cast<int>(options_.feed_high_water));
    // What comes in are subscriptions.
    feed_->socket().set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(kFeedTopicBytesMax + 1));
    // What a dead daemon left at these paths is replaced: the lock says that it is gone. Clients
    // look for control.sock, so it comes last.
    feed_->bind();
    control_->bind();
    thread_ = std::thread([this] { run(); });
    return ok();
  } catch (const zmq::error_t& error) {
    return Error{ErrorCode::kInternal,
                 fmt::format("cannot open the sockets in {}: {}", options_.folder, error.what())};
  }

  void publish(std::string topic, std::vector<std::byte> event) {
    if (!inbox_->add(Inbox::Event{std::move(topic), std::move(event)}, options_.events_waiting_max,
                     options_.event_bytes_waiting_max)) {
      ++events_lost_;
    }
  }

  Counts counts() const {
    return {.requests = requests_,
            .malformed = malformed_,
            .undecodable = undecodable_,
            .overloaded = overloaded_,
            .unanswered = unanswered_,
            .replies_lost = replies_lost_,
            .events_lost = events_lost_,
            .restarts = restarts_};
  }

 private:
  struct InFlight {
    zmq::message_t client{};
    zmq::message_t tag{};
    Clock::time_point deadline{};
  };

  // All below: the door's thread.
  void run() {
    std::array<zmq::pollitem_t, 4> items = {
        zmq::pollitem_t{control_->handle(), 0, ZMQ_POLLIN, 0},
        zmq::pollitem_t{nullptr, inbox_->wake_descriptor(), ZMQ_POLLIN, 0},
        zmq::pollitem_t{control_->events(), 0, ZMQ_POLLIN, 0},
        zmq::pollitem_t{feed_->events(), 0, ZMQ_POLLIN, 0}};
    std::vector<Inbox::Answer> answers;
    std::vector<Inbox::Event> events;
    for (;;) {
      const int ready = zmq_poll(items.data(), static_cast<int>(items.size()), wait_ms());
      TROUPE_CHECK(ready >= 0 || errno == EINTR);
      answers.clear();
      events.clear();
      if (!inbox_->take(answers, events)) return;
      for (Inbox::Answer& answer : answers) finish(answer.ticket, std::move(answer.reply));
      for (Inbox::Event& event : events) send_event(std::move(event));
      expire(Clock::now());
      for (Listener* listener : {&*control_, &*feed_}) {
        if (listener->count_connections()) ++restarts_;
      }
      for (int i = 0; i < kBatchMax && receive(); ++i) {
      }
    }
  }

  long wait_ms() const {
    if (in_flight_.empty()) return -1;  // Until something comes.
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        in_flight_.begin()->second.deadline - Clock::now());
    return std::max<long>(0, left.count());
  }

  // False when nothing waits.
  bool receive() {
    std::array<zmq::message_t, 3> frames;
    size_t num_frames = 0;
    bool has_more = true;
    while (has_more) {
      zmq::message_t frame;
      if (zmq_msg_recv(frame.handle(), control_->handle(), ZMQ_DONTWAIT) < 0) {
        return num_frames > 0 || errno == EINTR;
      }
      has_more = frame.more();
      if (num_frames < frames.size()) frames[num_frames] = std::move(frame);
      ++num_frames;
    }
    if (num_frames != 3 || frames[1].size() > kDoorTagBytesMax) {
      ++malformed_;
      return true;
    }
    begin_request(std::move(frames[0]), std::move(frames[1]), frames[2]);
    return true;
  }

  void begin_request(zmq::message_t client, zmq::message_t tag, const zmq::message_t& payload) {
    const auto now = Clock::now();
    if (const auto wait = admission_.begin(client.to_string_view(), now)) {
      ++overloaded_;
      reply(client, tag,
            encode_error({ErrorCode::kOverloaded,
                          fmt::format("the daemon has too many requests of yours or of all; ask "
                                      "again in {} ms",
                                      wait->count())}));
      return;
    }
    auto request = decode_control_request(bytes_of(payload));
    if (!request) {
      ++undecodable_;
      admission_.end(client.to_string_view());
      reply(client, tag, encode_error(request.error()));
      return;
    }
    ++requests_;
    const uint64_t ticket = next_ticket_++;
    in_flight_.emplace(ticket,
                       InFlight{std::move(client), std::move(tag), now + options_.answer_deadline});
    serve_(std::move(*request),
           [inbox = inbox_, ticket,
            is_open = std::make_shared<std::atomic<bool>>(true)](ControlReply answer) {
             if (!is_open->exchange(false)) return;
             inbox->add(Inbox::Answer{ticket, encode(answer)});
           });
  }

  void finish(uint64_t ticket, std::vector<std::byte> bytes) {
    const auto found = in_flight_.find(ticket);
    if (found == in_flight_.end()) return;  // Its deadline passed, and the client was told.
    InFlight request = std::move(found->second);
    in_flight_.erase(found);
    admission_.end(request.client.to_string_view());
    reply(request.client, request.tag, std::move(bytes));
  }

  // All requests have the same time, so the oldest is the first to expire.
  void expire(Clock::time_point now) {
    while (!in_flight_.empty() && in_flight_.begin()->second.deadline <= now) {
      ++unanswered_;
      finish(in_flight_.begin()->first,
             encode_error(
                 {ErrorCode::kUnknownOutcome,
                  fmt::format("the daemon has not answered this within {} s; it may have "
                              "been done: look with troupe jobs",
                              std::chrono::duration<double>(options_.answer_deadline).count())}));
    }
  }

  // A client whose queue is full or that is gone loses the reply; it asks again with the same id.
  void reply(zmq::message_t& client, zmq::message_t& tag, const std::vector<std::byte>& bytes) {
    const bool is_sent =
        zmq_msg_send(client.handle(), control_->handle(), ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
        zmq_msg_send(tag.handle(), control_->handle(), ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
        zmq_send(control_->handle(), bytes.data(), bytes.size(), ZMQ_DONTWAIT) >= 0;
    if (!is_sent) ++replies_lost_;
  }

  void send_event(Inbox::Event event) {
    // A publisher drops for slow subscribers and never refuses.
    zmq_send(feed_->handle(), event.topic.data(), event.topic.size(), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(feed_->handle(), event.bytes.data(), event.bytes.size(), ZMQ_DONTWAIT);
  }

  const Options options_;
  const ServeControl serve_;
  const Descriptor lock_;
  const std::shared_ptr<Inbox> inbox_;

  zmq::context_t context_{1};
  std::optional<Listener> control_{};
  std::optional<Listener> feed_{};

  Admission admission_;
  uint64_t next_ticket_ = 1;
  std::map<uint64_t, InFlight> in_flight_{};  // By ticket: oldest first.

  std::atomic<uint64_t> requests_{0}, malformed_{0}, undecodable_{0}, overloaded_{0},
      unanswered_{0}, replies_lost_{0}, events_lost_{0}, restarts_{0};

  std::thread thread_{};
};

FrontDoor::FrontDoor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FrontDoor::~FrontDoor() = default;

Result<std::unique_ptr<FrontDoor>> FrontDoor::open(Options options, ServeControl serve) {
  if (auto checked = check_socket_paths(options.folder); !checked) return checked.error();
  if (auto made = make_private_folder(options.folder); !made) return made.error();
  auto lock = lock_folder(options.folder);
  if (!lock) return lock.error();
  Descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake.get() < 0) {
    return Error{ErrorCode::kInternal, fmt::format("cannot make an event: {}", reason())};
  }
  auto impl = std::make_unique<Impl>(std::move(options), std::move(serve), std::move(*lock),
                                     std::move(wake));
  if (auto begun = impl->begin(); !begun) return begun.error();
  return std::unique_ptr<FrontDoor>(new FrontDoor(std::move(impl)));
}

void FrontDoor::publish(std::string topic, std::vector<std::byte> event) {
  impl_->publish(std::move(topic), std::move(event));
}

FrontDoor::Counts FrontDoor::counts() const { return impl_->counts(); }

}  // namespace troupe::cluster
