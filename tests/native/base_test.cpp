#include "support.h"

#include "base/buffer.h"
#include "base/hash.h"
#include "base/mapped_file.h"

#include <thread>

using namespace ng;
using namespace ng::test;

TEST(Error, CarriesStatusAndFormattedText) { EXPECT_FAILS(fail(Status::NoRoom, "%d of %s", 3, "four"), Status::NoRoom, "3 of four"); }

TEST(Error, LongTextIsCut) {
    const std::string text = error_of([] { fail(Status::Internal, "%s", std::string(5000, 'x').c_str()); }).text;
    EXPECT_EQ(text, std::string(999, 'x'));
}

TEST(Error, PrintableHidesControlBytesAndCutsLongNames) {
    EXPECT_EQ(printable(std::string_view("a\n\0\x80z", 5)), "a???z");
    EXPECT_EQ(printable(std::string(200, 'k')), std::string(80, 'k') + "...");
}

TEST(Buffer, IsAlignedAndMoves) {
    AlignedBuffer a(1000);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a.data()) % AlignedBuffer::alignment, 0u);
    a.as<int>()[3] = 7;
    AlignedBuffer b(std::move(a));
    EXPECT_EQ(a.data(), nullptr);
    EXPECT_EQ(a.size(), 0u);
    EXPECT_EQ(b.size(), 1000u);
    EXPECT_EQ(b.as<int>()[3], 7);
    a = std::move(b);
    EXPECT_EQ(a.as<int>()[3], 7);
    EXPECT_EQ(AlignedBuffer(0).data(), nullptr);
}

TEST(Buffer, LargeOnesBeginOnAHugePage) {
    AlignedBuffer buffer(5 << 20);
    if (huge_page) EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % huge_page, 0u);
    buffer.data()[buffer.size() - 1] = std::byte{1};
    buffer = AlignedBuffer(10);  // swaps: each is freed with the alignment it was made with
    EXPECT_EQ(buffer.size(), 10u);
}

TEST(Buffer, TooMuchIsAnError) { EXPECT_FAILS(AlignedBuffer(size_t{1} << 60), Status::OutOfMemory, "1152921504606846976 bytes"); }

TEST(Hash, NeverChanges) { // saved files hold these
    Hash hash;
    hash.add("NativeGen, a text of more than eight bytes");
    hash.add(uint64_t{42});
    EXPECT_EQ(hash.value(), 14459755052166712009u);
}

TEST(Hash, SeesEveryByteAndWherePiecesEnd) {
    const auto of = [](std::initializer_list<std::string_view> pieces) {
        Hash hash;
        for (const std::string_view piece : pieces)
            hash.add(piece);
        return hash.value();
    };
    EXPECT_EQ(of({"0123456789"}), of({"0123456789"}));
    EXPECT_NE(of({"0123456789"}), of({"0123456788"}));
    EXPECT_NE(of({"0123456789"}), of({"1123456789"}));
    EXPECT_NE(of({"ab", "c"}), of({"a", "bc"}));
    EXPECT_NE(of({std::string_view("a\0", 2)}), of({"a"}));
    EXPECT_NE(of({""}), of({}));
}

// ---- files ----

namespace {

Bytes pattern(size_t n) {
    Bytes bytes(n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = static_cast<std::byte>(i * 31 + (i >> 8));
    return bytes;
}

} // namespace

TEST(MappedFile, MapAndReadGiveTheBytes) {
    const TempFolder folder;
    const Bytes bytes = pattern(9'000'000); // more than two chunks of read
    write_file(folder / "f", bytes);
    const InputFile file(folder / "f");
    EXPECT_EQ(file.size(), bytes.size());
    const FilePages mapped = FilePages::map(file);
    Task task;
    const FilePages read = FilePages::read(file, &task);
    for (const FilePages* pages : {&mapped, &read}) {
        ASSERT_EQ(pages->size(), bytes.size());
        EXPECT_EQ(std::memcmp(pages->data(), bytes.data(), bytes.size()), 0);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(pages->data()) % 4096, 0u);
    }
    EXPECT_EQ(task.progress.load(), 1.0f);
}

TEST(MappedFile, ReadStopsWhenCancelled) {
    const TempFolder folder;
    write_file(folder / "f", pattern(100));
    Task task;
    task.cancelled = true;
    EXPECT_FAILS(FilePages::read(InputFile(folder / "f"), &task), Status::Cancelled, "cancelled");
}

TEST(MappedFile, ReleasedMappedPagesComeBackFromTheFile) {
    const TempFolder folder;
    const Bytes bytes = pattern(100'000);
    write_file(folder / "f", bytes);
    const FilePages pages = FilePages::map(InputFile(folder / "f"));
    pages.release(0, bytes.size());
    EXPECT_EQ(std::memcmp(pages.data(), bytes.data(), bytes.size()), 0);
}

TEST(MappedFile, ReleaseTouchesNoPageThatIsShared) {
    const TempFolder folder;
    const Bytes bytes = pattern(5 * 65536);
    write_file(folder / "f", bytes);
    const FilePages pages = FilePages::read(InputFile(folder / "f"), nullptr);
    const size_t begin = 65536 + 1, end = 4 * 65536 - 1; // whole pages inside, on systems with pages of 4 to 64 KiB
    pages.release(begin, end - begin);
    EXPECT_EQ(std::memcmp(pages.data(), bytes.data(), begin), 0);
    EXPECT_EQ(std::memcmp(pages.data() + end, bytes.data() + end, bytes.size() - end), 0);
#if defined(__linux__)
    EXPECT_EQ(pages.data()[2 * 65536 + 5], std::byte{0}) << "the page is still there";
#endif
    pages.release(10, 20);                // inside one page: nothing to give back
    pages.release(bytes.size() - 1, 100); // not of this file
    EXPECT_EQ(pages.data()[15], bytes[15]);
}

TEST(MappedFile, AnEmptyFileHasNoBytes) {
    const TempFolder folder;
    write_file(folder / "f", nullptr, 0);
    const InputFile file(folder / "f");
    EXPECT_EQ(FilePages::map(file).size(), 0u);
    EXPECT_EQ(FilePages::read(file, nullptr).size(), 0u);
}

TEST(MappedFile, WhatIsNoFileIsRefused) {
    const TempFolder folder;
    EXPECT_FAILS(InputFile(folder / "absent"), Status::NotFound, "no such file");
    EXPECT_FAILS(InputFile(folder / "."), Status::NotFound, "is a folder");
#if !defined(_WIN32)
    EXPECT_FAILS(InputFile("/dev/null"), Status::NotFound, "not a regular file");
    EXPECT_FAILS(InputFile(std::string(300, 'a')), Status::NotFound, "can not be opened");
#endif
}

TEST(MappedFile, ReadingBeyondTheEndIsAnError) {
    const TempFolder folder;
    write_file(folder / "f", pattern(10));
    const InputFile file(folder / "f");
    char buffer[20];
    EXPECT_FAILS(file.read(5, buffer, 6), Status::InvalidModel, "ended at byte 10");
}
