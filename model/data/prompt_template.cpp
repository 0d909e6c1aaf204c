#include "model/data/prompt_template.h"

#include <fmt/format.h>

#include "model/tokenizer/byte_tokenizer.h"
#include "schemas/nearest.h"

namespace troupe::model {
namespace {

// DeepSeek-R1 (Nature, 2025), table "Template for DeepSeek-R1-Zero".
constexpr std::string_view kR1ZeroBefore =
    "A conversation between User and Assistant. The User asks a question and the Assistant solves "
    "it. The Assistant first thinks about the reasoning process in the mind and then provides the "
    "User with the answer. The reasoning process and answer are enclosed within "
    "<think>...</think> and <answer>...</answer> tags, respectively, that is, <think>reasoning "
    "process here </think> <answer> answer here </answer>. User: ";
constexpr std::string_view kR1ZeroAfter = ". Assistant:";

void append(std::vector<int32_t>& ids, const std::vector<int32_t>& more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

bool is_role(std::string_view role) {
  return role == "system" || role == "user" || role == "assistant";
}

Result<std::string> joined(const Prompt& prompt) {
  std::string text;
  for (const Message& message : prompt) {
    if (message.role == "assistant") {
      return invalid_argument(
          "a conversation with an assistant's turn needs a template with roles; set data.template "
          "to chatml");
    }
    if (&message != &prompt.front()) text += '\n';
    text += message.content;
  }
  return text;
}

}  // namespace

std::vector<std::string> PromptTemplate::names() { return {"r1-zero", "plain", "chatml"}; }

Result<PromptTemplate> PromptTemplate::by_name(std::string_view name) {
  if (name == "r1-zero") return PromptTemplate(Kind::kR1Zero);
  if (name == "plain") return PromptTemplate(Kind::kPlain);
  if (name == "chatml") return PromptTemplate(Kind::kChatml);
  return invalid_argument(fmt::format("unknown prompt template '{}'; known: {}", name,
                                      nearest_first_list(name, names())));
}

Result<std::vector<int32_t>> PromptTemplate::render(const Prompt& prompt) const {
  if (prompt.empty()) return invalid_argument("the prompt has no messages");
  for (const Message& message : prompt) {
    if (!is_role(message.role)) {
      return invalid_argument(fmt::format(
          "unknown role '{}' in a prompt; known: system, user, assistant", message.role));
    }
  }
  std::vector<int32_t> ids = {ByteTokenizer::kBos};
  if (kind_ == Kind::kChatml) {
    for (const auto& [role, content] : prompt) {
      if (content.find("<|im_start|>") != content.npos ||
          content.find("<|im_end|>") != content.npos) {
        return invalid_argument(
            "a prompt contains <|im_start|> or <|im_end|>, which would forge a turn; remove it or "
            "use another template than chatml");
      }
      append(ids, ByteTokenizer::encode("<|im_start|>" + role + "\n"));
      append(ids, ByteTokenizer::encode(content));
      append(ids, ByteTokenizer::encode("<|im_end|>\n"));
    }
    append(ids, ByteTokenizer::encode("<|im_start|>assistant\n"));
    return ids;
  }
  auto text = joined(prompt);
  if (!text) return text.error();
  if (kind_ == Kind::kR1Zero) append(ids, ByteTokenizer::encode_markup(kR1ZeroBefore));
  append(ids, ByteTokenizer::encode(*text));
  if (kind_ == Kind::kR1Zero) append(ids, ByteTokenizer::encode_markup(kR1ZeroAfter));
  return ids;
}

}  // namespace troupe::model
