// core/stream.cpp: devices, streams and the threads behind asynchronous evaluation.
#include "mlx/stream.h"

#include <sched.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "core/gpu.h"
#include "core/scheduler.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

/** One worker thread that runs tasks in order. Started at the first task. */
class StreamThread {
 public:
  ~StreamThread() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  void enqueue(std::function<void()> task) {
    std::lock_guard lock(mutex_);
    if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
    tasks_.push_back(std::move(task));
    changed_.notify_all();
  }

  void drain() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return tasks_.empty() && !busy_; });
  }

  /** In a forked child the thread is gone: forget it without touching it. */
  static void abandon(std::unique_ptr<StreamThread>& t) { (void)t.release(); }

 private:
  void loop() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      busy_ = true;
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
      busy_ = false;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool busy_ = false;
  bool stop_ = false;
  std::thread thread_;
};

struct Registry {
  std::mutex mutex;
  pid_t pid = getpid();
  std::vector<Stream> streams;
  // By stream index: who runs plans that were evaluated asynchronously, and a device's queue.
  std::vector<std::unique_ptr<StreamThread>> threads;
  std::vector<std::unique_ptr<StreamThread>> queues;
  std::map<Device, Stream> defaults;

  Stream add(Device d) {
    Stream s(static_cast<int>(streams.size()), d);
    streams.push_back(s);
    threads.push_back(std::make_unique<StreamThread>());
    queues.push_back(std::make_unique<StreamThread>());
    return s;
  }
};

// Never destroyed: worker threads may outlive static destruction. Idle threads end with the
// process.
Registry& registry() {
  static Registry* r = new Registry;
  if (r->pid != getpid()) {
    // After fork only this thread lives; locks and threads of the parent are of no use.
    auto* fresh = new Registry;
    fresh->streams = r->streams;
    fresh->defaults = r->defaults;
    for (auto& t : r->threads) {
      StreamThread::abandon(t);
      fresh->threads.push_back(std::make_unique<StreamThread>());
    }
    for (auto& q : r->queues) {
      StreamThread::abandon(q);
      fresh->queues.push_back(std::make_unique<StreamThread>());
    }
    r = fresh;
  }
  return *r;
}

thread_local std::map<Device, Stream> thread_defaults;
thread_local std::map<int, Stream> thread_local_streams;

Device& global_device() {
  static Device d(is_available(Device(Device::gpu)) ? Device::gpu : Device::cpu);
  return d;
}

void check_available(const Device& d, const char* op) {
  if (!is_available(d)) {
    std::ostringstream msg;
    msg << "[" << op << "] " << d << " is not available on this machine.";
    throw std::invalid_argument(msg.str());
  }
}

}  // namespace

const Device& default_device() { return global_device(); }

void set_default_device(const Device& d) {
  check_available(d, "set_default_device");
  global_device() = d;
}

Stream default_stream(Device d) {
  check_available(d, "default_stream");
  auto it = thread_defaults.find(d);
  if (it != thread_defaults.end()) return it->second;
  auto& r = registry();
  std::lock_guard lock(r.mutex);
  auto [entry, added] = r.defaults.try_emplace(d, Stream(0, d));
  if (added) entry->second = r.add(d);
  thread_defaults.insert_or_assign(d, entry->second);
  return entry->second;
}

std::optional<Stream> peek_default_stream(Device d) {
  if (!is_available(d)) return std::nullopt;
  return default_stream(d);
}

void set_default_stream(Stream s) {
  check_available(s.device, "set_default_stream");
  thread_defaults.insert_or_assign(s.device, s);
}

Stream new_stream(Device d) {
  check_available(d, "new_stream");
  auto& r = registry();
  std::lock_guard lock(r.mutex);
  return r.add(d);
}

Stream new_thread_unsafe_stream(Device d) { return new_stream(d); }

ThreadLocalStream new_thread_local_stream(Device d) {
  Stream s = new_stream(d);
  return ThreadLocalStream(s.index, s.device);
}

