// How a prompt is put to the policy: named templates from messages to token ids.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/result.h"

namespace troupe::model {

struct Message {
  std::string role{};  // system | user | assistant
  std::string content{};

  bool operator==(const Message&) const = default;
};

// A prompt given as plain text is one message of the user.
using Prompt = std::vector<Message>;

class PromptTemplate {
 public:
  //   r1-zero  the template published for DeepSeek-R1-Zero
  //   plain    the prompt as it is
  //   chatml   <|im_start|>role\ncontent<|im_end|>\n per message, then the assistant's opening;
  //            these marks are text to the byte tokenizer, so contents are refused that hold one
  // An unknown name is kInvalidArgument; the message lists the known ones, the nearest first.
  static Result<PromptTemplate> by_name(std::string_view name);
  static std::vector<std::string> names();

  // <bos> and the prompt up to where the response begins. The template's own text may contain tag
  // tokens, the messages cannot. The templates without roles (r1-zero, plain) join system and user
  // messages by newlines and refuse a conversation with an assistant's turn.
  Result<std::vector<int32_t>> render(const Prompt& prompt) const;

 private:
  enum class Kind { kR1Zero, kPlain, kChatml };
  explicit PromptTemplate(Kind kind) : kind_(kind) {}

  Kind kind_;
};

}  // namespace troupe::model
