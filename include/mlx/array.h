// include/mlx/array.h: the lazy n-dimensional array, a node of the graph.
#pragma once

#include <algorithm>
#include <atomic>
#include <complex>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "mlx/allocator.h"
#include "mlx/dtype.h"
#include "mlx/event.h"
#include "mlx/small_vector.h"

namespace mlx::core {

class Primitive;

/** A place in the user's program, 0 if it is not known. */
using SourceId = uint32_t;

using ShapeElem = int32_t;
using Shape = SmallVector<ShapeElem>;
using Strides = SmallVector<int64_t>;

/**
 * A handle to a node: shape and dtype are known at once, the value when it has been evaluated.
 * Copying a handle is cheap and shares the node. Strides are in elements.
 */
class array {
 public:
  using Data = allocator::Data;

  struct Flags {
    // No gaps: every element of the buffer part that is used belongs to the array (data_size ==
    // size, or less with broadcasts of dimension 1 only).
    bool contiguous : 1;
    bool row_contiguous : 1;
    bool col_contiguous : 1;
  };

  enum Status {
    unscheduled,  // no value yet: a primitive and inputs, or a placeholder
    evaluated,    // being computed: wait() for it
    available     // the value is there
  };

  template <typename T>
  explicit array(T val, Dtype dtype = TypeToDtype<T>());
  explicit array(const std::complex<float>& val, Dtype dtype = complex64);
  template <typename It>
  explicit array(It data, Shape shape,
                 Dtype dtype = TypeToDtype<typename std::iterator_traits<It>::value_type>());
  template <typename T>
  explicit array(std::initializer_list<T> data, Dtype dtype = TypeToDtype<T>());
  explicit array(std::initializer_list<float> data);
  explicit array(std::initializer_list<int> data, Dtype dtype);
  template <typename T>
  explicit array(std::initializer_list<T> data, Shape shape, Dtype dtype = TypeToDtype<T>());
  /** Wraps memory of somebody else, row-major; deleter(data) runs when the last user lets go. */
  explicit array(void* data, Shape shape, Dtype dtype, const std::function<void(void*)>& deleter);
  explicit array(allocator::Data data, Shape shape, Dtype dtype);

  /** A lazy node. A null primitive makes a placeholder, which cannot be evaluated. */
  array(Shape shape, Dtype dtype, std::shared_ptr<Primitive> primitive, std::vector<array> inputs);
  static std::vector<array> make_arrays(std::vector<Shape> shapes, const std::vector<Dtype>& dtypes,
                                        const std::shared_ptr<Primitive>& primitive,
                                        const std::vector<array>& inputs);

  array& operator=(const array& other) && = delete;
  array& operator=(array&& other) && = delete;
  array(const array& other) = default;
  array(array&& other) = default;
  array& operator=(const array& other) &;
  array& operator=(array&& other) & noexcept;
  ~array() = default;

  size_t itemsize() const { return size_of(dtype()); }
  size_t size() const { return desc_->size; }
  size_t nbytes() const { return size() * itemsize(); }
  size_t ndim() const { return desc_->shape.size(); }
  const Shape& shape() const { return desc_->shape; }
  /** Negative dims count from the end; throws std::out_of_range. */
  ShapeElem shape(int dim) const {
    return desc_->shape.at(dim < 0 ? dim + static_cast<int>(ndim()) : dim);
  }
  const Strides& strides() const { return desc_->strides; }
  int64_t strides(int dim) const {
    return desc_->strides.at(dim < 0 ? dim + static_cast<int>(ndim()) : dim);
  }
  Dtype dtype() const { return desc_->dtype; }

  void eval();
  /** The value of an array of one element; evaluates it. */
  template <typename T>
  T item();
  template <typename T>
  T item() const;

  struct ArrayIterator {
    using iterator_category = std::random_access_iterator_tag;
    using difference_type = size_t;
    using value_type = const array;
    using reference = value_type;
    explicit ArrayIterator(const array& arr, int idx = 0);
    reference operator*() const;
    ArrayIterator& operator+(difference_type diff) {
      idx += diff;
      return *this;
    }
    ArrayIterator& operator++() {
      ++idx;
      return *this;
    }
    friend bool operator==(const ArrayIterator& a, const ArrayIterator& b) {
      return a.arr.id() == b.arr.id() && a.idx == b.idx;
    }
    friend bool operator!=(const ArrayIterator& a, const ArrayIterator& b) { return !(a == b); }

