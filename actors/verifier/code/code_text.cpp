#include "actors/verifier/code/code_text.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "actors/verifier/code/code_blocks.h"
#include "actors/verifier/code/language.h"

namespace troupe::actors {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

size_t count(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

bool is_name_begin(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name_part(char c) { return is_name_begin(c) || (c >= '0' && c <= '9'); }

std::string_view name_at(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() && is_name_part(text[end])) ++end;
  return text.substr(at, end - at);
}

char next_mark(std::string_view text, size_t at) {
  at = text.find_first_not_of(" \t", at);
  return at == text.npos ? '\0' : text[at];
}

// Names in front of a parenthesis that do not belong to an object: what the tests call.
void add_called_names(std::string_view source, std::set<std::string>& names) {
  for (size_t at = 0; at < source.size();) {
    if (!is_name_begin(source[at])) {
      // 1e5 has no name in it.
      at += std::max<size_t>(name_at(source, at).size(), 1);
      continue;
    }
    const std::string_view name = name_at(source, at);
    const bool is_member = at > 0 && source[at - 1] == '.';
    at += name.size();
    if (!is_member && next_mark(source, at) == '(') names.emplace(name);
  }
}

// True where the word stands by itself and `is_meant` says yes to the text behind it.
template <typename Meant>
bool has_word(std::string_view text, std::string_view word, Meant is_meant) {
  for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + word.size())) {
    const size_t end = at + word.size();
    const bool is_whole = (at == 0 || !is_name_part(text[at - 1])) &&
                          (end == text.size() || !is_name_part(text[end]));
    if (is_whole && is_meant(text.substr(end))) return true;
  }
  return false;
}

bool is_call(std::string_view rest) { return next_mark(rest, 0) == '('; }

bool reads_input(std::string_view code, bool is_python) {
  const auto any = [](std::string_view) { return true; };
  if (!is_python) {
    for (const char* word : {"cin", "scanf", "getline", "getchar", "getc", "fgets", "fread",
                             "stdin", "read", "getchar_unlocked"}) {
      if (has_word(code, word, any)) return true;
    }
    return false;
  }
  // sys.stdin = io.StringIO("1 2") is a demonstration's.
  const auto is_used = [](std::string_view rest) {
    const size_t at = rest.find_first_not_of(" \t");
    return at == rest.npos || rest[at] != '=' || rest.substr(at).starts_with("==");
  };
  return has_word(code, "input", is_call) || has_word(code, "stdin", is_used) ||
         has_word(code, "fileinput", any) || code.find("open(0") != code.npos;
}

// How well a block fits: not at all where it is all zeros.
struct Fit {
  size_t first = 0, second = 0;
  bool is_any() const { return first + second > 0; }
  auto operator<=>(const Fit&) const = default;
};

// How many of the names it defines as functions or classes, and how many by "=" as something else.
Fit fit_of_functions(std::string_view code, const WantedProgram& wanted) {
  const auto is_wanted = [&](std::string_view name) {
    return std::binary_search(wanted.names.begin(), wanted.names.end(), name, std::less<>());
  };
  Fit fit;
  bool is_in_solution = false, is_first_line = true;
  while (!code.empty()) {
    const std::string_view line = code.substr(0, code.find('\n'));
    code.remove_prefix(std::min(line.size() + 1, code.size()));
    const size_t begin = line.find_first_not_of(kSpace);
    if (begin == line.npos) continue;
    if (wanted.may_be_body && is_first_line && begin > 0) ++fit.first;
    is_first_line = false;
    std::string_view rest = line.substr(begin);
    if (rest.starts_with("async ")) rest.remove_prefix(6);
    const bool is_class = rest.starts_with("class ");
    if (is_class || rest.starts_with("def ")) {
      rest.remove_prefix(is_class ? 6 : 4);
      const std::string_view name =
          name_at(rest, std::min(rest.find_first_not_of(' '), rest.size()));
      if (begin == 0) is_in_solution = is_class && name == "Solution";
      if ((begin == 0 || is_in_solution) && is_wanted(name)) ++fit.first;
    } else if (begin == 0) {
      const std::string_view name = name_at(rest, 0);
      const size_t sign = rest.find_first_not_of(" \t", name.size());
      const bool is_assigned =
          sign != rest.npos && rest[sign] == '=' && !rest.substr(sign).starts_with("==");
      if (is_assigned && is_wanted(name)) {
        const std::string_view value =
            rest.substr(std::min(rest.find_first_not_of("= \t", sign), rest.size()));
        const bool is_function = value.starts_with("lambda") || value.find('(') == value.npos;
        ++(is_function ? fit.first : fit.second);
      }
      if (rest[0] != '#' && rest[0] != ')' && rest[0] != '@') is_in_solution = false;
    }
  }
  return fit;
}

