// Where a measurement writes.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "schemas/result.h"

namespace troupe::cluster {

// In the folder for temporary files, and gone at the end.
class BenchFolder {
 public:
  static Result<std::unique_ptr<BenchFolder>> make();
  ~BenchFolder();
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  // Of which users may name files.
  std::string data() const { return file("data"); }

 private:
  explicit BenchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace troupe::cluster
