"""The command line: every command is a few calls of the library."""

import sys


def main(arguments: list[str] | None = None) -> None:
    """Runs one command. An error that the user can mend ends it in one line, with exit status 2."""
    import tyro

    from . import _arguments as commands

    kinds = (
        commands.Train,
        commands.Sweep,
        commands.Evaluate,
        commands.Sample,
        commands.Plot,
        commands.Report,
        commands.List,
    )
    chosen = tyro.extras.subcommand_cli_from_dict(
        {kind.__name__.lower(): kind for kind in kinds},
        prog="zoo",
        description="Variational autoencoders: train one, measure it, look at it.",
        args=arguments,
    )
    try:
        _dispatch(chosen, commands)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"zoo {type(chosen).__name__.lower()}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _dispatch(chosen, commands) -> None:
    # Each command imports jax only after its arguments have been looked at.
    match chosen:
        case commands.Train():
            from ._train import train

            train(chosen)
        case commands.Sweep():
            from ._sweep import sweep

            sweep(chosen)
        case commands.Evaluate():
            from ._evaluate import evaluate

            evaluate(chosen)
        case commands.Sample():
            from ._sample import sample

            sample(chosen)
        case commands.Plot():
            from ._plot import plot

            plot(chosen)
        case commands.Report():
            from ._report import report

            report(chosen)
        case commands.List():
            from ._list import list_names

            list_names(chosen)
