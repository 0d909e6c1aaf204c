#include "cluster/gateway/front_door.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/file.h>
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

#include "cluster/gateway/event_batches.h"
#include "cluster/gateway/frame_bytes.h"
#include "cluster/gateway/listener.h"
#include "cluster/keys/authenticator.h"
#include "cluster/keys/curve_socket.h"
#include "cluster/monitor/metrics_feed.h"
#include "schemas/check.h"
#include "schemas/control_codec.h"
#include "schemas/descriptor.h"
#include "schemas/envelope.h"
#include "schemas/private_folder.h"

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMessagesWaitingMax = 64;  // Per connection, each way, beside what is in the kernel.
constexpr size_t kGivenRouteBytes = 5;   // Of a route that libzmq gives.
constexpr int kBatchMax = 256;           // Messages that are taken in before answers go out again.

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

std::vector<std::byte> encode_error(Error error) { return encode(ControlReply{.error = error}); }

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
    std::string owner{};
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
        admission_(options_.limits, Clock::now()),
        followers_(options_.network ? options_.network->followers : Followers::Limits()) {}

  ~Impl() {
    inbox_->close();
    if (thread_.joinable()) thread_.join();
  }

  Status begin() try {
    if (auto opened = open_network(); !opened) return opened;
    const size_t connections = options_.connections_max;
    control_.emplace(context_, zmq::socket_type::router, control_socket(options_.folder),
                     connections, kMessagesWaitingMax);
    control_->socket().set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(kControlBytesMax));
    set_routing(control_->socket());
    feed_.emplace(context_, zmq::socket_type::pub, feed_socket(options_.folder), connections,
                  static_cast<int>(options_.feed_high_water));
    // What comes in are subscriptions.
    feed_->socket().set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(kFeedTopicBytesMax + 1));
    // What a dead daemon left at these paths is replaced: the lock says that it is gone. Clients
    // look for control.sock, so it comes last.
    feed_->bind();
    control_->bind();
    if (network_) network_->bind();
    thread_ = std::thread([this] { run(); });
    return ok();
  } catch (const zmq::error_t& error) {
    return Error{ErrorCode::kInternal,
                 fmt::format("cannot open the sockets in {}: {}", options_.folder, error.what())};
  }

  void publish(std::string topic, std::string owner, std::vector<std::byte> event) {
    if (!inbox_->add(Inbox::Event{std::move(topic), std::move(owner), std::move(event)},
                     options_.events_waiting_max, options_.event_bytes_waiting_max)) {
      ++events_lost_;
    }
  }

  std::optional<HostPort> network_address() const {
    return network_ ? std::optional(network_->address()) : std::nullopt;
  }

  Counts counts() const {
    const auto knocks = authenticator_ ? authenticator_->counts() : Authenticator::Counts();
    return {.requests = requests_,
            .malformed = malformed_,
            .undecodable = undecodable_,
            .overloaded = overloaded_,
            .unanswered = unanswered_,
            .replies_lost = replies_lost_,
            .events_lost = events_lost_,
            .restarts = restarts_,
            .strangers = strangers_,
            .admitted = knocks.admitted,
            .refused = knocks.refused};
  }

 private:
  // Who asks, and where an answer goes.
  struct Client {
    void* socket = nullptr;  // The one by which it came.
    zmq::message_t route{};
    zmq::message_t tag{};
    std::optional<PublicKey> key{};  // Over the network.
    Asker asker{};
    // For the bounds: a connection, and over the network a user with all their connections.
    std::string admission_id{};
  };
  struct InFlight {
    Client client{};
    Clock::time_point deadline{};
  };

  Status open_network() {
    if (!options_.network) return ok();
    auto listening = listen_at(options_.network->address);
    if (!listening) return listening.error();
    auto authenticator = Authenticator::begin(context_, find_in(options_.network->keys));
    if (!authenticator) return authenticator.error();
    authenticator_ = std::move(*authenticator);
    network_.emplace(context_, zmq::socket_type::router, std::move(*listening),
                     options_.network->keys->head_keys(), options_.network->connections_max,
                     kMessagesWaitingMax);
    network_->socket().set(zmq::sockopt::maxmsgsize,
                           static_cast<int64_t>(kControlBytesMax) + kCurveBytes);
    set_routing(network_->socket());
    return ok();
  }

  // A reply to a client that is gone fails instead of vanishing, and nobody takes over another's
  // identity.
  static void set_routing(zmq::socket_t& socket) {
    socket.set(zmq::sockopt::router_mandatory, true);
    socket.set(zmq::sockopt::router_handover, false);
  }

  // All below: the door's thread.
  void run() {
    std::vector<zmq::pollitem_t> items = {{control_->handle(), 0, ZMQ_POLLIN, 0},
                                          {nullptr, inbox_->wake_descriptor(), ZMQ_POLLIN, 0},
                                          {control_->events(), 0, ZMQ_POLLIN, 0},
                                          {feed_->events(), 0, ZMQ_POLLIN, 0}};
    if (network_) items.push_back({network_->handle(), 0, ZMQ_POLLIN, 0});
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
      if (network_) send_batches(Clock::now());
      expire(Clock::now());
      for (FileListener* listener : {&*control_, &*feed_}) {
        if (listener->count_connections()) ++restarts_;
      }
      for (int i = 0; i < kBatchMax && receive(control_->handle()); ++i) {
      }
      if (!network_) continue;
      for (int i = 0; i < kBatchMax && receive(network_->handle()); ++i) {
      }
    }
  }

  long wait_ms() const {
    auto until = batches_.next();
    if (!in_flight_.empty()) {
      const auto deadline = in_flight_.begin()->second.deadline;
      until = until ? std::min(*until, deadline) : deadline;
    }
    if (!until) return -1;  // Until something comes.
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - Clock::now());
    return std::max<long>(0, left.count());
  }

  // False when nothing waits.
  bool receive(void* socket) {
    std::array<zmq::message_t, 3> frames;
    size_t num_frames = 0;
    bool has_more = true;
    while (has_more) {
      zmq::message_t frame;
      if (zmq_msg_recv(frame.handle(), socket, ZMQ_DONTWAIT) < 0) {
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
    Client client{.socket = socket, .route = std::move(frames[0]), .tag = std::move(frames[1])};
    if (socket == control_->handle()) {
      client.asker = local_operator();
      client.admission_id = client.route.to_string();
    } else if (!identify(client, frames[2])) {
      return true;
    }
    begin_request(std::move(client), frames[2]);
    return true;
  }

  // False when it is nobody who may ask.
  bool identify(Client& client, const zmq::message_t& frame) {
    // A route that its client chose may have been somebody's before, to whom an answer or an event
    // is still on its way. Those that libzmq gives begin with a zero.
    if (client.route.size() != kGivenRouteBytes || *client.route.data<char>() != 0) {
      ++malformed_;
      return false;
    }
    client.key = key_of(frame);
    const auto who = client.key ? options_.network->keys->find(*client.key) : std::nullopt;
    if (!who || who->kind != KeyKind::kUser) {
      ++strangers_;
      return false;
    }
    client.asker = {.name = who->name, .is_operator = who->is_operator};
    client.admission_id = "key of " + who->name;
    return true;
  }

  void begin_request(Client client, const zmq::message_t& payload) {
    const auto now = Clock::now();
    if (const auto wait = admission_.begin(client.admission_id, now)) {
      ++overloaded_;
      reply(client,
            encode_error({ErrorCode::kOverloaded,
                          fmt::format("the daemon has too many requests of yours or of all; ask "
                                      "again in {} ms",
                                      wait->count())}));
      return;
    }
    auto request = decode_control_request(bytes_of(payload));
    if (!request) {
      ++undecodable_;
      admission_.end(client.admission_id);
      reply(client, encode_error(request.error()));
      return;
    }
    ++requests_;
    if (const auto answer = answer_myself(client, *request, now)) {
      admission_.end(client.admission_id);
      reply(client, encode(*answer));
      return;
    }
    const uint64_t ticket = next_ticket_++;
    const Asker asker = client.asker;
    in_flight_.emplace(ticket, InFlight{std::move(client), now + options_.answer_deadline});
    serve_(std::move(*request), asker,
           [inbox = inbox_, ticket,
            is_open = std::make_shared<std::atomic<bool>>(true)](ControlReply answer) {
             if (!is_open->exchange(false)) return;
             inbox->add(Inbox::Answer{ticket, encode(answer)});
           });
  }

  // What is asked about the door.
  std::optional<ControlReply> answer_myself(const Client& client, const ControlRequest& request,
                                            Clock::time_point now) {
    if (std::holds_alternative<ShowServer>(request)) {
      ControlReply reply;
      reply.server = {.protocol = kProtocolVersion,
                      .name = client.asker.name,
                      .is_operator = client.asker.is_operator};
      return reply;
    }
    const auto* follow = std::get_if<FollowJob>(&request);
    if (follow == nullptr) return std::nullopt;
    if (!client.key) {
      return ControlReply{
          .error = invalid_argument("events come over the network's door only; here they are in "
                                    "the feed's socket")};
    }
    // Whose job it is turns out at each event.
    const Followers::Follower follower{.route = client.route.to_string(), .key = *client.key};
    if (followers_.follow(feed_topic(follow->id), follower, now)) return ControlReply{};
    return ControlReply{.error = Error{ErrorCode::kOverloaded,
                                       "the daemon has too many viewers of yours or of all; look "
                                       "again later"}};
  }

  void finish(uint64_t ticket, std::vector<std::byte> bytes) {
    const auto found = in_flight_.find(ticket);
    if (found == in_flight_.end()) return;  // Its deadline passed, and the client was told.
    InFlight request = std::move(found->second);
    in_flight_.erase(found);
    admission_.end(request.client.admission_id);
    reply(request.client, bytes);
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
  void reply(Client& client, const std::vector<std::byte>& bytes) {
    const bool is_theirs = !client.key || options_.network->keys->find(*client.key);
    const bool is_sent =
        is_theirs &&
        zmq_msg_send(client.route.handle(), client.socket, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
        zmq_msg_send(client.tag.handle(), client.socket, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
        zmq_send(client.socket, bytes.data(), bytes.size(), ZMQ_DONTWAIT) >= 0;
    if (!is_sent) ++replies_lost_;
  }

  void send_event(Inbox::Event event) {
    // A publisher drops for slow subscribers and never refuses.
    zmq_send(feed_->handle(), event.topic.data(), event.topic.size(), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(feed_->handle(), event.bytes.data(), event.bytes.size(), ZMQ_DONTWAIT);
    if (network_) batches_.add(event.topic, event.owner, std::move(event.bytes));
  }

  void send_batches(Clock::time_point now) {
    for (EventBatches::Batch& batch : batches_.take(now)) {
      const auto followers = followers_.of(batch.topic, now);
      batches_.sent(batch.topic, followers.size(), now);
      if (followers.empty()) continue;
      ControlReply events;
      events.events = std::move(batch.events);
      const auto bytes = encode(events);
      for (const auto& follower : followers) {
        const auto who = options_.network->keys->find(follower.key);
        const bool may_see =
            who && Asker{.name = who->name, .is_operator = who->is_operator}.may_see(batch.owner);
        // A key that was taken away is dropped; one whose job this is not sees nothing.
        if (who && !may_see) continue;
        if (!who || !send_batch(bytes, follower.route)) {
          followers_.forget(batch.topic, follower.route);
        }
      }
    }
  }

  // False when nobody is there any more. Who does not read in time misses it.
  bool send_batch(const std::vector<std::byte>& bytes, const std::string& route) {
    void* socket = network_->handle();
    if (zmq_send(socket, route.data(), route.size(), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
      return zmq_errno() == EAGAIN;
    }
    // Where an answer has what the request was marked with, there is nothing.
    zmq_send(socket, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, bytes.data(), bytes.size(), ZMQ_DONTWAIT);
    return true;
  }

  const Options options_;
  const ServeControl serve_;
  const Descriptor lock_;
  const std::shared_ptr<Inbox> inbox_;

  zmq::context_t context_{1};
  std::unique_ptr<Authenticator> authenticator_{};
  std::optional<FileListener> control_{};
  std::optional<FileListener> feed_{};
  std::optional<NetworkListener> network_{};

  Admission admission_;
  Followers followers_;
  EventBatches batches_{EventBatches::Limits()};
  uint64_t next_ticket_ = 1;
  std::map<uint64_t, InFlight> in_flight_{};  // By ticket: oldest first.

  std::atomic<uint64_t> requests_{0}, malformed_{0}, undecodable_{0}, overloaded_{0},
      unanswered_{0}, replies_lost_{0}, events_lost_{0}, restarts_{0}, strangers_{0};

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

void FrontDoor::publish(std::string topic, std::string owner, std::vector<std::byte> event) {
  impl_->publish(std::move(topic), std::move(owner), std::move(event));
}

std::optional<HostPort> FrontDoor::network_address() const { return impl_->network_address(); }

FrontDoor::Counts FrontDoor::counts() const { return impl_->counts(); }

}  // namespace troupe::cluster
