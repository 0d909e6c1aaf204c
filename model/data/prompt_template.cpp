#include "model/data/prompt_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "model/data/chat_format.h"
#include "model/data/model_template.h"
#include "model/tokenizer/unicode.h"
#include "schemas/hash.h"
#include "schemas/nearest.h"

namespace troupe::model {
namespace {

constexpr std::string_view kR1Zero = "r1-zero";
constexpr std::string_view kPlain = "plain";

// DeepSeek-R1 (Nature, 2025), table "Template for DeepSeek-R1-Zero".
constexpr std::string_view kR1ZeroBefore =
    "A conversation between User and Assistant. The User asks a question and the Assistant solves "
    "it. The Assistant first thinks about the reasoning process in the mind and then provides the "
    "User with the answer. The reasoning process and answer are enclosed within "
    "<think>...</think> and <answer>...</answer> tags, respectively, that is, <think>reasoning "
    "process here </think> <answer> answer here </answer>. User: ";
constexpr std::string_view kR1ZeroAfter = ". Assistant:";

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

// What of a message is put between the marks of its turn.
std::string_view shown_content(const ChatFormat& format, const Message& message) {
  constexpr std::string_view kThinkingEnd = "</think>";
  std::string_view text = message.content;
  if (format.forgets_thinking && message.role == "assistant") {
    const size_t end = text.rfind(kThinkingEnd);
    if (end != text.npos) {
      text.remove_prefix(end + kThinkingEnd.size());
      while (format.strips_after_thinking && text.starts_with('\n')) text.remove_prefix(1);
    }
  }
  if (format.trims) {
    text = text.substr(0, trailing_white_space(text));
    text.remove_prefix(leading_white_space(text));
  }
  return text;
}

// A conversation as parts that are trusted or not. They point into `prompt` and into `format`.
std::vector<TextPart> parts_of(const ChatFormat& format, const Prompt& prompt) {
  std::vector<TextPart> parts;
  const auto own = [&parts](std::string_view text) {
    if (!text.empty()) parts.push_back({.text = text, .is_trusted = true});
  };
  own(format.begin);
  if (prompt.front().role != "system" && format.default_system) {
    own(format.system.open);
    own(format.system_preamble);
    own(*format.default_system);
    own(format.system.close);
  }
  for (const Message& message : prompt) {
    const bool is_system = message.role == "system";
    const ChatFormat::Turn& turn = is_system                ? format.system
                                   : message.role == "user" ? format.user
                                                            : format.assistant;
    own(turn.open);
    if (is_system) own(format.system_preamble);
    parts.push_back({.text = shown_content(format, message)});
    own(turn.close);
  }
  own(format.response_open);
  return parts;
}

Status check_roles(const Prompt& prompt) {
  for (const Message& message : prompt) {
    if (message.role == "system" && &message != &prompt.front()) {
      return invalid_argument("the system's message is not the first one of a prompt");
    }
  }
  if (prompt.back().role != "user") {
    return invalid_argument("the last message of a prompt is not the user's");
  }
  return ok();
}

// A template's text as parts that are trusted or not. They point into `text`.
std::vector<TextPart> parts_of(const chat_template::Text& text) {
  std::vector<TextPart> parts;
  const std::string_view bytes = text.bytes();
  for (size_t begin = 0; begin < bytes.size();) {
    size_t end = begin + 1;
    while (end < bytes.size() && text.is_foreign(end) == text.is_foreign(begin)) ++end;
    parts.push_back(
        {.text = bytes.substr(begin, end - begin), .is_trusted = !text.is_foreign(begin)});
    begin = end;
  }
  return parts;
}

// The format whose template this is, whatever white space is at its ends.
const ChatFormat* recognised(std::string_view chat_template) {
  std::string trimmed(chat_template.substr(0, trailing_white_space(chat_template)));
  trimmed.erase(0, leading_white_space(trimmed));
  // Published ones end with one newline or none.
  for (const std::string& text : {trimmed, trimmed + "\n"}) {
    const std::string digest = sha256_hex(std::as_bytes(std::span(text)));
    for (const ChatFormat& format : chat_formats()) {
      const auto& known = format.sha256;
      if (std::find(known.begin(), known.end(), digest) != known.end()) return &format;
    }
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> PromptTemplate::names() {
  std::vector<std::string> names = {std::string(kR1Zero), std::string(kPlain)};
  for (const ChatFormat& format : chat_formats()) names.emplace_back(format.name);
  return names;
}

Result<PromptTemplate> PromptTemplate::by_name(std::string_view name) {
  if (name == kR1Zero) return PromptTemplate(kR1Zero, nullptr);
  if (name == kPlain) return PromptTemplate(kPlain, nullptr);
  for (const ChatFormat& format : chat_formats()) {
    if (name == format.name) return PromptTemplate(format.name, &format);
  }
  return invalid_argument(fmt::format("unknown prompt template '{}'; known: {}", name,
                                      nearest_first_list(name, names())));
}

Result<PromptTemplate> PromptTemplate::find(std::string_view name, const PolicyText& text) {
  if (name != kOfModel) return by_name(name);
  if (!text.prompt_template.empty() && text.prompt_template != kOfModel) {
    return by_name(text.prompt_template);
  }
  if (text.chat_template.empty()) return by_name(kPlain);
  if (const ChatFormat* format = recognised(text.chat_template)) {
    return PromptTemplate(format->name, format);
  }
  auto own = ModelTemplate::make(text);
  if (!own) {
    return invalid_argument(
        fmt::format("{}; name the template that it amounts to, with data.template or --template: "
                    "{}",
                    own.error().message, fmt::join(names(), ", ")));
  }
  PromptTemplate found(kOfModel, nullptr);
  found.own_ = std::make_shared<const ModelTemplate>(std::move(*own));
  return found;
}

Status PromptTemplate::check_no_forgery(const Prompt& prompt, const Tokenizer& tokenizer) const {
  std::vector<std::string_view> marks;
  if (format_ != nullptr) marks = format_->marks;
  if (own_ != nullptr) marks.assign(own_->marks().begin(), own_->marks().end());
  for (const Message& message : prompt) {
    for (std::string_view mark : marks) {
      if (tokenizer.find_marker(mark) || message.content.find(mark) == std::string::npos) continue;
      return invalid_argument(fmt::format(
          "a prompt contains {}, which would forge a turn; remove it or use another template than "
          "{}",
          mark, own_ != nullptr ? "the model's own" : name_));
    }
  }
  return ok();
}

Result<std::vector<int32_t>> PromptTemplate::render(const Prompt& prompt,
                                                    const Tokenizer& tokenizer) const {
  if (prompt.empty()) return invalid_argument("the prompt has no messages");
  for (const Message& message : prompt) {
    if (!is_role(message.role)) {
      return invalid_argument(fmt::format(
          "unknown role '{}' in a prompt; known: system, user, assistant", message.role));
    }
  }
  const bool has_roles = format_ != nullptr || own_ != nullptr;
  std::vector<int32_t> ids;
  // The byte tokenizer has no text that begins a chat.
  if (!has_roles || tokenizer.is_bytes()) ids = tokenizer.prefix();
  std::string joined_text;
  chat_template::Text own_text;
  std::vector<TextPart> parts;
  if (has_roles) {
    if (Status s = check_roles(prompt); !s) return s.error();
    if (Status s = check_no_forgery(prompt, tokenizer); !s) return s.error();
  }
  if (format_ != nullptr) {
    parts = parts_of(*format_, prompt);
  } else if (own_ != nullptr) {
    auto rendered = own_->render(prompt);
    if (!rendered) return rendered.error();
    own_text = std::move(*rendered);
    parts = parts_of(own_text);
  } else {
    auto whole = joined(prompt);
    if (!whole) return whole.error();
    joined_text = std::move(*whole);
    if (name_ == kR1Zero) parts.push_back({.text = kR1ZeroBefore, .is_trusted = true});
    parts.push_back({.text = joined_text});
    if (name_ == kR1Zero) parts.push_back({.text = kR1ZeroAfter, .is_trusted = true});
  }
  auto more = tokenizer.encode(parts);
  if (!more) return more.error();
  ids.insert(ids.end(), more->begin(), more->end());
  return ids;
}

Result<int32_t> PromptTemplate::end_token(const Tokenizer& tokenizer) const {
  if (format_ != nullptr) {
    if (const auto token = tokenizer.find_marker(format_->turn_end)) return *token;
  }
  if (own_ != nullptr) {
    // What the template writes after an assistant's message, if it is a token.
    std::string_view closing = own_->closing();
    closing.remove_prefix(leading_white_space(closing));
    const auto ids = tokenizer.encode_markup(closing);
    if (ids && !ids->empty()) {
      const std::string first =
          tokenizer.decode(std::span(*ids).first(1), Tokenizer::Special::kShown);
      const auto token = tokenizer.find_marker(first);
      if (token && *token == ids->front()) return *token;
    }
  }
  if (tokenizer.special().eos) return *tokenizer.special().eos;
  return invalid_argument(fmt::format(
      "the policy's tokenizer names no token that ends a text, and the template {} has none",
      name_));
}

Result<std::vector<int32_t>> PromptTemplate::stop_tokens(const Tokenizer& tokenizer) const {
  const auto end = end_token(tokenizer);
  if (!end) return end.error();
  std::vector<int32_t> stops = tokenizer.special().stop;
  stops.push_back(*end);
  std::sort(stops.begin(), stops.end());
  stops.erase(std::unique(stops.begin(), stops.end()), stops.end());
  return stops;
}

}  // namespace troupe::model
