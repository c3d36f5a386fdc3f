// core/io/file.cpp: mapping, reading and writing files.
#include "core/io/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "core/prim/load.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"

namespace mlx::core::io {

namespace {

std::string reason() { return std::strerror(errno); }

/** Closes a descriptor when it goes. */
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

void write_all(int fd, const char* data, size_t n, const std::string& label) {
  while (n > 0) {
    ssize_t m = ::write(fd, data, std::min(n, size_t(1) << 30));
    if (m < 0 && errno == EINTR) continue;
    if (m < 0) throw std::runtime_error("[write] Unable to write to " + label + ": " + reason());
    data += m;
    n -= m;
  }
}

int open_for_writing(const std::string& path, int flags) {
  return ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | flags, 0666);
}

}  // namespace

std::shared_ptr<const Bytes> Bytes::of(std::string owned) {
  std::shared_ptr<Bytes> bytes(new Bytes);
  bytes->owned_ = std::move(owned);
  bytes->data_ = bytes->owned_.data();
  bytes->size_ = bytes->owned_.size();
  return bytes;
}

std::shared_ptr<const Bytes> Bytes::of_file(const std::string& path, const std::string& tag) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) throw std::runtime_error(tag + "Failed to open file " + path + ": " + reason());
  struct stat info;
  if (::fstat(file.fd, &info) != 0) {
    throw std::runtime_error(tag + "Failed to open file " + path + ": " + reason());
  }
  if (S_ISDIR(info.st_mode)) {
    throw std::runtime_error(tag + "Failed to open file " + path + ": it is a directory");
  }
  if (auto bytes = mapped(file.fd)) return bytes;
  std::string all;
  char block[1 << 16];
  for (;;) {
    ssize_t n = ::read(file.fd, block, sizeof(block));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw std::runtime_error(tag + "Failed to read file " + path + ": " + reason());
    if (n == 0) break;
    all.append(block, n);
  }
  return of(std::move(all));
}

std::shared_ptr<const Bytes> Bytes::mapped(int fd) {
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= 0) return nullptr;
  // Writable for this process alone: who writes through a view of such an array changes a private
  // copy of the page, never the file.
  void* p =
      ::mmap(nullptr, info.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
  if (p == MAP_FAILED) return nullptr;
  std::shared_ptr<Bytes> bytes(new Bytes);
  bytes->data_ = static_cast<const char*>(p);
  bytes->size_ = info.st_size;
  bytes->mapped_ = true;
  return bytes;
}

void BytesReader::seek(int64_t off, std::ios_base::seekdir way) {
  const int64_t from = way == std::ios_base::beg   ? 0
                       : way == std::ios_base::cur ? int64_t(position_)
                                                   : int64_t(bytes_->size());
  if (from + off < 0) throw std::runtime_error("[read] Unable to seek in " + label_ + ".");
  position_ = from + off;
}

void BytesReader::read(char* data, size_t n) {
  read(data, n, position_);
  position_ += n;
}

void BytesReader::read(char* data, size_t n, size_t offset) {
  if (offset > bytes_->size() || n > bytes_->size() - offset) {
    throw std::runtime_error("[read] Unable to read " + std::to_string(n) + " bytes from " +
                             label_ + ".");
  }
  std::memcpy(data, bytes_->data() + offset, n);
}

Bytes::~Bytes() {
  if (mapped_) ::munmap(const_cast<char*>(data_), size_);
}

array array_at(const std::shared_ptr<const Bytes>& bytes, size_t offset, const Shape& shape,
               Dtype dtype, bool swap_bytes, StreamOrDevice s) {
  const char* p = bytes->data() + offset;
  // A bool must hold 0 or 1, whatever the file says.
  bool plain = dtype != bool_ && (!swap_bytes || dtype.size() == 1);
  if (num_elements(shape) == 0) return zeros(shape, dtype, s);
  size_t alignment = dtype == complex64 ? 4 : dtype.size();
  if (plain && reinterpret_cast<uintptr_t>(p) % alignment == 0) {
    return array(const_cast<char*>(p), shape, dtype, [bytes](void*) {});
  }
  return array(shape, dtype, std::make_shared<Load>(to_stream(s), bytes, offset, swap_bytes), {});
}

