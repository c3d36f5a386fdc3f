// core/io/gguf.cpp: llama.cpp's container: typed metadata, tensor directory, aligned tensor data.
#include <algorithm>
#include <numeric>
#include <set>

#include "core/io/file.h"
#include "core/prim/load.h"
#include "mlx/io.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

constexpr const char* kTag = "[load_gguf] ";
constexpr uint32_t kVersion = 3;
constexpr uint64_t kAlignment = 32;  // of tensor data, unless the metadata says otherwise

[[noreturn]] void fail(const std::string& text) { throw std::runtime_error(kTag + text); }

// ---- Metadata values

enum Type : uint32_t {
  U8,
  I8,
  U16,
  I16,
  U32,
  I32,
  F32,
  Bool,
  String,
  Array,
  U64,
  I64,
  F64,
  kTypes
};

struct TypeInfo {
  uint32_t bytes;
  Dtype dtype;  // of the array that holds such values
};
constexpr TypeInfo kTypeInfo[kTypes] = {
    {1, uint8}, {1, int8},  {2, uint16}, {2, int16},  {4, uint32}, {4, int32},  {4, float32},
    {1, bool_}, {8, bool_}, {12, bool_}, {8, uint64}, {8, int64},  {8, float32}};

std::string read_string(io::Cursor& in) {
  auto n = in.value<uint64_t>("a string");
  return std::string(in.take(n, "a string"), n);
}

/** count numbers of the type as an array of this shape. */
array read_numbers(io::Cursor& in, Type type, size_t count, const Shape& shape) {
  const TypeInfo& info = kTypeInfo[type];
  if (count > in.left() / info.bytes) fail("The file ends inside the metadata.");
  const char* p = in.take(count * info.bytes, "the metadata");
  auto data = allocator::malloc(count * info.dtype.size());
  auto* out = static_cast<char*>(data.buffer().raw_ptr());
  if (type == Bool) {
    for (size_t i = 0; i < count; ++i) out[i] = p[i] != 0;
  } else if (type == F64) {
    for (size_t i = 0; i < count; ++i) {
      double v;
      std::memcpy(&v, p + 8 * i, 8);
      reinterpret_cast<float*>(out)[i] = static_cast<float>(v);
    }
  } else if (count > 0) {
    std::memcpy(out, p, count * info.bytes);
  }
  return array(std::move(data), shape, info.dtype);
}

GGUFMetaData read_value(io::Cursor& in, uint32_t type, const std::string& key);

GGUFMetaData read_array(io::Cursor& in, const std::string& key, int depth = 0) {
  auto type = in.value<uint32_t>("the metadata");
  auto count = in.value<uint64_t>("the metadata");
  if (type >= kTypes)
    fail("Metadata " + io::quoted(key) + " has the unknown type " + std::to_string(type) + ".");
  // Every element takes at least the bytes of its type: a count beyond that is refused at once.
  if (count > in.left() / kTypeInfo[type].bytes)
    fail("The file ends inside metadata " + io::quoted(key) + ".");
  if (type == String) {
    std::vector<std::string> strings;
    for (uint64_t i = 0; i < count; ++i) strings.push_back(read_string(in));
    return strings;
  }
  if (type == Array) {  // arrays of arrays have no place in the result; they are read past
    if (depth > 8) fail("Metadata " + io::quoted(key) + " is nested too deeply.");
    for (uint64_t i = 0; i < count; ++i) read_array(in, key, depth + 1);
    return std::monostate{};
  }
  if (count > INT32_MAX) fail("Metadata " + io::quoted(key) + " is too large.");
  return read_numbers(in, static_cast<Type>(type), count, {static_cast<ShapeElem>(count)});
}

GGUFMetaData read_value(io::Cursor& in, uint32_t type, const std::string& key) {
  if (type >= kTypes)
    fail("Metadata " + io::quoted(key) + " has the unknown type " + std::to_string(type) + ".");
  if (type == String) return read_string(in);
  if (type == Array) return read_array(in, key);
  return read_numbers(in, static_cast<Type>(type), 1, {});
}

// ---- Tensors

/** A type of tensor elements: a block of `values` elements takes `bytes`. */
struct TensorType {
  uint32_t number;
  const char* name;
  uint32_t values;
  uint32_t bytes;
  const Dtype* dtype;  // null: blocks with scales
  int affine_bits;     // of the packed form that is exact, or 0
};
constexpr TensorType kTensorTypes[] = {
    {0, "F32", 1, 4, &float32, 0},      {1, "F16", 1, 2, &float16, 0},
    {2, "Q4_0", 32, 18, nullptr, 4},    {3, "Q4_1", 32, 20, nullptr, 4},
    {6, "Q5_0", 32, 22, nullptr, 0},    {7, "Q5_1", 32, 24, nullptr, 0},
    {8, "Q8_0", 32, 34, nullptr, 8},    {10, "Q2_K", 256, 84, nullptr, 0},
    {11, "Q3_K", 256, 110, nullptr, 0}, {12, "Q4_K", 256, 144, nullptr, 0},
    {13, "Q5_K", 256, 176, nullptr, 0}, {14, "Q6_K", 256, 210, nullptr, 0},
    {24, "I8", 1, 1, &int8, 0},         {25, "I16", 1, 2, &int16, 0},
    {26, "I32", 1, 4, &int32, 0},       {27, "I64", 1, 8, &int64, 0},
    {28, "F64", 1, 8, &float64, 0},     {30, "BF16", 1, 2, &bfloat16, 0}};

