// core/run.cpp
#include "core/run.h"

#include "core/copy.h"
#include "core/eval.h"
#include "core/gpu.h"
#include "core/observe.h"
#include "mlx/primitive.h"

namespace mlx::core {

namespace {

std::function<void()> interrupt_check;
RunTape tape_runners[2];
RunPacked registered_packed;

Strides broadcast_strides(const array& a, const Shape& shape) {
  if (a.ndim() == shape.size()) {
    Strides strides = a.strides();
    for (size_t i = 0; i < shape.size(); ++i) {
      if (a.shape()[i] == 1) strides[i] = 0;
    }
    return strides;
  }
  return Strides(shape.size(), 0);  // a scalar
}

}  // namespace

void set_interrupt_check(std::function<void()> check) { interrupt_check = std::move(check); }

Interrupts::Interrupts(bool on) : on_(on && interrupt_check) {
  if (on_) last_ = Clock::now();
}

void Interrupts::tick() {
  if (!on_ || (++ticks_ & 15) != 0) return;
  auto now = Clock::now();
  if (now - last_ <= std::chrono::milliseconds(20)) return;
  last_ = now;
  interrupt_check();
}

void register_tape_runner(Device::DeviceType device, RunTape run) {
  tape_runners[static_cast<int>(device)] = run;
}

RunTape tape_runner(Device::DeviceType device) {
  RunTape run = tape_runners[static_cast<int>(device)];
  return run ? run : tape_runners[static_cast<int>(Device::cpu)];
}

void register_packed_runner(RunPacked run) { registered_packed = run; }
RunPacked packed_runner() { return registered_packed; }

void wait_for(const array& a) {
  if (!a.is_available()) const_cast<array&>(a).wait();
  if (!a.is_available()) throw std::runtime_error("[eval] An input could not be computed.");
}

void run_primitive(Primitive& primitive, const std::vector<array>& inputs,
                   std::vector<array>& outs) {
  observed(nullptr, &primitive, nullptr, inputs, outs, [&] {
    if (primitive.device() == Device::cpu) {
      primitive.eval_cpu(inputs, outs);
    } else if (gpu_backend() && gpu_backend()->has_kernel(primitive)) {
      gpu_backend()->run(primitive, inputs, outs);
    } else {
      primitive.eval_gpu(inputs, outs);
    }
  });
}

namespace detail {

const array* layout_source(const Shape& shape, const std::vector<array>& operands) {
  const array* source = nullptr;
  for (const auto& in : operands) {
    if (in.shape() != shape) continue;
    if (in.flags().row_contiguous || !in.flags().contiguous) return nullptr;
    if (source && source->strides() != in.strides()) return nullptr;
    source = &in;
  }
  return source;
}

bool may_take(const array& in, const array& out, const Shape& shape, const Strides& layout) {
  return in.itemsize() == out.itemsize() && in.shape() == shape && in.strides() == layout &&
         in.data_shared_ptr().use_count() == 1 && in.data_shared_ptr()->is_owned();
}

void allocate_as(array& out, const Shape& shape, const Strides& layout) {
  size_t span;
  auto flags = layout_flags(shape, layout, span);
  out.set_data(allocator::malloc(out.nbytes()), out.size(), layout, flags);
}

bool ran_on_gpu(const Tape& tape, const Shape& shape, const std::vector<array>& operands,
                std::vector<array>& outs, Device device) {
  return gpu_backend() && gpu_backend()->run_tape(tape, shape, operands, outs, device);
}

void allocate_result(array& out) { allocate(out); }

void launch_tape(const Tape& tape, const Shape& shape, const std::vector<array>& operands,
                 std::vector<array>& outs) {
  std::vector<TapeOperand> all;
  all.reserve(operands.size() + outs.size());
  for (const auto& in : operands)
    all.push_back({const_cast<char*>(in.data<char>()), broadcast_strides(in, shape)});
  for (auto& out : outs) all.push_back({out.data<char>(), broadcast_strides(out, shape)});
  observed(&tape, nullptr, &shape, operands, outs,
           [&] { tape_runner(Device::cpu)(tape, shape, all); });
}

}  // namespace detail

}  // namespace mlx::core
