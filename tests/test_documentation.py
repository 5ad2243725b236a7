"""Every public name says in its docstring, and so in `help()` and on the API page, what a caller needs to know."""

import inspect
import re
import textwrap

import pytest

import zoo
from zoo.cli import _names as names


ROOMS = [name for name in zoo.__all__ if inspect.ismodule(getattr(zoo, name))]
# Rooms of mathematics: a function there is a formula.
MATHEMATICS = {"special", "likelihoods", "objectives", "estimators", "penalties"}


def public():
    """Each public object once, by the name that its room gives it."""
    found = {}
    for room in ROOMS:
        for name, value in vars(getattr(zoo, room)).items():
            if not name.startswith("_") and not inspect.ismodule(value):
                found.setdefault(id(value), (f"{room}.{name}", value))
    for name in zoo.__all__:
        value = getattr(zoo, name)
        if name not in ROOMS and name != "__version__":
            found.setdefault(id(value), (name, value))
    return dict(found.values())


PUBLIC = public()
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(inspect.unwrap(value))}
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}
ERRORS = {name for name, value in CLASSES.items() if issubclass(value, Exception)}


# A likelihood without options says what it is in its `log_prob`; a toy density is the only one of its class.
VALUES = {name: value for name, value in PUBLIC.items() if hasattr(value, "log_prob") or hasattr(value, "log_density")}
VALUES = {name: value for name, value in VALUES.items() if name not in FUNCTIONS and name not in CLASSES}
OTHERS = PUBLIC.keys() - FUNCTIONS.keys() - CLASSES.keys() - VALUES.keys()


def named(names):
    return pytest.mark.parametrize("name", names)


def text_of(value):
    """The docstring; of a class, the constructor's too."""
    texts = [inspect.getdoc(value) or ""]
    if inspect.isclass(value) and "__init__" in vars(value):
        texts.append(inspect.getdoc(value.__init__) or "")
    return "\n".join(texts)


def explained(value, seen=()):
    """The words in backticks of a docstring, and of those that it refers to by "as in `name`" or "as `name`"."""
    text = re.sub(r"```.*?```", "", text_of(value), flags=re.DOTALL)
    words = {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", code)}
    for other in re.findall(r"\bas (?:in )?`(?:zoo\.)?([\w.]+)`", text):
        for name, target in PUBLIC.items():
            if other in (name, name.split(".")[-1]) and target not in seen and target is not value:
                words |= explained(target, (*seen, value))
    return words


def parameters(value):
    kinds = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    taken = inspect.signature(value).parameters.values()
    # Every `key` is the same: a key of jax.random, keyword-only and last.
    return {parameter.name for parameter in taken if parameter.kind not in kinds} - {"key", "self"}


@named(ROOMS)
def test_a_room_says_what_it_holds(name):
    assert (getattr(zoo, name).__doc__ or "").endswith(".")


def test_the_walk_finds_the_whole_house():
    assert len(FUNCTIONS) > 100 and len(CLASSES) > 70
    assert OTHERS == {"flows.Bijection", "data.FASHION_MNIST_CLASSES", "spaces.Space"}


@named(sorted(FUNCTIONS.keys() | CLASSES.keys()))
def test_says_what_it_is(name):
    value = PUBLIC[name]
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    first = (own or "").strip().split("\n\n")[0]
    assert first.rstrip().endswith((".", ":", "$$")) and len(first) > 15
    assert "???" not in own  # what other tools fold away, `help()` shows as it is
    # A dataclass or a NamedTuple without a docstring is given its signature for one.
    assert not first.startswith(f"{value.__name__}(")


@named(sorted(VALUES))
def test_a_value_says_what_it_is(name):
    text = inspect.getdoc(getattr(VALUES[name], "log_prob", type(VALUES[name])))
    assert text and "$" in text


@named(sorted((FUNCTIONS.keys() | CLASSES.keys()) - ERRORS))
def test_says_what_each_argument_is(name):
    value = PUBLIC[name]
    assert inspect.isabstract(value) or parameters(value) <= explained(value)


@named(sorted(FUNCTIONS))
def test_has_its_parts(name):
    function = FUNCTIONS[name]
    text, source = inspect.getdoc(function), textwrap.dedent(inspect.getsource(function))
    if parameters(function):
        assert "**Arguments:**" in text
    if "raise ValueError" in source:
        assert "**Raises:**" in text
    if name.split(".")[0] in MATHEMATICS:
        assert "$" in text or "`" in text


@named(sorted(CLASSES))
def test_says_what_its_methods_are(name):
    for method, value in vars(CLASSES[name]).items():
        if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, (property, classmethod))):
            assert inspect.getdoc(getattr(CLASSES[name], method)), method


def test_what_follows_a_paper_names_it():
    """A year stands for it: every model, and whatever `zoo list` gives a paper for, of what are functions."""
    follows = [value for name, value in CLASSES.items() if re.fullmatch(r"models\.(?!Abstract)\w+VAE", name)]
    kinds = (names.OBJECTIVES, names.ESTIMATORS, names.PENALTIES)
    follows += [entry.get() for table in kinds for entry in table.values() if re.search(r" 20\d\d", entry.about)]
    for value in follows:
        assert re.search(r"\b20\d\d\b", text_of(value)), value
