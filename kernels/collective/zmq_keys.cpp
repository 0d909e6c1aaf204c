#include "kernels/collective/zmq_keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "kernels/collective/mesh.h"

namespace troupe::kernels::collective {
namespace {

struct KeyPair {
  std::string public_key{};
  std::string secret_key{};
};

Result<KeyPair> make_pair() {
  std::array<char, kKeyCharacters + 1> open{}, secret{};
  if (zmq_curve_keypair(open.data(), secret.data()) != 0) {
    return Error{ErrorCode::kInternal,
                 fmt::format("cannot make keys for CURVE: {}", zmq_strerror(zmq_errno()))};
  }
  return KeyPair{open.data(), secret.data()};
}

using Key = std::array<uint8_t, 32>;

std::optional<Key> decoded(const std::string& text) {
  Key key{};
  if (text.size() != kKeyCharacters || zmq_z85_decode(key.data(), text.c_str()) == nullptr) {
    return std::nullopt;
  }
  return key;
}

bool is_same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// Only ranks above dial.
bool dials(const ZmqSeat& seat, int rank) { return rank > seat.rank && rank < seat.num_ranks(); }

std::optional<int> owner_of(const ZmqSeat& seat, std::string_view key) {
  for (int rank = seat.rank + 1; rank < seat.num_ranks(); ++rank) {
    const auto wanted = decoded(seat.public_keys[static_cast<size_t>(rank)]);
    if (wanted && is_same(key, {reinterpret_cast<const char*>(wanted->data()), wanted->size()})) {
      return rank;
    }
  }
  return std::nullopt;
}

std::optional<int> number(const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<std::vector<ZmqSeat>> make_seats(int num_ranks, uint64_t epoch) {
  if (num_ranks < 1 || num_ranks > kRanksMax) {
    return invalid_argument(
        fmt::format("a team has 1 to {} ranks, and {} were asked for", kRanksMax, num_ranks));
  }
  const auto token = make_pair();
  if (!token) return token.error();
  std::vector<KeyPair> pairs;
  ZmqSeat seat{.epoch = epoch, .token = token->secret_key};
  for (int rank = 0; rank < num_ranks; ++rank) {
    auto pair = make_pair();
    if (!pair) return pair.error();
    seat.public_keys.push_back(pair->public_key);
    pairs.push_back(std::move(*pair));
  }
  std::vector<ZmqSeat> seats;
  for (int rank = 0; rank < num_ranks; ++rank) {
    seat.rank = rank;
    seat.secret_key = pairs[static_cast<size_t>(rank)].secret_key;
    seats.push_back(seat);
  }
  return seats;
}

Status check(const ZmqSeat& seat) {
  if (seat.num_ranks() < 1 || seat.num_ranks() > kRanksMax || seat.rank < 0 ||
      seat.rank >= seat.num_ranks()) {
    return invalid_argument(
        fmt::format("rank {} is not in a team of {}", seat.rank, seat.num_ranks()));
  }
  for (const std::string& key : seat.public_keys) {
    if (!decoded(key)) return invalid_argument("a rank's public key is not a key of CURVE");
    if (std::count(seat.public_keys.begin(), seat.public_keys.end(), key) != 1) {
      return invalid_argument("two ranks have one public key");
    }
  }
  std::array<char, kKeyCharacters + 1> open{};
  if (!decoded(seat.secret_key) || zmq_curve_public(open.data(), seat.secret_key.c_str()) != 0 ||
      seat.public_keys[static_cast<size_t>(seat.rank)] != open.data()) {
    return invalid_argument(fmt::format("the secret key is not the one of rank {}", seat.rank));
  }
  if (seat.token.size() != kKeyCharacters) return invalid_argument("the epoch's token is no token");
  return ok();
}

std::optional<int> admitted(const ZmqSeat& seat, ZmqTransport transport, std::string_view mechanism,
                            std::span<const std::string> credentials) {
  if (transport == ZmqTransport::kTcp) {
    if (mechanism != "CURVE" || credentials.size() != 1) return std::nullopt;
    return owner_of(seat, credentials[0]);
  }
  if (mechanism != "PLAIN" || credentials.size() != 2) return std::nullopt;
  const auto rank = number(credentials[0]);
  if (!rank || !dials(seat, *rank) || !is_same(credentials[1], seat.token)) return std::nullopt;
  return rank;
}

}  // namespace troupe::kernels::collective
