// A reward by a program that whoever runs the head trusts, in real runs.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/short_job.h"
#include "tests/support/tree_kill.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::Ended;
using tests::Invocation;
using tests::Process;
using tests::ShortJob;
using namespace std::chrono_literals;

const std::vector<std::string> kSet = {"rewards.mine.verifier=command",
                                       "rewards.mine.trusted=checker", "rewards.mine.weight=0.5",
                                       "resources.threads_per_worker=1"};
// A quarter for each response, behind what `first` does when it is started.
std::string script(const std::string& first) {
  return "#!/bin/sh\n" + first +
         "\nwhile read -r line; do\nid=${line#*:}\nid=${id%%,*}\n"
         "echo \"{\\\"id\\\":$id,\\\"score\\\":0.25}\"\ndone\n";
}

struct Fixture {
  Invocation run(const std::string& home, const std::string& checker) const {
    const std::string path = job.file(home + ".sh");
    tests::write_text(path, checker);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    Invocation invocation = job.run(home, kSet);
    invocation.arguments.insert(invocation.arguments.end(),
                                {"--trusted-verifier", "checker=" + path});
    return invocation;
  }
  json result(const std::string& home, const std::string& checker) const {
    return tests::result_of(tests::troupe(run(home, checker)));
  }

  ShortJob job{};
};

TEST_CASE(
    "trusted verifier: its part is in the reward, and its death costs a try and never a zero") {
  const Fixture f;
  const json calm = f.result("calm", script(""));
  CHECK(calm["ledger"]["verdicts"].count("infra_error") == 0);
  json step;
  std::istringstream lines(tests::contents(f.job.file("calm/metrics.jsonl")));
  for (std::string line; std::getline(lines, line);) {
    json one = json::parse(line);
    if (one.contains("rewards/mine/mean")) step = std::move(one);
  }
  REQUIRE(step.is_object());
  CHECK(step["rewards/mine/mean"] == 0.25);
  CHECK(step["verdicts"]["mine/scored"] == 16);

  // Each process answers ten times and dies at the next question: once in three tries of a group.
  std::string mortal = script("");
  mortal.insert(mortal.find("\nid="), "\nn=$((n+1)); [ $n -le 10 ] || exit 7");
  const json shaken = f.result("shaken", mortal);
  CHECK(shaken["ledger"]["verdicts"]["infra_error"] >= 1);
  CHECK(shaken["trajectories"]["dropped"] == calm["trajectories"]["dropped"]);
  CHECK(shaken["weights_sha256"] == calm["weights_sha256"]);
}

TEST_CASE("trusted verifier: what never answers drops the groups, and says who and why") {
  const Fixture f;
  const Ended ended = tests::troupe(f.run("broken", "#!/bin/sh\nread -r line\nexit 7\n"));
  const json result = tests::result_of(ended);
  CHECK(result["trajectories"]["dropped"]["infra_error"] == 16);
  CHECK(ended.error.find("(verifier) could not judge round 0, group") != std::string::npos);
  CHECK(ended.error.find("mine: the program checker exited with code 7") != std::string::npos);
  // The accuracy of an evaluation is not its business.
  CHECK(ended.error.find("is left out") == std::string::npos);
}

TEST_CASE("trusted verifier: a job cannot name what the head was not given") {
  const Fixture f;
  const Ended alone = tests::troupe(f.job.run("alone", kSet));
  CHECK(alone.exit_code == 2);
  CHECK(alone.error.find("--trusted-verifier") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(f.job.file("alone")));

  Process daemon({.arguments = {"--home", f.job.file("daemon"), "--server", f.job.file("door"),
                                "--trusted-verifier", "other=/bin/true"},
                  .name = "trouped"});
  REQUIRE(daemon.says("serving"));
  const auto ask = [&f](std::vector<std::string> words) {
    words.insert(words.end(), {"--server", f.job.file("door")});
    return tests::troupe(words);
  };
  std::vector<std::string> submit = {"submit", f.job.job()};
  for (const auto& one : kSet) submit.insert(submit.end(), {"--set", one});
  const Ended refused = ask(submit);
  CHECK(refused.exit_code == 2);
  CHECK(refused.error.find("it has other") != std::string::npos);
  CHECK(ask({"jobs", "--json"}).out.find("short") == std::string::npos);

  for (const char* wrong : {"checker", "=x", "checker=", "checker=/none", "checker=/tmp"}) {
    CAPTURE(wrong);
    CHECK(tests::troupe({"run", f.job.job(), "--trusted-verifier", wrong}).exit_code == 2);
  }
}

TEST_CASE("trusted verifier: kill -9 of its worker leaves nothing, and the run ends the same") {
  const Fixture f;
  const json calm = f.result("calm", script(""));
  // The first one holds a pipe by its name, with a child outside of its group, and never answers.
  const std::string held = f.job.file("held"), mark = f.job.file("mark");
  REQUIRE(::mkfifo(held.c_str(), 0600) == 0);
  const int end = ::open(held.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  Process run(f.run("struck", script("if [ ! -e " + mark + " ]; then exec 7> " + held +
                                     "; /usr/bin/setsid /bin/sleep 1000 & read -r line; : > " +
                                     mark + "; exec /bin/sleep 1000; fi")));
  REQUIRE(run.waits_for([&] { return std::filesystem::exists(mark); }, 60s));
  const auto workers = tests::workers_of(f.job.file("struck"));
  REQUIRE(workers.count(1) == 1);
  REQUIRE(::kill(workers.at(1), SIGKILL) == 0);
  char unused = 0;
  CHECK(run.waits_for([&] { return ::read(end, &unused, 1) == 0; }, 60s));
  const Ended ended = run.wait();
  CHECK(ended.error.find("worker 1 (verifier) is lost: killed by signal 9") != std::string::npos);
  CHECK(tests::result_of(ended)["weights_sha256"] == calm["weights_sha256"]);
  ::close(end);
}

}  // namespace
}  // namespace troupe
