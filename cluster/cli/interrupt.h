// Ctrl-C and kill: the first asks loops to stop at the next clean point, the second ends the
// process at once.
#pragma once

#include "schemas/result.h"

namespace troupe::cluster {

// Takes SIGINT and SIGTERM. Called once, before threads start.
void watch_for_interrupts();

// True after the first signal. Loops look at it where they can stop cleanly.
bool is_interrupted();

// What a loop that stopped returns: kStopped, which is exit code 3.
Error stopped();

}  // namespace troupe::cluster
