#include "model/generation/generator.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <string>

#include "model/generation/block_pool.h"

namespace troupe::model {

using kernels::Device;
using kernels::kBlockTokens;
using kernels::SampleKey;
using kernels::Stored;

namespace {

// Requests that no engine has begun, handed out in order.
struct Feed {
  std::span<const GroupRequest> requests{};
  std::vector<std::vector<Response>>* results = nullptr;
  std::atomic<size_t> next{0};
  std::atomic<int64_t> finished{0};
  std::atomic<int64_t> samples_left{0};  // Begun or not.
  int64_t num_engines = 1;
  std::atomic<bool> is_stopping{false};
  std::atomic<bool> is_pausing{false};
  uint32_t num_updates = 0;                        // Changes while no engine runs.
  std::vector<std::atomic<int32_t>> unfinished{};  // Samples of each request.
  const GenerationObserver* observer = nullptr;
  std::mutex observing{};

  void finish_one(size_t request) {
    finished.fetch_add(1);
    samples_left.fetch_sub(1);
    if (unfinished[request].fetch_sub(1) > 1 || !observer->group_finished) return;
    const std::lock_guard lock(observing);
    observer->group_finished(request, std::move((*results)[request]));
  }

  // An engine with as many rows begins no more: who came first would take what fits, and leave the
  // others without work. As long as something is not begun, some engine has fewer.
  int64_t fair_share() const { return (samples_left.load() + num_engines - 1) / num_engines; }

  void goes_on(size_t request, int32_t sample, const Response& response) {
    const int64_t every = observer->segment_tokens;
    const auto& begun = requests[request].begun;
    const size_t known = begun.empty() ? 0 : begun[static_cast<size_t>(sample)].tokens.size();
    if (every <= 0 || static_cast<int64_t>(response.tokens.size() - known) % every != 0) return;
    const std::lock_guard lock(observing);
    observer->segment_ended(request, sample, response);
  }
};

// A sequence in an engine. While `forks` > 0 it is a group's prompt, which becomes that many
// samples once it is computed.
struct Sequence {
  size_t request = 0;
  int32_t sample = 0;
  int32_t forks = 0;
  std::vector<int32_t> tokens{};
  size_t num_cached = 0;  // Tokens whose latents are in the cache.
  std::vector<int32_t> blocks{};
  size_t taken = 0;  // Tokens in the current forward.
};

template <class T>
class HostAndDevice {
 public:
  HostAndDevice(const kernels::Backend& backend, int64_t count)
      : backend_(backend), device_(backend, count) {}

  std::vector<T>& host() { return host_; }
  Device<T> send(kernels::Stream* stream) {
    TROUPE_CHECK(static_cast<int64_t>(host_.size()) <= device_.count());
    backend_.upload(stream, device_.get().address, host_.data(),
                    static_cast<int64_t>(host_.size() * sizeof(T)));
    return device_.get();
  }
  Device<T> get() const { return device_.get(); }
  void receive(kernels::Stream* stream, int64_t count) {
    host_.resize(static_cast<size_t>(count));
    backend_.download(stream, host_.data(), device_.get().address,
                      count * static_cast<int64_t>(sizeof(T)));
  }

 private:
  const kernels::Backend& backend_;
  std::vector<T> host_;
  DeviceBuffer<T> device_;
};

int64_t blocks_for(int64_t tokens) { return (tokens + kBlockTokens - 1) / kBlockTokens; }

int64_t block_bytes(const TransformerConfig& c, kernels::Precision precision) {
  const int64_t element = precision == kernels::Precision::kBf16 ? 2 : 4;
  return c.num_hidden_layers * kBlockTokens * cache_row(c).width * element;
}

}  // namespace

// One thread's share: a stream, a cache and the sequences in flight.
class Generator::Engine {
 public:
  Engine(const kernels::Backend& backend, const TransformerConfig& config, const Options& options,
         int64_t num_blocks)
      : backend_(backend),
        config_(config),
        options_(options),
        row_width_(cache_row(config).width),
        element_bytes_(options.precision == kernels::Precision::kBf16 ? 2 : 4),
        transformer_(backend, config,
                     {.precision = options.precision,
                      .tokens_max = options.batch_tokens_max,
                      .logits_max = options.sequences_max,
                      .context_max = options.context_max}),
        pool_(static_cast<int32_t>(num_blocks)),
        cache_(backend, num_blocks * block_bytes(config, options.precision)),
        layer_stride_(num_blocks * kBlockTokens * row_width_),
        token_(backend, options.batch_tokens_max),
        position_(backend, options.batch_tokens_max),
        slot_(backend, options.batch_tokens_max),
        logit_rows_(backend, options.sequences_max),
        query_offset_(backend, options.sequences_max + 1),
        context_(backend, options.sequences_max),
        table_(backend, options.sequences_max * blocks_for(options.context_max)),
        key_(backend, options.sequences_max),
        sampled_(backend, options.sequences_max),
        logprob_(backend, options.sequences_max) {}

