#include "schemas/envelope_codec.h"

#include <fmt/format.h>

#include "schemas/check.h"
#include "schemas/envelope.capnp.h"
#include "schemas/wire.h"

namespace troupe {

// Not in an unnamed namespace, because wire.h finds these by their arguments.

void to_wire(wire::Envelope::Builder to, const Envelope& from) {
  TROUPE_CHECK(from.protocol == kProtocolVersion);
  to.setProtocol(from.protocol);
  to.setJob(from.job);
  to.setEpoch(from.epoch);
  to.setRequestId(from.request_id);
  to.setDeadlineMs(from.deadline_ms);
  to.setSchema(from.schema);
  to.setPayload(wire::to_blob(from.payload, kPayloadBytesMax));
}

Envelope from_wire(wire::Envelope::Reader from, FieldReader& fields) {
  if (from.getProtocol() != kProtocolVersion) {
    fields.refuse(Error{
        ErrorCode::kCorruption,
        fmt::format("envelope: the sender speaks protocol {}, this program speaks {}; run the same "
                    "release on both sides",
                    from.getProtocol(), kProtocolVersion)});
    return {};
  }
  return {
      .protocol = from.getProtocol(),
      .job = from.getJob(),
      .epoch = from.getEpoch(),
      .request_id = from.getRequestId(),
      .deadline_ms = from.getDeadlineMs(),
      .schema = from.getSchema(),
      .payload = fields.blob(from.getPayload(), kPayloadBytesMax, "payload"),
  };
}

std::vector<std::byte> encode(const Envelope& envelope) {
  return wire::encode<wire::Envelope>(envelope);
}

Result<Envelope> decode_envelope(std::span<const std::byte> bytes) {
  if (bytes.size() > kEnvelopeBytesMax) {
    return Error{ErrorCode::kCorruption, fmt::format("envelope: {} bytes, at most {} are allowed",
                                                     bytes.size(), kEnvelopeBytesMax)};
  }
  return wire::decode<wire::Envelope, Envelope>(bytes, "envelope");
}

}  // namespace troupe
