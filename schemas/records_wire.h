// Records on the wire, for the codecs of messages that contain them. Included by *_codec.cpp only,
// because it brings Cap'n Proto.
#pragma once

#include "schemas/records.capnp.h"
#include "schemas/records.h"
#include "schemas/wire.h"

namespace troupe {

void to_wire(wire::GroupId::Builder to, const GroupId& from);
GroupId from_wire(wire::GroupId::Reader from, FieldReader& fields);
// What comes back has as many logprobs as tokens, and no negative token, unless `fields` refuses
// it.
void to_wire(wire::ResponseSegment::Builder to, const ResponseSegment& from);
ResponseSegment from_wire(wire::ResponseSegment::Reader from, FieldReader& fields);
void to_wire(wire::PointPolicy::Builder to, const PointPolicy& from);
PointPolicy from_wire(wire::PointPolicy::Reader from, FieldReader& fields);
void to_wire(wire::PointRecord::Builder to, const PointRecord& from);
PointRecord from_wire(wire::PointRecord::Reader from, FieldReader& fields);

}  // namespace troupe
