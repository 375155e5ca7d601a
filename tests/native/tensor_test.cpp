#include "support.h"

#include "tensor/blocks.h"
#include "tensor/dequantize.h"
#include "tensor/half.h"
#include "tensor/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace ng;
using namespace ng::test;

namespace {

struct Golden {
    DType type;
    const char* name;
};

constexpr Golden goldens[] = {
    // quantizers that search, that round a block, that round a value; then those without a quantizer
    {DType::Q4_0, "Q4_0"}, {DType::Q4_1, "Q4_1"}, {DType::Q5_0, "Q5_0"},     {DType::Q5_1, "Q5_1"},     {DType::Q8_0, "Q8_0"},
    {DType::F16, "F16"},   {DType::BF16, "BF16"}, {DType::Q2_K, "Q2_K"},     {DType::Q3_K, "Q3_K"},     {DType::Q4_K, "Q4_K"},
    {DType::Q5_K, "Q5_K"}, {DType::Q6_K, "Q6_K"}, {DType::IQ4_NL, "IQ4_NL"}, {DType::IQ4_XS, "IQ4_XS"}, {DType::MXFP4, "MXFP4"},
};

void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.name; }

std::string golden_path(const std::string& name) { return std::string(NG_FIXTURES) + "/blocks/" + name; }

class Blocks : public ::testing::TestWithParam<Golden> {};

class Quantizers : public Blocks {};
class BlockQuantizers : public Blocks {};
class SearchingQuantizers : public Blocks {};

std::string type_name(const ::testing::TestParamInfo<Golden>& type) { return type.param.name; }
INSTANTIATE_TEST_SUITE_P(Types, Blocks, ::testing::ValuesIn(goldens), type_name);
INSTANTIATE_TEST_SUITE_P(Types, SearchingQuantizers, ::testing::ValuesIn(goldens, goldens + 4), type_name);
INSTANTIATE_TEST_SUITE_P(Types, BlockQuantizers, ::testing::ValuesIn(goldens, goldens + 5), type_name);
INSTANTIATE_TEST_SUITE_P(Types, Quantizers, ::testing::ValuesIn(goldens, goldens + 7), type_name);

} // namespace

TEST_P(Blocks, DequantizeIsBitEqual) {
    const auto [type, name] = GetParam();
    const Bytes blocks = read_file(golden_path(std::string(name) + ".blocks"));
    const std::vector<float> expected = read_floats(golden_path(std::string(name) + ".f32"));
    ASSERT_EQ(expected.size(), 2048u);
    ASSERT_EQ(blocks.size(), dtype_bytes(type, expected.size()));
    std::vector<float> values(expected.size());
    dequantize(type, blocks.data(), values.data(), values.size());
    for (size_t i = 0; i < values.size(); i++) {
        ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(expected[i]))
            << "value " << i << ": " << values[i] << ", expected " << expected[i];
    }
}

