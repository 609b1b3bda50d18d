"""An episode as an animated GIF: what the numbers look like."""

from __future__ import annotations

import html
import os
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
from PIL import Image

from .agents import Policy
from .seeding import generators


def record_episode(
    agent: Policy,
    make_env: Callable[[], gym.Env] | str,
    path: str | Path,
    seed: int,
    *,
    max_frames: int = 200,
    width: int = 240,
) -> float:
    """Write one greedy episode to `path` (.gif) and return its undiscounted return.

    make_env: a registered name, or a function that makes an environment with
    render_mode="rgb_array". Of a longer episode, `max_frames` frames evenly spread are kept. Raises
    ValueError if the environment draws nothing.
    """
    if not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys() and sys.platform == "linux":
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # or SDL asks for a screen, on stderr
    if isinstance(make_env, str):
        env = gym.make(make_env, render_mode="rgb_array")
    else:
        env = make_env()
    if env.render_mode != "rgb_array":
        raise ValueError('Make the environment with render_mode="rgb_array": frames are needed.')
    act_rng, env_rng = generators(seed, 2)
    obs, _ = env.reset(seed=int(env_rng.integers(2**31)))
    frames, total, over = [env.render()], 0.0, False
    while not over:
        obs, reward, terminated, truncated, _ = env.step(
            agent.act(obs[None], act_rng, explore=False)[0]
        )
        frames.append(env.render())
        total += float(reward)
        over = terminated or truncated
    fps = env.metadata.get("render_fps", 30)
    env.close()
    keep = np.unique(np.linspace(0, len(frames) - 1, max_frames).round().astype(int))
    write_gif([frames[i] for i in keep], path, fps=min(fps, 25), width=width)
    return total


def write_gif(
    frames, path: str | Path, fps: float, width: int, *, through: tuple[int, int, int] | None = None
) -> None:
    """Frames (height, width, 3) uint8 as a GIF that repeats, scaled to `width` pixels.

    through: the colour in whose place one sees the page.
    """
    images = [Image.fromarray(frame) for frame in frames]
    size = (width, round(width * images[0].height / images[0].width))
    images = [im.resize(size).quantize(64) for im in images]
    options = {"duration": round(1000 / fps), "loop": 0}
    if through is not None:
        images = [_first_in_its_palette(image, through) for image in images]
        options |= {"transparency": 0, "disposal": 2}  # 2: a frame does not show through the next
    images[0].save(path, save_all=True, append_images=images[1:], **options)


def _first_in_its_palette(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """The image with `colour` as the number 0 of its colours."""
    place = image.palette.colors[colour]
    order = [place, *(i for i in range(len(image.palette.colors)) if i != place)]
    return image.remap_palette(order)


def show_gif(path: str | Path, alt: str) -> None:
    """Display the GIF in a notebook, inside it (nothing is looked up later), with `alt` for its words."""
    from IPython.display import HTML, display

    if not alt.strip():
        raise ValueError("Say in `alt` what the film shows, for those who cannot see it.")
    data = b64encode(Path(path).read_bytes()).decode("ascii")
    frame = "border: 1px solid #767676; border-radius: 4px"  # a rendered frame brings its own sheet
    display(
        HTML(f'<img src="data:image/gif;base64,{data}" alt="{html.escape(alt)}" style="{frame}">')
    )
