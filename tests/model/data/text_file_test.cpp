#include "model/data/text_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include <fstream>
#include <thread>
#include <vector>

#include "tests/support/temp_dir.h"

namespace troupe::model {
namespace {

std::string gzip(std::string_view text) {
  std::string out(text.size() + 1000, '\0');
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);  // As the program zstd does.
  const size_t size = ZSTD_compress2(context, out.data(), out.size(), text.data(), text.size());
  ZSTD_freeCCtx(context);
  REQUIRE(!ZSTD_isError(size));
  out.resize(size);
  return out;
}

struct Folder {
  tests::TempDir dir{};
  std::string write(const std::string& name, std::string_view bytes) const {
    std::ofstream(dir.file(name), std::ios::binary) << bytes;
    return dir.file(name);
  }
};

Result<std::string> read_all(const std::string& path) {
  auto file = TextFile::open(path);
  if (!file) return file.error();
  std::string all;
  while (true) {
    auto bytes = file->next();
    if (!bytes) return bytes.error();
    if (bytes->empty()) return all;
    all += *bytes;
  }
}

std::string long_text() {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += std::to_string(i * 7919 % 100'003) + "\n";
  return text;
}

TEST_CASE("text file: plain, gzip and zstd give the same text, whatever the file is called") {
  const Folder folder;
  const std::string text = long_text();
  CHECK(*read_all(folder.write("a.jsonl", text)) == text);
  CHECK(*read_all(folder.write("b.jsonl", gzip(text))) == text);
  CHECK(*read_all(folder.write("c.gz", zstd(text))) == text);
  CHECK(*read_all(folder.write("d.zst", text)) == text);
  // One behind the other, as pigz and zstd -T write.
  CHECK(*read_all(folder.write("e", gzip("a\n") + gzip("") + gzip(text))) == "a\n" + text);
  CHECK(*read_all(folder.write("f", zstd(text) + zstd("z"))) == text + "z");
  // pzstd writes a frame without data before each.
  const std::string skipped("\x50\x2A\x4D\x18\x04\0\0\0abcd", 12);
  CHECK(*read_all(folder.write("i", skipped + zstd(text) + skipped + zstd("z"))) == text + "z");
  CHECK(*read_all(folder.write("g", "")) == "");
  CHECK(*read_all(folder.write("h", gzip(""))) == "");
}

TEST_CASE("text file: a mark of UTF-8 is left out, once") {
  const Folder folder;
  CHECK(*read_all(folder.write("a", "\xEF\xBB\xBF\xEF\xBB\xBF{}")) == "\xEF\xBB\xBF{}");
  CHECK(*read_all(folder.write("b", gzip("\xEF\xBB\xBF{}"))) == "{}");
  CHECK(*read_all(folder.write("c", "\xEF\xBB\xBF")) == "");
}

TEST_CASE("text file: damaged and cut data are refused, at every length") {
  const Folder folder;
  for (const std::string& whole : {gzip(long_text()), zstd(long_text())}) {
    for (size_t size = 5; size < whole.size(); size += whole.size() / 40) {
      CAPTURE(size);
      const auto read = read_all(folder.write("cut", whole.substr(0, size)));
      REQUIRE(!read);
      CHECK(read.error().message.find("ends in the middle") != std::string::npos);
    }
    std::string damaged = whole;
    for (size_t at = whole.size() / 2; at < whole.size() / 2 + 8; ++at) damaged[at] ^= 0x55;
    const auto read = read_all(folder.write("damaged", damaged));
    REQUIRE(!read);
    CHECK(read.error().message.find("damaged") != std::string::npos);
  }
}

TEST_CASE("text file: what is no text is refused with what to do") {
  const Folder folder;
  const auto refusal = [&](const std::string& name, std::string_view bytes) {
    const auto read = read_all(folder.write(name, bytes));
    REQUIRE(!read);
    CHECK(read.error().code == ErrorCode::kInvalidArgument);
    REQUIRE(read.error().message.starts_with(folder.dir.file(name) + ": "));
    return read.error().message.substr(folder.dir.file(name).size() + 2);
  };
  CHECK(refusal("train.parquet", "PAR1\x15\x04") ==
        "is a Parquet file; convert it: python3 -c \"import pandas; pandas.read_parquet('" +
            folder.dir.file("train.parquet") + "').to_json('" + folder.dir.file("train.jsonl") +
            "', orient='records', lines=True)\"");
  // A name that would end the command's text early stays out of it.
  CHECK(refusal("a'b.parquet", "PAR1").find("read_parquet('x.parquet')") != std::string::npos);
  CHECK(refusal("a.arrow", "ARROW1").find("read_feather") != std::string::npos);
  CHECK(refusal("a.zip", "PK\x03\x04").find("unzip") != std::string::npos);
  CHECK(refusal("a.xz", std::string_view("\xFD"
                                         "7zXZ\0",
                                         6))
            .find("xz -dk") != std::string::npos);
  CHECK(refusal("a.bz2", "BZh9").find("bzip2 -dk") != std::string::npos);
  CHECK(refusal("a.txt", "\xFF\xFE{\0").find("iconv -f UTF-16") != std::string::npos);
  CHECK(refusal("a.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:a\n")
            .find("git lfs pull") != std::string::npos);
  CHECK(refusal("b.jsonl", "<!DOCTYPE html>\n").find("is a web page") != std::string::npos);
  CHECK(read_all(folder.dir.file("none")).error().message ==
        folder.dir.file("none") + ": no such file");
  CHECK(read_all(folder.dir.path()).error().message ==
        folder.dir.path() + ": is a folder, not a file");
}

TEST_CASE("text file: a pipe will do") {
  const Folder folder;
  const std::string path = folder.dir.file("pipe"), text = long_text();
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  std::thread writer([&] { std::ofstream(path, std::ios::binary) << gzip(text); });
  const auto read = read_all(path);
  writer.join();
  REQUIRE(read);
  CHECK(*read == text);
}

}  // namespace
}  // namespace troupe::model
