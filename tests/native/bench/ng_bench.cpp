// NativeGen's side of the comparison, through the C ABI.
#include "include/nativegen.h"
#include "loop.h"

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
        ng_model_info info{};
        info.struct_size = sizeof info;
        check(ng_model_get_info(model_, &info, &error_));
        logits_.resize(info.n_vocab);
    }

    int n_vocab() const { return static_cast<int>(logits_.size()); }

    int greedy() const { return static_cast<int>(std::max_element(logits_.begin(), logits_.end()) - logits_.begin()); }

    void start() {
        if (context_ == nullptr) {
            const ng_context_options options{sizeof options, 1024, 1024, 512, NG_KV_F16, threads_};
            check(ng_context_create(model_, &options, &context_, &error_));
        }
        if (seq_ >= 0) check(ng_seq_drop(context_, seq_, &error_));
        check(ng_seq_create(context_, &seq_, &error_));
    }

    void decode(const int32_t* tokens, int n, int position) {
        const auto rows = static_cast<size_t>(n);
        seqs_.assign(rows, seq_);
        positions_.resize(rows);
        for (size_t i = 0; i < rows; ++i) positions_[i] = position + static_cast<int32_t>(i);
        outputs_.assign(rows, 0);
        outputs_.back() = 1;
        const ng_batch batch{sizeof batch, static_cast<uint32_t>(n), tokens, seqs_.data(), positions_.data(), outputs_.data()};
        check(ng_context_decode(context_, &batch, logits_.data(), logits_.size(), nullptr, &error_));
    }

private:
    void check(ng_status status) const {
        if (status != NG_OK) bench::stop("nativegen", error_.text);
    }

    ng_error error_{sizeof error_, NG_OK, {}};
    uint32_t threads_ = 0;
    ng_model* model_ = nullptr;
    ng_context* context_ = nullptr;
    int32_t seq_ = -1;
    std::vector<float> logits_;
    std::vector<int32_t> seqs_, positions_;
    std::vector<uint8_t> outputs_;
};

} // namespace

int main(int argc, char** argv) { return bench::run<NativeGen>(argc, argv, "nativegen"); }
