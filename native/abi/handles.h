// What the opaque handles of nativegen.h are. Contexts and models are defined beside their exports.
#pragma once
#include "base/task.h"
#include "gguf/file.h"
#include "include/nativegen.h"

struct ng_task {
    ng::Task task;
};

struct ng_gguf {
    std::shared_ptr<const ng::GgufFile> file;
};
