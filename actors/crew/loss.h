// Whose fault it is that a worker is lost. What it had is counted by that.
#pragma once

namespace troupe::actors {

enum class Loss {
  kFault,   // Its own: it ended by itself, does not come up, or a deadline has passed.
  kKilled,  // From outside: somebody's signal, silence, or a connection that is gone.
  kTeam,    // Another rank of its team was lost, or its place was wanted for something else.
};

}  // namespace troupe::actors
