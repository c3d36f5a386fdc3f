// python/src/define.cpp: texts of signatures.
#include "define.h"

#include <deque>

const char* keep_text(std::string text) {
  static auto* texts =
      new std::deque<std::string>;  // never freed: the interpreter may outlive statics
  return texts->emplace_back(std::move(text)).c_str();
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
