# SPDX-License-Identifier: BSD-3-Clause
"""A report as HTML: a whole page that needs no other file, or a fragment for a notebook."""

from __future__ import annotations

import base64
import itertools
from typing import TYPE_CHECKING

from ...html.charts import histogram
from ...html.elements import escaped, shown, warning_list
from ...html.page import asset, page
from ...text import format_count, format_seconds
from ..view import hidden_sites, visible
from .columns import columns_of, has_device_times, host_mean, rough_seconds, summary
from .picture import last_scopes, svg_of

if TYPE_CHECKING:
    from ...environment.describe import Environment
    from ...timelines.timeline import Timeline
    from ..report import Report
    from ..site import SiteReport
    from .columns import Column

_NOTHING = "<p>Nothing has been timed yet.</p>"
_MEANS = "Mean device and host time per call; the longer bar fills the column."
_SPREAD = "How the times are spread between the shortest and the longest, on a logarithmic axis."
_BARS = 20  # of a histogram
_INDENTED = 12  # levels; deeper levels are written as a number
_PLACES = {"share": 0, "bottleneck": 2, "calls": 3, "backlog": 3}  # the other columns: 1


def as_body(report: Report) -> str:
    """Return a report for a notebook: the table, the summary and the warnings."""
    cost = f'<p class="soft">{escaped(summary(report))}</p>'
    table = _table(report) + cost if report.sites else _NOTHING
    title = report.shown_as.title
    heading = f"<h2>{escaped(title)}</h2>" if title else ""
    return heading + table + warning_list(report.warnings)


def as_page(report: Report, environment: Environment, timeline: Timeline | None) -> str:
    """Return a report as a whole page."""
    title = report.shown_as.title or "fasttime report"
    return page(
        f"{title}, {environment.device}",
        f"<h1>{escaped(title)}</h1>\n{_provenance(report, environment)}",
        "\n".join(
            [
                _tiles(report) + _table(report) if report.sites else _NOTHING,
                warning_list(report.warnings),
                _picture(timeline),
            ]
        ),
        script=asset("tables.js"),
    )


def _provenance(report: Report, environment: Environment) -> str:
    fields = [
        ("fasttime", f"fasttime {environment.fasttime}"),
        ("torch", f"torch {environment.torch}"),
        ("cuda", f"CUDA {environment.cuda}" if environment.cuda else ""),
        ("driver", f"driver {environment.driver}" if environment.driver else ""),
        ("python", f"Python {environment.python}"),
        ("platform", environment.platform),
        ("process_id", _process(environment)),
    ]
    versions = [_and_others(report, field, words) for field, words in fields if words]
    device = _and_others(report, "gpu" if environment.gpu else "cpu", environment.device)
    when = report.date.replace("T", " ").replace("+00:00", " UTC")
    made = f'<time datetime="{escaped(report.date)}">{escaped(when)}</time> · ' if when else ""
    merged = f" · merged from {report.parts:,} reports" if report.parts > 1 else ""
    return (
        f"<p>{made}{escaped(device)}{merged}</p>\n"
        f'<p class="soft">{escaped(" · ".join(versions))}</p>'
    )


def _process(environment: Environment) -> str:
    if environment.process_id is None:
        return ""
    where = f" on {environment.host_name}" if environment.host_name else ""
    return f"process {environment.process_id}{where}"


def _and_others(report: Report, field: str, words: str) -> str:
    return f"{words} and others" if field in report.differs else words


def _tiles(report: Report) -> str:
    on_device = has_device_times(report)
    total = sum(_total(site, on_device) for site in report.sites)
    calls = sum(site.count for site in report.walk())
    sites = sum(1 for _ in report.walk())
    spent, of_whom = rough_seconds(report.cost.host), "host"
    if report.cost.device:
        spent, of_whom = f"{spent} + {rough_seconds(report.cost.device)}", "host + device"
    tiles = [
        ("Period", format_seconds(report.duration), _longest(report)),
        ("Device time" if on_device else "Host time", format_seconds(total), "all root sites"),
        ("Calls", f"{calls:,}", f"at {format_count(sites, 'site')}"),
        ("Timing itself took", spent, f"{of_whom}, an estimate"),
    ]
    cells = "".join(
        f"<div><dt>{title}</dt><dd>{value}<small>{note}</small></dd></div>"
        for title, value, note in tiles
    )
    return f"<dl>{cells}</dl>"


def _longest(report: Report) -> str:
    return f"the longest of {report.parts:,} merged reports" if report.parts > 1 else ""


def _total(site: SiteReport, on_device: bool) -> float:
    times = site.device if on_device else site.host
    return 0.0 if times is None else times.total


def _table(report: Report) -> str:
    columns = _in_order(columns_of(report))
    sites = visible(report)
    rows = "\n".join(_row(site, depth, columns) for site, depth in sites)
    note = hidden_sites(report, len(sites))
    return f"""<div class="scroll" tabindex="0" role="region" aria-label="Times by site">
<table>
<caption class="vh">Times by site, children below their parents</caption>
<thead>{_heads(columns)}</thead>
<tbody>
{rows}
</tbody>
</table>
</div>
{f'<p class="soft">{note}</p>' if note else ""}
<p class="key">{_key(has_device_times(report))}</p>
"""


