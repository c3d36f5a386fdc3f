// core/prim/load.h: arrays whose values come from bytes of a file, when they are asked for.
#pragma once

#include <memory>
#include <tuple>
#include <vector>

#include "core/io/file.h"
#include "core/prim/prim.h"

namespace mlx::core {

/** The elements at offset, as they are or with their bytes in reverse order. */
class Load final : public Prim<Load> {
 public:
  static constexpr const char* kName = "Load";
  static constexpr bool kFromShapes = true;
  Load(Stream stream, std::shared_ptr<const io::Bytes> bytes, size_t offset,
       bool swap_endianness = false)
      : Prim(stream), bytes_(std::move(bytes)), offset_(offset), swap_(swap_endianness) {}
  auto fields() const { return std::tie(bytes_, offset_, swap_); }
  const char* data() const { return bytes_->data() + offset_; }
  bool swap_endianness() const { return swap_; }

 private:
  std::shared_ptr<const io::Bytes> bytes_;
  size_t offset_;
  bool swap_;
};

/**
 * A GGUF tensor of blocks, of the type with this number in the file. Three outputs (packed words,
 * scales, biases) if the affine layout holds the type exactly, else one, float16.
 */
class LoadGguf final : public Prim<LoadGguf> {
 public:
  static constexpr const char* kName = "LoadGguf";
  static constexpr bool kFromShapes = true;
  LoadGguf(Stream stream, std::shared_ptr<const io::Bytes> bytes, size_t offset, uint32_t type,
           size_t blocks)
      : Prim(stream), bytes_(std::move(bytes)), offset_(offset), type_(type), blocks_(blocks) {}
  auto fields() const { return std::tie(bytes_, offset_, type_, blocks_); }
  const char* data() const { return bytes_->data() + offset_; }
  uint32_t type() const { return type_; }
  size_t blocks() const { return blocks_; }

 private:
  std::shared_ptr<const io::Bytes> bytes_;
  size_t offset_;
  uint32_t type_;
  size_t blocks_;
};

}  // namespace mlx::core
