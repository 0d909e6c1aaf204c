#include "actors/verifier/sandbox/system_call_filter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "actors/verifier/sandbox/descriptor.h"

namespace troupe::actors::sandbox {
namespace {

constexpr const char* kAllowed[] = {
    // Memory.
    "brk", "mmap", "munmap", "mprotect", "mremap", "madvise", "mincore", "msync", "mlock",
    "munlock", "membarrier",
    // Files. No locks: one on a file of the host that every box sees would be a signal to others.
    "read", "write", "pread64", "pwrite64", "readv", "writev", "preadv", "pwritev", "preadv2",
    "pwritev2", "open", "openat", "openat2", "creat", "close", "close_range", "lseek", "stat",
    "fstat", "lstat", "newfstatat", "fstatat64", "statx", "access", "faccessat", "faccessat2",
    "readlink", "readlinkat", "getdents", "getdents64", "dup", "dup2", "dup3", "pipe", "pipe2",
    "fsync", "fdatasync", "truncate", "ftruncate", "fallocate", "fadvise64", "mkdir", "mkdirat",
    "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink",
    "symlinkat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "umask",
    "utime", "utimes", "futimesat", "utimensat", "chdir", "fchdir", "getcwd", "statfs", "fstatfs",
    "sendfile", "copy_file_range", "splice", "tee", "getxattr", "lgetxattr", "fgetxattr",
    "listxattr", "llistxattr", "flistxattr",
    // Waiting.
    "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl",
    "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "signalfd", "signalfd4",
    "timerfd_create", "timerfd_settime", "timerfd_gettime", "nanosleep", "clock_nanosleep", "pause",
    "futex", "futex_waitv",
    // Processes and threads. None may change how it is scheduled: who gives way of its own accord
    // must not look starved.
    "fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "kill", "tkill",
    "tgkill", "pidfd_open", "pidfd_send_signal", "getpid", "getppid", "gettid", "getpgid",
    "getpgrp", "setpgid", "getsid", "setsid", "set_tid_address", "set_robust_list",
    "get_robust_list", "rseq", "sched_yield", "sched_getaffinity", "sched_getparam",
    "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min", "getpriority",
    "getcpu", "arch_prctl", "restart_syscall",
    // Signals and clocks.
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigsuspend",
    "rt_sigtimedwait", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "sigaltstack", "alarm", "setitimer",
    "getitimer", "timer_create", "timer_settime", "timer_gettime", "timer_getoverrun",
    "timer_delete", "clock_gettime", "clock_getres", "gettimeofday", "time", "times",
    // Facts.
    "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "getrusage",
    "getrlimit", "setrlimit", "sysinfo", "uname", "getrandom", "capget",
    // What a pair of sockets of its own needs; socket() itself is refused for every family.
    "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "shutdown", "getsockopt",
    "setsockopt", "getsockname", "getpeername"};

constexpr uint64_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME;

constexpr unsigned kTerminalFacts[] = {FIONREAD, FIOCLEX,    FIONCLEX, FIONBIO,
                                       TCGETS,   TIOCGWINSZ, TIOCGPGRP};
constexpr int kFileControls[] = {F_DUPFD,     F_DUPFD_CLOEXEC, F_GETFD,      F_SETFD,
                                 F_GETFL,     F_SETFL,         F_GETPIPE_SZ, F_SETPIPE_SZ,
                                 F_ADD_SEALS, F_GET_SEALS,     F_GETOWN,     F_SETOWN};
constexpr int kProcessControls[] = {PR_SET_NAME,      PR_GET_NAME,      PR_GET_DUMPABLE,
                                    PR_GET_PDEATHSIG, PR_GET_SECCOMP,   PR_GET_NO_NEW_PRIVS,
                                    PR_CAPBSET_READ,  PR_SET_PDEATHSIG, PR_SET_DUMPABLE,
                                    0x53564d41 /* PR_SET_VMA */};

// Programs that meet "no such call" try an older one; "not permitted" would be their end.
constexpr const char* kUnknown[] = {"clone3",         "io_uring_setup",
                                    "io_uring_enter", "io_uring_register",
                                    "memfd_create",   "userfaultfd"};
constexpr int kNewestKnown = 450, kNewestThinkable = 511;

class Filter {
 public:
  Filter() : context_(::seccomp_init(SCMP_ACT_ERRNO(EPERM))) {}
  ~Filter() {
    if (context_ != nullptr) ::seccomp_release(context_);
  }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  scmp_filter_ctx get() const { return context_; }

  void add(uint32_t action, int call) { add_with(action, call); }
  // With a condition on one argument.
  template <class... Condition>
  void add_with(uint32_t action, int call, Condition... condition) {
    if (error_ == 0) {
      error_ = ::seccomp_rule_add(context_, action, call, sizeof...(condition), condition...);
    }
  }
  void allow(const char* name) {
    const int call = ::seccomp_syscall_resolve_name(name);
    if (call >= 0) add(SCMP_ACT_ALLOW, call);  // Some exist on some machines only.
  }
  int error() const { return context_ == nullptr ? -ENOMEM : error_; }

 private:
  scmp_filter_ctx context_;
  int error_ = 0;
};

}  // namespace

Result<std::string> system_call_filter() {
  Filter filter;
  if (filter.error() == 0) {
    ::seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (const char* name : kAllowed) filter.allow(name);
    filter.add_with(SCMP_ACT_ALLOW, SCMP_SYS(clone),
                    SCMP_A0(SCMP_CMP_MASKED_EQ, kNewNamespaces, 0));
    filter.add_with(SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0));
    filter.add_with(SCMP_ACT_ALLOW, SCMP_SYS(socketpair), SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
    // Asking which personality is asked with all bits set.
    filter.add_with(SCMP_ACT_ALLOW, SCMP_SYS(personality), SCMP_A0(SCMP_CMP_EQ, 0xffffffff));
    const auto allow_each = [&filter](int call, const auto& values, const auto& compare) {
      for (const auto value : values) filter.add_with(SCMP_ACT_ALLOW, call, compare(value));
    };
    // The kernel looks at 32 bits of these arguments, and so must the filter.
    const auto second = [](auto value) {
      return SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, static_cast<uint64_t>(value));
    };
    const auto first = [](auto value) {
      return SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, static_cast<uint64_t>(value));
    };
    allow_each(SCMP_SYS(ioctl), kTerminalFacts, second);
    allow_each(SCMP_SYS(fcntl), kFileControls, second);
    allow_each(SCMP_SYS(prctl), kProcessControls, first);
    for (const char* name : kUnknown) {
      filter.add(SCMP_ACT_ERRNO(ENOSYS), ::seccomp_syscall_resolve_name(name));
    }
    for (int call = kNewestKnown + 1; call <= kNewestThinkable; ++call) {
      filter.add(SCMP_ACT_ERRNO(ENOSYS), call);
    }
  }
  if (filter.error() != 0) {
    return Error{.message = fmt::format("system call filter: {}", std::strerror(-filter.error()))};
  }
  const Descriptor file(::memfd_create("filter", MFD_CLOEXEC));
  const int exported = file ? ::seccomp_export_bpf(filter.get(), file.get()) : -errno;
  std::string program = exported == 0 ? read_small(file.get()) : "";
  if (program.empty()) {
    return Error{.message = fmt::format("system call filter: {}", std::strerror(-exported))};
  }
  return program;
}

}  // namespace troupe::actors::sandbox
