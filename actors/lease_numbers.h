// Epochs of leases and ids of requests, which a head counts upwards: greater than those of any head
// before it, because the store gives each a greater epoch as the job's writer.
#pragma once

#include <cstdint>

namespace troupe::actors {

inline uint64_t first_lease_number(uint64_t writer_epoch) { return (writer_epoch << 32) + 1; }

// The last that an earlier head can have used than the one which gave a lease of this epoch.
inline uint64_t last_number_of_earlier(uint64_t lease_epoch) { return lease_epoch >> 32 << 32; }

}  // namespace troupe::actors
