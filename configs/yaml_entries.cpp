// Event handler for yaml-cpp's parser, and the checks before it: file, size, encoding.
// SPDX-License-Identifier: BSD-3-Clause
#include "configs/yaml_entries.h"

#include <spdlog/fmt/fmt.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>

#include "comm/common/error.h"
#include "configs/key_suggestion.h"
#include "configs/key_value.h"
#include "configs/plain_text.h"
#include "configs/run_keys.h"

namespace resnext {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

// Where a text comes from. An override is one line, so it is quoted whole instead of by position.
struct Source {
  std::string name;
  bool has_lines = true;

  std::string at(const YAML::Mark& mark) const {
    if (!has_lines || mark.is_null()) return name;
    return fmt::format("{}:{}:{}", name, mark.line + 1, mark.column + 1);
  }
};

// Turns parser events into entries. `target_` is the key that the next value belongs to; without it
// the next event of a map is a key.
class EntryBuilder : public YAML::EventHandler {
 public:
  EntryBuilder(const Source& source, std::string root) : source_(source), target_(root) {
    has_target_ = true;
  }

  std::vector<YamlEntry> take_entries() { return std::move(entries_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override;
  void OnSequenceEnd() override { in_list_ = has_target_ = false; }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override;
  void OnMapEnd() override {
    sections_.pop_back();
    has_target_ = false;
  }

 private:
  [[noreturn]] void fail(const YAML::Mark& mark, std::string_view what, std::string_view remedy) {
    throw ConfigError(source_.at(mark), what, remedy);
  }
  void check_tag(const YAML::Mark& mark, const std::string& tag);
  void check_takes_value(const YAML::Mark& mark, std::string_view given);
  void start_collection(const YAML::Mark& mark, const std::string& tag);
  void add_key(const YAML::Mark& mark, const std::string& name);

  const Source& source_;
  std::vector<YamlEntry> entries_;
  std::vector<std::string> sections_;  // the maps that are open
  std::set<std::string> seen_;
  std::string target_;
  bool has_target_ = false;
  bool in_list_ = false;
};

void EntryBuilder::check_tag(const YAML::Mark& mark, const std::string& tag) {
  if (tag.empty() || tag == "?" || tag == "!") return;
  fail(mark, fmt::format("the tag '{}' is not understood", shorten(tag)), "remove it");
}

// Only keys of the table take scalars and lists; sections do not.
void EntryBuilder::check_takes_value(const YAML::Mark& mark, std::string_view given) {
  if (!is_section(target_)) return;
  if (target_.empty()) {
    fail(mark, fmt::format("{} where sections are expected", given),
         "write sections with keys below them, such as 'run:' with '  epochs: 10'");
  }
  fail(mark, fmt::format("'{}' is a section, but {} was given", target_, given),
       "set one of its keys: " + keys_of_section(target_));
}

void EntryBuilder::OnNull(const YAML::Mark& mark, YAML::anchor_t) {
  if (in_list_) {
    fail(mark, fmt::format("'{}' has an empty element", target_), "give a number or remove it");
  }
  if (!has_target_) add_key(mark, "");
  if (target_.empty()) return;  // an empty file: every key has its default
  fail(mark, fmt::format("'{}' has no value", target_),
       "give a value (\"\" is an empty text) or remove the key to use its default");
}

void EntryBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t) {
  fail(mark, "an alias (*name) is not allowed here", "write the value out");
}

void EntryBuilder::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                            const std::string& value) {
  check_tag(mark, tag);
  const YamlScalar scalar{value, tag == "!", source_.at(mark)};
  if (in_list_) {
    entries_.back().values.push_back(scalar);
  } else if (!has_target_) {
    add_key(mark, value);
  } else {
    check_takes_value(mark, fmt::format("'{}'", shorten(value)));
    entries_.push_back({target_, scalar.where, false, {scalar}});
    has_target_ = false;
  }
}

void EntryBuilder::start_collection(const YAML::Mark& mark, const std::string& tag) {
  check_tag(mark, tag);
  if (in_list_) {
    fail(mark, fmt::format("'{}' has a list or map inside its list", target_),
         "write one flat list such as [30, 60, 90]");
  }
  if (!has_target_) fail(mark, "a key is a list or a map", "write the name of a key");
}

void EntryBuilder::OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                                   YAML::EmitterStyle::value) {
  start_collection(mark, tag);
  check_takes_value(mark, "a list");
  entries_.push_back({target_, source_.at(mark), true, {}});
  in_list_ = true;
}

