// What makes others start Troupe's daemons: a unit of systemd, a script for Slurm's sbatch,
// manifests for Kubernetes. Texts are functions of what was asked and of nothing else.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cluster {

struct SystemdUnit {
  bool is_head = true;  // Else of a host that joins one.
  std::string trouped{"/usr/local/bin/trouped"};
  std::string config{"/etc/troupe/trouped.toml"};
  std::string home{"/var/lib/troupe"};
  std::string user{"troupe"};
};
std::string systemd_unit(const SystemdUnit& unit);

struct SlurmScript {
  std::string made_by{};  // The command line, for whoever reads the script.
  std::string name{};     // Of the job, as a job file may have it.
  std::string troupe{};   // The program; trouped lies beside it. Paths are absolute.
  std::string job{};      // The job file.
  std::vector<std::string> overrides{};
  std::string home{};       // A folder that all hosts see.
  std::string node_home{};  // Of each host's own; empty: below its folder for temporary files.
  uint32_t nodes = 1;
  uint32_t slots = 0;  // Of each host; 0: its cores, as Slurm gives them.
  uint32_t attempts_max = 100;
  uint32_t grace_seconds = 120;        // Between Slurm's SIGTERM and its end.
  std::vector<std::string> options{};  // "key=value" or "key", as #SBATCH lines.
};
std::string slurm_script(const SlurmScript& script);

// As one word of a shell's, whatever is in it.
std::string shell_word(std::string_view text);

// `text` with each @KEY@ replaced by its value; every key is there, and nothing else between @.
std::string filled(std::string text, const std::map<std::string, std::string>& values);

}  // namespace troupe::cluster
