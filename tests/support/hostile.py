"""Texts as somebody may write them who wants a page to break, or to show what is not so."""

from __future__ import annotations

HOSTILE: tuple[str, ...] = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    '"><b id=hostile>bold</b>',
    "' onmouseover='alert(1)",
    '" autofocus onfocus="alert(1)',
    "<mark>never marked</mark>",
    "<!-- and all that follows",
    "]]> <![CDATA[ x",
    "<a href=javascript:alert(1)>here</a>",
    "<style>*{display:none}</style>",
    "<meta http-equiv=refresh content=0;url=//evil.test>",
    "<div hx-get=/console/sign-out hx-trigger=load>",
    "{{ 7 * 7 }} {% raise %} ${7*7} #{7*7}",
    "&lt;b&gt; &amp;amp; &#60;i&#62; &notanentity",
    "%3Cscript%3E %00 %0d%0aSet-Cookie:%20a=b",
    "%s %d %(name)s {0} {name}",
    "\u202egnp.exe\u202c \u2066isolated\u2069 \u200fRTL\u200e",  # bidi
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd 123",
    "zero\u200bwidth\ufeffjoined\u2060",
    "a\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308" * 20,  # letters below a heap of accents
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J\x1b[H",  # ANSI escapes
    "nul\x00within \x01\x02\x07\x08\x7f",
    "tab\tand\x0bvertical\x0cfeed",
    "carriage\rreturn",
    "\u2028line\u2029paragraph\u0085next",
    "\ufffe\uffff\U0010ffff",
    "\U0001f469\u200d\U0001f4bb \U0001f1e9\U0001f1ea \u4e2d\u6587\u65e5\u5fd7",
    "not UTF-8: \ufffd\ufffd",
    '=HYPERLINK("//evil.test") +1 -1 @SUM(1)',  # a cell of a table
    "../../../../etc/passwd",
    "C:\\Windows\\..\\x",
    "'; DROP TABLE clusters; --",
    "`rm -rf /` $(reboot) ; | & > <",
    "(((((a+)+)+)+)+)$ [ ( * \\",
    " " * 5000 + "after spaces",
    "<" * 4000,
    "&" * 4000,
    "x" * 1_000_000,  # without a space
)  # none holds "\n", which ends a line
