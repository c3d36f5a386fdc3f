// core/io/file.h: files as mapped bytes, checked reading of them, and atomic writing.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "mlx/array.h"
#include "mlx/io/load.h"
#include "mlx/utils.h"

namespace mlx::core::io {

/** The bytes of a file: a private mapping, or a copy where that cannot be made. */
class Bytes {
 public:
  /** Throws std::runtime_error starting with tag if the file cannot be read. */
  static std::shared_ptr<const Bytes> of_file(const std::string& path, const std::string& tag);
  /** The file open as fd, which stays the caller's. None if it can't be mapped. */
  static std::shared_ptr<const Bytes> mapped(int fd);
  /** All that reader has from its position on, which moves past it. */
  static std::shared_ptr<const Bytes> of(std::string owned);
  ~Bytes();
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  const char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  Bytes() = default;
  const char* data_ = nullptr;
  size_t size_ = 0;
  bool mapped_ = false;
  std::string owned_;
};

/** Reads bytes that are there already: loading from it copies nothing. */
class BytesReader final : public Reader {
 public:
  BytesReader(std::shared_ptr<const Bytes> bytes, size_t position, std::string label)
      : bytes_(std::move(bytes)), position_(position), label_(std::move(label)) {}
  bool is_open() const override { return true; }
  bool good() const override { return true; }
  size_t tell() override { return position_; }
  void seek(int64_t off, std::ios_base::seekdir way = std::ios_base::beg) override;
  void read(char* data, size_t n) override;
  void read(char* data, size_t n, size_t offset) override;
  std::string label() const override { return label_; }
  const std::shared_ptr<const Bytes>& bytes() const { return bytes_; }

 private:
  std::shared_ptr<const Bytes> bytes_;
  size_t position_;
  std::string label_;
};

/** Takes values from bytes; running over the end throws std::runtime_error(tag + what was read). */
class Cursor {
 public:
  Cursor(const char* data, size_t size, std::string tag)
      : data_(data), size_(size), tag_(std::move(tag)) {}

  size_t position() const { return pos_; }
  size_t left() const { return size_ - pos_; }
  const char* take(size_t n, const char* what) {
    if (n > left()) {
      throw std::runtime_error(tag_ + "The file ends inside " + what + ": " + std::to_string(n) +
                               " bytes wanted at byte " + std::to_string(pos_) + ", " +
                               std::to_string(left()) + " left.");
    }
    const char* p = data_ + pos_;
    pos_ += n;
    return p;
  }
  template <typename T>
  T value(const char* what) {
    T v;
    std::memcpy(&v, take(sizeof(T), what), sizeof(T));
    return v;
  }

 private:
  const char* data_;
  size_t size_;
  size_t pos_ = 0;
  std::string tag_;
};

/**
 * The array of this shape whose elements lie at offset, which the caller has checked to be inside:
 * memory of the mapping itself where alignment and byte order allow, else a lazy copy on stream s.
 */
array array_at(const std::shared_ptr<const Bytes>& bytes, size_t offset, const Shape& shape,
               Dtype dtype, bool swap_bytes, StreamOrDevice s);

/** Calls write with a writer whose bytes become the file `path` when it returns; an exception
 * leaves what was there. */
void write_atomically(const std::string& path, const std::string& tag,
                      const std::function<void(Writer&)>& write);

/** Text of a file as error messages can show it: in quotes, printable, not too long. */
std::string quoted(const std::string& text);

/** The value in row-major memory. */
array evaluated(const array& a);

}  // namespace mlx::core::io
