#include "actors/verifier/sandbox/init_program.h"

// The build names the file.
asm(".pushsection .rodata\n"
    "troupe_box_init_begin:\n"
    ".incbin \"" TROUPE_BOX_INIT
    "\"\n"
    "troupe_box_init_end:\n"
    ".popsection\n");

extern "C" const char troupe_box_init_begin[], troupe_box_init_end[];

namespace troupe::actors::sandbox {

std::string_view init_program() {
  return {troupe_box_init_begin, static_cast<size_t>(troupe_box_init_end - troupe_box_init_begin)};
}

}  // namespace troupe::actors::sandbox
