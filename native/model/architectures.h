// One maker per architecture, each in the file of its name. A maker reads hyperparameters and takes every weight from the source, also when
// the source only counts; the model it returns is usable only if the source loaded.
#pragma once

#include <memory>

#include "model/model.h"

namespace ng {

class HParams;

std::unique_ptr<Model> make_llama(WeightSource& source, const HParams& hparams);
std::unique_ptr<Model> make_gpt2(WeightSource& source, const HParams& hparams);

}  // namespace ng
