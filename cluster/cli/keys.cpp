// Who may come to this head from other hosts.
#include <fmt/format.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "cluster/cli/command.h"
#include "cluster/keys/keys_folder.h"
#include "cluster/keys/web_tokens.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

struct KeysCommand {
  std::string folder = default_keys_folder();
  std::string name{};
  std::string out{};
  std::string dashboard{};
  bool is_operator = false;
  bool is_json = false;
};

std::string with_role(const Identity& identity) {
  if (identity.kind == KeyKind::kNode) return "node " + identity.name;
  return fmt::format("{} {}", identity.is_operator ? "operator" : "user", identity.name);
}

Status init(const KeysCommand& command) {
  if (command.folder.empty()) return check_keys_folder(command.folder);
  if (auto made = init_keys(command.folder); !made) return made;
  const auto keys = read_head_keys(command.folder);
  if (!keys) return keys.error();
  return print_line(
      fmt::format("keys in {}; the head's public key is {}", command.folder, keys->public_key));
}

Status add(const KeysCommand& command, KeyKind kind) {
  const Identity identity{.kind = kind, .name = command.name, .is_operator = command.is_operator};
  // Before a file is named after it.
  if (auto named = check_identity_name(identity.name); !named) return named;
  const std::string out = command.out.empty() ? identity.name + ".key" : command.out;
  if (auto added = add_key(command.folder, identity, out); !added) return added;
  return print_line(
      fmt::format("{}: the key of {}; bring it there so that nobody else sees it, and keep no copy",
                  out, with_role(identity)));
}

Status list(const KeysCommand& command) {
  const auto head = read_head_keys(command.folder);
  if (!head) return head.error();
  const auto keys = list_keys(command.folder);
  if (!keys) return keys.error();
  if (command.is_json) {
    auto rows = nlohmann::ordered_json::array();
    for (const AllowedKey& one : *keys) {
      nlohmann::ordered_json role = nullptr;
      if (one.identity.kind == KeyKind::kUser)
        role = one.identity.is_operator ? "operator" : "user";
      rows.push_back({{"name", one.identity.name},
                      {"kind", name(one.identity.kind)},
                      {"role", role},
                      {"public_key", text_of(one.key)}});
    }
    const nlohmann::ordered_json all = {{"head_key", head->public_key}, {"keys", rows}};
    return print_line(to_text(all));
  }
  size_t width = 4;
  for (const AllowedKey& one : *keys) width = std::max(width, one.identity.name.size());
  std::string text = fmt::format("{:{}}  {:8}  {}", "NAME", width, "ROLE", "PUBLIC KEY");
  for (const AllowedKey& one : *keys) {
    const char* role = one.identity.is_operator ? "operator" : name(one.identity.kind);
    text += fmt::format("\n{:{}}  {:8}  {}", one.identity.name, width, role, text_of(one.key));
  }
  return print_line(text);
}

Status web(const KeysCommand& command) {
  const auto made =
      make_web_token(command.folder, command.name, static_cast<int64_t>(std::time(nullptr)));
  if (!made) return made.error();
  return print_line(
      fmt::format("for a browser, once and within {} minutes:\n  http://{}/#once={}\n"
                  "for a program, as a header of each request:\n  Authorization: Bearer {}",
                  kOnceSeconds / 60, command.dashboard.empty() ? "HEAD:PORT" : command.dashboard,
                  made->once, made->token));
}

Status revoke(const KeysCommand& command) {
  const auto who = revoke_key(command.folder, command.name);
  if (!who) return who.error();
  return print_line(
      fmt::format("{} has no key any more; a running head knows it within a second", who->name));
}

void add_folder_option(Command& command, KeysCommand& state) {
  command.add_option("--keys", state.folder,
                     "The head's keys; default $XDG_CONFIG_HOME/troupe/keys or "
                     "~/.config/troupe/keys");
}

}  // namespace

void add_keys(Command& program, int& exit_code) {
  Command keys = program.add_command("keys", "Who may come to this head from other hosts");
  keys.require_command();
  keys.footer(
      "On the head:\n"
      "  troupe keys init\n"
      "  troupe keys user alice                 # alice.key is what Alice gets\n"
      "  troupe keys user olga --operator       # sees and changes everybody's jobs\n"
      "  troupe keys node gpu-7                 # gpu-7.key is what that host gets\n"
      "  trouped --listen 0.0.0.0:7070 --keys ~/.config/troupe/keys &\n"
      "  troupe keys revoke alice               # at once, also while the head runs\n"
      "On Alice's machine:\n"
      "  troupe jobs --server head.example.org:7070 --key alice.key");
  const auto state = std::make_shared<KeysCommand>();
  const auto add_one = [&](const char* verb, const char* what, auto act) {
    Command command = keys.add_command(verb, what);
    add_folder_option(command, *state);
    command.callback([state, verb = std::string(verb), act, &exit_code] {
      const Status done = act(*state);
      exit_code = done ? 0 : report("keys " + verb, done.error());
    });
    return command;
  };
  const auto add_name = [&](Command& command) {
    command.add_option("name", state->name, "1 to 63 of a-z, 0-9 and -").required();
  };
  const auto add_out = [&](Command& command) {
    command.add_option("--out", state->out,
                       "Where the key file goes; it must not be there yet; default ./NAME.key");
  };
  Command made = add_one("init", "Make the keys folder and the head's key", init);
  made.footer("Example:\n  troupe keys init");

  Command node = add_one("node", "Let a host in, and write the key file that it needs",
                         [](const KeysCommand& command) { return add(command, KeyKind::kNode); });
  add_name(node);
  add_out(node);
  node.footer("Example:\n  troupe keys node gpu-7 --out gpu-7.key");

  Command user = add_one("user", "Let a person in, and write the key file that they need",
                         [](const KeysCommand& command) { return add(command, KeyKind::kUser); });
  add_name(user);
  add_out(user);
  user.add_flag("--operator", state->is_operator, "May see and change everybody's jobs");
  user.footer("Example:\n  troupe keys user alice --out alice.key");

  Command listed = add_one("list", "Who may come in", list);
  listed.add_flag("--json", state->is_json, "One JSON object");
  listed.footer("Example:\n  troupe keys list");

  Command token = add_one("web", "Make a token for the dashboard, and a link that works once", web);
  add_name(token);
  token.add_option("--dashboard", state->dashboard,
                   "HOST:PORT of the head's dashboard, as the browser reaches it");
  token.footer(
      "For a user who has a key; an older token of theirs is none any more. What is sent is not\n"
      "encrypted: between hosts, go through ssh -L or a proxy with TLS.\n"
      "Example:\n  troupe keys web alice --dashboard head.example.org:7080");

  Command revoked = add_one("revoke", "Let somebody in no longer", revoke);
  add_name(revoked);
  revoked.footer(
      "Connections that they have are not answered any more either. Jobs of theirs stay, and are\n"
      "those of whoever gets a key of the same name later.\n"
      "Example:\n  troupe keys revoke alice");
}

}  // namespace troupe::cluster
