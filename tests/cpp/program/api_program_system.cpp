// Devices, streams, queues and events; memory; files; printing.
#include <atomic>
#include <filesystem>
#include <sstream>

#include "check.h"
#include "mlx/dtype_utils.h"
#include "mlx/scheduler.h"

using mx::array;

static void streams() {
  check(mx::is_available(mx::Device::cpu) && mx::device_count(mx::Device::cpu) == 1, "a CPU");
  check(mx::device_info(mx::Device::cpu).count("architecture") == 1, "device_info");
  check(!mx::metal::is_available() && !mx::cu::is_available(), "no Metal, no CUDA");
  throws([] { mx::metal::start_capture("/nowhere"); }, "no capture without Metal");
  check(mx::gpu::device_count() == mx::device_count(mx::Device::gpu), "gpu::device_count");

  mx::Stream own = mx::new_stream(mx::Device::cpu), first = mx::default_stream(mx::Device::cpu);
  check(!(own == first) && own.device == mx::Device::cpu, "a new stream");
  array a = mx::add(mx::ones({1000}), mx::ones({1000}), own);
  array b = mx::multiply(a, a, first);
  check(a.primitive().stream() == own, "where a node runs");
  mx::async_eval(a, b);
  b.wait();
  check(b.is_available() && b.data<float>()[999] == 4.0f, "across streams");
  {
    mx::StreamContext here(own);
    check(mx::default_stream(mx::Device::cpu) == own, "StreamContext");
  }
  check(mx::default_stream(mx::Device::cpu) == first, "and back");
  mx::synchronize(own);
  mx::synchronize();

  namespace sched = mx::scheduler;
  std::atomic<int> order{0};
  mx::Event event(own);
  check(event.valid() && !event.is_signaled() && event.stream() == own, "an event");
  sched::enqueue(own, [&] { order = 1; });
  sched::signal_event(own, event, [&](mx::Event&) { order = order * 10 + 2; });
  event.wait();
  check(order == 12 && event.is_signaled(), "tasks in order, then the event");
  mx::Event failed(own);
  sched::signal_event(own, failed, [](mx::Event&) { throw std::runtime_error("lost"); });
  throws([&] { failed.wait(); }, "an event carries its error");
  check(failed.load_error() && failed.load_error()->valid(), "load_error");
  throws([&] { sched::check_error(own); }, "so does the queue");
  sched::check_error(own);
  mx::synchronize(own);
  check(sched::n_active_tasks() == 0, "nothing under way");
  event.set_value(5);
  check(event.value() == 5, "value");
}

static void memory() {
  mx::reset_peak_memory();
  size_t before = mx::get_active_memory();
  {
    array big = mx::zeros({1 << 20});
    array copy = mx::contiguous(big + 1.0f);
    mx::eval(copy);
    check(mx::get_active_memory() >= before + (4 << 20), "active memory");
    check(mx::get_array_buffer_size({copy}) >= (4 << 20), "buffer size");
    check(copy.buffer_size() >= copy.nbytes() && copy.data_size() == copy.size(), "buffer");
  }
  check(mx::get_peak_memory() >= (4 << 20), "peak memory");
  mx::clear_cache();
  check(mx::get_cache_memory() == 0, "an empty cache");
  size_t limit = mx::set_cache_limit(1 << 20);
  mx::set_cache_limit(limit);
  size_t most = mx::set_memory_limit(size_t(1) << 40);
  check(mx::get_memory_limit() == size_t(1) << 40, "memory limit");
  mx::set_memory_limit(most);
  throws([] { mx::contiguous(mx::zeros({1 << 15, 1 << 30})).eval(); }, "too much memory");
}

static void files(const std::string& folder) {
  array a = mx::reshape(mx::arange(6, mx::float32), {2, 3}), b({1, 2, 3}, mx::int8);
  mx::save(folder + "/a.npy", a);
  same(mx::load(folder + "/a.npy"), a, "npy");
  mx::save_safetensors(folder + "/ab.safetensors", {{"a", a}, {"b", b}}, {{"format", "mlx"}});
  auto [tensors, metadata] = mx::load_safetensors(folder + "/ab.safetensors");
  same(tensors.at("a"), a, "safetensors");
  check(tensors.at("b").dtype() == mx::int8 && metadata.at("format") == "mlx", "and its metadata");
  mx::save_gguf(folder + "/a.gguf", {{"a", a}}, {{"name", mx::GGUFMetaData(std::string("x"))}});
  auto gguf = mx::load_gguf(folder + "/a.gguf");
  same(gguf.first.at("a"), a, "gguf");
  check(std::get<std::string>(gguf.second.at("name")) == "x", "and its metadata");
  {
    auto out = std::make_shared<mx::io::FileWriter>(folder + "/b.npy");
    mx::save(out, b);
  }
  auto in = std::make_shared<mx::io::ParallelFileReader>(folder + "/b.npy");
  check(in->is_open() && in->good(), "a reader");
  same(mx::load(in), b, "a file of one's own");
  throws([&] { mx::load(folder + "/none.npy"); }, "there is no such file");
}

static void printing() {
  std::ostringstream os;
  os << array({1.5f, 2.0f}) << mx::float32 << mx::Device(mx::Device::cpu) << mx::Shape{2, 3};
  check(os.str().find("1.5") != std::string::npos, "arrays print");
  check(os.str().find("(2,3)") != std::string::npos, "shapes print");
  mx::set_printoptions({2});
  std::ostringstream short_one;
  short_one << array(1.0f / 3);
  check(short_one.str().find("0.33") != std::string::npos, "precision");
  mx::set_printoptions({});
  check(std::string(mx::version()).size() > 4, "version");
}

static void numbers() {
  mx::complex64_t c(1, 2);
  check(c + 1.0f == mx::complex64_t(2, 2) && 2 * c == mx::complex64_t(2, 4), "complex and real");
  check(mx::float16_t(0.5f) + mx::bfloat16_t(0.25f) == 0.75f, "halves");
  mx::Shape shape{1, 2, 3};
  shape.insert(shape.begin() + 1, 7);
  shape.erase(shape.begin());
  shape.push_back(9);
  check(shape == mx::Shape{7, 2, 3, 9} && shape.back() == 9, "SmallVector");
  check(mx::safe_cast<size_t>(12, "here") == 12 && mx::next_power_of_2(9) == 16, "utilities");
  check(mx::normalize_axis_index(-1, 3) == 2, "axes");
  throws([] { mx::normalize_axis_index(3, 3); }, "an axis too many");
  int bytes = 0;
  mx::dispatch_all_types(mx::float16, [&](auto t) { bytes = sizeof(MLX_GET_TYPE(t)); });
  check(bytes == 2, "dispatch");
  mx::distributed::Group alone = mx::distributed::init();
  check(alone.rank() == 0 && alone.size() == 1, "a group of one");
  same(mx::distributed::all_sum(array({1, 2})), array({1, 2}), "its sum");
}

void services() {
  streams();
  memory();
  auto folder = std::filesystem::temp_directory_path() / "mica_api_program_files";
  std::filesystem::create_directories(folder);
  files(folder.string());
  std::filesystem::remove_all(folder);
  printing();
  numbers();
}
