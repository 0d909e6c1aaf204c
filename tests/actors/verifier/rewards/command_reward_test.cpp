// Real programs: in a box, and trusted ones beside the process.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "actors/verifier/judge.h"
#include "actors/verifier/sandbox/descriptor.h"
#include "actors/verifier/verifier_role.h"
#include "model/formats/file.h"
#include "tests/support/temp_dir.h"

namespace troupe::actors {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;

// Answers each question with what `body` makes of its line: $line, $id.
std::string answering(const std::string& body) {
  return "#!/bin/sh\nPATH=/usr/bin:/bin\nwhile read -r line; do\nid=${line#*:}\nid=${id%%,*}\n" +
         body + "\ndone\n";
}
const std::string kHalf = R"(echo "{\"id\":$id,\"score\":0.5,\"reason\":\"half\"}")";

struct Trusted {
  explicit Trusted(const std::string& script, double deadline = 60)
      : reward{"mine",
               "command",
               1,
               {{"deadline_seconds", deadline}, {"trusted", std::string("checker")}}} {
    REQUIRE(model::write_file(path, script));
    fs::permissions(path, fs::perms::owner_all);
    auto made = Judge::create({reward}, {.trusted_programs = programs()});
    REQUIRE(made);
    judge = std::move(*made);
  }
  std::vector<TrustedProgram> programs() const { return {{"checker", path}}; }
  VerdictPart ask(std::string_view text = "text") {
    return judge->judge({.prompt = "prompt", .text = text, .gold = "gold"}).parts[0];
  }
  bool fails_with(std::string_view reason) {
    const VerdictPart part = ask();
    CAPTURE(part.reason);
    CHECK(part.kind == VerdictKind::kInfraError);
    CHECK(part.reason.find(reason) != std::string::npos);
    return part.kind == VerdictKind::kInfraError && part.reason.find(reason) != std::string::npos;
  }

