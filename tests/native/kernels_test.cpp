// Every kernel of every instruction set this machine runs against scalar, bit for bit, over random shapes, tails and hostile numbers.
#include "cpu/cpu_device.h"
#include "cpu/features.h"
#include "tensor/dequantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <utility>

namespace ng::cpu {
namespace {

// 32 bits each (std::mt19937's result type is wider on some systems).
struct Random : std::mt19937 {
    using std::mt19937::mt19937;
    uint32_t operator()() { return static_cast<uint32_t>(std::mt19937::operator()()); }
};

constexpr uint32_t types[] = {0, 1, 2, 3, 6, 7, 8, 10, 11, 12, 13, 14, 20, 23, 30, 39};

// Sets to compare with scalar; names those that are left out and why.
std::vector<const Kernels*> sets() {
    std::vector<const Kernels*> result;
    const auto add = [&](bool runs, const Kernels& set, const char* needs) {
        if (runs) result.push_back(&set);
        else std::printf("[ SKIPPED  ] %s: this processor lacks %s\n", set.name, needs);
    };
    const Features& f = features();
#if defined(__x86_64__)
    add(f.avx2_fma_f16c, avx2_kernels(), "AVX2, FMA or F16C");
    add(f.avx2_fma_f16c && f.avx_vnni, avxvnni_kernels(), "AVX-VNNI");
    add(f.avx512, avx512_kernels(), "AVX-512 F, BW, DQ or VL");
    add(f.avx512 && f.avx512_vnni, avx512vnni_kernels(), "AVX-512 VNNI");
#elif defined(__aarch64__)
    add(f.neon_dots, neon_kernels(), "ARMv8.2's dot products");
#endif
    return result;
}

bool same_bits(float a, float b) { return std::memcmp(&a, &b, 4) == 0 || (std::isnan(a) && std::isnan(b)); }

std::vector<float> random_floats(Random& random, size_t n, float scale = 1.0f) {
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> values(n);
    for (float& value : values) value = normal(random) * (random() % 50 == 0 ? 20.0f : 1.0f);
    return values;
}

// Random blocks whose float16 scales are finite numbers of ordinary size, so that sums mean something.
std::vector<uint8_t> random_weights(Random& random, uint32_t type, size_t n) {
    const DTypeTraits& traits = *dtype_traits(type);
    std::vector<uint8_t> bytes(n / traits.block_elements * traits.block_bytes);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    const auto scale = [&](size_t at) {
        const auto half = static_cast<uint16_t>((random() & 0x8000) | (9 + random() % 6) << 10 | (random() & 0x3ff));
        std::memcpy(bytes.data() + at, &half, 2);
    };
    if (type == 0) {
        const auto values = random_floats(random, n);
        std::memcpy(bytes.data(), values.data(), bytes.size());
        return bytes;
    }
    for (size_t at = 0; at < bytes.size(); at += traits.block_bytes) {
        switch (type) {
            case 1: case 2: case 6: case 8: case 20: case 23: scale(at); break;
            case 3: case 7: case 12: case 13: scale(at); scale(at + 2); break;
            case 10: scale(at + 80); scale(at + 82); break;
            case 11: scale(at + 108); break;
            case 14: scale(at + 208); break;
            case 30: { const auto b = static_cast<uint16_t>((random() & 0x807f) | (120 + random() % 12) << 7); std::memcpy(bytes.data() + at, &b, 2); break; }
            case 39: bytes[at] = static_cast<uint8_t>(120 + random() % 10); break;
            default: break;
        }
    }
    return bytes;
}

// Where a block's scales lie (float16; MXFP4's is one byte, an exponent).
std::vector<size_t> scale_offsets(uint32_t type) {
    switch (type) {
        case 3: case 7: case 12: case 13: return {0, 2};
        case 10: return {80, 82};
        case 11: return {108};
        case 14: return {208};
        default: return {0};
    }
}

// Random blocks of which some have scales that are no ordinary numbers: NaN, infinite, denormal, the largest, zero of either sign.
std::vector<uint8_t> hostile_weights(Random& random, uint32_t type, size_t n) {
    auto bytes = random_weights(random, type, n);
    constexpr uint16_t halves[] = {0x7e00, 0xfe01, 0x7c00, 0xfc00, 0x0001, 0x8001, 0x03ff, 0x7bff, 0xfbff, 0x0000, 0x8000, 0x0400};
    constexpr float floats[] = {NAN, INFINITY, -INFINITY, 1e-45f, -1e-40f, 1.17549435e-38f, 3.4028235e38f, -3.4028235e38f, 0.0f, -0.0f};
    constexpr uint16_t bfloats[] = {0x7fc0, 0x7f80, 0xff80, 0x0001, 0x807f, 0x7f7f, 0xff7f, 0x0000, 0x8000, 0x0080};
    constexpr uint8_t exponents[] = {0, 1, 2, 253, 254, 255};
    const size_t block_bytes = dtype_traits(type)->block_bytes;
    const auto one_of = [&](const auto& specials, size_t at) {
        const auto value = specials[random() % std::size(specials)];
        std::memcpy(bytes.data() + at, &value, sizeof value);
    };
    for (size_t at = 0; at < bytes.size(); at += block_bytes) {
        if (random() % 3 != 0) continue;
        if (type == 0) one_of(floats, at);
        else if (type == 30) one_of(bfloats, at);
        else if (type == 39) one_of(exponents, at);
        else
            for (const size_t offset : scale_offsets(type))
                if (random() % 2 == 0) one_of(halves, at + offset);
    }
    return bytes;
}

struct Product {
    backend::TensorView view;
    const Kernels& set;
    std::unique_ptr<backend::Weight> weight;

