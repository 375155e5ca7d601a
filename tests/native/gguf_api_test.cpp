// ng_gguf_*, ng_type_*, ng_task_* through the shared library: right calls answer, wrong ones get a status and a text.
#include "abi_support.h"
#include "raw_gguf.h"

using namespace ng::test;

extern "C" uint32_t ng_test_abi_version_in_c(void);
extern "C" size_t ng_test_error_bytes_in_c(void);

namespace {

class GgufApi : public ::testing::Test {
protected:
    GgufApi() {
        RawGguf(2, 4)
            .key("text", 8)
            .string("hello")
            .key("number", 4)
            .u32(7)
            .key("texts", 9)
            .u32(8)
            .u64(2)
            .string("a")
            .string("bc")
            .key("none", 9)
            .u32(0)
            .u64(0)
            .tensor("weights", {4, 2}, 0, 0)
            .tensor("odd", {3}, 77, 32)
            .data(40)
            .write(folder_ / "f.gguf");
        ng_error error = sized<ng_error>();
        EXPECT_EQ(ng_gguf_open((folder_ / "f.gguf").c_str(), &gguf_, &error), NG_OK) << error.text;
        EXPECT_EQ(error.code, NG_OK);
        EXPECT_STREQ(error.text, "");
    }
    ~GgufApi() override { ng_gguf_close(gguf_); }

    const TempFolder folder_;
    ng_gguf* gguf_ = nullptr;
};

} // namespace

TEST(LibraryApi, TheHeaderIsC) {
    EXPECT_EQ(ng_test_abi_version_in_c(), uint32_t{NG_ABI_VERSION});
    EXPECT_EQ(ng_test_error_bytes_in_c(), sizeof(ng_error));
}

TEST(LibraryApi, KnowsTheSizesOfItsStructs) {
    EXPECT_EQ(ng_struct_size("ng_error"), sizeof(ng_error));
    EXPECT_EQ(sizeof(ng_error), 1024u);
    EXPECT_EQ(ng_struct_size("ng_cpu_info"), sizeof(ng_cpu_info));
    EXPECT_EQ(ng_struct_size("ng_gguf_info"), sizeof(ng_gguf_info));
    EXPECT_EQ(ng_struct_size("ng_gguf_kv"), sizeof(ng_gguf_kv));
    EXPECT_EQ(ng_struct_size("ng_gguf_tensor"), sizeof(ng_gguf_tensor));
    EXPECT_EQ(ng_struct_size("ng_type_info"), sizeof(ng_type_info));
    EXPECT_EQ(ng_struct_size("ng_model_options"), sizeof(ng_model_options));
    EXPECT_EQ(ng_struct_size("ng_model_info"), sizeof(ng_model_info));
    EXPECT_EQ(ng_struct_size("ng_context_options"), sizeof(ng_context_options));
    EXPECT_EQ(ng_struct_size("ng_memory_estimate"), sizeof(ng_memory_estimate));
    EXPECT_EQ(ng_struct_size("ng_context_stats"), sizeof(ng_context_stats));
    EXPECT_EQ(ng_struct_size("ng_batch"), sizeof(ng_batch));
    EXPECT_EQ(ng_struct_size("ng_other"), 0u);
    EXPECT_EQ(ng_struct_size(nullptr), 0u);
}

TEST(LibraryApi, BuildInfoIsCutToTheBuffer) {
    char text[200];
    const size_t length = ng_build_info(text, sizeof text);
    EXPECT_EQ(std::strlen(text), length);
    char small[4] = {'x', 'x', 'x', 'x'};
    EXPECT_EQ(ng_build_info(small, sizeof small), length);
    EXPECT_EQ(std::string(small), std::string(text).substr(0, 3));
    EXPECT_EQ(ng_build_info(nullptr, 0), length);
    EXPECT_EQ(ng_build_info(small, 0), length);
}

