// core/prim/fields.h: the parameters of primitives as plain values, and primitives from such
// values. Everything follows from fields(): a primitive with fields of the types below whose
// constructor takes a stream and its fields, in order, can be written to a file and read again.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "mlx/dtype.h"
#include "mlx/primitive.h"

namespace mlx::core {

/** Integers (and bools, enums, lengths of lists), floats, texts: the leaves of fields, in order. */
using FieldLeaf = std::variant<int64_t, double, std::string>;
using FieldLeaves = std::vector<FieldLeaf>;

/** Takes leaves one after the other; throws std::invalid_argument where they do not fit. */
class FieldReader {
 public:
  explicit FieldReader(const FieldLeaves& leaves) : leaves_(leaves) {}
  template <class T>
  T next() {
    if (at_ >= leaves_.size()) throw std::invalid_argument("a primitive lacks parameters");
    const T* value = std::get_if<T>(&leaves_[at_++]);
    if (!value) throw std::invalid_argument("a parameter of a primitive has another type");
    return *value;
  }
  bool done() const { return at_ == leaves_.size(); }
  size_t left() const { return leaves_.size() - at_; }

 private:
  const FieldLeaves& leaves_;
  size_t at_ = 0;
};

/** What can be asked of a primitive whose parameters are known. */
class Fielded {
 public:
  virtual ~Fielded() = default;
  virtual const char* field_name() const = 0;
  virtual void write_fields(FieldLeaves& leaves) const = 0;
  /** True if a shape is among the parameters: they may not fit inputs of other shapes. */
  virtual bool has_shape_fields() const = 0;
  /** True if it means the same for inputs of other shapes, once for_inputs() has been asked. */
  virtual bool is_shape_generic() const { return !has_shape_fields(); }
  /** False if the parameters would lead outside inputs of these shapes: asked of what was read from
   * a file or made for other shapes. */
  virtual bool fits(const std::vector<array>&) const { return true; }
  /** The same operation for inputs of other shapes; null if this one serves. */
  virtual std::shared_ptr<Primitive> for_inputs(const std::vector<array>&) { return nullptr; }
};

using MakePrimitive = std::function<std::shared_ptr<Primitive>(Stream, FieldReader&)>;
/** Called at start-up by each class of primitives. make is null if none can be read from a file. */
bool register_primitive(const char* name, MakePrimitive make);
/** Throws std::invalid_argument for a name that is not known. */
std::shared_ptr<Primitive> make_primitive(const std::string& name, Stream s, FieldReader& reader);
/** All registered names, and whether they can be read from a file. */
std::vector<std::pair<std::string, bool>> registered_primitives();

// ---- implementation

namespace fields {

template <class T>
concept Structure = requires(const T& t) {
  t.fields();
};
template <class T>
struct is_list : std::false_type {};
template <class T>
struct is_list<std::vector<T>> : std::true_type {};
template <class T, size_t n>
struct is_list<SmallVector<T, n>> : std::true_type {};
template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};
template <class T>
struct is_tuple : std::false_type {};
template <class... T>
struct is_tuple<std::tuple<T...>> : std::true_type {};
template <class A, class B>
struct is_tuple<std::pair<A, B>> : std::true_type {};
template <class T>
using plain = std::remove_cv_t<std::remove_reference_t<T>>;

template <class T>
constexpr bool known();
template <class Tuple, size_t... i>
constexpr bool all_known(std::index_sequence<i...>) {
  return (known<plain<std::tuple_element_t<i, Tuple>>>() && ...);
}
template <class T>
constexpr bool known() {
  if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_same_v<T, std::string> ||
                std::is_same_v<T, Dtype>) {
    return true;
  } else if constexpr (is_list<T>::value || is_optional<T>::value) {
    return known<typename T::value_type>();
  } else if constexpr (is_tuple<T>::value) {
    return all_known<T>(std::make_index_sequence<std::tuple_size_v<T>>{});
  } else if constexpr (Structure<T>) {
    return known<decltype(std::declval<const T&>().fields())>();
  } else {
    return false;
  }
}

template <class T>
constexpr bool has_shape();
template <class Tuple, size_t... i>
constexpr bool any_shape(std::index_sequence<i...>) {
  return (has_shape<plain<std::tuple_element_t<i, Tuple>>>() || ...);
}
template <class T>
constexpr bool has_shape() {
  if constexpr (is_list<T>::value) {
    return std::is_same_v<T, SmallVector<typename T::value_type>>;
  } else if constexpr (is_tuple<T>::value) {
    return any_shape<T>(std::make_index_sequence<std::tuple_size_v<T>>{});
  } else {
    return false;
  }
}

