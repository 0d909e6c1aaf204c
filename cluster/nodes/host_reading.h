// What this host says of itself when it is asked.
#pragma once

#include <string>

#include "kernels/backend.h"
#include "schemas/node.h"

namespace troupe::cluster {

// `home` is the daemon's folder. The clock is read last.
HostReading take_reading(const std::string& home, double flops_per_core = 0);

// Multiplications and additions of a product in a second of one core's time, as the fastest of
// several tries had them: what else runs on the core does not count. Takes about a tenth of a
// second.
double measure_flops_per_core(const kernels::Backend& backend);

}  // namespace troupe::cluster
