// The tables of tables/*.toml, which travel inside the program.
#pragma once

#include <span>
#include <string_view>

namespace troupe::cluster {

struct EmbeddedTable {
  std::string_view file{};
  std::string_view text{};
};

// In byte order of their names.
std::span<const EmbeddedTable> embedded_tables();

}  // namespace troupe::cluster
