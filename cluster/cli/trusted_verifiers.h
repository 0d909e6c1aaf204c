// The flag with which whoever runs a head names programs that verify without a sandbox.
#pragma once

#include <string>
#include <vector>

#include "cluster/cli/command_line.h"
#include "schemas/result.h"
#include "schemas/work.h"

namespace troupe::cluster {

void add_trusted_verifier_option(Command& command, std::vector<std::string>& values);

// From NAME=PROGRAM. kInvalidArgument for what is not that, a name that is there twice, and a
// program that cannot be executed.
Result<std::vector<TrustedProgram>> read_trusted_verifiers(const std::vector<std::string>& values);

}  // namespace troupe::cluster
