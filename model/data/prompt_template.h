// How a prompt is put to the policy: named templates from messages to token ids.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/formats/policy_text.h"
#include "model/tokenizer/tokenizer.h"
#include "schemas/result.h"

namespace troupe::model {

struct Message {
  std::string role{};  // system | user | assistant
  std::string content{};

  bool operator==(const Message&) const = default;
};

// A prompt given as plain text is one message of the user.
using Prompt = std::vector<Message>;

struct ChatFormat;
class ModelTemplate;

class PromptTemplate {
 public:
  PromptTemplate() = default;  // plain

  //   r1-zero  the template published for DeepSeek-R1-Zero
  //   plain    the prompt as it is
  //   chatml   <|im_start|>role\ncontent<|im_end|>\n per message, then the assistant's opening
  // and what published models were trained with, without tools: smollm2, qwen2.5, qwen3, llama3,
  // llama3.1 (3.2 too), deepseek-r1 (and its distillations). An unknown name is kInvalidArgument;
  // the message lists the known ones, the nearest first.
  static Result<PromptTemplate> by_name(std::string_view name);
  static std::vector<std::string> names();

  // The same, where kOfModel is the policy's own: the one it was saved with, else its chat
  // template, else plain. A chat template is recognised by its SHA-256, for which white space at
  // its ends does not count; any other one is run as it is, under the name kOfModel.
  // kInvalidArgument, with the place and what to do, for one that cannot be run here: to guess
  // would be to train on prompts that the model never saw.
  static constexpr std::string_view kOfModel = "model";
  static Result<PromptTemplate> find(std::string_view name, const PolicyText& text);

  std::string_view name() const { return name_; }

  // The prompt up to where the response begins, after the tokenizer's prefix unless the template
  // has a beginning of its own. The template's own text may contain control tokens, the messages
  // cannot: where a mark of the template is mere text to the tokenizer, a content that holds it is
  // kInvalidArgument, because it would forge a turn. The templates without roles (r1-zero, plain)
  // join system and user messages by newlines and refuse a conversation with an assistant's turn;
  // the others want the system's message first.
  Result<std::vector<int32_t>> render(const Prompt& prompt, const Tokenizer& tokenizer) const;

  // The token that a response ends with: what ends a turn, where the template and the tokenizer
  // have such a token, else the end of the text. kInvalidArgument when there is neither.
  Result<int32_t> end_token(const Tokenizer& tokenizer) const;

  // All tokens that end a response: that one, and those that the tokenizer says. Ascending.
  Result<std::vector<int32_t>> stop_tokens(const Tokenizer& tokenizer) const;

 private:
  PromptTemplate(std::string_view name, const ChatFormat* format) : name_(name), format_(format) {}

  // Marks that are mere text to the tokenizer, in what somebody else wrote.
  Status check_no_forgery(const Prompt& prompt, const Tokenizer& tokenizer) const;

  std::string_view name_ = "plain";     // Static.
  const ChatFormat* format_ = nullptr;  // Static; none: see own_, else a template without roles.
  std::shared_ptr<const ModelTemplate> own_{};
};

}  // namespace troupe::model
