"""Where latents live: the spaces that densities of z stand on."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Euclidean:
    """Vectors of `size` real numbers, with densities per unit of volume."""

    size: int

    def __str__(self) -> str:
        return f"R^{self.size}"


@dataclasses.dataclass(frozen=True)
class Sphere:
    """Unit vectors of `size` numbers, with densities per unit of surface."""

    size: int

    def __str__(self) -> str:
        return f"the unit sphere in R^{self.size}"


@dataclasses.dataclass(frozen=True)
class OneHot:
    """`variables` one-hot vectors of `classes` numbers, with probabilities."""

    variables: int
    classes: int

    def __str__(self) -> str:
        return f"{self.variables} variables of {self.classes} classes"


@dataclasses.dataclass(frozen=True)
class Codes:
    """Grids of `shape` whose places each hold one of `number` codes, with probabilities."""

    shape: tuple[int, ...]
    number: int

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape))} places of {self.number} codes"


@dataclasses.dataclass(frozen=True)
class Layers:
    """A tuple of latents, each in one of `spaces`, the one next to the data first."""

    spaces: tuple["Space", ...]

    def __str__(self) -> str:
        return "layers in " + ", ".join(map(str, self.spaces))


Space = Euclidean | Sphere | OneHot | Codes | Layers


def is_euclidean(space: Space) -> bool:
    """Return whether a latent may be moved along a gradient, in every layer, and stays in its space.

    **Arguments:** `space`: where the latent lives.
    """
    return all(map(is_euclidean, space.spaces)) if isinstance(space, Layers) else isinstance(space, Euclidean)
