"""Language tags of tracks: `ru`, `rus` and `ru-RU` name one language."""

from __future__ import annotations

from typing import Final

_CODES: Final = """
aa aar, ab abk, af afr, am amh, ar ara, as asm, az aze, ba bak, be bel, bg bul, bn ben, bo bod tib,
br bre, bs bos, ca cat, ce che, cs ces cze, cv chv, cy cym wel, da dan, de deu ger, el ell gre,
en eng, eo epo, es spa, et est, eu eus baq, fa fas per, fi fin, fo fao, fr fra fre, ga gle, gd gla,
gl glg, gu guj, ha hau, he heb, hi hin, hr hrv, ht hat, hu hun, hy hye arm, id ind, ig ibo,
is isl ice, it ita, ja jpn, jv jav, ka kat geo, kk kaz, km khm, kn kan, ko kor, ku kur, ky kir,
la lat, lb ltz, ln lin, lo lao, lt lit, lv lav, mg mlg, mi mri mao, mk mkd mac, ml mal, mn mon,
mr mar, ms msa may, mt mlt, my mya bur, ne nep, nl nld dut, nn nno, no nor, nb nob, oc oci, or ori,
os oss, pa pan, pl pol, ps pus, pt por, ro ron rum, ru rus, rw kin, sa san, sd snd, si sin,
sk slk slo, sl slv, sn sna, so som, sq sqi alb, sr srp, su sun, sv swe, sw swa, ta tam, te tel,
tg tgk, th tha, tk tuk, tl tgl, tr tur, tt tat, ug uig, uk ukr, ur urd, uz uzb, vi vie, xh xho,
yi yid, yo yor, yue, zh zho chi, zu zul
"""
"""ISO 639-1, and 639-2 where containers write it: its terminological and its older code."""

_LANGUAGES: Final = {
    code: codes[0] for codes in (entry.split() for entry in _CODES.split(",")) for code in codes
}


def same_language(one: str, other: str) -> bool:
    """Return whether two tags (ISO 639-1, 639-2 or BCP-47) name the same language."""
    return _language(one) == _language(other)


def _language(tag: str) -> str:
    primary = tag.strip().lower().replace("_", "-").split("-")[0]
    return _LANGUAGES.get(primary, primary)