   private:
    const array& arr;
    int idx;
  };
  ArrayIterator begin() const { return ArrayIterator(*this); }
  ArrayIterator end() const { return ArrayIterator(*this, shape(0)); }

  // ---- the graph (for primitives and transformations) ----

  /** Identifies the node while it lives. */
  std::uintptr_t id() const { return reinterpret_cast<std::uintptr_t>(desc_.get()); }
  std::uintptr_t primitive_id() const {
    return reinterpret_cast<std::uintptr_t>(desc_->primitive.get());
  }
  Primitive& primitive() const { return *desc_->primitive; }
  std::shared_ptr<Primitive>& primitive_ptr() const { return desc_->primitive; }
  bool has_primitive() const { return desc_->primitive != nullptr; }
  const std::vector<array>& inputs() const { return desc_->inputs; }
  std::vector<array>& inputs() { return desc_->inputs; }

  /** The other outputs of the same primitive, in order; outputs() includes this one. */
  std::vector<array> siblings() const;
  std::vector<array> outputs() const;
  int sibling_position() const { return desc_->position; }
  bool has_siblings() const { return desc_->group != nullptr; }
  /** Makes this and siblings the outputs of one primitive, this one at position. */
  void set_siblings(std::vector<array> siblings, uint16_t position);

  /** The place in the program that made the node. */
  SourceId source() const { return desc_->source; }
  void set_source(SourceId id) { desc_->source = id; }

  /** Drops primitive, inputs and siblings: the array is then only its value. */
  void detach();

  void set_tracer(bool is_tracer) { desc_->is_tracer = is_tracer; }
  /** True while a transformation may still ask how this node was made. */
  bool is_tracer() const;

  // ---- the value (valid once evaluated) ----

  const Flags& flags() const { return desc_->flags; }
  /** Elements of the buffer that the array uses, from data<T>() on (less than size() if broadcast).
   */
  size_t data_size() const { return desc_->data_size; }
  allocator::Buffer buffer() const { return desc_->data->buffer(); }
  size_t buffer_size() const { return allocator::allocator().size(buffer()); }
  const std::shared_ptr<Data>& data_shared_ptr() const { return desc_->data; }
  /** Element 0 in the host's memory, where the value comes to if a device has it. What is written
   * there reaches devices that use the array later. */
  template <typename T>
  T* data() {
    if (desc_->data && desc_->data->place() != Data::host) desc_->data->claim_for_host();
    return static_cast<T*>(desc_->data_ptr);
  }
  template <typename T>
  const T* data() const {
    if (desc_->data && desc_->data->place() == Data::device) desc_->data->bring_to_host();
    return static_cast<const T*>(desc_->data_ptr);
  }
  /** Bytes from the start of the buffer to element 0. */
  int64_t offset() const { return desc_->offset; }
  /** True if nobody else can see the node or its memory, so a result may be written over it. */
  bool is_donatable() const {
    return desc_.use_count() == 1 && desc_->data.use_count() == 1 && desc_->data->is_owned();
  }

  Status status() const { return desc_->status.load(std::memory_order_acquire); }
  void set_status(Status s) const { desc_->status.store(s, std::memory_order_release); }
  bool is_available() const { return status() == available; }
  /** Waits for a value being computed; rethrows the error if that failed. */
  void wait();
  Event& event() const { return desc_->event; }
  void attach_event(Event e) const { desc_->event = std::move(e); }
  void detach_event() const { desc_->event = Event(); }

  /** Row-major value over the whole buffer. */
  void set_data(allocator::Data data);
  void set_data(allocator::Data data, size_t data_size, Strides strides, Flags flags,
                int64_t offset = 0);
  /** Share the buffer of other; offset is in elements of this array's dtype from other's start. */
  void copy_shared_buffer(const array& other, const Strides& strides, Flags flags, size_t data_size,
                          int64_t offset = 0);
  void copy_shared_buffer(const array& other);
  void overwrite_descriptor(const array& other) { desc_ = other.desc_; }
  static array unsafe_weak_copy(const array& other);

 private:
  struct SiblingGroup;
  friend struct GraphAccess;

