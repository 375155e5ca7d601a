// The measured loop, the same for every engine: prefill of 512 tokens into an empty cache, then 64 single decodes, last row's logits
// each time, no sampling. A round runs when a line arrives on stdin, so that a script can let engines take turns.
//
// Engine: its constructor loads code, which is not timed; open(path, threads); empty the cache with start(); decode(tokens, n,
// position); greedy() is the best token of the last row decoded.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace bench {

constexpr int prompt_tokens = 512, decoded_tokens = 64, first_tokens = 8;

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

template <class Engine> int run(int argc, char** argv, const char* name) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: %s MODEL THREADS, then a line on stdin for each round\n", argv[0]);
        return 2;
    }
    std::srand(7);
    std::vector<int32_t> tokens(prompt_tokens + decoded_tokens);
    for (int32_t& token : tokens) token = std::rand() % 40000;

    const int threads = std::atoi(argv[2]);
    Engine engine;
    const double start = wall_ms();
    engine.open(argv[1], threads);
    const double opened = wall_ms();
    engine.start();
    engine.decode(tokens.data(), first_tokens, 0);
    const int greedy = engine.greedy();
    const double first = wall_ms();
    std::printf("%s t=%d open_ms=%.1f open_to_first_ms=%.1f n_vocab=%d greedy=%d\n", name, threads, opened - start, first - start,
                engine.n_vocab(), greedy);
    std::fflush(stdout);

    while (std::getchar() == '\n') {
        engine.start();
        const double others = machine_cpu_ms() - own_cpu_ms();
        const double t0 = wall_ms(), c0 = own_cpu_ms();
        engine.decode(tokens.data(), prompt_tokens, 0);
        const double t1 = wall_ms(), c1 = own_cpu_ms();
        for (int i = 0; i < decoded_tokens; ++i) engine.decode(tokens.data() + prompt_tokens + i, 1, prompt_tokens + i);
        const double t2 = wall_ms(), c2 = own_cpu_ms();
        const double busy = machine_cpu_ms() - own_cpu_ms() - others;
        std::printf("%s t=%d pp512=%.2f tg64=%.2f pp512_cpu_ms=%.0f tg64_cpu_ms=%.0f other_cpu_pct=%.0f\n", name, threads,
                    prompt_tokens * 1e3 / (t1 - t0), decoded_tokens * 1e3 / (t2 - t1), c1 - c0, c2 - c1, 100 * busy / (t2 - t0));
        std::fflush(stdout);
    }
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    std::printf("%s max_rss_MiB=%.1f\n", name, static_cast<double>(usage.ru_maxrss) / 1024);
    return 0;
}

[[noreturn]] inline void stop(const char* what, const char* why) {
    std::fprintf(stderr, "%s: %s\n", what, why);
    std::exit(1);
}

} // namespace bench
