// backend/emulated/gpu.cpp: GPUs that are not there, for tests. With MLX_EMULATE_GPU=n in the
// environment there are n of them. Their memory is apart from the host's, which is poisoned where
// it is not valid; their queues take random time; they have kernels for some primitives, which are
// the CPU's run over their memory, and none for others.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string_view>
#include <thread>

#include "core/gpu.h"
#include "core/memory/residency.h"
#include "core/run.h"

namespace mlx::core {

namespace {

constexpr int kPoison = 0xCB;  // as float32 -26740120, as float16 -15.6: wrong, and seen as such
constexpr std::string_view kKernels[] = {
    "AddMM",   "Arange",     "ArgReduce", "Concatenate",     "Gather",  "LayerNorm",
    "Matmul",  "LogSumExp",  "Pad",       "QuantizedMatmul", "RMSNorm", "ScaledDotProductAttention",
    "Scatter", "RandomBits", "Softmax"};

class EmulatedGpu final : public GpuBackend {
 public:
  explicit EmulatedGpu(int count) : count_(count) {}

  const char* kind() const override { return "emulated"; }
  int count() const override { return count_; }
  std::unordered_map<std::string, std::variant<std::string, size_t>> info(int index) override {
    return {{"device_name", "emulated GPU " + std::to_string(index)},
            {"architecture", std::string("emulated")},
            {"memory_size", size_t{1} << 32}};
  }

  std::shared_ptr<void> allocate(int, size_t bytes) override {
    auto data = std::make_shared<allocator::Data>(allocator::malloc(bytes));
    void* memory = data->buffer().ptr();
    std::memset(memory, kPoison, bytes);
    return std::shared_ptr<void>(std::move(data), memory);
  }
  void copy_to_device(int, void* there, const void* host, size_t bytes) override {
    std::memcpy(there, host, bytes);
  }
  void copy_to_host(int, void* host, const void* there, size_t bytes) override {
    std::memcpy(host, there, bytes);
  }
  void host_is_stale(void* host, size_t bytes) override { std::memset(host, kPoison, bytes); }

  void before_task() override {
    thread_local std::minstd_rand random(
        static_cast<unsigned>(std::hash<std::thread::id>()(std::this_thread::get_id())));
    // Mostly no time at all, now and then long enough for others to overtake.
    if (random() % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 200));
  }

  bool has_kernel(const Primitive& primitive) const override {
    return std::find(std::begin(kKernels), std::end(kKernels), primitive.name()) !=
           std::end(kKernels);
  }

  void run(Primitive& primitive, const std::vector<array>& inputs,
           std::vector<array>& outputs) override {
    over_there(inputs, outputs, primitive.device(),
               [&](const auto& ins, auto& outs) { primitive.eval_cpu(ins, outs); });
  }

  bool run_tape(const Tape& tape, const Shape& shape, const std::vector<array>& operands,
                std::vector<array>& outputs, Device device) override {
    over_there(operands, outputs, device, [&](const auto& ins, auto& outs) {
      mlx::core::run_tape(tape, shape, ins, outs, Device::cpu, [](size_t) { return false; });
    });
    return true;
  }

 private:
  /** a, over the device's copy of its memory. */
  static array there(const array& a, Device device) {
    if (!a.data_shared_ptr()) return a;
    auto memory = Residency::on(*a.data_shared_ptr(), device);
    array twin(a.shape(), a.dtype(), nullptr, {});
    twin.set_data(allocator::Data(allocator::Buffer(memory.get()), [memory](allocator::Buffer) {}),
                  a.data_size(), a.strides(), a.flags(), a.offset());
    twin.set_status(array::available);
    return twin;
  }

  template <class Work>
  static void over_there(const std::vector<array>& inputs, std::vector<array>& outputs,
                         Device device, const Work& work) {
    std::vector<array> ins, outs;
    for (const auto& in : inputs) ins.push_back(there(in, device));
    for (const auto& out : outputs)
      outs.emplace_back(out.shape(), out.dtype(), nullptr, std::vector<array>{});
    for (size_t k = 0; k < outs.size(); ++k) outs[k].set_source(outputs[k].source());
    work(ins, outs);
    for (size_t k = 0; k < outs.size(); ++k) {
      if (share(outputs[k], outs[k], inputs, ins, inputs.size())) continue;
      if (share(outputs[k], outs[k], outputs, outs, k)) continue;
      auto data = outs[k].data_shared_ptr();
      outputs[k].set_data(allocator::malloc(data->used()), outs[k].data_size(), outs[k].strides(),
                          outs[k].flags(), outs[k].offset());
      Residency::born(*outputs[k].data_shared_ptr(), device,
                      std::shared_ptr<void>(data, data->buffer().ptr()));
    }
  }

  /** If out's twin is a view of one of the first n twins, out is one of what that stands for. */
  static bool share(array& out, const array& twin, const std::vector<array>& arrays,
                    const std::vector<array>& twins, size_t n) {
    for (size_t i = 0; i < n; ++i) {
      if (twins[i].data_shared_ptr() != twin.data_shared_ptr()) continue;
      int64_t bytes = twin.offset() - twins[i].offset();
      out.copy_shared_buffer(arrays[i], twin.strides(), twin.flags(), twin.data_size(),
                             bytes / static_cast<int64_t>(out.itemsize()));
      return true;
    }
    return false;
  }

  int count_;
};

const bool registered = [] {
  const char* wanted = std::getenv("MLX_EMULATE_GPU");
  int count = wanted ? std::atoi(wanted) : 0;
  if (count > 0) register_gpu_backend(std::make_unique<EmulatedGpu>(std::min(count, 8)));
  return count > 0;
}();

}  // namespace

}  // namespace mlx::core