  // Works until the feed is empty and every sequence that this engine began is finished, or until
  // it is told to pause or to stop.
  void run(const PolicyWeights& weights, const SamplingOptions& sampling, Feed& feed,
           const std::function<bool(int64_t)>* progressed) {
    while (true) {
      if (feed.observer->stepped) feed.observer->stepped();
      if (progressed != nullptr && !(*progressed)(feed.finished.load())) {
        feed.is_stopping.store(true);
      }
      const auto& wants_update = feed.observer->wants_update;
      if (wants_update && wants_update()) feed.is_pausing.store(true);
      if (feed.is_stopping.load() || feed.is_pausing.load()) return;
      admit(feed);
      if (running_.empty()) return;
      step(weights, sampling, feed);
    }
  }

  // The weights are others now: what was cached is computed again.
  void forget_cache() {
    for (auto* list : {&running_, &waiting_}) {
      for (auto& sequence : *list) release(sequence);
    }
  }

  // What is unfinished is given up.
  void abort_all(Feed& feed) {
    for (auto* list : {&running_, &waiting_}) {
      for (auto& sequence : *list) abort(sequence, feed);
      list->clear();
    }
  }

  Statistics statistics{};

 private:
  // Logits are per sample, so a prompt that is not forked yet counts for all its samples, also when
  // it was evicted before.
  static int64_t rows_of(const Sequence& sequence) { return std::max(1, sequence.forks); }
  int64_t rows_in_use() const {
    int64_t rows = 0;
    for (const auto& sequence : running_) rows += rows_of(sequence);
    return rows;
  }

