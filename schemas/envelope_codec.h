// Envelope <-> bytes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "schemas/envelope.h"
#include "schemas/result.h"

namespace troupe {

// With room for the envelope's own fields, the whole is within kEnvelopeBytesMax.
inline constexpr size_t kPayloadBytesMax = kEnvelopeBytesMax - 1024;

// `envelope` must be of this protocol, its payload at most kPayloadBytesMax long.
std::vector<std::byte> encode(const Envelope& envelope);

// kCorruption unless `bytes` is one whole envelope of kProtocolVersion, at most kEnvelopeBytesMax
// long. The bytes may come from any peer, so no input may crash, over-read or make this allocate
// much more than its size. The payload is not looked into.
Result<Envelope> decode_envelope(std::span<const std::byte> bytes);

}  // namespace troupe
