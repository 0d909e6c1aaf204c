#include "kernels/collective/zmq_links.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "schemas/check.h"
#include "schemas/private_folder.h"

namespace troupe::kernels::collective {
namespace {

using std::chrono::milliseconds;

constexpr char kDomain[] = "troupe.team";
constexpr int kHandshakeMs = 10'000;
// What CURVE adds to a message: the bound is on what arrives, before it is decrypted.
constexpr size_t kCurveBytes = 64;
constexpr size_t kMemoryKeptBytes = 16 << 20;
constexpr size_t kEndpointBytesMax = 256;
constexpr size_t kAdmissionFramesMax = 16;
// A day. The library's "never" (-1) also throws away what a connection that has ended had brought
// and nobody has read yet; a lost rank's socket is closed long before.
constexpr int kReconnectMs = 24 * 3'600 * 1'000;
// ZMQ_ZAP_ENFORCE_DOMAIN, which the library takes and its header keeps among drafts: with it no
// handler means that nobody comes in.
constexpr int kEnforceDomain = 93;

std::string text_of(const zmq::message_t& message) {
  return {static_cast<const char*>(message.data()), message.size()};
}

bool receive_part(void* socket, zmq::message_t& message) {
  int got = 0;
  do {
    got = zmq_msg_recv(message.handle(), socket, ZMQ_DONTWAIT);
  } while (got < 0 && zmq_errno() == EINTR);
  return got >= 0;
}

std::optional<ZmqTransport> transport_of(const std::string& address) {
  if (address.rfind("ipc://", 0) == 0) return ZmqTransport::kIpc;
  if (address.rfind("tcp://", 0) == 0) return ZmqTransport::kTcp;
  return std::nullopt;
}

// A socket for both families would call its addresses otherwise.
bool is_ipv6(const std::string& endpoint) { return endpoint.find('[') != std::string::npos; }

// The events of a watched socket since it was last asked.
struct Event {
  uint16_t what = 0;
  uint32_t value = 0;
};

bool read_event(zmq::socket_t& events, Event& event) {
  zmq::message_t head, address;
  if (!receive_part(events.handle(), head)) return false;
  if (head.more()) receive_part(events.handle(), address);
  TROUPE_CHECK(head.size() == 6);
  std::memcpy(&event.what, head.data<char>(), sizeof(event.what));
  std::memcpy(&event.value, head.data<char>() + sizeof(event.what), sizeof(event.value));
  return true;
}

}  // namespace

ZmqLinks::ZmqLinks(const ZmqMesh::Options& options)
    : seat_(options.seat),
      options_(options),
      context_(options.num_io_threads),
      knocks_(context_, zmq::socket_type::rep),
      dealers_(static_cast<size_t>(options.seat.rank)),
      guests_(static_cast<size_t>(options.seat.num_ranks())),
      lost_(static_cast<size_t>(options.seat.num_ranks())) {
  // The C library gives memory back to the system, and takes it again page by page, unless blocks
  // of this size have been seen to come and go; for messages that costs as much as all copying.
  { const zmq::message_t largest(kMemoryKeptBytes); }
  knocks_.set(zmq::sockopt::linger, 0);
  // Before anybody can knock.
  knocks_.bind("inproc://zeromq.zap.01");
}

ZmqLinks::~ZmqLinks() { close(milliseconds(0)); }

ZmqLinks::Watched ZmqLinks::make(zmq::socket_type type, int events) {
  Watched made{zmq::socket_t(context_, type), zmq::socket_t(context_, zmq::socket_type::pair)};
  set_limits(made.socket);
  const std::string name = fmt::format("inproc://events{}", num_watched_++);
  if (zmq_socket_monitor(made.socket.handle(), name.c_str(), events) != 0) throw zmq::error_t();
  made.events.set(zmq::sockopt::linger, 0);
  // Read whenever there are any; a full one would block the library's own thread.
  made.events.set(zmq::sockopt::rcvhwm, 0);
  made.events.connect(name);
  return made;
}

void ZmqLinks::set_limits(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::linger, 0);
  // What is sent is bounded by what the others have acknowledged, so nothing is dropped at a mark.
  socket.set(zmq::sockopt::sndhwm, 0);
  // As many again as may be on their way; who sends more waits.
  socket.set(zmq::sockopt::rcvhwm,
             options_.num_channels * 4 * static_cast<int>(kChunksInFlightMax));
  socket.set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(kMessageBytesMax + kCurveBytes));
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
  socket.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
}

