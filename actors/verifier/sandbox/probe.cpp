// What this machine's boxes really do: each part is tried in a box that attempts what must fail.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include "actors/verifier/sandbox/engine.h"

namespace troupe::actors {
namespace {

constexpr int32_t kProcesses = 4;
constexpr int64_t kDiskBytes = 1 << 20, kMemoryBytes = 48 << 20;

// Reports one "name value" per line. A refused attempt's value is its errno, a success's 0.
constexpr char kAttempts[] = R"(
import ctypes, os
c = ctypes.CDLL(None, use_errno=True)
said = []
def say(name, value): said.append("%s %d\n" % (name, value))
def attempt(name, result): say(name, ctypes.get_errno() if result == -1 else 0)
status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines()
              if ":\t" in line)
say("capabilities", int(status["CapEff"], 16) | int(status["CapBnd"], 16))
say("no_new_privileges", int(status["NoNewPrivs"]))
say("filter", int(status["Seccomp"]))
say("seen", sum(name.isdigit() for name in os.listdir("/proc")))
say("interfaces", len(open("/proc/net/dev").read().splitlines()) - 2)
hosts = ("/etc/passwd", "/home", "/root", "/var", "/sys")
say("hosts_files", sum(os.path.exists(path) for path in hosts))
try: open("/new", "w"); say("root_write", 0)
except OSError as e: say("root_write", e.errno)
try:
    with open("/tmp/new", "wb") as f: f.write(bytes(3 << 20))
    say("big_write", 0)
except OSError as e: say("big_write", e.errno)
attempt("socket", c.socket(2, 1, 0))
attempt("unshare", c.unshare(0x10000000))
attempt("ptrace", c.ptrace(0, 0, 0, 0))
attempt("mount", c.mount(b"none", b"/tmp", b"tmpfs", 0, None))
end = os.pipe()[0]
forks = 0
try:
    for _ in range(32):
        if os.fork() == 0:
            os.read(end, 1)
            os._exit(0)
        forks += 1
except OSError: pass
say("forks", forks)
for i in range(300000): pass
os.write(3, "".join(said).encode())
)";

constexpr char kFill[] = "a = bytearray(96 << 20)\nfor i in range(0, len(a), 4096): a[i] = 1";

std::map<std::string, int64_t> values_in(std::string_view report) {
  std::map<std::string, int64_t> values;
  while (!report.empty()) {
    const std::string_view line = report.substr(0, report.find('\n'));
    report.remove_prefix(std::min(report.size(), line.size() + 1));
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) continue;
    int64_t value = -1;
    std::from_chars(line.data() + space + 1, line.data() + line.size(), value);
    values.emplace(line.substr(0, space), value);
  }
  return values;
}

class Probe {
 public:
  BoxSupport run() {
    if (::access("/usr/bin/python3", X_OK) != 0) {
      find("python", false, "no /usr/bin/python3; install python3");
      return std::move(support_);
    }
    auto engine = sandbox::Engine::create();
    if (!engine) {
      find("seccomp", false, engine.error().message);
      return std::move(support_);
    }
    engine_ = std::move(*engine);
    const bool is_closed = attempts();
    if (!is_closed) return std::move(support_);
    support_.level = BoxLevel::kNamespacesOnly;
    const bool is_bounded = memory_limit();
    if (is_bounded && cpu_meter_) support_.level = BoxLevel::kFull;
    return std::move(support_);
  }

 private:
  bool find(std::string part, bool is_there, std::string detail) {
    support_.findings.push_back({std::move(part), is_there, std::move(detail)});
    return is_there;
  }

  BoxResult run(const BoxProgram& program) {
    auto running = engine_->start(program);
    if (!running) return BoxResult{.end = BoxEnd::kFailed, .reason = running.error().message};
    const std::atomic<bool> is_killed = false;
    return sandbox::follow(*running, engine_, is_killed);
  }

