// What is told of hosts both between hosts and to users. Included by *_codec.cpp only, because it
// brings Cap'n Proto.
#pragma once

#include "schemas/node.capnp.h"
#include "schemas/node.h"
#include "schemas/wire.h"

namespace troupe {

void to_wire(wire::HostFacts::Builder to, const HostFacts& from);
HostFacts from_wire(wire::HostFacts::Reader from, FieldReader& fields);

void to_wire(wire::HostReading::Builder to, const HostReading& from);
HostReading from_wire(wire::HostReading::Reader from, FieldReader& fields);

}  // namespace troupe
