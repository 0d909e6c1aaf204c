// JobSpec on the wire, for the codecs of messages that contain it. Included by *_codec.cpp only,
// because it brings Cap'n Proto.
#pragma once

#include "schemas/job.capnp.h"
#include "schemas/job.h"
#include "schemas/wire.h"

namespace troupe {

void to_wire(wire::JobSpec::Builder to, const JobSpec& from);
JobSpec from_wire(wire::JobSpec::Reader from, FieldReader& fields);

}  // namespace troupe