Status ZmqLinks::bind() {
  const std::string& address = options_.address;
  const auto transport = transport_of(address);
  if (!transport) {
    return invalid_argument("a rank's address begins with ipc:// or tcp://, not so " + address);
  }
  transport_ = *transport;
  std::string wanted = address + ":0";
  if (transport_ == ZmqTransport::kTcp) {
    // Not on every network that the host happens to be in, and no port that somebody may know.
    std::string host = address.substr(6);
    const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (is_bracketed) host = host.substr(1, host.size() - 2);
    if (host.empty() || host == "0.0.0.0" || host == "::" ||
        host.find_first_of(is_bracketed ? "*/;[]" : "*/;[]:") != std::string::npos) {
      return invalid_argument("name one address of this host, without a port, in " + address);
    }
  } else {
    const std::string folder = address.substr(6);
    if (auto made = make_private_folder(folder); !made) return made.error();
    // No name twice, so that nobody's socket is replaced.
    uint32_t random = 0;
    if (::getrandom(&random, sizeof(random), 0) != static_cast<ssize_t>(sizeof(random))) {
      return Error{ErrorCode::kInternal, "the system gives no random numbers"};
    }
    wanted = fmt::format("{}/e{}r{}-{:08x}", address, seat_.epoch, seat_.rank, random);
    constexpr size_t kPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;
    const size_t path_bytes = wanted.size() - 6;
    if (path_bytes > kPathBytesMax) {
      return invalid_argument(
          fmt::format("{}: the name of a socket in it would have {} bytes and the system takes {}; "
                      "name a folder with a shorter path",
                      folder, path_bytes, kPathBytesMax));
    }
  }
  try {
    router_ = make(zmq::socket_type::router, ZMQ_EVENT_DISCONNECTED);
    zmq::socket_t& socket = router_.socket;
    // What is sent to a rank that is gone fails, and nobody takes over another's connection.
    socket.set(zmq::sockopt::router_mandatory, true);
    socket.set(zmq::sockopt::router_handover, false);
    socket.set(zmq::sockopt::backlog, std::max(100, seat_.num_ranks()));
    socket.set(zmq::sockopt::zap_domain, kDomain);
    const int is_enforced = 1;
    zmq_setsockopt(socket.handle(), kEnforceDomain, &is_enforced, sizeof(is_enforced));
    if (transport_ == ZmqTransport::kTcp) {
      socket.set(zmq::sockopt::curve_server, true);
      socket.set(zmq::sockopt::curve_secretkey, seat_.secret_key);
    } else {
      socket.set(zmq::sockopt::plain_server, true);
    }
    socket.set(zmq::sockopt::ipv6, is_ipv6(wanted));
    socket.bind(wanted);
    endpoint_ = socket.get(zmq::sockopt::last_endpoint);
  } catch (const zmq::error_t& error) {
    return invalid_argument(fmt::format("cannot open a socket at {}: {}", address, error.what()));
  }
  return ok();
}

Status ZmqLinks::dial(int rank, const std::string& endpoint) {
  TROUPE_CHECK(is_below(rank));
  if (endpoint.size() > kEndpointBytesMax || transport_of(endpoint) != transport_) {
    return invalid_argument(fmt::format("rank {} is not to be found at {}", rank,
                                        endpoint.substr(0, kEndpointBytesMax)));
  }
  Watched& dealer = dealers_[static_cast<size_t>(rank)];
  try {
    dealer = make(zmq::socket_type::dealer,
                  ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                      ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL);
    const auto of = [&](int whose) { return seat_.public_keys[static_cast<size_t>(whose)]; };
    if (transport_ == ZmqTransport::kTcp) {
      dealer.socket.set(zmq::sockopt::curve_serverkey, of(rank));
      dealer.socket.set(zmq::sockopt::curve_publickey, of(seat_.rank));
      dealer.socket.set(zmq::sockopt::curve_secretkey, seat_.secret_key);
    } else {
      dealer.socket.set(zmq::sockopt::plain_username, std::to_string(seat_.rank));
      dealer.socket.set(zmq::sockopt::plain_password, seat_.token);
    }
    dealer.socket.set(zmq::sockopt::ipv6, is_ipv6(endpoint));
    dealer.socket.connect(endpoint);
  } catch (const zmq::error_t& error) {
    return invalid_argument(
        fmt::format("cannot connect to rank {} at {}: {}", rank, endpoint, error.what()));
  }
  return ok();
}

