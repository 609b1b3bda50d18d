"""The benchmark measures what it says, goes on where it stopped, and its page is made from its figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils.flop_counter import FlopCounterMode

import rlcourse

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)


def test_the_limit_has_the_products_of_an_update():
    """Torch's own counter, watching a real update, sees as many multiplications (two flops each)."""
    import limit

    update = limit.one_update()
    with FlopCounterMode(display=False) as counter:
        update()
    shapes = limit.sac_products(limit.OBS_DIM, limit.ACT_DIM, limit.HIDDEN)
    assert 2 * limit.multiplications(shapes, limit.BATCH_SIZE) == counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        limit.bare(shapes, limit.BATCH_SIZE)()
    assert 2 * limit.multiplications(shapes, limit.BATCH_SIZE) == counter.get_total_flops()


def test_the_page_shows_the_figures():
    import report

    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    results = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))
    assert report.tables(results) in page, "run benchmarks/run.py --table"


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    import run

    monkeypatch.setattr(run, "versions", lambda: {"torch": "1"})
    file = tmp_path / "results.json"
    run.Results(file, again=False).keep("steps/DQN/ours/0", {"cpu": 1.0})
    assert "steps/DQN/ours/0" in run.Results(file, again=False)
    assert "steps/DQN/ours/0" not in run.Results(file, again=True)
    monkeypatch.setattr(run, "versions", lambda: {"torch": "2"})
    with pytest.raises(SystemExit, match="other versions"):
        run.Results(file, again=False)


def test_a_seed_that_never_arrives_counts_as_infinite():
    import report

    cells = [{"reached": seed != 2, "cpu": seed + 1.0} for seed in range(3)]
    assert report.median_time(cells, "cpu") == 2
    cells[1]["reached"] = False
    assert report.median_time(cells, "cpu") == float("inf")


def test_help_needs_nothing_but_the_course():
    command = [sys.executable, FOLDER / "run.py", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--only" in done.stdout


def test_the_course_does_without_the_other_library():
    package = Path(rlcourse.__file__).parent
    assert not [f for f in package.rglob("*.py") if "stable_baselines" in f.read_text("utf-8")]
