#include "cluster/cli/trusted_verifiers.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace troupe::cluster {

void add_trusted_verifier_option(Command& command, std::vector<std::string>& values) {
  command
      .add_option("--trusted-verifier", values,
                  "NAME=PROGRAM: a reward may say trusted = \"NAME\"; runs without a sandbox")
      .may_repeat();
}

Result<std::vector<TrustedProgram>> read_trusted_verifiers(const std::vector<std::string>& values) {
  std::vector<TrustedProgram> programs;
  for (const std::string& value : values) {
    const size_t equals = value.find('=');
    if (equals == 0 || equals == value.npos || equals + 1 == value.size()) {
      return invalid_argument(fmt::format("--trusted-verifier {}: must be NAME=PROGRAM", value));
    }
    TrustedProgram program{.name = value.substr(0, equals)};
    std::error_code error;
    program.path = std::filesystem::absolute(value.substr(equals + 1), error).lexically_normal();
    if (error || !std::filesystem::is_regular_file(program.path, error) ||
        ::access(program.path.c_str(), X_OK) != 0) {
      return invalid_argument(fmt::format("--trusted-verifier {}: {} is no program that can be run",
                                          value, program.path));
    }
    if (std::any_of(programs.begin(), programs.end(),
                    [&](const TrustedProgram& one) { return one.name == program.name; })) {
      return invalid_argument(
          fmt::format("--trusted-verifier {}: {} is there twice", value, program.name));
    }
    programs.push_back(std::move(program));
  }
  return programs;
}

}  // namespace troupe::cluster
