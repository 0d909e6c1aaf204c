// The program as a shell sees it: exit codes, one-line errors, help with examples.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
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

TEST_CASE("cli: a benchmark is a list of named values with their bounds") {
  const auto entries_of = [](const std::string& only) {
    const Outcome outcome = troupe("bench --json --only " + only);
    CAPTURE(outcome.output);
    REQUIRE(outcome.exit_code == 0);
    const auto entries = nlohmann::json::parse(outcome.output);
    CHECK(entries.is_array());
    for (const auto& entry : entries) {
      CHECK(entry.at("name").get<std::string>().starts_with(only));
      CHECK(entry.at("shape").is_string());
      CHECK(entry.at("unit").is_string());
      CHECK(entry.at("value").get<double>() > 0);
      const double bound = entry.at("bound").get<double>();
      const double fraction = bound > 0 ? entry.at("value").get<double>() / bound : 0;
      CHECK(entry.at("fraction").get<double>() == doctest::Approx(fraction));
    }
    return entries;
  };
  const auto names_of = [&](const std::string& only) {
    std::set<std::string> names;
    for (const auto& entry : entries_of(only)) names.insert(entry.at("name").get<std::string>());
    return names;
  };
  const auto ceilings = names_of("ceiling.");
  for (const char* level : {"l2", "l3", "memory"}) {
    CHECK(ceilings.contains(std::string("ceiling.read.") + level));
  }
  CHECK(names_of("tokenizer.") == std::set<std::string>{"tokenizer.encode", "tokenizer.decode"});
  const auto decode = entries_of("decode.bench-moe.b8.ctx192");
  REQUIRE(decode.size() == 1);
  CHECK(decode[0].at("unit") == "tokens/s");
  CHECK(decode[0].at("bound").get<double>() > 0);

  const Outcome shares = troupe("bench --operations --only decode.bench-moe.b8.ctx192");
  CHECK(shares.exit_code == 0);
  CHECK(shares.output.find("decode.bench-moe.b8.ctx192.attention") != std::string::npos);
  CHECK(troupe("bench --only frobnicate").exit_code == 2);
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

TEST_CASE("cli: a number that the parser would take for another one is wrong usage") {
  const std::string generate = "generate --model . --prompt a ";
  for (const std::string& arguments :
       {generate + "--temperature nan", generate + "--top-p nan", generate + "--top-p NAN",
        generate + "--seed -1", generate + "--seed 18446744073709551616", generate + "--seed +1",
        generate + "--seed 0x1", std::string("quickstart --home /dev/null/x --seed -1"),
        std::string("make-data arithmetic --out /dev/null/x --seed -1"), std::string("show -- -1"),
        std::string("cancel 18446744073709551616"), std::string("watch -- -1")}) {
    CAPTURE(arguments);
    const Outcome outcome = troupe(arguments);
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.output.find("; see: troupe ") != std::string::npos);
  }
  // The largest seed is one.
  const Outcome largest = troupe(generate + "--seed 18446744073709551615");
  CHECK(largest.output.find("; see: troupe ") == std::string::npos);
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
  // What is there already is not replaced unasked; the same again is no replacement.
  const std::string other =
      common + " --train 9 --cold-start-clean 10 --cold-start-noisy 10 --held-out 5";
  const Outcome refused = troupe(other);
  CHECK(refused.exit_code == 2);
  CHECK(refused.output.find("train.jsonl: is already there with another content") !=
        std::string::npos);
  CHECK(troupe(common + " --train 10 --cold-start-clean 10 --cold-start-noisy 10 --held-out 5")
            .exit_code == 0);
  CHECK(troupe(other + " --overwrite").exit_code == 0);
  CHECK(troupe(common + " --operands 3-x").exit_code == 2);
  CHECK(troupe(common + " --task sums").exit_code == 2);
}

}  // namespace
}  // namespace troupe::cluster