  // Everything that one program can try; true if all that keeps a program in is there.
  bool attempts() {
    const BoxResult result = run(
        {.argv = {"/usr/bin/python3", "-I", "-S", "-c", kAttempts},
         .has_report = true,
         .limits = {.memory_bytes = 64 << 20, .disk_bytes = kDiskBytes, .processes = kProcesses}});
    auto values = values_in(result.report);
    if (result.end != BoxEnd::kExited || values.empty()) {
      return find("namespaces", false,
                  fmt::format("{} {}; unprivileged user namespaces may be switched off: see "
                              "/proc/sys/user/max_user_namespaces, and in a container its seccomp "
                              "and AppArmor profiles",
                              result.reason, result.errors));
    }
    const auto is_refused = [&values](const char* what) {
      const auto value = values.find(what);
      return value != values.end() && value->second > 0;
    };
    bool all = find("namespaces",
                    values["seen"] <= 2 && values["interfaces"] <= 1 &&
                        values["capabilities"] == 0 && values["no_new_privileges"] == 1,
                    fmt::format("a box sees {} processes and {} network interfaces, and has "
                                "capabilities {:x}",
                                values["seen"], values["interfaces"], values["capabilities"]));
    all &= find(
        "files", values["hosts_files"] == 0 && is_refused("root_write") && is_refused("big_write"),
        fmt::format("the host's folders seen: {}; writing outside /tmp: errno {}; writing "
                    "more than {} bytes: errno {}",
                    values["hosts_files"], values["root_write"], kDiskBytes, values["big_write"]));
    all &=
        find("seccomp",
             values["filter"] == 2 && is_refused("socket") && is_refused("unshare") &&
                 is_refused("ptrace") && is_refused("mount"),
             fmt::format("socket, unshare, ptrace, mount: errno {}, {}, {}, {}", values["socket"],
                         values["unshare"], values["ptrace"], values["mount"]));
    all &= find(
        "process limit", values["forks"] < kProcesses,
        fmt::format("with a limit of {}, a program forked {} times", kProcesses, values["forks"]));
    find("user", true,
         ::geteuid() == 0
             ? fmt::format("a user of its own for each box, {} and up", sandbox::kFirstUid)
             : "all boxes run as you; start as root to give each a user of its own");
    const auto& home = engine_->home();
    cpu_meter_ =
        find("cpu accounting", home.cpu && result.cpu_seconds > 0,
             home.cpu ? fmt::format("{}: {:.3f} s used", home.cpu.folder, result.cpu_seconds)
                      : home.cpu.reason +
                            "; processes that end between two looks at "
                            "/proc are not counted");
    return all;
  }

  bool memory_limit() {
    const auto& home = engine_->home();
    const std::string advice =
        "; needs control groups that this user may write: run as root, or "
        "in a group delegated to you";
    if (!home.memory) return find("memory limit", false, home.memory.reason + advice);
    const BoxResult result = run({.argv = {"/usr/bin/python3", "-I", "-S", "-c", kFill},
                                  .limits = {.memory_bytes = kMemoryBytes}});
    return find("memory limit", result.end == BoxEnd::kMemoryLimit,
                fmt::format("{}, cgroup v{}: with a limit of {} bytes, twice as much {}",
                            home.memory.folder, home.version, kMemoryBytes,
                            result.end == BoxEnd::kMemoryLimit ? "ended the box" : result.reason));
  }

  BoxSupport support_;
  std::shared_ptr<sandbox::Engine> engine_;
  bool cpu_meter_ = false;
};

}  // namespace

BoxSupport probe_box_support() {
  // Depends on who asks, and a fork may have become another.
  static std::mutex mutex;
  static std::optional<std::pair<std::pair<pid_t, uid_t>, BoxSupport>> known;
  const std::lock_guard lock(mutex);
  const std::pair<pid_t, uid_t> asker = {::getpid(), ::geteuid()};
  if (!known || known->first != asker) known.emplace(asker, Probe().run());
  return known->second;
}

}  // namespace troupe::actors
