// NativeGen's side of the comparison, through the C ABI. `ng_bench isas` names the instruction sets of this build and machine.
#include "include/nativegen.h"
#include "loop.h"

#include <cstring>

namespace {

class NativeGen {
public:
    NativeGen() = default;
    ~NativeGen() {
        ng_context_close(context_);
        ng_model_close(model_);
    }
    NativeGen(const NativeGen&) = delete;
    NativeGen& operator=(const NativeGen&) = delete;

    void open(const char* path, int threads) {
        threads_ = static_cast<uint32_t>(threads);
        ng_model_options options{};
        options.struct_size = sizeof options;
        options.n_threads = threads_;
        check(ng_model_open(path, &options, nullptr, &model_, &error_));
        info_.struct_size = sizeof info_;
        check(ng_model_get_info(model_, &info_, &error_));
        logits_.resize(info_.n_vocab);
    }

    void create(int n_ctx, const std::string& kv) {
        uint32_t kv_type = NG_KV_F16;
        if (kv == "f32") kv_type = NG_KV_F32;
        else if (kv == "q8_0") kv_type = NG_KV_Q8_0;
        else if (kv != "f16") bench::stop(kv.c_str(), "no KV type of NativeGen");
        const auto length = static_cast<uint32_t>(n_ctx);
        const ng_context_options options{sizeof options, length, length, bench::most_rows, kv_type, threads_};
        check(ng_context_create(model_, &options, &context_, &error_));
        check(ng_seq_create(context_, &seq_, &error_));
    }

    int n_vocab() const { return static_cast<int>(info_.n_vocab); }

    std::string about() const { return "weight_bytes=" + std::to_string(info_.weight_bytes) + " isa=" + info_.isa; }

    int greedy() const {
        const auto last = logits_.begin() + static_cast<std::ptrdiff_t>((n_outputs_ - 1) * info_.n_vocab);
        return static_cast<int>(std::max_element(last, last + n_vocab()) - last);
    }

    void cut(int length) { check(ng_seq_cut(context_, seq_, static_cast<uint32_t>(length), &error_)); }

    void decode(const int32_t* tokens, int n, int position, bool all) {
        const auto rows = static_cast<size_t>(n);
        seqs_.assign(rows, seq_);
        positions_.resize(rows);
        for (size_t i = 0; i < rows; ++i) positions_[i] = position + static_cast<int32_t>(i);
        outputs_.assign(rows, all ? 1 : 0);
        outputs_.back() = 1;
        n_outputs_ = all ? rows : 1;
        if (logits_.size() < n_outputs_ * info_.n_vocab) logits_.resize(n_outputs_ * info_.n_vocab);
        const ng_batch batch{sizeof batch, static_cast<uint32_t>(n), tokens, seqs_.data(), positions_.data(), outputs_.data()};
        check(ng_context_decode(context_, &batch, logits_.data(), n_outputs_ * info_.n_vocab, nullptr, &error_));
    }

private:
    void check(ng_status status) const {
        if (status != NG_OK) bench::stop("nativegen", error_.text);
    }

    ng_error error_{sizeof error_, NG_OK, {}};
    ng_model_info info_{};
    uint32_t threads_ = 0;
    ng_model* model_ = nullptr;
    ng_context* context_ = nullptr;
    int32_t seq_ = -1;
    size_t n_outputs_ = 1;
    std::vector<float> logits_; // of the wanted rows of the last step
    std::vector<int32_t> seqs_, positions_;
    std::vector<uint8_t> outputs_;
};

int print_isas() {
    ng_cpu_info info{};
    info.struct_size = sizeof info;
    ng_error error{sizeof error, NG_OK, {}};
    if (ng_cpu_get_info(&info, &error) != NG_OK) bench::stop("nativegen", error.text);
    std::puts(info.isa_available);
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "isas") == 0) return print_isas();
    return bench::run<NativeGen>(argc, argv);
}
