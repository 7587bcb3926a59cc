"""Forecasts series: from what was and what is known of the future to the mean and quantiles of what comes. No files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field

from tidegate.cells import CellOption
from tidegate.checkpoint import digest
from tidegate.data.series import Roles, Series, hold_out_last
from tidegate.data.series_tables import as_series
from tidegate.data.times import CALENDAR_SIZE
from tidegate.errors import Argument, DataError, InputError
from tidegate.network import Decode, Dense, Dropout, Network, Node, Pool, Recurrent, Size
from tidegate.runtime import Executor
from tidegate.tasks.card import Card
from tidegate.tasks.fitting import Plan, fingerprint
from tidegate.tasks.forecasting.card import CARD
from tidegate.tasks.forecasting.forecast import Forecast, asked_of, in_units, loss_of, means_outside, predict_batch
from tidegate.tasks.forecasting.graph import WindowInterface
from tidegate.tasks.forecasting.layout import Layout
from tidegate.tasks.forecasting.learned import LearnedSeries, check_alike, check_learnable, read_learned
from tidegate.tasks.forecasting.live import ForecasterStream, Source, check_streamable, start_time, time_like
from tidegate.tasks.forecasting.windows import Indices, Scaling, Shape, Windows, WindowScaling, cut_windows, measurable
from tidegate.tasks.parameters import CELLS
from tidegate.tasks.task import Array, Count, Json, NotNegative, Positive, Share, Task
from tidegate.train import Asked


def _ascending(levels: tuple[float, ...]) -> tuple[float, ...]:
    if list(levels) != sorted(set(levels)) or not all(0 < level < 1 for level in levels):
        raise ValueError("quantiles must ascend between 0 and 1, such as (0.1, 0.5, 0.9)")
    return levels


Quantiles = Annotated[tuple[float, ...], AfterValidator(_ascending)]


@dataclass(kw_only=True, eq=False, repr=False)
class Forecaster(Task[LearnedSeries]):
    """Forecast series of numbers.

    `X` is what `data.load` gives as examples of the kind `series`, a path, a frame or columns by name (long:
    `unique_id, ds, y`; or wide), an array `[T]` or `[T, C]`, or a list of such arrays. There is no `y`.

    The network is that of SegRNN (Lin et al. 2023, arXiv:2308.11200) unless `segment` is 0: the look-back is cut into
    segments, which a recurrent layer reads in turn; all segments of the horizon are then decoded at once. With
    `segment` 0 the layer reads step by step, and a dense layer gives all of the horizon from its last state.

    >>> waves = np.sin(np.arange(406) / 24 * 2 * np.pi)
    >>> forecaster = Forecaster(lookback=24, horizon=6, hidden_size=16, dropout=0.0, learning_rate=0.02, epochs=12)
    >>> (forecast,) = forecaster.fit(waves[:400]).predict(waves[:400])
    >>> bool(abs(forecast.mean[:, 0] - waves[400:]).max() < 0.1)
    True

    Args:
        lookback: steps that are looked back on.
        horizon: steps that are forecast.
        cell: `rnn` (tanh), `rnn_relu`, `lstm` or `gru`.
        hidden_size: units of each direction.
        num_layers: stacked layers.
        bidirectional: read the look-back from both ends; only with `segment` 0.
        segment: steps of a segment, which must divide the look-back; 0 reads step by step. "auto" takes the longest,
            24 at most, that divides it into four or more.
        independent: forecast each target from its own past alone, all with the same weights; else all from all.
        dropout: share of features dropped before the output, and between stacked layers.
        quantiles: levels to forecast besides the mean, such as (0.1, 0.5, 0.9), learned by the pinball loss.
        loss: of the mean: squared errors `mse`, or absolute ones `mae`, which makes it the median.
        scale: bring each column of each series to mean 0 and deviation 1 over the training part.
        window_scaling: of every window subtract the `last` value, as SegRNN does; subtract its mean and divide by its
            deviation, `standard`, as reversible instance normalisation does (Kim et al. 2022); or `off`.
        calendar: let the network know hour, weekday and day of the year of each step.
        strategy: `direct` gives the whole horizon at once; `recursive` gives `steps_at_once` and goes on from these.
        steps_at_once: the steps of one forecast of the recursive strategy.
        validation_fraction: share of the end of each series held out to measure on, unless `valid` is passed; 0 holds
            out none.
        others: see `Task`.
    """

    card: ClassVar[Card] = CARD

    lookback: Annotated[int, Field(ge=1, le=2**16)] = 96
    horizon: Annotated[int, Field(ge=1, le=2**16)] = 24
    cell: CellOption = "gru"
    hidden_size: Size = 128
    num_layers: Annotated[int, Field(ge=1, le=64)] = 1
    bidirectional: bool = False
    segment: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    independent: bool = True
    dropout: Share = 0.2
    quantiles: Quantiles = ()
    loss: Literal["mse", "mae"] = "mse"
    scale: bool = True
    window_scaling: WindowScaling = "last"
    calendar: bool = False
    strategy: Literal["direct", "recursive"] = "direct"
    steps_at_once: Count = 1
    validation_fraction: Share = 0.1

    epochs: Count | Literal["auto"] = 20
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 0.0

    def predict(self, X: Any) -> list[Forecast]:
        """Forecast the horizon after the last known step of each series.

        What is known in the future stands in further rows, all other columns empty. The numbers of one series depend,
        to the bit, neither on the other series nor on threads.

        Raises:
            InputError: the model is not fitted.
            DataError: a series is shorter than the look-back, has other columns or steps than were trained on, or lacks
                what should be known of the future.
        """
        if not (series := self._check_series(X)):
            return []
        return list(self._forecasts(series, [np.array([s.known]) for s in series]))

    def stream(
        self, *, lookahead: int | None = None, state: bytes | None = None, start: Any = None, series: str = ""
    ) -> ForecasterStream:
        """Begin a series that is fed row by row and forecast from each on, once the look-back is filled.

        Args:
            lookahead: of no use here: what lies ahead is forecast.
            state: where to go on, as the `state` of another stream of this model gave it.
            start: the time of the first row; needed but where a series merely counts, which then begins with 0.
            series: the name of the series, where it was trained on and is scaled by its own mean and deviation.

        Raises:
            InputError: the model is not fitted, needs columns that are known in the future, or knows no time to start.
            StateError: the state is truncated, altered or of another model or series.
        """
        fitted = self._require_fitted()
        check_streamable(fitted.learned.roles, lookahead)
        begin, zone = start_time(start, fitted.learned.step, fitted.learned.roles)
        source = Source(
            forecast=lambda window: next(self._forecasts([window], [np.array([window.known])])),
            digest=digest(fitted.network, fitted.weights),
            roles=fitted.learned.roles,
            step=fitted.learned.step,
            lookback=self.lookback,
            name=series,
            start=begin,
            zone=zone,
        )
        return ForecasterStream(source, state=state)

    def backtest(self, X: Any, *, begin: Any = None, stride: int = 1) -> list[Forecast]:
        """Forecast from one origin after the other, each time from what was known then.

        Args:
            X: series, as for `predict`; what came stands in them, too.
            begin: the first time to forecast; by default the first of which training has seen nothing.
            stride: steps from one origin to the next.

        Returns:
            A forecast for each series and origin of which the whole horizon is known, `truth` beside it.

        Raises:
            InputError: the model is not fitted, or `begin` lies in what it was trained on, which it has seen.
            DataError: as for `predict`, or no origin is left.
        """
        series = self._check_series(X)
        origins = self.origins(series)
        firsts = [self._first_unseen(s, begin) for s in series]
        chosen = [at[at >= first][::stride] for at, first in zip(origins, firsts, strict=True)]
        if not any(map(len, chosen)):
            raise DataError(
                f"no origin is left: {self.horizon} steps after what training has seen are wanted, and {self.lookback} "
                "to look back on."
            )
        return list(self._forecasts(series, chosen, truth=True))

    def score(self, X: Any, y: Any = None) -> float:
        """Compute minus the mean squared error from every origin of B series, in the scale of training; more is better.

        Raises DataError where no series holds a look-back and a horizon.
        """
        series = self._check_series(X)
        origins = self.origins(series)
        if not any(map(len, origins)):
            raise DataError(
                f"nothing to score: no series holds {self.lookback} steps and {self.horizon} more to forecast."
            )
        total = 0.0
        for windows, indices, answers in self.predict_windows(series, origins):
            total += float(((answers[..., 0].astype(np.float64) - windows.truth(indices)) ** 2).mean(axis=(1, 2)).sum())
        return -total / sum(map(len, origins))

    def origins(self, series: Sequence[Series]) -> list[Indices]:
        """List, for each series, the origins of its part from which a look-back and the whole horizon are known."""
        return [measurable(s, self._shape()) for s in self._check_series(list(series))]

    def deviation(self, name: str) -> Array:
        """Give by what the targets `[K]` of a series are divided in training."""
        deviation = self._learned().learned.scaling.of(name)[1]
        return np.asarray(deviation[: len(self.roles_.targets)])

    def interface(self) -> WindowInterface:
        """Say what surrounds the network in an exported graph; for `export`. Raises InputError before `fit`."""
        fitted = self._require_fitted()
        learned, layout = fitted.learned, self._layout(fitted.learned.roles)
        stored = learned.to_json()
        about = {**self._described(), "columns": list(learned.roles.columns), "quantiles": list(self.quantiles)}
        about |= {name: stored[name] for name in ("roles", "step", "scaling")}
        about |= {"calendar": self.calendar, "window_scaling": self.window_scaling}
        pooled = learned.scaling.pooled
        return WindowInterface(fitted.network, fitted.weights, about, layout, self.window_scaling, pooled)

    @property
    def baselines_(self) -> dict[str, float]:
        """The squared errors of repeating the last value, and the last season, on the part that was held out."""
        return self._learned().learned.baselines

    @property
    def roles_(self) -> Roles:
        """What the columns are that were trained on."""
        return self._learned().learned.roles

    def predict_windows(
        self, series: Sequence[Series], origins: Sequence[Indices]
    ) -> Iterator[tuple[Windows, Indices, Array]]:
        """Forecast from many origins of each series, a part of them at a time.

        Yields:
            all windows, the indices of some, and their forecasts [B, H, K, Q] in the scale that was trained in: the
            mean, then the quantiles.
        """
        fitted = self._require_fitted()
        windows = cut_windows(series, fitted.learned.scaling, self._shape(), origins)
        executor, layout = fitted.executor, self._layout(fitted.learned.roles)
        for indices in layout.parts(len(windows)):
            yield windows, indices, predict_batch(executor, layout, windows.batch(indices), self.horizon)

    def _forecasts(
        self, series: Sequence[Series], origins: Sequence[Indices], *, truth: bool = False
    ) -> Iterator[Forecast]:
        scaling = self._learned().learned.scaling
        for windows, indices, scaled in self.predict_windows(series, origins):
            for index, answer in zip(indices, scaled, strict=True):
                s, step = series[windows.series[index]], int(windows.steps[index])
                yield in_units(answer, s, step, scaling.of(s.name), self.quantiles, truth=truth)

    def _check_series(self, X: Any) -> list[Series]:
        """Read series and check that they are like those that were trained on."""
        learned = self._require_fitted().learned
        series = as_series(X, learned.roles)
        for s in series:
            if s.roles.columns != learned.roles.columns:
                raise DataError(
                    f"{s!r} has the columns {', '.join(s.roles.columns)}; {', '.join(learned.roles.columns)} were "
                    "trained on, in this order."
                )
            if s.step != learned.step:
                raise DataError(f"{s!r} has steps of {s.step}; steps of {learned.step} were trained on.")
            if s.known < self.lookback:
                raise DataError(f"{s!r} is too short: {self.lookback} steps are looked back on.")
        return series

    def _first_unseen(self, s: Series, begin: Any) -> int:
        """Find the first step that may be forecast without having been learned from."""
        end = self._learned().learned.ends.get(s.name)
        unseen = 0 if end is None else int(np.searchsorted(s.times, end, side="right"))
        if begin is None:
            return max(unseen, s.begin)
        first = int(np.searchsorted(s.times, time_like(begin, s)))
        if first < unseen:
            raise InputError(
                f"begin={begin} lies in what the model was trained on, up to {end}: forecasts of that would tell what "
                "was learned by heart. Begin later."
            )
        return first

    def _shape(self) -> Shape:
        return Shape(self.lookback, self.horizon, self.window_scaling, self.calendar)

    def _layout(self, roles: Roles) -> Layout:
        segment = self._segment()
        return Layout(
            lookback=self.lookback,
            horizon=self.horizon if self.strategy == "direct" else min(self.steps_at_once, self.horizon),
            targets=len(roles.targets),
            past=len(roles.past),
            known=len(roles.future) + CALENDAR_SIZE * self.calendar,
            segment=segment or 1,
            decoded=bool(segment),
            independent=self.independent,
            outputs=1 + len(self.quantiles),
        )

    def _segment(self) -> int:
        if self.segment == "auto":
            return next((w for w in range(min(self.lookback // 4, 24), 1, -1) if self.lookback % w == 0), 1)
        return self.segment

    def _network(self, layout: Layout) -> Network:
        width = self.hidden_size
        recurrent = Recurrent(
            cell=CELLS[self.cell],
            input_size=width if layout.decoded else layout.input_size,
            hidden_size=width,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout if self.num_layers > 1 else 0.0,
        )
        read: list[Node] = [recurrent, Pool(modes=("last",))]
        if layout.decoded:
            embed = Dense(in_features=layout.input_size, out_features=width, activation="relu")
            read = [embed, recurrent, Decode(steps=layout.rows_out, channels=layout.channels, size=width)]
        dropped = [Dropout(p=self.dropout)] if self.dropout else []
        return Network.of(*layout.first(), *read, *dropped, layout.last(recurrent.output_size))

    def _check_choices(self) -> None:
        """Refuse parameters that do not go together."""
        segment = self._segment()
        if segment and self.lookback % segment:
            raise InputError(
                f"segment={segment} does not divide lookback={self.lookback}. Choose one that does, or 'auto'."
            )
        if segment and self.bidirectional:
            raise InputError("bidirectional reads step by step. Pass ", Argument("segment", 0), " with it.")
        if self.strategy == "recursive" and self.quantiles:
            raise InputError(
                "the recursive strategy goes on from means, which says nothing of how sure they are. Leave quantiles "
                "out, or pass ", Argument("strategy", "direct"), ".",
            )  # fmt: skip

    def _plan(
        self, X: Any, y: Any, *, valid: tuple[Any, Any] | None, about: Json | None, sample_weight: Any = None
    ) -> tuple[Plan, LearnedSeries]:
        self._check_choices()
        if sample_weight is not None:
            raise InputError("sample_weight: a forecaster weighs all windows the same. Leave it out.")
        series = as_series(X)
        roles = check_alike(series)
        learn, held = series, [] if valid is None else as_series(valid[0], roles, name="valid X")
        if valid is None and self.validation_fraction:
            learn, held = hold_out_last(series, self.validation_fraction)
        check_learnable(learn, series, self.lookback + self.horizon)
        layout, shape = self._layout(roles), self._shape()
        ends = {s.name: s.times[s.known - 1] for s in (*learn, *held)}
        scaling = Scaling.learn(learn, scale=self.scale) if about is None else read_learned(about).scaling
        network = self._network(layout)
        once = replace(shape, horizon=layout.horizon)
        windows = cut_windows(learn, scaling, once, [measurable(s, once) for s in learn])
        aside = cut_windows(held, scaling, once, [measurable(s, once) for s in held]) if held else None
        if aside is not None and not len(aside):
            raise DataError(f"the part to measure on is shorter than the horizon of {self.horizon}; hold out more.")

        season = series[0].step.season
        guesses = {"naive mse": 1, "seasonal naive mse": season}
        baselines = (
            {} if aside is None else {name: _guess_error(aside, layout, period) for name, period in guesses.items()}
        )
        learned = LearnedSeries(roles, series[0].step, scaling, ends, baselines)

        def loss(indices: Indices, _rng: np.random.Generator) -> Asked:
            batch = windows.batch(indices)
            x = layout.inputs(batch.observed, batch.known)
            return Asked(x, asked_of(layout, batch, windows.truth(indices), self.loss, self.quantiles))

        def measure(weights: dict[str, Array]) -> dict[str, float]:
            assert aside is not None
            return self._measure(Executor(network, weights), layout, aside)

        plan = self._planned(
            network=network,
            lengths=np.full(len(windows), layout.rows_in, np.int64),
            loss=loss,
            measure=None if aside is None else measure,
            learned=learned,
            data=fingerprint(windows.arrays(), None if aside is None else aside.arrays()),
        )
        return plan, learned

    def _measure(self, executor: Executor, layout: Layout, windows: Windows) -> dict[str, float]:
        """Measure the loss that is trained on, and the squared and absolute errors of the means, in the scale of it."""
        sums = np.zeros(4)
        for indices in layout.parts(len(windows)):
            answers = predict_batch(executor, layout, windows.batch(indices), layout.horizon)
            truth, mean = windows.truth(indices), answers[..., 0]
            found = (loss_of(answers, truth, self.loss, self.quantiles), ((mean - truth) ** 2).mean())
            sums += np.array([*found, abs(mean - truth).mean(), means_outside(answers).mean()]) * len(indices)
        loss, mse, mae, outside = (sums / len(windows)).tolist()
        return {"loss": loss, "mse": mse, "mae": mae} | ({"mean_outside": outside} if len(self.quantiles) > 1 else {})

    def _read_learned(self, stored: Json, network: Network) -> LearnedSeries:
        learned = read_learned(stored)
        if self._network(self._layout(learned.roles)) != network:
            raise ValueError("its network is not the one that its parameters and columns make")
        return learned


def _guess_error(windows: Windows, layout: Layout, period: int) -> float:
    """Compute the mean squared error of repeating the last `period` steps, in the scale of training."""
    total = 0.0
    for indices in layout.parts(len(windows)):
        away = windows.repeat_last(indices, period) - windows.truth(indices)
        total += float((away.astype(np.float64) ** 2).mean()) * len(indices)
    return total / len(windows)