  tests::TempDir dir{};
  std::string path = dir.file("checker");
  RewardSpec reward;
  std::unique_ptr<Judge> judge{};
};

TEST_CASE("command reward: a trusted program is asked line by line and kept") {
  Trusted trusted(
      answering("n=$((n+1)); echo \"{\\\"id\\\":$id,\\\"score\\\":1,"
                "\\\"reason\\\":\\\"$n in $$\\\"}\""));
  const VerdictPart first = trusted.ask(), second = trusted.ask();
  CHECK(first.kind == VerdictKind::kScored);
  CHECK(first.value == 1);
  CHECK(first.reason.substr(0, 5) == "1 in ");
  CHECK(second.reason == "2" + first.reason.substr(1));
  // Longer than any pipe holds.
  CHECK(trusted.ask(std::string(1 << 20, 'x')).kind == VerdictKind::kScored);
}

TEST_CASE("command reward: a trusted program gets no environment and no descriptors of ours") {
  // The shell adds variables of its own, and descriptors from 10 on.
  Trusted trusted(
      "#!/bin/sh\nread -r line\n"
      "n=$(/usr/bin/env | /usr/bin/grep -cv -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=)\n"
      "/bin/ls /proc/$$/fd > $0.fds\n"
      "fds=$(/usr/bin/grep -x '[0-9]' $0.fds | /usr/bin/tr '\\n' ' ')\n"
      "group=$(/usr/bin/cut -d ' ' -f 5 /proc/$$/stat)\n"
      "[ $group = $$ ] && own=own\n"
      "echo \"{\\\"id\\\":1,\\\"score\\\":1,\\\"reason\\\":\\\"$n;$fds;$own\\\"}\"\n"
      "read -r line\n");
  CHECK(trusted.ask().reason == "0;0 1 2 ;own");
}

TEST_CASE(
    "command reward: a program that fails is an infra_error with the reason, and is started "
    "again") {
  {
    Trusted trusted("#!/bin/sh\nread -r line\nexit 3\n");
    CHECK(trusted.fails_with("exited with code 3"));
    CHECK(trusted.fails_with("exited with code 3"));
  }
  CHECK(Trusted("#!/bin/sh\nread -r line\nkill -9 $$\n").fails_with("killed by signal 9"));
  CHECK(Trusted("no program\n").fails_with("checker"));
  CHECK(Trusted(answering("echo nonsense")).fails_with("not one JSON object"));
  CHECK(
      Trusted(answering("echo \"{\\\"id\\\":$id,\\\"score\\\":2}\"")).fails_with("not in [0, 1]"));
  CHECK(Trusted(answering("echo \"{\\\"id\\\":9,\\\"score\\\":1}\"")).fails_with("with id 1"));
  CHECK(Trusted(answering("/usr/bin/printf 'a\\nb\\n'")).fails_with("more than it was asked"));
  CHECK(Trusted(answering("/usr/bin/head -c 1000000 /dev/zero")).fails_with("too long"));
  CHECK(Trusted(answering(":"), /*deadline=*/0.2).fails_with("no answer before its deadline"));
  {
    // The first run dies, the second answers.
    Trusted trusted("");
    const std::string mark = trusted.dir.file("mark");
    REQUIRE(model::write_file(trusted.path, "#!/bin/sh\n[ -e " + mark + " ] || { : > " + mark +
                                                "; exit 1; }\n" + answering(kHalf)));
    fs::permissions(trusted.path, fs::perms::owner_all);
    CHECK(trusted.fails_with("exited with code 1"));
    CHECK(trusted.ask().value == 0.5f);
  }
}

// Nobody has the file open for writing any more: whoever was to keep it has ended. Not by time.
bool ends(int fifo) {
  char unused = 0;
  pollfd polled{fifo, POLLIN, 0};
  while (::poll(&polled, 1, 30'000) > 0) {
    if (::read(fifo, &unused, 1) == 0) return true;
  }
  return false;
}

TEST_CASE("command reward: kill -9 of the verifier leaves nothing of its program") {
  // Each process of the program holds the writing end of a pipe by its name; one leaves the group.
  const tests::TempDir dir;
  const std::string held = dir.file("held"), ready = dir.file("ready");
  REQUIRE(::mkfifo(held.c_str(), 0600) == 0);
  REQUIRE(::mkfifo(ready.c_str(), 0600) == 0);
  const int held_end = ::open(held.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const int ready_end = ::open(ready.c_str(), O_RDWR | O_CLOEXEC);
  Trusted trusted("#!/bin/sh\nexec 7> " + held +
                  "\n/bin/sleep 1000 &\n/usr/bin/setsid /bin/sleep 1000 &\n"
                  "/usr/bin/setsid /bin/sh -c '/bin/sleep 1000 & /bin/sleep 1000' &\n"
                  "read -r line\necho > " +
                  ready + "\nexec /bin/sleep 1000\n");
  const pid_t verifier = ::fork();
  REQUIRE(verifier >= 0);
  if (verifier == 0) {
    trusted.ask();
    ::_exit(0);
  }
  char started = 0;
  REQUIRE(::read(ready_end, &started, 1) == 1);
  REQUIRE(::kill(verifier, SIGKILL) == 0);
  REQUIRE(::waitpid(verifier, nullptr, 0) == verifier);
  CHECK(ends(held_end));
  ::close(held_end);
  ::close(ready_end);
}

TEST_CASE("command reward: a judge that is gone leaves nothing of its program") {
  const tests::TempDir dir;
  const std::string held = dir.file("held");
  REQUIRE(::mkfifo(held.c_str(), 0600) == 0);
  const int held_end = ::open(held.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  {
    Trusted trusted("#!/bin/sh\nexec 7> " + held + "\n/bin/sleep 1000 &\n" +
                    answering(kHalf).substr(10));
    CHECK(trusted.ask().value == 0.5f);
  }
  // Its destructor has waited for the end.
  char unused = 0;
  CHECK(::read(held_end, &unused, 1) == 0);
  ::close(held_end);
}

TEST_CASE("command reward: responses are judged side by side, and answered in their order") {
  Trusted trusted(
      answering("r=${line#*response\\\":\\\"}; r=${r%%\\\"*}\n"
                "echo \"{\\\"id\\\":$id,\\\"score\\\":0.$r}\""));
  auto role = VerifierRole::create({trusted.reward},
                                   {.threads = 4, .trusted_programs = trusted.programs()});
  REQUIRE(role);
  JudgeGroups request;
  for (uint32_t group = 0; group < 5; ++group) {
    request.groups.push_back({.id = {Round{1}, group}});
    for (int i = 1; i < 10; ++i) request.groups.back().responses.push_back({std::to_string(i)});
  }
  const GroupsJudged judged = (*role)->judge(request);
  REQUIRE(judged.groups.size() == 5);
  for (uint32_t group = 0; group < 5; ++group) {
    CHECK(judged.groups[group].id.ordinal == group);
    REQUIRE(judged.groups[group].verdicts.size() == 9);
    for (size_t i = 0; i < 9; ++i) {
      CHECK(judged.groups[group].verdicts[i].parts[0].value ==
            static_cast<float>(0.1 * static_cast<double>(i + 1)));
    }
  }
}

// ---- In a box, where this machine can make one.

RewardSpec boxed(const std::string& script, BoxLevel level) {
  return {"mine",
          "command",
          1,
          {{"command", Texts{"python3", "check.py"}},
           {"deadline_seconds", 5.0},
           {"sandbox", std::string(name(level))}},
          {{"check.py", script}}};
}

TEST_CASE("command reward: a program in a box answers, and one that fails is an infra_error") {
  const BoxSupport support = probe_box_support();
  if (support.level == BoxLevel::kNone) {
    MESSAGE("this machine has no boxes; skipped");
    return;
  }
  const auto ask = [&](const std::string& script) {
    auto judge = Judge::create({boxed(script, support.level)});
    REQUIRE(judge);
    return (*judge)->judge({.prompt = "p", .text = "r\xff", .gold = "g"}).parts[0];
  };
  const std::string read = "import sys, json\nq = json.loads(sys.stdin.readline())\n";
  const VerdictPart good = ask(read +
                               "print(json.dumps({'id': q['id'], 'score': 0.5, 'reason': "
                               "q['prompt'] + q['response'] + q['gold']}))\n");
  CHECK(good.kind == VerdictKind::kScored);
  CHECK(good.value == 0.5f);
  CHECK(good.reason == "pr\xEF\xBF\xBDg");
  const auto fails = [&](const std::string& script, std::string_view reason) {
    const VerdictPart part = ask(script);
    CAPTURE(part.reason);
    CHECK(part.kind == VerdictKind::kInfraError);
    CHECK(part.reason.find(reason) != std::string::npos);
  };
  fails("raise SystemExit(4)", "exited with code 4");
  fails("raise ValueError('odd')", "ValueError: odd");
  fails("pass", "no answer");
  fails("print('x' * 1000000)", "output");
  fails("print('{\"id\": 1, \"score\": 7}')", "not in [0, 1]");
  fails("print('{\"id\": 1, \"score\": 1}\\n' * 2)", "not one JSON object");
}

size_t processes_with(const std::string& word) {
  size_t count = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto words = sandbox::read_small("/proc/" + pid + "/cmdline");
    if (words.find(word) != std::string::npos) ++count;
  }
  return count;
}

TEST_CASE("command reward: kill -9 of the verifier leaves nothing of its box") {
  const BoxSupport support = probe_box_support();
  if (support.level == BoxLevel::kNone) {
    MESSAGE("this machine has no boxes; skipped");
    return;
  }
  const std::string word = "troupe-test-" + std::to_string(::getpid());
  RewardSpec reward = boxed("import os, signal\nos.fork()\nsignal.pause()\n", support.level);
  reward.settings = {{"command", Texts{"python3", "check.py", word}},
                     {"deadline_seconds", 1000.0},
                     {"sandbox", std::string(name(support.level))}};
  const pid_t verifier = ::fork();
  REQUIRE(verifier >= 0);
  if (verifier == 0) {
    auto judge = Judge::create({reward});
    if (judge) (*judge)->judge({});
    ::_exit(0);
  }
  const auto waits_for = [&](auto holds) {
    for (int i = 0; i < 6000 && !holds(); ++i) ::poll(nullptr, 0, 5);
    return holds();
  };
  CHECK(waits_for([&] { return processes_with(word) >= 2; }));
  REQUIRE(::kill(verifier, SIGKILL) == 0);
  REQUIRE(::waitpid(verifier, nullptr, 0) == verifier);
  CHECK(waits_for([&] { return processes_with(word) == 0; }));
}

}  // namespace
}  // namespace troupe::actors