std::string quoted(const std::string& text) {
  constexpr size_t kLongest = 120;
  std::string out;
  out.append(1, '\'').append(text, 0, kLongest).append(text.size() > kLongest ? "...'" : "'");
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out;
}

array evaluated(const array& a) {
  array out = contiguous(a);
  out.eval();
  return out;
}

void write_atomically(const std::string& path, const std::string& tag,
                      const std::function<void(Writer&)>& write) {
  static std::atomic<unsigned> counter{0};
  struct stat info;
  bool exists = ::stat(path.c_str(), &info) == 0;
  if (exists && !S_ISREG(info.st_mode)) {  // a device, a pipe: nothing to keep whole
    FileWriter writer(path);
    return write(writer);
  }
  // A link stays a link; the file it names is replaced.
  std::string target = path;
  if (exists) {
    if (char* real = ::realpath(path.c_str(), nullptr)) {
      target = real;
      std::free(real);
    }
  }
  size_t slash = target.rfind('/');
  std::string folder = slash == std::string::npos ? "" : target.substr(0, slash + 1);
  std::string temporary = folder + "." + target.substr(folder.size()) + "." +
                          std::to_string(::getpid()) + "." + std::to_string(counter++) + ".tmp";
  int fd = open_for_writing(temporary, O_EXCL);
  if (fd < 0) throw std::runtime_error(tag + "Failed to open file " + path + ": " + reason());
  if (exists) (void)!::fchmod(fd, info.st_mode & 07777);
  ::close(fd);
  try {
    {
      FileWriter writer(temporary);
      write(writer);
    }
    if (::rename(temporary.c_str(), target.c_str()) != 0) {
      throw std::runtime_error(tag + "Failed to replace file " + path + ": " + reason());
    }
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

ParallelFileReader::ParallelFileReader(std::string file_path)
    : fd_(::open(file_path.c_str(), O_RDONLY | O_CLOEXEC)), label_(std::move(file_path)) {}

ParallelFileReader::~ParallelFileReader() {
  if (fd_ >= 0) ::close(fd_);
}

size_t ParallelFileReader::tell() { return ::lseek(fd_, 0, SEEK_CUR); }

void ParallelFileReader::seek(int64_t off, std::ios_base::seekdir way) {
  int whence = way == std::ios_base::beg   ? SEEK_SET
               : way == std::ios_base::cur ? SEEK_CUR
                                           : SEEK_END;
  if (::lseek(fd_, off, whence) < 0) {
    throw std::runtime_error("[read] Unable to seek in " + label() + ": " + reason());
  }
}

void ParallelFileReader::read(char* data, size_t n) {
  size_t at = tell();
  read(data, n, at);
  seek(static_cast<int64_t>(at + n));
}

void ParallelFileReader::read(char* data, size_t n, size_t offset) {
  while (n > 0) {
    ssize_t m = ::pread(fd_, data, std::min(n, size_t(1) << 30), static_cast<off_t>(offset));
    if (m < 0 && errno == EINTR) continue;
    if (m <= 0) {
      throw std::runtime_error("[read] Unable to read " + std::to_string(n) + " bytes from " +
                               label() + (m < 0 ? ": " + reason() : "."));
    }
    data += m;
    offset += m;
    n -= m;
  }
}

FileWriter::FileWriter(std::string file_path) : label_(std::move(file_path)) { open(); }

FileWriter::FileWriter(FileWriter&& other) : fd_(other.fd_), label_(std::move(other.label_)) {
  other.fd_ = -1;
}

FileWriter::~FileWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void FileWriter::open() {
  if (fd_ >= 0 || label_.empty()) return;
  fd_ = open_for_writing(label_, O_TRUNC);
  if (fd_ < 0) throw std::runtime_error("[write] Failed to open " + label() + ": " + reason());
}

size_t FileWriter::tell() { return ::lseek(fd_, 0, SEEK_CUR); }

void FileWriter::seek(int64_t off, std::ios_base::seekdir way) {
  int whence = way == std::ios_base::beg   ? SEEK_SET
               : way == std::ios_base::cur ? SEEK_CUR
                                           : SEEK_END;
  if (::lseek(fd_, off, whence) < 0) {
    throw std::runtime_error("[write] Unable to seek in " + label() + ": " + reason());
  }
}

void FileWriter::write(const char* data, size_t n) { write_all(fd_, data, n, label()); }

}  // namespace mlx::core::io
