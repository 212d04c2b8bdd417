"""Takes secrets out of texts that people and logs see. The last line: what is known to be secret never gets there."""

import re

HIDDEN = "***"
_NAMES = (
    r"sig|signature|sas|sas_?token|token|password|passwd|credentials?|secret|api_?key|shared_?access_?(?:signature|key)"
    r"|account_?key|aws_?secret_?access_?key|aws_?session_?token|aws_?access_?key_?id|secret_?access_?key"
    r"|connection_?string|x-(?:amz|goog)-[a-z-]+"
)
_RULES = (
    (
        re.compile(r"(?i)(?<=://)[^@\s'\"]+(?::|%3a)[^@\s'\"]*@"),
        HIDDEN + "@",
    ),  # user and password in a URL; they may hold slashes
    (re.compile(r"(\b[a-zA-Z][\w+.-]*://[^\s'\"?]*\?)[^\s'\"]+"), r"\1" + HIDDEN),  # a URL's query: signatures, tokens
    (re.compile(rf"(?i)(\b(?:{_NAMES})(?:\s?=|['\"]\s?:)\s?)(?:'[^']*'|\"[^\"]*\"|[^\s&;,'\"}}]+)"), r"\1" + HIDDEN),
    (re.compile(r"(?i)(\bBearer )[\w.~+/-]+=*"), r"\1" + HIDDEN),
)


def hide_secrets(text: str) -> str:
    """Replaces by *** what looks like a secret: user and password in a URL, its query, values of options whose names
    say that they are secret."""
    for pattern, put in _RULES:
        text = pattern.sub(put, text)
    return text
