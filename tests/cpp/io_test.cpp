// tests/cpp/io_test.cpp: files of arrays: what comes back, what is refused, what stays whole.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "mlx/io.h"
#include "mlx/mlx.h"

namespace {

using namespace mlx::core;
namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mica_io_test_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  static std::string bytes(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void write(const std::string& file, const std::string& content) {
    std::ofstream(file, std::ios::binary) << content;
  }
  fs::path folder_;
};

array sample(Dtype t, const Shape& shape) {
  int n = 1;
  for (auto d : shape) n *= d;
  return astype(reshape(arange(0, n, 1), shape), t);
}

bool same(const array& a, const array& b) {
  return a.dtype() == b.dtype() && array_equal(a, b).item<bool>();
}

TEST_F(Files, EveryDtypeAndShapeComesBack) {
  std::unordered_map<std::string, array> arrays;
  for (int v = 0; v < kNumDtypes; ++v) {
    Dtype t = dtype_of(static_cast<Dtype::Val>(v));
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 5}, Shape{0, 3}}) {
      array a = sample(t, shape);
      save(path("a"), a);
      array back = load(path("a.npy"));
      EXPECT_TRUE(same(a, back)) << t << shape;
      arrays.emplace(std::string(dtype_to_string(t)) + to_string(shape), a);
    }
  }
  array turned = transpose(sample(int16, {3, 4}));
  save(path("turned.npy"), turned);
  EXPECT_TRUE(same(load(path("turned.npy")), turned));
  save_safetensors(path("all"), arrays, {{"format", "mlx"}});
  auto [back, metadata] = load_safetensors(path("all.safetensors"));
  EXPECT_EQ(metadata.at("format"), "mlx");
  ASSERT_EQ(back.size(), arrays.size());
  for (const auto& [name, a] : arrays) EXPECT_TRUE(same(a, back.at(name))) << name;
}

TEST_F(Files, GgufKeepsTensorsAndMetadata) {
  std::unordered_map<std::string, array> arrays;
  for (Dtype t : {float32, float16, bfloat16, float64, int8, int16, int32, int64}) {
    arrays.emplace(dtype_to_string(t), sample(t, {3, 5}));
  }
  arrays.emplace("scalar", array(2.0f));
  arrays.emplace("empty", zeros({0}));
  std::unordered_map<std::string, GGUFMetaData> metadata;
  metadata["text"] = std::string("a \xc3\xa9");
  metadata["list"] = std::vector<std::string>{"x", "", "y"};
  metadata["number"] = array(3, uint32);
  metadata["flag"] = array(true);
  metadata["row"] = array({1.5f, 2.5f});
  save_gguf(path("a"), arrays, metadata);
  auto [back, meta] = load_gguf(path("a.gguf"));
  ASSERT_EQ(back.size(), arrays.size());
  for (const auto& [name, a] : arrays) EXPECT_TRUE(same(a, back.at(name))) << name;
  EXPECT_EQ(std::get<std::string>(meta.at("text")), "a \xc3\xa9");
  EXPECT_EQ(std::get<std::vector<std::string>>(meta.at("list")),
            (std::vector<std::string>{"x", "", "y"}));
  EXPECT_TRUE(same(std::get<array>(meta.at("number")), array(3, uint32)));
  EXPECT_TRUE(same(std::get<array>(meta.at("flag")), array(true)));
  EXPECT_TRUE(same(std::get<array>(meta.at("row")), array({1.5f, 2.5f})));
  EXPECT_THROW(save_gguf(path("b"), {{"c", zeros({2}, complex64)}}), std::runtime_error);
}

TEST_F(Files, GgufBlocksBecomeAffineGroups) {
  // One tensor of type Q8_0, 1 x 32: scale 0.5, values -16 .. 15.
  auto put = [](std::string& s, auto v) { s.append(reinterpret_cast<const char*>(&v), sizeof(v)); };
  std::string file = "GGUF";
  put(file, uint32_t(3));
  put(file, uint64_t(1));
  put(file, uint64_t(0));
  put(file, uint64_t(8));
  file += "w.weight";
  put(file, uint32_t(2));
  put(file, uint64_t(32));
  put(file, uint64_t(1));
  put(file, uint32_t(8));
  put(file, uint64_t(0));
  file.resize((file.size() + 31) / 32 * 32, '\0');
  put(file, uint16_t(0x3800));
  for (int i = -16; i < 16; ++i) put(file, int8_t(i));
  write(path("q.gguf"), file);
  auto arrays = load_gguf(path("q.gguf")).first;
  ASSERT_EQ(arrays.size(), 3u);
  EXPECT_EQ(arrays.at("w.weight").shape(), (Shape{1, 8}));
  EXPECT_EQ(arrays.at("w.scales").dtype(), float16);
  array words = view(arrays.at("w.weight"), uint8);
  array values = add(multiply(astype(words, float32), astype(arrays.at("w.scales"), float32)),
                     astype(arrays.at("w.biases"), float32));
  EXPECT_TRUE(array_equal(values, multiply(reshape(arange(-16, 16, 1), {1, 32}), array(0.5f)))
                  .item<bool>());
}

