// A policy's own chat template, where no table of chat_format.h says the same.
#pragma once

#include <string>
#include <vector>

#include "model/chat_template/chat_template.h"
#include "model/data/prompt_template.h"
#include "model/formats/policy_text.h"
#include "schemas/result.h"

namespace troupe::model {

class ModelTemplate {
 public:
  // Tries the template on small conversations. kInvalidArgument, in one line with the place, for
  // one that cannot be read, refuses a question of the user, or leaves out what the user says.
  static Result<ModelTemplate> make(const PolicyText& text);

  // What the template writes, up to where the response begins. kInvalidArgument with the template's
  // own words where it refuses the conversation.
  Result<chat_template::Text> render(const Prompt& prompt) const;

  // What the template writes between messages, as pieces without white space: with one of them a
  // content could forge a turn wherever it is no token of the vocabulary.
  const std::vector<std::string>& marks() const { return marks_; }

  // What follows an assistant's message; empty where the template shows none.
  const std::string& closing() const { return closing_; }

 private:
  explicit ModelTemplate(ChatTemplate chat_template) : chat_template_(std::move(chat_template)) {}

  Result<chat_template::Text> render(const Prompt& prompt, bool opens_response) const;
  void find_marks();

  ChatTemplate chat_template_;
  std::vector<std::pair<std::string, std::string>> special_tokens_{};
  std::vector<std::string> marks_{};
  std::string closing_{};
};

}  // namespace troupe::model
