#include "model/data/chat_format.h"

namespace troupe::model {
namespace {

using Digests = std::vector<std::string_view>;

ChatFormat chatml(std::string_view name, Digests sha256,
                  std::optional<std::string_view> default_system = {}) {
  return {.name = name,
          .sha256 = std::move(sha256),
          .default_system = default_system,
          .system = {"<|im_start|>system\n", "<|im_end|>\n"},
          .user = {"<|im_start|>user\n", "<|im_end|>\n"},
          .assistant = {"<|im_start|>assistant\n", "<|im_end|>\n"},
          .response_open = "<|im_start|>assistant\n",
          .turn_end = "<|im_end|>",
          .marks = {"<|im_start|>", "<|im_end|>"}};
}

ChatFormat llama3(std::string_view name, Digests sha256) {
  return {.name = name,
          .sha256 = std::move(sha256),
          .begin = "<|begin_of_text|>",
          .system = {"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"},
          .user = {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
          .assistant = {"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"},
          .response_open = "<|start_header_id|>assistant<|end_header_id|>\n\n",
          .turn_end = "<|eot_id|>",
          .marks = {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
          .trims = true};
}

std::vector<ChatFormat> make_formats() {
  ChatFormat qwen3 =
      chatml("qwen3", {"a55ee1b1660128b7098723e0abcd92caa0788061051c62d51cbe87d9cf1974d8"});
  qwen3.forgets_thinking = true;
  qwen3.strips_after_thinking = true;

  ChatFormat llama31 =
      llama3("llama3.1", {"e10ca381b1ccc5cf9db52e371f3b6651576caee0a630b452e2816b2d404d4b65",
                          "5816fce10444e03c2e9ee1ef8a4a1ea61ae7e69e438613f3b17b69d0426223a4"});
  // The date that the templates have where there is no clock: a prompt is a function of its text.
  llama31.default_system = "";
  llama31.system_preamble = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n";

  const ChatFormat deepseek_r1 = {
      .name = "deepseek-r1",
      .sha256 = {"563b1ce7d61d50a9b4c7439a912a1116f095b712df5b5e4d3e1116049874eb64",
                 "56a1447ad31926fdc21fb07e56e5642bd9c850c4f52d8c8af7bbe5f079a84f5f"},
      .begin = "<｜begin▁of▁sentence｜>",
      .user = {"<｜User｜>", ""},
      .assistant = {"<｜Assistant｜>", "<｜end▁of▁sentence｜>"},
      .response_open = "<｜Assistant｜><think>\n",
      .turn_end = "<｜end▁of▁sentence｜>",
      .marks = {"<｜begin▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>",
                "<｜end▁of▁sentence｜>"},
      .forgets_thinking = true};

  return {
      chatml("chatml", {"64f85b198065d0fba2a81f37e10ed68161ce2c19a754c7100e67e0ca2ee9c326"}),
      chatml("smollm2", {"872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788"},
             "You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
      chatml("qwen2.5", {"cd8e9439f0570856fd70470bf8889ebd8b5d1107207f67a5efb46e342330527f"},
             "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
      qwen3,
      llama3("llama3", {"ba03a121d097859c7b5b9cd03af99aafe95275210d2876f642ad9929a150f122"}),
      llama31,
      deepseek_r1,
  };
}

}  // namespace

std::span<const ChatFormat> chat_formats() {
  static const std::vector<ChatFormat> all = make_formats();
  return all;
}

}  // namespace troupe::model
