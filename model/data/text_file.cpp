#include "model/data/text_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

namespace troupe::model {
namespace {

constexpr size_t kReadBytes = 1 << 18;

// A path in a command that is to be pasted; one that a shell or Python reads otherwise stays out.
std::string for_a_shell(const std::string& path, const char* instead) {
  return path.find_first_of("'\"\\$`\n ") == std::string::npos ? path : instead;
}

// What to do about a file that is no text; empty: it may be one.
std::string refusal(std::string_view begin, const std::string& path) {
  const auto is = [&](std::string_view magic) { return begin.starts_with(magic); };
  if (is("PAR1") || is("ARROW1") || is("FEA1")) {
    const std::filesystem::path from = for_a_shell(path, "x.parquet");
    std::filesystem::path to = from;
    to.replace_extension(".jsonl");
    return fmt::format(
        "is {} file; convert it: python3 -c \"import pandas; pandas.read_{}('{}').to_json('{}', "
        "orient='records', lines=True)\"",
        is("PAR1") ? "a Parquet" : "an Arrow", is("PAR1") ? "parquet" : "feather", from.string(),
        to.string());
  }
  if (is("PK\x03\x04")) {
    return fmt::format("is a zip archive; unpack it: unzip {}", for_a_shell(path, "x.zip"));
  }
  if (is(std::string_view("\xFD"
                          "7zXZ",
                          5))) {
    return fmt::format("is compressed with xz; unpack it: xz -dk {}", for_a_shell(path, "x.xz"));
  }
  if (is("BZh")) {
    return fmt::format("is compressed with bzip2; unpack it: bzip2 -dk {}",
                       for_a_shell(path, "x.bz2"));
  }
  if (is("\xFF\xFE") || is("\xFE\xFF")) {
    return fmt::format("is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 {} > x.jsonl",
                       for_a_shell(path, "FILE"));
  }
  if (is("version https://g")) {
    return "is the pointer of Git LFS, not the file itself; fetch it: git lfs pull";
  }
  if (is("<!DOCTYPE") || is("<!doctype") || is("<html")) {
    return "is a web page; fetch the file itself";
  }
  if (is("SQLite format 3")) return "is an SQLite data base; export its table as JSON lines";
  return {};
}

// The file's own bytes. Reading goes on where a signal interrupts it.
class Descriptor {
 public:
  Descriptor(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(fd_); }

  const std::string& path() const { return path_; }

  // Looks at the first bytes without taking them: at least `size` where the file has them.
  Result<std::string_view> peek(size_t size) {
    while (held_.size() < size) {
      auto more = read_some();
      if (!more) return more.error();
      if (*more == 0) break;
    }
    return std::string_view(held_.data(), held_.size());
  }

  Result<std::string_view> next() {
    if (is_taken_) held_.clear();
    if (held_.empty()) {
      auto more = read_some();
      if (!more) return more.error();
    }
    is_taken_ = true;
    return std::string_view(held_.data(), held_.size());
  }

  Error error(std::string_view what) const {
    return invalid_argument(fmt::format("{}: {}", path_, what));
  }

 private:
  Result<size_t> read_some() {
    const size_t size = held_.size();
    held_.resize(size + kReadBytes);
    ssize_t got = 0;
    do {
      got = read(fd_, held_.data() + size, kReadBytes);
    } while (got < 0 && errno == EINTR);
    held_.resize(size + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) return error(fmt::format("reading failed: {}", std::strerror(errno)));
    return static_cast<size_t>(got);
  }

  std::string path_;
  int fd_;
  std::vector<char> held_{};
  bool is_taken_ = false;
};

}  // namespace

class TextFile::Decoder {
 public:
  explicit Decoder(std::unique_ptr<Descriptor> file) : file_(std::move(file)) {}
  virtual ~Decoder() = default;
  virtual Result<std::string_view> next() = 0;
  Error error(std::string_view what) const { return file_->error(what); }

 protected:
  // Whether all of the file has been taken; otherwise `input_` has some of it.
  Result<bool> is_input_at_end() {
    if (!input_.empty()) return false;
    auto more = file_->next();
    if (!more) return more.error();
    input_ = *more;
    return input_.empty();
  }

  std::unique_ptr<Descriptor> file_;
  std::string_view input_{};
};

class TextFile::Plain final : public Decoder {
 public:
  using Decoder::Decoder;
  Result<std::string_view> next() override { return file_->next(); }
};

class TextFile::Gzip final : public Decoder {
 public:
  explicit Gzip(std::unique_ptr<Descriptor> file) : Decoder(std::move(file)), out_(kReadBytes) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    is_open_ = inflateInit2(&stream_, kGzipOnly) == Z_OK;
  }
  ~Gzip() override {
    if (is_open_) inflateEnd(&stream_);
  }

