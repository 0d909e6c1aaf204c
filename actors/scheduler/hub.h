// The root actor of a head: every worker talks to it, because a node is to publish one actor only.
// It passes what comes on to the run of the job that the envelope names.
#pragma once

#include <caf/all.hpp>

#include "actors/controller/run_actor.h"

namespace troupe::actors {

struct RunBegan {
  uint64_t job = 0;
  RunActor run{};
};
struct RunOver {
  uint64_t job = 0;
};

struct HubState {
  static inline const char* name = "hub";
  std::map<uint64_t, RunActor> runs{};
  uint64_t refused = 0;  // Messages that were no envelopes, or of nobody's job.
};

// Untyped, because what comes over the network is one type of bytes and the rest is local. It takes
// an argument because CAF reads a null pointer when a function without any is spawned.
caf::behavior hub_actor(caf::stateful_actor<HubState>* self, caf::unit_t);

}  // namespace troupe::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::RunBegan)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::RunOver)
