"""Words with spellings, and networks that read them: described, built, executed, equal alone and in any batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tidegate import nn, train
from tidegate.errors import InputError, ShapeError
from tidegate.network import Crf, Dense, Dropout, Embed, Network, Pool, Recurrent, Spell, parameter_shapes
from tidegate.ragged import Ragged
from tidegate.runtime import Executor
from tidegate.words import Words

SENTENCES = [[3, 1, 3], [2], [], [4, 1]]
SPELLING = np.array([0, 1, 0, 2, 3, 1])
LETTERS = [[1, 2], [3], [4, 4, 4], [5]]


def words() -> Words:
    tokens = Ragged.from_list(SENTENCES, dtype=np.int64)
    return Words(tokens, SPELLING, Ragged.from_list(LETTERS, dtype=np.int64))


def network(*, tags: int = 3) -> Network:
    reader = Recurrent(cell="gru", input_size=2, hidden_size=3, bidirectional=True)
    letters = (Embed(vocabulary_size=6, size=2), reader, Pool(modes=("last",)))
    return Network.of(
        Spell(words=Embed(vocabulary_size=5, size=4), characters=letters),
        Dropout(p=0.5),
        Recurrent(cell="lstm", input_size=10, hidden_size=2, bidirectional=True),
        Dense(in_features=4, out_features=tags),
        Crf(tags=tags),
    )


def weights(description: Network) -> dict[str, Any]:
    return train.initial_weights(description, seed=3, embedding_scale=1.0)


def test_selected_sentences_keep_their_spellings() -> None:
    part = words().select([3, 0])
    spelled = [[part.spellings[i].tolist() for i in row] for row in Ragged(part.spelling, part.offsets)]
    assert spelled == [[[5], [3]], [[1, 2], [3], [1, 2]]]
    assert [row.tolist() for row in part.tokens] == [[4, 1], [3, 1, 3]]
    assert len(part.spellings) == 3
    assert part.lengths.tolist() == [2, 3]


@pytest.mark.parametrize("spelling", [SPELLING[1:], SPELLING.astype(float), SPELLING + 1, SPELLING - 1])
def test_spellings_that_do_not_fit_are_refused(spelling: Any) -> None:
    with pytest.raises(ShapeError, match="spelling"):
        Words(words().tokens, spelling, words().spellings)


def test_the_network_is_data() -> None:
    description = network()
    assert Network.from_json(description.to_json()) == description
    assert (description.input_size, description.output_size) == (5, 3)
    assert description.reads_words and not description.reads_tokens
    shapes = parameter_shapes(description)
    assert shapes["0.words.weight"] == (5, 4)
    assert shapes["0.characters.0.weight"] == (6, 2)
    assert shapes["0.characters.1.weight_ih_l0_reverse"] == (9, 2)
    assert {name: shape for name, shape in shapes.items() if name.startswith("4.")} == {
        "4.transitions": (3, 3),
        "4.start": (3,),
        "4.end": (3,),
    }


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (lambda n: (n[1], n[0]), "cannot come first"),
        (lambda n: (*n[:4], Crf(tags=2)), "wants 2 features but gets 3"),
        (lambda n: (*n, Dense(in_features=3, out_features=3)), r"node 4 \(crf\) must come last"),
        (lambda n: (n[0], Pool(modes=("max",)), Crf(tags=10)), "must come last and not follow a pool"),
        (lambda n: (Embed(vocabulary_size=5, size=4), n[0]), r"node 1 \(spell\) must come first"),
    ],
)
def test_nodes_that_do_not_fit_are_refused(nodes: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Network.of(*nodes(network().nodes))


@pytest.mark.parametrize("letters", [(Dense(in_features=2, out_features=2),), (Embed(vocabulary_size=6, size=2),)])
def test_characters_must_be_embedded_and_pooled(letters: Any) -> None:
    with pytest.raises(ValueError, match="must be embedded first, and pooled"):
        Spell(words=Embed(vocabulary_size=5, size=4), characters=letters)


def test_a_word_is_its_row_beside_what_its_letters_say() -> None:
    """By hand: torch's own layers over one word after the other."""
    description = network()
    drawn = {name: torch.from_numpy(array) for name, array in weights(description).items()}
    gru, lstm = torch.nn.GRU(2, 3, bidirectional=True), torch.nn.LSTM(10, 2, bidirectional=True)
    gru.load_state_dict({name: drawn[f"0.characters.1.{name}"] for name in gru.state_dict()})
    lstm.load_state_dict({name: drawn[f"2.{name}"] for name in lstm.state_dict()})
    found = Executor(description, weights(description))(words())
    rows = iter(SPELLING.tolist())
    expected = []
    for sentence in filter(None, SENTENCES):
        features = [
            torch.cat(
                [drawn["0.words.weight"][token], gru(drawn["0.characters.0.weight"][LETTERS[next(rows)]])[1].flatten()]
            )
            for token in sentence
        ]
        h = lstm(torch.stack(features))[0]
        expected.append(h @ drawn["3.weight"].T + drawn["3.bias"])
    np.testing.assert_allclose(found, torch.cat(expected).detach().numpy(), rtol=2e-5, atol=2e-6)


def test_training_and_runtime_agree() -> None:
    description = network()
    module = nn.build(description).eval()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights(description).items()})
    emissions = module(words())
    np.testing.assert_array_equal(emissions.offsets.numpy(), words().offsets)
    found = Executor(description, weights(description))(words())
    np.testing.assert_allclose(emissions.values.detach().numpy(), found, rtol=1e-6, atol=1e-7)


def test_a_sentence_alone_gives_the_bits_it_gives_in_any_batch() -> None:
    executor = Executor(network(), weights(network()))
    whole = executor(words())
    for index, words_of in enumerate(Ragged(whole, words().offsets)):
        assert executor(words().select([index])).tobytes() == words_of.tobytes()
    turned = executor(words().select([3, 2, 1, 0]))
    assert turned.tobytes() == np.concatenate([whole[4:], whole[3:4], whole[:3]]).tobytes()


def test_every_parameter_learns() -> None:
    description = network()
    module = nn.build(description)
    crf = list(module.children())[-1]
    assert isinstance(crf, nn.CRF)
    emissions = module(words())
    (-crf(emissions, torch.tensor([0, 1, 2, 0, 1, 2])).sum()).backward()
    assert {name: True for name, _ in module.named_parameters()} == {
        name: parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        for name, parameter in module.named_parameters()
    }


def test_input_of_the_other_kind_is_refused() -> None:
    executor = Executor(network(), weights(network()))
    with pytest.raises(ShapeError, match="reads Words, ids with spellings; got a Ragged"):
        executor(words().tokens)
    plain = Network.of(Embed(vocabulary_size=5, size=4), Dense(in_features=4, out_features=2))
    with pytest.raises(ShapeError, match="reads a Ragged batch; got a Words"):
        Executor(plain, weights(plain))(words())
    with pytest.raises(ShapeError, match="a Ragged came where a Words batch was wanted"):
        nn.build(network())(words().tokens)
    outside = Words(words().tokens.with_values(words().tokens.values + 1), SPELLING, words().spellings)
    with pytest.raises(InputError, match="token id 5 at position 4 is out of range"):
        executor(outside)
    letters = words().spellings.with_values(np.full_like(words().spellings.values, 6))
    with pytest.raises(InputError, match="character id 6 at position 0 is out of range; the vocabulary has 6 ids"):
        executor(Words(words().tokens, SPELLING, letters))
