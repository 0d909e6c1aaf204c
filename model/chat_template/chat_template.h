// A model's own chat template: the part of Jinja2 that published ones are written in, as
// transformers runs it, without files, includes or a clock. What it does not know it refuses by the
// name of the construct and its line: a prompt that is nearly right would be a wrong one.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "model/chat_template/text.h"
#include "schemas/result.h"

namespace troupe::model {

class ChatTemplate {
 public:
  // kInvalidArgument, "chat_template:LINE: ...", for what cannot be read.
  static Result<ChatTemplate> parse(std::string_view source);

  // What it writes of these variables (messages, add_generation_prompt, bos_token, ...). Texts
  // within the variables named messages, tools and documents are somebody else's, and stay so in
  // what is written. kInvalidArgument, likewise, for what the template or this program refuses, and
  // for a template that does more than any prompt needs.
  Result<chat_template::Text> render(const nlohmann::ordered_json& variables) const;

 private:
  struct Program;

  std::shared_ptr<const Program> program_{};
};

}  // namespace troupe::model
