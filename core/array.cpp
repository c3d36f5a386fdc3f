// core/array.cpp: nodes of the graph, their layout, and their end.
#include "mlx/array.h"

#include <limits>
#include <mutex>
#include <sstream>

#include "core/source.h"
#include "core/tracing.h"
#include "mlx/ops.h"
#include "mlx/primitive.h"
#include "mlx/transforms.h"
#include "mlx/utils.h"

namespace mlx::core {

// Outputs of one primitive know each other weakly, so that they do not keep each other alive.
struct array::SiblingGroup {
  std::mutex mutex;
  std::vector<std::weak_ptr<ArrayDesc>> members;
  std::vector<Shape> shapes;
  std::vector<Dtype> dtypes;
};

Strides row_major_strides(const Shape& shape) {
  Strides strides(shape.size());
  int64_t step = 1;
  for (int i = static_cast<int>(shape.size()) - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

size_t num_elements(const Shape& shape) {
  // Few arrays come near the limit; the product in long double tells overflow apart safely.
  long double product = 1;
  size_t n = 1;
  for (auto d : shape) {
    if (d < 0)
      throw std::invalid_argument("[array] Negative dimensions not allowed, got shape " +
                                  to_string(shape) + ".");
    n *= static_cast<size_t>(d);
    product *= d;
  }
  if (product > static_cast<long double>(std::numeric_limits<int64_t>::max())) {
    bool empty = std::any_of(shape.begin(), shape.end(), [](auto d) { return d == 0; });
    if (!empty)
      throw std::invalid_argument("[array] Too many elements in shape " + to_string(shape) + ".");
    return 0;
  }
  return n;
}

array::Flags layout_flags(const Shape& shape, const Strides& strides, size_t& data_size) {
  int ndim = static_cast<int>(shape.size());
  size_t size = 1;
  bool row = true, col = true;
  int64_t row_step = 1, col_step = 1, span = 1;
  bool negative = false;
  for (int i = ndim - 1; i >= 0; --i) {
    size *= shape[i];
    if (shape[i] == 1) continue;
    row &= strides[i] == row_step;
    row_step *= shape[i];
    negative |= strides[i] < 0;
    span += std::abs(strides[i]) * (static_cast<int64_t>(shape[i]) - 1);
  }
  for (int i = 0; i < ndim; ++i) {
    if (shape[i] == 1) continue;
    col &= strides[i] == col_step;
    col_step *= shape[i];
  }
  if (size == 0) {
    data_size = 0;
    return {true, true, true};
  }
  data_size = static_cast<size_t>(span);
  // Dense in some order of the axes: as many places as elements, none shared.
  bool dense = !negative && data_size == size;
  if (dense && !row && !col) {
    // A span of the right length may still hide overlaps with gaps, as strides {1,1} over {2,3}.
    SmallVector<int> order(ndim);
    for (int i = 0; i < ndim; ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](int a, int b) { return strides[a] < strides[b]; });
    int64_t step = 1;
    for (int i : order) {
      if (shape[i] == 1) continue;
      dense &= strides[i] == step;
      step *= shape[i];
    }
  }
  return {dense, row && dense, col && dense};
}

// ---- nodes ----

array::ArrayDesc::ArrayDesc(Shape s, Dtype d)
    : shape(std::move(s)), size(num_elements(shape)), dtype(d), status(available) {
  strides = row_major_strides(shape);
}

array::ArrayDesc::ArrayDesc(Shape s, Dtype d, std::shared_ptr<Primitive> p, std::vector<array> in)
    : shape(std::move(s)),
      size(num_elements(shape)),
      dtype(d),
      status(unscheduled),
      primitive(std::move(p)),
      inputs(std::move(in)) {
  strides = row_major_strides(shape);
  if (primitive) source = current_source();
  for (const auto& x : inputs) {
    if (x.desc_->is_tracer) {
      is_tracer = x.is_tracer();
      if (is_tracer) break;
    }
  }
}

// A chain of any length dies without recursion: the outermost destructor empties a worklist.
array::ArrayDesc::~ArrayDesc() {
  if (inputs.empty()) return;
  thread_local std::vector<std::shared_ptr<ArrayDesc>>* worklist = nullptr;
  auto hand_over = [](std::vector<array>& arrays, auto& to) {
    for (auto& a : arrays) {
      if (a.desc_ && a.desc_.use_count() == 1 && !a.desc_->inputs.empty())
        to.push_back(std::move(a.desc_));
    }
  };
  if (worklist) {
    hand_over(inputs, *worklist);
    return;
  }
  std::vector<std::shared_ptr<ArrayDesc>> local;
  worklist = &local;
  hand_over(inputs, local);
  while (!local.empty()) {
    auto node = std::move(local.back());
    local.pop_back();
    node.reset();  // its own destructor hands its inputs over
  }
  worklist = nullptr;
}

array::array(const std::complex<float>& val, Dtype dtype)
    : desc_(std::make_shared<ArrayDesc>(Shape{}, dtype)) {
  init(&val);
}

array::array(std::initializer_list<float> data)
    : desc_(std::make_shared<ArrayDesc>(Shape{static_cast<ShapeElem>(data.size())}, float32)) {
  init(data.begin());
}

array::array(std::initializer_list<int> data, Dtype dtype)
    : desc_(std::make_shared<ArrayDesc>(Shape{static_cast<ShapeElem>(data.size())}, dtype)) {
  init(data.begin());
}

array::array(void* data, Shape shape, Dtype dtype, const std::function<void(void*)>& deleter)
    : desc_(std::make_shared<ArrayDesc>(std::move(shape), dtype)) {
  set_data(allocator::Data(allocator::Buffer(data),
                           [deleter](allocator::Buffer b) { deleter(b.raw_ptr()); }));
}

array::array(allocator::Data data, Shape shape, Dtype dtype)
    : desc_(std::make_shared<ArrayDesc>(std::move(shape), dtype)) {
  set_data(std::move(data));
}

array::array(Shape shape, Dtype dtype, std::shared_ptr<Primitive> primitive,
             std::vector<array> inputs)
    : desc_(std::make_shared<ArrayDesc>(std::move(shape), dtype, std::move(primitive),
                                        std::move(inputs))) {}

std::vector<array> array::make_arrays(std::vector<Shape> shapes, const std::vector<Dtype>& dtypes,
                                      const std::shared_ptr<Primitive>& primitive,
                                      const std::vector<array>& inputs) {
  std::vector<array> outs;
  outs.reserve(shapes.size());
  for (size_t i = 0; i < shapes.size(); ++i)
    outs.emplace_back(shapes[i], dtypes[i], primitive, inputs);
  if (outs.size() > 1) join(outs);
  return outs;
}

void array::join(std::vector<array>& outs) {
  auto group = std::make_shared<SiblingGroup>();
  for (size_t i = 0; i < outs.size(); ++i) {
    group->members.push_back(outs[i].desc_);
    group->shapes.push_back(outs[i].shape());
    group->dtypes.push_back(outs[i].dtype());
    outs[i].desc_->group = group;
    outs[i].desc_->position = static_cast<uint16_t>(i);
  }
}

void array::set_siblings(std::vector<array> siblings, uint16_t position) {
  if (position > siblings.size()) {
    throw std::invalid_argument("[array::set_siblings] Position " + std::to_string(position) +
                                " among " + std::to_string(siblings.size() + 1) + " outputs.");
  }
  siblings.insert(siblings.begin() + position, *this);
  if (siblings.size() > 1) join(siblings);
}

array& array::operator=(const array& other) & {
  desc_ = other.desc_;
  return *this;
}

array& array::operator=(array&& other) & noexcept {
  desc_ = std::move(other.desc_);
  return *this;
}

std::vector<array> array::outputs() const {
  if (!desc_->group) return {*this};
  auto& group = *desc_->group;
  std::lock_guard lock(group.mutex);
  std::vector<array> outs;
  outs.reserve(group.members.size());
  for (size_t i = 0; i < group.members.size(); ++i) {
    auto member = group.members[i].lock();
    if (!member) {
      // Nobody holds this output any more; the primitive still has to write it somewhere.
      array again(group.shapes[i], group.dtypes[i], desc_->primitive, desc_->inputs);
      again.desc_->group = desc_->group;
      again.desc_->position = static_cast<uint16_t>(i);
      group.members[i] = again.desc_;
      member = again.desc_;
    }
    outs.push_back(array(std::move(member)));
  }
  return outs;
}

std::vector<array> array::siblings() const {
  auto all = outputs();
  all.erase(all.begin() + desc_->position);
  return all;
}

void array::detach() {
  desc_->primitive.reset();
  desc_->group.reset();
  desc_->position = 0;
  auto inputs = std::move(desc_->inputs);
  desc_->inputs.clear();
  // Long chains end through the node destructor's worklist.
  ArrayDesc grave(Shape{}, bool_);
  grave.inputs = std::move(inputs);
}

bool array::is_tracer() const { return desc_->is_tracer && in_tracing(); }

void array::eval() {
  if (status() == unscheduled) {
    mlx::core::eval({*this});
  } else {
    wait();
  }
}

void array::wait() {
  if (is_available()) return;
  if (status() == evaluated) desc_->event.wait_until([this] { return is_available(); });
}

array array::unsafe_weak_copy(const array& other) {
  array copy(other.shape(), other.dtype(), nullptr, {});
  (void)other.data<char>();  // the copy does not know of devices
  copy.set_data(allocator::Data(other.buffer(), [](allocator::Buffer) {}), other.data_size(),
                other.strides(), other.flags(), other.offset());
  return copy;
}

// ---- values ----

void array::set_data(allocator::Data data) {
  size_t span;
  auto strides = row_major_strides(shape());
  auto flags = layout_flags(shape(), strides, span);
  set_data(std::move(data), size(), std::move(strides), flags);
}

void array::set_data(allocator::Data data, size_t data_size, Strides strides, Flags flags,
                     int64_t offset) {
  data.use(static_cast<size_t>(offset) + data_size * itemsize());
  desc_->data = std::make_shared<Data>(std::move(data));
  desc_->data_ptr = static_cast<char*>(desc_->data->buffer().raw_ptr()) + offset;
  desc_->offset = offset;
  desc_->data_size = data_size;
  desc_->strides = std::move(strides);
  desc_->flags = flags;
}

void array::copy_shared_buffer(const array& other, const Strides& strides, Flags flags,
                               size_t data_size, int64_t offset) {
  int64_t bytes = offset * static_cast<int64_t>(itemsize());
  desc_->data = other.desc_->data;
  desc_->data_ptr = static_cast<char*>(other.desc_->data_ptr) + bytes;
  desc_->offset = other.desc_->offset + bytes;
  desc_->data_size = data_size;
  desc_->strides = strides;
  desc_->flags = flags;
}

void array::copy_shared_buffer(const array& other) {
  copy_shared_buffer(other, other.strides(), other.flags(), other.data_size());
}

array::ArrayIterator::ArrayIterator(const array& arr, int idx) : arr(arr), idx(idx) {
  if (arr.ndim() == 0) throw std::invalid_argument("Cannot iterate over 0-d array.");
}

array::ArrayIterator::reference array::ArrayIterator::operator*() const {
  Shape start(arr.ndim(), 0);
  Shape stop = arr.shape();
  start[0] = idx;
  stop[0] = idx + 1;
  return squeeze(slice(arr, start, stop), 0);
}

namespace detail {
void throw_not_scalar(const Shape&) {
  throw std::invalid_argument("[convert] Only length-1 arrays can be converted to Python scalars.");
}
void throw_size_mismatch(size_t given, const Shape& shape) {
  throw std::invalid_argument("[array] " + std::to_string(given) + " values do not fill shape " +
                              to_string(shape) + ".");
}
}  // namespace detail

}  // namespace mlx::core
