"""Draws the dashboards as one SVG, from what a Prometheus that scraped Latchkey answers.

draw.py ADDRESS RATE_INTERVAL MINUTES FILE. Not Grafana's own picture: its layout and its queries, drawn plainly.
"""

import html
import sys
import time

from grafana import Prometheus, dashboards, panels, query

COLUMN = 960
UNIT_X = COLUMN / 24
UNIT_Y = 21
POINTS = 48
# More lines than colours would be told apart by nobody: those that reach highest are drawn.
LINES_MAX = 10
COLOURS = ["#5794f2", "#73bf69", "#f2cc0c", "#ff9830", "#f2495c", "#b877d9", "#37872d", "#fa6400", "#c4162a", "#1f60c4"]
TEXT = "#ccccdc"
FAINT = "#8e8e9c"


class Drawing:
    """Lines of an SVG."""

    def __init__(self):
        self.lines = []

    def text(self, x, y, words, size=10, colour=TEXT, anchor="start", weight="normal"):
        """Words, from the left, the middle or the right."""
        self.lines.append(f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
                          f'font-weight="{weight}">{html.escape(words)}</text>')

    def box(self, x, y, width, height, fill, stroke="none", more=""):
        """A rectangle."""
        self.lines.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}" '
                          f'stroke="{stroke}" {more}/>')

    def line(self, points, colour, more=""):
        """A line through points."""
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        self.lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.2" {more}/>')


def shown(value, unit, decimals=None):
    """A number as people read it."""
    if unit == "percentunit":
        return f"{value * 100:.{2 if decimals is None else max(decimals - 2, 0)}f} %"
    if unit == "s" and value:
        for factor, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "us")):
            if abs(value) >= factor * (2 if factor > 1 else 1):
                return f"{value / factor:.3g} {name}"
    if unit == "bytes":
        for factor, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
            if abs(value) >= factor:
                return f"{value / factor:.3g} {name}"
        return f"{value:.0f} B"
    suffix = {"ops": "/s", "reqps": "/s"}.get(unit, "")
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g} M{suffix}"
    return (f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}") + suffix


def legend(target, labels):
    """The name of a line, as Grafana fills it in."""
    words = target["legendFormat"]
    for name in ("cluster", "instance", "job", "replica", "service", "service_version", "slo", "outcome", "reason", "class",
                 "result", "le", "probe", "rpc_method", "rpc_response_status_code", "signal"):
        words = words.replace(f"{{{{{name}}}}}", labels.get(name, ""))
    return words.replace("latchkey.v1.", "").replace("latchkey.internal.v1.", "").strip()


def series(prometheus, panel, rate_interval, begin, end):
    """Name and points of each line of a panel."""
    step = max((end - begin) / POINTS, 1)
    lines = []
    for target in panel["targets"]:
        answer = prometheus.get("query_range", query=query(target, rate_interval), start=begin, end=end, step=step)
        for found in answer["result"]:
            points = [(float(at), float(value)) for at, value in found["values"] if value not in ("NaN", "+Inf", "-Inf")]
            if points:
                lines.append((legend(target, found["metric"]), points))
    if panel["type"] == "timeseries" and len(lines) > LINES_MAX:
        lines = sorted(lines, key=lambda line: -max(abs(value) for _, value in line[1]))[:LINES_MAX]
    return lines


def chart(out, panel, lines, x, y, width, height, begin, end):
    """Lines over time, with an axis and names below."""
    options, unit = panel["fieldConfig"]["defaults"], panel["fieldConfig"]["defaults"]["unit"]
    stacked = options.get("custom", {}).get("stacking", {}).get("mode") == "normal"
    if stacked:
        totals = {}
        for index, (name, points) in enumerate(lines):
            raised = []
            for at, value in points:
                totals[at] = totals.get(at, 0) + value
                raised.append((at, totals[at]))
            lines[index] = (name, raised)
    values = [value for _, points in lines for _, value in points]
    low, high = min([0.0, *values]), max([0.0, *values])
    high = high if high > low else 1.0
    steps = [step["value"] for step in options["thresholds"]["steps"] if step["value"] is not None]
    dashed = steps if options.get("custom", {}).get("thresholdsStyle", {}).get("mode") == "dashed" else []
    high *= 1.08
    left, top, bottom = x + 52, y + 24, y + height - 22
    right = x + width - 8

    def place(at, value):
        return (left + (at - begin) / (end - begin) * (right - left), bottom - (value - low) / (high - low) * (bottom - top))

    for share in (0, 0.5, 1):
        value = low + (high - low) * share
        _, at_y = place(begin, value)
        out.line([(left, at_y), (right, at_y)], "#2c2e33")
        out.text(left - 4, at_y + 3, shown(value, unit), 8, FAINT, "end")
    for value in dashed:
        if low <= value <= high:
            out.line([place(begin, value), place(end, value)], "#e02f44", 'stroke-dasharray="4 3"')
    for index, (_, points) in enumerate(lines):
        out.line([place(at, value) for at, value in points], COLOURS[index % len(COLOURS)])
    at_x = x + 8
    for index, (name, _) in enumerate(lines):
        words = name or "value"
        taken = 14 + len(words) * 4.6
        if at_x + taken > x + width:
            out.text(at_x, y + height - 6, "...", 8, FAINT)
            break
        out.box(at_x, y + height - 11, 8, 3, COLOURS[index % len(COLOURS)])
        out.text(at_x + 11, y + height - 6, words, 8, FAINT)
        at_x += taken + 6


