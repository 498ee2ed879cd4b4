"""What is done to the classifier after training, on numbers of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from langidd_training.fit.balance import balancing
from langidd_training.fit.teacher import blended


def test_balancing_gives_back_what_was_taken_from_a_class():
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 2, (20_000, 4))
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (chance.cumsum(axis=1) > draw.random((len(chance), 1))).argmax(axis=1)
    taken = np.array([0.0, -1.5, 0.5, 0.0])
    heard = logits + taken
    found = balancing([(heard, truth), (heard[:9_000], truth[:9_000])])
    # Classes weigh the same, and here they are about as many.
    assert found == pytest.approx(-(taken - taken.mean()), abs=0.15)


def test_a_class_that_is_not_there_keeps_its_bias_beside_the_others():
    draw = np.random.default_rng(1)
    truth = draw.integers(0, 2, 500)
    logits = np.eye(3)[truth] * 2 + draw.normal(0, 1, (500, 3))
    found = balancing([(logits, truth)])
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(0, abs=1e-6)


def test_the_teachers_share_raises_a_language_where_the_teacher_hears_it():
    torch.manual_seed(0)
    taught = torch.nn.Linear(8, 5)
    weights = {"classifier.weight": torch.zeros(3, 8), "classifier.bias": torch.zeros(3)}
    with torch.no_grad():
        mixed = blended(weights, taught, ["uz", "ru", "other"], ["ru", "en", "tr", "az", "de"], 0.5)
        pooled = torch.randn(64, 8)
        teacher = taught(pooled)
        scores = pooled @ mixed["classifier.weight"].T + mixed["classifier.bias"]
    centred = teacher - teacher.mean(dim=1, keepdim=True)
    assert torch.allclose(scores[:, 1], 0.5 * centred[:, 0], atol=1e-5)
    assert torch.allclose(scores[:, 0], 0.5 * centred[:, 2:4].mean(dim=1), atol=1e-5)
    assert torch.equal(scores[:, 2], torch.zeros(64))
    assert torch.equal(weights["classifier.weight"], torch.zeros(3, 8))
