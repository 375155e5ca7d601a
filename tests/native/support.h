// What the native tests share: a folder of their own, whole files as bytes, and a check that a call fails with a status and a text.
#pragma once
#include "base/error.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <vector>

namespace ng::test {

using Bytes = std::vector<std::byte>;

// A folder that is there for one test.
class TempFolder {
public:
    TempFolder() {
        const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
        std::string name = std::string("nativegen-") + test->test_suite_name() + "-" + test->name() + "-" +
                           std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
        std::replace(name.begin(), name.end(), '/', '-');
        path_ = std::filesystem::temp_directory_path() / name;
        std::filesystem::remove_all(path_);
        std::filesystem::create_directories(path_);
    }
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

inline Bytes read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in) << path;
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    return {begin, begin + text.size()};
}

inline void write_file(const std::string& path, const void* data, size_t n) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(static_cast<const char*>(data), static_cast<std::streamsize>(n));
    ASSERT_TRUE(out.flush()) << path;
}
inline void write_file(const std::string& path, const Bytes& bytes) { write_file(path, bytes.data(), bytes.size()); }

inline std::vector<float> read_floats(const std::string& path) {
    const Bytes bytes = read_file(path);
    std::vector<float> values(bytes.size() / sizeof(float));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

// The error that body() throws; a failure if it throws none.
template <class Body> Error error_of(Body&& body) {
    try {
        body();
    } catch (const Error& e) {
        return e;
    }
    ADD_FAILURE() << "no error";
    return Error(Status::Ok, "");
}

// EXPECT_FAILS(call, Status::InvalidModel, "part of the text")
#define EXPECT_FAILS(call, expected_status, part)                                                                                                    \
    do {                                                                                                                                             \
        const ::ng::Error ng_error_ = ::ng::test::error_of([&] { (void)(call); });                                                                   \
        EXPECT_EQ(ng_error_.status, expected_status) << ng_error_.text;                                                                              \
        EXPECT_NE(ng_error_.text.find(part), std::string::npos) << ng_error_.text;                                                                   \
        EXPECT_EQ(ng_error_.text.find('\n'), std::string::npos) << ng_error_.text;                                                                   \
    } while (false)

} // namespace ng::test
