"""A line chart as SVG, both axes logarithmic: what compare.py curve draws."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 40, 52
COLOURS = ["#0b6e4f", "#0b6e4f", "#b5541c", "#b5541c"]  # two engines, two lines each: solid, then dashed


def ticks(low, high):
    """1, 2, 5, 10, ... that cover the values."""
    steps = [base * 10**power for power in range(-2, 7) for base in (1, 2, 5)]
    first = max(step for step in steps if step <= low)
    last = min(step for step in steps if step >= high)
    return [step for step in steps if first <= step <= last]


def write(path, title, x_label, y_label, lines):
    """lines: name -> [(x, y)]"""
    xs = sorted({x for points in lines.values() for x, _ in points})
    ys = ticks(min(y for points in lines.values() for _, y in points), max(y for points in lines.values() for _, y in points))

    def at_x(x):
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log(x / xs[0]) / math.log(xs[-1] / xs[0]))

    def at_y(y):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (math.log(y / ys[0]) / math.log(ys[-1] / ys[0]))

    def text(x, y, content, anchor="middle", extra=""):
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(str(content))}</text>'

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13" fill="#222">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', text(WIDTH / 2, 22, title, extra=' font-size="15"')]
    for x in xs:
        out.append(f'<path d="M{at_x(x):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#eee"/>' + text(at_x(x), HEIGHT - BOTTOM + 18, x))
    for y in ys:
        out.append(f'<path d="M{LEFT} {at_y(y):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>' + text(LEFT - 8, at_y(y) + 4, f"{y:g}", "end"))
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_label))
    out.append(text(16, HEIGHT / 2, y_label, extra=f' transform="rotate(-90 16 {HEIGHT / 2})"'))
    for i, (name, points) in enumerate(lines.items()):
        style = f'stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="2" fill="none"' + (' stroke-dasharray="6 4"' if i % 2 else "")
        out.append(f'<polyline points="{" ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in points)}" {style}/>')
        out += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3" fill="{COLOURS[i % len(COLOURS)]}"/>' for x, y in points]
        out.append(f'<path d="M{LEFT + 14} {TOP + 16 + 20 * i}h30" {style}/>' + text(LEFT + 52, TOP + 20 + 20 * i, name, "start"))
    out.append("</svg>\n")
    with open(path, "w") as file:
        file.write("\n".join(out))
