"""The page that the training pipeline ends with: one HTML file that needs nothing else."""

import base64
import io
from collections.abc import Sequence
from html import escape

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from cancer_candidates import Candidate, Score
from penstock.ml import ValidationReport

INK, BLUE, PALE = "#1d2733", "#1f6fb2", "#dbe3ea"
CLASSES = ("benign", "malignant")

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Breast-cancer classifier: {verdict}</title>
<style>
  body {{ margin: 0; background: #f4f6f8; color: #1d2733; font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }}
  main {{ max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; }}
  h1 {{ margin: 0 0 1.25rem; font-size: 1.75rem; line-height: 1.2; }}
  h2 {{ margin: 0 0 .75rem; font-size: 1.1rem; }}
  section {{ background: #fff; border: 1px solid #dbe3ea; border-radius: 10px; padding: 1.25rem 1.5rem; margin-top: 1rem; }}
  .decision {{ border-left: 6px solid {colour}; }}
  .decision strong {{ color: {colour}; font-size: 1.3rem; }}
  .decision p {{ margin: .3rem 0 0; overflow-wrap: anywhere; }}
  .cards {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: 1rem; background: none; border: 0; padding: 0; }}
  .cards div {{ background: #fff; border: 1px solid #dbe3ea; border-radius: 10px; padding: .9rem 1.25rem; }}
  .cards b {{ display: block; font-size: 1.8rem; line-height: 1.2; font-variant-numeric: tabular-nums; }}
  .quiet {{ color: #5b6b7a; }}
  img {{ display: block; width: 100%; height: auto; }}
  table {{ width: 100%; border-collapse: collapse; }}
  th, td {{ padding: .4rem .6rem .4rem 0; border-bottom: 1px solid #e8edf1; text-align: left; }}
  th {{ font-weight: 600; color: #5b6b7a; }}
  tr:last-child td {{ border-bottom: 0; }}
  .number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
  tr.best td {{ font-weight: 600; }}
  .badge {{ background: #1f6fb2; color: #fff; border-radius: 99px; padding: .1rem .6rem; margin-left: .5rem; font-size: .75rem; }}
</style>
<main>
<h1>Breast-cancer classifier</h1>
<section class="decision"><strong>{verdict}</strong>{explanation}</section>
<section class="cards">{cards}</section>
<section><h2>On the {tested} cases set aside</h2>
<img alt="ROC curve and confusion matrix" src="data:image/png;base64,{image}"></section>
<section><h2>Candidates</h2>
<table><tr><th>candidate<th class="number">ROC AUC, cross-validated<th class="number">deviation over folds</tr>
{candidates}</table></section>
<section><h2>Data</h2>
<table>{data}</table></section>
</main>
</html>
"""


def render(
    *,
    registered: bool,
    reasons: Sequence[str],
    model: str,
    metrics: dict[str, float],
    figure: Figure,
    scores: Sequence[Score],
    best: Candidate,
    data: ValidationReport,
    tested: int,
) -> str:
    """The whole page, as text; `tested` is how many cases the metrics are about."""
    lines = (
        [f"It is {model}.", *(f"{reason}." for reason in reasons)]
        if registered
        else [f"{reason}." for reason in reasons]
    )
    return PAGE.format(
        verdict="The model is registered" if registered else "The model is not registered",
        colour="#1a7f4b" if registered else "#b4540a",
        explanation="".join(f"<p>{escape(line[0].upper() + line[1:])}" for line in lines),
        cards="".join(
            f"<div><b>{value:.3f}</b><span class=quiet>{escape(name)}</span></div>" for name, value in metrics.items()
        ),
        tested=tested,
        image=_png(figure),
        candidates="".join(_row(score, best) for score in sorted(scores, key=lambda score: -score.mean)),
        data="".join(f"<tr><td>{escape(name)}<td class=number>{escape(value)}</tr>" for name, value in _facts(data)),
    )


def draw(predictions: pd.DataFrame) -> Figure:
    """The ROC curve and the confusion matrix, side by side."""
    # A Figure of its own, not pyplot: that would keep figures in a global list and look for a screen.
    figure = Figure(figsize=(10, 4.4), dpi=150, layout="constrained")
    roc, confusion = figure.subplots(1, 2)
    _draw_roc(roc, predictions)
    _draw_confusion(confusion, predictions)
    return figure


def _draw_roc(axes: Axes, predictions: pd.DataFrame) -> None:
    truth, probability = predictions["malignant"], predictions["probability"]
    false_alarms, found, _ = roc_curve(truth, probability)
    axes.fill_between(false_alarms, found, step="post", color=BLUE, alpha=0.08)
    axes.step(false_alarms, found, where="post", color=BLUE, linewidth=2, label="this model")
    axes.plot([0, 1], [0, 1], color="#9aa8b5", linestyle="--", linewidth=1, label="guessing")
    axes.set_title(f"ROC curve, area {roc_auc_score(truth, probability):.3f}", color=INK, loc="left")
    axes.set_xlabel("benign cases taken for malignant")
    axes.set_ylabel("malignant cases found")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)


def _draw_confusion(axes: Axes, predictions: pd.DataFrame) -> None:
    counts = confusion_matrix(predictions["malignant"], predictions["probability"] >= 0.5)
    shares = counts / counts.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.25)
    for (row, column), count in [((row, column), counts[row, column]) for row in (0, 1) for column in (0, 1)]:
        colour = "white" if shares[row, column] > 0.5 else INK
        axes.text(
            column, row, f"{count}\n{shares[row, column]:.1%}", ha="center", va="center", color=colour, fontsize=13
        )
    axes.set_title("Confusion matrix", color=INK, loc="left")
    axes.set_xticks([0, 1], CLASSES)
    axes.set_yticks([0, 1], CLASSES, rotation=90, va="center")
    axes.set_xlabel("what the model says")
    axes.set_ylabel("what is true")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _png(figure: Figure) -> str:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150)
    return base64.b64encode(image.getvalue()).decode()


def _row(score: Score, best: Candidate) -> str:
    chosen = score.candidate == best
    mark = "<span class=badge>chosen</span>" if chosen else ""
    return (
        f"<tr{' class=best' if chosen else ''}><td>{escape(score.candidate.name)}{mark}"
        f"<td class=number>{score.mean:.4f}<td class=number>{score.deviation:.4f}</tr>\n"
    )


def _facts(data: ValidationReport) -> list[tuple[str, str]]:
    balance = [
        (f"{column}: {value}", f"{count:,} ({count / data.rows:.1%})")
        for column, counts in data.counts.items()
        for value, count in counts.items()
    ]
    return [
        ("cases", f"{data.rows:,}"),
        ("columns", f"{data.columns:,}"),
        ("missing values", f"{data.missing:,}"),
        *balance,
    ]