    Product(const Kernels& kernels, const std::vector<uint8_t>& bytes, uint32_t type, uint32_t n_rows, uint32_t n_cols, backend::WeightUse use, bool repack = true)
        : view{static_cast<DType>(type), n_rows, n_cols, reinterpret_cast<const std::byte*>(bytes.data())}, set(kernels),
          weight(CpuDevice(kernels, {.repack = repack}).make_weight(view, use)) {}

    const CpuWeight& cpu() const { return static_cast<const CpuWeight&>(*weight); }

    // Quantized by the set itself; rows in pieces of `step`, panels in pieces of `panel_step`.
    std::vector<float> run(const std::vector<float>& x, uint32_t n_rows, uint32_t step, uint32_t panel_step = ~0u) const {
        const CpuWeight& w = cpu();
        const uint32_t n_cols = view.n_cols, n_blocks = n_cols / act_block;
        const size_t planes = act_planes(w.act);
        std::vector<int8_t> q(x.size() * planes);
        std::vector<ActBlock> blocks(n_rows * planes * n_blocks + 1);
        ActView act{w.act, set.act_up, n_rows, n_cols, x.data(), nullptr};
        if (w.act != ActFormat::F32) {
            const auto quantize = w.act == ActFormat::A8 ? set.quantize_a8 : set.quantize_a16;
            for (size_t row = 0; row < n_rows; ++row) quantize(x.data() + row * n_cols, n_cols, q.data() + row * planes * n_cols, blocks.data() + row * planes * n_blocks);
            act.values = q.data();
            act.blocks = blocks.data();
        }
        const uint32_t panel_rows = w.kernel->panel_rows, n_panels = (view.n_rows + panel_rows - 1) / panel_rows;
        const size_t stride = size_t{n_panels} * panel_rows;
        AlignedBuffer scratch(matmul_scratch_bytes);
        std::vector<float> padded(n_rows * stride), out;
        for (uint32_t first = 0; first < n_rows; first += step) {
            const uint32_t count = std::min(step, n_rows - first);
            const MatmulFn kernel = count <= few_rows && step <= few_rows ? w.kernel->few : w.kernel->many;
            for (uint32_t panel = 0; panel < n_panels;) {
                const uint32_t n = std::min(panel_step, n_panels - panel);
                kernel(&w.view, panel, n, &act, first, count, padded.data() + first * stride + size_t{panel} * panel_rows, stride, scratch.data());
                panel += n;
            }
        }
        for (uint32_t row = 0; row < n_rows; ++row) out.insert(out.end(), padded.begin() + static_cast<ptrdiff_t>(row * stride), padded.begin() + static_cast<ptrdiff_t>(row * stride + view.n_rows));
        return out;
    }
};

void expect_same(const std::vector<float>& expected, const std::vector<float>& actual, const char* what) {
    ASSERT_EQ(expected.size(), actual.size());
    for (size_t i = 0; i < expected.size(); ++i) ASSERT_TRUE(same_bits(expected[i], actual[i])) << what << " [" << i << "]: " << expected[i] << " and " << actual[i];
}

TEST(Kernels, ChoosesWhatTheProcessorRuns) {
    const char* expected = std::getenv("NATIVEGEN_EXPECTED_ISA");
    if (!expected) GTEST_SKIP() << "NATIVEGEN_EXPECTED_ISA is not set";
    EXPECT_STREQ(select_kernels().name, expected);
}

TEST(Kernels, ForcedSetThatIsNotThereIsAnError) {
    setenv("NATIVEGEN_ISA", "avx1024", 1);
    EXPECT_THROW(select_kernels(), Error);
    setenv("NATIVEGEN_ISA", "scalar", 1);
    EXPECT_STREQ(select_kernels().name, "scalar");
    unsetenv("NATIVEGEN_ISA");
}

TEST(Kernels, MatmulHasTheBitsOfScalar) {
    Random random(1);
    for (const Kernels* set : sets())
        for (const uint32_t type : types)
            for (const backend::WeightUse use : {backend::WeightUse::Matrix, backend::WeightUse::Output})
                for (int round = 0; round < 4; ++round) {
                    const uint32_t block = dtype_traits(type)->block_elements;
                    const bool large = round == 3;  // more columns and rows than a kernel takes at once
                    const uint32_t n_cols = block == 1 ? 1 + random() % (large ? 400 : 90) : block * (1 + random() % (block == 256 ? 3 : large ? 20 : 9));
                    const uint32_t n_rows = 1 + random() % 37;
                    constexpr uint32_t counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 33};
                    const uint32_t n = large ? 65 + random() % 10 : counts[random() % std::size(counts)];
                    const auto bytes = random_weights(random, type, size_t{n_rows} * n_cols);
                    const auto x = random_floats(random, size_t{n} * n_cols);
                    const Product scalar(scalar_kernels(), bytes, type, n_rows, n_cols, use), other(*set, bytes, type, n_rows, n_cols, use);
                    const auto expected = scalar.run(x, n, n);
                    const std::string what = std::string(set->name) + " " + dtype_traits(type)->name + " " + std::to_string(n_rows) + "x" + std::to_string(n_cols) + " rows " + std::to_string(n);
                    expect_same(expected, other.run(x, n, n), (what + " together").c_str());
                    expect_same(expected, other.run(x, n, 5, 1), (what + " by single panels").c_str());
                    if (round == 0) expect_same(expected, Product(*set, bytes, type, n_rows, n_cols, use, false).run(x, n, n), (what + " as in the file").c_str());
                    for (uint32_t step = 1; step <= few_rows; ++step) expect_same(expected, other.run(x, n, step), (what + " few").c_str());
                }
}

// The largest sums there are: quants at the ends of their range against activations at the ends of theirs. An intermediate sum of 16 bits that
// saturates shows here.
TEST(Kernels, MatmulOfExtremesHasTheBitsOfScalar) {
    Random random(8);
    constexpr uint8_t bytes_of_quants[] = {0xff, 0x00, 0x80, 0x7f, 0x88, 0x0f, 0xf0, 0x81};
    for (const Kernels* set : sets())
        for (const uint32_t type : types) {
            const DTypeTraits& traits = *dtype_traits(type);
            if (traits.block_elements == 1) continue;
            for (const uint8_t quants : bytes_of_quants)
                for (const backend::WeightUse use : {backend::WeightUse::Matrix, backend::WeightUse::Output}) {
                    const uint32_t n_cols = 256, n_rows = 17, n = 7;
                    std::vector<uint8_t> bytes(size_t{n_rows} * n_cols / traits.block_elements * traits.block_bytes, quants);
                    for (size_t at = 0; at < bytes.size(); at += traits.block_bytes)
                        for (const size_t offset : scale_offsets(type)) {
                            const uint16_t one = 0x3c00;
                            if (type == 39) bytes[at] = 127;
                            else std::memcpy(bytes.data() + at + offset, &one, 2);
                        }
                    std::vector<float> x(size_t{n} * n_cols);
                    for (size_t i = 0; i < x.size(); ++i) {
                        const size_t row = i / n_cols;  // all one way, but for what makes the block's middle zero; then by turns; then at random
                        x[i] = row < 2 ? (i % 32 == 5 ? -1.0f : 1.0f) * (row == 0 ? 1.0f : -1.0f) : row < 4 ? (i / (row - 1) % 2 ? 1.0f : -1.0f) : random() & 1 ? 1.0f : -1.0f;
                    }
                    const Product scalar(scalar_kernels(), bytes, type, n_rows, n_cols, use), other(*set, bytes, type, n_rows, n_cols, use);
                    const auto expected = scalar.run(x, n, n);
                    const std::string what = std::string(set->name) + " " + traits.name + " " + std::to_string(quants);
                    expect_same(expected, other.run(x, n, n), (what + " together").c_str());
                    expect_same(expected, other.run(x, n, 1), (what + " alone").c_str());
                }
        }
}

// A weight that is no number gives what it gives in scalar: the same bits, or NaN where scalar has NaN.
TEST(Kernels, MatmulOfHostileWeightsHasTheBitsOfScalar) {
    Random random(7);
    size_t n_finite = 0, n_nan = 0, n_infinite = 0;
    for (const Kernels* set : sets())
        for (const uint32_t type : types)
            for (const backend::WeightUse use : {backend::WeightUse::Matrix, backend::WeightUse::Output})
                for (int round = 0; round < 12; ++round) {
                    const uint32_t block = dtype_traits(type)->block_elements;
                    const uint32_t n_cols = block == 1 ? 1 + random() % 40 : block * (1 + random() % (block == 256 ? 2 : 4));
                    const uint32_t n_rows = 1 + random() % 37, n = 1 + random() % 9;
                    const auto bytes = hostile_weights(random, type, size_t{n_rows} * n_cols);
                    auto x = random_floats(random, size_t{n} * n_cols, round % 4 == 1 ? 1e30f : round % 4 == 2 ? 1e-38f : 1.0f);
                    if (round % 4 == 3) std::fill(x.begin(), x.begin() + n_cols, 0.0f);  // nothing times infinity
                    const Product scalar(scalar_kernels(), bytes, type, n_rows, n_cols, use), other(*set, bytes, type, n_rows, n_cols, use);
                    const auto expected = scalar.run(x, n, n);
                    const std::string what = std::string(set->name) + " " + dtype_traits(type)->name + " " + std::to_string(n_rows) + "x" + std::to_string(n_cols) + " rows " + std::to_string(n);
                    expect_same(expected, other.run(x, n, n), (what + " together").c_str());
                    expect_same(expected, other.run(x, n, 1), (what + " alone").c_str());
                    for (const float value : expected) ++(std::isnan(value) ? n_nan : std::isinf(value) ? n_infinite : n_finite);
                }
    if (!sets().empty()) {
        EXPECT_GT(n_finite, 1000u);
        EXPECT_GT(n_nan, 1000u);
        EXPECT_GT(n_infinite, 100u);
    }
}

// The product of dequantized weights and activations in double, with a bound from the activations' rounding: kernels agree with each other
// above, here with arithmetic.
TEST(Kernels, MatmulIsTheProduct) {
    Random random(2);
    for (const uint32_t type : types)
        for (const backend::WeightUse use : {backend::WeightUse::Matrix, backend::WeightUse::Output}) {
            const uint32_t n_cols = 512, n_rows = 5;
            const auto bytes = random_weights(random, type, size_t{n_rows} * n_cols);
            const auto x = random_floats(random, n_cols);
            const Product product(scalar_kernels(), bytes, type, n_rows, n_cols, use);
            const auto out = product.run(x, 1, 1);
            std::vector<float> w(size_t{n_rows} * n_cols);
            dequantize(static_cast<DType>(type), bytes.data(), w.data(), w.size());
            for (uint32_t row = 0; row < n_rows; ++row) {
                double sum = 0, bound = 0;
                for (uint32_t k = 0; k < n_cols; ++k) {
                    sum += double{w[row * n_cols + k]} * x[k];
                    float low = x[k / 32 * 32], high = low;
                    for (uint32_t j = k / 32 * 32; j < k / 32 * 32 + 32; ++j) low = std::min(low, x[j]), high = std::max(high, x[j]);
                    const ActFormat act = product.cpu().act;
                    const double half_step = act == ActFormat::F32 ? 0 : act == ActFormat::A8 ? (double{high} - low) / 254 / 2 : std::max(std::abs(double{high}), std::abs(double{low})) / 8191 / 2;
                    bound += std::abs(double{w[row * n_cols + k]}) * (half_step * 1.01 + std::abs(x[k]) * 1e-5);
                }
                EXPECT_NEAR(out[row], sum, bound + 1e-6) << dtype_traits(type)->name;
            }
        }
}

TEST(Kernels, NotANumberMeetsOnlyItsOwnRow) {
    Random random(3);
    std::vector<const Kernels*> all = sets();
    all.push_back(&scalar_kernels());
    for (const Kernels* set : all)
        for (const uint32_t type : {0u, 1u, 2u, 3u, 8u, 12u, 14u})
            for (const float bad : {NAN, INFINITY, -INFINITY}) {
                const uint32_t n_cols = 256, n_rows = 9, n = 6;
                const auto bytes = random_weights(random, type, size_t{n_rows} * n_cols);
                auto x = random_floats(random, size_t{n} * n_cols);
                const Product product(*set, bytes, type, n_rows, n_cols, backend::WeightUse::Matrix);
                const auto clean = product.run(x, n, n);
                x[2 * n_cols + 77] = bad;
                const auto out = product.run(x, n, n);
                for (uint32_t t = 0; t < n; ++t)
                    for (uint32_t row = 0; row < n_rows; ++row) {
                        if (t == 2) EXPECT_FALSE(std::isfinite(out[t * n_rows + row]));
                        else EXPECT_TRUE(same_bits(out[t * n_rows + row], clean[t * n_rows + row]));
                    }
            }
}

TEST(Kernels, QuantizationHasTheBitsOfScalar) {
    Random random(4);
    const float specials[] = {0.0f, -0.0f, 1e-45f, -1e-40f, 1e-38f, 3e38f, -3e38f, 65504.0f, NAN, INFINITY, -INFINITY, 1.0f};
    for (const Kernels* set : sets())
        for (int round = 0; round < 400; ++round) {
            auto x = random_floats(random, 96, std::pow(10.0f, static_cast<float>(static_cast<int>(random() % 70)) - 38.0f));
            for (int i = 0; i < round % 4; ++i) x[random() % x.size()] = specials[random() % std::size(specials)];
            if (round % 10 == 0) std::fill(x.begin(), x.begin() + 32, x[0]);
            if (round % 10 == 1) // a block only a few units in the last place wide
                for (int i = 1; i < 32; ++i) x[static_cast<size_t>(i)] = std::nextafter(x[static_cast<size_t>(i - 1)], (random() & 1) ? INFINITY : 0.0f);
            std::vector<int8_t> a8(96), b8(96);
            std::vector<int8_t> a16(2 * 96), b16(2 * 96);
            ActBlock a[6], b[6];
            const auto compare = [&](auto& qa, auto& qb, int n_blocks) {
                ASSERT_EQ(qa, qb);
                for (int i = 0; i < n_blocks; ++i) {
                    ASSERT_TRUE(same_bits(a[i].d, b[i].d) && same_bits(a[i].m, b[i].m) && same_bits(a[i].s, b[i].s)) << round;
                    ASSERT_EQ(a[i].sum, b[i].sum);
                }
            };
            scalar_kernels().quantize_a8(x.data(), 96, a8.data(), a);
            set->quantize_a8(x.data(), 96, b8.data(), b);
            for (int8_t& q : b8) q = static_cast<int8_t>(q ^ set->act_up);
            compare(a8, b8, 3);
            scalar_kernels().quantize_a16(x.data(), 96, a16.data(), a);
            set->quantize_a16(x.data(), 96, b16.data(), b);
            for (int8_t& q : b16) q = static_cast<int8_t>(q ^ set->act_up);
            compare(a16, b16, 6);
            std::vector<uint16_t> ha(93), hb(93);
            scalar_kernels().to_f16(x.data(), ha.data(), ha.size());
            set->to_f16(x.data(), hb.data(), hb.size());
            ASSERT_EQ(ha, hb);
        }
}

double silu_exact(double x) { return x / (1 + std::exp(-x)); }
double gelu_exact(double x) { return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }

// Scalar against double precision; the other sets against scalar. Every length from 0 on: tails are done apart.
TEST(Kernels, ActivationsHaveTheBitsOfScalarAndAreRight) {
    Random random(5);
    std::vector<float> x;
    for (float v = -100; v < 100; v += 0.013f) x.push_back(v);
    for (const float v : {0.0f, -0.0f, 1e-45f, -1e-40f, 1e38f, -1e38f, 3.4e38f, -3.4e38f, INFINITY, -INFINITY, NAN, 88.5f, -88.5f, -87.4f}) x.push_back(v);
    const size_t n = x.size();
    const auto up = random_floats(random, n);
    const Kernels& scalar = scalar_kernels();
    std::vector<float> silu_mul(n), gelu = x, gelu_mul(n);
    scalar.silu_mul(x.data(), up.data(), silu_mul.data(), n);
    scalar.gelu_tanh(gelu.data(), n);
    scalar.gelu_tanh_mul(x.data(), up.data(), gelu_mul.data(), n);
    for (size_t i = 0; i < n; ++i) {
        const double v = x[i], u = up[i];
        if (std::isnan(x[i])) {
            EXPECT_TRUE(std::isnan(silu_mul[i]) && std::isnan(gelu[i]) && std::isnan(gelu_mul[i]));
            continue;
        }
        if (!std::isfinite(x[i])) continue;
        EXPECT_NEAR(silu_mul[i], silu_exact(v) * u, 4e-7 * std::abs(v * u) + 1e-35) << v;
        if (std::abs(v) > 1e10) continue;
        EXPECT_NEAR(gelu[i], gelu_exact(v), 1e-6 * std::abs(v) + 1e-30) << v;
        EXPECT_NEAR(gelu_mul[i], gelu_exact(v) * u, 1e-6 * std::abs(v * u) + 1e-30) << v;
        EXPECT_TRUE(same_bits(gelu_mul[i], gelu[i] * up[i])) << v;
    }
    for (const Kernels* set : sets()) {
        std::vector<float> out(n);
        set->silu_mul(x.data(), up.data(), out.data(), n);
        expect_same(silu_mul, out, "silu_mul");
        set->gelu_tanh_mul(x.data(), up.data(), out.data(), n);
        expect_same(gelu_mul, out, "gelu_mul");
        out = x;
        set->gelu_tanh(out.data(), n);
        expect_same(gelu, out, "gelu");
        out = x;
        set->gelu_tanh_mul(out.data(), up.data(), out.data(), n);  // in place
        expect_same(gelu_mul, out, "gelu_mul in place");
        for (size_t length = 0; length < 40; ++length) {
            std::vector<float> guarded(length + 1, 7.0f);
            set->gelu_tanh_mul(x.data() + 31, up.data() + 31, guarded.data(), length);
            expect_same({gelu_mul.begin() + 31, gelu_mul.begin() + 31 + static_cast<ptrdiff_t>(length)}, {guarded.begin(), guarded.end() - 1}, "gelu_mul tail");
            EXPECT_EQ(guarded.back(), 7.0f);
        }
    }
}

TEST(Kernels, AttentionHasTheBitsOfScalar) {
    Random random(6);
    for (const Kernels* set : sets())
        for (int round = 0; round < 60; ++round) {
            const auto type = static_cast<backend::KvType>(round % 3);
            constexpr uint32_t head_dims[] = {1, 7, 8, 12, 15, 16, 20, 64, 72, 128};
            const uint32_t d_k = head_dims[random() % std::size(head_dims)], d_v = head_dims[random() % std::size(head_dims)];
            const uint32_t n_head_kv = 1 + random() % 3, group = 1 + random() % 4, n_rows = 1 + random() % attention_rows;
            constexpr uint32_t starts[] = {0, 1, 62, 63, 64, 127, 500, 1023, 1024, 2100};
            const uint32_t first = starts[random() % (round % 5 == 0 ? std::size(starts) : 6)];
            const uint32_t n_pages = (first + n_rows - 1) / page_tokens + 1;
            std::vector<std::vector<uint8_t>> pages;
            std::vector<const void*> k_pages, v_pages;
            const auto page = [&](uint32_t dims) {
                const size_t n = size_t{n_head_kv} * dims * page_tokens;
                const auto values = random_floats(random, n, 0.1f);
                std::vector<uint8_t> bytes(n_head_kv * page_tokens * backend::kv_bytes(type, dims));
                switch (type) {
                    case backend::KvType::F32: std::memcpy(bytes.data(), values.data(), bytes.size()); break;
                    case backend::KvType::F16: scalar_kernels().to_f16(values.data(), reinterpret_cast<uint16_t*>(bytes.data()), n); break;
                    case backend::KvType::Q8_0:  // any bytes; as scales what values there are
                        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
                        for (size_t head = 0; head < n_head_kv; ++head) {
                            const size_t n_scales = size_t{page_tokens} * backend::kv_blocks(dims);
                            scalar_kernels().to_f16(values.data(), reinterpret_cast<uint16_t*>(bytes.data() + head * page_tokens * backend::kv_bytes(type, dims) + size_t{page_tokens} * dims), std::min(n_scales, n));
                        }
                        break;
                }
                pages.push_back(std::move(bytes));
                return pages.back().data();
            };
            for (uint32_t p = 0; p < n_pages; ++p) {
                k_pages.push_back(page(d_k));
                v_pages.push_back(page(d_v));
            }
            const auto q = random_floats(random, size_t{n_rows} * n_head_kv * group * d_k);
            std::vector<float> a(size_t{n_rows} * n_head_kv * group * d_v), b(a.size());
            AlignedBuffer scratch(attention_scratch_bytes(group, d_k, d_v));
            const auto run = [&](const Kernels& kernels, std::vector<float>& out) {
                std::vector<AttentionRow> rows;
                for (uint32_t r = 0; r < n_rows; ++r) rows.push_back({q.data() + size_t{r} * n_head_kv * group * d_k, out.data() + size_t{r} * n_head_kv * group * d_v, first + r});
                for (uint32_t head = 0; head < n_head_kv; ++head) {
                    const AttentionJob job{k_pages.data(), v_pages.data(), type, n_head_kv * group, n_head_kv, d_k, d_v, 0.125f, head, rows.data(), n_rows, scratch.data()};
                    kernels.attention(&job);
                }
            };
            run(scalar_kernels(), a);
            run(*set, b);
            expect_same(a, b, "attention");
        }
}

// A step's attention as CpuOps cuts it: q, k and v of `n_rows` rows at the end of a sequence of `length`, over pages that may be one and the same.
struct AttentionStep {
    backend::Attention attention;
    uint32_t length, n_rows;
    std::vector<float> q, k, v;
    std::vector<void*> pages;

