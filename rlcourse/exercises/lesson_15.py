"""Lesson 15: TD3."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import mse_loss

from rlcourse.checker.declaration import Exercise, Lesson, Mistake, boolean, figures
from rlcourse.checker.declaration import tensor as tensor_form
from rlcourse.checker.harness import Case
from rlcourse.checker.material import attached_too
from rlcourse.checker.networks import (
    ATOL,
    RTOL,
    AgentState,
    Optimizer,
    network,
    tensor,
    transitions,
)
from rlcourse.continuous import td3
from rlcourse.lab.networks import polyak_update

# ------------------------------------------------------------------------ smoothed_target_action


def _smoothing_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, low, high, *tags, sigma=0.2, clip=0.5, spread=1.0, reach=0.98) -> Case:
        low, high = np.asarray(low, float), np.asarray(high, float)
        dims = max(low.size, high.size)
        middle, half = (low + high) / 2, (high - low) / 2
        mu = middle + half * rng.uniform(-reach, reach, size=(n, dims))
        # Rows at the border too, where a noise of either sign matters.
        mu[: n // 3] = np.where(rng.random((n // 3, dims)) < 0.5, low, high)
        noise = np.clip(rng.normal(size=(n, dims)) * spread, -6, 6)
        as_given = [float(x) if x.ndim == 0 else tensor(x) for x in (low, high)]
        inputs = {"mu_next": tensor(mu), "noise": tensor(noise), "sigma": sigma, "clip": clip}
        return Case(name, inputs | {"low": as_given[0], "high": as_given[1]}, tags)

    wide = "a wide box"
    return [
        case("actions in (−1, 1)", 24, -1.0, 1.0, spread=2.0),
        case("large noise, small clip", 24, -1.0, 1.0, sigma=0.7, clip=0.3),
        case("σ above 1", 24, -8.0, 8.0, wide, sigma=1.6, clip=2.5),
        case("a clip that is never reached", 24, -9.0, 9.0, wide, sigma=0.3, clip=4.0),
        case("a clip larger than 1", 24, -9.0, 9.0, wide, sigma=0.6, clip=1.4, spread=2.5),
        case("a box that differs by dimension", 24, [-1.0, -0.2, -3.0], [0.5, 0.3, 2.0],
             "the box differs by dimension", sigma=0.4),
        case("a box that is not symmetric", 24, [0.5, -4.0], [2.5, -1.0],
             "the box differs by dimension", sigma=0.5, clip=0.7),
        case("one action, bounds as (1,)", 24, [-2.0], [2.0], sigma=0.5),
        case("a policy that leaves the box by itself", 24, -1.0, 1.0, sigma=0.4, reach=1.5),
        case("one row", 1, [-1.0, -1.0], [1.0, 1.0], sigma=0.8),
        case("as many rows as dimensions", 3, [-1.0, -2.0, -0.3], [1.0, 0.4, 3.0],
             "the box differs by dimension", sigma=0.6),
    ]  # fmt: skip


def _smoothed(
    scale: Callable = lambda xi, s, c: (s * xi).clamp(-c, c),
    inside: Callable = lambda a, low, high: torch.clip(a, _t(low), _t(high)),
    mean: Callable = lambda mu, low, high: mu,
) -> Callable:
    """The smoothed action with its parts exchangeable: the noise, the box, what is added to."""

    def smoothed_target_action(mu_next, noise, sigma, clip, low, high):
        return inside(mean(mu_next, low, high) + scale(noise, sigma, clip), low, high)

    return smoothed_target_action


def _t(bound):
    return torch.as_tensor(bound, dtype=torch.float32)


def _unboxed(a, low, high):
    return a


def _box(a, low, high):
    return torch.clip(a, _t(low), _t(high))


def _one_bound(pick_low, pick_high):
    return lambda a, low, high: a.clamp(float(pick_low(_t(low))), float(pick_high(_t(high))))


smoothed_target_action = Exercise(
    "smoothed_target_action",
    reference=td3.smoothed_target_action,
    cases=_smoothing_cases,
    returns=tensor_form(),
    points=2,
    equation="(15.8)",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "noise-not-clipped",
            "The noise is never held between −c and c. A normal draw can be as large as it likes, and then "
            "the target looks at an action far away from the policy's.",
            "Which argument of the function have you not used? There are two clips in the equation.",
            _smoothed(lambda xi, s, c: s * xi),
        ),
        Mistake(
            "action-not-clipped",
            "The noisy action may leave the box. No replay holds an action from out there, so the critic's "
            "value for it is made up.",
            "What is the largest action your function can return when μ(s') is at the border?",
            _smoothed(inside=_unboxed),
        ),
        Mistake(
            "clips-noise-before-scaling",
            "You clip ξ and scale afterwards: σ·clip(ξ). Then the noise reaches up to σc, and c is no longer "
            "in the units of an action.",
            "In what order do σ and the inner clip stand in the equation?",
            _smoothed(lambda xi, s, c: s * xi.clamp(-c, c)),
        ),
        Mistake(
            "variance-for-deviation",
            "You scale the noise with σ² or √σ. A standard normal times σ has the standard deviation σ.",
            "What is the standard deviation of k·ξ, if ξ has the standard deviation 1?",
            _smoothed(lambda xi, s, c: (s**2 * xi).clamp(-c, c)),
            _smoothed(lambda xi, s, c: (s**0.5 * xi).clamp(-c, c)),
        ),
        Mistake(
            "one-bound-for-all",
            "You use one lowest and one highest number for all dimensions. The box has its own bounds in each "
            "dimension of the action.",
            "`low` and `high` may be tensors of shape (D,). Which functions of torch accept those as bounds?",
            _smoothed(inside=_one_bound(torch.min, torch.max)),
            _smoothed(inside=_one_bound(torch.max, torch.min)),
            _smoothed(inside=_one_bound(lambda x: x.flatten()[0], lambda x: x.flatten()[0])),
            _smoothed(inside=_one_bound(lambda x: x.flatten()[-1], lambda x: x.flatten()[-1])),
            _smoothed(inside=_one_bound(lambda x: x.mean(), lambda x: x.mean())),
        ),
        Mistake(
            "clips-before-adding",
            "You bring the policy's action into the box and add the noise afterwards, so the sum can leave it "
            "again. The outer clip encloses the whole sum.",
            "Count the brackets of the equation: what stands inside the outer one?",
            _smoothed(inside=_unboxed, mean=_box),
            lambda mu, xi, s, c, low, high: _box(mu, low, high) + s * xi,
        ),
        Mistake(
            "clips-to-noise-bound",
            "You clip the action to ±c. That is the bound of the noise; the action has its own, `low` and `high`.",
            "Which of the two clips in the equation belongs to which pair of bounds?",
            _smoothed(inside=lambda a, low, high, c=0.5: a.clamp(-c, c)),
            lambda mu, xi, s, c, low, high: (mu + s * xi).clamp(-c, c),
            lambda mu, xi, s, c, low, high: (mu + (s * xi).clamp(-c, c)).clamp(-c, c),
            lambda mu, xi, s, c, low, high: (mu + _box(s * xi, low, high)).clamp(-c, c),
        ),
    ],
    also_correct=[
        _smoothed(),
        lambda mu, xi, s, c, low, high: torch.minimum(
            torch.maximum(mu + torch.clamp(s * xi, min=-c, max=c), _t(low)), _t(high)
        ),
        lambda mu, xi, s, c, low, high: (mu + s * xi.clamp(-c / s, c / s)).clip(_t(low), _t(high)),
    ],
)  # fmt: skip

# ----------------------------------------------------------------------- clipped_double_q_target


def _target_cases(rng: np.random.Generator) -> list[Case]:
    def case(name, n, gamma, *tags, shift=0.0, ended=None, apart=1.0) -> Case:
        flags = rng.random(n) < 0.4 if ended is None else np.full(n, ended)
        if ended is None and n > 1:
            flags[rng.permutation(n)[:2]] = False, True
        q1 = rng.normal(size=n) * 3 + shift
        q2 = q1 + apart * rng.normal(size=n) * 2
        # What a critic says of a terminal state is anybody's guess.
        q1[flags] += 40 * rng.choice([-1.0, 1.0])
        q2[flags] -= 30 * rng.choice([-1.0, 1.0])
        inputs = {
            "reward": tensor(rng.normal(size=n) * 2),
            "q1_next": tensor(q1, grad=True),
            "q2_next": tensor(q2, grad=True),
            "terminated": tensor(flags.astype(np.float64)),
            "gamma": gamma,
        }
        return Case(name, inputs, tags)

    return [
        case("a batch of eight", 8, 0.98),
        case("γ = ½", 9, 0.5),
        case("values all negative", 8, 0.95, "negative values", shift=-20.0),
        case("values all positive", 8, 0.9, shift=20.0),
        case("one transition", 1, 0.9, "B = 1", ended=False),
        case("one transition, terminal", 1, 0.9, "B = 1", ended=True),
        case("γ = 0", 5, 0.0, "γ = 0"),
        case("γ = 1", 5, 1.0, "γ = 1"),
        case("nothing terminates", 6, 0.97, ended=False),
        case("two critics that agree", 6, 0.97, apart=0.0),
    ]


def _double(
    pick: Callable = torch.minimum,
    masked: bool = True,
    discount: bool = True,
    detach: bool = True,
) -> Callable:
    def clipped_double_q_target(reward, q1_next, q2_next, terminated, gamma):
        value = pick(q1_next, q2_next)
        value = value.detach() if detach else value
        alive = 1 - terminated if masked else 1.0
        return reward + (gamma if discount else 1.0) * alive * value

    return clipped_double_q_target


# Where two critics agree, each of these sends the gradient another way.
_MINIMA = (
    torch.minimum,
    lambda a, b: torch.where(a < b, a, b),
    lambda a, b: torch.where(b < a, b, a),
)


def _attached(pick: Callable, half: int | None) -> Callable:
    """The right numbers with a gradient, `half` of the two critics' values taken out of the graph."""

    def of_both(*q):
        return pick(*(x.detach() if i == half else x for i, x in enumerate(q)))

    return _double(of_both, detach=False)


