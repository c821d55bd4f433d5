"""Wrong answers to the exercises of notebook 24, each with a piece of the hint that it must get."""

import torch


def counted(rows, inputs, outputs, peak, bandwidth):
    """Seconds of the arithmetic and of the traffic."""
    numbers = rows * inputs + inputs * outputs + rows * outputs
    return 2 * rows * inputs * outputs / peak, 4 * numbers / bandwidth


def without_weights(rows, inputs, outputs, peak, bandwidth):
    return max(2 * rows * inputs * outputs / peak, 4 * rows * (inputs + outputs) / bandwidth)


def factors(m1, m2):
    m = torch.maximum(m1, m2)
    return m, torch.exp(m1 - m), torch.exp(m2 - m)


def values_as_they_are(m1, s1, o1, m2, s2, o2):
    m, a, b = factors(m1, m2)
    return m, a * s1 + b * s2, o1 + o2


def divided(m1, s1, o1, m2, s2, o2):
    m, a, b = factors(m1, m2)
    s = a * s1 + b * s2
    return m, s, (a[:, None] * o1 + b[:, None] * o2) / s[:, None]


def upside_down(m1, s1, o1, m2, s2, o2):
    m, a, b = factors(m1, m2)
    return m, s1 / a + s2 / b, o1 / a[:, None] + o2 / b[:, None]


def below_the_smaller(m1, s1, o1, m2, s2, o2):
    m = torch.minimum(m1, m2)
    a, b = (m1 - m).exp(), (m2 - m).exp()
    return m, a * s1 + b * s2, a[:, None] * o1 + b[:, None] * o2


WRONG = {
    "least_time": {
        "the sum": (lambda *args: sum(counted(*args)), "not the sum"),
        "the smaller": (lambda *args: min(counted(*args)), "smaller of the two"),
        "arithmetic alone": (lambda *args: counted(*args)[0], "arithmetic alone"),
        "traffic alone": (lambda *args: counted(*args)[1], "traffic alone"),
        "one operation": (lambda *args: max(counted(*args)[0] / 2, counted(*args)[1]), "two operations"),
        "numbers": (lambda *args: max(counted(*args)[0], counted(*args)[1] / 4), "numbers, not bytes"),
        "no weights": (without_weights, "weights are read"),
    },
    "merge_tiles": {
        "added": (
            lambda m1, s1, o1, m2, s2, o2: (torch.maximum(m1, m2), s1 + s2, o1 + o2),
            "below their own largest score",
        ),
        "values not scaled": (values_as_they_are, "weighted values must be scaled"),
        "divided": (divided, "Do not divide yet"),
        "upside down": (upside_down, "upside down"),
        "the smaller": (below_the_smaller, "larger of the two largest"),
    },
    "score_gradient": {
        "no sum": (lambda p, dp: dp * p, "sum to 1"),
        "diagonal": (lambda p, dp: dp * (p - p * p), "diagonal terms"),
        "over queries": (lambda p, dp: p * dp - p * (p * dp).sum(0), "last axis"),
        "not weighted": (lambda p, dp: p * dp - p * dp.sum(1, keepdim=True), "weighted by its p"),
        "mean of p dp": (lambda p, dp: p * dp - p * (p * dp).mean(1, keepdim=True), "you took the mean"),
        "no factor": (lambda p, dp: dp - (p * dp).sum(1, keepdim=True), "multiplied by p"),
        "turned round": (lambda p, dp: -p * dp + p * (p * dp).sum(1, keepdim=True), "sign"),
    },
}