    AttentionStep(Random& random, const backend::Attention& a, uint32_t l, uint32_t n, std::vector<std::vector<uint8_t>>& memory)
        : attention(a), length(l), n_rows(n), q(random_floats(random, size_t{n} * a.n_head * a.d_k)), k(random_floats(random, size_t{n} * a.n_head_kv * a.d_k)),
          v(random_floats(random, size_t{n} * a.n_head_kv * a.d_v)) {
        for (uint32_t page = 0; page * page_tokens < l; ++page) pages.push_back(memory[page % memory.size()].data());
    }

    std::vector<float> run(const Kernels& kernels, uint32_t n_threads) {
        const backend::Attention& a = attention;
        std::vector<float> out(size_t{n_rows} * a.n_head * a.d_v);
        const backend::StepLimits limits{n_rows, a.n_head * std::max(a.d_k, a.d_v), std::max(a.d_k, a.d_v), a.n_head / a.n_head_kv, static_cast<uint32_t>(pages.size()), 64};
        CpuOps ops(kernels, limits, n_threads);
        Team team(ThreadPool::shared(), n_threads, nullptr);
        ops.begin_step(team);
        std::vector<uint32_t> rows(n_rows);
        std::vector<int32_t> positions(n_rows);
        for (uint32_t i = 0; i < n_rows; ++i) {
            rows[i] = i;
            positions[i] = static_cast<int32_t>(length - n_rows + i);
        }
        const backend::KvSequence sequence{pages, rows, length - n_rows};
        const uint64_t k_offset = 0, v_offset = size_t{a.n_head_kv} * a.d_k * page_tokens * sizeof(float);
        const backend::KvStep step{{&sequence, 1}, positions, backend::KvType::F32, {&k_offset, 1}, {&v_offset, 1}};
        const auto buffer = [&](std::vector<float>& values) { return backend::Buffer{values.data(), n_rows, static_cast<uint32_t>(values.size() / n_rows)}; };
        ops.attention(a, step, buffer(q), buffer(k), buffer(v), buffer(out));
        return out;
    }
};

std::vector<std::vector<uint8_t>> attention_pages(Random& random, const backend::Attention& a, size_t n) {
    std::vector<std::vector<uint8_t>> pages(n);
    for (auto& page : pages) {
        const auto values = random_floats(random, size_t{a.n_head_kv} * page_tokens * (a.d_k + a.d_v));
        page.resize(values.size() * sizeof(float));
        std::memcpy(page.data(), values.data(), page.size());
    }
    return pages;
}

// Scalar units are small enough here to hold two heads of a group of three, then one: the bits are those of a kernel called with all at once.
TEST(Attention, CutIntoHeadsHasTheSameBits) {
    Random random(8);
    for (const uint32_t length : {200u, 3000u, 6000u}) {
        const backend::Attention a{0, 6, 2, 64, 72, 0.125f};
        auto memory = attention_pages(random, a, 7);
        AttentionStep step(random, a, length, 5, memory);
        const auto cut = step.run(scalar_kernels(), 2);  // writes the new keys and values too

        std::vector<const void*> k_pages(step.pages.begin(), step.pages.end()), v_pages;
        for (void* page : step.pages) v_pages.push_back(static_cast<uint8_t*>(page) + size_t{a.n_head_kv} * a.d_k * page_tokens * sizeof(float));
        std::vector<float> whole(cut.size());
        std::vector<AttentionRow> rows;
        for (uint32_t r = 0; r < step.n_rows; ++r) rows.push_back({step.q.data() + size_t{r} * a.n_head * a.d_k, whole.data() + size_t{r} * a.n_head * a.d_v, length - step.n_rows + r});
        AlignedBuffer scratch(attention_scratch_bytes(3, a.d_k, a.d_v));
        for (uint32_t head = 0; head < a.n_head_kv; ++head) {
            const AttentionJob job{k_pages.data(), v_pages.data(), backend::KvType::F32, a.n_head, a.n_head_kv, a.d_k, a.d_v, a.scale, head, rows.data(), step.n_rows, scratch.data()};
            scalar_kernels().attention(&job);
        }
        expect_same(whole, cut, "cut");
        for (const Kernels* set : sets()) expect_same(whole, step.run(*set, 3), set->name);
    }
}

// A kernel that only marks what it is given: each query head of each row once, and no job above the bound unless it is a single one.
size_t most_macs = 0;
void mark_attention(const AttentionJob* job) {
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    const uint32_t group = job->n_head / job->n_head_kv;
    size_t macs = 0;
    for (uint32_t r = 0; r < job->n_rows; ++r)
        for (uint32_t head = job->head_kv * group; head < (job->head_kv + 1) * group; ++head) {
            job->rows[r].out[size_t{head} * job->d_v] += job->rows[r].q[size_t{head} * job->d_k];
            macs += size_t{job->rows[r].position + 1} * (job->d_k + job->d_v);
        }
    if (job->n_rows * group > 1) most_macs = std::max(most_macs, macs);
}

TEST(Attention, UnitsAreBoundedAndCoverEveryHeadOnce) {
    Random random(9);
    Kernels marking = scalar_kernels();
    marking.attention = mark_attention;
    for (const auto& [n_head, n_head_kv] : {std::pair{16u, 2u}, {7u, 1u}, {12u, 4u}, {3u, 3u}})
        for (const uint32_t length : {40u, 5000u, 15'000u, 40'000u, 200'000u}) {
            const backend::Attention a{0, n_head, n_head_kv, 128, 64, 1};
            auto memory = attention_pages(random, a, 1);
            AttentionStep step(random, a, length, 33, memory);
            most_macs = 0;
            const auto out = step.run(marking, 2);
            EXPECT_LE(most_macs, size_t{24} << 20) << n_head << " heads, " << length << " positions";
            for (uint32_t row = 0; row < step.n_rows; ++row)
                for (uint32_t head = 0; head < n_head; ++head)
                    ASSERT_EQ(out[(size_t{row} * n_head + head) * a.d_v], step.q[(size_t{row} * n_head + head) * a.d_k]) << "row " << row << " head " << head;
        }
}

}  // namespace
}  // namespace ng::cpu
