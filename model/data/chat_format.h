// The chats that published models were trained on, as tables: what is put around the messages.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace troupe::model {

struct ChatFormat {
  struct Turn {
    std::string_view open{};
    std::string_view close{};
  };

  std::string_view name{};
  std::vector<std::string_view> sha256{};  // Of the Jinja templates that say the same.
  std::string_view begin{};                // Before everything.
  // The system's message where the prompt has none; without it there is then no such turn.
  std::optional<std::string_view> default_system{};
  std::string_view system_preamble{};  // Before the system's content, in its turn.
  Turn system{}, user{}, assistant{};
  std::string_view response_open{};
  std::string_view turn_end{};            // The token that ends a response.
  std::vector<std::string_view> marks{};  // What only this program may write.
  bool trims = false;                     // Contents lose white space at both ends,
  bool forgets_thinking = false;          // assistants' also all up to the last </think>,
  bool strips_after_thinking = false;     // and the newlines after it.
};

std::span<const ChatFormat> chat_formats();

}  // namespace troupe::model
