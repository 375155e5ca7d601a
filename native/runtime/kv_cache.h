// The paged KV cache: sequences are tables of pages of 64 positions, all layers in one page; pages are shared copy-on-write. A step is a
// transaction: reserve takes its pages, then commit or roll_back.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "backend/kv_step.h"
#include "base/buffer.h"
#include "model/model.h"

namespace ng {

// Bytes of a page and where each layer's keys and values lie in it.
struct PageLayout {
    PageLayout(std::span<const LayerMemory> layers, backend::KvType type);
    size_t page_bytes = 0;
    std::vector<uint64_t> k_offsets, v_offsets;
    backend::KvType type;
};

class KvCache {
public:
    static constexpr uint32_t page_tokens = backend::kv_page_tokens;

    KvCache(std::span<const LayerMemory> layers, backend::KvType type, uint32_t n_pages);

    // Sequences. Unknown numbers are InvalidArgument.
    int32_t create();
    int32_t fork(int32_t source, uint32_t n_keep);
    void cut(int32_t seq, uint32_t n_keep);
    void drop(int32_t seq);
    uint32_t length(int32_t seq) const { return find(seq).length; }
    uint32_t n_sequences() const { return static_cast<uint32_t>(sequences_.size()); }
    // Free pages that appending n_new tokens takes, the copy of a shared last page included.
    uint32_t pages_needed(int32_t seq, uint32_t n_new) const;

    uint32_t pages_total() const { return n_pages_; }
    uint32_t pages_free() const { return n_pages_ - n_used_; }
    uint64_t allocated_bytes() const { return pages_.size() * uint64_t{layout_.page_bytes}; }
    const PageLayout& layout() const { return layout_; }

    // Makes room to append to several sequences. False, and nothing changed, if pages do not suffice.
    struct Append {
        int32_t seq;
        uint32_t n_new;
    };
    bool reserve(std::span<const Append> appends);
    void commit();              // the new positions count
    void roll_back() noexcept;  // the sequences are as before reserve
    // A sequence's pages, during a step with the new ones.
    std::span<void* const> page_pointers(int32_t seq) const { return find(seq).pointers; }

    // The first `length` positions' bytes of every page, for saving and loading.
    size_t state_bytes(uint32_t n_tokens) const;
    void save(int32_t seq, std::byte* out) const;
    int32_t load(const std::byte* state, uint32_t n_tokens);

private:
    struct Sequence {
        uint32_t length = 0;
        std::vector<uint32_t> pages;
        std::vector<void*> pointers;  // of pages, for the kernels
    };
    struct Page {
        AlignedBuffer memory;
        uint32_t users = 0;
    };
    // What reserve did to a sequence: its length and number of pages before, and the shared page that was replaced by a copy.
    struct Undo {
        Sequence* sequence;
        uint32_t n_new;
        size_t n_pages;
        int64_t shared_page;
    };

    Sequence& find(int32_t seq);
    const Sequence& find(int32_t seq) const;
    int32_t add(Sequence&& sequence);
    bool ends_in_shared_page(const Sequence& sequence) const;  // the next position would write to others' page
    uint32_t needed(const Sequence& sequence, uint32_t n_new) const;
    uint32_t take_page();
    void let_go(uint32_t page) noexcept;
    void push_page(Sequence& sequence, uint32_t page);
    template <class Visit> void for_each_run(uint32_t n_tokens, Visit&& visit) const;

    PageLayout layout_;
    std::vector<LayerMemory> layers_;
    uint32_t n_pages_;
    uint32_t n_used_ = 0;
    std::vector<Page> pages_;       // made as they are first used; room for n_pages_
    std::vector<uint32_t> free_;    // of pages_; room for n_pages_
    std::map<int32_t, Sequence> sequences_;
    int32_t next_id_ = 0;
    std::vector<Undo> undo_;
};

}  // namespace ng