void EntryBuilder::OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                              YAML::EmitterStyle::value) {
  start_collection(mark, tag);
  if (const RunKey* key = find_run_key(target_)) {
    fail(mark, fmt::format("'{}' is a map, but {} is expected", target_, expected_value(*key)),
         "give " + expected_value(*key));
  }
  if (!source_.has_lines) {
    fail(mark, fmt::format("'{}' is a section", target_),
         "override its keys one at a time: " + keys_of_section(target_));
  }
  sections_.push_back(target_);
  has_target_ = false;
}

void EntryBuilder::add_key(const YAML::Mark& mark, const std::string& name) {
  if (name.empty()) fail(mark, "a key is empty", "write the name of a key");
  if (name.find('.') != std::string::npos) {
    fail(mark, fmt::format("'{}' is a dotted key, which only overrides take", shorten(name)),
         "write the section and the key below it");
  }
  target_ = sections_.back().empty() ? name : sections_.back() + "." + name;
  has_target_ = true;
  if (find_run_key(target_) == nullptr && !is_section(target_)) {
    fail(mark, fmt::format("unknown key '{}'", shorten(target_)), suggest_key(target_));
  }
  if (!seen_.insert(target_).second) {
    fail(mark, fmt::format("'{}' is given twice", target_), "keep one of the two");
  }
}

// Takes all events and does nothing: the text's syntax alone.
class SyntaxCheck : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// Feeds the one document of `text` to the handler; false when there is none.
bool handle_document(const std::string& text, const Source& source, YAML::EventHandler& handler) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  if (!parser.HandleNextDocument(handler)) return false;
  SyntaxCheck rest;
  if (!parser.HandleNextDocument(rest)) return true;
  throw ConfigError(source.name, "more than one YAML document", "keep one, without '---'");
}

// `root` is the key that the whole text is the value of ("" for a file).
std::vector<YamlEntry> parse(const std::string& text, const Source& source,
                             const std::string& root) {
  EntryBuilder builder(source, root);
  SyntaxCheck syntax;  // first, since a missing bracket makes the wildest keys of what follows
  try {
    if (!handle_document(text, source, syntax)) return {};
    handle_document(text, source, builder);
  } catch (const YAML::Exception& error) {
    throw ConfigError(source.at(error.mark), "YAML syntax error: " + error.msg,
                      "correct the text there");
  }
  return builder.take_entries();
}

std::string read_file(const std::string& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) {
    throw ConfigError(file, "is a folder", "name a configuration file, e.g. configs/tiny.yaml");
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    throw ConfigError(file, fmt::format("cannot be opened: {}", std::strerror(errno)),
                      "name a readable configuration file, e.g. configs/tiny.yaml");
  }
  std::string text(kMaxBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  if (stream.bad()) throw ConfigError(file, "cannot be read", "check the disk and the permissions");
  if (text.size() > kMaxBytes) {
    throw ConfigError(file, "is larger than 1 MiB", "name a configuration file, not data");
  }
  return text;
}

void check_is_text(const std::string& text, const Source& source) {
  const auto problem = find_text_problem(text);
  if (!problem) return;
  throw ConfigError(
      source.has_lines ? fmt::format("{}:{}", source.name, problem->line) : source.name,
      problem->what, problem->remedy);
}

}  // namespace

std::string read_text_file(const std::string& file) {
  std::string text = read_file(file);
  check_is_text(text, Source{file, true});
  return text;
}

std::vector<YamlEntry> read_yaml_entries(const std::string& file) {
  return parse(read_text_file(file), Source{file, true}, "");
}

YamlEntry parse_override(const std::string& text) {
  const Source source{fmt::format("override '{}'", shorten(text)), false};
  const auto equals = text.find('=');
  if (equals == std::string::npos) {
    throw ConfigError(source.name, "has no '='", "write key=value, e.g. optimizer.base_lr=0.2");
  }
  check_is_text(text, source);
  const std::string key = text.substr(0, equals);
  const std::string value = text.substr(equals + 1);
  if (key.empty()) {
    throw ConfigError(source.name, "has no key before '='", "write key=value");
  }
  if (find_run_key(key) == nullptr && !is_section(key)) {
    throw ConfigError(source.name, fmt::format("unknown key '{}'", shorten(key)), suggest_key(key));
  }
  std::vector<YamlEntry> entries = parse(value, source, key);
  if (entries.empty()) {
    throw ConfigError(source.name, fmt::format("'{}' has no value", key),
                      "give a value (\"\" is an empty text) or leave the override out");
  }
  return std::move(entries.front());
}

}  // namespace resnext