struct Tensor {
  std::string name;
  Shape shape;
  const TensorType* type;
  uint64_t offset;  // from the start of the data
  uint64_t blocks;
};

Tensor read_tensor(io::Cursor& in) {
  Tensor t;
  t.name = read_string(in);
  auto ndim = in.value<uint32_t>("the tensor directory");
  if (ndim > 8)
    fail("Tensor " + io::quoted(t.name) + " has " + std::to_string(ndim) + " dimensions.");
  uint64_t elements = 1;
  for (uint32_t i = 0; i < ndim; ++i) {
    auto n = in.value<uint64_t>("the tensor directory");
    if (n > INT32_MAX || __builtin_mul_overflow(elements, n, &elements)) {
      fail("Tensor " + io::quoted(t.name) + " is too large.");
    }
    t.shape.insert(t.shape.begin(), static_cast<ShapeElem>(n));  // the file has the last axis first
  }
  auto number = in.value<uint32_t>("the tensor directory");
  t.offset = in.value<uint64_t>("the tensor directory");
  t.type = nullptr;
  for (const auto& type : kTensorTypes) {
    if (type.number == number) t.type = &type;
  }
  if (!t.type) {
    fail("Tensor " + io::quoted(t.name) + " has the type " + std::to_string(number) +
         ", which is not supported.");
  }
  if (t.type->values > 1 && (ndim == 0 || t.shape.back() % int(t.type->values) != 0)) {
    fail("Tensor " + io::quoted(t.name) + " of shape " + to_string(t.shape) +
         " does not consist of whole " + t.type->name + " blocks of " +
         std::to_string(t.type->values) + ".");
  }
  t.blocks = elements / t.type->values;
  return t;
}

void add_tensor(const Tensor& t, const std::shared_ptr<const io::Bytes>& bytes, size_t offset,
                std::unordered_map<std::string, array>& out, StreamOrDevice s) {
  auto put = [&](const std::string& name, const array& a) {
    if (!out.emplace(name, a).second) fail("Tensor " + io::quoted(name) + " occurs twice.");
  };
  if (t.type->dtype)
    return put(t.name, io::array_at(bytes, offset, t.shape, *t.type->dtype, false, s));
  if (t.blocks == 0) return put(t.name, zeros(t.shape, float16, s));
  auto load = std::make_shared<LoadGguf>(to_stream(s), bytes, offset, t.type->number, t.blocks);
  if (t.type->affine_bits == 0) return put(t.name, array(t.shape, float16, load, {}));
  Shape words = t.shape, groups = t.shape;
  words.back() = t.shape.back() / 32 * t.type->affine_bits;
  groups.back() = t.shape.back() / 32;
  auto parts = array::make_arrays({words, groups, groups}, {uint32, float16, float16}, load, {});
  std::string stem = t.name;
  if (stem.ends_with(".weight")) stem.resize(stem.size() - 7);
  put(t.name, parts[0]);
  put(stem + ".scales", parts[1]);
  put(stem + ".biases", parts[2]);
}

uint64_t alignment_of(const std::unordered_map<std::string, GGUFMetaData>& metadata) {
  auto it = metadata.find("general.alignment");
  if (it == metadata.end()) return kAlignment;
  const auto* a = std::get_if<array>(&it->second);
  if (!a || a->size() != 1 || !issubdtype(a->dtype(), integer))
    fail("general.alignment is no number.");
  auto n = a->item<int64_t>();
  if (n <= 0 || n > (1 << 30) || (n & (n - 1)) != 0) fail("general.alignment is no power of two.");
  return n;
}

// ---- Writing

void put_bytes(std::string& out, const void* p, size_t n) {
  out.append(static_cast<const char*>(p), n);
}
template <typename T>
void put(std::string& out, T v) {
  put_bytes(out, &v, sizeof(v));
}
void put_string(std::string& out, const std::string& v) {
  put<uint64_t>(out, v.size());
  out += v;
}

