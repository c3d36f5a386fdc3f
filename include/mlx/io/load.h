// include/mlx/io/load.h: where arrays are read from and written to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ios>
#include <memory>
#include <string>

namespace mlx::core::io {

/** A source of bytes with a position. Failures throw std::runtime_error. */
class Reader {
 public:
  virtual bool is_open() const = 0;
  virtual bool good() const = 0;
  virtual size_t tell() = 0;
  virtual void seek(int64_t off, std::ios_base::seekdir way = std::ios_base::beg) = 0;
  /** Exactly n bytes from the position, which moves on. */
  virtual void read(char* data, size_t n) = 0;
  /** Exactly n bytes from offset; the position is not used. */
  virtual void read(char* data, size_t n, size_t offset) = 0;
  virtual std::string label() const = 0;
  virtual ~Reader() = default;
};

/** A sink of bytes. Failures throw std::runtime_error. */
class Writer {
 public:
  virtual bool is_open() const = 0;
  virtual bool good() const = 0;
  virtual size_t tell() = 0;
  virtual void seek(int64_t off, std::ios_base::seekdir way = std::ios_base::beg) = 0;
  virtual void write(const char* data, size_t n) = 0;
  virtual std::string label() const = 0;
  virtual void open() {}
  virtual ~Writer() = default;
};

/** A file; reads at an offset may run on several threads. */
class ParallelFileReader : public Reader {
 public:
  explicit ParallelFileReader(std::string file_path);
  ~ParallelFileReader() override;
  ParallelFileReader(const ParallelFileReader&) = delete;
  ParallelFileReader& operator=(const ParallelFileReader&) = delete;

  bool is_open() const override { return fd_ >= 0; }
  bool good() const override { return is_open(); }
  size_t tell() override;
  void seek(int64_t off, std::ios_base::seekdir way = std::ios_base::beg) override;
  void read(char* data, size_t n) override;
  void read(char* data, size_t n, size_t offset) override;
  std::string label() const override { return "file " + label_; }

 private:
  int fd_;
  std::string label_;
};

/** A file, written from its start; what it held before is gone once it is open. */
class FileWriter : public Writer {
 public:
  explicit FileWriter() {}
  explicit FileWriter(std::string file_path);
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;
  FileWriter(FileWriter&& other);
  ~FileWriter() override;

  void open() override;
  bool is_open() const override { return fd_ >= 0; }
  bool good() const override { return is_open(); }
  size_t tell() override;
  void seek(int64_t off, std::ios_base::seekdir way = std::ios_base::beg) override;
  void write(const char* data, size_t n) override;
  std::string label() const override { return "file " + label_; }

 private:
  int fd_ = -1;
  std::string label_;
};

}  // namespace mlx::core::io
