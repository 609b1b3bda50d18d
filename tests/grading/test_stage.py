"""The package as a student's code sees it: whole enough to be imported, and without any answer."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest

from rlcourse.grading.stage import ROOMS, make_stage, sealed, sealed_names


def code_of(stage, place):
    """The text of a function or class of the sealed package, "values.dqn.taken"."""
    room, module, name = place.split(".")
    tree = ast.parse((stage / "rlcourse" / room / f"{module}.py").read_text(encoding="utf-8"))
    return next(ast.unparse(n) for n in tree.body if getattr(n, "name", "") == name)


# lesson -> what must not help, and what answers may use
PLACES = {
    "01": (
        ["tabular.mdp.policy_transition", "tabular.mdp.policy_reward"],
        ["tabular.returns.discounted_return"],
    ),
    "02": (
        [f"tabular.dynamic_programming.{part}" for part in ("q_from_v", "v_from_q", "advantage")],
        ["tabular.mdp.policy_transition", "tabular.mdp.policy_reward"],
    ),
    "05": (
        ["tabular.control.q_learning", "tabular.control._bootstrapped", "tabular.control.sarsa_target",
         "tabular.control.expected_sarsa_target", "values.fitted_q.fitted_q_targets",
         "values.double_dqn.double_dqn_target", "lab.replay.ReplayBuffer", "lab.networks.polyak_update"],
        ["tabular.control._one", "tabular.prediction.td0_target", "tabular.gridworlds.maze", "tabular.mdp.garnet",
         "lab.replay.Batch", "lab.networks.mlp"],
    ),
    "08": (
        ["values.dqn.dqn_loss", "values.dqn.dqn_target", "values.ensembles.ensemble_target", "values.double_dqn.double_dqn_target",
         "values.prioritised.per_dqn_loss", "policies.gae.gae", "lab.networks.polyak_update",
         "values.dqn.play_step", "values.dqn.copy_factor", "values.primer.training_step"],
        ["values.dqn.taken", "tabular.control.q_learning_target", "lab.networks.QNetwork", "lab.seeding.torch_seed"],
    ),
    "09": (
        ["values.double_dqn.double_dqn_target", "values.ensembles.maxmin_bias", "values.prioritised.SumTree",
         "values.prioritised.prioritise", "values.prioritised.per_dqn_loss"],
        ["values.dqn.dqn_target", "values.dqn.taken", "lab.networks.polyak_update"],
    ),
    "12": (
        ["policies.ppo.ppo_update", "policies.ppo.ppo_batch", "policies.ppo.importance_ratio", "policies.ppo.categorical_kl",
         "policies.ppo.gaussian_kl", "policies.ppo.ppo_kl_update", "policies.agents.standardise"],
        ["policies.gae.gae", "policies.distributions.log_prob_and_entropy", "values.dqn.dqn_update"],
    ),
    "14": (
        ["continuous.ddpg.ddpg_update", "continuous.ddpg.ddpg_target", "continuous.noise.ou_step", "continuous.noise.ou_stationary",
         "continuous.agent.scale_action"],
        ["values.dqn.dqn_update", "lab.networks.polyak_update", "lab.networks.Critic"],
    ),
    "15": (
        ["continuous.td3.td3_update", "continuous.td3.td3_critic_update", "continuous.td3.delayed"],
        ["values.dqn.dqn_update", "lab.networks.polyak_update"],
    ),
    "18": (
        ["continuous.sac.sac_v1_update", "continuous.sac.squashed_log_prob", "continuous.sac.squashed_action",
         "continuous.sac.factored_projection"],
        ["continuous.td3.td3_update", "lab.networks.polyak_update"],
    ),
    "19": (
        ["continuous.sac.sac_update", "continuous.sac.default_target_entropy"],
        ["continuous.sac.squashed_action", "continuous.td3.td3_update", "values.dqn.dqn_update", "lab.networks.polyak_update"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("lesson", PLACES)
def test_answers_and_their_like_are_sealed_and_tools_are_not(lesson, tmp_path):
    stage = make_stage(tmp_path / "stage", sealed_names(lesson))
    closed, free = PLACES[lesson]
    assert [place for place in closed if "raise Forbidden" not in code_of(stage, place)] == []
    assert [place for place in free if "Forbidden" in code_of(stage, place)] == []


@pytest.mark.full
def test_everything_that_is_left_can_be_imported(tmp_path):
    """Of lesson 05 most is sealed."""
    stage = make_stage(tmp_path / "stage", sealed_names("05"))
    files = [path for room in ROOMS for path in sorted((stage / "rlcourse" / room).glob("*.py"))]
    modules = [".".join(path.relative_to(stage).with_suffix("").parts) for path in files]
    code = "import importlib, json, sys; sys.path.insert(0, sys.argv[1])\nfor m in json.loads(sys.argv[2]): importlib.import_module(m)"
    command = [sys.executable, "-W", "error", "-c", code, str(stage), json.dumps(modules)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=1800)
    assert ended.returncode == 0, ended.stderr


def test_helpers_are_sealed_where_nothing_else_needs_them():
    source = "def answer(): return _a()\ndef _a(): return _b()\ndef _b(): return 1\ndef _c(): return 2\ndef free(): return _c()"
    text = sealed(source, {"answer"})
    space = {}
    exec(text.replace("from rlcourse import Forbidden", "Forbidden = RuntimeError"), space)
    assert space["free"]() == 2
    for name in ("answer", "_a", "_b"):
        with pytest.raises(RuntimeError, match=name):
            space[name]()
