"""The phones of TIMIT, 61 as they are transcribed, and the 39 that they are folded to (Lee and Hon 1989).

The folding is that of the published code of Bellec, Scherr et al. 2020, where the glottal stop q is silence.
"""

from collections.abc import Sequence

import numpy as np

SILENCE, FOLDED_SILENCE = "h#", "sil"
PHONES = frozenset(
    "iy ih eh ey ae aa aw ay ah ao oy ow uh uw ux er ax ix axr ax-h jh ch b d g p t k dx q s sh z zh f th v dh "
    "m n ng em en eng nx l r w y hh hv el bcl dcl gcl pcl tcl kcl pau epi h#".split()
)
"""The 61 that a transcription may have."""

_FOLDED = {
    "ao": "aa", "ax": "ah", "ax-h": "ah", "axr": "er", "hv": "hh", "ix": "ih", "el": "l", "em": "m", "en": "n",
    "nx": "n", "eng": "ng", "zh": "sh", "ux": "uw",
} | dict.fromkeys("pcl tcl kcl bcl dcl gcl h# pau epi q".split(), FOLDED_SILENCE)  # fmt: skip


def folded(phones: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the folded phones, silence first, and which of them each of the given phones becomes.

    Args:
        phones: names among the 61, in the order of their numbers.

    Returns:
        (names, int64 (len(phones),)).

    Example:
        >>> folded(("h#", "sh", "zh"))
        (('sil', 'sh'), array([0, 1, 1]))
    """
    each = [_FOLDED.get(phone, phone) for phone in phones]
    names = tuple(dict.fromkeys([FOLDED_SILENCE, *each]))
    return names, np.array([names.index(name) for name in each])


_CORE = {
    2: "fpas0 mtas1 mwew0", 4: "mtls0 mlll0 fjlm0", 5: "fnlp0 mbpm0 mklt0", 8: "fmld0 mpam0 mjln0",
    6: "mcmj0 fmgd0 mjdh0", 7: "fdhc0 mnjm0 mgrt0", 1: "mdab0 felc0 mwbt0", 3: "fpkt0 mjmp0 mlnt0",
}  # fmt: skip
_DEVELOP = {
    2: "mgwt0 mpdf0 mjar0 mmdm2 mmdb1",
    4: "fgjd0 fjmg0 fadg0 fnmr0 frew0 mteb0 fedw0 mdls0 fsem0 fdms0 mroa0 mbns0",
    5: "fcal1 fmah0 mrws1",
    8: "fjsj0 majc0",
    6: "fdrw0 mjfc0 mrjr0",
    7: "mdlf0 mers0 fmml0 mrcs0 mrjm4 mdvc0",
    1: "faks0 fdac1 mjsw0 mreb0 fjem0",
    3: "mmwh0 mglb0 fkms0 mgjf0 mtdt0 mrtk0 mtaa0 mcsh0 mmjr0 mwjg0 mbdg0 fcmh0 mbwm0 mthc0",
}


def _speakers(regions):
    return frozenset((f"dr{region}", name) for region, names in regions.items() for name in names.split())


DEVELOP, CORE = _speakers(_DEVELOP), _speakers(_CORE)
"""The 50 and the 24 speakers, (region, name), of the folder "test" by whom training is judged, and tested."""
