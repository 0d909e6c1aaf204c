// How a policy's text becomes tokens: the small files beside the weights.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "model/formats/gguf.h"
#include "model/tokenizer/tokenizer.h"
#include "model/transformer/config.h"
#include "schemas/result.h"

namespace troupe::model {

struct PolicyText {
  Tokenizer tokenizer{};          // Bytes where the folder has no tokenizer.json.
  std::string prompt_template{};  // By its name; empty: what goes with chat_template.
  std::string chat_template{};    // The model's own, in Jinja; empty: it has none.
  // bos_token, eos_token and their kin, as chat templates name them, where the files name them.
  std::map<std::string, std::string> special_tokens{};
  // What to save with the weights, by the file's name: what was read, for other programs to find.
  std::map<std::string, std::string> files{};
};

// From a folder: tokenizer.json, tokenizer_config.json, generation_config.json,
// special_tokens_map.json and chat_template.jinja, each where it is there. A response ends with
// what generation_config.json says, else config.json. From a GGUF file: what the same files would
// be. kInvalidArgument, in one line that names the file, for one that is damaged, for another kind
// of tokenizer (tokenizer.model alone), and for ids that are no tokens.
Result<PolicyText> load_policy_text(const std::string& path, const TransformerConfig& config);
Result<PolicyText> gguf_policy_text(const Gguf& file, const TransformerConfig& config,
                                    std::string_view origin);

// The files to write beside weights, so that load_policy_text gives the same again.
std::map<std::string, std::string> files_of(const PolicyText& text);

}  // namespace troupe::model
