#include "cluster/daemon/process_card.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "schemas/system_error.h"

namespace troupe::cluster {
namespace {

constexpr size_t kCardBytesMax = 512;

std::string boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

// Clock ticks of this boot when a process began; 0 when there is none.
uint64_t begin_of(pid_t pid) {
  constexpr size_t kBegun = 19;  // From the state on.
  const auto fields = stat_fields(pid);
  if (fields.size() <= kBegun) return 0;
  return std::strtoull(fields[kBegun].c_str(), nullptr, 10);
}

// A file or folder, whatever it is called; empty when it is not there.
std::string identity_of(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return {};
  return fmt::format("{}:{}", found.st_dev, found.st_ino);
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

// A name may hold anything, also spaces and brackets, so its end is looked for from behind.
std::vector<std::string> stat_fields(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text, '\0');
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(text.substr(name_end + 1));
  return {std::istream_iterator<std::string>(fields), {}};
}

std::optional<ProcessCard> card_of(pid_t pid, std::string word) {
  ProcessCard card{.pid = pid,
                   .begun = begin_of(pid),
                   .boot = boot_id(),
                   .program = own_program(),
                   .word = std::move(word)};
  if (card.begun == 0 || card.boot.empty()) return std::nullopt;
  return card;
}

std::string own_program() { return identity_of("/proc/self/exe"); }

Status write_card(const std::string& path, const ProcessCard& card) {
  const std::string text =
      fmt::format("{} {} {} {} {} {}\n", card.boot, identity_of(folder_of(path)), card.program,
                  card.pid, card.begun, card.word);
  const std::string unfinished = path + ".unfinished";
  ::unlink(unfinished.c_str());
  const Descriptor file(
      ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  const bool is_written =
      file.get() >= 0 &&
      ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      ::rename(unfinished.c_str(), path.c_str()) == 0;
  if (!is_written) return system_error("cannot write " + path, errno);
  return ok();
}

std::optional<ProcessCard> read_card(const std::string& path) {
  std::ifstream file(path);
  std::string line(kCardBytesMax, '\0');
  file.read(line.data(), kCardBytesMax);
  line.resize(static_cast<size_t>(file.gcount()));
  if (line.size() == kCardBytesMax) return std::nullopt;
  std::istringstream fields(line);
  ProcessCard card;
  std::string folder;
  std::string more;
  fields >> card.boot >> folder >> card.program >> card.pid >> card.begun >> card.word;
  if (fields.fail() || fields >> more || card.pid <= 0) return std::nullopt;
  if (folder != identity_of(folder_of(path))) return std::nullopt;
  return card;
}

// By number, because glibc 2.36 declares its wrapper without C linkage.
Descriptor open_process(pid_t pid) {
  return Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

Descriptor open_process(const ProcessCard& card) {
  if (card.boot != boot_id()) return Descriptor();
  Descriptor process = open_process(card.pid);
  if (process.get() < 0) return process;
  // One that has ended and whose parent has not noticed is still listed.
  pollfd ended{process.get(), POLLIN, 0};
  if (::poll(&ended, 1, 0) > 0) return Descriptor();
  // Whoever has the number since has begun later.
  if (begin_of(card.pid) != card.begun) return Descriptor();
  return process;
}

}  // namespace troupe::cluster
