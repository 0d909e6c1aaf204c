// A program that whoever runs the head trusts, kept running beside a verifier worker and asked line
// by line. Between the two stands a keeper, a process that does nothing but wait:
//
//   worker ──lifeline──▶ keeper ──starts──▶ program (a process group of its own)
//     └────────standard input and output────▶│
//
// The lifeline is a pipe that closes when the worker is gone, however it went, and the keeper then
// kills the program, its group and whatever else they have started. A parent-death signal would
// follow the thread that started the program and would miss what the program starts itself.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "schemas/descriptor.h"
#include "schemas/result.h"

namespace troupe::actors {

// Used by one thread at a time.
class TrustedProcess {
 public:
  // The program gets no argument, an empty environment, / as its folder, and no descriptor but
  // standard input and output and this process's standard error. kInternal when there are no
  // processes or descriptors left; that a program cannot be executed is heard at the first ask.
  static Result<std::unique_ptr<TrustedProcess>> start(const std::string& program);

  // Kills everything that it has started and waits for its end.
  ~TrustedProcess();
  TrustedProcess(const TrustedProcess&) = delete;
  TrustedProcess& operator=(const TrustedProcess&) = delete;

  // Writes a line, with its break, and reads one, without. kInternal, saying why, for a program
  // that ends, says nothing before the deadline, or says more than one line of at most `bytes_max`;
  // it is of no use afterwards.
  Result<std::string> ask(std::string_view line, size_t bytes_max,
                          std::chrono::steady_clock::time_point deadline);

 private:
  TrustedProcess(pid_t keeper, Descriptor lifeline, Descriptor input, Descriptor output)
      : keeper_(keeper),
        lifeline_(std::move(lifeline)),
        input_(std::move(input)),
        output_(std::move(output)) {}

  std::string end_of();  // How the program ended, once it has.

  pid_t keeper_;
  Descriptor lifeline_;
  Descriptor input_;   // Its standard input ...
  Descriptor output_;  // ... and output.
  bool is_buried_ = false;
};

}  // namespace troupe::actors
