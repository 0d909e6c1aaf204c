#include "cluster/cli/command_line.h"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <cstdio>
#include <utility>

namespace troupe::cluster {

Option& Option::required() {
  option_->required();
  return *this;
}

Option& Option::show_default() {
  option_->capture_default_str();
  return *this;
}

template <class T>
Option& Option::range(T min, T max) {
  option_->check(CLI::Range(min, max));
  return *this;
}

template Option& Option::range(int, int);
template Option& Option::range(int64_t, int64_t);
template Option& Option::range(double, double);

Option& Option::one_of(const std::vector<std::string>& names) {
  option_->check(CLI::IsMember(names));
  return *this;
}

Option& Option::check(std::string (*find_fault)(const std::string&)) {
  option_->check(find_fault);
  return *this;
}

Option& Option::may_repeat() {
  option_->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return *this;
}

Option& Option::separated_by(char separator) {
  option_->delimiter(separator);
  return *this;
}

Command Command::add_command(const std::string& name, const std::string& description) {
  return Command(app_->add_subcommand(name, description));
}

void Command::require_command() { app_->require_subcommand(1); }

template <class T>
Option Command::add_option(const std::string& name, T& value, const std::string& description) {
  return Option(app_->add_option(name, value, description));
}

template Option Command::add_option(const std::string&, int&, const std::string&);
template Option Command::add_option(const std::string&, int64_t&, const std::string&);
template Option Command::add_option(const std::string&, uint16_t&, const std::string&);
template Option Command::add_option(const std::string&, uint32_t&, const std::string&);
template Option Command::add_option(const std::string&, std::optional<uint32_t>&,
                                    const std::string&);
template Option Command::add_option(const std::string&, uint64_t&, const std::string&);
template Option Command::add_option(const std::string&, double&, const std::string&);
template Option Command::add_option(const std::string&, std::string&, const std::string&);
template Option Command::add_option(const std::string&, std::vector<std::string>&,
                                    const std::string&);

void Command::add_flag(const std::string& name, bool& value, const std::string& description) {
  app_->add_flag(name, value, description);
}

void Command::footer(const std::string& text) { app_->footer(text); }

void Command::hide() { app_->group(""); }

void Command::callback(std::function<void()> chosen) { app_->callback(std::move(chosen)); }

Program::Program(const std::string& description, const std::string& name)
    : Program(std::make_unique<CLI::App>(description, name)) {}

Program::Program(std::unique_ptr<CLI::App> app) : Command(app.get()), owned_app_(std::move(app)) {
  owned_app_->require_subcommand(0, 1);
}

Program::~Program() = default;

std::optional<int> Program::read(int argc, const char* const* argv) {
  try {
    owned_app_->parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& success) {  // --help
    return owned_app_->exit(success);
  } catch (const CLI::ParseError& error) {
    // The command that was being read has a help of its own.
    const std::string command = chosen_command();
    const std::string path = owned_app_->get_name() + (command.empty() ? "" : " " + command);
    std::fprintf(stderr, "%s: %s; see: %s --help\n", path.c_str(), error.what(), path.c_str());
    return 2;
  }
}

std::string Program::chosen_command() const {
  const auto chosen = owned_app_->get_subcommands();
  return chosen.empty() ? "" : chosen.front()->get_name();
}

void Program::version(std::function<std::string()> text) {
  owned_app_->set_version_flag("--version", std::move(text), "Print version, build and arithmetic");
}

std::string Program::help() const { return owned_app_->help(); }

}  // namespace troupe::cluster
