"""A model that is asked: values and derivatives, scaled and counted."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from dagcast_core.solver.problem._errors import NonFiniteError
from dagcast_core.solver.problem._smooth import RowFamily, SmoothProblem

__all__ = ["Counter", "Oracle"]


@dataclass(slots=True)
class Counter:
    """Calls of the model and the time spent in them."""

    forward: int = 0
    backward: int = 0
    seconds: float = 0.0

    @property
    def passes(self) -> float:
        """One pass is 0.35 forward and 0.65 backward calls."""
        return 0.35 * self.forward + 0.65 * self.backward


class Oracle:
    """Scaled values and derivatives of a `SmoothProblem`, counted; minimisation form.

    F = -objective / sigma;  C = sign * (outcome - limit) / scale <= 0.
    """

    def __init__(self, problem: SmoothProblem, counter: Counter) -> None:
        self.problem = problem
        self.counter = counter
        self.sigma = 1.0
        self._x: Tensor | None = None
        self._f: Tensor | None = None
        self._c: Tensor | None = None

    def forward(self, x: Tensor, graph: bool = True) -> tuple[float, Tensor]:
        """Values at ``x``; with ``graph`` the derivatives at ``x`` can be asked for next."""
        begun = time.perf_counter()
        rows = self.problem.rows
        leaf = x.detach().clone().requires_grad_(graph)
        with torch.set_grad_enabled(graph):
            objective, outcomes = self.problem.evaluate(leaf)
            f = -objective / self.sigma
            c = rows.sign * (outcomes - rows.limit) / rows.scale
        self.counter.forward += 1
        self.counter.seconds += time.perf_counter() - begun
        if not bool(torch.isfinite(f)):
            raise NonFiniteError("objective", (), 1, x)
        bad = torch.nonzero(~torch.isfinite(c)).flatten()
        if bad.numel():
            raise NonFiniteError("outcome", tuple(bad[:5].tolist()), bad.numel(), x)
        if graph:
            self._x, self._f, self._c = leaf, f, c
        return float(f.detach()), c.detach()

    def rescale(self, sigma: float) -> None:
        """Divide the objective by ``sigma`` from here on, at the last point too."""
        if self._f is not None:
            self._f = self._f * (self.sigma / sigma)
        self.sigma = sigma

    def gradient(self, y: Tensor | None = None, keep: bool = True, create: bool = False) -> Tensor:
        """Gradient of F + y'C at the last point, (cells,): one backward."""
        assert self._x is not None
        assert self._f is not None
        assert self._c is not None
        begun = time.perf_counter()
        value = self._f if y is None or y.numel() == 0 else self._f + (y * self._c).sum()
        (gradient,) = torch.autograd.grad(
            value, self._x, retain_graph=keep or create, create_graph=create, materialize_grads=True
        )
        self._count(begun)
        self._check(gradient)
        return gradient if create else gradient.detach()

    def row_gradients(self, family: RowFamily) -> Tensor:
        """Coefficients of one family's rows, (cells,): one backward of their sum."""
        assert self._x is not None
        assert self._c is not None
        begun = time.perf_counter()
        (gradient,) = torch.autograd.grad(
            self._c[family.rows].sum(), self._x, retain_graph=True, materialize_grads=True
        )
        self._count(begun)
        self._check(gradient)
        return torch.where(family.group >= 0, gradient, torch.zeros_like(gradient))

    def hessian_diagonal(self, gradient: Tensor, generator: torch.Generator) -> Tensor:
        """Estimate of the diagonal of the Hessian behind ``gradient`` (made with ``create=True``).

        Random signs on every probe make the estimate unbiased where cells of a probe interact, and
        exact where not.
        """
        assert self._x is not None
        probes = self.problem.probes
        if probes is None:
            probes = torch.ones(1, self._x.numel(), dtype=torch.bool)
        diagonal = torch.zeros_like(self._x).detach()
        if not gradient.requires_grad:
            return diagonal
        for k in range(probes.shape[0]):
            signs = (
                torch.randint(0, 2, probes[k].shape, generator=generator).to(diagonal.dtype) * 2 - 1
            )
            direction = torch.where(probes[k], signs, torch.zeros_like(signs))
            begun = time.perf_counter()
            # An outer gradient makes torch import its symbolic shapes: a third of a second.
            (product,) = torch.autograd.grad(
                (gradient * direction).sum(), self._x, retain_graph=True, materialize_grads=True
            )
            self._count(begun)
            diagonal += direction * product
        return diagonal

    def release(self) -> None:
        """Drop the graph of the last point."""
        self._x = self._f = self._c = None

    def _count(self, begun: float) -> None:
        self.counter.backward += 1
        self.counter.seconds += time.perf_counter() - begun

    def _check(self, gradient: Tensor) -> None:
        total = gradient.detach().sum()
        if bool(torch.isfinite(total)):
            return
        bad = torch.nonzero(~torch.isfinite(gradient.detach())).flatten()
        if bad.numel():
            point = None if self._x is None else self._x.detach()
            raise NonFiniteError("gradient", tuple(bad[:5].tolist()), bad.numel(), point)
