// Attention of a step: new keys and values go to their pages first, then every (sequence, KV head, some rows, some of their query heads) is one
// unit of work. Rows and heads do not meet in any sum, so how they are cut changes no bit.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/cpu_device.h"
#include "tensor/half.h"

namespace ng::cpu {
namespace {

static_assert(page_tokens == backend::kv_page_tokens, "kernels.h stands alone, so it repeats the number");

// A unit is never left halfway, so its multiply-adds bound how long a cancel waits: a few ms. The least is one query head of one row.
constexpr size_t max_unit_macs = 24 << 20;
constexpr size_t max_unit_macs_scalar = 1 << 20;

// One head's key and value into slot of its part of the page.
template <class T>
void write_head(const backend::Attention& a, const T* k, const T* v, T* k_page, T* v_page, uint32_t slot) {
    for (uint32_t i = 0; i < a.d_k; ++i) k_page[i * page_tokens + slot] = k[i];
    std::memcpy(v_page + size_t{slot} * a.d_v, v, a.d_v * sizeof(T));
}

// The same in Q8_0, for a key or a value x[n]: its bytes lie at first, first + step, ..., its scales at first_scale, first_scale + scale_step, ...
// behind the page's bytes. A block that holds what is no number gets a scale that is none.
void write_scaled(const float* x, uint32_t n, uint8_t* page, size_t step, size_t first, size_t first_scale, size_t scale_step) {
    auto* const scales = reinterpret_cast<uint16_t*>(page + size_t{n} * page_tokens);
    for (uint32_t block = 0; block * backend::kv_block < n; ++block) {
        const uint32_t begin = block * backend::kv_block, end = std::min(n, begin + backend::kv_block);
        float largest = 0;
        bool finite = true;
        for (uint32_t i = begin; i < end; ++i) {
            finite &= std::isfinite(x[i]);
            largest = std::max(largest, std::fabs(x[i]));
        }
        const float scale = finite ? largest / 127.0f : NAN;
        const float inverse = scale >= smallest_scale ? 1.0f / scale : 0.0f;
        for (uint32_t i = begin; i < end; ++i) page[first + i * step] = static_cast<uint8_t>(finite ? static_cast<int8_t>(std::lrintf(x[i] * inverse)) : 0);
        scales[first_scale + block * scale_step] = f32_to_f16(scale);
    }
}

}  // namespace

void CpuOps::write_kv(const backend::Attention& a, const backend::KvStep& kv, backend::Buffer k, backend::Buffer v) {
    const Operation operation(*team_, "write_kv", k.n_rows);
    for (const backend::KvSequence& sequence : kv.sequences) {
        const auto n = static_cast<uint32_t>(sequence.rows.size());
        const auto write = [&](uint32_t i, uint32_t thread) {
            const uint32_t position = sequence.first_position + i, row = sequence.rows[i];
            auto* const page = static_cast<uint8_t*>(sequence.pages[position / page_tokens]);
            uint8_t *const k_page = page + kv.k_offsets[a.layer], *const v_page = page + kv.v_offsets[a.layer];
            const uint32_t slot = position % page_tokens;
            auto* const halves = reinterpret_cast<uint16_t*>(scratch_ + thread * scratch_stride_);
            for (uint32_t head = 0; head < a.n_head_kv; ++head) {
                const float *const k_head = row_of(k, row) + size_t{head} * a.d_k, *const v_head = row_of(v, row) + size_t{head} * a.d_v;
                uint8_t* const k_to = k_page + head * page_tokens * backend::kv_bytes(kv.type, a.d_k);
                uint8_t* const v_to = v_page + head * page_tokens * backend::kv_bytes(kv.type, a.d_v);
                switch (kv.type) {
                    case backend::KvType::F32: write_head(a, k_head, v_head, reinterpret_cast<float*>(k_to), reinterpret_cast<float*>(v_to), slot); break;
                    case backend::KvType::F16:
                        kernels_.to_f16(k_head, halves, a.d_k);
                        kernels_.to_f16(v_head, halves + a.d_k, a.d_v);
                        write_head(a, halves, halves + a.d_k, reinterpret_cast<uint16_t*>(k_to), reinterpret_cast<uint16_t*>(v_to), slot);
                        break;
                    case backend::KvType::Q8_0:
                        write_scaled(k_head, a.d_k, k_to, page_tokens, slot, slot, page_tokens);
                        write_scaled(v_head, a.d_v, v_to, 1, slot * a.d_v, slot * backend::kv_blocks(a.d_v), 1);
                        break;
                }
            }
        };
        constexpr uint32_t rows_per_unit = 16;
        if (n <= rows_per_unit)
            for (uint32_t i = 0; i < n; ++i) write(i, 0);
        else
            team_->for_each((n + rows_per_unit - 1) / rows_per_unit, [&](uint32_t unit, uint32_t thread) {
                for (uint32_t i = unit * rows_per_unit; i < std::min(n, (unit + 1) * rows_per_unit); ++i) write(i, thread);
            });
    }
}

void CpuOps::attention(const backend::Attention& a, const backend::KvStep& kv, backend::Buffer q, backend::Buffer k, backend::Buffer v,
                       backend::Buffer out) {
    write_kv(a, kv, k, v);
    const Operation operation(*team_, "attention", q.n_rows);

    // A sequence's share: its page pointers for this layer, its rows, and how they are cut into units.
    struct Share {
        size_t pages, rows;
        uint32_t n_pages, n_rows;
        uint32_t unit_rows, unit_heads;  // of a group's query heads
        uint32_t head_units, n_units;
    };
    const uint32_t group = a.n_head / a.n_head_kv;
    const size_t unit_macs = kernels_.attention == scalar_kernels().attention ? max_unit_macs_scalar : max_unit_macs;
    for (size_t first = 0; first < kv.sequences.size(); first += attention_sequences) {
        Share shares[attention_sequences];
        const size_t n_shares = std::min(attention_sequences, kv.sequences.size() - first);
        size_t n_pointers = 0, n_rows = 0;
        uint32_t n_units = 0;
        for (size_t i = 0; i < n_shares; ++i) {
            const backend::KvSequence& sequence = kv.sequences[first + i];
            Share& share = shares[i];
            share = {n_pointers, n_rows, 0, static_cast<uint32_t>(sequence.rows.size()), 0, 0, 0, 0};
            const uint32_t length = sequence.first_position + share.n_rows;
            share.n_pages = (length + page_tokens - 1) / page_tokens;
            for (uint32_t p = 0; p < share.n_pages; ++p) page_pointers_[n_pointers++] = static_cast<const uint8_t*>(sequence.pages[p]) + kv.k_offsets[a.layer];
            for (uint32_t p = 0; p < share.n_pages; ++p) page_pointers_[n_pointers++] = static_cast<const uint8_t*>(sequence.pages[p]) + kv.v_offsets[a.layer];
            for (uint32_t r = 0; r < share.n_rows; ++r) rows_[n_rows++] = {row_of(q, sequence.rows[r]), row_of(out, sequence.rows[r]), sequence.first_position + r};
            const size_t head_macs = size_t{length} * (a.d_k + a.d_v);
            share.unit_heads = static_cast<uint32_t>(std::clamp<size_t>(unit_macs / head_macs, 1, group));
            share.unit_rows = static_cast<uint32_t>(std::clamp<size_t>(unit_macs / (head_macs * group), 1, attention_rows));
            share.head_units = (group + share.unit_heads - 1) / share.unit_heads;
            share.n_units = (share.n_rows + share.unit_rows - 1) / share.unit_rows * a.n_head_kv * share.head_units;
            n_units += share.n_units;
        }
        const auto run = [&](uint32_t unit, uint32_t thread) {
            const Share* share = shares;
            while (unit >= share->n_units) unit -= share++->n_units;
            const uint32_t first_head = unit % share->head_units * share->unit_heads;
            unit /= share->head_units;
            const uint32_t head_kv = unit % a.n_head_kv, first_row = unit / a.n_head_kv * share->unit_rows;

            AttentionJob job{};
            job.k_pages = page_pointers_ + share->pages;
            job.v_pages = job.k_pages + share->n_pages;
            job.type = kv.type;
            job.d_k = a.d_k;
            job.d_v = a.d_v;
            job.scale = a.scale;
            job.head_kv = head_kv;
            // To the kernel this unit's heads are the whole group: where group g begins in its count, ours begin in q and out.
            const uint32_t n_heads = std::min(share->unit_heads, group - first_head);
            job.n_head = n_heads * a.n_head_kv;
            job.n_head_kv = a.n_head_kv;
            const size_t shift = size_t{head_kv} * (group - n_heads) + first_head;
            AttentionRow rows[attention_rows];
            job.rows = rows;
            job.n_rows = std::min(share->unit_rows, share->n_rows - first_row);
            for (uint32_t r = 0; r < job.n_rows; ++r) {
                const AttentionRow& row = rows_[share->rows + first_row + r];
                rows[r] = {row.q + shift * a.d_k, row.out + shift * a.d_v, row.position};
            }
            job.scratch = scratch_ + thread * scratch_stride_;
            kernels_.attention(&job);
        };
        // A short context's few heads are done sooner than handed out.
        size_t macs = 0;
        for (size_t r = 0; r < n_rows; ++r) macs += size_t{a.n_head} * (rows_[r].position + 1) * (a.d_k + a.d_v);
        if (macs < (64 << 10))
            for (uint32_t unit = 0; unit < n_units; ++unit) run(unit, 0);
        else team_->for_each(n_units, run);
    }
}

}  // namespace ng::cpu
