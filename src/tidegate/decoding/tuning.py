"""The weights of a scorer that make fewest errors on data that was held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from tidegate.decoding.scoring import Scorer
from tidegate.decoding.search import LEAST, WIDTH, prefix_beam
from tidegate.errors import InputError, ShapeError
from tidegate.ragged import Ragged


@dataclass(frozen=True)
class Tuned:
    """Hold the weights that were chosen, and what every pair of them gave.

    alpha, beta, error: of the best pair.
    grid: of each pair its error, in the order in which they were tried.
    """

    alpha: float
    beta: float
    error: float
    grid: dict[tuple[float, float], float]


def tune(
    log_probs: Ragged,
    references: Sequence[str],
    symbols: Sequence[str],
    error: Callable[[list[str], list[str]], float],
    *,
    scorer: Scorer,
    alphas: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5),
    betas: Sequence[float] = (-1.0, 0.0, 1.0, 2.0),
    width: int = WIDTH,
    least_probability: float = LEAST,
    num_threads: int | None = None,
) -> Tuned:
    """Try every pair of weights on validation data, and name the one of least error.

    Of equal errors the smaller alpha is taken, then the beta nearer to zero.

    Args:
        log_probs: of B sequences, as for `prefix_beam`.
        references: B texts.
        symbols: V.
        error: given the references and the texts that were found, says how wrong they are; less is better.
        scorer: whose other parts stay as they are.
        alphas: weights of the language to try.
        betas: weights of words to try.
        width: as for `prefix_beam`.
        least_probability: the same.
        num_threads: the same.

    Raises ShapeError where there is not one reference for each sequence, InputError where there is nothing to try or
    the error is no number, and as `prefix_beam` does.

    >>> import numpy as np
    >>> from tidegate.decoding import NgramModel
    >>> rows = Ragged.from_list([np.log([[0.1, 0.46, 0.44], [0.8, 0.1, 0.1], [0.1, 0.44, 0.46]])])
    >>> scorer = Scorer(language_model=NgramModel.from_texts(["bb", "bb"], order=2))
    >>> wrong = lambda wanted, found: sum(a != b for a, b in zip(wanted, found)) / len(wanted)
    >>> found = tune(rows, ["bb"], "ab", wrong, scorer=scorer, alphas=(0, 0.5), betas=(0,))
    >>> found.alpha, found.error
    (0.5, 0.0)
    """
    if len(log_probs) != len(references):
        raise ShapeError(f"{len(log_probs)} sequences came with {len(references)} references. Pass one for each.")
    if not (len(references) and len(alphas) and len(betas)):
        raise InputError("there is nothing to tune on: wanted at least one sequence, one alpha and one beta.")
    grid: dict[tuple[float, float], float] = {}
    for alpha, beta in product(alphas, betas):
        found = prefix_beam(
            log_probs,
            symbols,
            width=width,
            scorer=scorer.with_weights(alpha, beta),
            least_probability=least_probability,
            num_threads=num_threads,
        )
        texts = [best[0].text if best else "" for best in found]
        grid[alpha, beta] = float(error(list(references), texts))
        if grid[alpha, beta] != grid[alpha, beta]:
            raise InputError(f"the error of alpha={alpha} and beta={beta} is no number.")
    (alpha, beta), least = min(grid.items(), key=lambda item: (item[1], item[0][0], abs(item[0][1]), item[0][1]))
    return Tuned(alpha, beta, least, grid)
