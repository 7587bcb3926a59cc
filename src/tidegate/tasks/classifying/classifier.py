"""What `TextClassifier` and `SequenceClassifier` share: one label for each sequence, from input to probabilities.

Knows classes and networks. Knows neither texts nor features: a task owns a `Classifying`, to which it lends its
parameters and a `Reader` of its inputs, and hands what it learned to the functions below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

import tidegate.cells as cells
from tidegate.cells import CellOption
from tidegate.data.labels import hold_several, list_labels
from tidegate.errors import Argument, InputError, RunFolderError
from tidegate.health import Background, padding
from tidegate.kernels import sigmoid, softmax
from tidegate.network import Dense, Dropout, Merge, Network, Node, Pool, PoolModes, Recurrent
from tidegate.runtime import Executor
from tidegate.tasks.chosen import Choice
from tidegate.tasks.classifying.calibration import cool, read_temperature
from tidegate.tasks.classifying.choosing import Aim, Thresholds, decide, read_thresholds
from tidegate.tasks.classifying.labelled import (
    Inputs,
    Labelled,
    begin_scores,
    hold_out,
    join,
    learn_classes,
    learn_label_sets,
    pair_known,
    read_classes,
)
from tidegate.tasks.classifying.measuring import Part, measure
from tidegate.tasks.classifying.measuring import Sequences as Sequences
from tidegate.tasks.classifying.teaching import Teacher, set_apart
from tidegate.tasks.fitting import OTHER_DATA, Plan, fingerprint
from tidegate.tasks.parameters import CELLS
from tidegate.tasks.task import Array, Json
from tidegate.tasks.weights import ClassWeight, Weights, relative, weigh_classes
from tidegate.train import Asked

Whole: TypeAlias = Callable[[Network, dict[str, Array]], tuple[Network, dict[str, Array]]]
Multilabel: TypeAlias = bool | Literal["auto"]
LATER: Json = {"calibrate": False, "refit": False, "multilabel": False, "thresholds": None}
"""Parameters that came later to both tasks, and what a file means that does not name them."""
Weights32: TypeAlias = NDArray[np.float32]


class Preparation(Protocol):
    """Turn checked inputs into sequences, as was learned from the training part."""

    @property
    def input_size(self) -> int:
        """Count the ids of a vocabulary, or the features of a step."""

    def encode(self, inputs: Inputs) -> Sequences:
        """Turn B inputs into B sequences."""

    def read(self, chunk: Any) -> Array:
        """Turn steps of a live sequence, as they come, into what the network reads: `[n, C]` or `[n]` ids."""

    def spell(self, inputs: Inputs) -> list[str] | None:
        """List the N steps of those sequences as text; None where they are no text."""

    def to_json(self) -> Json:
        """Write what was learned, for the model file."""


@dataclass(frozen=True)
class Classes:
    """Hold what a classifier learns besides its weights: the labels `[K]`, sorted, and how input becomes sequences.

    temperature: what the scores of the network were divided by, in its weights; None where nothing was measured.
    several: whether an input may have several labels, or none.
    thresholds: from which probability on a class is named; None where the likeliest one is.
    """

    classes: Array
    preparation: Preparation
    temperature: float | None = None
    several: bool = False
    thresholds: Thresholds | None = None

    def to_json(self) -> Json:
        """Write all of it."""
        written = {"classes": self.classes.tolist(), "preparation": self.preparation.to_json()}
        written |= {} if self.temperature is None else {"temperature": self.temperature}
        written |= {} if self.thresholds is None else {"thresholds": list(self.thresholds)}
        return written | ({"several": True} if self.several else {})

    def likely(self, logits: Array) -> Array:
        """Turn the scores of a network, `[B, K]`, into the probability of each class, or of each label by itself."""
        return sigmoid(logits) if self.several else softmax(logits)

    def decide(self, likely: Array) -> Array:
        """Name the class of each row of probabilities by its number `[B]`, or say which labels it has `[B, K]`."""
        return decide(likely, several=self.several, thresholds=self.thresholds)

    def choose(self, likely: Array) -> Array:
        """Name the class of each row of probabilities, or list its labels, `[B]`."""
        said = self.decide(likely)
        if not self.several:
            return np.asarray(self.classes[said])
        lists = np.empty(len(said), object)
        lists[:] = [self.classes[row].tolist() for row in said]
        return lists


def _as_they_are(x: Any, _rng: np.random.Generator) -> Any:
    return x


@dataclass(frozen=True)
class Read:
    """Hold what a reader learned, and the training part as it is learned from.

    disturb: changes a training batch before it is read.
    whole: makes the network and weights to hand out of those that were trained; None where they are the same.
    embedding_scale: the largest number in a table that training starts from.
    chosen: what followed from the training part.
    """

    preparation: Preparation
    x: Sequences
    disturb: Callable[[Any, np.random.Generator], Any] = _as_they_are
    whole: Whole | None = None
    embedding_scale: float = 0.05
    chosen: tuple[Choice, ...] = ()


class Settings(Protocol):
    """Have the parameters that classifiers share; the tasks say what each means."""

    cell: CellOption
    hidden_size: int
    num_layers: int
    bidirectional: bool
    merge: Merge
    pooling: PoolModes
    dense_size: int
    dropout: float
    recurrent_dropout: float
    chrono: int
    class_weight: ClassWeight
    validation_fraction: float
    calibrate: bool
    refit: bool
    multilabel: Multilabel
    thresholds: Aim
    seed: int


class Reader(Protocol):
    """Say how the inputs of a task become sequences, and where its network begins."""

    begins: ClassVar[tuple[type[Node], ...]]
    """What the network may begin with."""

    @property
    def recurs(self) -> bool:
        """Whether a recurrent node follows the first ones."""

    def check(self, X: Any, *, name: str = "X") -> Inputs:
        """Check what is to be learned from or measured on, and bring it into the one form that the task works with."""

    def learn(
        self, examples: Labelled, classes: int, weights: Weights32 | None, *, seed: int, stored: Json | None = None
    ) -> Read:
        """Learn from the training part how inputs become sequences; `weights` [B] say how much each counts.

        `stored` is what `Preparation.to_json` wrote where a run goes on.
        """

    def restore(self, stored: Json, arrays: Mapping[str, Array]) -> Preparation:
        """Read what `Preparation.to_json` wrote, and its arrays.

        Raises InputError, KeyError, TypeError or ValueError for all else.
        """

    def first_nodes(self, preparation: Preparation) -> tuple[tuple[Node, ...], int]:
        """Choose the nodes before the recurrent one, if there is one, and say how many features they hand on."""

    def begin(self, plan: Plan, preparation: Preparation, x: Sequences) -> Plan:
        """Give parameters what they shall begin with instead of drawn numbers, knowing the training part."""

    def with_unlabelled(self, inputs: Inputs) -> Reader:
        """Learn what can be learned of inputs without labels, too, where there are any that are no examples."""


@dataclass(frozen=True)
class Classifying:
    """Plan the training of a classifier, and read what one has learned."""

    settings: Settings
    reader: Reader

    def plan(
        self,
        X: Any,
        y: Any,
        planned: Callable[..., Plan],
        *,
        valid: tuple[Any, Any] | None,
        about: Json | None,
        sample_weight: Any,
        unlabelled: bool = False,
        teacher: Teacher | None = None,
    ) -> tuple[Plan, Classes]:
        """Plan a training as `Task._plan` says; `planned` is `Task._planned` of the task.

        Inputs may be `unlabelled`. Where there is a teacher, what it says of these stands in the place of a label.
        """
        settings, reader = self.settings, self.reader
        self._check_settings(held=valid is not None)
        x, others = reader.check(X), None
        several = settings.multilabel is True or (unlabelled and hold_several(list_labels(y)))
        if teacher is not None and several:
            raise InputError("a teacher says which one class a text is of, and these may have several. Leave it out.")
        if unlabelled and several and any(label is None for label in list_labels(y)):
            raise InputError("texts that may have several labels all need theirs: leave those without one out.")
        if unlabelled and not several:
            assert isinstance(x, list), "only texts may come without labels"
            examples, classes, others = set_apart(x, y, sample_weight)
        else:
            examples, classes = self._learn_classes(x, y, sample_weight)
        if settings.thresholds and not examples.several and len(classes) > 2:
            raise InputError(
                f"thresholds are for two classes, or for several labels, and here one of {len(classes)} classes is "
                "right. Leave them out; class_weight makes rare classes count."
            )
        if valid is None:
            learn, measured = hold_out(examples, settings.validation_fraction, seed=settings.seed)
        else:
            held_x = reader.check(valid[0], name="valid X")
            learn, measured = examples, pair_known(held_x, valid[1], classes, name="valid y", several=examples.several)
        stored = None if about is None else about["preparation"]

        def taught(examples: Labelled) -> Labelled:
            return examples if teacher is None or others is None else teacher.teach(examples, others, classes)

        planning = self
        if others is not None and others.x:  # with a teacher they are among the examples
            planning = replace(self, reader=reader.with_unlabelled(others.x if teacher is None else []))
        plan, learned = planning._plan_on(taught(learn), measured, classes, planned, stored)
        if not settings.refit or measured is None:
            return plan, learned
        every, sizes = examples if valid is None else join(learn, measured), plan.recipe

        def refit(_history: list[Json]) -> Plan:
            again, _ = planning._plan_on(taught(every), None, classes, planned, None)
            kept = {name: sizes[name] for name in ("epochs", "batch_size")}
            quiet = replace(again.background, warnings=())  # what is amiss with the data was said
            return replace(again, recipe=again.recipe | kept, background=quiet)

        return replace(plan, refit=refit), learned

    def _check_settings(self, *, held: bool) -> None:
        """Raise InputError for settings that contradict each other; `held` says that there is a validation part."""
        settings = self.settings
        if settings.chrono and cells.CELLS[CELLS[settings.cell]].keeps is None:
            raise InputError(
                f"chrono={settings.chrono} sets gates, and cell={settings.cell!r} has none. Leave chrono out."
            )
        unheld = not held and not settings.validation_fraction
        for wanted, why in ((settings.refit, _REFIT), (settings.thresholds, _THRESHOLDS)):
            if wanted and unheld:
                raise InputError(why, Argument("validation_fraction", 0.1), ", or a validation part.")

    def _learn_classes(self, x: Inputs, y: Any, sample_weight: Any) -> tuple[Labelled, Array]:
        """Pair inputs with their classes, or with several labels each where that is what came."""
        settings = self.settings
        if settings.multilabel is False:
            return learn_classes(x, y, sample_weight)
        items = list_labels(y)
        if settings.multilabel == "auto" and not hold_several(items):
            return learn_classes(x, items, sample_weight)
        if settings.class_weight is not None:
            raise InputError(
                f"class_weight={settings.class_weight!r:.40} weighs inputs by their one class, and these may have "
                "several labels. Leave it out; sample_weight weighs each input."
            )
        return learn_label_sets(x, items, sample_weight)

    def _plan_on(
        self,
        learn: Labelled,
        measured: Labelled | None,
        classes: Array,
        planned: Callable[..., Plan],
        stored: Json | None,
    ) -> tuple[Plan, Classes]:
        """Plan to learn from some examples and to measure on others, if there are any."""
        settings, reader = self.settings, self.reader
        each = np.ones(len(classes))
        if not learn.several:
            each = weigh_classes(settings.class_weight, learn.y, classes, learn.weights)
        read = reader.learn(learn, len(classes), _weighed(learn, each), seed=settings.seed, stored=stored)
        preparation = read.preparation
        learned = Classes(classes, preparation, several=learn.several)
        if stored is not None and stored != preparation.to_json():
            raise RunFolderError(OTHER_DATA)
        network = self.network(preparation, len(classes))
        part = Part(read.x, learn.y, _weighed(learn, each), learn.soft)
        held = None
        if measured is not None:
            held = Part(preparation.encode(measured.x), measured.y, _weighed(measured, each))
        measuring = None
        if held is not None:
            whole = read.whole or (lambda network, weights: (network, weights))
            sure, chosen = settings.calibrate, settings.thresholds is not None

            def measuring(found: dict[str, Array]) -> dict[str, Any]:
                return measure(Executor(*whole(network, found)), held, classes, calibrate=sure, choose=chosen)

        def loss(indices: NDArray[np.int64], rng: np.random.Generator) -> Asked:
            return Asked(read.disturb(part.x.select(indices), rng), part.loss(indices))

        plan = planned(
            network=network,
            lengths=np.asarray(part.x.lengths),
            loss=loss,
            measure=measuring,
            whole=_handed_out(read.whole),
            settle=lambda kept: _settled(learned, kept),
            embedding_scale=read.embedding_scale,
            learned=learned,
            chrono=settings.chrono or None,
            data=fingerprint(*(None if p is None else p.arrays() for p in (part, held))),
            background=Background(learn.rows, guess=part.guess, warnings=padding(learn.x)),
        )
        scores = begin_scores(learn, len(classes), _weighed(learn, each))
        begin = {} if scores is None else {f"{len(network.nodes) - 1}.bias": scores}
        plan = replace(plan, chosen=(*plan.chosen, *read.chosen), begin=begin)
        return reader.begin(plan, preparation, part.x), learned

    def restore(self, stored: Json, network: Network) -> Classes:
        """Read what `Classes.to_json` wrote, and check that it fits the network; raises as `Task._read_learned`."""
        if not (network.pools and isinstance(network.nodes[0], self.reader.begins)):
            raise ValueError(f"its network begins with {network.nodes[0].kind!r}; wanted one that pools what it reads")
        classes = read_classes(stored["classes"])
        preparation = self.reader.restore(stored["preparation"], stored["arrays"])
        if preparation.input_size != network.input_size:
            raise ValueError(f"it prepares {preparation.input_size} inputs, its network reads {network.input_size}")
        if len(classes) != network.output_size:
            raise ValueError(f"it names {len(classes)} classes, but its network tells {network.output_size} apart")
        several = stored.get("several", False)
        if not isinstance(several, bool):
            raise ValueError(f"whether inputs may have several labels is {several!r:.40}; wanted true or false")
        thresholds = read_thresholds(stored.get("thresholds"), len(classes), several=several)
        return Classes(classes, preparation, read_temperature(stored), several, thresholds)

    def network(self, preparation: Preparation, num_classes: int) -> Network:
        """Choose the nodes, from what is read to the score of each class."""
        settings = self.settings
        first, features = self.reader.first_nodes(preparation)
        nodes: list[Node] = [*first]
        if self.reader.recurs:
            recurrent = Recurrent(
                cell=CELLS[settings.cell],
                input_size=features,
                hidden_size=settings.hidden_size,
                num_layers=settings.num_layers,
                bidirectional=settings.bidirectional,
                merge=settings.merge,
                dropout=settings.dropout if settings.num_layers > 1 else 0.0,
                recurrent_dropout=settings.recurrent_dropout,
            )
            nodes.append(recurrent)
            features = recurrent.output_size
        nodes.append(Pool(modes=settings.pooling))
        width = features * len(settings.pooling)
        if settings.dense_size:
            nodes.append(Dense(in_features=width, out_features=settings.dense_size, activation="relu"))
            width = settings.dense_size
        if settings.dropout:
            nodes.append(Dropout(p=settings.dropout))
        return Network.of(*nodes, Dense(in_features=width, out_features=num_classes))


_REFIT = "refit trains anew on what was held out, too, and nothing is. Pass "
_THRESHOLDS = "thresholds are chosen on what is held out, and nothing is. Pass "


def _settled(learned: Classes, kept: Json) -> Classes:
    found = kept.get("thresholds")
    thresholds = None if found is None else tuple(found)
    return replace(learned, temperature=kept.get("valid_temperature"), thresholds=thresholds)


def _handed_out(whole: Whole | None) -> Callable[[Network, dict[str, Array], Json], tuple[Network, dict[str, Array]]]:
    """Complete the network, and divide its scores by the temperature that was found after an epoch."""

    def handed_out(network: Network, weights: dict[str, Array], kept: Json) -> tuple[Network, dict[str, Array]]:
        if whole is not None:
            network, weights = whole(network, weights)
        return network, cool(network, weights, kept.get("valid_temperature", 1.0))

    return handed_out


def _weighed(examples: Labelled, each: Weights) -> NDArray[np.float32] | None:
    """Say what examples weigh: each its own weight times that of its class."""
    own = np.ones(len(examples.y)) if examples.weights is None else examples.weights
    return relative(own if examples.several else own * each[examples.y])
