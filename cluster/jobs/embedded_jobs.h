// Ready job files that travel inside the program.
#pragma once

#include <string_view>

namespace troupe::cluster {

std::string_view quickstart_job();  // jobs/quickstart.toml

}  // namespace troupe::cluster
