// Process 1 of a box: executes the program, collects the dead, says how the program ended, and
// ends, which is the end of everything else in the box.
// Linked without a C library: it starts in a fraction of a millisecond and has nothing to exploit.
// Arguments: the descriptor for its records, which the one to be told on follows, then the
// program's path and arguments.
#include <fcntl.h>
#include <linux/wait.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "actors/verifier/sandbox/init/record.h"

namespace {

using troupe::actors::sandbox::InitRecord;

long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
#if defined(__x86_64__)
  long result = 0;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
#else
#error "no system calls for this machine"
#endif
}

template <class T>
long address(T* pointer) {
  return reinterpret_cast<long>(pointer);
}

// False where nobody is left to read it.
bool tell(long file, InitRecord::Kind kind, int value, int64_t microseconds) {
  InitRecord record;
  record.kind = kind;
  record.value = value;
  record.microseconds = microseconds;
  return call(SYS_write, file, address(&record), sizeof record) == sizeof record;
}

int64_t microseconds(const timeval& time) { return time.tv_sec * 1000000 + time.tv_usec; }

}  // namespace

extern "C" [[noreturn, gnu::used]] void troupe_box_init(long* stack) {
  const long count = stack[0];
  char** argv = reinterpret_cast<char**>(stack + 1);
  char** environment = argv + count + 1;
  if (count < 3) call(SYS_exit_group, 2);
  long file = 0;
  for (const char* digit = argv[1]; *digit != 0; ++digit) file = 10 * file + (*digit - '0');
  const long gate = file + 1;
  call(SYS_fcntl, file, F_SETFD, FD_CLOEXEC);
  // The program has the same user; this keeps its hands off /proc/1/mem and the descriptors there.
  call(SYS_prctl, PR_SET_DUMPABLE, 0);
  // Held until everything that made the box is gone and counted out. The signal that ends a box
  // with its owner may have been armed too late: an owner that was already dead says nothing.
  char go = 0;
  if (call(SYS_read, gate, address(&go), 1) != 1) call(SYS_exit_group, 127);
  call(SYS_close, gate);
  if (!tell(file, InitRecord::kStarted, 0, 0)) call(SYS_exit_group, 127);
  const long child = call(SYS_clone, SIGCHLD);
  if (child <= 0) {
    long error = child;
    if (child == 0)
      error = call(SYS_execve, address(argv[2]), address(argv + 2), address(environment));
    tell(file, InitRecord::kRefused, static_cast<int>(-error), 0);
    call(SYS_exit_group, 127);
  }
  call(SYS_close_range, 0, file - 1, 0);
  for (;;) {
    int status = 0;
    const long ended = call(SYS_wait4, -1, address(&status), __WALL, 0);
    if (ended != child) continue;
    rusage used = {};
    call(SYS_getrusage, RUSAGE_CHILDREN, address(&used));
    tell(file, InitRecord::kEnded, status,
         microseconds(used.ru_utime) + microseconds(used.ru_stime));
    call(SYS_exit_group, 0);
  }
}

#if defined(__x86_64__)
asm(".globl _start\n_start:\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call troupe_box_init\n");
#else
asm(".globl _start\n_start:\n  mov x0, sp\n  bl troupe_box_init\n");
#endif
