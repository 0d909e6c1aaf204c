// Who may join a team of one epoch over ZeroMQ. Whoever forms the team makes the keys, hands each
// rank its seat over a channel that is safe already, and forgets them; the next epoch has others,
// so a rank of an older one is a stranger.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/result.h"

namespace troupe::kernels::collective {

inline constexpr size_t kKeyCharacters = 40;  // 32 bytes as Z85.

// What one rank is told. Secret but for the public keys.
struct ZmqSeat {
  int rank = 0;
  uint64_t epoch = 0;
  std::vector<std::string> public_keys{};  // Of all ranks, by rank.
  std::string secret_key{};                // Of this rank.
  std::string token{};                     // Of the epoch; what ranks of one host show.

  int num_ranks() const { return static_cast<int>(public_keys.size()); }
};

// New keys for each rank, by rank.
Result<std::vector<ZmqSeat>> make_seats(int num_ranks, uint64_t epoch);

// kInvalidArgument unless all keys are there, valid, and each another.
Status check(const ZmqSeat& seat);

enum class ZmqTransport : uint8_t { kIpc, kTcp };

// The rank that the credentials of a connection belong to, if it is one that dials this seat. Over
// tcp that takes CURVE and a key of this epoch, on one host a rank's number and the epoch's token.
// `credentials` are frames of the ZAP protocol (RFC 27), of any number and size.
std::optional<int> admitted(const ZmqSeat& seat, ZmqTransport transport, std::string_view mechanism,
                            std::span<const std::string> credentials);

}  // namespace troupe::kernels::collective
