#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py FILE... - C source on standard output that holds these files (web/page_files.h)"""
import os
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

print('#include "web/page_files.h"\n\n#include <string.h>\n')
rows = []
for i, path in enumerate(sys.argv[1:]):
    with open(path, "rb") as f:
        data = f.read()
    print(f"static const unsigned char file_{i}[] = {{")
    for at in range(0, len(data) + 1, 20):
        print("    " + " ".join(f"{b}," for b in (data + b"\0")[at:at + 20]))
    print("};\n")
    kind = TYPES[os.path.splitext(path)[1]]
    rows.append(f'    {{ "{os.path.basename(path)}", "{kind}", file_{i}, {len(data)} }},')
print("static const struct page_file files[] = {\n" + "\n".join(rows) + "\n};\n")
print("""const struct page_file *page_file_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (strcmp(files[i].name, name) == 0)
            return &files[i];
    return NULL;
}""")
