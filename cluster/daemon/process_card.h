// What a head leaves in a file about a process, for the next one: the number of a process is used
// again, so it comes with the time when the process began; and a folder may be copied with its
// cards, so they say which one they were written in.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schemas/descriptor.h"
#include "schemas/result.h"

namespace troupe::cluster {

struct ProcessCard {
  pid_t pid = 0;
  uint64_t begun = 0;  // Of this boot's clock ticks.
  std::string boot{};
  std::string program{};  // Which one this head is; it starts its workers from the same file.
  std::string word{};     // What else is to be known of the process; no spaces.
};

// What /proc says in one line of a process, from its state on: the third field and all behind it.
// Empty when it is not there.
std::vector<std::string> stat_fields(pid_t pid);

// Of a process that is there; nothing when it is not.
std::optional<ProcessCard> card_of(pid_t pid, std::string word);
// Of the file that this program was started from.
std::string own_program();

// For the file's owner alone, whole or not at all.
Status write_card(const std::string& path, const ProcessCard& card);
// Nothing unless the file is there, well formed and was written in this folder.
std::optional<ProcessCard> read_card(const std::string& path);

// A pidfd of that very process; none, when it is gone or has ended.
Descriptor open_process(const ProcessCard& card);
// Of a process whose number cannot have been used again.
Descriptor open_process(pid_t pid);

}  // namespace troupe::cluster
