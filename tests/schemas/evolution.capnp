@0xf0a2d04024771be3;
# Records as an older and a newer program would write them, for evolution_test.cpp.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::wire");

using GroupId = import "/schemas/records.capnp".GroupId;
using StepMetrics = import "/schemas/metrics.capnp".StepMetrics;

struct OlderStepRecord {
  metrics @0 :StepMetrics;
}

struct NewerStepRecord {
  metrics @0 :StepMetrics;
  consumed @1 :List(GroupId);
  remark @2 :Text;
  tokensPadded @3 :Int64;
}

struct OlderAttemptRecord {
  id @0 :GroupId;
  faults @1 :UInt32;
}

struct NewerAttemptRecord {
  id @0 :GroupId;
  faults @1 :UInt32;
  kills @2 :UInt32;
  lastWorker @3 :UInt64;
  remark @4 :Text;
}

struct OlderTrace {
  prompt @0 :Text;
  response @1 :Text;
}

struct NewerTrace {
  prompt @0 :Text;
  response @1 :Text;
  gold @2 :Text;
  isSolved @3 :Bool;
  score @4 :Float64;
}

struct OlderEvaluationRecord {
  isGate @0 :Bool;
  metrics @1 :List(UInt64);
  # Null; only its place matters.
  traces @2 :List(OlderTrace);
}

struct NewerEvaluationRecord {
  isGate @0 :Bool;
  metrics @1 :List(UInt64);
  traces @2 :List(NewerTrace);
}
