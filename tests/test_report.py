"""`zoo report`: one HTML file that is whole, escaped, alone in the world, and readable in a browser."""

import base64
import html
import io
import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.figure
import pytest
from PIL import Image

import zoo
from zoo.cli import _build as build, _run as runs, main
from zoo.cli._arguments import Train


HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
VOID = {"meta", "link", "img"}


@pytest.fixture
def run(tmp_path):
    """What a run leaves but for its model, made by hand; whatever is text in it is hostile."""
    run = runs.create(build.resolve(Train(data="eight-gaussians", out=tmp_path / "run")))
    record = json.loads((run / "settings.json").read_text())
    record["command"] = f"zoo train --out {HOSTILE}"
    record["settings"] |= {"likelihood": HOSTILE, "out": "/a-path-without-a-blank" * 9}
    record["versions"]["jax"] = HOSTILE
    zoo.files.write_json(run / "settings.json", record)
    zoo.files.write_json(
        run / "evaluation.json",
        {
            "metrics": {HOSTILE: {"mean": -1234.5678, "standard_error": 0.25, "unit": "nats"}},
            "examples": 2000, "k": 50, "seed": 1, "data": HOSTILE, "observe": "scale", "command": HOSTILE,
            "versions": record["versions"],
        },
    )  # fmt: skip
    rows = [
        {"step": step, "epoch": (step - 1) // 2, "split": "train", "loss": 10.0 - step, "rate": 1.5}
        for step in range(1, 101)
    ]
    rows += [{"step": step, "epoch": step // 2 - 1, "split": "held_out", "objective": 1e3} for step in range(2, 101, 2)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run / "figures").mkdir()
    figure = matplotlib.figure.Figure(figsize=(9, 4))
    for name in ("a<b>&.png", "density.png", "loss_curve.png"):
        figure.savefig(run / "figures" / name, dpi=100)
    return run


class Reader(HTMLParser):
    """Refuses tags that do not match; keeps every element's tag, attributes and own text, in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements = [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])
        if tag not in VOID:
            self.open.append((tag, len(self.elements) - 1))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, index in self.open:
            self.elements[index][2] += data

    def all(self, *tags):
        return [(attributes, text) for tag, attributes, text in self.elements if tag in tags]


def report(run, capsys, *more):
    main(["report", str(run), *more])
    path = capsys.readouterr().out.strip()
    return Reader(Path(path).read_text(encoding="utf-8"))


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["report", *map(str, arguments)])
    message = capsys.readouterr().err
    assert stopped.value.code == 2 and message.count("\n") == 1
    return message


def test_everything_is_in_the_page_and_nothing_of_it_is_markup(run, capsys):
    page = report(run, capsys)
    assert {tag for tag, *_ in page.elements}.isdisjoint({"script", "iframe", "object", "a"})
    texts = [text for _, text in page.all("th", "td", "dd", "pre")]
    assert texts.count(HOSTILE) == 5  # likelihood, the metric's name, the measuring command, jax twice
    assert f"zoo train --out {HOSTILE}" in texts
    assert "-1234.57" in texts and "0.25" in texts
    assert ("--data", "eight-gaussians") in zip(
        *([text for _, text in page.all(tag)] for tag in ("dt", "dd")), strict=True
    )
    assert [text for _, text in page.all("h1")] == ["mlp on eight-gaussians"]
    for attributes in (attributes for _, attributes, _ in page.elements):
        assert not any(name.startswith("on") or name == "style" for name in attributes)


def test_the_pictures_are_the_run_s_and_are_described(run, capsys):
    page = report(run, capsys)
    figures = [run / "figures" / name for name in ("loss_curve.png", "density.png", "a<b>&.png")]
    assert len(page.all("figcaption")) == 3
    for (attributes, _), path in zip(page.all("img"), figures, strict=True):
        kind, data = attributes["src"].split(",")
        content = base64.b64decode(data, validate=True)
        assert kind == "data:image/png;base64" and content == path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            assert (attributes["width"], attributes["height"]) == tuple(map(str, image.size))
        assert len(attributes["alt"]) > 10
    first, *_, last = [attributes["alt"] for attributes, _ in page.all("img")]
    assert "from -9 to 90 in 100 steps" in first and "a<b>&" in last


def test_the_page_asks_for_nothing_and_its_headings_make_a_tree(run, capsys):
    page = report(run, capsys, "--out", str(run / "deep" / "down.html"))
    for _, attributes, _ in page.elements:
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:")
    (_, style), *others = page.all("style")
    assert not others and "url(" not in style and "@import" not in style and "prefers-color-scheme: dark" in style
    assert ("Content-Security-Policy", "default-src 'none'; img-src data:; style-src 'unsafe-inline'") in [
        (attributes.get("http-equiv"), attributes.get("content")) for attributes, _ in page.all("meta")
    ]
    levels = [int(tag[1]) for tag, *_ in page.elements if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:]))
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert [attributes["aria-labelledby"] for attributes, _ in page.all("section")] == ids
    assert all(attributes.get("scope") in ("row", "col") for attributes, _ in page.all("th"))


def test_rows_measured_on_other_examples_have_a_table_of_their_own(run, capsys):
    record = json.loads((run / "evaluation.json").read_text())
    later = {"examples": 10, "split": "train", "command": "zoo evaluate run --split train", "versions": {"jax": "9.9"}}
    rows = {"gaps: elbo (train)": later | {"mean": 0.5, "standard_error": None, "unit": "nats", "k": None}}
    zoo.files.write_json(run / "evaluation.json", record | {"metrics": record["metrics"] | rows})
    page = report(run, capsys)
    captions = [text for _, text in page.all("caption")]
    assert [caption.split(" examples")[0] for caption in captions[:2]] == [
        "Measured on 2,000 held-out", "Measured on 10 training",
    ]  # fmt: skip
    assert "gaps: elbo (train)0.5nats" in [text for _, text in page.all("tr")]
    assert "zoo evaluate run --split train" in [text for _, text in page.all("pre")]
    (versions,) = [text for _, text in page.all("tr") if text.startswith("jax") and "jaxlib" not in text]
    assert versions == f"jax{HOSTILE}{HOSTILE}9.9"


def test_the_training_table_has_a_row_for_the_last_of_every_few_epochs(run, capsys):
    page = report(run, capsys)
    tables = [text for _, text in page.all("table")]
    rows = [text for _, text in page.all("tr")]
    assert "epochsteplossrateheld out" in tables[1]
    # 50 epochs of two steps, every third of them, the last one included.
    assert [row for row in rows if row.endswith("1.51000")][-2:] == ["4794-83.51.51000", "50100-89.51.51000"]
    assert sum(row.endswith("1.51000") for row in rows) == 17


def test_a_run_without_metrics_and_with_half_a_character_is_told_of(run, capsys):
    (run / "metrics.jsonl").unlink()
    record = json.loads((run / "evaluation.json").read_text())
    zoo.files.write_json(run / "evaluation.json", record | {"data": "half\ud800"})
    page = report(run, capsys)
    assert "There is no metrics.jsonl to tell of it." in [text for _, text in page.all("p")]
    assert any("half\\ud800" in text for _, text in page.all("caption"))


def test_the_command_can_be_typed_again(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/bin/zoo", "train", "--out", "my runs/a"])
    assert runs.command() == "zoo train --out 'my runs/a'"


def test_bad_input_is_refused_in_one_line(run, tmp_path, capsys):
    assert "no run directory" in refused(capsys, tmp_path / "nowhere")
    for out in (run / "figures" / "density.png", run):
        assert "ends in .html" in refused(capsys, run, "--out", out)
    before = sorted(run.rglob("*"))
    (run / "folder.html").mkdir()
    for out in (run / "folder.html", run / "metrics.jsonl" / "report.html"):
        assert f"cannot write {out}" in refused(capsys, run, "--out", out)
    (run / "folder.html").rmdir()
    assert sorted(run.rglob("*")) == before
    half = (run / "figures" / "density.png").read_bytes()[:500]
    for name, damaged in (
        ("figures/density.png", half), ("evaluation.json", b"{"), ("evaluation.json", b'{"metrics": {"a": 1}}'),
        ("metrics.jsonl", b'{"step": 1, "epoch": 0, "split": "train", "loss": "much"}\n'), ("metrics.jsonl", b"[]\n"),
        ("evaluation.json", b"[" * 100_000),
    ):  # fmt: skip
        content = (run / name).read_bytes()
        (run / name).write_bytes(damaged)
        assert f"{run / name} is damaged" in refused(capsys, run)
        (run / name).write_bytes(content)
    (run / "evaluation.json").unlink()
    assert "`zoo train --resume" in refused(capsys, run)
    (run / "model.safetensors").touch()
    assert "`zoo evaluate" in refused(capsys, run)
    assert not (run / "report.html").exists()


# What a person would see of each frame, told as a line of JSON.
MEASURE = """
const luminance = colour => {
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4
  const [r, g, b] = colour.match(/[\\d.]+/g).map(v => linear(v / 255))
  return .2126 * r + .7152 * g + .0722 * b
}
const measure = frame => {
  const page = frame.contentDocument, style = element => frame.contentWindow.getComputedStyle(element)
  const width = page.documentElement.clientWidth
  const texts = [...page.querySelectorAll("h1,h2,h3,p,th,td,dt,dd,pre,caption,figcaption")]
  const contrast = text => {
    let behind = text
    while (style(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement
    const pair = [style(text).color, style(behind).backgroundColor].map(luminance)
    return (Math.max(...pair) + .05) / (Math.min(...pair) + .05)
  }
  const lines = cell => {
    const range = page.createRange()
    range.selectNodeContents(cell)
    return range.getClientRects().length
  }
  return {
    width, scroll: page.documentElement.scrollWidth,
    images: [...page.images].map(image => image.complete && image.naturalWidth > 0 ? image.width / width : 0),
    right: Math.max(...texts.map(text => text.getBoundingClientRect().right)),
    font: Math.min(...texts.map(text => parseFloat(style(text).fontSize))),
    lines: Math.max(...[...page.querySelectorAll(".numbers td")].map(lines)),
    contrast: Math.min(...texts.map(contrast)), background: style(page.body).backgroundColor,
  }
}
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map(measure)
  document.documentElement.innerHTML = ""
  document.documentElement.textContent = JSON.stringify(found)
})
"""


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
@pytest.mark.parametrize("scheme, background", [("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 24, 28)")])
def test_in_a_browser_it_is_legible_wide_and_narrow_without_a_complaint(scheme, background, run, tmp_path, capsys):
    main(["report", str(run)])
    page = html.escape((run / "report.html").read_text(encoding="utf-8"))
    frames = "".join(f'<iframe width={width} height=900 srcdoc="{page}"></iframe>' for width in (1280, 400))
    (tmp_path / "frames.html").write_text(f"<!DOCTYPE html><body><script>{MEASURE}</script>{frames}", encoding="utf-8")
    command = [
        BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
        "--dump-dom", f"--blink-settings=preferredColorScheme={int(scheme == 'light')}",
        f"--user-data-dir={tmp_path / 'profile'}",
        (tmp_path / "frames.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr
    wide, narrow = json.loads(done.stdout[done.stdout.index("[") : done.stdout.rindex("]") + 1])
    assert (wide["width"], narrow["width"]) == (1280, 400)
    for seen in (wide, narrow):
        assert seen["lines"] == 1  # no number is broken
        assert seen["scroll"] == seen["width"] and seen["right"] <= seen["width"]
        assert seen["font"] >= 12 and seen["contrast"] >= 4.5 and seen["background"] == background
    assert len(wide["images"]) == 3 and min(wide["images"]) > 0.4 and min(narrow["images"]) > 0.95
