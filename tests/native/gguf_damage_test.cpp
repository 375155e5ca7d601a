// Files that are not, or no longer, sound: each is refused with InvalidModel and one line that says what, where and what to do.
#include "raw_gguf.h"

#include "gguf/file.h"

using namespace ng;
using namespace ng::test;

namespace {

struct Damage {
    const char* name;
    std::string bytes;
    const char* text; // part of the error
};

void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.name; }

constexpr uint64_t huge = 0x4000000000000001u;

// One tensor of 8 floats, the table as given.
RawGguf one_tensor() { return RawGguf(1, 0); }

const Damage damages[] = {
    // not GGUF at all
    {"empty", "", "is empty (0 bytes)"},
    {"text", "hello, world: this is not a model", "is not a GGUF file"},
    {"lfs_pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"},
    {"web_page", "<!DOCTYPE html><html>", "a web page"},
    {"zip", "PK\3\4 and so on", "zip or PyTorch"},
    {"safetensors", std::string("\x40\0\0\0\0\0\0\0{\"__metadata__\"", 24), "safetensors"},
    {"old_ggml", "lmgg....", "GGML file"},
    {"version_1", RawGguf(0, 0, 1).bytes(), "GGUF version 1"},
    {"version_4", RawGguf(0, 0, 4).bytes(), "GGUF version 4, this build reads 2 and 3"},
    {"version_0", RawGguf(0, 0, 0).bytes(), "GGUF version 0"},
    {"big_endian", RawGguf(0, 0, 0x03000000).bytes(), "big-endian"},

    // cut short
    {"only_magic", "GGUF", "the version takes 4 bytes but the file ends 0 bytes on"},
    {"half_magic", "GG", "the magic takes 4 bytes"},
    {"no_counts", std::string("GGUF\3\0\0\0", 8), "byte 8, header: the number of tensors"},
    {"key_count", RawGguf(0, huge).bytes(), "byte 16, header: 4611686018427387905 keys do not fit into the 0 bytes left"},
    {"tensor_count", RawGguf(huge, 0).data(100).bytes(), "byte 8, header: 4611686018427387905 tensors do not fit"},
    {"missing_key", RawGguf(0, 2).key("a", 0).u8(1).data(0).bytes(), "key 2 of 2"},

    // keys
    {"key_length", RawGguf(0, 1).u64(huge).data(100).bytes(), "byte 32, key 1 of 1: its name takes 4611686018427387905 bytes"},
    {"key_empty", RawGguf(0, 1).key("", 0).u8(1).bytes(), "its name has 0 bytes"},
    {"key_too_long", RawGguf(0, 1).key(std::string(70'000, 'k'), 0).u8(1).bytes(), "its name has 70000 bytes"},
    {"key_twice", RawGguf(0, 2).key("a", 0).u8(1).key("a", 0).u8(2).bytes(), "key 'a' is there twice"},
    {"value_type", RawGguf(0, 1).key("a", 13).u64(0).bytes(), "byte 33, key 'a': unknown value type 13"},
    {"value_cut", RawGguf(0, 1).key("a", 10).u32(0).bytes(), "key 'a': the value takes 8 bytes"},
    {"string_length", RawGguf(0, 1).key("a", 8).u64(~0ull).data(64).bytes(), "key 'a': the string takes 18446744073709551615 bytes"},
    {"bool_value", RawGguf(0, 1).key("a", 7).u8(2).bytes(), "byte 37, key 'a': bool is 2, not 0 or 1"},
    {"array_count", RawGguf(0, 1).key("a", 9).u32(4).u64(huge).data(64).bytes(), "key 'a': array of 4611686018427387905 elements"},
    {"array_type", RawGguf(0, 1).key("a", 9).u32(99).u64(0).bytes(), "array of unknown type 99"},
    {"array_nested", RawGguf(0, 1).key("a", 9).u32(9).u64(1).u32(4).u64(0).bytes(), "byte 37, key 'a': an array of arrays"},
    {"array_string", RawGguf(0, 1).key("a", 9).u32(8).u64(2).string("x").u64(9).u32(0).bytes(), "key 'a': a string takes 9 bytes"},
    {"array_strings", RawGguf(0, 1).key("a", 9).u32(8).u64(9).string("x").u64(9).bytes(), "array of 9 elements"},
    {"array_bool", RawGguf(0, 1).key("a", 9).u32(7).u64(3).u8(0).u8(1).u8(9).bytes(), "byte 51, key 'a': bool is 9"},
    {"alignment_zero", RawGguf(0, 1).key("general.alignment", 4).u32(0).bytes(), "'general.alignment'"},
    {"alignment_24", RawGguf(0, 1).key("general.alignment", 4).u32(24).bytes(), "'general.alignment'"},
    {"alignment_4", RawGguf(0, 1).key("general.alignment", 4).u32(4).bytes(), "'general.alignment'"},
    {"alignment_huge", RawGguf(0, 1).key("general.alignment", 4).u32(0x80000000).bytes(), "'general.alignment'"},
    {"alignment_type", RawGguf(0, 1).key("general.alignment", 8).string("32").bytes(), "'general.alignment'"},

    // tensors
    {"tensor_name", one_tensor().string("").u32(1).u64(8).u32(0).u64(0).data(32).bytes(), "its name has 0 bytes"},
    {"dimensions", one_tensor().tensor("w", {1, 1, 1, 1, 8}, 0, 0).data(32).bytes(), "byte 33, tensor 'w': has 5 dimensions"},
    {"dimensions_huge", one_tensor().string("w").u32(0xffffffff).data(64).bytes(), "has 4294967295 dimensions"},
    {"no_elements", one_tensor().tensor("w", {8, 0}, 0, 0).data(32).bytes(), "tensor 'w': dimension 1 is 0"},
    {"elements_overflow", one_tensor().tensor("w", {1ull << 32, 1ull << 32}, 0, 0).data(32).bytes(), "dimension 1 is 4294967296"},
    {"elements_wrap", one_tensor().tensor("w", {~0ull, ~0ull, 8}, 0, 0).data(32).bytes(), "dimension 0"},
    {"bytes_overflow", one_tensor().tensor("w", {1ull << 62}, 0, 0).data(32).bytes(), "larger than any memory"},
    {"half_a_block", one_tensor().tensor("w", {48, 2}, 8, 0).data(102).bytes(), "rows of 48 elements are no multiple of the 32 in a block of Q8_0"},
    {"offset_unaligned", one_tensor().tensor("w", {8}, 0, 8).data(64).bytes(), "offset 8 is no multiple of the alignment 32"},
    {"offset_huge", one_tensor().tensor("w", {8}, 0, ~31ull).data(64).bytes(), "tensor 'w' takes 32 bytes at offset 18446744073709551584"},
    {"data_cut", one_tensor().tensor("w", {8}, 0, 0).data(31).bytes(),
     "tensor 'w' takes 32 bytes at offset 0 of the tensor data, which starts at byte 64, but the file ends at byte 95"},
    {"data_missing", one_tensor().tensor("w", {8}, 0, 0).bytes(), "tensor 'w' takes 32 bytes"},
    {"unknown_type_outside", one_tensor().tensor("w", {8}, 999, 4096).data(31).bytes(), "at offset 4096"},
    {"tensor_twice", RawGguf(2, 0).tensor("w", {8}, 0, 0).tensor("w", {8}, 0, 32).data(64).bytes(), "tensor 'w' is there twice"},
    {"overlap", RawGguf(2, 0).tensor("v", {16}, 0, 0).tensor("w", {8}, 0, 32).data(64).bytes(), "tensors 'v' and 'w' overlap"},
    {"same_place", RawGguf(2, 0).tensor("v", {8}, 0, 0).tensor("w", {8}, 0, 0).data(64).bytes(), "tensors 'v' and 'w' overlap"},
    {"overlap_unordered", RawGguf(3, 0).tensor("u", {8}, 0, 64).tensor("v", {16}, 0, 32).tensor("w", {8}, 0, 0).data(96).bytes(),
     "tensors 'v' and 'u' overlap"},
    {"cut_table", RawGguf(2, 0).tensor("v", {8}, 0, 0).bytes(), "2 tensors do not fit"},
};

class Damaged : public ::testing::TestWithParam<Damage> {};

std::string damage_name(const ::testing::TestParamInfo<Damage>& damage) { return damage.param.name; }
INSTANTIATE_TEST_SUITE_P(Files, Damaged, ::testing::ValuesIn(damages), damage_name);

// Opens the bytes in every mode; whatever is wrong must be an Error.
bool opens(const std::string& path) {
    bool opened = false;
    for (const OpenMode mode : {OpenMode::MetadataOnly, OpenMode::Map, OpenMode::Read}) {
        try {
            GgufFile::open(path, mode);
            opened = true;
        } catch (const Error& e) {
            EXPECT_TRUE(e.status == Status::InvalidModel) << e.text;
            EXPECT_FALSE(opened) << "the modes disagree";
        }
    }
    return opened;
}

// A bit of everything: scalars, strings, arrays, tensors of three types.
std::string small_file() {
    return RawGguf(3, 5)
        .key("general.architecture", 8)
        .string("llama")
        .key("n", 4)
        .u32(7)
        .key("tokens", 9)
        .u32(8)
        .u64(2)
        .string("ab")
        .string("")
        .key("flags", 9)
        .u32(7)
        .u64(2)
        .u8(0)
        .u8(1)
        .key("big", 10)
        .u64(1)
        .tensor("a", {4, 2}, 0, 0)
        .tensor("b", {32}, 8, 32)
        .tensor("c", {6}, 1, 96)
        .data(108)
        .bytes();
}

} // namespace

TEST_P(Damaged, IsRefusedWithAReason) {
    const TempFolder folder;
    const std::string path = folder / "model.gguf";
    write_file(path, GetParam().bytes.data(), GetParam().bytes.size());
    for (const OpenMode mode : {OpenMode::MetadataOnly, OpenMode::Map, OpenMode::Read}) {
        EXPECT_FAILS(GgufFile::open(path, mode), Status::InvalidModel, GetParam().text);
        EXPECT_FAILS(GgufFile::open(path, mode), Status::InvalidModel, path + ": ");
    }
}

TEST(Damaged, MissingFilesAndFolders) {
    const TempFolder folder;
    EXPECT_FAILS(GgufFile::open(folder / "absent.gguf", OpenMode::Map), Status::NotFound, "absent.gguf: no such file");
    EXPECT_FAILS(GgufFile::open(folder / ".", OpenMode::Map), Status::NotFound, "is a folder");
    EXPECT_FAILS(GgufFile::open("", OpenMode::Map), Status::NotFound, "no such file");
}

TEST(Damaged, EveryTruncationIsRefused) {
    const TempFolder folder;
    const std::string whole = small_file(), path = folder / "f";
    write_file(path, whole.data(), whole.size());
    ASSERT_TRUE(opens(path));
    for (size_t n = 0; n < whole.size(); n++) {
        write_file(path, whole.data(), n);
        ASSERT_FALSE(opens(path)) << n << " of " << whole.size() << " bytes";
    }
}

TEST(Damaged, EveryChangedByteIsRefusedOrOpens) {
    const TempFolder folder;
    const std::string whole = small_file(), path = folder / "f";
    int opened = 0;
    for (size_t i = 0; i < whole.size() - 108; i++) {
        for (const int change : {0x01, 0x80, 0xff}) {
            std::string bytes = whole;
            bytes[i] = static_cast<char>(bytes[i] ^ change);
            write_file(path, bytes.data(), bytes.size());
            opened += opens(path);
        }
    }
    EXPECT_GT(opened, 50); // letters of names and texts, numbers
}