def _in_order(columns: tuple[Column, ...]) -> list[Column]:
    """Put the share and the times first: a phone shows only the first columns."""
    return sorted(columns, key=lambda column: _PLACES.get(column.key, 1))


def _heads(columns: list[Column]) -> str:
    groups = '<th rowspan="2" scope="col">scope</th>'
    titles = ""
    for group, neighbours in itertools.groupby(columns, key=lambda column: column.group):
        members = list(neighbours)
        if group:
            groups += (
                f'<th colspan="{len(members)}" scope="colgroup"><span>{group} time</span></th>'
            )
            titles += "".join(_head(column, "") for column in members)
        else:
            groups += "".join(_head(column, ' rowspan="2"') for column in members)
    return f"<tr>{groups}</tr><tr>{titles}</tr>"


def _head(column: Column, rows: str) -> str:
    if column.key == "bottleneck":
        title, kind = "device : host", ' class="left"'
        first = (
            f'<th scope="col"{rows} class="left spread" title="{_SPREAD}">spread</th>'
            f'<th scope="col"{rows} class="left pair" title="{_MEANS}">{title}</th>'
        )
    else:
        share = ' class="share"' if column.key == "share" else ""
        first, kind = "", f"{share} data-sortable"
    meaning = f' title="{escaped(column.meaning)}"'
    return f'{first}<th scope="col"{rows}{kind}{meaning}>{column.title}</th>'


def _row(site: SiteReport, depth: int, columns: list[Column]) -> str:
    level = f'<span class="deep">level {depth + 1} </span>' if depth > _INDENTED else ""
    cells = [
        f'<th scope="row" style="--d:{depth}" title="{escaped(shown(site.path))}">{level}'
        f"<bdi>{escaped(shown(site.name))}</bdi></th>"
    ]
    cells += [_cell(site, column) for column in columns]
    return f'<tr data-depth="{depth}">{"".join(cells)}</tr>'


def _cell(site: SiteReport, column: Column) -> str:
    text = escaped(column.text(site))
    value = column.value(site)
    sort = "" if value is None else f' data-value="{value:.9g}"'
    if column.key == "share":
        return f'<td class="share"{sort}><span>{_share_bar(site)}<b>{text}</b></span></td>'
    if column.key == "bottleneck":
        kind = f' class="tag {text}"' if site.bottleneck is not None else ""
        return (
            f'{_spread(site)}{_pair_of_bars(site)}<td class="left"><span{kind}>{text}</span></td>'
        )
    return f"<td{sort}>{text}</td>"


def _share_bar(site: SiteReport) -> str:
    """Draw the site's share: a dark bar for its own part, a light bar for the sites inside."""
    total, share = site.time.total, site.share or 0.0
    own = 0.0 if site.self_time is None or not total else min(1.0, site.self_time / total)
    parts = (("own", own * share), ("inside", (1 - own) * share))
    drawn = "".join(
        f'<i class="{kind}" style="width:{part:.2%}"></i>' for kind, part in parts if part > 0
    )
    return f'<span class="bar" aria-hidden="true">{drawn}</span>'


def _spread(site: SiteReport) -> str:
    """Draw the histogram of a site's times between the shortest and the longest."""
    times = site.time
    if times.count < 2 or not 0 < times.min < times.max:
        return '<td class="spread"></td>'
    ratio = times.max / times.min
    below = times.counts_below(times.min * ratio ** (i / _BARS) for i in range(_BARS + 1))
    below[0] = 0  # the shortest belongs into the first bar
    counts = [after - before for before, after in itertools.pairwise(below)]
    label = f"{format_seconds(times.min)} to {format_seconds(times.max)}"
    return f'<td class="spread">{histogram(counts, label)}</td>'


def _pair_of_bars(site: SiteReport) -> str:
    """Draw the mean device time and the mean host time per call; the longer bar is full."""
    host = host_mean(site)
    if site.device is None or host is None:
        return '<td class="pair"></td>'
    longest = max(site.device.mean, host) or 1.0
    return (
        '<td class="pair" aria-hidden="true">'
        f'<i class="device" style="width:{site.device.mean / longest:.1%}"></i>'
        f'<i style="width:{host / longest:.1%}"></i></td>'
    )


def _key(on_device: bool) -> str:
    key = _colours([("own", "share: the site itself"), ("inside", "share: the sites inside")])
    if not on_device:
        return key
    pair = _colours([("device", "mean device time"), ("host", "mean host time")])
    return f'{key} <span class="pair">{pair}</span>'


def _colours(kinds: list[tuple[str, str]]) -> str:
    return " ".join(f'<span><i class="{kind}"></i>{words}</span>' for kind, words in kinds)


def _picture(timeline: Timeline | None) -> str:
    if timeline is None:
        return ""
    part, which = last_scopes(timeline)
    light, dark = (
        f"data:image/svg+xml;base64,{base64.b64encode(svg_of(part, dark)).decode()}"
        for dark in (False, True)
    )
    return (
        f'<h2>Timeline</h2>\n<p class="soft">{which}</p>'
        '<div class="picture" tabindex="0" role="region" aria-label="Timeline"><picture>'
        f'<source media="screen and (prefers-color-scheme:dark)" srcset="{dark}">'
        f'<img alt="Timeline of the scopes on host and device" src="{light}"></picture></div>'
    )
