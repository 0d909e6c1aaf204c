#include "tests/support/simt/problems.h"

#include <dlfcn.h>

#include <cstdio>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "tests/support/simt/threads.h"

namespace troupe::simt {
namespace {

constexpr size_t kProblemsMax = 64;

struct Found {
  std::vector<Problem> problems{};
  // By kind and place: the same line is wrong for many threads.
  std::set<std::tuple<ProblemKind, const void*, std::string>> known{};
};
Found& found() {
  static Found all;
  return all;
}

// The line of a kernel's source that an instruction was made of, through all that was inlined
// there.
std::string source_of(const void* return_address) {
  Dl_info info{};
  if (dladdr(return_address, &info) == 0) return "an unknown instruction";
  // The call itself lies before the address that it returns to.
  const size_t offset = static_cast<size_t>(static_cast<const char*>(return_address) -
                                            static_cast<const char*>(info.dli_fbase)) -
                        1;
  char command[512];
  std::snprintf(command, sizeof command, "addr2line -i -e '%s' %#zx 2>&1", info.dli_fname, offset);
  const std::unique_ptr<FILE, int (*)(FILE*)> lines(popen(command, "r"), pclose);
  char line[1024];
  std::string first;
  while (lines && std::fgets(line, sizeof line, lines.get()) != nullptr) {
    std::string text(line);
    text = text.substr(0, text.find_first_of(" \n"));
    text = text.substr(text.rfind('/') + 1);
    if (text.find(".cu:") != std::string::npos) return text;
    if (first.empty()) first = text;
  }
  return first.empty() ? "an unknown instruction" : first;
}

}  // namespace

const char* name(ProblemKind kind) {
  switch (kind) {
    case ProblemKind::kRace:
      return "race";
    case ProblemKind::kRaceOfBlocks:
      return "race between blocks";
    case ProblemKind::kOutOfBounds:
      return "out of bounds";
    case ProblemKind::kNeverWritten:
      return "read of what was never written";
    case ProblemKind::kCopyOnItsWay:
      return "read of a copy before its wait";
    case ProblemKind::kHostMemory:
      return "access of host memory";
    case ProblemKind::kMisaligned:
      return "misaligned access";
    case ProblemKind::kDivergentBarrier:
      return "divergent barrier";
    case ProblemKind::kDeadlock:
      return "deadlock";
    case ProblemKind::kWarpOperation:
      return "wrong lanes at an operation of a warp";
  }
  return "";
}

std::string text_of(Place place) {
  const std::string file = place.file == nullptr ? "" : place.file;
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(place.line);
}

void note(ProblemKind kind, const std::string& what, const Where& where) {
  Found& all = found();
  const std::string place = where.place.file != nullptr ? text_of(where.place) : "";
  if (all.problems.size() >= kProblemsMax) return;
  if (!all.known.insert({kind, where.instruction, place + what}).second) return;
  std::string text = std::string(name(kind)) + (what.empty() ? "" : ": " + what);
  if (!place.empty()) {
    text += " at " + place;
  } else if (where.instruction != nullptr) {
    text += " at " + source_of(where.instruction);
  }
  all.problems.push_back({kind, text + running_thread_text()});
}

std::vector<Problem> take_problems() {
  found().known.clear();
  return std::exchange(found().problems, {});
}

}  // namespace troupe::simt
