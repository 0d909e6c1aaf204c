// Error on the wire: its code and its message. Included by *_codec.cpp only, because it brings
// Cap'n Proto.
#pragma once

#include "schemas/result.capnp.h"
#include "schemas/result.h"
#include "schemas/wire.h"

namespace troupe {

inline void to_wire(wire::Failure::Builder to, const Error& from) {
  to.setCode(static_cast<uint8_t>(from.code));
  to.setMessage(wire::to_text(wire::cut(from.message), kTextBytesMax));
}

// A code of a newer program is kInternal here: nobody reacts to it yet.
inline Error from_wire(wire::Failure::Reader from, FieldReader& fields) {
  const uint8_t code = from.getCode();
  const bool is_known = code >= static_cast<uint8_t>(ErrorCode::kInternal) &&
                        code <= static_cast<uint8_t>(ErrorCode::kUnavailable);
  return {
      .code = is_known ? static_cast<ErrorCode>(code) : ErrorCode::kInternal,
      .message = fields.text(from.getMessage(), kTextBytesMax, "message"),
  };
}

}  // namespace troupe