def heat(out, lines, x, y, width, height, begin, end):
    """A column for each moment, a row for each bucket; the brighter, the more."""
    bounds = sorted({float(name) for name, _ in lines if name != "+Inf"})
    table = {float(name): dict(points) for name, points in lines if name != "+Inf"}
    cells, below = [], {}
    for bound in bounds:
        for at, value in table[bound].items():
            cells.append((at, bound, max(value - below.get(at, 0), 0)))
            below[at] = value
    used = [bound for bound in bounds if any(value > 0 for _, at_bound, value in cells if at_bound == bound)]
    most = max([value for _, _, value in cells], default=0) or 1
    left, top, bottom, right = x + 52, y + 24, y + height - 8, x + width - 8
    tall, wide = (bottom - top) / max(len(used), 1), (right - left) / (POINTS + 1)
    for at, bound, value in cells:
        if value > 0:
            row = used.index(bound)
            out.box(left + (at - begin) / (end - begin) * (right - left - wide), bottom - (row + 1) * tall, wide, tall, "#ff9830",
                    more=f'fill-opacity="{0.08 + 0.92 * value / most:.2f}"')
    for row, bound in enumerate(used):
        out.text(left - 4, bottom - (row + 0.5) * tall + 3, shown(bound, "s"), 8, FAINT, "end")


def timeline(out, lines, x, y, width, height, begin, end):
    """A bar for each line: full where it is 1."""
    left, right, top = x + 130, x + width - 8, y + 26
    tall = (height - 34) / max(len(lines), 1)
    for index, (name, points) in enumerate(lines):
        out.text(left - 6, top + (index + 0.5) * tall + 3, name, 8, FAINT, "end")
        for (at, value), (after, _) in zip(points, [*points[1:], (end, 0)]):
            start, stop = (left + (moment - begin) / (end - begin) * (right - left) for moment in (at, after))
            out.box(start, top + index * tall, stop - start + 0.5, tall * 0.8, "#73bf69" if value == 1 else "#3a3d44")


def number(out, panel, lines, x, y, width, height):
    """The last value, large; or the name of what has it."""
    options = panel["fieldConfig"]["defaults"]
    name, points = lines[0]
    value = points[-1][1]
    colour = COLOURS[1]
    for step in options["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            colour = {"green": COLOURS[1], "red": COLOURS[4]}[step["color"]]
    mode = panel["options"]["textMode"]
    words = shown(value, options["unit"], options.get("decimals"))
    words = {"name": name, "value_and_name": f"{name}: {words}"}.get(mode, words)
    out.text(x + width / 2, y + height / 2 + 16, words, 20 if len(words) < 12 else 14, colour, "middle", "bold")


def draw(prometheus, dashboard, out, at_x, rate_interval, begin, end):
    """One dashboard; answers how tall it became."""
    out.text(at_x + 4, 26, dashboard["title"], 18, "#ffffff", weight="bold")
    tall = 0
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        x, y = at_x + place["x"] * UNIT_X, 40 + place["y"] * UNIT_Y
        width, height = place["w"] * UNIT_X - 6, place["h"] * UNIT_Y - 6
        tall = max(tall, y + height)
        if panel["type"] == "row":
            out.text(x + 2, y + 13, panel["title"], 12, TEXT, weight="bold")
            continue
        out.box(x, y, width, height, "#181b1f", "#2c2e33", 'rx="2"')
        out.text(x + 8, y + 15, panel["title"], 10 if len(panel["title"]) * 5.6 < width else 8)
        lines = series(prometheus, panel, rate_interval, begin, end)
        if not lines:
            words = panel["fieldConfig"]["defaults"].get("noValue", "no data")
            out.text(x + width / 2, y + height / 2 + 6, words, 10, FAINT, "middle")
        elif panel["type"] == "stat":
            number(out, panel, lines, x, y, width, height)
        elif panel["type"] == "heatmap":
            heat(out, lines, x, y, width, height, begin, end)
        elif panel["type"] == "state-timeline":
            timeline(out, lines, x, y, width, height, begin, end)
        else:
            chart(out, panel, lines, x, y, width, height, begin, end)
    return tall


def main():
    """All dashboards, two beside each other."""
    address, rate_interval, minutes, path = sys.argv[1:]
    end = time.time()
    begin = end - float(minutes) * 60
    prometheus, bodies, top = Prometheus(address), [], 0.0
    found = dashboards()
    for first in range(0, len(found), 2):
        tallest = 0
        for column, dashboard in enumerate(found[first:first + 2]):
            out = Drawing()
            tallest = max(tallest, draw(prometheus, dashboard, out, column * (COLUMN + 16), rate_interval, begin, end))
            bodies.append(f'<g transform="translate(8,{top:.0f})">' + "\n".join(out.lines) + "</g>")
        top += tallest + 24
    width = 2 * COLUMN + 32
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top:.0f}" font-family="Helvetica, Arial, '
                   f'sans-serif"><rect width="100%" height="100%" fill="#111217"/>\n' + "\n".join(bodies) + "</svg>\n")


main()
