#include "schemas/envelope_codec.h"

#include <doctest/doctest.h>

#include <memory>

#include "schemas/envelope.capnp.h"
#include "schemas/wire.h"
#include "tests/schemas/filled.h"
#include "tests/schemas/mutations.h"

namespace troupe {
namespace {

Bytes encoded(const Envelope& envelope) { return encode(envelope); }

TEST_CASE("envelope_codec: every field comes back") {
  check_round_trip(filled_envelope(), encoded, decode_envelope);
  check_round_trip(Envelope{}, encoded, decode_envelope);
}

TEST_CASE("envelope_codec: cut and flipped messages") {
  const Bytes bytes = encode(filled_envelope());
  check_cuts_are_refused(bytes, decode_envelope);
  check_flips_are_survived(bytes, 10'000, encoded, decode_envelope);
}

TEST_CASE("envelope_codec: another protocol is refused, naming both") {
  capnp::MallocMessageBuilder message;
  message.initRoot<wire::Envelope>().setProtocol(77);
  const auto refused = decode_envelope(wire::to_bytes(message));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kCorruption);
  CHECK(refused.error().message.find("speaks protocol 77, this program speaks 2") !=
        std::string::npos);
}

TEST_CASE("envelope_codec: longer than any envelope is refused without a look") {
  // Never touched, so it costs address space only.
  const auto bytes = std::make_unique_for_overwrite<std::byte[]>(kEnvelopeBytesMax + 8);
  const auto refused = decode_envelope({bytes.get(), kEnvelopeBytesMax + 8});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kCorruption);
}

}  // namespace
}  // namespace troupe