  struct ArrayDesc {
    ArrayDesc(Shape shape, Dtype dtype);
    ArrayDesc(Shape shape, Dtype dtype, std::shared_ptr<Primitive> primitive,
              std::vector<array> inputs);
    ~ArrayDesc();
    ArrayDesc(const ArrayDesc&) = delete;
    ArrayDesc& operator=(const ArrayDesc&) = delete;

    Shape shape;
    Strides strides;
    size_t size;
    Dtype dtype;
    mutable std::atomic<Status> status;
    bool is_tracer = false;
    uint16_t position = 0;  // among the outputs of the primitive
    Flags flags{};
    SourceId source = 0;
    // Scratch of the evaluator's planner, guarded by its lock.
    int32_t plan_index = -1;
    uint64_t plan_epoch = 0;

    std::shared_ptr<Primitive> primitive;
    std::vector<array> inputs;
    std::shared_ptr<SiblingGroup> group;  // null for a single output

    std::shared_ptr<Data> data;
    void* data_ptr = nullptr;
    int64_t offset = 0;
    size_t data_size = 0;
    mutable Event event;
  };

  explicit array(std::shared_ptr<ArrayDesc> desc) : desc_(std::move(desc)) {}
  template <typename It>
  void init(const It src);
  static void join(std::vector<array>& outs);

