// core/transform/function_file.cpp: functions in files. The container is safetensors: the arrays as
// they are, mapped when read, and the description as bytes in a tensor of its own, with a checksum.
#include <zlib.h>

#include <cstring>

#include "core/io/file.h"
#include "core/transform/stored_function.h"
#include "mlx/io.h"

namespace mlx::core {

namespace {

constexpr const char* kFormat = "mica-function";
constexpr int64_t kVersion = 1;
constexpr const char* kTag = "[import_function] ";

// ---- writing ----

class Encoder {
 public:
  void integer(int64_t v) { raw(&v, sizeof v); }
  void real(double v) { raw(&v, sizeof v); }
  void text(const std::string& s) {
    integer(static_cast<int64_t>(s.size()));
    out.append(s);
  }
  template <class T, class F>
  void list(const std::vector<T>& items, F each) {
    integer(static_cast<int64_t>(items.size()));
    for (const auto& item : items) each(item);
  }
  void integers(const std::vector<int>& items) {
    list(items, [&](int v) { integer(v); });
  }
  void dtype(Dtype d) { integer(static_cast<int64_t>(d.val())); }
  void rule(const SizeRule& r) {
    integer(r.base);
    list(r.terms, [&](const SizeRule::Term& t) {
      integer(t.coefficient);
      integers(t.sizes);
    });
  }
  void rule(const RealRule& r) {
    integer(r.power);
    real(r.value);
    real(r.base);
    list(r.terms, [&](const RealRule::Term& t) {
      real(t.coefficient);
      integers(t.sizes);
    });
  }
  void shape(const StoredShape& s) {
    list(s, [&](const SizeRule& r) { rule(r); });
  }
  void leaf(const StoredLeaf& l) {
    integer(static_cast<int64_t>(l.index()));
    if (auto* i = std::get_if<SizeRule>(&l)) return rule(*i);
    if (auto* r = std::get_if<RealRule>(&l)) return rule(*r);
    text(std::get<std::string>(l));
  }
  void function(const StoredFunction& f) {
    list(f.sizes, [&](int64_t v) { integer(v); });
    list(f.inputs, [&](const StoredInput& in) {
      text(in.keyword);
      shape(in.shape);
      dtype(in.dtype);
    });
    list(f.constants, [&](const StoredConstant& c) {
      integer(c.tensor);
      rule(c.number);
      dtype(c.dtype);
    });
    list(f.nodes, [&](const StoredNode& n) {
      text(n.name);
      list(n.leaves, [&](const StoredLeaf& l) { leaf(l); });
      integers(n.args);
      list(n.dtypes, [&](Dtype d) { dtype(d); });
    });
    integers(f.outputs);
  }

  std::string out;

 private:
  void raw(const void* p, size_t n) { out.append(static_cast<const char*>(p), n); }
};

// ---- reading ----

class Decoder {
 public:
  explicit Decoder(const std::string& bytes) : in_(bytes.data(), bytes.size(), kTag) {}

  int64_t integer() { return in_.value<int64_t>("a number"); }
  int64_t integer(int64_t low, int64_t high) {
    int64_t v = integer();
    if (v < low || v > high) fail("a number is out of range");
    return v;
  }
  double real() { return in_.value<double>("a number"); }
  std::string text() {
    size_t n = count(1);
    return std::string(in_.take(n, "a text"), n);
  }
  template <class T, class F>
  std::vector<T> list(F each) {
    size_t n = count(8);
    std::vector<T> items;
    items.reserve(n);
    for (size_t i = 0; i < n; ++i) items.push_back(each());
    return items;
  }
  std::vector<int> integers(int64_t below) {
    return list<int>([&] { return static_cast<int>(integer(0, below - 1)); });
  }
  Dtype dtype() { return dtype_of(static_cast<Dtype::Val>(integer(0, kNumDtypes - 1))); }
  SizeRule size_rule() {
    SizeRule r;
    r.base = integer();
    r.terms = list<SizeRule::Term>([&] {
      SizeRule::Term t{integer(), {}};
      t.sizes = integers(n_sizes_);
      if (t.sizes.empty()) fail("a rule lacks sizes");
      return t;
    });
    return r;
  }
  RealRule real_rule() {
    RealRule r;
    r.power = static_cast<RealRule::Power>(integer(0, RealRule::inverse_root));
    r.value = real();
    r.base = real();
    r.terms = list<RealRule::Term>([&] {
      RealRule::Term t{real(), {}};
      t.sizes = integers(n_sizes_);
      return t;
    });
    return r;
  }
  StoredShape shape() {
    return list<SizeRule>([&] { return size_rule(); });
  }
  StoredLeaf leaf() {
    switch (integer(0, 2)) {
      case 0:
        return size_rule();
      case 1:
        return real_rule();
      default:
        return text();
    }
  }
  StoredFunction function(int64_t n_tensors) {
    StoredFunction f;
    f.sizes = list<int64_t>([&] { return integer(0, INT32_MAX); });
    n_sizes_ = static_cast<int64_t>(f.sizes.size());
    f.inputs = list<StoredInput>([&] {
      StoredInput in;
      in.keyword = text();
      in.shape = shape();
      for (const auto& r : in.shape) {
        if (r.fixed()) continue;
        bool one = r.terms.size() == 1 && r.terms[0].coefficient >= 1 &&
                   r.terms[0].sizes.size() == 1 && r.base == f.sizes[r.terms[0].sizes[0]];
        if (!one) fail("an input's axis is not a size");
      }
      in.dtype = dtype();
      return in;
    });
    f.constants = list<StoredConstant>([&] {
      StoredConstant c;
      c.tensor = static_cast<int>(integer(-1, n_tensors - 1));
      c.number = real_rule();
      c.dtype = dtype();
      return c;
    });
    int64_t n = static_cast<int64_t>(f.inputs.size() + f.constants.size());
    f.nodes = list<StoredNode>([&] {
      StoredNode node;
      node.name = text();
      node.leaves = list<StoredLeaf>([&] { return leaf(); });
      node.args = integers(n);
      node.dtypes = list<Dtype>([&] { return dtype(); });
      if (node.dtypes.empty()) fail("an operation has no results");
      n += static_cast<int64_t>(node.dtypes.size());
      return node;
    });
    f.outputs = integers(n);
    return f;
  }
  void end() {
    if (in_.left() != 0) fail("there is more behind the last function");
  }
  [[noreturn]] static void fail(const std::string& what) {
    throw std::runtime_error(std::string(kTag) + "The file is damaged: " + what + ".");
  }

