#include "actors/verifier/sandbox/birth.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <ctime>

// Sanitizers keep notes per thread, which two at a time would spoil.
#define TROUPE_BARE __attribute__((no_sanitize("thread", "address", "undefined")))

namespace troupe::actors::sandbox {
namespace {

constexpr int kLowestScratch = 64;  // Above every number that a launch gives away.
constexpr uint64_t kAllNamespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
                                    CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
constexpr char kInside[] = "1000";         // Uid and gid that a box sees.
constexpr int kLastCapabilityMax = 63;     // Of any kernel.
constexpr int kOwnershipTriesMax = 10000;  // See write_own().

// clone3() on a stack of its own, without glibc: what sanitizers do around its clone() would, in
// memory that is shared, be done to the parent. Returns in the parent only.
TROUPE_BARE long clone_onto(clone_args& arguments, void (*run)(Birth&), Birth& birth) {
  long result = 0;
#if defined(__x86_64__)
  asm volatile(
      "syscall\n"
      "test %%rax, %%rax\n"
      "jnz 1f\n"
      "mov %[argument], %%rdi\n"
      "mov %[run], %%rax\n"
      "xor %%ebp, %%ebp\n"
      "call *%%rax\n"
      "hlt\n"
      "1:\n"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(&arguments),
        "S"(sizeof arguments), [run] "r"(run), [argument] "r"(&birth)
      : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long x8 asm("x8") = SYS_clone3;
  register long x0 asm("x0") = reinterpret_cast<long>(&arguments);
  register long x1 asm("x1") = sizeof arguments;
  asm volatile(
      "svc 0\n"
      "cbnz x0, 1f\n"
      "mov x29, xzr\n"
      "mov x0, %[argument]\n"
      "blr %[run]\n"
      "brk 1\n"
      "1:\n"
      : "+r"(x0)
      : "r"(x8), "r"(x1), [run] "r"(run), [argument] "r"(&birth)
      : "x30", "memory");
  result = x0;
#endif
  return result;
}

// `number`, where given, is written before the new process runs.
TROUPE_BARE long clone_sharing_memory(uint64_t flags, uint64_t exit_signal, int cgroup_folder,
                                      pid_t* number, char* stack, size_t stack_bytes,
                                      void (*run)(Birth&), Birth& birth) {
  clone_args arguments = {};
  arguments.flags = CLONE_VM | CLONE_VFORK | flags;
  arguments.exit_signal = exit_signal;
  arguments.stack = (reinterpret_cast<uintptr_t>(stack) + 15) & ~uintptr_t{15};
  arguments.stack_size = (stack_bytes - 16) & ~size_t{15};
  if (number != nullptr) {
    arguments.flags |= CLONE_PARENT_SETTID;
    arguments.parent_tid = reinterpret_cast<uintptr_t>(number);
  }
  if (cgroup_folder >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(cgroup_folder);
  }
  return clone_onto(arguments, run, birth);
}

[[noreturn]] TROUPE_BARE void give_up(Birth& birth, const char* what, const char* object) {
  birth.error = errno;
  birth.object = object;
  birth.failed = what;
  for (;;) ::syscall(SYS_exit_group, 127);
}

// The result of a system call that must not fail.
TROUPE_BARE long must(Birth& birth, long result, const char* what, const char* object = "") {
  if (result < 0) give_up(birth, what, object);
  return result;
}

TROUPE_BARE void write_whole(Birth& birth, const char* path, const char* text, size_t bytes,
                             int flags, mode_t mode) {
  const long file =
      must(birth, ::syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode), "opening", path);
  while (bytes > 0) {
    const long written = must(birth, ::syscall(SYS_write, file, text, bytes), "writing", path);
    text += written;
    bytes -= static_cast<size_t>(written);
  }
  ::syscall(SYS_close, file);
}

TROUPE_BARE void mount_at(Birth& birth, const char* source, const char* target, const char* type,
                          unsigned long flags, const char* options) {
  must(birth, ::syscall(SYS_mount, source, target, type, flags, options), "mounting", target);
}

constexpr uint64_t kReadOnly = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

// Also what is mounted below.
TROUPE_BARE void restrict_mount(Birth& birth, const char* target, uint64_t attributes) {
  mount_attr change = {};
  change.attr_set = attributes;
  must(birth, ::syscall(SYS_mount_setattr, AT_FDCWD, target, AT_RECURSIVE, &change, sizeof change),
       "restricting", target);
}

TROUPE_BARE void follow_parent(Birth& birth) {
  must(birth, ::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "following the parent");
}

// Ignored signals would stay ignored in the program, and handlers must not run here.
TROUPE_BARE void reset_signals() {
  struct {
    void* handler = nullptr;
    unsigned long flags = 0;
    void* restorer = nullptr;
    uint64_t mask = 0;
  } default_action;
  for (int signal = 1; signal <= 64; ++signal) {
    ::syscall(SYS_rt_sigaction, signal, &default_action, nullptr, 8);
  }
}

TROUPE_BARE void place_descriptors(Birth& birth) {
  const auto& descriptors = birth.launch->descriptors;
  const int count = static_cast<int>(descriptors.size());
  for (int i = 0; i < count; ++i) {
    birth.scratch[i] = static_cast<int>(must(
        birth, ::syscall(SYS_fcntl, descriptors[static_cast<size_t>(i)], F_DUPFD, kLowestScratch),
        "duplicating a descriptor"));
  }
  const auto parent_file =
      static_cast<int>(must(birth, ::syscall(SYS_fcntl, birth.parent_file, F_DUPFD, kLowestScratch),
                            "duplicating a descriptor"));
  for (int i = 0; i < count; ++i) {
    must(birth, ::syscall(SYS_dup3, birth.scratch[i], i, 0), "placing a descriptor");
  }
  // Behind those of the program, until that is executed.
  must(birth, ::syscall(SYS_dup3, parent_file, count, O_CLOEXEC), "placing a descriptor");
  must(birth, ::syscall(SYS_close_range, count + 1, ~0U, 0), "closing descriptors");
}

// The launcher may have been killed before process 1 followed it. Process 1 cannot ask for its
// parent, whose number is 0 in the new process namespace, dead or alive.
TROUPE_BARE void check_parent_lives(Birth& birth) {
  pollfd parent = {
      .fd = static_cast<int>(birth.launch->descriptors.size()), .events = POLLIN, .revents = 0};
  const timespec now = {};
  const long ended =
      must(birth, ::syscall(SYS_ppoll, &parent, 1, &now, nullptr, 8), "asking for the parent");
  if (ended != 0) give_up(birth, "finding the parent", "");
}

TROUPE_BARE void limit(Birth& birth, int resource, const rlimit& value) {
  must(birth, ::syscall(SYS_prlimit64, 0, resource, &value, nullptr), "setting a limit");
}

TROUPE_BARE void limit_processes(Birth& birth, int64_t count) {
  const auto value = static_cast<rlim_t>(count);
  limit(birth, RLIMIT_NPROC, rlimit{value, value});
}

// A file of this process's own folder in /proc. It belongs to root while the memory is marked as
// not to be dumped, which another launch that changes its user does to all at any moment.
TROUPE_BARE void write_own(Birth& birth, const char* path, const char* text, size_t bytes) {
  long file = -1;
  for (int i = 0; i < kOwnershipTriesMax && file < 0; ++i) {
    ::syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
    file = ::syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (file < 0 && errno != EACCES) break;
  }
  must(birth, file, "opening", path);
  must(birth, ::syscall(SYS_write, file, text, bytes), "writing", path);
  ::syscall(SYS_close, file);
}

// "1000 ID 1": the one user of the box is ID outside.
TROUPE_BARE void write_map(Birth& birth, const char* path, uint32_t id) {
  std::array<char, 24> text = {kInside[0], kInside[1], kInside[2], kInside[3], ' '};
  char* end = std::to_chars(text.data() + 5, text.data() + text.size() - 2, id).ptr;
  *end++ = ' ';
  *end++ = '1';
  write_own(birth, path, text.data(), static_cast<size_t>(end - text.data()));
}

TROUPE_BARE void leave_host(Birth& birth) {
  const Launch& launch = *birth.launch;
  if (launch.uid != 0) {
    limit_processes(birth, launch.user_processes);
    // glibc's functions would change the other threads' users too.
    must(birth, ::syscall(SYS_setgroups, 0, nullptr), "leaving the groups");
    must(birth, ::syscall(SYS_setresgid, launch.uid, launch.uid, launch.uid), "changing the group");
    must(birth, ::syscall(SYS_setresuid, launch.uid, launch.uid, launch.uid), "changing the user");
  }
  // After the change of user, which clears it.
  follow_parent(birth);
  if (::syscall(SYS_getppid) != birth.parent) give_up(birth, "finding the parent", "");
  const auto user = static_cast<uint32_t>(::syscall(SYS_geteuid));
  const auto group = static_cast<uint32_t>(::syscall(SYS_getegid));
  must(birth, ::syscall(SYS_unshare, kAllNamespaces), "making namespaces");
  write_own(birth, "/proc/self/setgroups", "deny", 4);
  write_map(birth, "/proc/self/uid_map", user);
  write_map(birth, "/proc/self/gid_map", group);
  must(birth, ::syscall(SYS_sethostname, "box", 3), "naming the host");
}

TROUPE_BARE void make_part(Birth& birth, const RootPart& part) {
  const char* path = part.path.c_str();
  const char* target = part.target.c_str();
  switch (part.kind) {
    case RootPart::Kind::kFolder:
      must(birth, ::syscall(SYS_mkdirat, AT_FDCWD, path, 0755), "making a folder", path);
      return;
    case RootPart::Kind::kLink:
      must(birth, ::syscall(SYS_symlinkat, target, AT_FDCWD, path), "making a link", path);
      return;
    case RootPart::Kind::kHostFolder:
      must(birth, ::syscall(SYS_mkdirat, AT_FDCWD, path, 0755), "making a folder", path);
      mount_at(birth, target, path, nullptr, MS_BIND | MS_REC, nullptr);
      return restrict_mount(birth, path, kReadOnly);
    case RootPart::Kind::kHostFile:
    case RootPart::Kind::kHostDevice:
      write_whole(birth, path, "", 0, O_WRONLY | O_CREAT | O_EXCL, 0644);
      mount_at(birth, target, path, nullptr, MS_BIND, nullptr);
      return restrict_mount(birth, path,
                            part.kind == RootPart::Kind::kHostFile
                                ? kReadOnly
                                : MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  }
}

// On an empty file system over the host's /tmp, of which nothing is needed any more.
TROUPE_BARE void build_root(Birth& birth) {
  const Launch& launch = *birth.launch;
  ::syscall(SYS_umask, 0);
  mount_at(birth, nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  mount_at(birth, "box", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
  must(birth, ::syscall(SYS_chdir, "/tmp"), "entering", "/tmp");
  for (const RootPart& part : *launch.root) make_part(birth, part);
  for (const char* folder : {"tmp", "dev/shm"}) {
    mount_at(birth, "box", folder, "tmpfs", MS_NOSUID | MS_NODEV, launch.temporary.c_str());
  }
  for (const LaunchFile& file : launch.files) {
    write_whole(birth, file.path.c_str(), file.content.data(), file.content.size(),
                O_WRONLY | O_CREAT | O_EXCL, file.mode);
  }
}

// The process's own table, and no namespace below this one: the limit binds whoever has no
// capability over it, and nobody here will.
TROUPE_BARE void mount_proc(Birth& birth) {
  mount_at(birth, "proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  write_whole(birth, "proc/sys/user/max_user_namespaces", "0", 1, O_WRONLY, 0);
  restrict_mount(birth, "proc", kReadOnly);
}

TROUPE_BARE void move_in(Birth& birth) {
  must(birth, ::syscall(SYS_pivot_root, ".", "."), "changing the root");
  // The old root lies over the new one.
  must(birth, ::syscall(SYS_umount2, ".", MNT_DETACH), "leaving the host's files");
  mount_attr change = {};
  change.attr_set = MOUNT_ATTR_RDONLY;  // Not of what is mounted below.
  must(birth, ::syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &change, sizeof change), "restricting",
       "/");
  must(birth, ::syscall(SYS_chdir, "/tmp"), "entering", "/tmp");
}

TROUPE_BARE void drop_capabilities(Birth& birth) {
  for (int i = 0; i <= kLastCapabilityMax; ++i) {
    if (::syscall(SYS_prctl, PR_CAPBSET_DROP, i, 0, 0, 0) != 0) {
      if (errno == EINVAL && i > 0) break;  // The kernel knows no more.
      give_up(birth, "dropping a capability", "");
    }
  }
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const std::array<__user_cap_data_struct, 2> none = {};
  must(birth, ::syscall(SYS_capset, &header, none.data()), "giving up capabilities");
}

TROUPE_BARE void be_process_1(Birth& birth) {
  const Launch& launch = *birth.launch;
  follow_parent(birth);
  must(birth, ::syscall(SYS_setsid), "starting a session");
  mount_proc(birth);
  move_in(birth);
  for (const auto& [resource, value] : launch.limits) limit(birth, resource, value);
  limit_processes(birth, launch.box_processes);
  must(birth, ::syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "refusing new privileges");
  drop_capabilities(birth);
  check_parent_lives(birth);
  const uint64_t none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, 8);
  ::syscall(SYS_umask, 022);
  sock_fprog filter = {
      .len = static_cast<unsigned short>(launch.filter.size() / sizeof(sock_filter)),
      .filter = reinterpret_cast<sock_filter*>(const_cast<char*>(launch.filter.data()))};
  must(birth, ::syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0),
       "filtering system calls");
  ::syscall(SYS_execve, birth.argv[0], birth.argv, birth.environment);
  give_up(birth, "executing", birth.argv[0]);
}

TROUPE_BARE void build(Birth& birth) {
  reset_signals();
  place_descriptors(birth);
  leave_host(birth);
  build_root(birth);
  // The launcher's child, as this one is: whoever waits for it is its parent. Its number is known
  // at once, because the launcher must end it when this process is killed here.
  const long process_1 = clone_sharing_memory(CLONE_PARENT, 0, -1, &birth.process_1, birth.stack,
                                              birth.stack_bytes, be_process_1, birth);
  if (process_1 < 0) {
    errno = static_cast<int>(-process_1);
    give_up(birth, "making process 1", "");
  }
  for (;;) ::syscall(SYS_exit_group, 0);
}

}  // namespace

long start_builder(Birth& birth, char* stack, size_t stack_bytes) {
  return clone_sharing_memory(0, SIGCHLD, birth.launch->cgroup_folder, nullptr, stack, stack_bytes,
                              build, birth);
}

}  // namespace troupe::actors::sandbox