_either = attached_too(_double)


clipped_double_q_target = Exercise(
    "clipped_double_q_target",
    reference=td3.clipped_double_q_target,
    cases=_target_cases,
    returns=tensor_form(),
    points=1,
    equation="(15.10)",
    call="gradients",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "max",
            "You take the larger of the two estimates. That is the disease, not the cure: errors upwards are "
            "what the actor looks for.",
            "Which of two estimates would a careful person believe?",
            *_either(pick=torch.maximum),
        ),
        Mistake(
            "mean",
            "You take the mean of the two critics. Averaging makes the noise smaller, but it does not lean "
            "against the upward pull.",
            "What does the equation do with its two numbers?",
            *_either(pick=lambda a, b: (a + b) / 2),
        ),
        Mistake(
            "first-critic-only",
            "Only one of the two critics is used. That is DDPG's target.",
            "Which of the arguments does your result not depend on?",
            *_either(pick=lambda a, b: a),
            *_either(pick=lambda a, b: b),
        ),
        Mistake(
            "terminal-bootstrap",
            "Your target bootstraps through a terminal state. After it comes nothing, whatever the critics say.",
            "What is the right target for a row with `terminated` = 1? And what is yours?",
            *_either(masked=False),
        ),
        Mistake(
            "no-gamma",
            "The next state's value enters without γ: it comes one step later, so it counts γ of itself.",
            "How often does γ stand in the equation, and before what?",
            *_either(discount=False),
        ),
        Mistake(
            "gradient-into-target",
            "The numbers are right, but a gradient flows through your target into the critics that made it. "
            "A target is a label: it must stand still while the critic moves.",
            "How do you tell torch that a tensor is a mere number from here on?",
            *(_attached(pick, half) for pick in _MINIMA for half in (None, 0, 1)),
        ),
        Mistake(
            "min-over-the-batch",
            "You take one minimum over the whole batch, or one of the critics for all of it. The smaller estimate "
            "has to be chosen for each transition by itself.",
            "How many comparisons does your minimum make? It should be one a row.",
            *_either(pick=lambda a, b: torch.minimum(a.min(), b.min())),
            *_either(pick=lambda a, b: a if a.min() < b.min() else b),
            *_either(pick=lambda a, b: a if a.mean() < b.mean() else b),
            *_either(pick=lambda a, b: min(a.min(), b.min()).expand(len(a))),
        ),
        Mistake(
            "masks-reward",
            "You switch off the reward of terminal transitions as well. The reward of the step into a terminal "
            "state was really paid.",
            "What does (1 − d) multiply in the equation, and what not?",
            lambda r, a, b, d, g: (1 - d) * (r + g * torch.minimum(a, b).detach()),
            lambda r, a, b, d, g: (1 - d) * (r + g * torch.minimum(a, b)),
        ),
    ],
    also_correct=[
        _double(),
        lambda r, a, b, d, g: (r + g * (1 - d) * torch.stack([a, b]).min(dim=0).values).detach(),
        lambda r, a, b, d, g: r + torch.where(d > 0, 0.0, g * torch.min(a.detach(), b.detach())),
        lambda r, a, b, d, g: torch.min(r + g * (1 - d) * a, r + g * (1 - d) * b).detach(),
    ],
)

