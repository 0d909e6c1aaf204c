// What no compiler checks: the shape of the tree and of its files.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {
namespace {

namespace fs = std::filesystem;

// An include points to its own layer or to the left.
constexpr std::array<std::string_view, 5> kLayers = {"schemas", "kernels", "model", "actors",
                                                     "cluster"};

// What a folder of actors/ may include of the others, those below first: who decides knows who
// works for it, and never the other way round. "" are the files of no folder.
struct Allowed {
  std::string_view folder;
  std::vector<std::string_view> targets;
};
const std::vector<Allowed>& actors_folders() {
  static const std::vector<Allowed> allowed = {
      {"replay", {}},
      {"", {"replay"}},
      {"verifier", {}},
      {"job", {"verifier"}},
      {"learner", {"job"}},
      {"rollout", {"learner"}},
      {"worker", {"", "job", "learner", "rollout", "verifier"}},
      {"crew", {""}},
      {"controller", {"", "crew", "job", "replay", "rollout", "verifier"}},
      {"scheduler", {"", "controller", "crew", "job", "replay"}},
  };
  return allowed;
}

// Those that share a folder and know each other only through controller.h, which owns them.
constexpr std::array<std::string_view, 5> kControllerParts = {"held_out", "learning", "points",
                                                              "published_policies", "rounds"};

fs::path root() { return TROUPE_SOURCE_DIR; }

struct Source {
  std::string path{};  // From the root.
  std::vector<std::string> lines{};