  void admit(Feed& feed) {
    int64_t rows = rows_in_use();
    while (!waiting_.empty()) {
      const Sequence& first = waiting_.front();
      const int64_t needed = rows_of(first);
      if (rows + needed > options_.sequences_max ||
          pool_.num_free() <= blocks_for(static_cast<int64_t>(first.tokens.size()))) {
        break;
      }
      rows += needed;
      running_.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    while (waiting_.empty()) {
      // A group is begun only where all its samples have room for their first block.
      size_t index = feed.next.load();
      if (index >= feed.requests.size()) return;
      const GroupRequest& request = feed.requests[index];
      const auto length = static_cast<int64_t>(request.prompt.size());
      const bool fits = rows + request.num_samples <= options_.sequences_max &&
                        pool_.num_free() >= blocks_for(length) + request.num_samples;
      if ((!fits || rows >= feed.fair_share()) && !running_.empty()) return;
      if (!feed.next.compare_exchange_strong(index, index + 1)) continue;
      (*feed.results)[index].resize(static_cast<size_t>(request.num_samples));
      Sequence prompt;
      prompt.request = index;
      prompt.forks = request.num_samples;
      prompt.tokens = request.prompt;
      running_.push_back(std::move(prompt));
      rows += request.num_samples;
    }
  }

  void release(Sequence& sequence) {
    for (int32_t block : sequence.blocks) pool_.release(block);
    sequence.blocks.clear();
    sequence.num_cached = 0;
  }

  void abort(Sequence& sequence, Feed& feed) {
    release(sequence);
    auto& responses = (*feed.results)[sequence.request];
    const auto first = static_cast<size_t>(sequence.sample);
    const size_t count = sequence.forks > 0 ? static_cast<size_t>(sequence.forks) : 1;
    for (size_t i = 0; i < count; ++i) {
      responses[first + i].finish_reason = FinishReason::kAborted;
    }
  }

  // Frees the blocks of the youngest sequence; its tokens stay and are computed again later. False
  // when `index` is the only one left that could give way.
  bool evict_for(size_t index) {
    for (size_t victim = running_.size(); victim-- > 0;) {
      if (victim <= index || running_[victim].blocks.empty()) continue;
      ++statistics.sequences_evicted;
      statistics.tokens_repeated += static_cast<int64_t>(running_[victim].num_cached);
      release(running_[victim]);
      waiting_.push_front(std::move(running_[victim]));
      running_.erase(running_.begin() + static_cast<int64_t>(victim));
      return true;
    }
    return false;
  }

  // Makes [num_cached, num_cached + taken) writable, evicting younger sequences where needed. False
  // when there is no room: the sequence sits this step out.
  bool make_room(size_t index) {
    const auto needed = static_cast<size_t>(
        blocks_for(static_cast<int64_t>(running_[index].num_cached + running_[index].taken)));
    const size_t first_written = running_[index].num_cached / kBlockTokens;
    if (first_written < running_[index].blocks.size() &&
        pool_.is_shared(running_[index].blocks[first_written])) {
      while (pool_.num_free() == 0) {
        if (!evict_for(index)) return false;
      }
      // Eviction may have ended the sharing.
      int32_t& block = running_[index].blocks[first_written];
      if (pool_.is_shared(block)) {
        const int32_t own = pool_.take();
        copy_block(own, block);
        ++statistics.blocks_copied;
        pool_.release(block);
        block = own;
      }
    }
    while (running_[index].blocks.size() < needed) {
      while (pool_.num_free() == 0) {
        if (!evict_for(index)) return false;
      }
      running_[index].blocks.push_back(pool_.take());
    }
    return true;
  }

  void copy_block(int32_t to, int32_t from) {
    const int64_t bytes = kBlockTokens * row_width_ * element_bytes_;
    for (int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
      const uint64_t base =
          cache_.get().address + static_cast<uint64_t>(layer * layer_stride_ * element_bytes_);
      backend_.copy(transformer_.stream(), base + static_cast<uint64_t>(to * bytes),
                    base + static_cast<uint64_t>(from * bytes), bytes);
    }
  }

  void step(const PolicyWeights& weights, const SamplingOptions& sampling, Feed& feed) {
    // Oldest first; a long prompt may be taken in pieces.
    int64_t budget = options_.batch_tokens_max;
    for (size_t i = 0; i < running_.size(); ++i) {
      Sequence& sequence = running_[i];
      const auto pending = static_cast<int64_t>(sequence.tokens.size() - sequence.num_cached);
      sequence.taken = static_cast<size_t>(std::min(pending, budget));
      if (sequence.taken > 0 && !make_room(i)) running_[i].taken = 0;
      budget -= static_cast<int64_t>(running_[i].taken);
    }
    build_batch(feed);
    TROUPE_CHECK(batch_.N > 0);  // The oldest sequence always has room.
    statistics.tokens_computed += batch_.N;
    const LayerCache cache{{cache_.get().address, element_bytes_}, layer_stride_};
    kernels::Stream* stream = transformer_.stream();
    transformer_.forward(weights, batch_, cache);
    backend_.sample(stream, {.token = sampled_.get(),
                             .logprob = logprob_.get(),
                             .logit = transformer_.logits(),
                             .key = key_.send(stream),
                             .N = batch_.num_logits,
                             .V = config_.vocab_size,
                             .temperature = sampling.temperature,
                             .top_p = sampling.top_p});
    sampled_.receive(stream, batch_.num_logits);
    logprob_.receive(stream, batch_.num_logits);
    take_over(sampling, feed);
  }

  void build_batch(const Feed& feed) {
    for (auto* list :
         {&token_, &position_, &slot_, &logit_rows_, &query_offset_, &context_, &table_}) {
      list->host().clear();
    }
    key_.host().clear();
    query_offset_.host().push_back(0);
    int64_t blocks_max = 1, context_max = 1;
    for (const auto& sequence : running_) {
      if (sequence.taken == 0) continue;
      blocks_max = std::max(blocks_max, static_cast<int64_t>(sequence.blocks.size()));
    }
    for (const auto& sequence : running_) {
      if (sequence.taken == 0) continue;
      const size_t end = sequence.num_cached + sequence.taken;
      for (size_t i = sequence.num_cached; i < end; ++i) {
        const auto row = static_cast<int32_t>(i % kBlockTokens);
        token_.host().push_back(sequence.tokens[i]);
        position_.host().push_back(static_cast<int32_t>(i));
        slot_.host().push_back(
            sequence.blocks[i / kBlockTokens] * static_cast<int32_t>(kBlockTokens) + row);
      }
      query_offset_.host().push_back(static_cast<int32_t>(token_.host().size()));
      context_.host().push_back(static_cast<int32_t>(end));
      context_max = std::max(context_max, static_cast<int64_t>(end));
      for (int64_t b = 0; b < blocks_max; ++b) {
        const auto at = static_cast<size_t>(b);
        table_.host().push_back(at < sequence.blocks.size()
                                    ? sequence.blocks[at] * static_cast<int32_t>(kBlockTokens)
                                    : 0);
      }
      if (end < sequence.tokens.size()) continue;  // More of the prompt is to come.
      const auto row = static_cast<int32_t>(token_.host().size()) - 1;
      for (int32_t fork = 0; fork < std::max(1, sequence.forks); ++fork) {
        logit_rows_.host().push_back(row);
        SampleKey key = feed.requests[sequence.request].key;
        key.sample = static_cast<uint32_t>(sequence.sample + fork);
        key.position = static_cast<uint32_t>(end);
        key_.host().push_back(key);
      }
    }
    kernels::Stream* stream = transformer_.stream();
    const auto num_sequences = static_cast<int64_t>(context_.host().size());
    batch_ = {.N = static_cast<int64_t>(token_.host().size()),
              .token = token_.send(stream),
              .position = position_.send(stream),
              .slot = slot_.send(stream),
              .sequences = {.query_offset = query_offset_.send(stream),
                            .context = context_.send(stream),
                            .block_table = table_.send(stream),
                            .S = num_sequences,
                            .blocks_max = blocks_max,
                            .context_max = context_max},
              .num_logits = static_cast<int64_t>(logit_rows_.host().size()),
              .logit_rows = logit_rows_.send(stream)};
  }

  // Appends the sampled tokens, forks prompts and ends what is finished.
  void take_over(const SamplingOptions& sampling, Feed& feed) {
    std::deque<Sequence> next;
    size_t logit = 0;
    for (auto& sequence : running_) {
      sequence.num_cached += sequence.taken;
      const bool has_logits = sequence.taken > 0 && sequence.num_cached == sequence.tokens.size();
      sequence.taken = 0;
      if (!has_logits) {
        next.push_back(std::move(sequence));
        continue;
      }
      const int32_t forks = sequence.forks;
      for (int32_t fork = 0; fork < std::max(1, forks); ++fork, ++logit) {
        Sequence one;
        if (forks > 0) {
          one = sequence;
          one.sample = fork;
          one.forks = 0;
          for (int32_t block : one.blocks) pool_.share(block);
        } else {
          one = std::move(sequence);
        }
        auto& response = (*feed.results)[one.request][static_cast<size_t>(one.sample)];
        if (forks > 0 && take_begun(one, response, feed)) {
          next.push_back(std::move(one));
          continue;
        }
        const int32_t token = sampled_.host()[logit];
        one.tokens.push_back(token);
        if (response.spans.empty() || response.spans.back().num_updates != feed.num_updates) {
          response.spans.push_back(
              {static_cast<uint32_t>(response.tokens.size()), feed.num_updates});
        }
        response.tokens.push_back(token);
        response.logprobs.push_back(logprob_.host()[logit]);
        const auto& stops = sampling.stop_tokens;
        const bool is_stopped = std::find(stops.begin(), stops.end(), token) != stops.end();
        const bool is_long =
            static_cast<int64_t>(response.tokens.size()) >= sampling.max_response_tokens;
        if (is_stopped || is_long) {
          response.finish_reason = is_stopped ? FinishReason::kStop : FinishReason::kLength;
          release(one);
          feed.finish_one(one.request);
        } else {
          feed.goes_on(one.request, one.sample, response);
          next.push_back(std::move(one));
        }
      }
      if (forks > 0) release(sequence);
    }
    running_ = std::move(next);
  }

  // Of a sample that was begun before: its tokens are computed next, and not sampled.
  static bool take_begun(Sequence& sequence, Response& response, const Feed& feed) {
    const GroupRequest& request = feed.requests[sequence.request];
    if (request.begun.empty()) return false;
    const BegunResponse& begun = request.begun[static_cast<size_t>(sequence.sample)];
    if (begun.tokens.empty()) return false;
    sequence.tokens.insert(sequence.tokens.end(), begun.tokens.begin(), begun.tokens.end());
    response.tokens = begun.tokens;
    response.logprobs = begun.logprobs;
    response.spans = {{0, feed.num_updates}};
    return true;
  }

  const kernels::Backend& backend_;
  const TransformerConfig& config_;
  const Options& options_;
  const int64_t row_width_;
  const uint8_t element_bytes_;
  Transformer transformer_;
  BlockPool pool_;
  DeviceBuffer<char> cache_;
  const int64_t layer_stride_;
  HostAndDevice<int32_t> token_, position_, slot_, logit_rows_, query_offset_, context_, table_;
  HostAndDevice<SampleKey> key_;
  HostAndDevice<int32_t> sampled_;
  HostAndDevice<float> logprob_;
  TokenBatch batch_{};
  std::deque<Sequence> running_;  // Oldest first.
  std::deque<Sequence> waiting_;  // Evicted, oldest first.
};

Generator::Generator(Threads& threads, Options options) : threads_(threads), options_(options) {}
Generator::~Generator() = default;

Status Generator::check(const TransformerConfig& config, int num_threads, const Options& options) {
  const int64_t num_blocks =
      options.cache_bytes / num_threads / block_bytes(config, options.precision);
  // One block more than a sequence needs, for the copy of a shared one.
  const int64_t needed = blocks_for(options.context_max) + 1;
  if (num_blocks < needed) {
    const int64_t mb = (needed * block_bytes(config, options.precision) * num_threads >> 20) + 1;
    return invalid_argument("rollout.cache_mb holds " + std::to_string(num_blocks * kBlockTokens) +
                            " tokens per thread, fewer than one sequence of " +
                            std::to_string(options.context_max) + "; give it at least " +
                            std::to_string(mb));
  }
  return ok();
}

Result<std::unique_ptr<Generator>> Generator::create(const kernels::Backend& backend,
                                                     const TransformerConfig& config,
                                                     Threads& threads, Options options) {
  if (Status status = check(config, threads.count(), options); !status) return status.error();
  options.batch_tokens_max = std::max(options.batch_tokens_max, options.sequences_max);
  const int64_t num_blocks =
      options.cache_bytes / threads.count() / block_bytes(config, options.precision);
  // No more than every sequence at its longest.
  const int64_t useful = options.sequences_max * (blocks_for(options.context_max) + 1);
  std::unique_ptr<Generator> generator(new Generator(threads, options));
  for (int i = 0; i < threads.count(); ++i) {
    generator->engines_.push_back(std::make_unique<Engine>(backend, config, generator->options_,
                                                           std::min(num_blocks, useful)));
  }
  return generator;
}

std::vector<std::vector<Response>> Generator::generate(const PolicyWeights& weights,
                                                       std::span<const GroupRequest> requests,
                                                       const SamplingOptions& sampling,
                                                       const GenerationObserver& observer) {
  std::vector<std::vector<Response>> results(requests.size());
  Feed feed;
  feed.requests = requests;
  feed.results = &results;
  feed.observer = &observer;
  feed.unfinished = std::vector<std::atomic<int32_t>>(requests.size());
  feed.num_engines = static_cast<int64_t>(engines_.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    feed.unfinished[i] = requests[i].num_samples;
    feed.samples_left.fetch_add(requests[i].num_samples);
  }
  for (const auto& request : requests) {
    TROUPE_CHECK(!request.prompt.empty());
    TROUPE_CHECK(request.num_samples <= options_.sequences_max);
    TROUPE_CHECK(static_cast<int64_t>(request.prompt.size()) + sampling.max_response_tokens <=
                 options_.context_max);
    TROUPE_CHECK(request.begun.empty() ||
                 static_cast<int64_t>(request.begun.size()) == request.num_samples);
    for (const BegunResponse& begun : request.begun) {
      TROUPE_CHECK(static_cast<int64_t>(begun.tokens.size()) < sampling.max_response_tokens);
      TROUPE_CHECK(begun.logprobs.size() == begun.tokens.size());
    }
  }
  while (true) {
    threads_.run(static_cast<int64_t>(engines_.size()), [&](int64_t index, int thread) {
      // Only the calling thread reports.
      const bool reports = thread == 0 && observer.progressed;
      engines_[static_cast<size_t>(index)]->run(weights, sampling, feed,
                                                reports ? &observer.progressed : nullptr);
    });
    if (feed.is_stopping.load() || !feed.is_pausing.exchange(false)) break;
    observer.update();
    ++feed.num_updates;
    for (auto& engine : engines_) engine->forget_cache();
  }
  for (auto& engine : engines_) engine->abort_all(feed);
  for (size_t i = 0; i < requests.size(); ++i) {
    // What was begun has its responses, or has given them away.
    if (!results[i].empty() || feed.unfinished[i] == 0) continue;
    results[i].resize(static_cast<size_t>(requests[i].num_samples));
    for (auto& response : results[i]) response.finish_reason = FinishReason::kAborted;
  }
  return results;
}

Generator::Statistics Generator::statistics() const {
  Statistics all;
  for (const auto& engine : engines_) {
    all.tokens_computed += engine->statistics.tokens_computed;
    all.sequences_evicted += engine->statistics.sequences_evicted;
    all.tokens_repeated += engine->statistics.tokens_repeated;
    all.blocks_copied += engine->statistics.blocks_copied;
  }
  return all;
}

}  // namespace troupe::model
