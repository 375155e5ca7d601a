// See kv_cache.h.
#include "runtime/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/error.h"

namespace ng {
namespace {

uint64_t pages_of(uint64_t n_tokens) { return (n_tokens + KvCache::page_tokens - 1) / KvCache::page_tokens; }

// Sequence numbers are not reused before they have all been.
int32_t id_after(int32_t id) { return id == std::numeric_limits<int32_t>::max() ? 0 : id + 1; }

}  // namespace

PageLayout::PageLayout(std::span<const LayerMemory> layers, backend::KvType kv_type) : type(kv_type) {
    for (const LayerMemory& layer : layers) {
        k_offsets.push_back(page_bytes);
        page_bytes += size_t{layer.n_head_kv} * KvCache::page_tokens * backend::kv_bytes(type, layer.d_k);
        v_offsets.push_back(page_bytes);
        page_bytes += size_t{layer.n_head_kv} * KvCache::page_tokens * backend::kv_bytes(type, layer.d_v);
    }
}

KvCache::KvCache(std::span<const LayerMemory> layers, backend::KvType type, uint32_t n_pages)
    : layout_(layers, type), layers_(layers.begin(), layers.end()), n_pages_(n_pages) {
    // Tables of their final size: taking a page and letting one go then allocate nothing but the page.
    pages_.reserve(n_pages);
    free_.reserve(n_pages);
}

KvCache::Sequence& KvCache::find(int32_t seq) {
    const auto found = sequences_.find(seq);
    if (found == sequences_.end()) fail(Status::InvalidArgument, "there is no sequence %d", seq);
    return found->second;
}

const KvCache::Sequence& KvCache::find(int32_t seq) const { return const_cast<KvCache*>(this)->find(seq); }

int32_t KvCache::add(Sequence&& sequence) {
    while (sequences_.contains(next_id_)) next_id_ = id_after(next_id_);
    sequences_.emplace(next_id_, std::move(sequence));
    return std::exchange(next_id_, id_after(next_id_));
}

int32_t KvCache::create() { return add({}); }

int32_t KvCache::fork(int32_t source, uint32_t n_keep) {
    const Sequence& from = find(source);
    if (n_keep > from.length) fail(Status::InvalidArgument, "sequence %d has %u tokens: no prefix of %u", source, from.length, n_keep);
    Sequence fork;
    fork.length = n_keep;
    const auto n_pages = static_cast<ptrdiff_t>(pages_of(n_keep));
    fork.pages.assign(from.pages.begin(), from.pages.begin() + n_pages);
    fork.pointers.assign(from.pointers.begin(), from.pointers.begin() + n_pages);
    const int32_t seq = add(std::move(fork));
    for (const uint32_t page : find(seq).pages) ++pages_[page].users;
    return seq;
}

void KvCache::cut(int32_t seq, uint32_t n_keep) {
    Sequence& sequence = find(seq);
    if (n_keep > sequence.length) fail(Status::InvalidArgument, "sequence %d has %u tokens: it can not be cut at %u", seq, sequence.length, n_keep);
    const size_t n_pages = pages_of(n_keep);
    for (size_t i = n_pages; i < sequence.pages.size(); ++i) let_go(sequence.pages[i]);
    sequence.pages.resize(n_pages);
    sequence.pointers.resize(n_pages);
    sequence.length = n_keep;
}

void KvCache::drop(int32_t seq) {
    cut(seq, 0);
    sequences_.erase(seq);
}

bool KvCache::ends_in_shared_page(const Sequence& sequence) const {
    return sequence.length % page_tokens != 0 && pages_[sequence.pages.back()].users > 1;
}

uint32_t KvCache::needed(const Sequence& sequence, uint32_t n_new) const {
    if (n_new == 0) return 0;
    const uint64_t after = pages_of(uint64_t{sequence.length} + n_new);
    return static_cast<uint32_t>(after - sequence.pages.size()) + (ends_in_shared_page(sequence) ? 1 : 0);
}

uint32_t KvCache::pages_needed(int32_t seq, uint32_t n_new) const { return needed(find(seq), n_new); }

uint32_t KvCache::take_page() {
    uint32_t page;
    if (free_.empty()) {
        Page made{AlignedBuffer(layout_.page_bytes), 0};
        // Positions not yet written are read by whole-tile kernels and thrown away; they must be numbers of ours, not what the system left.
        std::memset(made.memory.data(), 0, layout_.page_bytes);
        pages_.push_back(std::move(made));
        page = static_cast<uint32_t>(pages_.size() - 1);
    } else {
        page = free_.back();
        free_.pop_back();
    }
    pages_[page].users = 1;
    ++n_used_;
    return page;
}

void KvCache::let_go(uint32_t page) noexcept {
    if (--pages_[page].users != 0) return;
    free_.push_back(page);
    --n_used_;
}

void KvCache::push_page(Sequence& sequence, uint32_t page) {
    sequence.pages.push_back(page);
    sequence.pointers.push_back(pages_[page].memory.data());
}

bool KvCache::reserve(std::span<const Append> appends) {
    undo_.clear();
    // Sequences that share a last page may copy it once more than needed (the last one could keep it): the sum is an upper bound that the
    // loop below never exceeds.
    uint64_t total = 0;
    for (const Append& append : appends) total += needed(find(append.seq), append.n_new);
    if (total > pages_free()) return false;
    try {
        for (const Append& append : appends) {
            if (append.n_new == 0) continue;
            Sequence& sequence = find(append.seq);
            undo_.push_back({&sequence, append.n_new, sequence.pages.size(), -1});
            const size_t after = pages_of(uint64_t{sequence.length} + append.n_new);
            if (after > sequence.pages.capacity()) sequence.pages.reserve(std::max(after, 2 * sequence.pages.capacity()));
            if (after > sequence.pointers.capacity()) sequence.pointers.reserve(std::max(after, 2 * sequence.pointers.capacity()));
            // From here on only take_page can fail.
            if (ends_in_shared_page(sequence)) {
                const uint32_t shared = sequence.pages.back(), own = take_page();
                std::memcpy(pages_[own].memory.data(), pages_[shared].memory.data(), layout_.page_bytes);
                sequence.pages.back() = own;
                sequence.pointers.back() = pages_[own].memory.data();
                undo_.back().shared_page = shared;  // still counted as this sequence's until commit
            }
            while (sequence.pages.size() < after) push_page(sequence, take_page());
        }
    } catch (...) {
        roll_back();
        throw;
    }
    return true;
}

void KvCache::commit() {
    for (const Undo& undo : undo_) {
        undo.sequence->length += undo.n_new;
        if (undo.shared_page >= 0) let_go(static_cast<uint32_t>(undo.shared_page));
    }
    undo_.clear();
}

void KvCache::roll_back() noexcept {
    for (const Undo& undo : undo_) {
        Sequence& sequence = *undo.sequence;
        while (sequence.pages.size() > undo.n_pages) {
            let_go(sequence.pages.back());
            sequence.pages.pop_back();
            sequence.pointers.pop_back();
        }
        if (undo.shared_page >= 0) {
            const auto shared = static_cast<uint32_t>(undo.shared_page);
            let_go(sequence.pages.back());
            sequence.pages.back() = shared;
            sequence.pointers.back() = pages_[shared].memory.data();
        }
    }
    undo_.clear();
}

// Visits the bytes that hold the first n_tokens positions: visit(page index in the sequence, offset in the page, bytes). Keys are stored by
// dimension, so a dimension's run is the positions of one page.
template <class Visit>
void KvCache::for_each_run(uint32_t n_tokens, Visit&& visit) const {
    const bool scaled = layout_.type == backend::KvType::Q8_0;
    const size_t element = scaled ? 1 : backend::kv_bytes(layout_.type, 1);
    for (uint32_t first = 0; first < n_tokens; first += page_tokens) {
        const size_t n = std::min(page_tokens, n_tokens - first);
        for (size_t layer = 0; layer < layers_.size(); ++layer) {
            const LayerMemory& memory = layers_[layer];
            size_t at = layout_.k_offsets[layer];
            const auto runs = [&](size_t count, size_t run_elements, size_t run_filled, size_t bytes) {
                for (size_t i = 0; i < count; ++i, at += run_elements * bytes) visit(first / page_tokens, at, run_filled * bytes);
            };
            for (size_t head = 0; head < memory.n_head_kv; ++head) {
                runs(memory.d_k, page_tokens, n, element);
                if (scaled) runs(backend::kv_blocks(memory.d_k), page_tokens, n, 2);
            }
            at = layout_.v_offsets[layer];
            for (size_t head = 0; head < memory.n_head_kv; ++head) {
                runs(1, size_t{page_tokens} * memory.d_v, n * memory.d_v, element);
                if (scaled) runs(1, size_t{page_tokens} * backend::kv_blocks(memory.d_v), n * backend::kv_blocks(memory.d_v), 2);
            }
        }
    }
}

size_t KvCache::state_bytes(uint32_t n_tokens) const {
    return layout_.page_bytes / page_tokens * size_t{n_tokens};
}

void KvCache::save(int32_t seq, std::byte* out) const {
    const Sequence& sequence = find(seq);
    for_each_run(sequence.length, [&](uint32_t page, size_t offset, size_t bytes) {
        std::memcpy(out, static_cast<const std::byte*>(sequence.pointers[page]) + offset, bytes);
        out += bytes;
    });
}

int32_t KvCache::load(const std::byte* state, uint32_t n_tokens) {
    const int32_t seq = create();
    const Append append{seq, n_tokens};
    try {
        if (!reserve({&append, 1})) fail(Status::NoRoom, "the saved sequence needs %llu pages, %u are free", static_cast<unsigned long long>(pages_of(n_tokens)), pages_free());
    } catch (...) {
        drop(seq);
        throw;
    }
    const Sequence& sequence = find(seq);
    for_each_run(n_tokens, [&](uint32_t page, size_t offset, size_t bytes) {
        std::memcpy(static_cast<std::byte*>(sequence.pointers[page]) + offset, state, bytes);
        state += bytes;
    });
    commit();
    return seq;
}

}  // namespace ng
