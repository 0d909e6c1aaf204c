// What a run reports, on the wire, for the codecs of messages that contain it. Included by
// *_codec.cpp only, because it brings Cap'n Proto.
#pragma once

#include "schemas/metrics.capnp.h"
#include "schemas/metrics.h"
#include "schemas/wire.h"

namespace troupe {

void to_wire(wire::StepMetrics::Builder to, const StepMetrics& from);
StepMetrics from_wire(wire::StepMetrics::Reader from, FieldReader& fields);
void to_wire(wire::EvalMetrics::Builder to, const EvalMetrics& from);
EvalMetrics from_wire(wire::EvalMetrics::Reader from, FieldReader& fields);
void to_wire(wire::Trace::Builder to, const Trace& from);
Trace from_wire(wire::Trace::Reader from, FieldReader& fields);
void to_wire(wire::Ledger::Builder to, const Ledger& from);
Ledger from_wire(wire::Ledger::Reader from, FieldReader& fields);
void to_wire(wire::WorkerStatus::Builder to, const WorkerStatus& from);
WorkerStatus from_wire(wire::WorkerStatus::Reader from, FieldReader& fields);
void to_wire(wire::RunSample::Builder to, const RunSample& from);
RunSample from_wire(wire::RunSample::Reader from, FieldReader& fields);

}  // namespace troupe
