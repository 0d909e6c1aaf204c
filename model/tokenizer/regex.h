// Regular expressions of tokenizer files. They are written for Oniguruma and matched by PCRE2: what
// the two read differently is translated, what cannot be is refused. A pattern comes from a file
// that somebody else made, so its size, its nesting and the work of one match are bounded.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "schemas/result.h"

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;

namespace troupe::model {

class Regex {
 public:
  // kInvalidArgument, saying what of the pattern is not supported.
  static Result<Regex> compile(std::string_view pattern);
  static Result<Regex> literal(std::string_view text);

 private:
  friend class RegexScanner;
  struct FreeCode {
    void operator()(pcre2_real_code_8* code) const;
  };
  explicit Regex(pcre2_real_code_8* code) : code_(code) {}
  static Result<Regex> compile_translated(const std::string& pattern);

  std::unique_ptr<pcre2_real_code_8, FreeCode> code_;
};

// One thread's matching with an expression, which outlives it.
class RegexScanner {
 public:
  struct Match {
    size_t begin = 0;
    size_t end = 0;
  };
  enum class Found {
    kMatch,
    kNone,
    kGaveUp,  // The pattern needs more work on this text than a match may take.
  };

  explicit RegexScanner(const Regex& regex);

  // The first match in `text`, which is valid UTF-8, that begins at `from` or later.
  Found find(std::string_view text, size_t from, Match& match);

 private:
  struct Free {
    void operator()(pcre2_real_match_data_8* data) const;
    void operator()(pcre2_real_match_context_8* context) const;
  };

  const pcre2_real_code_8* code_;
  std::unique_ptr<pcre2_real_match_data_8, Free> data_;
  std::unique_ptr<pcre2_real_match_context_8, Free> context_;
};

}  // namespace troupe::model