void ZmqLinks::wait(int wake, std::optional<milliseconds> time) {
  std::vector<zmq_pollitem_t> items = {{nullptr, wake, ZMQ_POLLIN, 0},
                                       {knocks_.handle(), 0, ZMQ_POLLIN, 0},
                                       {router_.socket.handle(), 0, ZMQ_POLLIN, 0},
                                       {router_.events.handle(), 0, ZMQ_POLLIN, 0}};
  for (const Watched& dealer : dealers_) {
    if (!dealer.socket) continue;
    items.push_back({const_cast<void*>(dealer.socket.handle()), 0, ZMQ_POLLIN, 0});
    items.push_back({const_cast<void*>(dealer.events.handle()), 0, ZMQ_POLLIN, 0});
  }
  const int ready = zmq_poll(items.data(), static_cast<int>(items.size()),
                             time ? static_cast<long>(time->count()) : -1);
  TROUPE_CHECK(ready >= 0 || zmq_errno() == EINTR);
  if (items[1].revents != 0) answer_knock();
  if (items[3].revents != 0) read_router_events();
  for (int rank = 0; rank < seat_.rank; ++rank) read_dealer_events(rank);
}

// ZAP (RFC 27): version, request, domain, address, identity, mechanism, credentials.
void ZmqLinks::answer_knock() {
  std::vector<std::string> frames;
  bool has_more = true;
  while (has_more) {
    zmq::message_t part;
    if (!receive_part(knocks_.handle(), part)) return;
    has_more = part.more();
    if (frames.size() < kAdmissionFramesMax) frames.push_back(text_of(part));
  }
  std::optional<int> rank;
  if (frames.size() >= 6 && frames[0] == "1.0") {
    rank = admitted(seat_, transport_, frames[5], std::span(frames).subspan(6));
  }
  // One connection each: a second one can only be somebody who has the first one's keys.
  if (rank && std::exchange(guests_[static_cast<size_t>(*rank)].is_admitted, true)) rank.reset();
  ++(rank ? num_admitted_ : num_refused_);
  const std::array<std::string, 6> reply = {
      "1.0", frames.size() >= 2 ? frames[1] : "", rank ? "200" : "400",
      "",    rank ? std::to_string(*rank) : "",   ""};
  for (size_t i = 0; i < reply.size(); ++i) {
    zmq_send(knocks_.handle(), reply[i].data(), reply[i].size(),
             i + 1 < reply.size() ? ZMQ_SNDMORE : 0);
  }
}

void ZmqLinks::read_router_events() {
  Event event;
  while (read_event(router_.events, event)) {
    if (event.what != ZMQ_EVENT_DISCONNECTED) continue;
    for (int rank = seat_.rank + 1; rank < seat_.num_ranks(); ++rank) {
      Guest& guest = guests_[static_cast<size_t>(rank)];
      if (guest.descriptor < 0 || guest.descriptor != static_cast<int>(event.value)) continue;
      guest.descriptor = -1;
      lose(rank, "its connection has ended");
    }
  }
}

void ZmqLinks::read_dealer_events(int rank) {
  Watched& dealer = dealers_[static_cast<size_t>(rank)];
  Event event;
  while (dealer.events && read_event(dealer.events, event)) {
    switch (event.what) {
      case ZMQ_EVENT_CLOSED:
        lose(rank, "it cannot be reached");
        break;
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        lose(rank, "it does not let this rank in, or is another than was said");
        break;
      case ZMQ_EVENT_DISCONNECTED:
        lose(rank, "its connection has ended");
        break;
      default:
        break;
    }
  }
}

void ZmqLinks::lose(int rank, std::string reason) {
  auto& lost = lost_[static_cast<size_t>(rank)];
  if (lost) return;
  lost = reason;
  losses_.push_back({rank, std::move(reason)});
}

std::vector<ZmqLinks::Loss> ZmqLinks::take_losses() {
  for (const Loss& loss : losses_) {
    // It would be tried again one day.
    if (is_below(loss.rank)) close(dealers_[static_cast<size_t>(loss.rank)], milliseconds(0));
  }
  return std::exchange(losses_, {});
}

void ZmqLinks::forget(int rank) {
  lose(rank, "it is not needed any more");
  if (is_below(rank)) close(dealers_[static_cast<size_t>(rank)], milliseconds(0));
}

