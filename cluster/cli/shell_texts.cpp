// `troupe completion` and `troupe man`: for shells and for man, from what --help says.
#include <cstdio>
#include <memory>

#include "cluster/cli/command.h"

namespace troupe::cluster {

void add_completion(Command& program, const Program& of, int& exit_code) {
  Command command = program.add_command("completion", "Print what a shell completes commands by");
  command.footer(
      "Examples:\n  troupe completion bash > ~/.local/share/bash-completion/completions/troupe\n"
      "  troupe completion zsh > ~/.zfunc/_troupe\n"
      "  troupe completion fish > ~/.config/fish/completions/troupe.fish");
  auto shell = std::make_shared<std::string>();
  command.add_option("shell", *shell, "bash, zsh or fish")
      .required()
      .one_of({"bash", "zsh", "fish"});
  command.callback([shell, &of, &exit_code] {
    std::fputs(of.completion(*shell).c_str(), stdout);
    exit_code = 0;
  });
}

void add_man(Command& program, const Program& of, int& exit_code) {
  Command command = program.add_command("man", "Print the manual page, for man");
  command.footer("Example:\n  troupe man | man -l -");
  command.callback([&of, &exit_code] {
    std::fputs(of.man_page().c_str(), stdout);
    exit_code = 0;
  });
}

}  // namespace troupe::cluster
