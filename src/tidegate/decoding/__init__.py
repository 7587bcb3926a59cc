"""From the probabilities of each frame to texts: beam search for CTC, n-grams, lexicons and words that are likely."""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.decoding.hypothesis import Hypothesis as Hypothesis
    from tidegate.decoding.ngram import NgramModel as NgramModel
    from tidegate.decoding.scoring import Scorer as Scorer
    from tidegate.decoding.search import PrefixBeam as PrefixBeam
    from tidegate.decoding.search import prefix_beam as prefix_beam
    from tidegate.decoding.tuning import Tuned as Tuned
    from tidegate.decoding.tuning import tune as tune

open_door(__name__)
