#!/usr/bin/env python3
"""mutants.py BUILD [TEXT]: changes constants and terms of optimizers, clipping and the average, one at a
time, and shows that their tests fall (tests/support/mutants.py).

SPDX-License-Identifier: BSD-3-Clause
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import mutants  # noqa: E402

LOOPS = [
    ("add(i + 3 * quarter, d)", "add(i + 2 * quarter, d)"),
    ("int64_t i = 4 * quarter", "int64_t i = n"),
    ("hn::Mul(of_w, old)", "hn::Zero(d)"),
    ("hn::MulAdd(momentum, now, change)", "now"),
    ("All(1 - f.beta1)", "All(1)"),
    ("All(1 - f.beta2)", "All(1)"),
    ("hn::Sqrt(square)", "square"),
    ("hn::MulAdd(of_v, hn::Sqrt(square), eps)", "hn::Mul(of_v, hn::Sqrt(square))"),
    ("hn::Div(hn::Mul(of_m, mean), below)", "hn::Div(mean, below)"),
    ("hn::Mul(of_g, hn::LoadU(d, g_then_u + i))", "hn::LoadU(d, g_then_u + i)"),
    ("hn::MulAdd(decay, hn::LoadU(d, w + i), adapted)", "adapted"),
    ("hn::NegMulAdd(of_u", "hn::MulAdd(of_u"),
]
RULES = [
    ("if (part.adapts) rate", "rate"),
    ("rate * inputs.gradient_factor, rate", "rate, rate"),
    ("gradient_factor * n.change", "n.change"),
    ("options_.weight_decay * n.weights +", ""),
    ("+ eps_of(options_)", ""),
    ("options_.trust * n.weights", "n.weights"),
    ("norms.weights > 0 && ", ""),
    (" && norms.change > 0", ""),
    ("if (decay_of(part) > 0) rate", "rate"),
    ("1 / (1 - std::pow(options_.beta1, t))", "1"),
    ("1 / std::sqrt(1 - std::pow(options_.beta2, t))", "1"),
    ("item<float>() > 0) return", "item<float>() > 1) return"),
]
OTHERS = [
    ("worker/step/update_rule.cpp", "return 1e-7;", "return 1e-5;"),
    ("worker/step/update_rule.cpp", "return 1e-6;", "return 1e-7;"),
    ("worker/step/update_rule.cpp", "return 1e-8;", "return 1e-7;"),
    ("worker/step/optimizer.cpp", "? 0 : 1e-6", "? 0 : 0"),
    ("worker/step/optimizer.cpp", "clamp_max_(1)", "clamp_max_(2)"),
    ("worker/step/optimizer.cpp", "item<double>() < 1", "item<double>() < 0"),
]
AVERAGE = [
    ("1 - options_.decay", "options_.decay"),
    ("% options_.every_steps != 0", "% options_.every_steps != 1"),
    ("std::ceil", "std::floor"),
    ("position.epoch < first", "position.epoch <= first"),
]

FOUND = [mutants.Mutant("worker/step/layerwise_loops.cpp", *m, test="update_rule_test") for m in LOOPS]
FOUND += [mutants.Mutant("worker/step/layerwise_loop_rules.cpp", *m, test="update_rule_test") for m in RULES]
FOUND += [mutants.Mutant(*m, test="update_rule_test") for m in OTHERS]
FOUND += [mutants.Mutant("worker/step/weight_average.cpp", *m, test="weight_average_test") for m in AVERAGE]
mutants.run(FOUND)
