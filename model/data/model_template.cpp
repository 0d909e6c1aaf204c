#include "model/data/model_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "model/tokenizer/unicode.h"

namespace troupe::model {
namespace {

using chat_template::Text;

constexpr size_t kMarkBytesMax = 64;

std::string_view trimmed(std::string_view text) {
  text = text.substr(0, trailing_white_space(text));
  text.remove_prefix(leading_white_space(text));
  return text;
}

// The template's own text after the first foreign byte, in pieces between foreign ones.
std::vector<std::string> own_runs_after_content(const Text& text) {
  std::vector<std::string> runs;
  bool is_after = false;
  std::string run;
  for (size_t at = 0; at < text.size(); ++at) {
    if (!text.is_foreign(at)) {
      if (is_after) run += text.bytes()[at];
      continue;
    }
    if (!run.empty()) runs.push_back(std::move(run));
    run.clear();
    is_after = true;
  }
  if (!run.empty()) runs.push_back(std::move(run));
  return runs;
}

bool has_foreign(const Text& text) {
  for (size_t at = 0; at < text.size(); ++at) {
    if (text.is_foreign(at)) return true;
  }
  return false;
}

// "<|end|>", "[/INST]", "<<SYS>>" and the like at the beginning of `text`: how long it is; 0: none.
size_t leading_mark(std::string_view text) {
  const char open = text.front();
  if (open != '<' && open != '[') return 0;
  const char close = open == '<' ? '>' : ']';
  for (size_t at = 1; at < std::min(text.size(), kMarkBytesMax); ++at) {
    const char c = text[at];
    if (c == close) return at > 1 ? at + 1 : 0;
    if (c == ' ' || c == '\n' || (c == open && at > 1)) return 0;
    const bool is_capital = (c >= 'A' && c <= 'Z') || c == '_' || c == '/';
    if (open == '[' && !is_capital) return 0;
  }
  return 0;
}

// Thinking does not end a turn: messages may hold its marks.
bool is_of_thinking(std::string_view mark) { return mark == "<think>" || mark == "</think>"; }

void add_marks_of_line(std::string_view line, std::vector<std::string>& marks) {
  bool has_any = false;
  for (size_t at = 0; at < line.size(); ++at) {
    const size_t size = leading_mark(line.substr(at));
    if (size == 0) continue;
    has_any = true;
    const std::string_view mark = line.substr(at, size);
    if (!is_of_thinking(mark)) marks.emplace_back(mark);
    at += size - 1;
  }
  // Words alone, such as "### Response:".
  if (!has_any && line.size() > 1) marks.emplace_back(line);
}

Error with_reason(std::string_view why) {
  return invalid_argument(fmt::format("the model's own chat template {}", why));
}

}  // namespace

Result<ModelTemplate> ModelTemplate::make(const PolicyText& text) {
  auto parsed = ChatTemplate::parse(text.chat_template);
  if (!parsed) return with_reason("cannot be used: " + parsed.error().message);
  ModelTemplate made(std::move(*parsed));
  made.special_tokens_.assign(text.special_tokens.begin(), text.special_tokens.end());
  const auto question = made.render({{"user", "question"}}, /*opens_response=*/true);
  if (!question) return with_reason("cannot be used: " + question.error().message);
  if (!has_foreign(*question)) {
    return with_reason("leaves out what the user says when it is a text and not a list of parts");
  }
  made.find_marks();
  const auto answered =
      made.render({{"user", "question"}, {"assistant", "answer"}}, /*opens_response=*/false);
  if (answered) {
    const auto runs = own_runs_after_content(*answered);
    const bool ends_own = !answered->empty() && !answered->is_foreign(answered->size() - 1);
    if (ends_own && !runs.empty() && answered->bytes().find("answer") != std::string::npos) {
      made.closing_ = runs.back();
    }
  }
  return made;
}

void ModelTemplate::find_marks() {
  for (const Prompt& prompt :
       {Prompt{{"user", "question"}, {"assistant", "answer"}, {"user", "question"}},
        Prompt{{"system", "rule"}, {"user", "question"}}, Prompt{{"user", "question"}}}) {
    const auto text = render(prompt, /*opens_response=*/true);
    if (!text) continue;
    for (const std::string& run : own_runs_after_content(*text)) {
      for (size_t begin = 0; begin <= run.size();) {
        const size_t end = std::min(run.find('\n', begin), run.size());
        add_marks_of_line(trimmed(std::string_view(run).substr(begin, end - begin)), marks_);
        begin = end + 1;
      }
    }
  }
  std::sort(marks_.begin(), marks_.end());
  marks_.erase(std::unique(marks_.begin(), marks_.end()), marks_.end());
}

Result<Text> ModelTemplate::render(const Prompt& prompt) const {
  return render(prompt, /*opens_response=*/true);
}

Result<Text> ModelTemplate::render(const Prompt& prompt, bool opens_response) const {
  nlohmann::ordered_json variables = {{"messages", nlohmann::ordered_json::array()},
                                      {"tools", nullptr},
                                      {"documents", nullptr},
                                      {"add_generation_prompt", opens_response}};
  for (const Message& message : prompt) {
    variables["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  for (const auto& [name, token] : special_tokens_) variables[name] = token;
  return chat_template_.render(variables);
}

}  // namespace troupe::model
