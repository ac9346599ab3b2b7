"""The default bundle, trained again from its data: a minute or two, more where no vectors are kept yet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pointsman.cli.main import main
from pointsman.scoring.bundle import load_bundle, resolve
from pointsman.scoring.cluster import score
from pointsman.training import plan as plans

pytest.importorskip("sklearn", reason="needs the train extra")
pytest.importorskip("scipy", reason="needs the train extra")

BUNDLES = Path(__file__).parents[2] / "bundles"
VECTORS = Path(__file__).with_name("gate_vectors.npy")


@pytest.mark.slow
def test_the_shipped_bundle_comes_out_again(shared: Path, tmp_path: Path) -> None:
    """On one machine bit for bit; elsewhere it chooses alike for 99.5 % of the prompts, in each family."""
    out = tmp_path / resolve(BUNDLES).name
    result = CliRunner().invoke(main, ["train", "--data", str(shared / "data"), "--out", str(out)])
    assert result.exit_code == 0, result.output
    shipped, again = load_bundle(resolve(BUNDLES)), load_bundle(out)
    assert (again.models, again.k, again.top_p) == (shipped.models, shipped.k, shipped.top_p)
    vectors = np.load(VECTORS, allow_pickle=False).astype(np.float64)
    for family in plans.read().families:
        own = [model for model in shipped.models if shipped.providers[model] == family]
        same = [score(shipped, v, deployed=own).model == score(again, v, deployed=own).model for v in vectors]
        assert np.mean(same) >= 0.995, family
