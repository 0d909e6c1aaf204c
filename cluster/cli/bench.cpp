#include "cluster/cli/command.h"
namespace troupe::cluster {
void add_bench(CLI::App&, int&) {}
}  // namespace troupe::cluster
