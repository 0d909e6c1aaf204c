// Trajectory and verdict on the wire, for the codecs of messages that contain them. Included by
// *_codec.cpp only, because it brings Cap'n Proto.
#pragma once

#include "schemas/trajectory.capnp.h"
#include "schemas/trajectory.h"
#include "schemas/wire.h"

namespace troupe {

// A negative token would index nothing in a model: `fields` refuses it.
std::vector<int32_t> tokens_from_wire(capnp::List<int32_t>::Reader from, const char* field,
                                      FieldReader& fields);

// `from` must be valid; what comes back is, unless `fields` refuses it.
void to_wire(wire::Trajectory::Builder to, const Trajectory& from);
Trajectory from_wire(wire::Trajectory::Reader from, FieldReader& fields);

void to_wire(wire::VersionRange::Builder to, const VersionRange& from);
VersionRange from_wire(wire::VersionRange::Reader from, FieldReader& fields);

void to_wire(wire::VerdictPart::Builder to, const VerdictPart& from);
VerdictPart from_wire(wire::VerdictPart::Reader from, FieldReader& fields);

}  // namespace troupe
