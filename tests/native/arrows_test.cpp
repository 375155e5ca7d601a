// The dependencies of native/ point one way, as the design draws them: every #include of every file is held against the arrows.
#include "support.h"

#include <map>
#include <set>

using namespace ng::test;

namespace {

namespace fs = std::filesystem;

// What a folder may include besides itself.
const std::map<std::string, std::set<std::string>> arrows = {
    {"include", {}},
    {"base", {}},
    {"tensor", {"base"}},
    {"gguf", {"tensor", "base"}},
    {"backend", {"tensor", "base"}},
    {"cpu", {"backend", "tensor", "base"}},
    {"model", {"backend", "gguf", "tensor", "base"}}, // no kernels, no instruction sets
    {"runtime", {"model", "backend", "cpu", "gguf", "tensor", "base"}},
    {"abi", {"runtime", "cpu", "gguf", "tensor", "base", "include"}},
};

// Only these name an instruction set; base/thread_pool.cpp sets the floating-point mode of its threads.
const std::set<std::string> intrinsics = {"immintrin.h", "x86intrin.h", "intrin.h", "arm_neon.h", "cpuid.h"};
bool may_name_instructions(const std::string& path) { return path.starts_with("cpu/") || path == "base/thread_pool.cpp"; }

struct Include {
    std::string file; // relative to native/
    std::string target;
    bool quoted;
};

std::vector<Include> includes_of(const fs::path& root) {
    std::vector<Include> includes;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        const std::string extension = entry.path().extension().string();
        if (extension != ".h" && extension != ".cpp") continue;
        std::ifstream in(entry.path());
        for (std::string line; std::getline(in, line);) {
            std::string squeezed; // also sees "#  include"
            for (const char c : line) {
                if (c != ' ' && c != '\t') squeezed += c;
            }
            if (!squeezed.starts_with("#include")) continue;
            const bool quoted = squeezed[8] == '"';
            const size_t end = squeezed.find(quoted ? '"' : '>', 9);
            includes.push_back({fs::relative(entry.path(), root).generic_string(), squeezed.substr(9, end - 9), quoted});
        }
    }
    return includes;
}

// Empty if the include is allowed, else why not.
std::string objection(const Include& include) {
    const std::string folder = include.file.substr(0, include.file.find('/'));
    if (!include.quoted) {
        const bool wrong = intrinsics.contains(include.target) && !may_name_instructions(include.file);
        return wrong ? "only cpu/ names instruction sets" : "";
    }
    if (!arrows.contains(folder)) return "folder '" + folder + "' has no arrows: draw them here";
    const size_t slash = include.target.find('/');
    if (slash == std::string::npos) return "includes are written folder/file.h";
    const std::string target = include.target.substr(0, slash);
    if (target != folder && !arrows.at(folder).contains(target)) return folder + " must not know " + target;
    return "";
}

} // namespace

TEST(Arrows, EveryIncludeFollowsThem) {
    const std::vector<Include> includes = includes_of(NG_SOURCE_DIR "/native");
    EXPECT_GT(includes.size(), 100u) << "the sources were not found";
    for (const Include& include : includes)
        EXPECT_EQ(objection(include), "") << include.file << " includes " << include.target;
}

TEST(Arrows, FormNoCircle) {
    std::map<std::string, std::set<std::string>> left = arrows;
    while (!left.empty()) {
        std::set<std::string> lowest; // knows nobody that is left
        for (const auto& [folder, targets] : left) {
            bool knows = false;
            for (const std::string& target : targets)
                knows |= left.contains(target);
            if (!knows) lowest.insert(folder);
        }
        ASSERT_FALSE(lowest.empty()) << left.size() << " folders know each other in a circle";
        for (const std::string& folder : lowest)
            left.erase(folder);
    }
}

TEST(Arrows, WrongIncludesAreSeen) {
    EXPECT_NE(objection({"model/llama.cpp", "cpu/kernels.h", true}), "");
    EXPECT_NE(objection({"model/llama.cpp", "immintrin.h", false}), "");
    EXPECT_NE(objection({"base/error.h", "tensor/dtype.h", true}), "");
    EXPECT_NE(objection({"gguf/file.cpp", "file.h", true}), "");
    EXPECT_NE(objection({"newcomer/x.cpp", "base/error.h", true}), "");
    EXPECT_EQ(objection({"cpu/avx2/matmul.cpp", "immintrin.h", false}), "");
    EXPECT_EQ(objection({"gguf/file.cpp", "tensor/dtype.h", true}), "");
}