# --------------------------------------------------------------------------------------- delayed


def _delay_cases(rng: np.random.Generator) -> list[Case]:
    pairs = [
        (1, 1),
        (2, 1),
        (1, 2),
        (2, 2),
        (3, 2),
        (4, 2),
        (1, 3),
        (2, 3),
        (3, 3),
        (4, 3),
        (6, 4),
        (9, 3),
    ]
    for every in (5, int(rng.integers(6, 20))):
        k = int(rng.integers(2, 50))
        pairs += [(k * every, every), (k * every + 1, every), (k * every - 1, every)]
    return [Case(f"step {s}, every {e}", {"step": s, "every": e}) for s, e in pairs]  # fmt: skip


delayed = Exercise(
    "delayed",
    reference=td3.delayed,
    cases=_delay_cases,
    returns=boolean(),
    points=1,
    equation="(15.12)",
    mistakes=[
        Mistake(
            "inverted",
            "It is the other way round: you say True at the steps at which the actor should rest.",
            "Write down your answers for every = 3 and the steps 1 to 6.",
            lambda step, every: step % every != 0,
        ),
        Mistake(
            "off-by-one",
            "You count from the wrong end: updates are numbered from 1, and with `every` = 2 the first True "
            "comes at update 2.",
            "Write down your answers for every = 3 and the steps 1 to 6. Which steps should be True?",
            lambda step, every: (step - 1) % every == 0,
            lambda step, every: (step + 1) % every == 0,
            lambda step, every: step % every == every - 1,
            lambda step, every: step % every == 1,
        ),
        Mistake(
            "integer-division",
            "Your answers are those of the quotient `step // every`: whether `step` has reached `every`. What says "
            "whether a division comes out even is its remainder.",
            "Which operator gives the remainder of a division?",
            lambda step, every: bool(step // every),
            lambda step, every: step // every == 0,
            lambda step, every: step // every == 1,
        ),
        Mistake(
            "always",
            "You say True at every step: nothing is delayed. That is DDPG's rhythm.",
            "Does your answer depend on `step` at all?",
            lambda step, every: True,
        ),
        Mistake(
            "swapped",
            "You divide `every` by `step`. It is the step that has to be a multiple of `every`.",
            "What should the answer be at step 4 with every = 2?",
            lambda step, every: every % step == 0,
        ),
    ],
    also_correct=[
        lambda step, every: not step % every,
        lambda step, every: step == every * (step // every),
        lambda step, every: step in range(every, step + 1, every),
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------------ td3_update


def _update_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name,
        n,
        every,
        obs_dim=3,
        act_dim=2,
        rho=0.7,
        gamma=0.9,
        calls=3,
        lr=0.2,
        first=1,
        box=(-1.0, 1.0),
    ) -> Case:
        # In the order of the algorithm: the first that is wrong is told.
        nets = {}
        for suffix in ("", "_targ"):
            for critic in ("critic1", "critic2"):
                nets[critic + suffix] = network(rng, "critic", obs_dim + act_dim)
            nets["actor" + suffix] = network(rng, "actor", obs_dim, act_dim)
        optimizers = {
            "actor_optimizer": Optimizer(["actor"], 2 * lr),
            "critic_optimizer": Optimizer(["critic1", "critic2"], lr / 2),
        }
        numbers = {"gamma": gamma, "rho": rho, "sigma": 0.3, "clip": 0.4}
        numbers |= dict(zip(("low", "high"), box, strict=True))
        state = AgentState(nets | optimizers | numbers | {"every": every})
        inputs = {
            "agent_state": state,
            "batch": [transitions(rng, n, obs_dim, act_dim=act_dim) for _ in range(calls)],
            "noise": [tensor(rng.normal(size=(n, act_dim))) for _ in range(calls)],
            "step": list(range(first, first + calls)),
        }
        return Case(name, inputs)

    return [
        case("three updates, the actor at every second", 12, 2),
        case("three updates, the actor at every third", 12, 3),
        case("two updates, the actor at both", 12, 1, calls=2),
        case("one action, ρ = 0.95, γ = ½", 8, 2, act_dim=1, rho=0.95, gamma=0.5),
        case("one row a batch", 1, 2),
        case("updates 6 to 8, the actor at every fourth", 8, 4, first=6),
        case("a smaller box", 12, 1, calls=1, box=(-0.3, 0.5)),
    ]  # fmt: skip


def _update(
    *,
    actor_value: Callable = lambda me, obs, a: me.critic1(obs, a),
    targets_every_step: tuple[str, ...] = (),
    actor_every_step: bool = False,
    all_every_step: bool = False,
    next_actor: str = "actor_targ",
    next_critics: tuple[str, str] = ("critic1_targ", "critic2_targ"),
    critics_move: str = "",
    separate: bool = False,
    sign: float = -1.0,
    reverse: bool = False,
    smooth: float | None = 1.0,
    target: Callable = td3.clipped_double_q_target,
    attached: bool = False,
    clear: tuple[str, ...] = ("before critics", "before actor"),
    actor_first: bool = False,
    forgotten: tuple[str, ...] = (),
    critics: tuple[int, ...] = (1, 2),
    half: float = 1.0,
) -> Callable:
    """Algorithm 1 with its steps exchangeable, so that each mistake differs in one of them.

    clear: when gradients are cleared, "before" or "after" a step of the "critics" or the "actor"; critics_move: how
    the actor's gradient moves them: "again", added to their own; "alone"; or "at once" with their own step.
    """

    def td3_update(agent_state, batch, noise, step):
        me = agent_state
        due = td3.delayed(step, me.every)
        act = due or actor_every_step or all_every_step
        at_once = act and critics_move == "at once"

        def clears(when, whose):
            if f"{when} {whose}" in clear:
                getattr(me, f"{whose.removesuffix('s')}_optimizer").zero_grad()

        def move_actor():
            loss = sign * actor_value(me, batch.obs, me.actor(batch.obs)).mean()
            clears("before", "actor")
            if critics_move == "alone":
                me.critic_optimizer.zero_grad()
            loss.backward()
            me.actor_optimizer.step()
            clears("after", "actor")
            if critics_move:
                me.critic_optimizer.step()
            return float(loss)

        def move_critics():
            with torch.set_grad_enabled(attached):
                a = getattr(me, next_actor)(batch.next_obs)
                if smooth is not None:
                    a = td3.smoothed_target_action(
                        a, smooth * noise, me.sigma, me.clip, me.low, me.high
                    )
                q = [getattr(me, name)(batch.next_obs, a) for name in next_critics]
                given = batch.reward, batch.terminated, me.gamma
                if separate:
                    ys = [given[0] + given[2] * (1 - given[1]) * value for value in q]
                else:
                    ys = [target(given[0], *q, given[1], given[2])] * 2
            online = (me.critic1, me.critic2)
            losses = [
                half * mse_loss(online[i - 1](batch.obs, batch.action), ys[i - 1]) for i in critics
            ]
            clears("before", "critics")
            sum(losses).backward()
            if not at_once:
                me.critic_optimizer.step()
                clears("after", "critics")
            return float(sum(losses))

        losses = {}
        if actor_first and act:
            losses["actor"] = move_actor()
        losses["critics"] = move_critics()
        if act and not actor_first:
            losses["actor"] = move_actor()
        for name in _NETWORKS:
            if name not in forgotten and (due or all_every_step or name in targets_every_step):
                rho = 1 - me.rho if reverse else me.rho
                polyak_update(getattr(me, f"{name}_targ"), getattr(me, name), rho)
        return losses

    return td3_update


_NETWORKS = ("critic1", "critic2", "actor")


def _smallest(me, obs, a):
    return torch.minimum(me.critic1(obs, a), me.critic2(obs, a))


def _own_target(first_only: bool) -> Callable:
    """A right update, written out in one piece."""

    def td3_update(agent_state, batch, noise, step):
        s = agent_state
        eps = torch.clamp(noise * s.sigma, -s.clip, s.clip)
        a = torch.clamp(s.actor_targ(batch.next_obs) + eps, s.low, s.high)
        q = torch.min(s.critic1_targ(batch.next_obs, a), s.critic2_targ(batch.next_obs, a))
        y = (batch.reward + s.gamma * (1 - batch.terminated) * q).detach()
        errors = [c(batch.obs, batch.action) - y for c in (s.critic1, s.critic2)]
        s.critic_optimizer.zero_grad()
        if first_only:
            (errors[0] ** 2).mean().backward()
            (errors[1] ** 2).mean().backward()
        else:
            (errors[0] ** 2 + errors[1] ** 2).mean().backward()
        s.critic_optimizer.step()
        report = {
            "critic 1": errors[0].detach().pow(2).mean(),
            "critic 2": float(errors[1].pow(2).mean()),
        }
        if step % s.every == 0:
            value = s.critic1(batch.obs, s.actor(batch.obs)).mean()
            s.actor_optimizer.zero_grad()
            (-value).backward()
            s.actor_optimizer.step()
            report["value"] = value.item()
            for name in ("actor", "critic1", "critic2"):
                pairs = zip(getattr(s, name + "_targ").parameters(), getattr(s, name).parameters())  # noqa: B905
                for slow, fast in pairs:
                    slow.data.mul_(s.rho).add_((1 - s.rho) * fast.data)
        return report

    return td3_update  # fmt: skip


td3_update = Exercise(
    "td3_update",
    reference=td3.td3_update,
    cases=_update_cases,
    returns=figures(),
    points=4,
    equation="(15.13)",
    call="updates",
    rtol=RTOL,
    atol=ATOL,
    mistakes=[
        Mistake(
            "min-in-the-actor-loss",
            "Your actor climbs the smaller of the two critics. The minimum belongs into the target; the actor "
            "follows critic 1 alone.",
            "Compare the actor's loss in the equation with yours: how many critics has it?",
            _update(actor_value=_smallest),
        ),
        Mistake(
            "targets-every-step",
            "The target networks move at every update. They should rest together with the actor.",
            "Which lines of your function belong inside the `if`?",
            _update(targets_every_step=_NETWORKS),
            _update(targets_every_step=("critic1", "critic2")),
        ),
        Mistake(
            "actor-every-step",
            "The actor moves at every update, whatever `every` says: the critics get no time to settle.",
            "Where in your function is `delayed` asked, and what depends on the answer?",
            _update(actor_every_step=True),
            _update(all_every_step=True),
        ),
        Mistake(
            "online-actor-in-target",
            "The next action in the target comes from the actor that is being trained. It should come from its "
            "slow copy, as the critics do.",
            "Which networks of the equation for y carry the subscript targ?",
            _update(next_actor="actor"),
        ),
        Mistake(
            "online-critics-in-target",
            "The target is made by the critics that are being trained. They would chase their own tails: the "
            "slow copies make the target.",
            "Which networks of the equation for y carry the subscript targ?",
            _update(next_critics=("critic1", "critic2")),
            _update(next_critics=("critic1", "critic2"), attached=True, target=_double(detach=False)),
        ),
        Mistake(
            "critics-move-with-the-actor",
            "A critic moves when the actor does: the gradient of the actor's loss has reached its weights. It "
            "would learn to flatter the actor.",
            "Which optimiser is stepped after the actor's loss, and what are its gradients at that moment?",
            *(_update(critics_move=how) for how in ("again", "alone", "at once")),
        ),
        Mistake(
            "separate-targets",
            "Each critic is trained on its own bootstrap. There is one target for both, made with the smaller "
            "of the two values.",
            "How many different y does the equation have?",
            _update(separate=True),
        ),
        Mistake(
            "sign",
            "Your actor walks downhill on Q: it learns the worst action. An optimiser minimises, so the loss "
            "is minus the value.",
            "Which sign has the actor's loss in the equation?",
            _update(sign=1.0),
        ),
        Mistake(
            "polyak-reversed",
            "ρ and 1 − ρ have changed places: your targets become almost the trained networks at once. With ρ "
            "near 1 they should hardly move.",
            "What should happen to the target networks at ρ = 1?",
            _update(reverse=True),
        ),
        Mistake(
            "not-smoothed",
            "The target looks at the action of the slow actor itself; `noise` is never used.",
            "Which of your own functions makes the action at which the two critics are asked?",
            _update(smooth=None),
            _update(smooth=0.0),
        ),
        Mistake(
            "gradients-pile-up",
            "Gradients of earlier steps are still there when you call `backward()`: torch adds to them.",
            "What has to happen to the gradients before each `backward()`?",
            _update(clear=()),
            _update(clear=("before actor",)),
            _update(clear=("before critics",)),
            _update(clear=("after critics", "after actor")),
            _update(clear=("before critics", "after actor")),
        ),
        Mistake(
            "actor-before-critics",
            "The actor moves first, along the old critic. It should follow the critic that has already learned "
            "from this batch.",
            "In which order do the lines of the algorithm come?",
            _update(actor_first=True),
        ),
        Mistake(
            "target-forgotten",
            "Not all three target networks move.",
            "How many networks have a slow copy? Count your calls of `polyak_update`.",
            *(_update(forgotten=(name,)) for name in ("actor", "critic1", "critic2")),
            _update(forgotten=("critic1", "critic2")),
        ),
        Mistake(
            "one-critic-trained",
            "Only one critic learns; the other keeps the weights that it was born with.",
            "How many squared errors does the critics' loss have?",
            _update(critics=(1,)),
            _update(critics=(2,)),
        ),
        Mistake(
            "averaged-loss",
            "Your critics' loss carries a factor ½. The two means are added, without a factor.",
            "Write out the loss of the equation for a batch of one. What is its gradient?",
            _update(half=0.5),
        ),
    ],
    also_correct=[
        _update(),
        _own_target(True),
        _own_target(False),
    ],
)  # fmt: skip

LESSON = Lesson(
    "15",
    "TD3",
    [smoothed_target_action, clipped_double_q_target, delayed, td3_update],
    torch=True,
)
