// `troupe export`: a policy as other programs take it.
#include <fmt/format.h>

#include <filesystem>

#include "cluster/cli/command.h"
#include "model/formats/checkpoint.h"

namespace troupe::cluster {
namespace {

struct ExportCommand {
  std::string model{};
  std::string out{};
  std::string dtype = "bfloat16";
};

Status run_export(const ExportCommand& command) {
  std::error_code ignored;
  if (std::filesystem::exists(command.out, ignored)) {
    return invalid_argument(command.out + ": is there already; name a folder that is not");
  }
  const auto checkpoint = model::load_checkpoint(command.model);
  if (!checkpoint) return checkpoint.error();
  const bool is_bf16 = command.dtype == "bfloat16";
  const Status saved = model::save_checkpoint(
      command.out, *checkpoint, is_bf16 ? model::Stored::kBf16 : model::Stored::kFloat32);
  if (!saved) return saved.error();
  const int64_t parameters = model::ParameterLayout(checkpoint->config).num_parameters();
  fmt::print("{}: {} parameters as {}\n", command.out, parameters, command.dtype);
  if (const int64_t rounded = is_bf16 ? model::count_rounded(*checkpoint) : 0; rounded > 0) {
    fmt::print("{} of them were rounded; --dtype float32 keeps them\n", rounded);
  }
  return ok();
}

}  // namespace

void add_export(Command& program, int& exit_code) {
  Command command = program.add_command("export", "A policy as a folder that transformers loads");
  command.footer(
      "transformers.AutoModelForCausalLM.from_pretrained(FOLDER) and AutoTokenizer read it.\n"
      "Example:\n  troupe export --model SmolLM2-135M-Instruct.Q4_1.gguf --out smollm2");
  auto state = std::make_shared<ExportCommand>();
  command
      .add_option("--model", state->model,
                  "Folder with config.json and safetensors, or a GGUF file")
      .required();
  command.add_option("--out", state->out, "Folder to write; must not exist").required();
  command.add_option("--dtype", state->dtype, "What the values are stored as")
      .one_of({"bfloat16", "float32"})
      .show_default();
  command.callback([state, &exit_code] {
    const Status status = run_export(*state);
    exit_code = status ? 0 : report("export", status.error());
  });
}

}  // namespace troupe::cluster
