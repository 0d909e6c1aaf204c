// `troupe alive`: whether a node's daemon is at work, for who starts it again when it is not.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <string>

#include "cluster/cli/command.h"
#include "cluster/monitor/text.h"
#include "cluster/nodes/sign_of_life.h"

namespace troupe::cluster {
namespace {

struct AliveCommand {
  std::string home{};
  int64_t within_seconds = 15;
};

Status look(const AliveCommand& command) {
  const auto sign = find_sign_of_life(command.home);
  if (!sign) return sign.error();
  const double age = std::chrono::duration<double>(sign->age).count();
  const std::string line = fmt::format("{}, {:.0f} s ago", printable(sign->text), age);
  if (age > static_cast<double>(command.within_seconds)) {
    return Error{ErrorCode::kInternal, "the daemon is not at work; what it said last: " + line};
  }
  return print_line(line);
}

}  // namespace

void add_alive(Command& program, int& exit_code) {
  Command command =
      program.add_command("alive", "Say whether the daemon of a host that joins a head is at work");
  command.footer(
      "A probe: exit code 0 when it has given a sign of life lately, 1 when not. At a head:\n"
      "troupe jobs.\nExample:\n  troupe alive /srv/troupe");
  const auto state = std::make_shared<AliveCommand>();
  command.add_option("home", state->home, "The daemon's --home").required();
  command.add_option("--within", state->within_seconds, "Seconds")
      .show_default()
      .range<int64_t>(5, 86'400);
  command.callback([state, &exit_code] {
    const Status done = look(*state);
    exit_code = done ? 0 : report("alive", done.error());
  });
}

}  // namespace troupe::cluster
