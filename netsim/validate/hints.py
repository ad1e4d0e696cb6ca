"""What was probably meant by a value that is none of those supported."""

from __future__ import annotations

import re

from netsim.manifests.suggestions import nearest
from netsim.validate.cause import Cause

_UNSUPPORTED = re.compile(r'Unsupported value: "(?P<value>[^"]*)": supported values: (?P<known>.*)')


def value_hint(cause: Cause) -> str:
    """Return `did you mean "ClientIP"?` for an unsupported value, "" where nothing is near."""
    match = _UNSUPPORTED.match(cause.message)
    if match is None:
        return ""
    meant = nearest(match["value"], re.findall(r'"([^"]*)"', match["known"]))
    return f'did you mean "{meant}"?' if meant else ""
