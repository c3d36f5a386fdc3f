// core/io/npy.cpp: NumPy's format for one array.
#include <cctype>
#include <sstream>

#include "core/io/file.h"
#include "mlx/io.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

constexpr const char* kTag = "[load] ";
constexpr size_t kAlignment = 64;  // of the data: a mapped file is used in place

struct Header {
  Dtype dtype = float32;
  bool fortran_order = false;
  bool swap = false;
  Shape shape;
};

std::string descr(Dtype t) {
  switch (t.val()) {
    case Dtype::Val::bool_:
      return "|b1";
    case Dtype::Val::uint8:
      return "|u1";
    case Dtype::Val::int8:
      return "|i1";
    case Dtype::Val::bfloat16:
      return "<V2";
    default:
      break;
  }
  char kind = t == complex64                   ? 'c'
              : issubdtype(t, floating)        ? 'f'
              : issubdtype(t, unsignedinteger) ? 'u'
                                               : 'i';
  return std::string("<") + kind + std::to_string(t.size());
}

/** Reads the dict that describes the array: a Python literal with three known keys. */
class HeaderParser {
 public:
  HeaderParser(const char* p, size_t n, const std::string& label)
      : p_(p), end_(p + n), label_(label) {}

  Header parse() {
    Header h;
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      std::string key = text();
      expect(':');
      if (key == "descr") {
        has_descr = true;
        set_dtype(h, text());
      } else if (key == "fortran_order") {
        has_order = true;
        h.fortran_order = boolean();
      } else if (key == "shape") {
        has_shape = true;
        h.shape = tuple();
      } else {
        fail();
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!has_descr || !has_order || !has_shape) fail();
    return h;
  }

 private:
  [[noreturn]] void fail() { throw std::runtime_error(kTag + ("Invalid header in " + label_)); }
  void skip() {
    while (p_ < end_ && std::isspace(static_cast<unsigned char>(*p_))) ++p_;
  }
  bool accept(char c) {
    skip();
    if (p_ == end_ || *p_ != c) return false;
    ++p_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail();
  }
  std::string text() {
    skip();
    if (p_ == end_ || (*p_ != '\'' && *p_ != '"')) fail();
    char quote = *p_++;
    const char* begin = p_;
    while (p_ < end_ && *p_ != quote) ++p_;
    if (p_ == end_) fail();
    return std::string(begin, p_++);
  }
  bool boolean() {
    skip();
    const char* begin = p_;
    while (p_ < end_ && std::isalpha(static_cast<unsigned char>(*p_))) ++p_;
    std::string word(begin, p_);
    if (word != "True" && word != "False") fail();
    return word == "True";
  }
  Shape tuple() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      skip();
      int64_t n = 0;
      const char* begin = p_;
      while (p_ < end_ && std::isdigit(static_cast<unsigned char>(*p_))) {
        n = n * 10 + (*p_++ - '0');
        if (n > INT32_MAX) fail();
      }
      if (p_ == begin) fail();
      shape.push_back(static_cast<ShapeElem>(n));
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }
  void set_dtype(Header& h, const std::string& d) {
    if (d.size() > 1) {
      h.swap = d[0] == '>';
      std::string kind = d.substr(1);
      for (int i = 0; i < kNumDtypes; ++i) {
        Dtype t = dtype_of(static_cast<Dtype::Val>(i));
        if (descr(t).substr(1) == kind) {
          h.dtype = t;
          return;
        }
      }
    }
    throw std::invalid_argument(kTag +
                                ("Unsupported array type " + io::quoted(d) + " in " + label_));
  }

  const char* p_;
  const char* end_;
  std::string label_;
};

/** Length of the dict, from the bytes before it; prefix is how many those are. */
size_t header_size(const char* start, const std::string& label, size_t& prefix) {
  if (std::memcmp(start, "\x93NUMPY", 6) != 0 || start[6] < 1 || start[6] > 3) {
    throw std::runtime_error(kTag + ("Invalid header in " + label));
  }
  if (start[6] == 1) {
    uint16_t n;
    std::memcpy(&n, start + 8, 2);
    prefix = 10;
    return n;
  }
  uint32_t n;
  std::memcpy(&n, start + 8, 4);
  prefix = 12;
  return n;
}

constexpr size_t kMaxHeader = 1 << 20;