 private:
  size_t count(size_t least_bytes) {
    int64_t n = integer();
    if (n < 0 || static_cast<size_t>(n) > in_.left() / least_bytes)
      fail("a list is longer than the file");
    return static_cast<size_t>(n);
  }

  io::Cursor in_;
  int64_t n_sizes_ = 0;
};

std::string checksum(const std::string& bytes) {
  auto sum =
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
  return std::to_string(sum);
}

}  // namespace

void save_functions(const std::string& path, const FunctionFile& file) {
  Encoder e;
  e.integer(kVersion);
  e.list(file.functions, [&](const StoredFunction& f) { e.function(f); });
  std::unordered_map<std::string, array> arrays;
  for (size_t i = 0; i < file.tensors.size(); ++i)
    arrays.emplace("array." + std::to_string(i), file.tensors[i]);
  const auto* bytes = reinterpret_cast<const uint8_t*>(e.out.data());
  arrays.emplace("function", array(bytes, {static_cast<ShapeElem>(e.out.size())}, uint8));
  std::unordered_map<std::string, std::string> metadata{
      {"format", kFormat}, {"checksum", checksum(e.out)}, {"metadata", file.metadata}};
  io::write_atomically(path, "[export_function] ", [&](io::Writer& out) {
    // Through a pointer that owns nothing: the file keeps the name it was given.
    save_safetensors(std::shared_ptr<io::Writer>(&out, [](io::Writer*) {}), arrays, metadata);
  });
}

FunctionFile load_functions(const std::string& path) {
  auto [arrays, metadata] = [&] {
    try {
      return load_safetensors(path);
    } catch (const std::exception& e) {
      throw std::runtime_error(std::string(kTag) + "Failed to open " + path + ": " + e.what());
    }
  }();
  auto it = arrays.find("function");
  if (metadata["format"] != kFormat || it == arrays.end() || it->second.dtype() != uint8 ||
      it->second.ndim() != 1) {
    throw std::runtime_error(std::string(kTag) + path + " is not a file of exported functions.");
  }
  array description = it->second;
  description.eval();
  description = io::evaluated(description);
  std::string bytes(description.data<char>(), description.size());
  if (metadata["checksum"] != checksum(bytes)) Decoder::fail("the checksum is wrong");
  FunctionFile file;
  file.metadata = metadata["metadata"];
  size_t n = arrays.size() - 1;
  for (size_t i = 0; i < n; ++i) {
    auto a = arrays.find("array." + std::to_string(i));
    if (a == arrays.end()) Decoder::fail("an array is missing");
    file.tensors.push_back(a->second);
  }
  Decoder d(bytes);
  int64_t version = d.integer();
  if (version != kVersion) {
    throw std::runtime_error(std::string(kTag) + path + " has version " + std::to_string(version) +
                             ", this build reads version " + std::to_string(kVersion) + ".");
  }
  file.functions =
      d.list<StoredFunction>([&] { return d.function(static_cast<int64_t>(file.tensors.size())); });
  d.end();
  return file;
}

}  // namespace mlx::core
