#include "cluster/keys/authenticator.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "schemas/check.h"
#include "schemas/system_error.h"

namespace troupe::cluster {
namespace {

constexpr size_t kFramesMax = 8;  // A question has seven with CURVE; the rest is thrown away.
// What a peer says of itself does not replace a property that was set here.
constexpr const char* kKeyProperty = "X-Troupe-Key";

std::string bytes_of(const zmq::message_t& frame) {
  return {static_cast<const char*>(frame.data()), frame.size()};
}

// A property the way ZMTP writes one (RFC 23).
std::string property(std::string_view name, std::string_view value) {
  std::string bytes(1, static_cast<char>(name.size()));
  bytes += name;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes += static_cast<char>((value.size() >> shift) & 0xff);
  }
  bytes += value;
  return bytes;
}

}  // namespace

const char* zap_domain(KeyKind kind) { return kind == KeyKind::kNode ? "nodes" : "users"; }

// Version, request, domain, address, routing id, mechanism, credentials.
std::optional<Admitted> admit(std::span<const std::string> frames, const FindKey& find) {
  PublicKey key{};
  if (frames.size() != 7 || frames[0] != "1.0" || frames[5] != "CURVE" ||
      frames[6].size() != key.size()) {
    return std::nullopt;
  }
  std::memcpy(key.data(), frames[6].data(), key.size());
  auto identity = find(key);
  if (!identity || frames[2] != zap_domain(identity->kind)) return std::nullopt;
  return Admitted{std::move(*identity), key};
}

std::vector<std::string> zap_reply(std::span<const std::string> frames,
                                   const std::optional<Admitted>& admitted) {
  const std::string request = frames.size() >= 2 ? frames[1] : "";
  if (!admitted) return {"1.0", request, "400", "no key of this head", "", ""};
  return {"1.0",
          request,
          "200",
          "",
          admitted->identity.name,
          property(kKeyProperty, text_of(admitted->key))};
}

Result<std::unique_ptr<Authenticator>> Authenticator::begin(zmq::context_t& context,
                                                            FindKey find) try {
  Descriptor end(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!end) return system_error("cannot make an event", errno);
  std::unique_ptr<Authenticator> made(new Authenticator(context, std::move(find), std::move(end)));
  made->thread_ = std::thread([one = made.get()] { one->run(); });
  return made;
} catch (const zmq::error_t& error) {
  return Error{ErrorCode::kInternal, std::string("cannot answer who may come in: ") + error.what()};
}

Authenticator::Authenticator(zmq::context_t& context, FindKey find, Descriptor end)
    : find_(std::move(find)), end_(std::move(end)), knocks_(context, zmq::socket_type::rep) {
  knocks_.set(zmq::sockopt::linger, 0);
  knocks_.bind("inproc://zeromq.zap.01");
}

Authenticator::~Authenticator() {
  const uint64_t one = 1;
  while (::write(end_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
  }
  if (thread_.joinable()) thread_.join();
}

// From here on the socket is this thread's.
void Authenticator::run() {
  for (;;) {
    std::array<zmq_pollitem_t, 2> items = {zmq_pollitem_t{knocks_.handle(), 0, ZMQ_POLLIN, 0},
                                           zmq_pollitem_t{nullptr, end_.get(), ZMQ_POLLIN, 0}};
    const int ready = zmq_poll(items.data(), static_cast<int>(items.size()), -1);
    if (ready < 0 && zmq_errno() == ETERM) return;
    TROUPE_CHECK(ready >= 0 || zmq_errno() == EINTR);
    if (items[1].revents != 0) return;
    if (items[0].revents != 0) answer();
  }
}

void Authenticator::answer() {
  std::vector<std::string> frames;
  for (bool has_more = true; has_more;) {
    zmq::message_t frame;
    if (zmq_msg_recv(frame.handle(), knocks_.handle(), ZMQ_DONTWAIT) < 0) {
      if (zmq_errno() == EINTR) continue;
      return;
    }
    has_more = frame.more();
    if (frames.size() < kFramesMax) frames.push_back(bytes_of(frame));
  }
  const auto admitted = admit(frames, find_);
  ++(admitted ? admitted_ : refused_);
  const auto reply = zap_reply(frames, admitted);
  for (size_t i = 0; i < reply.size(); ++i) {
    zmq_send(knocks_.handle(), reply[i].data(), reply[i].size(),
             i + 1 < reply.size() ? ZMQ_SNDMORE : 0);
  }
}

std::optional<PublicKey> key_of(const zmq::message_t& frame) {
  const char* text = zmq_msg_gets(frame.handle(), kKeyProperty);
  return text == nullptr ? std::nullopt : public_key_of(text);
}

std::optional<Identity> sender_of(const zmq::message_t& frame, KeyRing& ring) {
  const auto key = key_of(frame);
  return key ? ring.find(*key) : std::nullopt;
}

}  // namespace troupe::cluster
