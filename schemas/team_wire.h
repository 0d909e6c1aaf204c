// What a learner's team is told and says, on the wire. Included by *_codec.cpp only, because it
// brings Cap'n Proto.
#pragma once

#include "schemas/team.capnp.h"
#include "schemas/team.h"
#include "schemas/wire.h"

namespace troupe {

void to_wire(wire::TeamSeat::Builder to, const TeamSeat& from);
TeamSeat from_wire(wire::TeamSeat::Reader from, FieldReader& fields);
void to_wire(wire::RankSeated::Builder to, const RankSeated& from);
RankSeated from_wire(wire::RankSeated::Reader from, FieldReader& fields);
void to_wire(wire::JoinTeam::Builder to, const JoinTeam& from);
JoinTeam from_wire(wire::JoinTeam::Reader from, FieldReader& fields);
// What comes back has masks of 0 and 1, as many as tokens, and as many log-probabilities or none.
void to_wire(wire::LearnShare::Builder to, const LearnShare& from);
LearnShare from_wire(wire::LearnShare::Reader from, FieldReader& fields);
void to_wire(wire::PointWritten::Builder to, const PointWritten& from);
PointWritten from_wire(wire::PointWritten::Reader from, FieldReader& fields);

}  // namespace troupe