  std::string_view top() const { return std::string_view(path).substr(0, path.find('/')); }
  bool ends_with(std::string_view end) const {
    return path.size() >= end.size() && path.substr(path.size() - end.size()) == end;
  }
};

bool is_source(const fs::path& path) {
  static const std::set<std::string> extensions = {".h",   ".cpp",   ".inl", ".cu",
                                                   ".cuh", ".capnp", ".sh",  ".py"};
  return extensions.count(path.extension().string()) > 0 || path.filename() == "CMakeLists.txt";
}

// All sources under the layers and tests/, read once.
const std::vector<Source>& sources() {
  static const std::vector<Source> all = [] {
    std::vector<Source> found;
    std::vector<std::string> tops(kLayers.begin(), kLayers.end());
    tops.push_back("tests");
    for (const std::string& top : tops) {
      if (!fs::exists(root() / top)) continue;
      for (const auto& entry : fs::recursive_directory_iterator(root() / top)) {
        if (!entry.is_regular_file() || !is_source(entry.path())) continue;
        Source source{fs::relative(entry.path(), root()).string(), {}};
        std::ifstream file(entry.path());
        for (std::string line; std::getline(file, line);) source.lines.push_back(line);
        found.push_back(std::move(source));
      }
    }
    std::sort(found.begin(), found.end(),
              [](const Source& a, const Source& b) { return a.path < b.path; });
    return found;
  }();
  return all;
}

// Calls check(source, line number, line) for each line of each source.
template <class Check>
void for_each_line(Check check) {
  for (const Source& source : sources()) {
    for (size_t i = 0; i < source.lines.size(); ++i) check(source, i + 1, source.lines[i]);
  }
}

std::string where(const Source& source, size_t line) {
  return source.path + ":" + std::to_string(line);
}

// What a quoted or angled include names; empty for other lines.
std::string included(const std::string& line) {
  static const std::regex pattern("^\\s*#\\s*include\\s*[<\"]([^>\"]+)[>\"].*");
  std::smatch match;
  return std::regex_match(line, match, pattern) ? match[1].str() : "";
}

size_t columns_of(const std::string& line) {
  return static_cast<size_t>(std::count_if(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

TEST_CASE("tidy: the sources are found") { CHECK(sources().size() > 20); }

TEST_CASE("tidy: nothing but the house is at the top") {
  const std::set<std::string> asked = {"actors",         "model",     "kernels",
                                       "schemas",        "cluster",   "tests",
                                       "CMakeLists.txt", "README.md", "CMakePresets.json"};
  for (const auto& entry : fs::directory_iterator(root())) {
    const std::string name = entry.path().filename().string();
    // What .gitignore names may lie around.
    const bool is_ignored = name.rfind("build", 0) == 0 || name == "runs" || name == "shared" ||
                            name == "compile_commands.json";
    if (name[0] == '.' || is_ignored) continue;
    CAPTURE(name);
    CHECK(asked.count(name) == 1);
  }
}

TEST_CASE("tidy: every folder of the house says what it is") {
  for (const std::string_view layer : kLayers) {
    CAPTURE(layer);
    CHECK(fs::exists(root() / layer / "README.md"));
  }
  CHECK(fs::exists(root() / "tests" / "README.md"));
  CHECK(fs::exists(root() / "README.md"));
}

TEST_CASE("tidy: includes point left only") {
  for_each_line([](const Source& source, size_t number, const std::string& line) {
    const std::string target = included(line);
    if (target.empty()) return;
    CAPTURE(where(source, number));
    CHECK(target.find("../") == std::string::npos);
    const auto layer_of = [](std::string_view top) {
      return static_cast<size_t>(std::find(kLayers.begin(), kLayers.end(), top) - kLayers.begin());
    };
    const size_t slash = target.find('/');
    const auto target_layer =
        layer_of(slash == std::string::npos ? "" : std::string_view(target).substr(0, slash));
    if (target_layer == kLayers.size()) {
      CHECK((source.top() == "tests" || target.rfind("tests/", 0) != 0));
      return;
    }
    CHECK(target_layer <= layer_of(source.top()));  // tests/ is right of all.
  });
}

// The folder of actors/ that a path is in; "" for a file that is in none of them.
std::string_view actors_folder(std::string_view path) {
  path.remove_prefix(std::string_view("actors/").size());
  const size_t slash = path.find('/');
  return slash == std::string_view::npos ? "" : path.substr(0, slash);
}

TEST_CASE("tidy: within actors, too, includes go one way") {
  std::map<std::string_view, std::set<std::string_view>> targets_of;
  for (const Allowed& one : actors_folders()) {
    CAPTURE(one.folder);
    for (const std::string_view target : one.targets) CHECK(targets_of.count(target) == 1);
    targets_of[one.folder].insert(one.targets.begin(), one.targets.end());
    targets_of[one.folder].insert(one.folder);
  }
  size_t includes = 0;
  for_each_line([&](const Source& source, size_t number, const std::string& line) {
    const std::string target = included(line);
    if (source.top() != "actors" || target.rfind("actors/", 0) != 0) return;
    ++includes;
    const std::string_view folder = actors_folder(source.path);
    CAPTURE(where(source, number));
    CHECK(targets_of[folder].count(actors_folder(target)) == 1);
  });
  CHECK(includes > 100);
}

TEST_CASE("tidy: the parts of the controller do not know each other") {
  size_t parts = 0;
  for_each_line([&](const Source& source, size_t number, const std::string& line) {
    const auto part_of = [](std::string_view path) -> std::string_view {
      for (const std::string_view part : kControllerParts) {
        const std::string stem = "actors/controller/" + std::string(part);
        if (path == stem + ".h" || path == stem + ".cpp") return part;
      }
      return "";
    };
    const std::string_view part = part_of(source.path);
    const std::string target = included(line);
    if (part.empty() || target.empty()) return;
    CAPTURE(where(source, number));
    CHECK((part_of(target).empty() || part_of(target) == part));
    CHECK(target != "actors/controller/controller.h");
    if (part_of(target) == part) ++parts;
  });
  CHECK(parts == kControllerParts.size());
}

TEST_CASE("tidy: libraries stay where they belong") {
  struct Home {
    std::string_view prefix;  // Of the include.
    std::vector<std::string_view> folders;
  };
  const Home homes[] = {
      {"capnp/", {"schemas/"}},
      {"kj/", {"schemas/"}},
      {"cuda", {"kernels/"}},
      {"nccl", {"kernels/"}},
      {"pcre2", {"model/tokenizer/"}},
      {"utf8proc", {"model/tokenizer/"}},
      {"rocksdb/", {"actors/replay/"}},
      {"flint/", {"actors/verifier/math/"}},
      {"arb", {"actors/verifier/math/"}},
      {"acb", {"actors/verifier/math/"}},
      {"seccomp", {"actors/verifier/sandbox/"}},
      {"caf/", {"actors/", "cluster/"}},
      {"zmq", {"kernels/collective/", "cluster/"}},
      {"toml++/", {"cluster/"}},
      {"CLI/", {"cluster/cli/command_line.cpp", "cluster/cli/command_line_texts.cpp"}},
      {"boost/", {"cluster/dashboard/http_server.cpp"}},
  };
  for_each_line([&homes](const Source& source, size_t number, const std::string& line) {
    if (source.top() == "tests") return;
    const std::string target = included(line);
    for (const Home& home : homes) {
      if (target.rfind(home.prefix, 0) != 0) continue;
      CAPTURE(where(source, number));
      CHECK(std::any_of(home.folders.begin(), home.folders.end(), [&](std::string_view folder) {
        return source.path.rfind(folder, 0) == 0;
      }));
    }
  });
}

// Whatever a kernel says in words of CUDA's own, no host can run.
TEST_CASE("tidy: kernels come to the device through device.h and launch.h alone") {
  static const std::regex pattern(
      "\\b(threadIdx|blockIdx|blockDim|gridDim|__\\w*sync\\w*|__shared__|__global__|__device__|"
      "__f\\w+_r[nzud]|asm|atomicAdd|cuda\\w*\\()|<<<");
  size_t kernels = 0;
  for (const Source& source : sources()) {
    if (!source.ends_with(".cu")) continue;
    ++kernels;
    for (size_t i = 0; i < source.lines.size(); ++i) {
      CAPTURE(where(source, i + 1));
      CHECK(!std::regex_search(source.lines[i], pattern));
    }
  }
  CHECK(kernels > 2);
}

// Every source that calls nlohmann's parser or printer compiles it again.
TEST_CASE("tidy: JSON text is read and written in one place") {
  for_each_line([](const Source& source, size_t number, const std::string& line) {
    if (source.top() == "tests" || source.path == "schemas/json_text.cpp") return;
    CAPTURE(where(source, number));
    CHECK(line.find("json::parse(") == std::string::npos);
    CHECK(line.find("Json::parse(") == std::string::npos);
    CHECK(line.find(".dump(") == std::string::npos);
  });
}

TEST_CASE("tidy: headers are guarded by pragma once") {
  for (const Source& source : sources()) {
    if (!source.ends_with(".h") && !source.ends_with(".cuh")) continue;
    CAPTURE(source.path);
    CHECK(std::find(source.lines.begin(), source.lines.end(), "#pragma once") !=
          source.lines.end());
  }
}

// Compilers see one file at a time: of two classes with one name the linker takes the functions of
// either.
TEST_CASE("tidy: no two classes of a namespace have the same name") {
  static const std::regex opened("^(?:inline )?namespace ([\\w:]*) ?\\{.*");
  static const std::regex closed("^\\}  // namespace.*");
  static const std::regex defined("^(?:struct|class) (\\w+)\\b(?!::)[^;]*\\{.*");
  std::map<std::string, std::string> places;
  for (const Source& source : sources()) {
    if (source.top() == "tests" || (!source.ends_with(".h") && !source.ends_with(".cpp"))) continue;
    std::vector<std::string> spaces;
    for (size_t i = 0; i < source.lines.size(); ++i) {
      std::smatch match;
      if (std::regex_match(source.lines[i], match, opened)) {
        spaces.push_back(match[1].str());
      } else if (std::regex_match(source.lines[i], closed) && !spaces.empty()) {
        spaces.pop_back();
      } else if (std::regex_match(source.lines[i], match, defined)) {
        std::string name = "::" + match[1].str();
        bool is_local = false;  // An anonymous namespace.
        for (auto space = spaces.rbegin(); space != spaces.rend(); ++space) {
          is_local |= space->empty();
          name = "::" + *space + name;
        }
        if (is_local) continue;
        const auto [at, is_new] = places.emplace(name, where(source, i + 1));
        CHECK_MESSAGE(is_new, name << ": " << at->second << " and " << where(source, i + 1));
      }
    }
  }
  CHECK(places.size() > 300);
}

// A page that is too long to be read at once says why it is one.
TEST_CASE("tidy: a source of more than 600 lines says in its first comment why it is one file") {
  constexpr size_t kLinesMax = 600;
  size_t long_ones = 0;
  for (const Source& source : sources()) {
    const bool is_code = source.ends_with(".h") || source.ends_with(".cpp") ||
                         source.ends_with(".inl") || source.ends_with(".cu");
    if (!is_code || source.lines.size() <= kLinesMax) continue;
    ++long_ones;
    std::string comment;
    for (const std::string& line : source.lines) {
      if (line.rfind("//", 0) != 0) break;
      comment += line.substr(2);
    }
    CAPTURE(source.path);
    CHECK((comment.find("one file") != std::string::npos ||
           comment.find("One file") != std::string::npos));
  }
  CHECK(long_ones > 0);
}

TEST_CASE("tidy: lines fit 100 columns and carry no tabs or trailing spaces") {
  for_each_line([](const Source& source, size_t number, const std::string& line) {
    // A long raw string or table is still a line that somebody has to read.
    if (columns_of(line) <= 100 && line.find('\t') == std::string::npos &&
        (line.empty() || line.back() != ' ')) {
      return;
    }
    FAIL_CHECK(where(source, number) << " is too long or has a tab or a space at its end");
  });
}

TEST_CASE("tidy: nothing is left to do now") {
  // Spelt in two parts, so that this file passes.
  const std::array<std::string, 4> banned = {std::string("TODO") + "(now)",
                                             std::string("FIX") + "ME", std::string("XX") + "X",
                                             std::string("HA") + "CK"};
  for_each_line([&banned](const Source& source, size_t number, const std::string& line) {
    for (const std::string& word : banned) {
      const size_t at = line.find(word);
      if (at == std::string::npos) continue;
      // mkstemp's pattern and the like run on in capitals.
      const char next = at + word.size() < line.size() ? line[at + word.size()] : ' ';
      if (next >= 'A' && next <= 'Z') continue;
      if (at > 0 && line[at - 1] >= 'A' && line[at - 1] <= 'Z') continue;
      FAIL_CHECK(where(source, number) << " says " << word);
    }
  });
}

TEST_CASE("tidy: no test sleeps") {
  static const std::regex pattern(std::string("\\b(sleep|usleep|nanosleep|sleep_for|sleep_until)") +
                                  "\\s*\\(");
  for_each_line([](const Source& source, size_t number, const std::string& line) {
    if (source.top() != "tests" || !source.ends_with(".cpp")) return;
    if (line.find("sleep") == std::string::npos || !std::regex_search(line, pattern)) return;
    FAIL_CHECK(where(source, number) << " sleeps; wait for an event or advance a clock");
  });
}

}  // namespace
}  // namespace troupe