template <class T>
void put(FieldLeaves& out, const T& v) {
  if constexpr (std::is_same_v<T, std::string>) {
    out.emplace_back(v);
  } else if constexpr (std::is_same_v<T, Dtype>) {
    out.emplace_back(static_cast<int64_t>(v.val()));
  } else if constexpr (std::is_floating_point_v<T>) {
    out.emplace_back(static_cast<double>(v));
  } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
    out.emplace_back(static_cast<int64_t>(v));
  } else if constexpr (is_list<T>::value) {
    out.emplace_back(static_cast<int64_t>(v.size()));
    for (const auto& item : v) put<typename T::value_type>(out, item);
  } else if constexpr (is_optional<T>::value) {
    out.emplace_back(static_cast<int64_t>(v.has_value()));
    if (v) put(out, *v);
  } else if constexpr (is_tuple<T>::value) {
    std::apply([&](const auto&... item) { (put(out, item), ...); }, v);
  } else if constexpr (Structure<T>) {
    put(out, v.fields());
  }
}

template <class T>
T get(FieldReader& in);
template <class Tuple, size_t... i>
auto get_tuple(FieldReader& in, std::index_sequence<i...>) {
  // Braces: the items are read from left to right.
  return std::tuple<plain<std::tuple_element_t<i, Tuple>>...>{
      get<plain<std::tuple_element_t<i, Tuple>>>(in)...};
}
template <class T>
T get(FieldReader& in) {
  if constexpr (std::is_same_v<T, std::string>) {
    return in.next<std::string>();
  } else if constexpr (std::is_same_v<T, Dtype> || std::is_same_v<T, Dtype::Val>) {
    int64_t v = in.next<int64_t>();
    if (v < 0 || v >= kNumDtypes) throw std::invalid_argument("there is no such dtype");
    if constexpr (std::is_same_v<T, Dtype>) {
      return dtype_of(static_cast<Dtype::Val>(v));
    } else {
      return static_cast<Dtype::Val>(v);
    }
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(in.next<double>());
  } else if constexpr (std::is_arithmetic_v<T>) {
    int64_t v = in.next<int64_t>();
    if constexpr (sizeof(T) < 8) {
      if (v < static_cast<int64_t>(std::numeric_limits<T>::min()) ||
          v > static_cast<int64_t>(std::numeric_limits<T>::max()))
        throw std::invalid_argument("a parameter of a primitive is out of range");
    }
    return static_cast<T>(v);
  } else if constexpr (std::is_enum_v<T>) {
    int64_t v = in.next<int64_t>();
    if (v < 0 || v > 64) throw std::invalid_argument("a parameter of a primitive is out of range");
    return static_cast<T>(v);
  } else if constexpr (is_list<T>::value) {
    int64_t n = in.next<int64_t>();
    if (n < 0 || static_cast<size_t>(n) > in.left())
      throw std::invalid_argument("a list of parameters ends early");
    T list;
    for (int64_t i = 0; i < n; ++i) list.push_back(get<typename T::value_type>(in));
    return list;
  } else if constexpr (is_optional<T>::value) {
    if (in.next<int64_t>() == 0) return std::nullopt;
    return get<typename T::value_type>(in);
  } else if constexpr (is_tuple<T>::value) {
    return get_tuple<T>(in, std::make_index_sequence<std::tuple_size_v<T>>{});
  } else {
    using Tuple = decltype(std::declval<const T&>().fields());
    return std::apply([](auto&&... item) { return T{std::move(item)...}; },
                      get_tuple<Tuple>(in, std::make_index_sequence<std::tuple_size_v<Tuple>>{}));
  }
}

/** A tuple of references as a value: one alone, a pair, or a tuple. */
template <class T>
auto values(const std::tuple<T>& t) {
  return plain<T>(std::get<0>(t));
}
template <class A, class B>
auto values(const std::tuple<A, B>& t) {
  return std::pair<plain<A>, plain<B>>(std::get<0>(t), std::get<1>(t));
}
template <class... T>
auto values(const std::tuple<T...>& t) {
  return std::tuple<plain<T>...>(t);
}

/** The maker of P, or null: some hold what no file can. */
template <class P, class Tuple, size_t... i>
MakePrimitive maker(std::index_sequence<i...> indices) {
  if constexpr (!known<Tuple>()) {
    return nullptr;
  } else if constexpr (std::is_constructible_v<P, Stream,
                                               plain<std::tuple_element_t<i, Tuple>>...>) {
    return [indices](Stream s, FieldReader& in) -> std::shared_ptr<Primitive> {
      auto values = get_tuple<Tuple>(in, indices);
      return std::apply([&](auto&&... item) { return std::make_shared<P>(s, std::move(item)...); },
                        std::move(values));
    };
  } else {
    return nullptr;
  }
}

template <class P>
MakePrimitive maker_of() {
  using Tuple = plain<decltype(std::declval<const P&>().fields())>;
  return maker<P, Tuple>(std::make_index_sequence<std::tuple_size_v<Tuple>>{});
}

}  // namespace fields

}  // namespace mlx::core
