// include/mlx/small_vector.h: a vector that keeps its first kSize elements in place.
// Meant for shapes and strides: trivially copyable elements only.
#pragma once

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace mlx::core {

template <typename T, typename = void>
struct is_iterator : std::false_type {};
template <typename T>
struct is_iterator<T, std::void_t<typename std::iterator_traits<T>::difference_type,
                                  typename std::iterator_traits<T>::iterator_category,
                                  typename std::iterator_traits<T>::pointer,
                                  typename std::iterator_traits<T>::reference,
                                  typename std::iterator_traits<T>::value_type>> : std::true_type {
};
template <typename T>
constexpr bool is_iterator_v = is_iterator<T>::value;

template <typename T, size_t kSize = 10, typename Allocator = std::allocator<T>>
class SmallVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  using value_type = T;
  using reference = T&;
  using const_reference = const T&;
  using iterator = T*;
  using const_iterator = const T*;
  using difference_type = std::ptrdiff_t;
  using size_type = std::size_t;

  SmallVector() = default;
  explicit SmallVector(const Allocator&) {}
  explicit SmallVector(size_t size, const Allocator& = Allocator()) { resize(size); }
  SmallVector(size_t size, const T& initial_value, const Allocator& = Allocator()) {
    resize(size, initial_value);
  }
  SmallVector(std::initializer_list<T> init, const Allocator& = Allocator())
      : SmallVector(init.begin(), init.end()) {}
  template <typename Iter, typename = std::enable_if_t<is_iterator_v<Iter>>>
  SmallVector(Iter begin, Iter end, const Allocator& = Allocator()) {
    insert(this->begin(), begin, end);
  }
  SmallVector(const SmallVector& other) { *this = other; }
  SmallVector(const SmallVector& other, const Allocator&) : SmallVector(other) {}
  SmallVector(SmallVector&& other) noexcept { take(other); }
  SmallVector(SmallVector&& other, const Allocator&) noexcept { take(other); }
  ~SmallVector() { release(); }

  SmallVector& operator=(const SmallVector& other) {
    if (this != &other) {
      reserve(other.size_);
      std::copy_n(other.data_, other.size_, data_);
      size_ = other.size_;
    }
    return *this;
  }
  SmallVector& operator=(SmallVector&& other) noexcept {
    if (this != &other) {
      release();
      take(other);
    }
    return *this;
  }

  bool operator==(const SmallVector& other) const {
    return size_ == other.size_ && std::equal(begin(), end(), other.begin());
  }
  bool operator!=(const SmallVector& other) const { return !(*this == other); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  iterator begin() { return data_; }
  const_iterator begin() const { return data_; }
  iterator end() { return data_ + size_; }
  const_iterator end() const { return data_ + size_; }
  const_iterator cbegin() const { return begin(); }
  const_iterator cend() const { return end(); }
  auto rbegin() { return std::make_reverse_iterator(end()); }
  auto rbegin() const { return std::make_reverse_iterator(end()); }
  auto rend() { return std::make_reverse_iterator(begin()); }
  auto rend() const { return std::make_reverse_iterator(begin()); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t capacity() const { return capacity_; }
  T& front() { return data_[0]; }
  const T& front() const { return data_[0]; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }
  T& at(size_t index) {
    if (index >= size_) throw std::out_of_range("SmallVector::at: index out of range");
    return data_[index];
  }
  const T& at(size_t index) const { return const_cast<SmallVector*>(this)->at(index); }
  T& operator[](size_t index) { return data_[index]; }
  const T& operator[](size_t index) const { return data_[index]; }

  template <typename... Args>
  void emplace_back(Args&&... args) {
    push_back(T(std::forward<Args>(args)...));
  }
  void push_back(T x) {
    if (size_ == capacity_) grow(size_ + 1);
    data_[size_++] = x;
  }
  void pop_back(size_t count = 1) { size_ -= std::min(count, size_); }
  iterator insert(iterator pos, T value) { return insert(pos, &value, &value + 1); }
  iterator insert(iterator pos, size_t count, T value) {
    T* gap = open_gap(pos - data_, count);
    std::fill_n(gap, count, value);
    return gap;
  }
  template <typename Iter, typename = std::enable_if_t<is_iterator_v<Iter>>>
  iterator insert(iterator pos, Iter begin, Iter end) {
    T* gap = open_gap(pos - data_, std::distance(begin, end));
    std::copy(begin, end, gap);
    return gap;
  }
  iterator insert(iterator pos, std::initializer_list<const T> values) {
    return insert(pos, values.begin(), values.end());
  }
  iterator erase(iterator erase_start, iterator erase_end) {
    std::move(erase_end, end(), erase_start);
    size_ -= erase_end - erase_start;
    return erase_start;
  }
  iterator erase(iterator pos) { return erase(pos, pos + 1); }
  void resize(size_t new_size) { resize(new_size, T{}); }
  void resize(size_t new_size, const T& initial_value) {
    T value = initial_value;  // may live in this vector
    reserve(new_size);
    if (new_size > size_) std::fill(data_ + size_, data_ + new_size, value);
    size_ = new_size;
  }
  void reserve(size_t new_capacity) {
    if (new_capacity > capacity_) grow(new_capacity);
  }
  void clear() { size_ = 0; }

 private:
  void grow(size_t wanted) {
    size_t capacity = std::max(wanted, 2 * capacity_);
    T* data = new T[capacity];
    std::copy_n(data_, size_, data);
    release();
    data_ = data;
    capacity_ = capacity;
  }
  T* open_gap(size_t index, size_t count) {
    if (size_ + count > capacity_) grow(size_ + count);
    std::move_backward(data_ + index, data_ + size_, data_ + size_ + count);
    size_ += count;
    return data_ + index;
  }
  void release() {
    if (data_ != inline_) delete[] data_;
  }
  void take(SmallVector& other) noexcept {
    size_ = other.size_;
    if (other.data_ == other.inline_) {
      data_ = inline_;
      capacity_ = kSize;
      std::copy_n(other.data_, size_, data_);
    } else {
      data_ = other.data_;
      capacity_ = other.capacity_;
      other.data_ = other.inline_;
      other.capacity_ = kSize;
    }
    other.size_ = 0;
  }

  T inline_[kSize];
  T* data_ = inline_;
  size_t size_ = 0;
  size_t capacity_ = kSize;
};

template <typename>
struct is_vector : std::false_type {};
template <typename T, size_t Size, typename Allocator>
struct is_vector<SmallVector<T, Size, Allocator>> : std::true_type {};
template <typename T, typename Allocator>
struct is_vector<std::vector<T, Allocator>> : std::true_type {};
template <typename Vec>
inline constexpr bool is_vector_v = is_vector<Vec>::value;

}  // namespace mlx::core
