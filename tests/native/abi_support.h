// What tests of the C ABI share: structs that name their size, and calls that must fail.
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "include/nativegen.h"

namespace ng::test {

template <class T> T sized() {
    T value{};
    value.struct_size = sizeof value;
    return value;
}

} // namespace ng::test

// A call that must fail: EXPECT_STATUS(NG_ERR_..., "text", ng_x(..., &error))
#define EXPECT_STATUS(expected, part, call)                                                                                                          \
    do {                                                                                                                                             \
        ng_error error = ::ng::test::sized<ng_error>();                                                                                                          \
        EXPECT_EQ(call, expected);                                                                                                                   \
        EXPECT_EQ(error.code, expected);                                                                                                             \
        EXPECT_NE(std::string(error.text).find(part), std::string::npos) << error.text;                                                              \
    } while (false)
