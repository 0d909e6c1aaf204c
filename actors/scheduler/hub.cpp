#include "actors/scheduler/hub.h"

#include "actors/transport.h"
#include "schemas/envelope_codec.h"

namespace troupe::actors {

caf::behavior hub_actor(caf::stateful_actor<HubState>* self, caf::unit_t) {
  return {
      [self](const WireBytes& bytes) {
        auto envelope = decode_envelope(from_wire(bytes));
        const auto run = envelope ? self->state.runs.find(envelope->job) : self->state.runs.end();
        if (run == self->state.runs.end()) {
          ++self->state.refused;
          return;
        }
        self->send(run->second, PeerSaid{self->current_sender(), std::move(*envelope)});
      },
      [self](const RunBegan& began) { self->state.runs[began.job] = began.run; },
      [self](const RunOver& over) { self->state.runs.erase(over.job); },
  };
}

}  // namespace troupe::actors
