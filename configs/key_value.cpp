// Conversion of configuration values from and to text.
// SPDX-License-Identifier: BSD-3-Clause
#include "configs/key_value.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <system_error>

#include "comm/common/error.h"

namespace resnext {
namespace {

constexpr size_t kMaxListLength = 1000;
constexpr size_t kMaxShown = 60;

template <typename... Ts>
struct Overload : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overload(Ts...) -> Overload<Ts...>;

// Shortest decimal form that reads back equal (fmt's default). "1e-05" gets a point, "1.0e-05",
// since YAML 1.1 readers take it for text without one.
std::string format_real(double value) {
  std::string text = fmt::format("{}", value);
  const auto exponent = text.find('e');
  if (exponent != std::string::npos && text.find('.') == std::string::npos) {
    text.insert(exponent, ".0");
  }
  return text;
}

std::string quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte == 0x7F) {
      quoted += fmt::format("\\x{:02x}", byte);
    } else {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string describe(const Interval& range) {
  return fmt::format("{} {} to {}{}", range.open_min ? "above" : "from", format_real(range.min),
                     range.open_max ? "below " : "", format_real(range.max));
}

// One value on its way into one key.
struct Reader {
  const RunKey& key;
  const YamlScalar& value;

  [[noreturn]] void fail(std::string_view problem) const {
    throw ConfigError(value.where,
                      fmt::format("{}: '{}' {}", key.name, shorten(value.text), problem),
                      "give " + expected_value(key));
  }
  template <typename T>
  T number(std::string_view type) const;
  double real(const Interval& range) const;
};

bool is_not_finite(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (text.starts_with('.')) text.remove_prefix(1);
  std::string word(text);
  std::ranges::transform(word, word.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return word == "nan" || word == "inf" || word == "infinity";
}

template <typename T>
T Reader::number(std::string_view type) const {
  if (value.quoted) fail(fmt::format("is quoted text, not {}", type));
  if (is_not_finite(value.text)) fail("is not a finite number");
  const char* begin = value.text.data();
  const char* end = begin + value.text.size();
  if (value.text.starts_with('+') && !value.text.starts_with("+-")) ++begin;
  T result{};
  const auto [stop, error] = std::from_chars(begin, end, result);
  if (stop != end || error == std::errc::invalid_argument) fail(fmt::format("is not {}", type));
  if (error == std::errc::result_out_of_range) fail("does not fit 64 bits");
  return result;
}

double Reader::real(const Interval& range) const {
  const auto result = number<double>("a number");
  if (!range.contains(result)) fail("is out of range");
  return result;
}

const YamlScalar& only_scalar(const RunKey& key, const YamlEntry& entry) {
  if (entry.is_list) {
    throw ConfigError(
        entry.where, fmt::format("{} is a list, but {} is expected", key.name, expected_value(key)),
        "give one value");
  }
  return entry.values.front();
}

int64_t read_int(const IntField& field, const Reader& reader) {
  const auto value = reader.number<int64_t>("a whole number");
  if (value < field.min || value > field.max) reader.fail("is out of range");
  return value;
}

bool read_bool(const Reader& reader) {
  const bool yes = reader.value.text == "true";
  if (reader.value.quoted || (!yes && reader.value.text != "false")) {
    reader.fail("is not true or false");
  }
  return yes;
}

std::string read_text(const TextField& field, const Reader& reader) {
  if (reader.value.text.empty() && !field.may_be_empty) reader.fail("is empty");
  if (reader.value.text.find('\0') != std::string::npos) reader.fail("contains a NUL character");
  return reader.value.text;
}

std::vector<std::string> read_texts(const RunKey& key, const YamlEntry& entry) {
  if (!entry.is_list && entry.values.front().text.empty()) return {};
  std::vector<std::string> texts;
  for (const YamlScalar& value : entry.values) {
    texts.push_back(read_text({nullptr, /*may_be_empty=*/false}, Reader{key, value}));
  }
  return texts;
}

int read_choice(const ChoiceField& field, const Reader& reader) {
  const auto words = split_spellings(field.spellings);
  const auto found = std::ranges::find(words, reader.value.text);
  if (found == words.end()) reader.fail("is not one of its values");
  return static_cast<int>(found - words.begin());
}

std::vector<double> read_list(const RunKey& key, const RealListField& field,
                              const YamlEntry& entry) {
  if (!entry.is_list) Reader{key, entry.values.front()}.fail("is not a list");
  if (entry.values.size() > kMaxListLength) {
    throw ConfigError(entry.where,
                      fmt::format("{} has more than {} elements", key.name, kMaxListLength),
                      "give " + expected_value(key));
  }
  std::vector<double> numbers;
  for (const YamlScalar& value : entry.values) {
    numbers.push_back(Reader{key, value}.real(field.range));
  }
  return numbers;
}

std::string format_texts(const std::vector<std::string>& texts) {
  if (texts.size() <= 1) return quote(texts.empty() ? "" : texts.front());
  std::vector<std::string> quoted;
  std::ranges::transform(texts, std::back_inserter(quoted), quote);
  return fmt::format("[{}]", fmt::join(quoted, ", "));
}

std::string format_list(const std::vector<double>& numbers) {
  std::vector<std::string> texts;
  std::ranges::transform(numbers, std::back_inserter(texts), format_real);
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

}  // namespace

void assign_value(const RunKey& key, const YamlEntry& entry, RunConfig& config) {
  const auto reader = [&] { return Reader{key, only_scalar(key, entry)}; };
  std::visit(
      Overload{
          [&](const IntField& f) { f.at(config) = read_int(f, reader()); },
          [&](const SeedField& f) { f.at(config) = reader().number<uint64_t>("a whole number"); },
          [&](const RealField& f) { f.at(config) = reader().real(f.range); },
          [&](const RealListField& f) { f.at(config) = read_list(key, f, entry); },
          [&](const BoolField& f) { f.at(config) = read_bool(reader()); },
          [&](const TextField& f) { f.at(config) = read_text(f, reader()); },
          [&](const TextListField& f) { f.at(config) = read_texts(key, entry); },
          [&](const ChoiceField& f) { f.set(config, read_choice(f, reader())); },
      },
      key.field);
}

std::string format_value(const RunKey& key, RunConfig& config) {
  return std::visit(
      Overload{
          [&](const IntField& f) { return std::to_string(f.at(config)); },
          [&](const SeedField& f) { return std::to_string(f.at(config)); },
          [&](const RealField& f) { return format_real(f.at(config)); },
          [&](const RealListField& f) { return format_list(f.at(config)); },
          [&](const BoolField& f) { return std::string(f.at(config) ? "true" : "false"); },
          [&](const TextField& f) { return quote(f.at(config)); },
          [&](const TextListField& f) { return format_texts(f.at(config)); },
          [&](const ChoiceField& f) {
            return std::string(split_spellings(f.spellings).at(static_cast<size_t>(f.get(config))));
          },
      },
      key.field);
}

std::vector<KeyChange> changed_keys(RunConfig before, RunConfig now) {
  std::vector<KeyChange> changes;
  for (const RunKey& key : run_keys()) {
    std::string was = format_value(key, before), is = format_value(key, now);
    if (was != is) changes.push_back({key.name, std::move(was), std::move(is)});
  }
  return changes;
}

std::string expected_value(const RunKey& key) {
  return std::visit(
      Overload{
          [](const IntField& f) {
            return fmt::format("a whole number from {} to {}", f.min, f.max);
          },
          [](const SeedField&) {
            return fmt::format("a whole number from 0 to {}", std::numeric_limits<uint64_t>::max());
          },
          [](const RealField& f) { return fmt::format("a number {}", describe(f.range)); },
          [](const RealListField& f) {
            return fmt::format("a list, such as [30, 60, 90], of numbers {}", describe(f.range));
          },
          [](const BoolField&) { return std::string("true or false"); },
          [](const TextField& f) {
            return std::string(f.may_be_empty ? "text" : "non-empty text");
          },
          [](const TextListField&) { return std::string("text, or a list of texts"); },
          [](const ChoiceField& f) {
            return fmt::format("one of {}", fmt::join(split_spellings(f.spellings), ", "));
          },
      },
      key.field);
}

std::string shorten(std::string_view text) {
  size_t length = std::min(text.size(), kMaxShown);
  const auto continues = [&](size_t i) {
    return (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
  };
  while (length < text.size() && length > 0 && continues(length)) --length;  // whole characters
  std::string shown(text.substr(0, length));
  std::ranges::replace_if(
      shown, [](unsigned char c) { return c < ' ' || c == 0x7F; }, ' ');
  return length < text.size() ? shown + "..." : shown;
}

}  // namespace resnext
