#include "cluster/deploy/deploy_texts.h"

#include <fmt/format.h>

#include "cluster/deploy/embedded_texts.h"
#include "schemas/check.h"

namespace troupe::cluster {
namespace {

constexpr std::string_view kStateFolder = "/var/lib/";

std::string shell_words(const std::vector<std::string>& texts) {
  std::string words;
  for (const std::string& text : texts) words += (words.empty() ? "" : " ") + shell_word(text);
  return words;
}

// In a comment.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

// Where systemd may write to, and whose folders it makes.
std::string unit_folders(const SystemdUnit& unit) {
  std::string text;
  if (unit.home.rfind(kStateFolder, 0) == 0) {
    text = fmt::format("StateDirectory={}\nStateDirectoryMode=0700\n",
                       unit.home.substr(kStateFolder.size()));
  } else {
    text = fmt::format("ReadWritePaths={}\n", unit.home);
  }
  if (unit.is_head) text += "RuntimeDirectory=troupe\nRuntimeDirectoryMode=0700\n";
  return text;
}

}  // namespace

std::string shell_word(std::string_view text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? "'\\''" : std::string(1, c);
  return word + "'";
}

std::string filled(std::string text, const std::map<std::string, std::string>& values) {
  std::string result;
  size_t at = 0;
  for (;;) {
    const size_t begin = text.find('@', at);
    result += text.substr(at, begin - at);
    if (begin == text.npos) return result;
    const size_t end = text.find('@', begin + 1);
    TROUPE_CHECK(end != text.npos);
    const auto value = values.find(text.substr(begin + 1, end - begin - 1));
    TROUPE_CHECK(value != values.end());
    result += value->second;
    at = end + 1;
  }
}

std::string systemd_unit(const SystemdUnit& unit) {
  // The folders are said here, since this is what may be written to.
  const std::string exec =
      fmt::format("{} {}--config {} --home {}{}", unit.trouped, unit.is_head ? "--head " : "",
                  unit.config, unit.home, unit.is_head ? " --server /run/troupe" : "");
  const std::string example =
      unit.is_head ? fmt::format(
                         "# {}, which is {}'s, as are the keys:\n"
                         "#   [head]\n"
                         "#   listen = \"0.0.0.0:7733\"   # nodes join at 7734\n"
                         "#   keys = \"keys\"             # from troupe keys init\n"
                         "#   slots = 0                 # this host only coordinates\n"
                         "# On this host operators say --server /run/troupe.\n",
                         unit.config, unit.user)
                   : fmt::format(
                         "# {}, which is {}'s, as is the key:\n"
                         "#   [join]\n"
                         "#   head = \"head.example.org:7734\"\n"
                         "#   key = \"node.key\"          # from troupe keys node NAME\n",
                         unit.config, unit.user);
  return filled(
      std::string(systemd_service_text()),
      {{"KIND", unit.is_head ? "head" : "node"},
       {"NAME", unit.is_head ? "troupe-head" : "troupe-node"},
       {"HOME", unit.home},
       {"USER", unit.user},
       {"CONFIG_EXAMPLE", example},
       {"DESCRIPTION", unit.is_head ? "Troupe, head of a cluster" : "Troupe, node of a cluster"},
       {"EXEC", exec},
       {"DRAINS", unit.is_head ? "up to five minutes, and its jobs go on with the next daemon"
                               : "up to two minutes, until what runs here is elsewhere"},
       {"STOP_SECONDS", unit.is_head ? "330" : "150"},
       {"FOLDERS", unit_folders(unit)}});
}

std::string slurm_script(const SlurmScript& script) {
  std::string text = fmt::format(
      "#!/usr/bin/env bash\n"
      "# {} on {} host{}, for sbatch. Made by: {}\n"
      "#SBATCH --job-name={}\n"
      "#SBATCH --nodes={}\n"
      "#SBATCH --ntasks-per-node=1\n"
      "#SBATCH --requeue\n"
      "#SBATCH --signal=B:TERM@{}\n"
      "#SBATCH --open-mode=append\n"
      "#SBATCH --output=%x-%j.log\n",
      script.name, script.nodes, script.nodes == 1 ? "" : "s", one_line(script.made_by),
      script.name, script.nodes, script.grace_seconds);
  for (const std::string& option : script.options) text += fmt::format("#SBATCH --{}\n", option);
  std::vector<std::string> overrides;
  for (const std::string& one : script.overrides) {
    overrides.emplace_back("--set");
    overrides.push_back(one);
  }
  text += fmt::format(
      "\ntroupe={}\n"
      "job={}\n"
      "overrides=({})\n"
      "home={}  # All hosts see it; one job's.\n"
      "node_home={}  # Each host's own; empty: below TMPDIR.\n"
      "slots={}  # Of each host; empty: its cores.\n"
      "attempts_max={}\n"
      "grace={}  # Seconds.\n"
      "head_patience=300  # Seconds in which an earlier attempt's head has to be gone.\n",
      shell_word(script.troupe), shell_word(script.job), shell_words(overrides),
      shell_word(script.home), shell_word(script.node_home),
      script.slots > 0 ? std::to_string(script.slots) : "", script.attempts_max,
      script.grace_seconds);
  return text + std::string(slurm_body_text());
}

}  // namespace troupe::cluster