void put_metadata(std::string& out, const std::string& key, const GGUFMetaData& value) {
  if (std::holds_alternative<std::monostate>(value)) return;
  put_string(out, key);
  if (const auto* text = std::get_if<std::string>(&value)) {
    put<uint32_t>(out, String);
    put_string(out, *text);
  } else if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
    put<uint32_t>(out, Array);
    put<uint32_t>(out, String);
    put<uint64_t>(out, list->size());
    for (const auto& v : *list) put_string(out, v);
  } else {
    array a = io::evaluated(std::get<array>(value));
    if (a.ndim() > 1) {
      throw std::runtime_error(
          "[save_gguf] Cannot save arrays with more than one dimension as metadata: '" + key +
          "' has shape " + to_string(a.shape()) + ".");
    }
    uint32_t type = 0;
    while (type < F64 && (kTypeInfo[type].dtype != a.dtype() || type == String || type == Array))
      ++type;
    if (type == F64 && a.dtype() != float64) {
      throw std::runtime_error("[save_gguf] Metadata '" + key + "' has the unsupported dtype " +
                               dtype_to_string(a.dtype()) + ".");
    }
    if (a.ndim() == 1) {
      put<uint32_t>(out, Array);
      put<uint32_t>(out, type);
      put<uint64_t>(out, a.size());
    } else {
      put<uint32_t>(out, type);
    }
    put_bytes(out, a.data<char>(), a.nbytes());
  }
}

const TensorType& type_for(const std::string& name, Dtype dtype) {
  for (const auto& type : kTensorTypes) {
    if (type.dtype && *type.dtype == dtype) return type;
  }
  throw std::runtime_error(std::string("[save_gguf] dtype ") + dtype_to_string(dtype) +
                           " is not supported (array '" + name + "').");
}

}  // namespace

GGUFLoad load_gguf(const std::string& file, StreamOrDevice s) {
  auto bytes = io::Bytes::of_file(file, kTag);
  io::Cursor in(bytes->data(), bytes->size(), kTag + (file + ": "));
  if (std::memcmp(in.take(4, "the header"), "GGUF", 4) != 0) fail(file + " is no GGUF file.");
  auto version = in.value<uint32_t>("the header");
  if (version < 2 || version > kVersion) {
    fail(file + " has version " + std::to_string(version) + "; 2 and 3 are supported.");
  }
  auto tensor_count = in.value<uint64_t>("the header");
  auto value_count = in.value<uint64_t>("the header");
  // The smallest entries take 8 + 4 + 1 and 8 + 4 + 4 + 8 bytes.
  if (value_count > in.left() / 13 || tensor_count > in.left() / 24)
    fail(file + " ends too early.");

  GGUFLoad out;
  for (uint64_t i = 0; i < value_count; ++i) {
    std::string key = read_string(in);
    auto type = in.value<uint32_t>("the metadata");
    out.second.insert_or_assign(key, read_value(in, type, key));
  }
  std::vector<Tensor> tensors;
  for (uint64_t i = 0; i < tensor_count; ++i) tensors.push_back(read_tensor(in));

  uint64_t alignment = alignment_of(out.second);
  uint64_t start = (in.position() + alignment - 1) / alignment * alignment;
  for (const auto& t : tensors) {
    uint64_t size, end;
    if (__builtin_mul_overflow(t.blocks, uint64_t(t.type->bytes), &size) ||
        __builtin_add_overflow(start, t.offset, &end) || __builtin_add_overflow(end, size, &end) ||
        end > bytes->size()) {
      fail("Tensor " + io::quoted(t.name) + " lies beyond the end of " + file +
           ". Perhaps an incomplete download?");
    }
    add_tensor(t, bytes, start + t.offset, out.first, s);
  }
  return out;
}

void save_gguf(std::string file, std::unordered_map<std::string, array> array_map,
               std::unordered_map<std::string, GGUFMetaData> meta_data) {
  if (!file.ends_with(".gguf")) file += ".gguf";
  std::vector<std::pair<std::string, array>> arrays(array_map.begin(), array_map.end());
  std::sort(arrays.begin(), arrays.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> keys;
  for (const auto& [key, value] : meta_data) {
    if (!std::holds_alternative<std::monostate>(value)) keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  uint64_t alignment = alignment_of(meta_data);

  std::string head = "GGUF";
  put<uint32_t>(head, kVersion);
  put<uint64_t>(head, arrays.size());
  put<uint64_t>(head, keys.size());
  for (const auto& key : keys) put_metadata(head, key, meta_data.at(key));
  auto padded = [&](uint64_t n) { return (n + alignment - 1) / alignment * alignment; };
  uint64_t offset = 0;
  for (const auto& [name, a] : arrays) {
    const TensorType& type = type_for(name, a.dtype());
    put_string(head, name);
    put<uint32_t>(head, static_cast<uint32_t>(a.ndim()));
    for (size_t d = a.ndim(); d-- > 0;) put<uint64_t>(head, a.shape()[d]);
    put<uint32_t>(head, type.number);
    put<uint64_t>(head, offset);
    offset += padded(a.nbytes());
  }
  head.resize(padded(head.size()), '\0');
  io::write_atomically(file, "[save_gguf] ", [&](io::Writer& out) {
    out.write(head.data(), head.size());
    const std::string zeros(alignment, '\0');
    for (const auto& [name, a] : arrays) {
      array value = io::evaluated(a);
      out.write(value.data<char>(), value.nbytes());
      out.write(zeros.data(), padded(value.nbytes()) - value.nbytes());
    }
  });
}

}  // namespace mlx::core
