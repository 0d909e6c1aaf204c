// What a box promises to whoever starts it.
#include "actors/verifier/sandbox/box.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/actors/verifier/sandbox/host_watch.h"

namespace troupe::actors {
namespace {

std::unique_ptr<Sandbox> sandbox() {
  auto opened = Sandbox::open(BoxLevel::kNamespacesOnly);
  REQUIRE_MESSAGE(opened, opened.error().message);
  return std::move(*opened);
}

BoxProgram python(const std::string& code) {
  return {.argv = {"/usr/bin/python3", "-I", "-S", "-c", code}};
}

// A whole machine's attention is not promised to a test.
void check_ended_by(const BoxResult& result, BoxEnd end) {
  CAPTURE(result.reason);
  CAPTURE(result.errors);
  CHECK(std::string(name(result.end)) == name(end));
}

TEST_CASE("box: output, errors, report and input are bytes") {
  BoxProgram program = python(
      "import os, sys\n"
      "data = sys.stdin.buffer.read()\n"
      "os.write(1, data[::-1]); os.write(2, b'error\\0'); os.write(3, b'\\xff\\0report')");
  program.input = std::string("a\0b\xfe", 4);
  program.has_report = true;
  const BoxResult result = sandbox()->run(program);
  check_ended_by(result, BoxEnd::kExited);
  CHECK(result.exit_status == 0);
  CHECK(result.output == std::string("\xfe"
                                     "b\0a",
                                     4));
  CHECK(result.errors == std::string("error\0", 6));
  CHECK(result.report == std::string("\xff\0report", 8));
  CHECK(result.wall_seconds > 0);
}

TEST_CASE("box: input and output may be larger than a pipe") {
  BoxProgram program = python("import sys\nsys.stdout.write(sys.stdin.read())");
  program.input.assign(900000, 'x');
  const BoxResult result = sandbox()->run(program);
  check_ended_by(result, BoxEnd::kExited);
  CHECK(result.output == program.input);
}

TEST_CASE("box: a program that does not read its input ends as it likes") {
  BoxProgram program = python("print('done')");
  program.input.assign(5 << 20, 'x');
  const BoxResult result = sandbox()->run(program);
  check_ended_by(result, BoxEnd::kExited);
  CHECK(result.output == "done\n");
}

TEST_CASE("box: an exit status and a signal are not confused") {
  const auto boxes = sandbox();
  for (const int status : {0, 1, 137, 139, 255}) {
    const BoxResult result =
        boxes->run(python("import os; os._exit(" + std::to_string(status) + ")"));
    check_ended_by(result, BoxEnd::kExited);
    CHECK(result.exit_status == status);
  }
  for (const int signal : {SIGKILL, SIGSEGV, SIGTERM}) {
    const BoxResult result =
        boxes->run(python("import os; os.kill(os.getpid(), " + std::to_string(signal) + ")"));
    check_ended_by(result, BoxEnd::kSignalled);
    CHECK(result.signal == signal);
  }
}

TEST_CASE("box: files are there, read-only, and only they") {
  BoxProgram program = python(
      "import os\n"
      "print(sorted(os.listdir('/box')), open('/box/a.txt').read(), os.access('/box/run', "
      "os.X_OK))\n"
      "for path in ('/box/a.txt', '/box/new', '/new', '/usr/new'):\n"
      "    try: open(path, 'w'); print('written')\n"
      "    except OSError: pass\n"
      "print(os.getcwd(), os.listdir('/tmp'), os.listdir('/dev/shm'))");
  program.files = {{.name = "a.txt", .content = "hello"},
                   {.name = "run", .content = "#!/usr/bin/python3\n", .is_executable = true}};
  const BoxResult result = sandbox()->run(program);
  CHECK(result.output == "['a.txt', 'run'] hello True\n/tmp [] []\n");
}

TEST_CASE("box: a file that is a program runs, and one that is none is the program's fault") {
  const auto boxes = sandbox();
  BoxProgram script{.argv = {"/box/run", "7"},
                    .files = {{.name = "run",
                               .content = "#!/usr/bin/python3 -IS\nimport sys\nprint(sys.argv[1])",
                               .is_executable = true}}};
  CHECK(boxes->run(script).output == "7\n");
  script.files[0].content =
      "\x7f"
      "ELF and then nothing";
  const BoxResult garbage = boxes->run(script);
  check_ended_by(garbage, BoxEnd::kExited);
  CHECK(garbage.exit_status != 0);
  // A missing part of the toolchain is not.
  check_ended_by(boxes->run({.argv = {"/usr/bin/nothing-of-this-name"}}), BoxEnd::kFailed);
}

TEST_CASE("box: a program that cannot be is refused before anything runs") {
  const auto boxes = sandbox();
  const auto is_refused = [&boxes](const BoxProgram& program) {
    const auto started = boxes->start(program);
    return !started && started.error().code == ErrorCode::kInvalidArgument;
  };
  CHECK(is_refused({}));
  CHECK(is_refused({.argv = {"python3"}}));
  CHECK(is_refused({.argv = {"/usr/bin/python3", std::string("a\0b", 3)}}));
  CHECK(is_refused({.toolchain = "cobol", .argv = {"/a"}}));
  for (const char* name : {"", ".", "..", "../a", "a/b", "a b", "\n"}) {
    CHECK(is_refused({.argv = {"/a"}, .files = {{.name = name}}}));
  }
  CHECK(is_refused({.argv = {"/a"}, .limits = {.cpu_seconds = -1}}));
  CHECK(is_refused({.argv = {"/a"}, .limits = {.processes = 0}}));
}

TEST_CASE("box: processor time of all processes together is limited") {
  BoxProgram program = python("import os\nos.fork()\nos.fork()\nwhile True: pass");
  program.limits.cpu_seconds = 0.3;
  program.limits.wall_seconds = 30;
  check_ended_by(sandbox()->run(program), BoxEnd::kCpuLimit);
}

TEST_CASE("box: who sleeps meets the wall limit, and the end comes soon after it") {
  BoxProgram program = python("import signal\nsignal.pause()");
  program.limits.wall_seconds = 0.2;
  const BoxResult result = sandbox()->run(program);
  check_ended_by(result, BoxEnd::kWallLimit);
  // 200 ms are promised; a loaded machine is given two seconds more.
  CHECK(result.wall_seconds >= 0.2);
  CHECK(result.wall_seconds < 2.4);
}

TEST_CASE("box: memory of all processes together is limited") {
  const auto boxes = sandbox();
  if (boxes->level() != BoxLevel::kFull) return;
  BoxProgram program = python(
      "import os, signal\n"
      "for _ in range(7):\n"
      "    if os.fork() == 0: break\n"
      "kept = bytearray(b'x') * (24 << 20)\nsignal.pause()");
  program.limits.memory_bytes = 96 << 20;
  const BoxResult result = boxes->run(program);
  check_ended_by(result, BoxEnd::kMemoryLimit);
  CHECK(result.memory_peak_bytes <= program.limits.memory_bytes);
  CHECK(result.memory_peak_bytes > program.limits.memory_bytes / 2);
}

TEST_CASE("box: a memory limit too small to start in ends the box and nobody else") {
  const auto boxes = sandbox();
  BoxProgram program = python("pass");
  program.limits.memory_bytes = 1 << 20;
  const BoxResult result = boxes->run(program);
  CHECK(result.end != BoxEnd::kExited);
  program.limits.memory_bytes = 256 << 20;
  check_ended_by(boxes->run(program), BoxEnd::kExited);
}

TEST_CASE("box: output is cut at its limit and errors are dropped past theirs") {
  const auto boxes = sandbox();
  BoxProgram program = python("while True: print('x' * 1000)");
  program.limits.output_bytes = 100001;
  const BoxResult cut = boxes->run(program);
  check_ended_by(cut, BoxEnd::kOutputLimit);
  CHECK(cut.output.size() == 100001);
  program = python("import os\nfor _ in range(300): os.write(2, bytes(4096))\nprint('done')");
  program.limits.error_bytes = 1000;
  const BoxResult dropped = boxes->run(program);
  check_ended_by(dropped, BoxEnd::kExited);
  CHECK(dropped.output == "done\n");
  CHECK(dropped.errors.size() == 1000);
}

TEST_CASE("box: as much output as the limit is no more than it") {
  BoxProgram program = python("import os\nos.write(1, bytes(1000))");
  program.limits.output_bytes = 1000;
  check_ended_by(sandbox()->run(program), BoxEnd::kExited);
}

TEST_CASE("box: processes are limited") {
  BoxProgram program = python(
      "import os, signal\ncount = 0\ntry:\n"
      "    while count < 100:\n"
      "        if os.fork() == 0: signal.pause()\n"
      "        count += 1\n"
      "except OSError: pass\nprint(count)");
  program.limits.processes = 5;
  CHECK(sandbox()->run(program).output == "4\n");
}

TEST_CASE("box: kill() ends everything in it") {
  const auto boxes = sandbox();
  auto box = boxes->start(python("import os\nos.fork()\nos.fork()\nwhile True: pass"));
  REQUIRE(box);
  box->kill();
  check_ended_by(box->wait(), BoxEnd::kKilled);
  // Also from another thread while one waits, and when a started box is forgotten.
  auto waited = boxes->start(python("import signal\nsignal.pause()"));
  REQUIRE(waited);
  std::thread killer([&waited] { waited->kill(); });
  check_ended_by(waited->wait(), BoxEnd::kKilled);
  killer.join();
  const auto before = tests::look_at_host();
  { const auto forgotten = boxes->start(python("import signal\nsignal.pause()")); }
  tests::check_same(before, tests::look_at_host());
}

TEST_CASE("box: two boxes talk over pipes") {
  std::array<int, 2> there = {}, back = {};
  REQUIRE(::pipe2(there.data(), O_CLOEXEC) == 0);
  REQUIRE(::pipe2(back.data(), O_CLOEXEC) == 0);
  const auto boxes = sandbox();
  BoxProgram asks = python(
      "import sys\nprint(20, flush=True)\nanswer = int(input())\nsys.stderr.write(str(answer))");
  asks.input_fd = back[0];
  asks.output_fd = there[1];
  BoxProgram answers = python("print(int(input()) + 1, flush=True)");
  answers.input_fd = there[0];
  answers.output_fd = back[1];
  auto first = boxes->start(asks);
  auto second = boxes->start(answers);
  REQUIRE(first);
  REQUIRE(second);
  for (const int end : {there[0], there[1], back[0], back[1]}) ::close(end);
  const BoxResult result = first->wait();
  check_ended_by(result, BoxEnd::kExited);
  CHECK(result.errors == "21");
  check_ended_by(second->wait(), BoxEnd::kExited);
}

TEST_CASE("box: eight threads at once, each with a user of its own") {
  const auto boxes = sandbox();
  std::vector<Box> running;
  for (int i = 0; i < 8; ++i) {
    auto box = boxes->start(python("import signal\nsignal.pause()"));
    REQUIRE(box);
    running.push_back(std::move(*box));
  }
  if (::geteuid() == 0) CHECK(tests::own_slots().size() >= 8);
  running.clear();
  std::vector<int> right(8);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < right.size(); ++i) {
    threads.emplace_back([&boxes, &right, i] {
      for (int run = 0; run < 10; ++run) {
        const std::string number = std::to_string(100 * i + static_cast<size_t>(run));
        BoxProgram program = python("print(int(input()))");
        program.input = number;
        if (boxes->run(program).output == number + "\n") ++right[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == std::vector<int>(8, 10));
}

TEST_CASE("box: sandboxes of one host never share a user") {
  const auto first = sandbox(), second = sandbox();
  auto a = first->start(python("import signal\nsignal.pause()"));
  auto b = second->start(python("import signal\nsignal.pause()"));
  REQUIRE(a);
  REQUIRE(b);
  CHECK(tests::own_slots().size() >= 2);
}

TEST_CASE("box: the death of the process that started it is its own") {
  std::array<int, 2> lifeline = {};
  REQUIRE(::pipe2(lifeline.data(), O_CLOEXEC) == 0);
  const pid_t owner = ::fork();
  REQUIRE(owner >= 0);
  if (owner == 0) {
    auto opened = Sandbox::open(BoxLevel::kNamespacesOnly);
    if (!opened) ::_exit(1);
    BoxProgram program = python("import os, signal\nos.write(1, b'!')\nsignal.pause()");
    program.output_fd = lifeline[1];
    auto box = (*opened)->start(program);
    if (!box) ::_exit(1);
    ::close(lifeline[1]);
    box->wait();
    ::_exit(1);
  }
  ::close(lifeline[1]);
  char byte = 0;
  REQUIRE(::read(lifeline[0], &byte, 1) == 1);  // It runs.
  ::kill(owner, SIGKILL);
  ::waitpid(owner, nullptr, 0);
  // Every process of the box holds the pipe: its end is theirs. The test's own limit is the wait's.
  CHECK(::read(lifeline[0], &byte, 1) == 0);
  ::close(lifeline[0]);
}

// Those that this word was given to, and those of this process group: a box that is being made has
// its maker's.
size_t processes_of(const std::string& word, pid_t group) {
  size_t count = 0;
  for (const auto& entry : tests::fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string stat = tests::text_of(entry.path() / "stat");
    std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 1)));
    std::string state;
    pid_t parent = 0, of_group = 0;
    fields >> state >> parent >> of_group;
    if (state == "Z") continue;  // The host's process 1 has not noticed it yet.
    const bool has_word = tests::text_of(entry.path() / "cmdline").find(word) != std::string::npos;
    if (of_group == group || has_word) ++count;
  }
  return count;
}

TEST_CASE("box: who is killed while making boxes leaves none") {
  const std::string word = "troupe-box-test-" + std::to_string(::getpid());
  for (int i = 0; i < 12; ++i) {
    std::array<int, 2> opened = {};
    REQUIRE(::pipe2(opened.data(), O_CLOEXEC) == 0);
    const pid_t owner = ::fork();
    REQUIRE(owner >= 0);
    if (owner == 0) {
      ::setpgid(0, 0);
      auto sandbox = Sandbox::open(BoxLevel::kNamespacesOnly);
      if (!sandbox) {
        std::fprintf(stderr, "%s\n", sandbox.error().message.c_str());
        ::_exit(1);
      }
      BoxProgram program = python("import signal\nsignal.pause()");
      program.argv.push_back(word);
      const auto make = [&] {
        for (;;) {
          std::vector<Box> boxes;
          for (int box = 0; box < 3; ++box) {
            if (auto started = (*sandbox)->start(program)) boxes.push_back(std::move(*started));
          }
        }
      };
      std::thread other(make);
      static_cast<void>(!::write(opened[1], "!", 1));
      make();
    }
    ::close(opened[1]);
    char byte = 0;
    REQUIRE(::read(opened[0], &byte, 1) == 1);
    ::close(opened[0]);
    ::poll(nullptr, 0, i);  // Any moment of its making boxes.
    ::kill(owner, SIGKILL);
    ::waitpid(owner, nullptr, 0);
    for (int wait = 0; wait < 2000 && processes_of(word, owner) > 0; ++wait) ::poll(nullptr, 0, 5);
    CHECK(processes_of(word, owner) == 0);
  }
}

TEST_CASE("box: who had to wait for a processor is starved") {
  // Many endless loops and one processor, in a process of their own.
  const pid_t owner = ::fork();
  REQUIRE(owner >= 0);
  if (owner == 0) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(::sched_getcpu()), &one);
    if (::sched_setaffinity(0, sizeof one, &one) != 0) ::_exit(10);
    auto opened = Sandbox::open(BoxLevel::kNamespacesOnly);
    if (!opened) ::_exit(11);
    BoxProgram program = python("while True: pass");
    program.limits.cpu_seconds = 5;
    std::vector<Box> others;
    for (int i = 0; i < 8; ++i) {
      auto box = (*opened)->start(program);
      if (!box) ::_exit(12);
      others.push_back(std::move(*box));
    }
    program.limits.wall_seconds = 1;
    const BoxEnd end = (*opened)->run(program).end;
    others.clear();
    ::_exit(end == BoxEnd::kStarved ? 0 : 20 + static_cast<int>(end));
  }
  int status = 0;
  REQUIRE(::waitpid(owner, &status, 0) == owner);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("box: who wakes often and sleeps again is not starved") {
  BoxProgram program = python("import select\nwhile True: select.select([], [], [], 0.001)");
  program.limits.cpu_seconds = 5;
  program.limits.wall_seconds = 0.5;
  check_ended_by(sandbox()->run(program), BoxEnd::kWallLimit);
}

TEST_CASE("box: what cannot be given is refused by name") {
  const BoxSupport support = probe_box_support();
  CHECK(support.level >= BoxLevel::kNamespacesOnly);
  for (const BoxFinding& finding : support.findings) CHECK(!finding.detail.empty());
  const auto full = Sandbox::open(BoxLevel::kFull);
  CHECK(static_cast<bool>(full) == (support.level == BoxLevel::kFull));
  if (full) return;
  for (const BoxFinding& finding : support.findings) {
    if (!finding.is_there) CHECK(full.error().message.find(finding.part) != std::string::npos);
  }
}

// Without root there is no other user to become; limits must hold all the same.
TEST_CASE("box: an ordinary user's boxes are closed too") {
  if (::geteuid() != 0) return;  // Every other test here shows it.
  const pid_t ordinary = ::fork();
  REQUIRE(ordinary >= 0);
  if (ordinary == 0) {
    constexpr uid_t kOrdinary = 64999;
    if (::setgid(kOrdinary) != 0 || ::setuid(kOrdinary) != 0) ::_exit(10);
    auto opened = Sandbox::open(BoxLevel::kNamespacesOnly);
    if (!opened) ::_exit(11);
    BoxProgram program = python(
        "import os, signal\ncount = 0\ntry:\n"
        "    while count < 100:\n"
        "        if os.fork() == 0: signal.pause()\n"
        "        count += 1\n"
        "except OSError: pass\nprint(count)");
    program.limits.processes = 5;
    if ((*opened)->run(program).output != "4\n") ::_exit(12);
    program = python("while True: pass");
    program.limits.cpu_seconds = 0.2;
    const BoxEnd spun = (*opened)->run(program).end;
    if (spun != BoxEnd::kCpuLimit && spun != BoxEnd::kStarved) ::_exit(13);
    program = python("kept = bytearray(b'x') * (1 << 30)");
    const BoxResult filled = (*opened)->run(program);
    if (filled.end != BoxEnd::kExited || filled.exit_status == 0) ::_exit(14);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(ordinary, &status, 0) == ordinary);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace troupe::actors
