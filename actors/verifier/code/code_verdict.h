// Does a program do what its tests ask? Every test runs in a fresh box that holds the program and
// the test's input and nothing else; what comes out is compared here, outside. Where a problem's
// own tests are code (HumanEval, MBPP), they run in a second box, and only plain values pass
// between the two.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "actors/verifier/code/code_task.h"
#include "actors/verifier/sandbox/box.h"
#include "schemas/verdict.h"

namespace troupe::actors {

struct CodeVerdict {
  VerdictKind kind = VerdictKind::kInfraError;
  int64_t passed = 0;  // Tests before the first that failed.
  int64_t total = 0;
  std::string reason{};  // One printable sentence.

  bool is_passed() const { return kind == VerdictKind::kPassed; }
};

// Compiles where the language asks for it, then runs the tests in order until one fails.
// passed, wrong_answer, compile_error, runtime_error, timeout, resource_limit; gold_unparseable
// where the problem's own tests or checker are broken; infra_error where boxes failed, or a run
// twice got too little of the processor, the second time alone. Thread-safe.
CodeVerdict verify_code(Sandbox& sandbox, const CodeTask& task, std::string_view code);

// The same for the program in a response; no_answer where there is none.
CodeVerdict verify_code_response(Sandbox& sandbox, const CodeTask& task, std::string_view response);

}  // namespace troupe::actors
