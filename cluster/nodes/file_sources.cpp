#include "cluster/nodes/file_sources.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace troupe::cluster {

void FileSources::up(const std::string& node, CopySource source) {
  source.node = node;
  nodes_[node] = std::move(source);
}

void FileSources::gone(const std::string& node) {
  nodes_.erase(node);
  for (auto& [file, readers] : files_) readers.erase(node);
}

size_t FileSources::count_readers(const Readers& readers, const std::string& source) {
  return static_cast<size_t>(std::count_if(readers.begin(), readers.end(), [&](const auto& one) {
    return !one.second.has_it && one.second.source == source;
  }));
}

std::optional<size_t> FileSources::distance(const Readers& readers, std::string node,
                                            const std::string& without) {
  for (size_t steps = 0; steps <= readers.size(); ++steps) {
    if (node == without) return std::nullopt;
    const auto reader = readers.find(node);
    // The head is no reader.
    if (reader == readers.end() || reader->second.has_it) return steps;
    node = reader->second.source;
  }
  return std::nullopt;
}

CopySource FileSources::find(const std::string& node, const FileVersion& file,
                             const std::string& failed) {
  if (files_.size() >= options_.files_max && files_.count(file) == 0) forget_unread();
  Readers& readers = files_[file];
  std::set<std::string> all_failed = std::move(readers[node].failed);
  readers.erase(node);
  if (!failed.empty()) all_failed.insert(failed);

  // Who has it before the head before who does not have it yet; then the nearest to one that has,
  // the least busy.
  using Candidate = std::tuple<int, size_t, size_t, std::string>;
  const size_t of_head = count_readers(readers, "");
  std::optional<Candidate> best;
  if (of_head < options_.readers_max) best = Candidate{1, 0, of_head, ""};
  for (const auto& [other, reader] : readers) {
    if (nodes_.count(other) == 0 || all_failed.count(other) > 0) continue;
    const auto steps = distance(readers, other, node);
    if (!steps || (best && *best < Candidate{reader.has_it ? 0 : 2, *steps, 0, ""})) continue;
    const size_t busy = count_readers(readers, other);
    if (busy >= options_.readers_max) continue;
    const Candidate candidate{reader.has_it ? 0 : 2, *steps, busy, other};
    if (!best || candidate < *best) best = candidate;
  }
  // A busy head is better than nobody.
  const std::string source = best ? std::get<3>(*best) : "";
  readers[node] = {.source = source, .failed = std::move(all_failed)};
  return source.empty() ? CopySource{} : nodes_.at(source);
}

void FileSources::has(const std::string& node, const FileVersion& file) {
  if (nodes_.count(node) == 0) return;
  if (files_.size() >= options_.files_max && files_.count(file) == 0) forget_unread();
  files_[file][node] = {.has_it = true};
}

void FileSources::dropped(const std::string& path) {
  std::erase_if(files_, [&](const auto& one) {
    const std::string& of = one.first.path;
    return of.compare(0, path.size(), path) == 0 &&
           (of.size() == path.size() || of[path.size()] == '/');
  });
}

void FileSources::forget_unread() {
  std::erase_if(files_, [](const auto& one) {
    return std::all_of(one.second.begin(), one.second.end(),
                       [](const auto& reader) { return reader.second.has_it; });
  });
  // Somebody reads each of them: they are told of the head alone from now on.
  if (files_.size() >= options_.files_max) files_.erase(files_.begin());
}

}  // namespace troupe::cluster
