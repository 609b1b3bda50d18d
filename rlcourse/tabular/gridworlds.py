"""Gridworlds as ASCII maps: a new one is a string, not code.

    #   wall                     .   floor
    S   start (one or several)   G   goal: terminal
    C   cliff: a fall back to the start
    other capital letters: the cells in which a jump of `jumps` begins; small ones: where it lands

Actions are 0 up, 1 right, 2 down, 3 left. Walking into a wall or off the map leaves you where you
are. States are the cells that are no wall, row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .mdp import MDP

UP, RIGHT, DOWN, LEFT = range(4)
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))

BOOK_5X5 = """
    .A.B.
    .....
    ...b.
    .....
    .a...
"""

CLIFF = """
    ............
    ............
    ............
    SCCCCCCCCCCG
"""

MAZE = """
    .......#G
    ..#....#.
    S.#....#.
    ..#......
    .....#...
    .........
"""


@dataclass(frozen=True)
class Gridworld:
    """An MDP on a map.

    rows: the map; shape: (rows, columns); cells: (S, 2) each state's row and column; labels:
    state -> the letter on its cell.
    """

    mdp: MDP
    rows: tuple[str, ...]
    shape: tuple[int, int]
    cells: np.ndarray
    labels: dict[int, str]

    def state(self, row: int, column: int) -> int:
        """The state of a cell. Raises ValueError for walls and cells off the map."""
        found = np.flatnonzero((self.cells == (row, column)).all(axis=1))
        if len(found) == 0:
            raise ValueError(f"there is no state at row {row}, column {column}")
        return int(found[0])

    def text(self, state: int | None = None) -> str:
        """The map as text, with an `@` where the state is."""
        board = [list(row) for row in self.rows]
        if state is not None:
            row, column = self.cells[state]
            board[row][column] = "@"
        return "\n".join(map("".join, board))


def gridworld(
    ascii_map: str,
    *,
    gamma: float = 0.9,
    step: float = 0.0,
    bump: float | None = None,
    goal: float = 0.0,
    cliff: float = -100.0,
    jumps: dict[str, float] | None = None,
    slip: float = 0.0,
) -> Gridworld:
    """The gridworld of a map.

    step: reward of an ordinary step; bump: of one against a wall (default: as step); goal: reward
    of a step into G; cliff: of a step into C, which leads back to the start; jumps: capital letter
    -> reward of leaving its cell, by any action, for the cell of the small letter;
    slip: probability that a step goes in a random direction instead.
    Raises ValueError for a map that is not a rectangle or lacks a cell that it needs.
    """
    rows = [line.strip() for line in ascii_map.strip().splitlines()]
    if len({len(row) for row in rows}) != 1:
        raise ValueError("the rows of the map differ in length")
    shape = (len(rows), len(rows[0]))
    letter = {(r, c): rows[r][c] for r in range(shape[0]) for c in range(shape[1])}
    # A cliff is no place to be: falling into it is part of the step.
    cells = [cell for cell in letter if letter[cell] not in "#C"]
    index = {cell: s for s, cell in enumerate(cells)}
    starts = [index[cell] for cell in cells if letter[cell] == "S"]
    if "C" in letter.values() and len(starts) != 1:
        raise ValueError("a map with a cliff needs one start S to fall back to")
    lands = {letter[cell].upper(): index[cell] for cell in cells if letter[cell].islower()}
    missing = set(jumps or {}) - (set(lands) & set(letter.values()))
    if missing:
        raise ValueError(f"the map lacks {', '.join(sorted(missing))} or its landing cell")

    def move(cell: tuple[int, int], direction: int) -> tuple[int, float]:
        """Where a step in this direction leads, and what it pays."""
        here = letter[cell]
        if here in (jumps or {}):
            return lands[here], jumps[here]
        target = (cell[0] + MOVES[direction][0], cell[1] + MOVES[direction][1])
        there = letter.get(target, "#")
        if there == "#":
            return index[cell], step if bump is None else bump
        if there == "C":
            return starts[0], cliff
        return index[target], goal if there == "G" else step

    n = len(cells)
    P, R_next = np.zeros((n, 4, n)), np.zeros((n, 4, n))
    weight = np.zeros((n, 4, n))  # Σ probability · reward, for the mean over merging outcomes
    for s, cell in enumerate(cells):
        if letter[cell] == "G":
            P[s, :, s] = 1.0
            continue
        for a in range(4):
            for direction in range(4):
                p = slip / 4 + (1 - slip) * (direction == a)
                if p == 0:
                    continue
                s_next, reward = move(cell, direction)
                P[s, a, s_next] += p
                weight[s, a, s_next] += p * reward
    np.divide(weight, P, out=R_next, where=P > 0)
    terminal = np.array([letter[cell] == "G" for cell in cells])
    chosen = starts or [s for s in range(n) if not terminal[s]]
    start = np.bincount(chosen, minlength=n) / len(chosen)
    mdp = MDP(P, weight.sum(axis=2), start, gamma, terminal, R_next)
    labels = {s: letter[cell] for s, cell in enumerate(cells) if letter[cell] != "."}
    return Gridworld(mdp, tuple(rows), shape, np.array(cells), labels)


def book_5x5(gamma: float = 0.9) -> Gridworld:
    """S&B example 3.5: bumping costs 1; leaving A pays 10 and lands in a, leaving B 5 in b."""
    return gridworld(BOOK_5X5, gamma=gamma, bump=-1.0, jumps={"A": 10.0, "B": 5.0})


def cliff_walk(gamma: float = 1.0) -> Gridworld:
    """S&B example 6.6: −1 a step, −100 and back to the start for a step off the cliff."""
    return gridworld(CLIFF, gamma=gamma, step=-1.0, goal=-1.0)


def maze(gamma: float = 0.95, slip: float = 0.0) -> Gridworld:
    """A maze with walls; reaching the goal pays 1 (the map is S&B figure 8.2's)."""
    return gridworld(MAZE, gamma=gamma, goal=1.0, slip=slip)