  Result<std::string_view> next() override {
    if (!is_open_) return error("there is no memory to unpack it");
    while (true) {
      auto is_at_end = is_input_at_end();
      if (!is_at_end) return is_at_end.error();
      if (*is_at_end && !is_in_member_) return std::string_view();
      if (*is_at_end) return error("the gzip data ends in the middle; fetch the file again");
      // A file may be several compressed ones, one behind the other.
      if (!is_in_member_) inflateReset(&stream_);
      is_in_member_ = true;
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input_.data()));
      stream_.avail_in = static_cast<uInt>(input_.size());
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
      stream_.avail_out = static_cast<uInt>(out_.size());
      const int result = inflate(&stream_, Z_NO_FLUSH);
      input_.remove_prefix(input_.size() - stream_.avail_in);
      if (result == Z_STREAM_END) is_in_member_ = false;
      if (result != Z_STREAM_END && result != Z_OK && result != Z_BUF_ERROR) {
        return error("the gzip data is damaged; fetch the file again");
      }
      const size_t made = out_.size() - stream_.avail_out;
      if (made > 0) return std::string_view(out_.data(), made);
    }
  }

 private:
  z_stream stream_{};
  bool is_open_ = false;
  bool is_in_member_ = false;
  std::vector<char> out_;
};

class TextFile::Zstd final : public Decoder {
 public:
  explicit Zstd(std::unique_ptr<Descriptor> file)
      : Decoder(std::move(file)), stream_(ZSTD_createDStream()), out_(kReadBytes) {}
  ~Zstd() override { ZSTD_freeDStream(stream_); }

  Result<std::string_view> next() override {
    if (stream_ == nullptr) return error("there is no memory to unpack it");
    while (true) {
      auto is_at_end = is_input_at_end();
      if (!is_at_end) return is_at_end.error();
      // What is in the decoder's own buffer may still come out.
      if (*is_at_end && !is_full_) {
        if (!is_in_frame_) return std::string_view();
        return error("the zstd data ends in the middle; fetch the file again");
      }
      ZSTD_inBuffer in{input_.data(), input_.size(), 0};
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      const size_t hint = ZSTD_decompressStream(stream_, &out, &in);
      if (ZSTD_isError(hint)) return error("the zstd data is damaged; fetch the file again");
      input_.remove_prefix(in.pos);
      is_in_frame_ = hint != 0;
      is_full_ = out.pos == out.size;
      if (out.pos > 0) return std::string_view(out_.data(), out.pos);
    }
  }

 private:
  ZSTD_DStream* stream_;
  bool is_in_frame_ = false;
  bool is_full_ = false;
  std::vector<char> out_;
};

TextFile::TextFile(std::unique_ptr<Decoder> decoder) : decoder_(std::move(decoder)) {}
TextFile::TextFile(TextFile&&) noexcept = default;
TextFile& TextFile::operator=(TextFile&&) noexcept = default;
TextFile::~TextFile() = default;

Result<TextFile> TextFile::open(const std::string& path) {
  const auto failed = [&](std::string_view what) {
    return invalid_argument(fmt::format("{}: {}", path, what));
  };
  std::error_code ignored;
  if (path.empty()) return invalid_argument("the name of the data file is empty");
  if (!std::filesystem::exists(path, ignored)) return failed("no such file");
  if (std::filesystem::is_directory(path, ignored)) return failed("is a folder, not a file");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed(fmt::format("cannot be opened for reading: {}", std::strerror(errno)));
  auto file = std::make_unique<Descriptor>(path, fd);
  auto begin = file->peek(32);
  if (!begin) return begin.error();
  if (const std::string what = refusal(*begin, path); !what.empty()) return failed(what);
  const bool is_gzip = begin->starts_with("\x1F\x8B");
  // Parallel compressors begin with a frame that has no data.
  const bool is_skipped = begin->size() >= 4 && ((*begin)[0] & 0xF0) == 0x50 &&
                          begin->substr(1).starts_with("\x2A\x4D\x18");
  const bool is_zstd = is_skipped || begin->starts_with("\x28\xB5\x2F\xFD");
  if (is_gzip) return TextFile(std::make_unique<Gzip>(std::move(file)));
  if (is_zstd) return TextFile(std::make_unique<Zstd>(std::move(file)));
  return TextFile(std::make_unique<Plain>(std::move(file)));
}

Result<std::string_view> TextFile::next() {
  auto bytes = decoder_->next();
  if (!bytes) return bytes;
  bytes_ += bytes->size();
  if (bytes_ > kBytesMax) {
    return decoder_->error(fmt::format("is longer than {} bytes; split it", kBytesMax));
  }
  // The first piece has the mark whole: files and decoders give more than three bytes at once,
  // where there are more.
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  if (std::exchange(is_first_, false) && bytes->starts_with(kMark)) {
    bytes->remove_prefix(kMark.size());
    if (bytes->empty()) return decoder_->next();
  }
  return bytes;
}

}  // namespace troupe::model
