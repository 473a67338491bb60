"""Letters of 5 by 7 dots, so that a picture can be labelled with NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 6, 8
"""Dots that a letter takes, with the gap after and below it."""

_COLUMNS = (
    " 0000000000 !00005F0000 %2313086462 +08083E0808 ,0050300000 -0808080808 .0060600000 /2010080402 "
    "(001C224100 )0041221C00 *14083E0814 =1414141414 _4040404040 "
    "03E5149453E 100427F4000 24261514946 32141454B31 41814127F10 52745454539 63C4A494930 70171090503 "
    "83649494936 9064949291E :0036360000 "
    "A7E1111117E B7F49494936 C3E41414122 D7F4141221C E7F49494941 F7F09090901 G3E4149497A H7F0808087F "
    "I00417F4100 J2040413F01 K7F08142241 L7F40404040 M7F020C027F N7F0408107F O3E4141413E P7F09090906 "
    "Q3E4151215E R7F09192946 S4649494931 T01017F0101 U3F4040403F V1F2040201F W3F4038403F X6314081463 "
    "Y0708700807 Z6151494543 "
    "a2054545478 b7F48444438 c3844444420 d384444487F e3854545418 f087E090102 g0C5252523E h7F08040478 "
    "i00447D4000 j2040443D00 k7F10284400 l00417F4000 m7C04180478 n7C08040478 o3844444438 p7C14141408 "
    "q081414187C r7C08040408 s4854545420 t043F444020 u3C4040207C v1C2040201C w3C4030403C x4428102844 "
    "y0C5050503C z4464544C44"
)
"""Each letter with its five columns as hexadecimal bytes, the lowest bit on top."""


def _glyph(columns: str) -> NDArray[np.bool_]:
    dots = np.zeros((HEIGHT, WIDTH), bool)
    for x, byte in enumerate(bytes.fromhex(columns)):
        for y in range(7):
            dots[y, x] = byte >> y & 1
    return dots


_GLYPHS = {part[0]: _glyph(part[1:]) for part in [" 0000000000", *_COLUMNS[12:].split(" ")]}
_UNKNOWN = _glyph("7F4141417F")


def dots(text: str, scale: int = 1) -> NDArray[np.bool_]:
    """The text as dots `[8 * scale, 6 * scale * len(text)]`; a letter that is not known is a box."""
    if not text:
        return np.zeros((HEIGHT * scale, 0), bool)
    line = np.hstack([_GLYPHS.get(letter, _UNKNOWN) for letter in text])
    return line.repeat(scale, 0).repeat(scale, 1)
