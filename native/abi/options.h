// Option structs of nativegen.h, checked and turned into the engine's own. NULL means all zero.
#pragma once
#include "include/nativegen.h"
#include "runtime/loaded_model.h"

namespace ng {

ModelOptions model_options(const ng_model_options* options);
ContextOptions context_options(const ng_context_options* options);

} // namespace ng
