// Whole sequences as a TokenBatch on a device, with every next token as a target.
#pragma once

#include <cstdint>
#include <vector>

#include "model/device.h"
#include "model/transformer/transformer.h"

namespace troupe::tests {

class TrainingBatch {
 public:
  TrainingBatch(const kernels::Backend& backend, kernels::Stream* stream,
                const std::vector<std::vector<int32_t>>& sequences) {
    std::vector<int32_t> token, position, slot, rows, targets, offset{0}, context, table;
    int64_t blocks_max = 1;
    for (const auto& s : sequences) {
      const auto T = static_cast<int64_t>(s.size());
      blocks_max = std::max(blocks_max, (T + 31) / 32);
      context_max_ = std::max(context_max_, T);
    }
    for (const auto& s : sequences) {
      const auto first = static_cast<int32_t>(token.size());
      for (size_t i = 0; i < s.size(); ++i) {
        if (i + 1 < s.size()) {
          rows.push_back(static_cast<int32_t>(token.size()));
          targets.push_back(s[i + 1]);
        }
        slot.push_back(static_cast<int32_t>(token.size()));
        token.push_back(s[i]);
        position.push_back(static_cast<int32_t>(i));
      }
      for (int64_t b = 0; b < blocks_max; ++b)
        table.push_back(first + static_cast<int32_t>(b) * 32);
      context.push_back(static_cast<int32_t>(s.size()));
      offset.push_back(static_cast<int32_t>(token.size()));
    }
    const auto send = [&](const std::vector<int32_t>& values) {
      model::DeviceBuffer<int32_t> buffer(backend, static_cast<int64_t>(values.size()));
      backend.upload(stream, buffer.get().address, values.data(),
                     static_cast<int64_t>(values.size()) * 4);
      buffers_.push_back(std::move(buffer));
      return buffers_.back().get();
    };
    batch.N = static_cast<int64_t>(token.size());
    batch.token = send(token);
    batch.position = send(position);
    batch.slot = send(slot);
    batch.num_logits = static_cast<int64_t>(rows.size());
    batch.logit_rows = send(rows);
    target = send(targets);
    batch.sequences = {.query_offset = send(offset),
                       .context = send(context),
                       .block_table = send(table),
                       .S = static_cast<int64_t>(sequences.size()),
                       .blocks_max = blocks_max,
                       .context_max = context_max_};
  }

  model::TokenBatch batch{};
  kernels::Device<int32_t> target{};

 private:
  int64_t context_max_ = 1;
  std::vector<model::DeviceBuffer<int32_t>> buffers_{};
};

template <class T>
std::vector<T> download(const kernels::Backend& backend, kernels::Stream* stream,
                        kernels::Device<T> from, int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  backend.download(stream, values.data(), from.address, count * static_cast<int64_t>(sizeof(T)));
  return values;
}

}  // namespace troupe::tests
