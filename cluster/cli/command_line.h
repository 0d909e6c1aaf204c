// Commands, their options and what is called when one is chosen. CLI11 reads them in
// command_line.cpp and is seen nowhere else: it is all header, and slow to compile.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace troupe::cluster {

// What may be said of an option, in a chain.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option& required();
  // The help names the value that it has now.
  Option& show_default();
  // Both ends are allowed. Instantiated in command_line.cpp for the types that are there.
  template <class T>
  Option& range(T min, T max);
  Option& one_of(const std::vector<std::string>& names);
  // `find_fault` says what is wrong with a text; nothing where it is right.
  Option& check(std::string (*find_fault)(const std::string&));
  // One value each time, and all of them count.
  Option& may_repeat();
  // Several values in one text.
  Option& separated_by(char separator);

 private:
  CLI::Option* option_;
};

// A handle; the program owns what is behind it.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  Command add_command(const std::string& name, const std::string& description);
  // One of these commands must follow.
  void require_command();
  // `value` outlives the reading. Instantiated in command_line.cpp for the types that are there.
  template <class T>
  Option add_option(const std::string& name, T& value, const std::string& description = "");
  void add_flag(const std::string& name, bool& value, const std::string& description);
  // At the end of its help.
  void footer(const std::string& text);
  // Not in the help.
  void hide();
  void callback(std::function<void()> chosen);

 protected:
  CLI::App* app_;
};

// The whole command line, with at most one command.
class Program : public Command {
 public:
  Program(const std::string& description, const std::string& name);
  ~Program();

  // Calls back the chosen command. The exit code where there is nothing more to do: 0 after the
  // help was printed, 2 after what cannot be read was named on standard error.
  std::optional<int> read(int argc, const char* const* argv);
  std::string chosen_command() const;  // Empty: none.
  std::string help() const;
  // What a shell completes commands and options by: bash, zsh or fish.
  std::string completion(const std::string& shell) const;
  // Of all commands, as troff.
  std::string man_page() const;
  // What --version prints; asked for only then.
  void version(std::function<std::string()> text);

 private:
  explicit Program(std::unique_ptr<CLI::App> app);

  std::unique_ptr<CLI::App> owned_app_;
};

}  // namespace troupe::cluster
