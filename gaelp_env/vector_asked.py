"""What a vector environment is asked for: names of worlds, modes, seeds and masks, checked at the door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from gaelp_env.world_words import one_of


def world_names(world: str | Sequence[str], num_envs: int, mode: str) -> list[str]:
    """The names of the worlds of a vector environment.

    Args:
      world: stem "demo" (demo/0, demo/1 …), "demo/*" (whichever are free), or the names themselves;
        "demo/3" is one world, which many may read, and one may write.
      num_envs: how many, >= 1.
      mode: "write" or "read".
    Raises: ValueError for another number of names, and for one world written in several places.
    """
    if isinstance(num_envs, bool) or not isinstance(num_envs, int | np.integer) or num_envs < 1:
        raise ValueError(f"num_envs is a whole number of worlds, at least 1, and not {num_envs!r}.")
    if not isinstance(world, str):
        found = list(world)
        if len(found) != num_envs:
            raise ValueError(
                f"{num_envs} worlds have as many names, and these are {len(found)}: {found!r:.80}."
            )
    elif world.endswith("/*") or "/" in world:
        found = [world] * num_envs
    else:
        found = [f"{world}/{place}" for place in range(num_envs)]
    written = [name for name in found if not str(name).endswith("/*")] if mode == "write" else []
    twice = next((name for name in written if written.count(name) > 1), None)
    if twice is not None:
        raise ValueError(
            f"World {twice!r} has one writer and cannot be in several places; give the stem of its name, "
            'such as "demo" or "demo/*", a name for each place, or mode="read".'
        )
    return found


def world_places(
    world: str | Sequence[str], num_envs: int, mode: str, shards: int | None
) -> list[tuple[str, int | None]]:
    """The worlds of a vector environment, and which shard of each: as `world_names`, or all shards of one.

    Raises: ValueError also for another number of shards than places.
    """
    if shards is None:
        return [(name, None) for name in world_names(world, num_envs, mode)]
    if not isinstance(world, str) or num_envs != shards:
        raise ValueError(
            f"A vector environment over a world of {shards!r} shards has a place for each: "
            f"num_envs={shards!r} and the world's name, and these are num_envs={num_envs!r} and "
            f"{world!r:.80}."
        )
    return [(world, shard) for shard in range(num_envs)]


def autoreset_of(mode: str | AutoresetMode) -> AutoresetMode:
    """The mode that is meant by Gymnasium's AutoresetMode, its value or its name."""
    if isinstance(mode, AutoresetMode):
        return mode
    by_name = {known.name: known for known in AutoresetMode}
    if isinstance(mode, str) and mode in by_name:
        return by_name[mode]
    return AutoresetMode(one_of("autoreset_mode", mode, [known.value for known in AutoresetMode]))


def seeds_for(seed: Any, num_envs: int) -> list[Any]:
    """A seed or None for each world: of a number s, they are s, s + 1 …

    Raises: ValueError if they are a list of another length.
    """
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, int | np.integer):
        return (
            [seed + place for place in range(num_envs)] if not isinstance(seed, bool) else [seed] * num_envs
        )
    seeds = list(seed)
    if len(seeds) != num_envs:
        raise ValueError(f"{num_envs} worlds take as many seeds, and these are {len(seeds)}.")
    return seeds


def mask_in(
    options: Mapping[str, Any] | None, num_envs: int
) -> tuple[NDArray[np.bool_], dict[str, Any] | None]:
    """Which worlds are to be reset, and the other options.

    Raises: TypeError or ValueError for a mask that is no array of N flags with one set at least.
    """
    if options is None or "reset_mask" not in options:
        return np.ones(num_envs, np.bool_), None if options is None else dict(options)
    rest = dict(options)
    mask = rest.pop("reset_mask")
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"options['reset_mask'] is an array of bool, and not {mask!r:.80}.")
    if mask.shape != (num_envs,) or not mask.any():
        raise ValueError(
            f"options['reset_mask'] has a flag for each of the {num_envs} worlds, one of them set at least, "
            f"and this one is {mask!r:.80}."
        )
    return mask.copy(), rest
