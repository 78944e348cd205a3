#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""catalog.py EVENTS.TAB - the journal's catalogue of events on standard output"""
import hashlib
import re
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
text = re.sub(r'"\s+"', "", text)
for name, title, body in re.findall(r'EVENT\("([^"]+)",\s*"([^"]+)",\s*"([^"]+)"\)', text):
    number = hashlib.md5(("rnode event " + name).encode()).hexdigest()
    print(f"-- {number}\nSubject: {title}\nDefined-By: rnode\nDocumentation: man:rnoded(8)\n\n{body}\n")