TEST_P(Blocks, NeedNoAlignment) {
    const auto [type, name] = GetParam();
    const Bytes blocks = read_file(golden_path(std::string(name) + ".blocks"));
    Bytes shifted(blocks.size() + 1);
    std::copy(blocks.begin(), blocks.end(), shifted.begin() + 1);
    std::vector<float> a(2048), b(2048);
    dequantize(type, blocks.data(), a.data(), a.size());
    dequantize(type, shifted.data() + 1, b.data(), b.size());
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

TEST_P(Quantizers, GivesTheSameBytes) {
    const auto [type, name] = GetParam();
    ASSERT_TRUE(can_quantize(type));
    const Bytes expected = read_file(golden_path(std::string(name) + ".blocks"));
    const std::vector<float> source = read_floats(golden_path("source.f32"));
    ASSERT_EQ(source.size(), 1024u);
    Bytes blocks(dtype_bytes(type, source.size()));
    const std::vector<float> ones(source.size(), 1.0f); // how the goldens were made: one row, importance 1
    quantize_weighted(type, source.data(), ones.data(), blocks.data(), source.size());
    for (size_t i = 0; i < blocks.size(); i++)
        ASSERT_EQ(blocks[i], expected[i]) << "byte " << i;
}

// Plain rounding to L levels: no value is off by more than half a step of its block (a whole one at the end that a symmetric scale cuts off),
// plus what rounding d and m to float16 costs, at most 2^-11 of the largest value each.
TEST_P(BlockQuantizers, PlainRoundingErrsByHalfAStep) {
    const DType type = GetParam().type;
    const bool affine = type == DType::Q4_1 || type == DType::Q5_1;
    const float levels = type == DType::Q8_0 ? 255.0f : type == DType::Q5_0 || type == DType::Q5_1 ? 32.0f : 16.0f;
    const std::vector<float> source = read_floats(golden_path("source.f32"));
    Bytes blocks(dtype_bytes(type, source.size()));
    std::vector<float> values(source.size());
    quantize(type, source.data(), blocks.data(), source.size());
    dequantize(type, blocks.data(), values.data(), values.size());
    for (size_t i = 0; i < source.size(); i += 32) {
        const auto [min, max] = std::minmax_element(source.begin() + static_cast<ptrdiff_t>(i), source.begin() + static_cast<ptrdiff_t>(i + 32));
        const float most = std::max(std::fabs(*min), std::fabs(*max));
        const float step = affine ? (*max - *min) / (levels - 1) : 2 * most / (type == DType::Q8_0 ? levels - 1 : levels);
        for (size_t j = i; j < i + 32; j++) {
            const bool cut_off = !affine && type != DType::Q8_0 && std::fabs(source[j]) > most - step;
            ASSERT_LE(std::fabs(values[j] - source[j]), (cut_off ? 1.0f : 0.5f) * step * 1.0001f + 2 * most / 2048 + 0x1p-24f) << j;
        }
    }
}

TEST_P(SearchingQuantizers, BeatPlainRounding) {
    const DType type = GetParam().type;
    const std::vector<float> source = read_floats(golden_path("source.f32"));
    const std::vector<float> ones(source.size(), 1.0f);
    const auto error = [&](bool search) {
        Bytes blocks(dtype_bytes(type, source.size()));
        if (search) quantize_weighted(type, source.data(), ones.data(), blocks.data(), source.size());
        else quantize(type, source.data(), blocks.data(), source.size());
        std::vector<float> values(source.size());
        dequantize(type, blocks.data(), values.data(), values.size());
        double sum = 0;
        for (size_t i = 0; i < values.size(); i++)
            sum += std::pow(values[i] - source[i], 2);
        return sum;
    };
    EXPECT_LT(error(true), error(false));
}

TEST_P(Quantizers, SurvivesWildValues) {
    const DType type = GetParam().type;
    const float inf = std::numeric_limits<float>::infinity();
    const float wild[] = {inf, -inf, NAN, 3e38f, -3e38f, 1e-45f, -1e-45f, 0.0f};
    for (const float first : wild) {
        for (const float second : wild) {
            std::vector<float> values(32, first);
            values[20] = second;
            Bytes blocks(dtype_bytes(type, values.size()));
            quantize(type, values.data(), blocks.data(), values.size());
            quantize_weighted(type, values.data(), std::vector<float>(32, 1.0f).data(), blocks.data(), values.size());
        }
    }
    std::vector<float> zeros(32, 0.0f), back(32, 1.0f);
    Bytes blocks(dtype_bytes(type, 32));
    quantize(type, zeros.data(), blocks.data(), 32);
    dequantize(type, blocks.data(), back.data(), 32);
    for (const float value : back)
        EXPECT_EQ(value, 0.0f);
}

TEST(DType, TableAgreesWithTheFormat) {
    for (const auto& [type, name] : goldens) {
        EXPECT_STREQ(dtype_traits(type).name, name);
        EXPECT_TRUE(dtype_traits(type).supported);
    }
    EXPECT_STREQ(dtype_traits(DType::F32).name, "F32");
    EXPECT_EQ(dtype_bytes(DType::Q6_K, 512), 420u);
    ASSERT_NE(dtype_traits(19), nullptr); // known, not readable
    EXPECT_STREQ(dtype_traits(19)->name, "IQ1_S");
    EXPECT_FALSE(dtype_traits(19)->supported);
    EXPECT_EQ(dtype_traits(4), nullptr); // withdrawn
    EXPECT_EQ(dtype_traits(43), nullptr);
    EXPECT_EQ(dtype_traits(0xffffffffu), nullptr);
    int supported = 0;
    for (uint32_t raw = 0; raw < 100; raw++) {
        const DTypeTraits* traits = dtype_traits(raw);
        if (!traits) continue;
        EXPECT_GT(traits->block_elements, 0u);
        EXPECT_GT(traits->block_bytes, 0u);
        supported += traits->supported;
    }
    EXPECT_EQ(supported, 16);
}

// ---- half floats ----

TEST(Half, EveryHalfGoesThereAndBack) {
    for (uint32_t h = 0; h <= 0xffff; h++) {
        const float f = f16_to_f32(static_cast<uint16_t>(h));
        const uint32_t exponent = (h >> 10) & 31, mantissa = h & 1023;
        if (exponent == 31 && mantissa != 0) {
            EXPECT_TRUE(std::isnan(f));
            EXPECT_EQ(f32_to_f16(f), h | 0x200) << "payload kept, made quiet";
            continue;
        }
        const double magnitude = exponent == 31  ? INFINITY
                                 : exponent == 0 ? std::ldexp(mantissa, -24)
                                                 : std::ldexp(mantissa + 1024.0, static_cast<int>(exponent) - 25);
        ASSERT_EQ(static_cast<double>(f), h & 0x8000 ? -magnitude : magnitude) << h;
        ASSERT_EQ(std::signbit(f), (h & 0x8000) != 0) << h;
        ASSERT_EQ(f32_to_f16(f), h);
    }
}

// Between two neighbouring halves: below the middle rounds down, above it up, the middle itself to the even one.
TEST(Half, RoundsToNearestEven) {
    for (uint32_t h = 0; h < 0x7c00; h++) {
        const float low = f16_to_f32(static_cast<uint16_t>(h));
        const float high = h == 0x7bff ? 65536.0f : f16_to_f32(static_cast<uint16_t>(h + 1)); // beyond the last: what would come next
        const float middle = low + (high - low) / 2;
        const uint32_t even = h % 2 == 0 ? h : h + 1;
        ASSERT_EQ(f32_to_f16(middle), even) << h;
        ASSERT_EQ(f32_to_f16(std::nextafter(middle, 0.0f)), h) << h;
        ASSERT_EQ(f32_to_f16(std::nextafter(middle, 1e9f)), h + 1) << h;
        ASSERT_EQ(f32_to_f16(-middle), even | 0x8000) << h;
    }
    EXPECT_EQ(f32_to_f16(1e30f), 0x7c00);
    EXPECT_EQ(f32_to_f16(-INFINITY), 0xfc00);
    EXPECT_EQ(f32_to_f16(1e-45f), 0);
    EXPECT_EQ(f32_to_f16(-1e-45f), 0x8000);
}

TEST(Half, BrainFloatRoundsToNearestEven) {
    for (uint32_t h = 0; h < 0x7f80; h++) {
        const float low = bf16_to_f32(static_cast<uint16_t>(h));
        ASSERT_EQ(f32_to_bf16(low), h);
        const float middle = std::bit_cast<float>(h << 16 | 0x8000u);
        ASSERT_EQ(f32_to_bf16(middle), h % 2 == 0 ? h : h + 1);
        ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(h << 16 | 0x7fffu)), h);
        ASSERT_EQ(f32_to_bf16(-std::bit_cast<float>(h << 16 | 0x8001u)), (h + 1) | 0x8000);
    }
    EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001u)))));
    EXPECT_EQ(f32_to_bf16(INFINITY), 0x7f80);
}

TEST(Half, E8m0IsAPowerOfTwo) {
    for (int e = 0; e < 256; e++)
        EXPECT_EQ(static_cast<double>(e8m0_half_to_f32(static_cast<uint8_t>(e))), std::ldexp(1.0, e - 128)) << e;
}
