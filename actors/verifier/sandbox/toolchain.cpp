#include "actors/verifier/sandbox/toolchain.h"

#include <fmt/format.h>

#include <filesystem>

namespace troupe::actors::sandbox {
namespace {

namespace fs = std::filesystem;

#if defined(__aarch64__)
constexpr char kTriplet[] = "aarch64-linux-gnu", kLoader[] = "ld-linux-aarch64.so.1";
#else
constexpr char kTriplet[] = "x86_64-linux-gnu", kLoader[] = "ld-linux-x86-64.so.2";
#endif

class Root {
 public:
  // The path itself, which must not lead through a symbolic link.
  void bind(const std::string& path) { add({"--ro-bind", path, path}); }
  void link(const std::string& target, const std::string& path) {
    add({"--symlink", target, path});
  }
  // A program by its name in /usr/bin: the file that it is, and the names that lead there.
  bool program(const std::string& name) {
    std::error_code error;
    const fs::path path = fs::path("/usr/bin") / name;
    const fs::path file = fs::canonical(path, error);
    if (error) return false;
    bind(file.string());
    if (file != path) link(file.string(), path.string());
    return true;
  }
  std::vector<std::string> take() { return std::move(arguments_); }

 private:
  void add(std::vector<std::string> words) {
    arguments_.insert(arguments_.end(), words.begin(), words.end());
  }
  std::vector<std::string> arguments_;
};

void add_libraries(Root& root) {
  const std::string folder = fmt::format("/usr/lib/{}", kTriplet);
  if (fs::exists(fs::path(folder) / kLoader)) {  // Debian and its family.
    root.bind(folder);
    root.link("usr/lib", "/lib");
    root.link("usr/lib/" + std::string(kTriplet), "/lib64");
    return;
  }
  root.bind("/usr/lib");
  root.link("usr/lib", "/lib");
  if (fs::is_directory("/usr/lib64")) root.bind("/usr/lib64");
  root.link("usr/lib64", "/lib64");
}

Status add_python(Root& root) {
  std::error_code error;
  const fs::path file = fs::canonical("/usr/bin/python3", error);
  const fs::path library = fs::path("/usr/lib") / file.filename();
  if (error || !fs::is_directory(library)) {
    return Error{.message = "no Python at /usr/bin/python3; install python3"};
  }
  root.program("python3");
  root.bind(library.string());
  return ok();
}

Status add_compiler(Root& root) {
  for (const char* name : {"g++", "gcc", "as", "ld"}) {
    if (!root.program(name)) {
      return Error{.message = fmt::format("no /usr/bin/{}; install g++", name)};
    }
  }
  // To give the result out.
  root.program("dash");
  root.program("cat");
  root.link("dash", "/usr/bin/sh");
  root.bind("/usr/lib/gcc");
  if (fs::is_directory("/usr/libexec/gcc")) root.bind("/usr/libexec/gcc");
  root.bind("/usr/include");
  return ok();
}

}  // namespace

Result<std::vector<std::string>> toolchain_mounts(const std::string& toolchain) {
  Root root;
  if (toolchain != "none" && toolchain != "python" && toolchain != "cpp") {
    return invalid_argument(
        fmt::format("toolchain '{}'; there are python, cpp and none", toolchain));
  }
  add_libraries(root);
  if (toolchain != "none") {
    if (auto added = add_python(root); !added) return added.error();
  }
  if (toolchain == "cpp") {
    if (auto added = add_compiler(root); !added) return added.error();
  }
  root.link("usr/bin", "/bin");
  return root.take();
}

}  // namespace troupe::actors::sandbox
