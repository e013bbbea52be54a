"""Draws how costs grow with the number of experts, as SVG."""

import math

#: Key, title, unit.
PANELS = [
    ("prefill_ms", "prefill, 64 tokens", "ms"),
    ("decode_ms", "decode, a token", "ms"),
    ("load_s", "load and prototypes", "s"),
    ("library_mb", "memory of the library", "MB"),
]
COLOURS = {"f32": "#1b6ca8", "bf16": "#7b4fa3", "q8": "#c8611a"}
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 260, 200, 48, 30, 34


def panel(rows, key, title, unit):
    """One small chart: the number of experts on a logarithmic axis, costs from 0."""
    top = max(row[key] for row in rows) * 1.1 or 1.0
    most = max(max(row["experts"] for row in rows), 2)
    x = lambda experts: LEFT + (WIDTH - LEFT - 16) * math.log(experts) / math.log(most)
    y = lambda value: TOP + (HEIGHT - TOP - BOTTOM) * (1 - max(value, 0) / top)
    out = [f'<text x="{LEFT}" y="18" font-weight="bold">{title}, {unit}</text>']
    for share in (0, 0.5, 1):
        value = top * share / 1.1
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - 16}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for experts in sorted({row["experts"] for row in rows}):
        out.append(f'<text x="{x(experts):.1f}" y="{HEIGHT - 14}" text-anchor="middle">{experts}</text>')
    for precision in dict.fromkeys(row["precision"] for row in rows):
        line = [(x(row["experts"]), y(row[key])) for row in rows if row["precision"] == precision]
        colour = COLOURS.get(precision, "#444")
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in line)
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in line]
    return "".join(out)


def figure(rows):
    """Four panels, a line for each precision; `rows` are what `engine arrow` prints."""
    charts = [
        f'<g transform="translate({WIDTH * (at % 2)},{HEIGHT * (at // 2)})">{panel(rows, *about)}</g>'
        for at, about in enumerate(PANELS)
    ]
    legend = [
        f'<text x="{LEFT + 60 * at}" y="{2 * HEIGHT + 16}" fill="{COLOURS.get(precision, "#444")}">{precision}</text>'
        for at, precision in enumerate(dict.fromkeys(row["precision"] for row in rows))
    ]
    legend.append(f'<text x="{LEFT + 200}" y="{2 * HEIGHT + 16}">experts, logarithmic</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{2 * HEIGHT + 26}" '
        f'font-family="sans-serif" font-size="11" fill="#222"><rect width="100%" height="100%" fill="white"/>'
        f'{"".join(charts + legend)}</svg>\n'
    )