size_t bytes_of(const Header& h, const std::string& label) {
  size_t n = h.dtype.size();
  for (auto d : h.shape) {
    if (__builtin_mul_overflow(n, static_cast<size_t>(d), &n)) {
      throw std::runtime_error(kTag + ("Invalid shape in " + label));
    }
  }
  return n;
}

array finish(const Header& h, const std::shared_ptr<const io::Bytes>& bytes, size_t offset,
             StreamOrDevice s) {
  if (!h.fortran_order) return io::array_at(bytes, offset, h.shape, h.dtype, h.swap, s);
  Shape reversed(h.shape.rbegin(), h.shape.rend());
  return transpose(io::array_at(bytes, offset, reversed, h.dtype, h.swap, s), s);
}

void write(io::Writer& out, const array& value) {
  array a = io::evaluated(value);
  std::ostringstream dict;
  dict << "{'descr': '" << descr(a.dtype()) << "', 'fortran_order': False, 'shape': (";
  for (auto n : a.shape()) dict << n << (a.ndim() == 1 ? "," : ", ");
  std::string header = dict.str();
  if (a.ndim() > 1) header.erase(header.size() - 2);
  header += "), }";
  bool wide = header.size() + 11 + kAlignment > 65535;
  size_t prefix = wide ? 12 : 10;
  size_t total = (prefix + header.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  header.resize(total - prefix - 1, ' ');
  header += '\n';
  std::string start = std::string("\x93NUMPY") + char(wide ? 2 : 1) + '\0';
  for (size_t i = 0, n = header.size(); i < prefix - 8; ++i, n >>= 8) start += char(n & 0xff);
  out.write(start.data(), start.size());
  out.write(header.data(), header.size());
  out.write(a.data<char>(), a.nbytes());
}

}  // namespace

void save(std::shared_ptr<io::Writer> out_stream, array a) {
  out_stream->open();
  if (!out_stream->good() || !out_stream->is_open()) {
    throw std::runtime_error("[save] Failed to open " + out_stream->label());
  }
  write(*out_stream, a);
}

void save(std::string file, array a) {
  if (!file.ends_with(".npy")) file += ".npy";
  io::write_atomically(file, "[save] ", [&](io::Writer& out) { write(out, a); });
}

array load(std::shared_ptr<io::Reader> in, StreamOrDevice s) {
  if (!in->good() || !in->is_open()) {
    throw std::runtime_error(kTag + ("Failed to open " + in->label()));
  }
  char start[12];
  in->read(start, 10);
  if (start[6] > 1) in->read(start + 10, 2);
  size_t prefix;
  size_t n = header_size(start, in->label(), prefix);
  if (n > kMaxHeader) throw std::runtime_error(kTag + ("Invalid header in " + in->label()));
  std::string dict(n, '\0');
  in->read(dict.data(), n);
  Header h = HeaderParser(dict.data(), n, in->label()).parse();
  size_t wanted = bytes_of(h, in->label());
  if (auto* mapped = dynamic_cast<io::BytesReader*>(in.get())) {
    const size_t offset = in->tell();
    io::Cursor cursor(mapped->bytes()->data(), mapped->bytes()->size(), kTag);
    cursor.take(offset, "the header");
    cursor.take(wanted, "the array's data");
    in->seek(static_cast<int64_t>(cursor.position()));
    return finish(h, mapped->bytes(), offset, s);
  }
  // Memory is taken as the bytes come: the header may promise more than there are.
  std::string data;
  for (size_t done = 0; done < wanted;) {
    size_t step = std::min(wanted - done, std::max<size_t>(done, 1 << 20));
    data.resize(done + step);
    in->read(data.data() + done, step);
    done += step;
  }
  return finish(h, io::Bytes::of(std::move(data)), 0, s);
}

array load(std::string file, StreamOrDevice s) {
  auto bytes = io::Bytes::of_file(file, kTag);
  io::Cursor cursor(bytes->data(), bytes->size(), kTag);
  char start[12];
  std::memcpy(start, cursor.take(10, "the header"), 10);
  if (start[6] > 1) std::memcpy(start + 10, cursor.take(2, "the header"), 2);
  size_t prefix;
  size_t n = header_size(start, "file " + file, prefix);
  Header h = HeaderParser(cursor.take(n, "the header"), n, "file " + file).parse();
  size_t offset = cursor.position();
  cursor.take(bytes_of(h, "file " + file), "the array's data");
  return finish(h, bytes, offset, s);
}

}  // namespace mlx::core
