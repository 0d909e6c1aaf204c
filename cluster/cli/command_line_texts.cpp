// What shells and man know of the program, made of the same descriptions as --help.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cluster/cli/command_line.h"

namespace troupe::cluster {
namespace {

struct OptionText {
  std::string name{};  // "--home", or a positional's name.
  std::string description{};
  bool takes_value = false;
  bool is_positional = false;
};

struct CommandText {
  std::string path{};  // "keys init"; empty: the program itself.
  std::string description{};
  std::string footer{};
  std::vector<OptionText> options{};
  std::vector<std::string> commands{};  // That follow it, by name.
};

void collect(const CLI::App& app, const std::string& path, std::vector<CommandText>& all) {
  CommandText text{.path = path, .description = app.get_description(), .footer = app.get_footer()};
  for (const CLI::Option* option : app.get_options()) {
    const bool is_positional = option->get_positional() && option->get_lnames().empty();
    if (!is_positional && option->get_lnames().empty()) continue;
    text.options.push_back(
        {.name = is_positional ? option->get_name(true) : "--" + option->get_lnames().front(),
         .description = option->get_description(),
         .takes_value = option->get_expected_max() > 0,
         .is_positional = is_positional});
  }
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* one : commands) {
    if (!one->get_group().empty()) text.commands.push_back(one->get_name());
  }
  all.push_back(std::move(text));
  for (const CLI::App* one : commands) {
    if (one->get_group().empty()) continue;
    collect(*one, path.empty() ? one->get_name() : path + " " + one->get_name(), all);
  }
}

std::vector<std::string> words_after(const CommandText& text) {
  std::vector<std::string> words = text.commands;
  for (const OptionText& option : text.options) {
    if (!option.is_positional) words.push_back(option.name);
  }
  return words;
}

// The same for bash and zsh: what may follow, by the words before. Both look at two words for a
// command with commands of its own.
std::string cases(const std::vector<CommandText>& all) {
  std::string text;
  // Longer paths first: the first that fits counts.
  for (const bool is_nested : {true, false}) {
    for (const CommandText& one : all) {
      if (one.path.empty() || (one.path.find(' ') != std::string::npos) != is_nested) continue;
      text += fmt::format("    \"{}{}\"*) words=\"{}\" ;;\n", one.path, is_nested ? "" : " ",
                          fmt::join(words_after(one), " "));
    }
  }
  return text + fmt::format("    *) words=\"{}\" ;;\n", fmt::join(words_after(all.front()), " "));
}

// In single quotes.
std::string quoted(const std::string& text) {
  std::string safe;
  for (const char c : text) safe += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return "'" + safe + "'";
}

std::string fish(const std::vector<CommandText>& all, const std::string& name) {
  std::string text;
  for (const CommandText& one : all) {
    const size_t space = one.path.find(' ');
    const std::string when =
        one.path.empty() ? "__fish_use_subcommand"
        : space == std::string::npos
            ? "__fish_seen_subcommand_from " + one.path
            : fmt::format("__fish_seen_subcommand_from {}; and __fish_seen_subcommand_from {}",
                          one.path.substr(0, space), one.path.substr(space + 1));
    for (const std::string& command : one.commands) {
      text += fmt::format("complete -c {} -n {} -a {}\n", name, quoted(when), command);
    }
    for (const OptionText& option : one.options) {
      if (option.is_positional) continue;
      text += fmt::format("complete -c {} -n {} -l {}{} -d {}\n", name, quoted(when),
                          option.name.substr(2), option.takes_value ? " -r" : "",
                          quoted(option.description));
    }
  }
  return text;
}

// Text as troff shows it, whatever is in it.
std::string troff(const std::string& text) {
  std::string safe;
  bool is_line_begin = true;
  for (const char c : text) {
    if (is_line_begin && (c == '.' || c == '\'')) safe += "\\&";
    if (c == '\\') {
      safe += "\\e";
    } else if (c == '-') {
      safe += "\\-";
    } else {
      safe += c;
    }
    is_line_begin = c == '\n';
  }
  return safe;
}

}  // namespace

std::string Program::completion(const std::string& shell) const {
  std::vector<CommandText> all;
  const std::string name = owned_app_->get_name();
  collect(*owned_app_, "", all);
  if (shell == "fish") return fish(all, name);
  if (shell == "zsh") {
    return fmt::format(
        "#compdef {0}\n_{0}() {{\n  local words_before=\"${{words[2]}} ${{words[3]}}\" words_all="
        "\"\"\n  local -a found\n  case \"$words_before\" in\n{1}  esac\n  compadd -- "
        "${{=words_all}}\n  _files\n}}\n_{0} \"$@\"\n",
        name, [&] {
          std::string text = cases(all);
          // `words` is zsh's own.
          for (size_t at = 0; (at = text.find(") words=", at)) != std::string::npos; at += 12) {
            text.replace(at, 8, ") words_all=");
          }
          return text;
        }());
  }
  return fmt::format(
      "_{0}() {{\n  local words=\"\"\n  case \"${{COMP_WORDS[1]}} ${{COMP_WORDS[2]}}\" in\n{1}"
      "  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n}}\n"
      "complete -o default -F _{0} {0}\n",
      name, cases(all));
}

std::string Program::man_page() const {
  std::vector<CommandText> all;
  const std::string name = owned_app_->get_name();
  collect(*owned_app_, "", all);
  std::string text = fmt::format(
      ".TH {0} 1\n.SH NAME\n{0} \\- {1}\n.SH SYNOPSIS\n.B {0}\nCOMMAND [OPTIONS]\n"
      ".SH COMMANDS\n",
      name, troff(all.front().description));
  for (const CommandText& one : all) {
    if (one.path.empty()) continue;
    text += fmt::format(".SS {} {}\n{}\n", name, troff(one.path), troff(one.description));
    for (const OptionText& option : one.options) {
      text += fmt::format(".TP\n.B {}\n{}\n", troff(option.name), troff(option.description));
    }
    if (!one.footer.empty()) text += ".PP\n.nf\n" + troff(one.footer) + "\n.fi\n";
  }
  if (!all.front().footer.empty()) {
    text += ".SH NOTES\n.nf\n" + troff(all.front().footer) + "\n.fi\n";
  }
  return text;
}

}  // namespace troupe::cluster
