// core/dtype.cpp: categories, names and promotion of dtypes.
#include "mlx/dtype.h"

#include <array>

namespace mlx::core {

namespace {

using Val = Dtype::Val;
using Category = Dtype::Category;

struct Row {
  const char* name;
  uint8_t size;
  Category category;
  Dtype::Kind kind;
};

// In the order of Dtype::Val.
constexpr std::array<Row, kNumDtypes> kRows = {{
    {"bool", 1, Category::generic, Dtype::Kind::b},
    {"uint8", 1, Category::unsignedinteger, Dtype::Kind::u},
    {"uint16", 2, Category::unsignedinteger, Dtype::Kind::u},
    {"uint32", 4, Category::unsignedinteger, Dtype::Kind::u},
    {"uint64", 8, Category::unsignedinteger, Dtype::Kind::u},
    {"int8", 1, Category::signedinteger, Dtype::Kind::i},
    {"int16", 2, Category::signedinteger, Dtype::Kind::i},
    {"int32", 4, Category::signedinteger, Dtype::Kind::i},
    {"int64", 8, Category::signedinteger, Dtype::Kind::i},
    {"float16", 2, Category::floating, Dtype::Kind::f},
    {"float32", 4, Category::floating, Dtype::Kind::f},
    {"float64", 8, Category::floating, Dtype::Kind::f},
    {"bfloat16", 2, Category::floating, Dtype::Kind::V},
    {"complex64", 8, Category::complexfloating, Dtype::Kind::c},
}};

const Row& row(Val v) { return kRows[static_cast<int>(v)]; }

// The category tree: generic > number > {integer > signed, unsigned; inexact > floating, complex}.
Category parent(Category c) {
  switch (c) {
    case Category::complexfloating:
    case Category::floating:
      return Category::inexact;
    case Category::signedinteger:
    case Category::unsignedinteger:
      return Category::integer;
    case Category::inexact:
    case Category::integer:
      return Category::number;
    default:
      return Category::generic;
  }
}

bool is_unsigned(Val v) { return row(v).category == Category::unsignedinteger; }
bool is_integer(Val v) { return is_unsigned(v) || row(v).category == Category::signedinteger; }

Val signed_of_size(int bytes) {
  return bytes <= 1 ? Val::int8 : bytes == 2 ? Val::int16 : bytes == 4 ? Val::int32 : Val::int64;
}

Val promote(Val a, Val b) {
  if (a == b) return a;
  if (a == Val::complex64 || b == Val::complex64) return Val::complex64;
  if (a == Val::bool_) return b;
  if (b == Val::bool_) return a;
  bool int_a = is_integer(a), int_b = is_integer(b);
  if (int_a && int_b) {
    const Row &ra = row(a), &rb = row(b);
    if (is_unsigned(a) == is_unsigned(b)) return ra.size >= rb.size ? a : b;
    const Row& u = is_unsigned(a) ? ra : rb;
    const Row& s = is_unsigned(a) ? rb : ra;
    if (u.size < s.size) return is_unsigned(a) ? b : a;
    if (u.size == 8) return Val::float32;  // no integer type holds both
    return signed_of_size(2 * u.size);
  }
  if (int_a) return b;
  if (int_b) return a;
  // Two different real floats: the two 16-bit ones meet in float32.
  if (a == Val::float64 || b == Val::float64) return Val::float64;
  return Val::float32;
}

}  // namespace

bool issubdtype(const Category& a, const Category& b) {
  for (Category c = a;; c = parent(c)) {
    if (c == b) return true;
    if (c == Category::generic) return false;
  }
}
bool issubdtype(const Dtype& a, const Dtype& b) { return a.val() == b.val(); }
bool issubdtype(const Category&, const Dtype&) { return false; }
bool issubdtype(const Dtype& a, const Category& b) { return issubdtype(row(a.val()).category, b); }

Dtype promote_types(const Dtype& t1, const Dtype& t2) { return dtype_of(promote(t1, t2)); }

Dtype::Kind kindof(const Dtype& t) { return row(t.val()).kind; }

Dtype dtype_of(Val val) { return Dtype(val, row(val).size); }

const char* dtype_to_string(Dtype dtype) { return row(dtype.val()).name; }

}  // namespace mlx::core
