// Runs attacks in boxes between canaries, and an honest program after each.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "actors/verifier/sandbox/box.h"
#include "tests/actors/verifier/sandbox/attack.h"
#include "tests/actors/verifier/sandbox/host_watch.h"

namespace troupe::actors::tests {

class AttackRange {
 public:
  AttackRange() {
    auto opened = Sandbox::open(BoxLevel::kNamespacesOnly);
    REQUIRE_MESSAGE(opened, opened.error().message);
    sandbox_ = std::move(*opened);
    honest();  // From here on the slot and its group are there.
  }

  void attack(Attack attack) {
    CAPTURE(attack.number);
    CAPTURE(attack.what);
    if (needs_memory_limit(attack) && sandbox_->level() != BoxLevel::kFull) return;
    if (attack.ends == std::vector<BoxEnd>{BoxEnd::kWallLimit}) attack.limits.wall_seconds = 0.5;
    // Where something else is meant to end it, a busy machine's slow memory must not.
    if (std::count(attack.ends.begin(), attack.ends.end(), BoxEnd::kCpuLimit) == 0) {
      attack.limits.cpu_seconds = 5;
    }
    const HostState before = look_at_host();
    const BoxResult result = run(attack);
    CAPTURE(name(result.end));
    CAPTURE(result.reason);
    CAPTURE(result.exit_status);
    CAPTURE(result.cpu_seconds);
    CAPTURE(result.wall_seconds);
    CAPTURE(result.memory_peak_bytes);
    CAPTURE(result.report);
    CAPTURE(result.errors);
    // At the memory's limit the system first looks for something to take back, on a busy machine
    // for longer than the processor's limit. The memory's has held all the same.
    const bool has_held = needs_memory_limit(attack) && result.end == BoxEnd::kCpuLimit &&
                          result.memory_peak_bytes == attack.limits.memory_bytes;
    CHECK((has_held || std::count(attack.ends.begin(), attack.ends.end(), result.end) == 1));
    for (const std::string* said : {&result.output, &result.report, &result.errors}) {
      CHECK(said->find(Canaries::kValue) == std::string::npos);
      CHECK(said->find("ESCAPED") == std::string::npos);
    }
    CHECK(result.report.find(attack.report) != std::string::npos);
    CHECK(static_cast<int64_t>(result.output.size()) <= attack.limits.output_bytes);
    CHECK(static_cast<int64_t>(result.report.size()) <= attack.limits.output_bytes);
    CHECK(static_cast<int64_t>(result.errors.size()) <= attack.limits.error_bytes);
    // The promise is 200 ms; a loaded machine is given two seconds more.
    CHECK(result.wall_seconds < attack.limits.wall_seconds + 2.2);
    check_same(before, look_at_host());
    honest();
  }

  BoxLevel level() const { return sandbox_->level(); }

 private:
  static bool needs_memory_limit(const Attack& attack) {
    return attack.ends == std::vector<BoxEnd>{BoxEnd::kMemoryLimit};
  }

  BoxResult run(const Attack& attack) {
    const auto arguments = canaries_.arguments();
    if (std::string_view(attack.toolchain) == "cpp") return run_cpp(attack, arguments[2]);
    BoxProgram program{.argv = {"/usr/bin/python3", "-I", "-S", "/box/attack.py"},
                       .files = {{.name = "attack.py", .content = kPrelude}},
                       .has_report = true,
                       .limits = attack.limits};
    program.files[0].content += attack.code;
    program.argv.insert(program.argv.end(), arguments.begin(), arguments.end());
    return sandbox_->run(program);
  }

  // Number 43 attacks while it is compiled; the others are compiled first, with time to spare.
  BoxResult run_cpp(const Attack& attack, const std::string& secret) {
    const bool attacks_compiler = attack.number == 43;
    BoxProgram compile{.toolchain = "cpp",
                       .argv = {"/usr/bin/sh", "-c",
                                "g++ -O0 \"-DSECRET=\\\"$1\\\"\" -o /tmp/a /box/attack.cpp && "
                                "cat /tmp/a >&3",
                                "sh", secret},
                       .files = {{.name = "attack.cpp", .content = attack.code}},
                       .has_report = true};
    if (attacks_compiler) compile.limits = attack.limits;
    BoxResult compiled = sandbox_->run(compile);
    if (attacks_compiler) return compiled;
    CAPTURE(compiled.errors);
    REQUIRE(compiled.exit_status == 0);
    return sandbox_->run({.toolchain = "none",
                          .argv = {"/box/attack"},
                          .files = {{.name = "attack",
                                     .content = std::move(compiled.report),
                                     .is_executable = true}},
                          .limits = attack.limits});
  }

  // What the one before did must not change the next.
  void honest() {
    const BoxResult result = sandbox_->run(
        {.argv = {"/usr/bin/python3", "-I", "-S", "-c",
                  "import os\nprint(int(input()) + 1, os.listdir('/tmp') + os.listdir('/dev/shm'),"
                  " len(os.listdir('/proc/self/fd')))"},
         .input = "41\n"});
    CAPTURE(name(result.end));
    CAPTURE(result.reason);
    CAPTURE(result.errors);
    CHECK(result.end == BoxEnd::kExited);
    CHECK(result.exit_status == 0);
    CHECK(result.output == "42 [] 4\n");
  }

  Canaries canaries_;
  std::unique_ptr<Sandbox> sandbox_;
};

}  // namespace troupe::actors::tests