Fit fit_of(std::string_view code, const WantedProgram& wanted, const Language& language) {
  if (!wanted.is_whole) return fit_of_functions(code, wanted);
  const bool is_python = language.has_functions;
  const bool reads = reads_input(code, is_python);
  if (is_python) return {reads ? size_t{1} : 0, 0};
  const bool has_main = has_word(code, "main", is_call);
  return {has_main ? size_t{1} : 0, has_main && reads ? size_t{1} : 0};
}

// The one block that is the program; nothing where none is in the language.
const CodeBlock* meant_block(const std::vector<CodeBlock>& blocks, const WantedProgram& wanted) {
  const Language* language = find_language(wanted.language);
  const CodeBlock* best = nullptr;
  std::tuple<bool, bool, Fit> best_rank;
  for (const CodeBlock& block : blocks) {
    const Language* labelled = labelled_language(block.label);
    const bool has_label = std::any_of(block.label.begin(), block.label.end(), is_name_begin);
    if (!language || (has_label && labelled != language)) continue;
    const Fit fit = fit_of(block.text, wanted, *language);
    const std::tuple rank(fit.is_any(), labelled == language, fit);
    if (best && rank < best_rank) continue;
    best = &block;
    best_rank = rank;
  }
  return best;
}

}  // namespace

WantedProgram wanted_program(const CodeTask& task) {
  WantedProgram wanted{.language = task.language};
  wanted.is_whole = task.format == CodeFormat::kStdio || task.format == CodeFormat::kJudge;
  wanted.may_be_body = task.format == CodeFormat::kHumanEval;
  std::set<std::string> names;
  if (!task.function.empty()) {
    names.insert(task.function);
  } else if (!wanted.is_whole) {
    for (const std::string& source : task.test_sources) add_called_names(source, names);
  }
  wanted.names.assign(names.begin(), names.end());
  return wanted;
}

ExtractedCode extract_code(std::string_view response, const WantedProgram& wanted) {
  constexpr std::string_view kThinkEnd = "</think>", kBegin = "<answer>", kEnd = "</answer>";
  if (const size_t end = response.rfind(kThinkEnd); end != response.npos) {
    response.remove_prefix(end + kThinkEnd.size());
  }
  const size_t begins = count(response, kBegin), ends = count(response, kEnd);
  const bool has_answer = begins + ends > 0;
  if (has_answer) {
    const size_t begin = response.find(kBegin), end = response.find(kEnd);
    if (begins != 1 || ends != 1 || end < begin) {
      return {{}, "there is not exactly one <answer>...</answer>"};
    }
    response = response.substr(begin + kBegin.size(), end - begin - kBegin.size());
  }
  const CodeBlocks blocks = find_code_blocks(response);
  if (const CodeBlock* block = meant_block(blocks.closed, wanted)) return {block->text, {}};
  if (blocks.has_any) return {{}, "no closed block of code in the language asked for"};
  if (!has_answer) return {{}, "neither a block of code nor <answer> tags"};
  if (response.find_first_not_of(kSpace) == response.npos) return {{}, "the answer is empty"};
  // A one-line answer may have spaces around it, which Python minds in front.
  if (response.find('\n') == response.npos) {
    response.remove_prefix(response.find_first_not_of(kSpace));
  }
  return {std::string(response), {}};
}

}  // namespace troupe::actors