TEST(LibraryApi, AnErrorOfAnotherSizeIsRefusedAndNotWritten) {
    ng_error error = sized<ng_error>();
    error.struct_size = 12;
    std::memset(error.text, 'q', sizeof error.text);
    ng_gguf* gguf = nullptr;
    EXPECT_EQ(ng_gguf_open("x", &gguf, &error), NG_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(error.text[0], 'q');
}

TEST(LibraryApi, TextOfAnErrorIsUtf8) {
    ng_gguf* gguf = nullptr;
    EXPECT_STATUS(NG_ERR_NOT_FOUND, "?\xc3\xa9??: no such file", ng_gguf_open("\xff\xc3\xa9\xe2\x82", &gguf, &error));
    std::string path = "x";
    for (int i = 0; i < 700; i++)
        path += "\xc3\xa9"; // the cut must not halve one
    ng_error error = sized<ng_error>();
    EXPECT_EQ(ng_gguf_open(path.c_str(), &gguf, &error), NG_ERR_NOT_FOUND);
    const std::string text = error.text;
    EXPECT_LT(text.size(), sizeof error.text);
    EXPECT_NE(static_cast<unsigned char>(text.back()), 0xc3);
}

TEST(TaskApi, IsSetAndReset) {
    ng_task* task = nullptr;
    ASSERT_EQ(ng_task_create(&task, nullptr), NG_OK);
    EXPECT_EQ(ng_task_progress(task), 0.0f);
    ng_task_cancel(task);
    ng_task_reset(task);
    ng_task_close(task);
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'task' is NULL", ng_task_create(nullptr, &error));
    ng_task_cancel(nullptr);
    ng_task_reset(nullptr);
    ng_task_close(nullptr);
    EXPECT_EQ(ng_task_progress(nullptr), 0.0f);
}

TEST_F(GgufApi, DescribesTheFile) {
    ng_gguf_info info = sized<ng_gguf_info>();
    ASSERT_EQ(ng_gguf_get_info(gguf_, &info, nullptr), NG_OK);
    EXPECT_EQ(info.version, 3u);
    EXPECT_EQ(info.n_kv, 4u);
    EXPECT_EQ(info.n_tensors, 2u);
    EXPECT_EQ(info.n_files, 1u);
    EXPECT_EQ(info.alignment, 32u);
    EXPECT_EQ(info.file_bytes, std::filesystem::file_size(folder_ / "f.gguf"));
}

TEST_F(GgufApi, GivesKeysAndValues) {
    EXPECT_EQ(ng_gguf_find(gguf_, "texts"), 2);
    EXPECT_EQ(ng_gguf_find(gguf_, "absent"), -1);
    EXPECT_EQ(ng_gguf_find(gguf_, nullptr), -1);
    EXPECT_EQ(ng_gguf_find(nullptr, "texts"), -1);

    ng_gguf_kv info = sized<ng_gguf_kv>();
    char key[4];
    size_t length = 0;
    ASSERT_EQ(ng_gguf_kv_info(gguf_, 2, &info, key, sizeof key, &length, nullptr), NG_OK);
    EXPECT_STREQ(key, "tex");
    EXPECT_EQ(length, 5u);
    EXPECT_EQ(info.type, uint32_t{NG_GGUF_ARRAY});
    EXPECT_EQ(info.item_type, uint32_t{NG_GGUF_STRING});
    EXPECT_EQ(info.count, 2u);
    ASSERT_EQ(info.bytes, 8u + 1 + 8 + 2);
    const char expected[] = "\1\0\0\0\0\0\0\0a\2\0\0\0\0\0\0\0bc";
    char value[19];
    ASSERT_EQ(ng_gguf_kv_value(gguf_, 2, value, sizeof value, nullptr), NG_OK);
    EXPECT_EQ(std::memcmp(value, expected, sizeof value), 0);
    EXPECT_EQ(ng_gguf_kv_value(gguf_, 2, value, sizeof value - 1, nullptr), NG_BUFFER_TOO_SMALL);

    ASSERT_EQ(ng_gguf_kv_info(gguf_, 0, &info, nullptr, 0, nullptr, nullptr), NG_OK);
    EXPECT_EQ(info.item_type, info.type);
    EXPECT_EQ(info.count, 1u);
    EXPECT_EQ(info.bytes, 5u);
    ASSERT_EQ(ng_gguf_kv_value(gguf_, 0, value, 5, nullptr), NG_OK);
    EXPECT_EQ(std::string(value, 5), "hello");
    EXPECT_EQ(ng_gguf_kv_value(gguf_, 3, nullptr, 0, nullptr), NG_OK); // an empty array needs no buffer
}

TEST_F(GgufApi, GivesTensors) {
    ng_gguf_tensor info = sized<ng_gguf_tensor>();
    char name[64];
    size_t length = 0;
    ASSERT_EQ(ng_gguf_tensor_info(gguf_, 0, &info, name, sizeof name, &length, nullptr), NG_OK);
    EXPECT_STREQ(name, "weights");
    EXPECT_EQ(length, 7u);
    EXPECT_EQ(info.n_dims, 2u);
    EXPECT_EQ(info.ne[0] * 100 + info.ne[1] * 10 + info.ne[3], 421u);
    EXPECT_EQ(info.bytes, 32u);
    ASSERT_EQ(ng_gguf_tensor_info(gguf_, 1, &info, name, sizeof name, nullptr, nullptr), NG_OK);
    EXPECT_EQ(info.type, 77u);
    EXPECT_EQ(info.bytes, 0u);
}

TEST_F(GgufApi, WrongArgumentsGetAStatus) {
    ng_gguf* none = nullptr;
    ng_gguf_info file = sized<ng_gguf_info>(), file_of_no_size{};
    ng_gguf_kv kv = sized<ng_gguf_kv>(), kv_of_no_size{};
    ng_gguf_tensor tensor = sized<ng_gguf_tensor>(), tensor_of_no_size{};
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'path' is NULL", ng_gguf_open(nullptr, &none, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'gguf' is NULL", ng_gguf_open("x", nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'gguf' is NULL", ng_gguf_get_info(nullptr, &file, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'info' is NULL", ng_gguf_get_info(gguf_, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "struct_size 0", ng_gguf_get_info(gguf_, &file_of_no_size, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "key 4 of 4", ng_gguf_kv_info(gguf_, 4, &kv, nullptr, 0, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "key 18446744073709551615 of 4", ng_gguf_kv_value(gguf_, ~0ull, nullptr, 0, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'info'", ng_gguf_kv_info(gguf_, 0, &kv_of_no_size, nullptr, 0, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'text buffer' is NULL", ng_gguf_kv_info(gguf_, 0, &kv, nullptr, 5, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'buffer' is NULL", ng_gguf_kv_value(gguf_, 0, nullptr, 100, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "tensor 2 of 2", ng_gguf_tensor_info(gguf_, 2, &tensor, nullptr, 0, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'info'", ng_gguf_tensor_info(gguf_, 0, &tensor_of_no_size, nullptr, 0, nullptr, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'gguf' is NULL", ng_gguf_tensor_info(nullptr, 0, &tensor, nullptr, 0, nullptr, &error));
    ng_gguf_close(nullptr);
}

TEST_F(GgufApi, AFailedOpenLeavesNoHandle) {
    ng_gguf* gguf = gguf_;
    EXPECT_STATUS(NG_ERR_NOT_FOUND, "no such file", ng_gguf_open((folder_ / "absent").c_str(), &gguf, &error));
    EXPECT_EQ(gguf, nullptr);
    EXPECT_STATUS(NG_ERR_NOT_FOUND, "is a folder", ng_gguf_open((folder_ / ".").c_str(), &gguf, &error));
    RawGguf(9, 0).write(folder_ / "bad");
    EXPECT_STATUS(NG_ERR_INVALID_MODEL, "9 tensors do not fit", ng_gguf_open((folder_ / "bad").c_str(), &gguf, &error));
}

TEST(TypeApi, DescribesTypes) {
    ng_type_info info = sized<ng_type_info>();
    ASSERT_EQ(ng_type_get_info(12, &info, nullptr), NG_OK);
    EXPECT_STREQ(info.name, "Q4_K");
    EXPECT_EQ(info.block_elements, 256u);
    EXPECT_EQ(info.block_bytes, 144u);
    EXPECT_EQ(info.supported, 1u);
    ASSERT_EQ(ng_type_get_info(16, &info, nullptr), NG_OK);
    EXPECT_STREQ(info.name, "IQ2_XXS");
    EXPECT_EQ(info.supported, 0u);
    EXPECT_STATUS(NG_ERR_UNSUPPORTED_ARCHITECTURE, "tensor type 5000 is unknown", ng_type_get_info(5000, &info, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'info' is NULL", ng_type_get_info(12, nullptr, &error));
}

TEST(TypeApi, DequantizesWholeBlocks) {
    const Bytes blocks = read_file(NG_FIXTURES "/blocks/Q6_K.blocks");
    const std::vector<float> expected = read_floats(NG_FIXTURES "/blocks/Q6_K.f32");
    std::vector<float> values(expected.size());
    ASSERT_EQ(ng_type_dequantize(14, blocks.data(), blocks.size(), values.data(), values.size(), nullptr), NG_OK);
    EXPECT_EQ(std::memcmp(values.data(), expected.data(), values.size() * sizeof(float)), 0);
    EXPECT_EQ(ng_type_dequantize(14, nullptr, 0, nullptr, 0, nullptr), NG_OK);

    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "do not hold 2048", ng_type_dequantize(14, blocks.data(), blocks.size() - 1, values.data(), 2048, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "do not hold 2047", ng_type_dequantize(14, blocks.data(), blocks.size(), values.data(), 2047, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "do not hold", ng_type_dequantize(14, blocks.data(), 210, values.data(), 512, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'blocks' is NULL", ng_type_dequantize(14, nullptr, 210, values.data(), 256, &error));
    EXPECT_STATUS(NG_ERR_INVALID_ARGUMENT, "'values' is NULL", ng_type_dequantize(14, blocks.data(), 210, nullptr, 256, &error));
    EXPECT_STATUS(NG_ERR_UNSUPPORTED_ARCHITECTURE, "IQ1_S", ng_type_dequantize(19, blocks.data(), 50, values.data(), 256, &error));
    EXPECT_STATUS(NG_ERR_UNSUPPORTED_ARCHITECTURE, "unknown", ng_type_dequantize(4, blocks.data(), 50, values.data(), 256, &error));
}
