// The program as a shell sees it: exit codes, one-line errors, help with examples.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

#include "cluster/cli/command.h"
#include "cluster/jobs/job_file.h"
#include "model/formats/file.h"
#include "tests/support/temp_dir.h"

namespace troupe::cluster {
namespace {

struct Outcome {
  int exit_code = -1;
  std::string output{};  // Standard output and error.
};

Outcome run_shell(const std::string& command) {
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  Outcome outcome;
  std::array<char, 4096> buffer{};
  size_t size = 0;
  while ((size = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0) {
    outcome.output.append(buffer.data(), size);
  }
  const int status = ::pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

Outcome troupe(const std::string& arguments) { return run_shell(TROUPE_BINARY " " + arguments); }

TEST_CASE("cli: the kind of an error is the exit code") {
  CHECK(exit_code({ErrorCode::kInternal, ""}) == 1);
  CHECK(exit_code({ErrorCode::kInvalidArgument, ""}) == 2);
  CHECK(exit_code({ErrorCode::kCorruption, ""}) == 2);
  CHECK(exit_code({ErrorCode::kStopped, ""}) == 3);
}

TEST_CASE("cli: no command prints the help and is wrong usage") {
  const Outcome outcome = troupe("");
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.output.find("Usage: troupe") != std::string::npos);
}

TEST_CASE("cli: wrong usage is one line that names the help") {
  for (const char* arguments :
       {"frobnicate", "--frobnicate", "init --frobnicate", "make-data", "make-data arithmetic"}) {
    CAPTURE(arguments);
    const Outcome outcome = troupe(arguments);
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.output.find("--help") != std::string::npos);
    CHECK(outcome.output.find('\n') == outcome.output.size() - 1);
  }
}

TEST_CASE("cli: every command has help with an example") {
  for (const char* command : {"",       "run",    "quickstart", "make-data", "make-data arithmetic",
                              "init",   "eval",   "generate",   "score",     "bench",
                              "doctor", "submit", "jobs",       "show",      "watch",
                              "logs",   "cancel", "pause",      "resume",    "top"}) {
    CAPTURE(command);
    const Outcome outcome = troupe(std::string(command) + " --help");
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.output.find("Example") != std::string::npos);
  }
}

TEST_CASE("cli: the daemon's name explains itself") {
  const tests::TempDir dir;
  std::filesystem::create_symlink(TROUPE_BINARY, dir.file("trouped"));
  const Outcome help = run_shell(dir.file("trouped") + " --help");
  CHECK(help.exit_code == 0);
  CHECK(help.output.find("Example") != std::string::npos);
  const Outcome wrong = run_shell(dir.file("trouped") + " --join somewhere:1");
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.output.find("--join") != std::string::npos);
}

TEST_CASE("cli: without a daemon its commands are one clear line") {
  const tests::TempDir dir;
  REQUIRE(troupe("init " + dir.file("job.toml")).exit_code == 0);
  for (const std::string& command :
       {std::string("jobs"), std::string("show 1"), std::string("watch 1"), std::string("logs 1"),
        std::string("cancel 1"), std::string("pause 1"), std::string("resume 1"),
        std::string("top"), "submit " + dir.file("job.toml")}) {
    CAPTURE(command);
    const Outcome outcome = troupe(command + " --server " + dir.path());
    CHECK(outcome.exit_code == 1);
    CHECK(outcome.output.find(": no daemon serves " + dir.path() + "; start trouped") !=
          std::string::npos);
    CHECK(outcome.output.find('\n') == outcome.output.size() - 1);
  }
  // Where it is looked for when nobody says it.
  CHECK(run_shell("TROUPE_SERVER=/nowhere/1 " TROUPE_BINARY " jobs").output.find("/nowhere/1;") !=
        std::string::npos);
  CHECK(run_shell("unset TROUPE_SERVER; XDG_RUNTIME_DIR=/nowhere/2 " TROUPE_BINARY " jobs")
            .output.find("/nowhere/2/troupe;") != std::string::npos);
  CHECK(run_shell("unset TROUPE_SERVER XDG_RUNTIME_DIR; HOME=/nowhere/3 " TROUPE_BINARY " jobs")
            .output.find("/nowhere/3/.local/state/troupe/door;") != std::string::npos);
}

TEST_CASE("cli: a job id that is no number is wrong usage, a wrong job file is not sent") {
  const tests::TempDir dir;
  CHECK(troupe("show one --server " + dir.path()).exit_code == 2);
  CHECK(troupe("submit " + dir.file("missing.toml") + " --server " + dir.path()).exit_code == 2);
}

TEST_CASE("init: writes a job file that is a job, and never overwrites") {
  const tests::TempDir dir;
  const std::string path = dir.file("job.toml");
  CHECK(troupe("init " + path).exit_code == 0);
  const auto job = load_job(path);
  REQUIRE(job);
  CHECK(job->data.train == dir.file("data/train.jsonl"));

  REQUIRE(model::write_file(path, "mine"));
  const Outcome second = troupe("init " + path);
  CHECK(second.exit_code == 2);
  CHECK(second.output ==
        "troupe init: " + path + " is already there; name another file or move it away\n");
  CHECK(*model::read_file(path, 100) == "mine");
}

TEST_CASE("make-data: writes the files that it names, and refuses what is no range") {
  const tests::TempDir dir;
  const std::string common = "make-data arithmetic --out " + dir.file("data");
  CHECK(troupe(common + " --train 10 --cold-start-clean 10 --cold-start-noisy 10 --held-out 5")
            .exit_code == 0);
  for (const char* name : {"train", "cold_start_clean", "cold_start_noisy", "held_out"}) {
    CAPTURE(name);
    CHECK(std::filesystem::file_size(dir.file("data/" + std::string(name) + ".jsonl")) > 0);
  }
  CHECK(troupe(common + " --operands 3-x").exit_code == 2);
  CHECK(troupe(common + " --task sums").exit_code == 2);
}

}  // namespace
}  // namespace troupe::cluster