Stream stream_from_thread_local_stream(ThreadLocalStream tls) {
  auto it = thread_local_streams.find(tls.index);
  if (it == thread_local_streams.end())
    it = thread_local_streams.emplace(tls.index, new_stream(tls.device)).first;
  return it->second;
}

std::vector<Stream> get_streams() {
  default_stream(default_device());
  auto& r = registry();
  std::lock_guard lock(r.mutex);
  return r.streams;
}

void synchronize() { synchronize(default_stream(default_device())); }

void synchronize(Stream s) {
  StreamThread *thread = nullptr, *queue = nullptr;
  {
    auto& r = registry();
    std::lock_guard lock(r.mutex);
    if (s.index < 0 || s.index >= static_cast<int>(r.threads.size()))
      throw std::invalid_argument("[synchronize] No such stream.");
    thread = r.threads[s.index].get();
    queue = r.queues[s.index].get();
  }
  thread->drain();
  queue->drain();
}

void synchronize(ThreadLocalStream s) { synchronize(stream_from_thread_local_stream(s)); }

void clear_streams() {
  for (auto s : get_streams()) synchronize(s);
}

namespace scheduler {
void enqueue(Stream s, std::function<void()> task) {
  auto& r = registry();
  std::lock_guard lock(r.mutex);
  r.threads[s.index]->enqueue(std::move(task));
}

void enqueue_on_device(Stream s, std::function<void()> task) {
  auto& r = registry();
  std::lock_guard lock(r.mutex);
  r.queues[s.index]->enqueue(std::move(task));
}
}  // namespace scheduler

Stream to_stream(StreamOrDevice s) { return to_stream(s, default_device()); }

Stream to_stream(StreamOrDevice s, Device default_) {
  if (std::holds_alternative<std::monostate>(s)) return default_stream(default_);
  if (auto* stream = std::get_if<Stream>(&s)) return *stream;
  if (auto* local = std::get_if<ThreadLocalStream>(&s))
    return stream_from_thread_local_stream(*local);
  if (auto* device = std::get_if<Device>(&s)) return default_stream(*device);
  return default_stream(Device(std::get<Device::DeviceType>(s)));
}

StreamContext::StreamContext(StreamOrDevice s)
    : device_(default_device()), stream_(default_stream(default_device())) {
  if (std::holds_alternative<std::monostate>(s))
    throw std::invalid_argument(
        "[StreamContext] Invalid argument, please specify a stream or device.");
  Stream target = to_stream(s);
  stream_ = default_stream(target.device);
  set_default_device(target.device);
  set_default_stream(target);
}

StreamContext::~StreamContext() noexcept(false) {
  set_default_stream(stream_);
  set_default_device(device_);
}

bool is_available(const Device& d) { return d.index >= 0 && d.index < device_count(d.type); }

int device_count(Device::DeviceType type) {
  if (type == Device::cpu) return 1;
  return gpu_backend() ? gpu_backend()->count() : 0;
}

const std::unordered_map<std::string, std::variant<std::string, size_t>>& device_info(
    const Device& d) {
  check_available(d, "device_info");
  if (d.type == Device::gpu) {
    static std::map<int, std::unordered_map<std::string, std::variant<std::string, size_t>>> known;
    static std::mutex mutex;
    std::lock_guard lock(mutex);
    auto it = known.find(d.index);
    if (it == known.end()) it = known.emplace(d.index, gpu_backend()->info(d.index)).first;
    return it->second;
  }
  static const auto info = [] {
    std::unordered_map<std::string, std::variant<std::string, size_t>> m;
    std::string name = "CPU", line;
    std::ifstream cpuinfo("/proc/cpuinfo");
    while (std::getline(cpuinfo, line)) {
      if (line.rfind("model name", 0) == 0) {
        name = line.substr(line.find(':') + 2);
        break;
      }
    }
    cpu_set_t set;
    size_t cores = sched_getaffinity(0, sizeof(set), &set) == 0
                       ? CPU_COUNT(&set)
                       : std::thread::hardware_concurrency();
    m["device_name"] = name;
    m["architecture"] = std::string("cpu");
    m["num_cores"] = cores;
    m["memory_size"] = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
    return m;
  }();
  return info;
}

}  // namespace mlx::core
