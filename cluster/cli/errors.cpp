#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "cluster/cli/command.h"

namespace troupe::cluster {

int exit_code(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInternal:
    case ErrorCode::kStaleEpoch:
    case ErrorCode::kOverloaded:
    case ErrorCode::kUnknownOutcome:
    case ErrorCode::kExhausted:
    case ErrorCode::kUnavailable:
      return 1;
    case ErrorCode::kInvalidArgument:
      return 2;
    // Damaged bytes are wrong input too: nothing was changed and running again will not help.
    case ErrorCode::kCorruption:
      return 2;
    case ErrorCode::kStopped:
      return 3;
  }
  return 1;
}

int report(const std::string& command, const Error& error) {
  std::fprintf(stderr, "troupe %s: %s\n", command.c_str(), error.message.c_str());
  return exit_code(error);
}

namespace {

Error output_lost(int error) {
  std::string message = "standard output could not be written";
  if (error != 0) message += std::string(": ") + std::strerror(error);
  return {ErrorCode::kInternal, message + "; what was printed is incomplete"};
}

}  // namespace

Status flush_output() {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return ok();
  return output_lost(errno);
}

Status print_line(std::string_view line) {
  errno = 0;
  const bool is_taken = std::fwrite(line.data(), 1, line.size(), stdout) == line.size() &&
                        std::fputc('\n', stdout) >= 0;
  return is_taken ? flush_output() : output_lost(errno);
}

}  // namespace troupe::cluster