  std::shared_ptr<ArrayDesc> desc_;
};

/** Row-major strides of a shape. */
Strides row_major_strides(const Shape& shape);
/** Number of elements; throws std::invalid_argument if a dimension is negative or it overflows. */
size_t num_elements(const Shape& shape);
/** The flags that follow from shape and strides. data_size is set to the span used. */
array::Flags layout_flags(const Shape& shape, const Strides& strides, size_t& data_size);

template <>
inline TypeToDtype<bool>::operator Dtype() {
  return bool_;
}
#define MLX_TYPE_TO_DTYPE(T, d)             \
  template <>                               \
  inline TypeToDtype<T>::operator Dtype() { \
    return d;                               \
  }
MLX_TYPE_TO_DTYPE(uint8_t, uint8)
MLX_TYPE_TO_DTYPE(uint16_t, uint16)
MLX_TYPE_TO_DTYPE(uint32_t, uint32)
MLX_TYPE_TO_DTYPE(uint64_t, uint64)
MLX_TYPE_TO_DTYPE(int8_t, int8)
MLX_TYPE_TO_DTYPE(int16_t, int16)
MLX_TYPE_TO_DTYPE(int32_t, int32)
MLX_TYPE_TO_DTYPE(int64_t, int64)
MLX_TYPE_TO_DTYPE(float16_t, float16)
MLX_TYPE_TO_DTYPE(bfloat16_t, bfloat16)
MLX_TYPE_TO_DTYPE(float, float32)
MLX_TYPE_TO_DTYPE(double, float32)  // Python's and C++'s default literals mean float32 here
MLX_TYPE_TO_DTYPE(std::complex<float>, complex64)
MLX_TYPE_TO_DTYPE(complex64_t, complex64)
#undef MLX_TYPE_TO_DTYPE

namespace detail {
template <typename T, typename S>
T element_from(const S& v) {
  if constexpr (is_complex<S> && !is_complex<T>) {
    return static_cast<T>(v.real());
  } else if constexpr (is_complex<S> && std::is_same_v<T, complex64_t>) {
    return complex64_t(v.real(), v.imag());
  } else {
    return static_cast<T>(v);
  }
}

/** Writes n elements of src, converted, into out[0..n) of the dtype. */
template <typename It>
void fill_from(It src, size_t n, Dtype dtype, void* out) {
  auto fill = [&]<typename T>(T* dst) {
    using S = typename std::iterator_traits<It>::value_type;
    for (size_t i = 0; i < n; ++i, ++src) dst[i] = element_from<T, S>(*src);
  };
  switch (dtype.val()) {
    case Dtype::Val::bool_:
      return fill(static_cast<bool*>(out));
    case Dtype::Val::uint8:
      return fill(static_cast<uint8_t*>(out));
    case Dtype::Val::uint16:
      return fill(static_cast<uint16_t*>(out));
    case Dtype::Val::uint32:
      return fill(static_cast<uint32_t*>(out));
    case Dtype::Val::uint64:
      return fill(static_cast<uint64_t*>(out));
    case Dtype::Val::int8:
      return fill(static_cast<int8_t*>(out));
    case Dtype::Val::int16:
      return fill(static_cast<int16_t*>(out));
    case Dtype::Val::int32:
      return fill(static_cast<int32_t*>(out));
    case Dtype::Val::int64:
      return fill(static_cast<int64_t*>(out));
    case Dtype::Val::float16:
      return fill(static_cast<float16_t*>(out));
    case Dtype::Val::bfloat16:
      return fill(static_cast<bfloat16_t*>(out));
    case Dtype::Val::float32:
      return fill(static_cast<float*>(out));
    case Dtype::Val::float64:
      return fill(static_cast<double*>(out));
    case Dtype::Val::complex64:
      return fill(static_cast<complex64_t*>(out));
  }
}
/** One element of the dtype at src, as double (complex: real part). */
template <typename T>
T read_element(const void* src, Dtype dtype) {
  auto read = [&]<typename S>(const S* p) -> T {
    if constexpr (is_complex<S> && !is_complex<T>) {
      return static_cast<T>(p->real());
    } else {
      return static_cast<T>(*p);
    }
  };
  switch (dtype.val()) {
    case Dtype::Val::bool_:
      return read(static_cast<const bool*>(src));
    case Dtype::Val::uint8:
      return read(static_cast<const uint8_t*>(src));
    case Dtype::Val::uint16:
      return read(static_cast<const uint16_t*>(src));
    case Dtype::Val::uint32:
      return read(static_cast<const uint32_t*>(src));
    case Dtype::Val::uint64:
      return read(static_cast<const uint64_t*>(src));
    case Dtype::Val::int8:
      return read(static_cast<const int8_t*>(src));
    case Dtype::Val::int16:
      return read(static_cast<const int16_t*>(src));
    case Dtype::Val::int32:
      return read(static_cast<const int32_t*>(src));
    case Dtype::Val::int64:
      return read(static_cast<const int64_t*>(src));
    case Dtype::Val::float16:
      return read(static_cast<const float16_t*>(src));
    case Dtype::Val::bfloat16:
      return read(static_cast<const bfloat16_t*>(src));
    case Dtype::Val::float32:
      return read(static_cast<const float*>(src));
    case Dtype::Val::float64:
      return read(static_cast<const double*>(src));
    case Dtype::Val::complex64:
      return read(static_cast<const complex64_t*>(src));
  }
  return T{};
}
[[noreturn]] void throw_not_scalar(const Shape& shape);
[[noreturn]] void throw_size_mismatch(size_t given, const Shape& shape);
}  // namespace detail

template <typename T>
array::array(T val, Dtype dtype) : desc_(std::make_shared<ArrayDesc>(Shape{}, dtype)) {
  init(&val);
}

template <typename It>
array::array(It data, Shape shape, Dtype dtype)
    : desc_(std::make_shared<ArrayDesc>(std::move(shape), dtype)) {
  init(data);
}

template <typename T>
array::array(std::initializer_list<T> data, Dtype dtype)
    : desc_(std::make_shared<ArrayDesc>(Shape{static_cast<ShapeElem>(data.size())}, dtype)) {
  init(data.begin());
}

template <typename T>
array::array(std::initializer_list<T> data, Shape shape, Dtype dtype)
    : desc_(std::make_shared<ArrayDesc>(std::move(shape), dtype)) {
  if (data.size() != size()) detail::throw_size_mismatch(data.size(), this->shape());
  init(data.begin());
}

template <typename It>
void array::init(const It src) {
  set_data(allocator::malloc(nbytes()));
  detail::fill_from(src, size(), dtype(), desc_->data_ptr);
  set_status(available);
}

template <typename T>
T array::item() {
  if (size() != 1) detail::throw_not_scalar(shape());
  eval();
  return detail::read_element<T>(std::as_const(*this).template data<char>(), dtype());
}

template <typename T>
T array::item() const {
  array self = *this;
  return self.item<T>();
}

template <typename T>
inline constexpr bool is_array_v =
    std::is_same_v<std::remove_cv_t<std::remove_reference_t<T>>, array>;
template <typename... T>
inline constexpr bool is_arrays_v = (is_array_v<T> && ...);
template <typename... T>
using enable_for_arrays_t = typename std::enable_if_t<is_arrays_v<T...>>;

}  // namespace mlx::core
