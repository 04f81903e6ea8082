"""Times of the Ollama wire: RFC 3339 text on the wire, Unix seconds in the neutral vocabulary.

Plain arithmetic, because this package imports no clock module.
"""

from __future__ import annotations

import re
from calendar import timegm
from typing import Final

_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_DAY: Final = 86400
_LAST: Final = 253_402_300_799  # 9999-12-31T23:59:59Z: later years have no RFC 3339 text


def unix_of(text: str) -> int:
    """``2023-08-04T08:52:19.385406455-07:00`` -> whole Unix seconds; 0 if this is not an RFC 3339 time (section 5.6)."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return 0
    year, month, day, hour, minute, second = map(int, found.group(1, 2, 3, 4, 5, 6))
    if not (year and 1 <= month <= 12 and 1 <= day <= 31):
        return 0
    offset = (int(found[8]) * 60 + int(found[9])) * 60 if found[7] else 0
    return timegm((year, month, day, hour, minute, second)) - (offset if found[7] == "+" else -offset)


def rfc3339(unix: int) -> str:
    """Whole Unix seconds -> ``2023-08-04T15:52:19Z``."""
    days, second = divmod(max(0, min(unix, _LAST)), _DAY)
    # civil-from-days on the calendar that begins in March, so that the leap day is the year's last
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    return f"{year:04}-{month:02}-{day:02}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
