#include "actors/verifier/sandbox/toolchain.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

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
  void bind_folder(const std::string& path) { add(RootPart::Kind::kHostFolder, path, path); }
  void bind_file(const std::string& path) { add(RootPart::Kind::kHostFile, path, path); }
  void bind_device(const std::string& path) { add(RootPart::Kind::kHostDevice, path, path); }
  void link(const std::string& target, const std::string& path) {
    add(RootPart::Kind::kLink, path, target);
  }
  void folder(const std::string& path) {
    if (path.size() > 1 && folders_.insert(path).second) add(RootPart::Kind::kFolder, path, "");
  }
  // A program by its name in /usr/bin: the file that it is, and the names that lead there.
  bool program(const std::string& name) {
    std::error_code error;
    const fs::path path = fs::path("/usr/bin") / name;
    const fs::path file = fs::canonical(path, error);
    if (error) return false;
    bind_file(file.string());
    if (file != path) link(file.string(), path.string());
    return true;
  }
  std::vector<RootPart> take() { return std::move(parts_); }

 private:
  bool is_below_host_folder(const std::string& path) const {
    return std::any_of(host_folders_.begin(), host_folders_.end(),
                       [&path](const std::string& folder) { return path.rfind(folder, 0) == 0; });
  }
  void add(RootPart::Kind kind, const std::string& path, const std::string& target) {
    if (!is_below_host_folder(path)) folder(fs::path(path).parent_path().string());
    if (kind != RootPart::Kind::kFolder &&
        (is_below_host_folder(path) || !made_.insert(path).second)) {
      return;  // It is there already.
    }
    if (kind == RootPart::Kind::kHostFolder) host_folders_.push_back(path + "/");
    parts_.push_back({kind, path.substr(1), target});
  }

  std::vector<RootPart> parts_;
  std::vector<std::string> host_folders_;
  std::set<std::string> folders_, made_;
};

void add_system(Root& root) {
  for (const char* path : {"/proc", "/tmp", "/box", "/dev/shm"}) root.folder(path);
  for (const char* path : {"/dev/null", "/dev/zero", "/dev/urandom"}) root.bind_device(path);
  root.link("urandom", "/dev/random");
  root.link("/proc/self/fd", "/dev/fd");
  root.link("/proc/self/fd/0", "/dev/stdin");
  root.link("/proc/self/fd/1", "/dev/stdout");
  root.link("/proc/self/fd/2", "/dev/stderr");
}

void add_libraries(Root& root) {
  const std::string folder = fmt::format("/usr/lib/{}", kTriplet);
  if (fs::exists(fs::path(folder) / kLoader)) {  // Debian and its family.
    root.bind_folder(folder);
    root.link("usr/lib", "/lib");
    root.link("usr/lib/" + std::string(kTriplet), "/lib64");
    return;
  }
  root.bind_folder("/usr/lib");
  root.link("usr/lib", "/lib");
  if (fs::is_directory("/usr/lib64")) root.bind_folder("/usr/lib64");
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
  root.bind_folder(library.string());
  return ok();
}

// Some of the shared libraries that packages use are links through a folder of the host's choices.
void add_chosen_libraries(Root& root) {
  constexpr char kChoices[] = "/etc/alternatives";
  std::error_code error;
  for (fs::directory_iterator it(kChoices, error), end; !error && it != end; it.increment(error)) {
    std::error_code unreadable;
    const std::string target = fs::read_symlink(it->path(), unreadable).string();
    const bool is_library = it->path().filename().string().rfind("lib", 0) == 0 &&
                            target.rfind(fmt::format("/usr/lib/{}/", kTriplet), 0) == 0;
    if (!unreadable && is_library) root.link(target, it->path().string());
  }
}

void add_packages(Root& root) {
  for (const std::string& folder : python_package_folders()) root.bind_folder(folder);
  add_chosen_libraries(root);
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
  root.bind_folder("/usr/lib/gcc");
  if (fs::is_directory("/usr/libexec/gcc")) root.bind_folder("/usr/libexec/gcc");
  root.bind_folder("/usr/include");
  return ok();
}

}  // namespace

std::vector<std::string> python_package_folders() {
  std::error_code error;
  const fs::path file = fs::canonical("/usr/bin/python3", error);
  std::vector<std::string> folders;
  if (error) return folders;
  const std::string name = file.filename().string();  // "python3.11"
  for (const std::string& path :
       {"/usr/local/lib/" + name + "/dist-packages", std::string("/usr/lib/python3/dist-packages"),
        "/usr/local/lib/" + name + "/site-packages", "/usr/local/lib64/" + name + "/site-packages",
        "/usr/lib/" + name + "/site-packages", "/usr/lib64/" + name + "/site-packages"}) {
    const std::string folder = fs::canonical(path, error).string();
    if (error || !fs::is_directory(folder, error)) continue;
    if (std::find(folders.begin(), folders.end(), folder) == folders.end()) {
      folders.push_back(folder);
    }
  }
  return folders;
}

Result<std::vector<RootPart>> toolchain_root(const std::string& toolchain) {
  Root root;
  if (toolchain != "none" && toolchain != "python" && toolchain != "cpp" &&
      toolchain != kPythonWithPackages) {
    return invalid_argument(fmt::format("toolchain '{}'; there are python, {}, cpp and none",
                                        toolchain, kPythonWithPackages));
  }
  add_system(root);
  add_libraries(root);
  if (toolchain != "none") {
    if (auto added = add_python(root); !added) return added.error();
  }
  if (toolchain == "cpp") {
    if (auto added = add_compiler(root); !added) return added.error();
  }
  if (toolchain == kPythonWithPackages) add_packages(root);
  root.link("usr/bin", "/bin");
  return root.take();
}

}  // namespace troupe::actors::sandbox