TEST_F(Files, BytesCutOrChangedGiveAnArrayOrAnException) {
  save(path("a.npy"), sample(float32, {7, 9}));
  save_safetensors(path("a"), {{"x", sample(float32, {7, 9})}, {"y", sample(bool_, {5})}},
                   {{"k", "v"}});
  save_gguf(path("a"), {{"x", sample(float32, {7, 9})}},
            {{"l", std::vector<std::string>{"a", "b"}}, {"n", array(1, uint32)}});
  std::mt19937 random(1);
  for (const std::string name : {"a.npy", "a.safetensors", "a.gguf"}) {
    const std::string whole = bytes(path(name));
    for (int i = 0; i < 600; ++i) {
      std::string broken = whole;
      if (i % 3 == 0) {
        broken.resize(random() % whole.size());
      } else {
        for (int k = 0; k <= i % 5; ++k) broken[random() % whole.size()] = char(random());
      }
      std::string file = path("broken" + name.substr(1));
      fs::remove(file);
      write(file, broken);
      try {
        std::vector<array> out;
        if (name == "a.npy") out.push_back(load(file));
        if (name == "a.safetensors") {
          for (auto& [_, a] : load_safetensors(file).first) out.push_back(a);
        }
        if (name == "a.gguf") {
          for (auto& [_, a] : load_gguf(file).first) out.push_back(a);
        }
        for (auto& a : out) sum(a).eval();
      } catch (const std::exception& e) {
        for (const char* c = e.what(); *c; ++c) EXPECT_LT(static_cast<unsigned char>(*c), 128);
      }
    }
  }
  for (const char* file : {"none.npy", "none.safetensors", "none.gguf"}) {
    EXPECT_THROW(load(path(file)), std::runtime_error);
    EXPECT_THROW(load_safetensors(path(file)), std::runtime_error);
    EXPECT_THROW(load_gguf(path(file)), std::runtime_error);
  }
}

TEST_F(Files, SavingReplacesWholeFilesOnly) {
  array a = sample(float32, {1000});
  save(path("a.npy"), a);
  array mapped = load(path("a.npy"));
  save(path("a.npy"), zeros({5}));
  EXPECT_TRUE(same(mapped, a));  // the old file lives as long as somebody reads it
  mapped.data<float>()[0] = 7;
  EXPECT_EQ(load(path("a.npy")).size(), 5u);
  // Reading and writing the same file.
  save(path("a.npy"), add(load(path("a.npy")), array(1.0f)));
  EXPECT_TRUE(same(load(path("a.npy")), ones({5})));
  array broken = take(a, array({5000}), 0);
  EXPECT_THROW(save(path("a.npy"), broken), std::out_of_range);
  EXPECT_TRUE(same(load(path("a.npy")), ones({5})));
  fs::create_symlink(path("a.npy"), path("link.npy"));
  save(path("link.npy"), zeros({3}));
  EXPECT_TRUE(fs::is_symlink(path("link.npy")));
  EXPECT_EQ(load(path("a.npy")).size(), 3u);
  EXPECT_THROW(save(path("no/folder.npy"), a), std::runtime_error);
  int left = 0;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    left += entry.path().string().find(".tmp") != std::string::npos;
  }
  EXPECT_EQ(left, 0);
}

TEST_F(Files, ReadersAndWriters) {
  array a = sample(int32, {3, 4});
  {
    auto writer = std::make_shared<io::FileWriter>(path("a.npy"));
    save(writer, a);
  }
  EXPECT_TRUE(same(load(std::make_shared<io::ParallelFileReader>(path("a.npy"))), a));
  {
    auto writer = std::make_shared<io::FileWriter>(path("a.safetensors"));
    save_safetensors(writer, {{"a", a}});
  }
  auto reader = std::make_shared<io::ParallelFileReader>(path("a.safetensors"));
  EXPECT_TRUE(same(load_safetensors(reader).first.at("a"), a));
  EXPECT_THROW(load(std::make_shared<io::ParallelFileReader>(path("none"))), std::runtime_error);
}

}  // namespace
