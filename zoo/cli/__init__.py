"""The command line: every command is a few calls of the library."""

import sys
from importlib import import_module


COMMANDS = ("train", "sweep", "evaluate", "sample", "plot", "report", "list")


def main(arguments: list[str] | None = None) -> None:
    """Runs one command. An error that the user can mend ends it in one line, with exit status 2."""
    import tyro

    from . import _arguments

    chosen = tyro.extras.subcommand_cli_from_dict(
        {name: getattr(_arguments, name.capitalize()) for name in COMMANDS},
        prog="zoo",
        description="Variational autoencoders: train one, measure it, look at it.",
        args=arguments,
    )
    name = type(chosen).__name__.lower()
    try:
        # Only now: each command's module may import jax, which a mistake in the arguments need not wait for.
        command = getattr(import_module(f"._{name}", __name__), f"run_{name}")
        command(chosen)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"zoo {name}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
