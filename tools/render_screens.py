"""Draws a terminal screen, captured with its colours, as a PNG.

    tmux capture-pane -e -p -N -t SESSION | python3 tools/render_screens.py WIDTH OUT.png

Needs Pillow and a monospaced font with box-drawing glyphs (DejaVu Sans Mono).
"""

import re
import sys

from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"
SIZE, CELL_W, CELL_H = 15, 9, 18
FOREGROUND, BACKGROUND = (220, 223, 228), (22, 24, 29)
BASIC = [
    (40, 42, 48), (224, 108, 117), (152, 195, 121), (229, 192, 123),
    (97, 175, 239), (198, 120, 221), (86, 182, 194), (220, 223, 228),
    (92, 99, 112), (240, 128, 136), (172, 215, 141), (240, 210, 150),
    (127, 195, 255), (218, 150, 240), (116, 202, 214), (255, 255, 255),
]


def indexed(n):
    if n < 16:
        return BASIC[n]
    if n < 232:
        n -= 16
        level = lambda v: 0 if v == 0 else 55 + 40 * v
        return level(n // 36), level(n // 6 % 6), level(n % 6)
    return (8 + 10 * (n - 232),) * 3


class Style:
    def __init__(self):
        self.reset()

    def reset(self):
        self.fg = self.bg = None
        self.bold = self.dim = self.reverse = self.underline = False

    def apply(self, codes):
        codes = [int(c or 0) for c in codes.split(";")] if codes else [0]
        while codes:
            c = codes.pop(0)
            if c == 0:
                self.reset()
            elif c == 1:
                self.bold = True
            elif c == 2:
                self.dim = True
            elif c == 4:
                self.underline = True
            elif c == 7:
                self.reverse = True
            elif c == 22:
                self.bold = self.dim = False
            elif c == 24:
                self.underline = False
            elif c == 27:
                self.reverse = False
            elif c in (38, 48) and codes:
                kind = codes.pop(0)
                colour = indexed(codes.pop(0)) if kind == 5 else tuple(codes.pop(0) for _ in range(3))
                setattr(self, "fg" if c == 38 else "bg", colour)
            elif c == 39:
                self.fg = None
            elif c == 49:
                self.bg = None
            elif 30 <= c <= 37 or 90 <= c <= 97:
                self.fg = BASIC[c - 30 if c < 90 else c - 82]
            elif 40 <= c <= 47 or 100 <= c <= 107:
                self.bg = BASIC[c - 40 if c < 100 else c - 92]

    def colours(self):
        fg, bg = self.fg or FOREGROUND, self.bg or BACKGROUND
        if self.reverse:
            fg, bg = bg, fg
        if self.dim:
            fg = tuple((3 * a + 2 * b) // 5 for a, b in zip(fg, bg))
        return fg, bg


def block(draw, char, x, y, fg):
    """Block elements are drawn exactly, so that neighbours touch. Returns whether `char` was one."""
    code = ord(char)
    if char == "▀":
        box = (x, y, x + CELL_W - 1, y + CELL_H // 2 - 1)
    elif 0x2581 <= code <= 0x2588:
        box = (x, y + CELL_H - round(CELL_H * (code - 0x2580) / 8), x + CELL_W - 1, y + CELL_H - 1)
    elif 0x2589 <= code <= 0x258F:
        box = (x, y, x + max(1, round(CELL_W * (0x2590 - code) / 8)) - 1, y + CELL_H - 1)
    elif 0x2800 <= code <= 0x28FF:
        for bit, (cx, cy) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]):
            if code & 1 << bit:
                left, top = x + 1 + cx * (CELL_W // 2), y + 1 + cy * (CELL_H // 4)
                draw.rectangle((left, top, left + 2, top + 2), fill=fg)
        return True
    else:
        return False
    draw.rectangle(box, fill=fg)
    return True


def main(width, out):
    lines = sys.stdin.read().split("\n")
    while lines and not re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip():
        lines.pop()
    image = Image.new("RGB", (width * CELL_W, len(lines) * CELL_H), BACKGROUND)
    draw = ImageDraw.Draw(image)
    regular = ImageFont.truetype(FONT, SIZE)
    bold = ImageFont.truetype(FONT.replace("Mono.ttf", "Mono-Bold.ttf"), SIZE)
    style = Style()
    for row, line in enumerate(lines):
        column = 0
        for part in re.split(r"(\x1b\[[0-9;]*m)", line):
            if part.startswith("\x1b"):
                style.apply(part[2:-1])
                continue
            for char in part:
                x, y = column * CELL_W, row * CELL_H
                fg, bg = style.colours()
                draw.rectangle((x, y, x + CELL_W - 1, y + CELL_H - 1), fill=bg)
                if char != " " and not block(draw, char, x, y, fg):
                    draw.text((x, y), char, font=bold if style.bold else regular, fill=fg)
                if style.underline:
                    draw.line((x, y + CELL_H - 2, x + CELL_W - 1, y + CELL_H - 2), fill=fg)
                column += 1
    image.save(out, optimize=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
