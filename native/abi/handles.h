// What the opaque handles of nativegen.h are.
#pragma once
#include "base/task.h"
#include "gguf/file.h"
#include "include/nativegen.h"
#include "runtime/context.h"
#include "runtime/loaded_model.h"

#include <atomic>
#include <memory>

struct ng_task {
    ng::Task task;
};

struct ng_gguf {
    std::shared_ptr<const ng::GgufFile> file;
};

struct ng_model {
    std::shared_ptr<const ng::LoadedModel> model;
};

struct ng_context {
    ng_context(std::shared_ptr<const ng::LoadedModel> model, const ng::ContextOptions& options) : context(std::move(model), options) {}

    std::atomic_flag busy; // held by the one call that is inside
    ng::Context context;   // keeps the model alive
};
