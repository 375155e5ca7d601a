// What an engine does in a comparison, the same for every one: it opens a model, says how long that took, and then obeys lines on stdin, so
// that a script can let engines take turns. Tokens are random, nothing is sampled within the clock. One line answers each:
//
//   step ROWS COUNT last|all   appends COUNT steps of ROWS tokens (at most 512), with logits of each step's last row or of all
//   cut LENGTH                 forgets all tokens from there on
//   greedy N                   the N best tokens that follow the first 8
//   memory                     peak resident memory so far
//
// Engine: its constructor loads code, which is not timed; open(path, threads); create(n_ctx, kv) makes the cache; cut(length);
// decode(tokens, n, position, all); greedy() is the best token of the last row decoded; n_vocab(); about() for the start line.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace bench {

constexpr int most_rows = 512, first_tokens = 8;

[[noreturn]] inline void stop(const char* what, const char* why) {
    std::fprintf(stderr, "%s: %s\n", what, why);
    std::exit(1);
}

inline double wall_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// CPU time of this process, all threads: what a single thread's speed is measured by on a busy machine.
inline double own_cpu_ms() { return 1e3 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// CPU time the whole machine spent working, idle and stolen apart.
inline double machine_cpu_ms() {
    std::ifstream stat("/proc/stat");
    std::string cpu;
    double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0;
    stat >> cpu >> user >> nice >> system >> idle >> wait >> irq >> softirq;
    return 10 * (user + nice + system + irq + softirq); // the kernel counts in 1/100 s
}

template <class Engine> class Loop {
public:
    Loop(const char* path, int threads, int n_ctx, const std::string& kv) : tokens_(static_cast<size_t>(n_ctx)) {
        const double start = wall_ms();
        engine_.open(path, threads);
        const double opened = wall_ms();
        std::srand(7);
        for (int32_t& token : tokens_) token = std::rand() % engine_.n_vocab();
        engine_.create(n_ctx, kv);
        engine_.decode(tokens_.data(), first_tokens, 0, false);
        const int greedy = engine_.greedy();
        const double first = wall_ms();
        length_ = first_tokens;
        std::printf("open_ms=%.1f open_to_first_ms=%.1f n_vocab=%d greedy=%d %s\n", opened - start, first - start, engine_.n_vocab(), greedy,
                    engine_.about().c_str());
        std::fflush(stdout);
    }

    void obey(const std::string& line) {
        std::istringstream words(line);
        std::string verb, outputs;
        int number = 0, count = 0;
        words >> verb >> number >> count >> outputs;
        if (verb == "step") step(number, count, outputs == "all");
        else if (verb == "cut") cut(number), std::puts("done");
        else if (verb == "greedy") greedy(number);
        else if (verb == "memory") memory();
        else stop(line.c_str(), "no such order");
        std::fflush(stdout);
    }

private:
    void cut(int length) {
        if (length < 0 || length > length_) stop("cut", "beyond the tokens");
        engine_.cut(length);
        length_ = length;
    }

    void step(int rows, int count, bool all) {
        if (rows < 1 || rows > most_rows || count < 1 || static_cast<size_t>(length_ + rows * count) > tokens_.size()) stop("step", "does not fit");
        const double others = machine_cpu_ms() - own_cpu_ms();
        const double wall = wall_ms(), cpu = own_cpu_ms();
        for (int i = 0; i < count; ++i, length_ += rows) engine_.decode(tokens_.data() + length_, rows, length_, all);
        const double wall_taken = wall_ms() - wall, cpu_taken = own_cpu_ms() - cpu;
        const double busy = machine_cpu_ms() - own_cpu_ms() - others; // in units of 10 ms, so it tells only in a sum over many steps
        std::printf("ms=%.3f cpu_ms=%.1f others_ms=%.0f\n", wall_taken, cpu_taken, busy);
    }

    void greedy(int n) {
        cut(0);
        engine_.decode(tokens_.data(), first_tokens, 0, false);
        length_ = first_tokens;
        for (int i = 0; i < n; ++i) {
            const int32_t best = engine_.greedy();
            std::printf("%d ", best);
            engine_.decode(&best, 1, length_++, false);
        }
        std::puts("");
    }

    static void memory() {
        rusage usage{};
        getrusage(RUSAGE_SELF, &usage);
        std::printf("max_rss_MiB=%.1f\n", static_cast<double>(usage.ru_maxrss) / 1024);
    }

    Engine engine_;
    std::vector<int32_t> tokens_;
    int length_ = 0;
};

template <class Engine> int run(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: %s MODEL THREADS CONTEXT KV-TYPE, then orders on stdin: see loop.h\n", argv[0]);
        return 2;
    }
    Loop<Engine> loop(argv[1], std::atoi(argv[2]), std::atoi(argv[3]), argv[4]);
    for (std::string line; std::getline(std::cin, line);) loop.obey(line);
    return 0;
}

} // namespace bench
