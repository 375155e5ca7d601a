// Sound GGUF files: every value type, both versions, all ways to open, split sets. Damaged ones are in gguf_damage_test.cpp.
#include "raw_gguf.h"

#include "gguf/writer.h"
#include "tensor/dtype.h"

#include <limits>

using namespace ng;
using namespace ng::test;

namespace {

constexpr OpenMode modes[] = {OpenMode::Map, OpenMode::Read, OpenMode::MetadataOnly};

std::span<const std::byte> bytes_of(const std::vector<float>& values) { return std::as_bytes(std::span(values)); }

std::vector<float> ramp(size_t n, float first) {
    std::vector<float> values(n);
    for (size_t i = 0; i < n; i++)
        values[i] = first + static_cast<float>(i);
    return values;
}

} // namespace

TEST(Gguf, ReadsBackEveryTypeThatWasWritten) {
    const TempFolder folder;
    const std::string path = folder / "all.gguf";
    const float floats[] = {0.5f, -2.0f};
    const uint8_t small[] = {1, 2, 255};
    const int64_t large[] = {std::numeric_limits<int64_t>::min(), 0, std::numeric_limits<int64_t>::max()};
    const bool bools[] = {true, false, true};
    const std::string texts[] = {"", "two\0parts" + std::string(1, '\0'), "\xff\xfe", std::string(100'000, 'x')};
    GgufWriter writer;
    writer.set("u8", uint8_t{255});
    writer.set("i8", int8_t{-128});
    writer.set("u16", uint16_t{65535});
    writer.set("i16", int16_t{-32768});
    writer.set("u32", uint32_t{4294967295u});
    writer.set("i32", int32_t{-2147483647 - 1});
    writer.set("u64", std::numeric_limits<uint64_t>::max());
    writer.set("i64", std::numeric_limits<int64_t>::min());
    writer.set("f32", 1.5f);
    writer.set("f64", 1e300);
    writer.set("yes", true);
    writer.set("no", false);
    writer.set("text", "h\xc3\xa9llo");
    writer.set("empty", "");
    writer.set_array<float>("floats", floats);
    writer.set_array<uint8_t>("small", small);
    writer.set_array<int64_t>("large", large);
    writer.set_array<bool>("bools", bools);
    writer.set_array("texts", texts);
    writer.set_array<uint32_t>("none", {});
    writer.set_array("no texts", std::span<const std::string>{});
    writer.write(path);

    const auto file = GgufFile::open(path, OpenMode::MetadataOnly);
    EXPECT_EQ(file->version(), 3u);
    EXPECT_EQ(file->metadata().size(), 21u);
    EXPECT_EQ(file->metadata()[0].key, "u8");
    EXPECT_EQ(file->get_u64("u8"), 255u);
    EXPECT_EQ(file->get_i64("i8"), -128);
    EXPECT_EQ(file->get_u64("u16"), 65535u);
    EXPECT_EQ(file->get_i64("i16"), -32768);
    EXPECT_EQ(file->get_u64("u32"), 4294967295u);
    EXPECT_EQ(file->get_i64("i32"), -2147483648LL);
    EXPECT_EQ(file->get_u64("u64"), std::numeric_limits<uint64_t>::max());
    EXPECT_EQ(file->get_i64("i64"), std::numeric_limits<int64_t>::min());
    EXPECT_EQ(file->get_f64("f32"), 1.5);
    EXPECT_EQ(file->get_f64("f64"), 1e300);
    EXPECT_EQ(file->get_f64("i8"), -128.0);
    EXPECT_EQ(file->get_bool("yes"), true);
    EXPECT_EQ(file->get_bool("no"), false);
    EXPECT_EQ(file->get_string("text"), "h\xc3\xa9llo");
    EXPECT_EQ(file->get_string("empty"), "");
    EXPECT_EQ(file->get_f64_array("floats"), std::vector<double>({0.5, -2.0}));
    EXPECT_EQ(file->get_u64_array("small"), std::vector<uint64_t>({1, 2, 255}));
    EXPECT_EQ(file->get_i64_array("large"), std::vector<int64_t>(std::begin(large), std::end(large)));
    EXPECT_EQ(file->get_bool_array("bools"), std::vector<bool>({true, false, true}));
    EXPECT_EQ(file->get_string_array("texts"), std::vector<std::string_view>(std::begin(texts), std::end(texts)));
    EXPECT_EQ(file->get_u64_array("none"), std::vector<uint64_t>());
    EXPECT_EQ(file->get_string_array("no texts"), std::vector<std::string_view>());
    EXPECT_EQ(file->find("absent"), nullptr);
    EXPECT_EQ(file->get_u64("absent"), std::nullopt);
    EXPECT_EQ(file->get_string_array("absent"), std::nullopt);
    EXPECT_TRUE(file->tensors().empty());
}

TEST(Gguf, AWrongTypeNamesTheKey) {
    const TempFolder folder;
    const uint32_t numbers[] = {1, 70'000};
    GgufWriter writer;
    writer.set("text", "x");
    writer.set("minus", int32_t{-1});
    writer.set("real", 1.0f);
    writer.set("large", std::numeric_limits<uint64_t>::max());
    writer.set_array<uint32_t>("numbers", numbers);
    writer.write(folder / "f");
    const auto file = GgufFile::open(folder / "f", OpenMode::MetadataOnly);
    EXPECT_FAILS(file->get_u64("text"), Status::InvalidModel, "key 'text' is a string, expected a whole number");
    EXPECT_FAILS(file->get_u64("minus"), Status::InvalidModel, "key 'minus'");
    EXPECT_FAILS(file->get_u64("real"), Status::InvalidModel, "key 'real' holds a float32");
    EXPECT_FAILS(file->get_i64("large"), Status::InvalidModel, "key 'large'");
    EXPECT_FAILS(file->get_bool("real"), Status::InvalidModel, "not a bool");
    EXPECT_FAILS(file->get_f64("text"), Status::InvalidModel, "expected a number");
    EXPECT_FAILS(file->get_string("real"), Status::InvalidModel, "expected a string");
    EXPECT_FAILS(file->get_u64("numbers"), Status::InvalidModel, "is an array");
    EXPECT_FAILS(file->get_u64_array("real"), Status::InvalidModel, "is not an array");
    EXPECT_FAILS(file->get_string_array("numbers"), Status::InvalidModel, "is not an array whose elements are each a string");
    EXPECT_FAILS(file->get_bool_array("numbers"), Status::InvalidModel, "not a bool");
}

TEST(Gguf, TensorsLieWhereTheTableSays) {
    const TempFolder folder;
    const std::string path = folder / "t.gguf";
    const std::vector<float> a = ramp(7, 1), b = ramp(24, 100);
    const Bytes blocks(2 * 34, std::byte{3});
    const uint64_t ne_a[] = {7}, ne_b[] = {4, 3, 2, 1}, ne_c[] = {32, 2};
    for (const uint32_t alignment : {8u, 32u, 4096u}) {
        GgufWriter writer;
        writer.set("general.alignment", alignment);
        writer.add_tensor("a", 0, ne_a, bytes_of(a));
        writer.add_tensor("b", 0, ne_b, bytes_of(b));
        writer.add_tensor("c", 8, ne_c, blocks);
        writer.write(path);
        for (const OpenMode mode : modes) {
            const auto file = GgufFile::open(path, mode);
            EXPECT_EQ(file->alignment(), alignment);
            EXPECT_EQ(file->file_bytes(), std::filesystem::file_size(path));
            ASSERT_EQ(file->tensors().size(), 3u);
            const TensorInfo& c = file->tensors()[2];
            EXPECT_EQ(file->tensor("c"), &c);
            EXPECT_EQ(c.name, "c");
            EXPECT_EQ(c.type, 8u);
            EXPECT_EQ(c.n_dims, 2u);
            EXPECT_EQ(c.ne, (std::array<uint64_t, 4>{32, 2, 1, 1}));
            EXPECT_EQ(c.elements(), 64u);
            EXPECT_EQ(c.bytes, 68u);
            EXPECT_EQ(c.offset % alignment, 0u);
            EXPECT_EQ(file->tensor("b")->n_dims, 4u);
            EXPECT_EQ(file->tensor("d"), nullptr);
            if (mode == OpenMode::MetadataOnly) {
                EXPECT_EQ(c.data, nullptr);
                continue;
            }
            EXPECT_EQ(std::memcmp(file->tensor("a")->data, a.data(), 7 * 4), 0);
            EXPECT_EQ(std::memcmp(file->tensor("b")->data, b.data(), 24 * 4), 0);
            EXPECT_EQ(std::memcmp(c.data, blocks.data(), blocks.size()), 0);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(c.data) % 8, 0u);
        }
    }
}

TEST(Gguf, Version2IsReadTheSame) {
    const TempFolder folder;
    for (const uint32_t version : {2u, 3u}) {
        RawGguf(1, 1, version).key("general.architecture", 8).string("llama").tensor("w", {4}, 0, 0).data(16).write(folder / "f");
        const auto file = GgufFile::open(folder / "f", OpenMode::Map);
        EXPECT_EQ(file->version(), version);
        EXPECT_EQ(file->get_string("general.architecture"), "llama");
        EXPECT_EQ(file->tensor("w")->bytes, 16u);
        EXPECT_EQ(file->tensor("w")->data[15], std::byte{0x5a});
    }
}

TEST(Gguf, WhatTheEngineCanNotRunCanBeInspected) {
    const TempFolder folder;
    RawGguf(3, 1)
        .key("general.architecture", 8)
        .string("from-the-future")
        .tensor("x", {999, 3}, 1234, 0)
        .tensor("y", {256}, 19, 32)
        .tensor("z", {2}, 0, 96)
        .data(104)
        .write(folder / "f");
    const auto file = GgufFile::open(folder / "f", OpenMode::Map);
    EXPECT_EQ(file->get_string("general.architecture"), "from-the-future");
    EXPECT_EQ(file->tensor("x")->type, 1234u);
    EXPECT_EQ(file->tensor("x")->bytes, 0u);
    EXPECT_EQ(file->tensor("x")->ne[1], 3u);
    EXPECT_EQ(file->tensor("y")->bytes, 50u); // IQ1_S: known, not readable
    EXPECT_EQ(file->tensor("z")->bytes, 8u);
}

TEST(Gguf, TheEmbeddedModelOpens) {
    const auto file = GgufFile::open(NG_SOURCE_DIR "/models/stories.q8_0.gguf", OpenMode::Map);
    EXPECT_EQ(file->get_string("general.architecture"), "llama");
    EXPECT_EQ(file->tensors().size(), 47u);
    uint64_t bytes = 0;
    for (const TensorInfo& tensor : file->tensors())
        bytes += tensor.bytes;
    EXPECT_LT(bytes, file->file_bytes());
    EXPECT_GT(bytes, file->file_bytes() / 2);
    EXPECT_EQ(file->get_string_array("tokenizer.ggml.tokens")->size(), file->find("tokenizer.ggml.tokens")->count);
    EXPECT_EQ(file->metadata_hash(), 12046199298058771256u) << "saved sequences depend on it: it never changes";
}

TEST(Gguf, ReleasedTensorsComeBackWhenMappedAndNeighboursStay) {
    const TempFolder folder;
    const std::vector<float> values = ramp(50'000, 0);
    const uint64_t ne[] = {50'000};
    GgufWriter writer;
    for (const char* name : {"a", "b", "c"})
        writer.add_tensor(name, 0, ne, bytes_of(values));
    writer.write(folder / "f");
    for (const OpenMode mode : {OpenMode::Map, OpenMode::Read}) {
        const auto file = GgufFile::open(folder / "f", mode);
        file->release(*file->tensor("b"));
        for (const TensorInfo& tensor : file->tensors()) {
            const bool same = std::memcmp(tensor.data, values.data(), tensor.bytes) == 0;
            const bool given_back = mode == OpenMode::Read && tensor.name == "b";
#if !defined(__linux__)
            if (given_back) continue; // what is there now is the system's choice
#endif
            EXPECT_EQ(same, !given_back) << tensor.name;
        }
    }
    const auto inspected = GgufFile::open(folder / "f", OpenMode::MetadataOnly);
    inspected->release(*inspected->tensor("b")); // holds nothing
}

TEST(Gguf, ReadingCanBeCancelled) {
    Task task;
    task.cancelled = true;
    EXPECT_FAILS(GgufFile::open(NG_SOURCE_DIR "/models/stories.q8_0.gguf", OpenMode::Read, &task), Status::Cancelled, "cancelled");
    task.cancelled = false;
    GgufFile::open(NG_SOURCE_DIR "/models/stories.q8_0.gguf", OpenMode::Read, &task);
    EXPECT_EQ(task.progress.load(), 1.0f);
}

// ---- hash ----

TEST(GgufHash, SeesMetadataNamesTypesAndShapesOnly) {
    const TempFolder folder;
    const std::vector<float> data = ramp(64, 0), other = ramp(64, 9);
    const auto hash = [&](auto&& change) {
        GgufWriter writer;
        writer.set("a", uint32_t{1});
        writer.set("b", "text");
        std::string name = "w";
        uint32_t type = 0;
        std::vector<uint64_t> ne{32, 2};
        std::span<const std::byte> bytes = bytes_of(data);
        change(writer, name, type, ne, bytes);
        writer.add_tensor(name, type, ne, bytes);
        writer.write(folder / "f");
        const uint64_t value = GgufFile::open(folder / "f", OpenMode::MetadataOnly)->metadata_hash();
        EXPECT_EQ(GgufFile::open(folder / "f", OpenMode::Map)->metadata_hash(), value);
        return value;
    };
    const uint64_t same = hash([](auto&...) {});
    EXPECT_EQ(hash([](auto&...) {}), same);
    EXPECT_EQ(hash([&](auto&, auto&, auto&, auto&, auto& bytes) { bytes = bytes_of(other); }), same);
    EXPECT_NE(hash([](auto& writer, auto&&...) { writer.set("a", uint32_t{2}); }), same);
    EXPECT_NE(hash([](auto& writer, auto&&...) { writer.set("a", int32_t{1}); }), same);
    EXPECT_NE(hash([](auto& writer, auto&&...) { writer.set("b", "texs"); }), same);
    EXPECT_NE(hash([](auto& writer, auto&&...) { writer.set("c", true); }), same);
    EXPECT_NE(hash([](auto&, auto& name, auto&&...) { name = "v"; }), same);
    EXPECT_NE(hash([](auto&, auto&, auto&, auto& ne, auto&) { ne = {64, 1}; }), same);
    EXPECT_NE(hash([](auto&, auto&, auto& type, auto&, auto& bytes) { type = 1, bytes = bytes.first(128); }), same);
}

// ---- writer ----

TEST(GgufWriter, ReplacesAFileThatIsMapped) {
    const TempFolder folder;
    const std::vector<float> one = ramp(10'000, 1), two = ramp(10'000, 2);
    const uint64_t ne[] = {10'000};
    GgufWriter first, second;
    first.add_tensor("w", 0, ne, bytes_of(one));
    second.add_tensor("w", 0, ne, bytes_of(two));
    first.write(folder / "f");
    const auto before = GgufFile::open(folder / "f", OpenMode::Map);
    second.write(folder / "f");
    EXPECT_EQ(std::memcmp(before->tensor("w")->data, one.data(), 40'000), 0);
    EXPECT_EQ(std::memcmp(GgufFile::open(folder / "f", OpenMode::Map)->tensor("w")->data, two.data(), 40'000), 0);
    EXPECT_FALSE(std::filesystem::exists(folder / "f.unfinished"));
}

TEST(GgufWriter, CopiesAnotherFilesValuesAndSetsAKeyOnce) {
    const TempFolder folder;
    const auto source = GgufFile::open(NG_SOURCE_DIR "/models/stories.q8_0.gguf", OpenMode::Map);
    GgufWriter writer;
    for (const Kv& kv : source->metadata())
        writer.set(kv);
    writer.set("general.name", "first");
    for (const Kv& kv : source->metadata())
        writer.set(kv);
    for (const TensorInfo& tensor : source->tensors())
        writer.add_tensor(tensor.name, tensor.type, std::span(tensor.ne).first(tensor.n_dims), {tensor.data, tensor.bytes});
    writer.write(folder / "copy.gguf");
    EXPECT_EQ(GgufFile::open(folder / "copy.gguf", OpenMode::Map)->metadata_hash(), source->metadata_hash());
    EXPECT_EQ(read_file(folder / "copy.gguf"), read_file(NG_SOURCE_DIR "/models/stories.q8_0.gguf"));
}

TEST(GgufWriter, LetsATensorWriteItselfInPieces) {
    const TempFolder folder;
    const uint64_t ne[] = {1024, 2000}, small[] = {64};
    const std::vector<float> values = ramp(64, 0);
    std::vector<size_t> pieces;
    const auto count_up = [&, next = uint32_t{0}](std::span<std::byte> blocks) mutable {
        pieces.push_back(blocks.size());
        for (size_t i = 0; i < blocks.size(); i += 4, next++)
            std::memcpy(blocks.data() + i, &next, 4);
    };
    GgufWriter writer;
    writer.add_tensor("q", 8, ne, count_up); // Q8_0: 34 bytes a block
    writer.add_tensor("w", 0, small, bytes_of(values));
    writer.write(folder / "f");

    const auto file = GgufFile::open(folder / "f", OpenMode::Map);
    ASSERT_EQ(file->tensor("q")->bytes, 1024u * 2000 / 32 * 34);
    ASSERT_EQ(pieces.size(), 3u); // of a whole number of blocks near 1 MiB
    EXPECT_EQ(pieces[0] % 34, 0u);
    EXPECT_EQ(std::memcmp(file->tensor("w")->data, values.data(), 256), 0);
    uint32_t word = 0;
    for (uint32_t i = 0; i < file->tensor("q")->bytes / 4; i++) {
        std::memcpy(&word, file->tensor("q")->data + 4 * size_t{i}, 4);
        ASSERT_EQ(word, i);
    }
}

TEST(GgufWriter, RefusesWhatItCouldNotReadBack) {
    const TempFolder folder;
    const std::vector<float> values = ramp(64, 0);
    const uint64_t ne[] = {64}, five[] = {1, 1, 1, 1, 64}, three[] = {3};
    GgufWriter writer;
    EXPECT_FAILS(writer.add_tensor("w", 0, five, bytes_of(values)), Status::InvalidArgument, "5 dimensions");
    EXPECT_FAILS(writer.add_tensor("w", 0, {}, bytes_of(values)), Status::InvalidArgument, "0 dimensions");
    EXPECT_FAILS(writer.add_tensor("w", 4, ne, bytes_of(values)), Status::InvalidArgument, "unknown type 4");
    EXPECT_FAILS(writer.add_tensor("w", 0, three, bytes_of(values)), Status::InvalidArgument, "256 bytes were given, its type and dimensions need 12");
    EXPECT_FAILS(writer.add_tensor("w", 8, three, bytes_of(values)), Status::InvalidArgument, "tensor 'w'");
    writer.set("general.alignment", uint32_t{24});
    EXPECT_FAILS(writer.write(folder / "f"), Status::InvalidArgument, "general.alignment");
    writer.set("general.alignment", uint32_t{32});
    EXPECT_FAILS(writer.write(folder / "no/such/folder/f"), Status::NotFound, "can not be written");
    writer.write(folder / "f");
}

// ---- split sets ----

namespace {

struct Part {
    uint16_t number, count;
    int32_t n_tensors;
    std::vector<std::string> tensors;
};

// Two tensors of 16 floats per name; the first part carries the metadata.
void write_part(const std::string& path, const Part& part) {
    static const std::vector<float> values = ramp(16, 0);
    static const uint64_t ne[] = {16};
    GgufWriter writer;
    if (part.number == 0) writer.set("general.architecture", "llama");
    writer.set("split.no", part.number);
    writer.set("split.count", part.count);
    writer.set("split.tensors.count", part.n_tensors);
    for (const std::string& name : part.tensors)
        writer.add_tensor(name, 0, ne, bytes_of(values));
    writer.write(path);
}

void write_set(const TempFolder& folder) {
    write_part(folder / "m-00001-of-00003.gguf", {0, 3, 4, {"a", "b"}});
    write_part(folder / "m-00002-of-00003.gguf", {1, 3, 4, {"c"}});
    write_part(folder / "m-00003-of-00003.gguf", {2, 3, 4, {"d"}});
}

} // namespace

TEST(GgufSplit, TheFirstFileOpensAll) {
    const TempFolder folder;
    write_set(folder);
    write_part(folder / "merged.gguf", {0, 0, 4, {"a", "b", "c", "d"}});
    const auto merged = GgufFile::open(folder / "merged.gguf", OpenMode::MetadataOnly);
    EXPECT_EQ(merged->n_files(), 1u);
    for (const OpenMode mode : modes) {
        const auto file = GgufFile::open(folder / "m-00001-of-00003.gguf", mode);
        EXPECT_EQ(file->n_files(), 3u);
        ASSERT_EQ(file->tensors().size(), 4u);
        EXPECT_EQ(file->tensor("b")->file, 0u);
        EXPECT_EQ(file->tensor("c")->file, 1u);
        EXPECT_EQ(file->tensor("d")->file, 2u);
        EXPECT_EQ(file->get_string("general.architecture"), "llama");
        EXPECT_EQ(file->metadata_hash(), merged->metadata_hash());
        EXPECT_EQ(file->file_bytes(), std::filesystem::file_size(folder / "m-00001-of-00003.gguf") +
                                          std::filesystem::file_size(folder / "m-00002-of-00003.gguf") +
                                          std::filesystem::file_size(folder / "m-00003-of-00003.gguf"));
        if (mode == OpenMode::MetadataOnly) continue;
        float last;
        std::memcpy(&last, file->tensor("d")->data + 15 * sizeof(float), sizeof last);
        EXPECT_EQ(last, 15.0f);
        file->release(*file->tensor("d"));
    }
}

TEST(GgufSplit, AFirstFileMayHoldNoTensors) {
    const TempFolder folder;
    write_part(folder / "m-00001-of-00002.gguf", {0, 2, 1, {}});
    write_part(folder / "m-00002-of-00002.gguf", {1, 2, 1, {"a"}});
    EXPECT_EQ(GgufFile::open(folder / "m-00001-of-00002.gguf", OpenMode::Map)->tensor("a")->file, 1u);
}

TEST(GgufSplit, BrokenSetsAreRefused) {
    const TempFolder folder;
    const std::string first = folder / "m-00001-of-00003.gguf", second = folder / "m-00002-of-00003.gguf";
    const auto open = [](const std::string& path) { return GgufFile::open(path, OpenMode::Map); };
    write_set(folder);
    EXPECT_FAILS(open(second), Status::InvalidModel, "is file 2 of a model in 3 files; open the first one, " + first);

    std::filesystem::copy_file(first, folder / "renamed.gguf");
    EXPECT_FAILS(open(folder / "renamed.gguf"), Status::InvalidModel, "must end in -00001-of-00003.gguf");
    std::filesystem::copy_file(first, folder / "m-00001-of-00004.gguf");
    EXPECT_FAILS(open(folder / "m-00001-of-00004.gguf"), Status::InvalidModel, "must end in -00001-of-00003.gguf");

    std::filesystem::remove(second);
    EXPECT_FAILS(open(first), Status::NotFound, "m-00002-of-00003.gguf: no such file");
    std::filesystem::copy_file(folder / "m-00003-of-00003.gguf", second);
    EXPECT_FAILS(open(first), Status::InvalidModel, "says it is file 3 of 3, expected 2 of 3");
    RawGguf(0, 0).write(second);
    EXPECT_FAILS(open(first), Status::InvalidModel, "says it is file 1 of 1, expected 2 of 3");

    write_part(second, {1, 3, 4, {"a"}});
    EXPECT_FAILS(open(first), Status::InvalidModel, "tensor 'a' is there twice");
    write_part(second, {1, 3, 4, {"c", "e"}});
    EXPECT_FAILS(open(first), Status::InvalidModel, "says 4 tensors, the 3 files hold 5");
    write_part(second, {1, 3, 4, {"c"}});
    EXPECT_EQ(open(first)->tensors().size(), 4u);

    RawGguf(0, 1).key("split.count", 8).string("three").write(folder / "f.gguf");
    EXPECT_FAILS(open(folder / "f.gguf"), Status::InvalidModel, "key 'split.count' is a string");
}
