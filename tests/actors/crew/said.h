// What a part of a job's worker pool has put into its outbox.
#pragma once

#include <utility>
#include <variant>
#include <vector>

#include "actors/crew/outbox.h"

namespace troupe::tests {

// Of one kind, since anything was last asked for.
template <class Command>
std::vector<Command> said(actors::PoolOutbox& outbox) {
  std::vector<Command> found;
  for (const auto& command : outbox.take()) {
    if (const auto* one = std::get_if<Command>(&command)) found.push_back(*one);
  }
  return found;
}

// Messages of one kind, and to whom.
template <class Message>
std::vector<std::pair<actors::pool::Send, Message>> sent(actors::PoolOutbox& outbox) {
  std::vector<std::pair<actors::pool::Send, Message>> found;
  for (const auto& send : said<actors::pool::Send>(outbox)) {
    if (const auto* one = std::get_if<Message>(&send.message)) found.emplace_back(send, *one);
  }
  return found;
}

}  // namespace troupe::tests