bool ZmqLinks::receive(Incoming& incoming) {
  const size_t num_turns = dealers_.size() + 1;
  for (size_t i = 0; i < num_turns; ++i) {
    const size_t turn = next_turn_;
    next_turn_ = (next_turn_ + 1) % num_turns;
    const bool has_come = turn < dealers_.size()
                              ? receive_from_dealer(static_cast<int>(turn), incoming)
                              : receive_from_router(incoming);
    if (has_come) return true;
  }
  return false;
}

bool ZmqLinks::receive_from_dealer(int rank, Incoming& incoming) {
  Watched& dealer = dealers_[static_cast<size_t>(rank)];
  if (!dealer.socket || !receive_part(dealer.socket.handle(), incoming.message)) return false;
  incoming.rank = rank;
  if (!incoming.message.more()) return true;
  for (zmq::message_t rest; receive_part(dealer.socket.handle(), rest) && rest.more();) {
  }
  incoming.message.rebuild();  // No frame is so small, so it is refused.
  return true;
}

bool ZmqLinks::receive_from_router(Incoming& incoming) {
  zmq::message_t route, rest;
  while (receive_part(router_.socket.handle(), route)) {
    if (!route.more() || !receive_part(router_.socket.handle(), incoming.message)) continue;
    // What the handler said of the connection when it was let in.
    const char* who = zmq_msg_gets(incoming.message.handle(), "User-Id");
    int rank = -1;
    if (who != nullptr) std::from_chars(who, who + std::strlen(who), rank);
    const bool has_more = incoming.message.more();
    const bool is_known =
        rank > seat_.rank && rank < seat_.num_ranks() && greet(rank, route, incoming.message);
    if (has_more) {
      while (receive_part(router_.socket.handle(), rest) && rest.more()) {
      }
      incoming.message.rebuild();
    }
    if (!is_known) continue;
    incoming.rank = rank;
    return true;
  }
  return false;
}

// Learns at its first message where a rank is. False when the message came another way than that.
bool ZmqLinks::greet(int rank, const zmq::message_t& route, const zmq::message_t& message) {
  Guest& guest = guests_[static_cast<size_t>(rank)];
  if (!guest.route.empty()) return guest.route == route.to_string_view();
  // Descriptors are used again: what is told of this number by now is another connection's end.
  read_router_events();
  guest.route = text_of(route);
  guest.descriptor = zmq_msg_get(const_cast<zmq::message_t&>(message).handle(), ZMQ_SRCFD);
  return true;
}

void ZmqLinks::send(int rank, const Frame& frame, std::span<const std::byte> payload) {
  if (lost_[static_cast<size_t>(rank)]) return;
  zmq::message_t message(kFrameBytes + payload.size());
  auto* bytes = static_cast<std::byte*>(message.data());
  encode(frame, std::span<std::byte, kFrameBytes>(bytes, kFrameBytes));
  if (!payload.empty()) std::memcpy(bytes + kFrameBytes, payload.data(), payload.size());
  void* socket = nullptr;
  if (is_below(rank)) {
    socket = dealers_[static_cast<size_t>(rank)].socket.handle();
  } else {
    socket = router_.socket.handle();
    const std::string& route = guests_[static_cast<size_t>(rank)].route;
    if (route.empty()) return;  // It has not come yet; farewells are said to all.
    if (zmq_send(socket, route.data(), route.size(), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
      socket = nullptr;
    }
  }
  if (socket == nullptr || zmq_msg_send(message.handle(), socket, ZMQ_DONTWAIT) < 0) {
    lose(rank, "nothing can be sent to it");
  }
}

void ZmqLinks::close(Watched& watched, milliseconds linger) {
  if (!watched.socket) return;
  // A monitor that nobody reads would block the library's own thread.
  zmq_socket_monitor(watched.socket.handle(), nullptr, 0);
  watched.events.close();
  watched.socket.set(zmq::sockopt::linger, static_cast<int>(linger.count()));
  watched.socket.close();
}

void ZmqLinks::close(milliseconds linger) {
  for (Watched& dealer : dealers_) close(dealer, linger);
  if (transport_ == ZmqTransport::kIpc && router_.socket) {
    // The library leaves it there.
    ::unlink(endpoint_.substr(std::string_view("ipc://").size()).c_str());
  }
  close(router_, linger);
  knocks_.close();
  context_.close();  // Waits for what lingers.
}

}  // namespace troupe::kernels::collective
