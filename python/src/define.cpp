// python/src/define.cpp: texts of signatures.
#include "define.h"

#include <deque>
#include <string_view>
#include <unordered_map>

const char* keep_text(std::string text) {
  static auto* texts =
      new std::deque<std::string>;  // never freed: the interpreter may outlive statics
  return texts->emplace_back(std::move(text)).c_str();
}

const char* with_example(nb::handle m, const char* name, const char* doc) {
  static const auto* examples = new std::unordered_map<std::string_view, const char*>{
#define EXAMPLE(module, function, text) {module "." function, text},
#include "examples.inc"
#undef EXAMPLE
  };
  const auto found = examples->find(nb::cast<std::string>(m.attr("__name__")) + "." + name);
  if (found == examples->end()) return doc;
  return keep_text(std::string(doc) + "\n\nExample:\n" + found->second);
}

std::string method_signature(const char* name, const char* sig) {
  std::string s = sig;
  size_t end = s.find(", /");
  size_t skip = 3;
  if (end == std::string::npos) {
    end = s.find(',');
    skip = 0;
  }
  return std::string("def ") + name + "(self" + s.substr(end + skip);
}
