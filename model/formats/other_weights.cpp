#include "model/formats/other_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <vector>

#include "model/formats/file.h"

namespace troupe::model {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFilesMax = 10'000;

// In byte order, so that the same folder gives the same message.
std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (names.size() == kFilesMax) break;
    names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// A path within a command's single quotes.
std::string quoted(const std::string& path) {
  std::string text;
  for (char c : path) {
    text += c == '\'' || c == '\\' ? std::string{'\\', c} : std::string{c};
  }
  return "'" + text + "'";
}

// python -c "...": loads with transformers and writes what is read here.
std::string resaved(const std::string& folder, std::string_view option) {
  return fmt::format(
      "python -c \"import transformers; transformers.AutoModelForCausalLM.from_pretrained({0}, {1})"
      ".save_pretrained({0})\"",
      quoted(folder), option);
}

std::string merged(const std::string& folder) {
  return fmt::format(
      "python -c \"import peft, transformers; peft.AutoPeftModelForCausalLM.from_pretrained({0}, "
      "torch_dtype='auto').merge_and_unload().save_pretrained({1}); "
      "transformers.AutoTokenizer.from_pretrained({0}).save_pretrained({1})\"",
      quoted(folder), quoted(folder + "-merged"));
}

std::string from_state(const std::string& folder, const std::string& name) {
  return fmt::format(
      "python -c \"import torch, safetensors.torch; safetensors.torch.save_file({{k: "
      "v.clone().contiguous() for k, v in torch.load({}, map_location='cpu', "
      "weights_only=True).items()}}, {}, {{'format': 'pt'}})\"",
      quoted(folder + "/" + name), quoted(folder + "/model.safetensors"));
}

bool is_adapter(std::string_view name) { return name.starts_with("adapter_model."); }

bool is_shard(std::string_view name) {
  return name.starts_with("model-") && name.ends_with(".safetensors");
}

// What to do about the file; empty for one that holds no weights.
std::string advice(const std::string& folder, const std::string& name) {
  const auto ends = [&name](std::string_view end) { return name.ends_with(end); };
  const auto begins = [&name](std::string_view begin) { return name.starts_with(begin); };
  if (is_shard(name)) {
    return "fetch model.safetensors.index.json, which says what is in which file, as well";
  }
  if (is_adapter(name)) return "it changes another model; merge it into that: " + merged(folder);
  if (begins("consolidated.")) {
    return "which has other names for the tensors; fetch the files model*.safetensors of the same "
           "model, or, of Llama: pip install 'transformers<5' torch && python -m "
           "transformers.models.llama.convert_llama_weights_to_hf --help";
  }
  if (name == "zero_to_fp32.py") {
    return fmt::format(
        "a checkpoint of DeepSpeed; convert it: python {} {} {} --safe_serialization",
        quoted(folder + "/" + name), quoted(folder), quoted(folder));
  }
  if (begins("pytorch_model") && ends(".bin")) {
    return "convert it: " + resaved(folder, "torch_dtype='auto'");
  }
  if (name == "flax_model.msgpack" || name == "flax_model.msgpack.index.json") {
    return "convert it: pip install 'transformers<5' flax torch && " +
           resaved(folder, "from_flax=True");
  }
  if (name == "tf_model.h5" || name == "tf_model.h5.index.json") {
    return "convert it: pip install 'transformers<5' tf-keras torch && " +
           resaved(folder, "from_tf=True");
  }
  if (ends(".gguf")) {
    return fmt::format("give the file instead of the folder: {}", quoted(folder + "/" + name));
  }
  if (ends(".pt") || ends(".pth") ||
      (ends(".bin") && !begins("training_args") && !begins("optimizer") && !begins("scheduler"))) {
    return "convert it, if its tensors have the names of transformers: " + from_state(folder, name);
  }
  if (ends(".safetensors")) {
    return fmt::format("rename it if it is the model: mv {} {}", quoted(folder + "/" + name),
                       quoted(folder + "/model.safetensors"));
  }
  if (ends(".msgpack") || ends(".h5") || ends(".onnx") || ends(".ot") || ends(".distcp")) {
    return "which is not read here; fetch or export the model as model.safetensors";
  }
  return {};
}

}  // namespace

std::optional<Error> other_weights(const std::string& folder) {
  if (is_file(folder + "/model.safetensors") || is_file(folder + "/model.safetensors.index.json")) {
    return std::nullopt;
  }
  const std::vector<std::string> names = files_in(folder);
  const auto error = [&folder](const std::string& name, const std::string& what) {
    return invalid_argument(
        fmt::format("{}: has {} but no model.safetensors; {}", folder, name, what));
  };
  for (const std::string& name : names) {
    // A cache has links to the files; clearing it may leave them behind.
    std::error_code ignored;
    const std::string path = folder + "/" + name;
    if (name.ends_with(".safetensors") && fs::is_symlink(path, ignored) &&
        !fs::exists(path, ignored)) {
      return invalid_argument(
          fmt::format("{}: is a link to a file that is not there; fetch the model again", path));
    }
  }
  // What is surely the model comes before what only may be it.
  for (const auto is_first :
       {+[](std::string_view name) { return name == "zero_to_fp32.py"; },
        +[](std::string_view name) { return name.starts_with("pytorch_model"); },
        +[](std::string_view name) { return is_shard(name); },
        +[](std::string_view name) { return is_adapter(name); },
        +[](std::string_view name) { return name.starts_with("consolidated."); },
        +[](std::string_view) { return true; }}) {
    for (const std::string& name : names) {
      if (!is_first(name)) continue;
      const std::string what = advice(folder, name);
      if (!what.empty()) return error(name, what);
    }
  }
  return std::nullopt;
}

Status check_no_adapter(const std::string& folder) {
  for (const char* name : {"adapter_model.safetensors", "adapter_model.bin"}) {
    if (!is_file(folder + "/" + name)) continue;
    return invalid_argument(fmt::format(
        "{}: has {} beside a whole model, and it would be left out; merge it, or move it away if "
        "it is merged already: {}",
        folder, name, merged(folder)));
  }
  return ok();
}

}  // namespace troupe::model
