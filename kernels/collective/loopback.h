// Ranks that are threads of one process: each takes what it is to have from the others' memory.
#pragma once

#include <memory>
#include <vector>

#include "kernels/collective/mesh.h"

namespace troupe::kernels::collective {

// By rank. A rank whose mesh and communicators are gone has left: who waits for it is told.
std::vector<std::shared_ptr<Mesh>> loopback_team(int num_ranks, int num_channels);

}  // namespace troupe::kernels::collective
