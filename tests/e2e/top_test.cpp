// `troupe top` at a real terminal, with a real daemon.
#include <doctest/doctest.h>

#include "tests/support/served.h"
#include "tests/support/terminal.h"

namespace troupe {
namespace {

using tests::AtTerminal;
using tests::Served;
using tests::ShortJob;

// Says how the terminal is set before and after, and how the program ended.
std::string script(const Served& served, const std::string& after = "") {
  const std::string troupe = TROUPE_BINARY;
  return "before=$(stty -g); " + troupe + " top --server " + served.server() + "; code=$?; " +
         after + " [ \"$before\" = \"$(stty -g)\" ] && echo same || echo other; echo code $code";
}

void check_left(AtTerminal& terminal, const std::string& code) {
  CHECK(terminal.wait() == 0);
  const std::string text = terminal.screen().text();
  CAPTURE(text);
  CHECK(text.find("same\ncode " + code) != std::string::npos);
  CHECK(!terminal.screen().is_other_screen());
  CHECK(terminal.screen().has_cursor());
}

TEST_CASE("top: keys lead through the jobs, one job, hosts, answers and help, on 80 x 24") {
  const ShortJob job;
  const Served served(job);
  served.watch(served.submit({"eval.every_steps=2", "name=\"first\""}), 0);
  served.submit({"grpo.steps=100000", "eval.every_steps=2", "name=\"second\""});
  tests::wait_until_running(served, 1);
  AtTerminal terminal(script(served));
  const auto shows = [&](const std::string& text) {
    CAPTURE(text);
    const bool is_shown = terminal.shows(text);
    CAPTURE(terminal.screen().text());
    CHECK(is_shown);
  };
  shows(
      "› "
      "     2  second");
  shows("reward");
  shows("1 jobs  2 job  3 hosts  4 traces");
  terminal.type("\x1b[B");
  shows(
      "› "
      "     1  first");
  terminal.type("\r");
  shows("job 1  first  finished  6/6 steps");
  terminal.type("4");
  shows("job 1  answer 1 of 3");
  terminal.type("n");
  shows("job 1  answer 2 of 3");
  terminal.type("2\x1b[D");
  shows("job 2  second  running");
  terminal.type("3");
  shows("DISK FREE");
  shows("up");
  terminal.type("?");
  shows("leave; the jobs go on");
  terminal.type("\x1b");
  shows("DISK FREE");
  terminal.type("1ss");
  shows("s by name");
  CHECK(terminal.screen().errors() == "");
  CHECK(terminal.screen().rows_lost() == 0);
  CHECK(terminal.screen().is_other_screen());
  terminal.type("q");
  check_left(terminal, "0");
}

TEST_CASE("top: the terminal is as it was after each way to end") {
  const ShortJob job;
  const Served served(job);
  const std::string keys = "? help  q quit";
  // Signals that a user sends ask it to leave, those of a wrong program end it as they do.
  for (const auto& [signal, code] : {std::pair{SIGINT, "0"},
                                     {SIGTERM, "0"},
                                     {SIGHUP, "0"},
                                     {SIGQUIT, "131"},
                                     {SIGABRT, "134"},
                                     {SIGSEGV, "139"}}) {
    CAPTURE(signal);
    AtTerminal terminal(script(served));
    REQUIRE(terminal.shows(keys));
    ::kill(terminal.child(), signal);
    check_left(terminal, code);
  }
  AtTerminal terminal(script(served));
  REQUIRE(terminal.shows(keys));
  terminal.type("\x03");
  check_left(terminal, "0");
}

TEST_CASE("top: Ctrl-Z gives the terminal back, and going on takes it again") {
  const ShortJob job;
  const Served served(job);
  const std::string keys = "? help  q quit";
  AtTerminal terminal("set -m; " +
                      script(served,
                             "echo stopped $code; stty -a | grep -o ' icanon'; read line; "
                             "fg >/dev/null; code=$?;"));
  REQUIRE(terminal.shows(keys));
  terminal.type("\x1a");
  REQUIRE(terminal.shows("stopped 148"));
  REQUIRE(terminal.shows(" icanon"));
  CHECK(!terminal.screen().is_other_screen());
  terminal.type("\n");
  REQUIRE(terminal.shows(keys));
  CHECK(terminal.screen().is_other_screen());
  terminal.type("q");
  check_left(terminal, "0");
}

TEST_CASE("top: a daemon that goes is told on the page, and its next one is shown") {
  const ShortJob job;
  Served served(job);
  AtTerminal terminal(script(served));
  REQUIRE(terminal.shows("0 jobs"));
  served.daemon().signal(SIGKILL);
  served.daemon().wait();
  CHECK(terminal.shows("is trouped running?"));
  served.start();
  served.submit({});
  CHECK(terminal.shows("› "));
  CHECK(terminal.screen().errors() == "");
  terminal.type("q");
  check_left(terminal, "0");
}

TEST_CASE("top: without a daemon it says so and touches nothing") {
  const ShortJob job;
  AtTerminal terminal(std::string(TROUPE_BINARY) + " top --server " + job.file("nobody") +
                      "; echo code $?");
  CHECK(terminal.wait() == 0);
  CHECK(terminal.screen().text().find("code 1") != std::string::npos);
  CHECK(terminal.screen().errors() == "");
}

}  // namespace
}  // namespace troupe
