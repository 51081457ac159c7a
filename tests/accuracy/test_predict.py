"""The shipped predictors against figures they did not learn from, and what they must not depend on."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from jaxmaestro.accuracy import about, extrapolates, predict, scores
from jaxmaestro.accuracy.training import Settings, split
from jaxmaestro.description import DescriptionError
from jaxmaestro.spaces import ALPHANET, ALPHANET_FORK, NASBENCH301, Configurations, Genotypes, space
from tests.accuracy.figures import HELD_OUT, attentivenas, darts_family


@pytest.mark.parametrize("name", sorted(HELD_OUT))
def test_held_out_rows_are_predicted_as_the_record_says(name: str) -> None:
    record, rows = about(name), list(HELD_OUT[name])
    assert set(rows) <= set(split(record.rows, Settings(**record.settings)).test.tolist())
    found = scores(predict(name, space(name).fork_sample(300))[rows], np.array(list(HELD_OUT[name].values())))
    assert found.mae < 1.3 * record.test.mae
    assert found.rmse < 1.3 * record.test.rmse
    assert found.spearman > record.test.spearman - 0.02


def test_published_attentivenas_networks_are_ranked_as_they_are() -> None:
    networks, accuracy = attentivenas()
    assert scores(predict("alphanet", networks), accuracy).kendall == 1
    # The smallest is in the seed's space, in a corner of the table where no row is.
    assert extrapolates("alphanet", networks).tolist() == [False] + [True] * 6
    assert predict("alphanet_fork", _rows(networks, [0])) == pytest.approx(67.489, abs=0.03)


def test_published_genotypes_are_better_than_random_ones_and_roughly_in_order() -> None:
    genotypes, error = darts_family()
    found, random = predict("nasbench301", genotypes), predict("nasbench301", NASBENCH301.sample(3, 2000))
    assert (found[:, None] > random).mean(1).min() > 0.9
    assert (found[:, None] > random).mean() > 0.95
    assert scores(found, -error).spearman > 0.6


def test_the_order_of_a_nodes_edges_does_not_matter() -> None:
    genotypes = NASBENCH301.sample(5, 50)
    turned = Genotypes(np.asarray(genotypes.operations)[..., ::-1], np.asarray(genotypes.inputs)[..., ::-1])
    assert np.array_equal(predict("nasbench301", genotypes), predict("nasbench301", turned))


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    sample = ALPHANET_FORK.sample(1, 5000)  # more than a chunk
    whole = predict("alphanet_fork", sample)
    assert whole.shape == (5000,) and whole.dtype == np.float64
    assert np.allclose(
        whole[4090:4100], predict("alphanet_fork", _rows(sample, range(4090, 4100))), atol=1e-4
    )


def test_no_architectures_have_no_accuracies() -> None:
    assert predict("nasbench301", _rows(NASBENCH301.sample(0, 1), [])).shape == (0,)


def test_five_blocks_of_mb2_are_what_the_table_calls_six() -> None:
    codes = np.zeros((1, 31), int)
    codes[0, [0, 22, 25]] = 2  # resolution 256, expansion 6 in mb6 as in the whole space, depth of mb2
    six = ALPHANET_FORK.decode(codes)
    assert six.depth[0].tolist() == [1, 6, 3, 3, 3, 3, 1]
    five = dataclasses.replace(six, depth=np.array([[1, 5, 3, 3, 3, 3, 1]]))
    assert predict("alphanet", five) == predict("alphanet_fork", six)
    assert not extrapolates("alphanet", five)


def test_what_the_table_holds_fixed_has_no_effect_and_is_said_to_be_extrapolated() -> None:
    plain = ALPHANET.decode(np.zeros((1, 31), int))
    wide = dataclasses.replace(plain, width=np.array([[24, 24, 32, 40, 72, 128, 216, 224, 1984]]))
    assert predict("alphanet", plain) == predict("alphanet", wide)
    assert extrapolates("alphanet", plain).tolist() == [False]
    assert extrapolates("alphanet", wide).tolist() == [True]
    assert not extrapolates("alphanet_fork", ALPHANET_FORK.sample(0, 500)).any()
    assert not extrapolates("nasbench301", NASBENCH301.sample(0, 5)).any()


def test_what_cannot_be_predicted_is_refused() -> None:
    with pytest.raises(DescriptionError, match="no accuracy predictor for 'mnasnet'"):
        predict("mnasnet", NASBENCH301.sample(0, 1))
    with pytest.raises(DescriptionError, match="no accuracy predictor"):
        about("mnasnet")
    with pytest.raises(DescriptionError, match="the width of"):
        predict("alphanet_fork", attentivenas()[0])


def test_a_record_says_what_the_figures_are() -> None:
    record = about("alphanet")
    assert record.rows == 9999 and record.test.count == 1000
    assert record.test.mae <= record.test.rmse < 0.02 and record.test.spearman > 0.999
    whole = record.checks["released forest, whole space"]
    assert whole.rmse > 5 * record.test.rmse  # extrapolation is not hidden
    assert "no measured accuracy" in str(record) and "random forest" in str(record)
    assert "surrogate" in str(about("nasbench301"))


def test_flax_is_imported_only_to_predict() -> None:
    code = (
        "import sys, jaxmaestro.accuracy as a; a.about('alphanet');"
        "print([m for m in ('flax', 'optax', 'nasbench301') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def _rows(architectures: Configurations | Genotypes, rows: object) -> Configurations | Genotypes:
    fields = {f.name: getattr(architectures, f.name) for f in dataclasses.fields(architectures)}
    index = np.array(rows, int)
    return dataclasses.replace(architectures, **{name: np.asarray(x)[index] for name, x in fields.items()})
