#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tables.py metrics|errors TABLE - a manual page (mdoc) of a table of the source, on standard output

metrics: rnode-metrics(7) from src/base/metrics.tab; errors: rnode-errors(7) from src/ctl/explain.tab
and src/base/errors.tab."""
import re
import sys
import textwrap

STRING = r'"((?:[^"\\]|\\.)*)"'


def rows(path, macro, fields):
    """Arguments of each MACRO(...) row; strings that stand side by side are one."""
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    text = re.sub(r'(?<!\\)"\s*\n?\s*"', lambda m: m.group(0) if m.group(0) == '""' else "", text)
    found = []
    for body in re.findall(macro + r"\((.*?)\)\s*(?=" + macro + r"\(|\Z)", text, flags=re.S):
        parts = re.findall(STRING + r"|([A-Za-z_0-9]+)", body)
        values = [re.sub(r"\\(.)", r"\1", s) if s or not w else w for s, w in parts]
        if len(values) != fields:
            sys.exit(f"{path}: a row of {macro} has {len(values)} fields instead of {fields}: {body}")
        found.append(values)
    return found


def text(s):
    """A line of running text: nothing of it is a request or an escape of roff."""
    s = s.replace("\\", "\\e")
    lines = [line for sentence in re.sub(r"([.:;!?]) +", r"\1\n", s).split("\n")
             for line in textwrap.wrap(sentence, 78, break_long_words=False, break_on_hyphens=False)]
    return "\n".join("\\&" + line if line[:1] in ".'" else line for line in lines)


def head(name, title):
    print(f".\\\" Made from the tables of the source; edit those.\n.Dd November 26, 2026\n"
          f".Dt {name.upper()} 7\n.Os\n.Sh NAME\n.Nm {name}\n.Nd {title}\n.Sh DESCRIPTION")


PROGRAMS = r""".El
.Sh FIGURES OF PROGRAMS
A program makes figures of its own with the module
.Sy metric
.Po in Rata, with the library
.Sy Metric Pc .
.Bl -tag -width Ds
.It Ic metric:count Ns Pq Ar Name , Labels , N
A counter grows by
.Ar N ,
a whole number that is not negative.
.It Ic metric:set Ns Pq Ar Name , Labels , Value
A gauge is
.Ar Value
now.
.It Ic metric:observe Ns Pq Ar Name , Labels , Seconds
A time goes into a histogram.
.It Ic Metric.span Ns Pq Ar name , labels , f
Calls
.Ar f ,
observes how long it took, and gives its value;
the label
.Ic result
is
.Ql ok
or
.Ql exception .
.El
.Pp
.Ar Labels
may be left out, and
.Ar N ,
which is 1 then.
.Ar Name
is an atom, shown as
.Li app_NAME ,
or
.Brq Application , Name ,
shown as
.Li app_APPLICATION_NAME ;
counters end in
.Li _total
and times in
.Li _seconds .
.Ar Labels
is a map of atoms to atoms, texts or integers: at most 8, of at most 128 bytes each.
Each different set of labels is a series, and an application may make
.Ic metrics.app_series_max
of them: what is over gives the atom
.Ql dropped
and is counted in
.Ic rnode_app_series_dropped_total ."""


def metrics(path):
    kinds = {"COUNTER": "counter", "TIME": "histogram", "GAUGE": "gauge", "TOTAL": "counter"}
    head("rnode-metrics", "figures that a node shows")
    print("A node gives these at\n.Pa /metrics\nof the addresses in\n.Ic listen.http\n"
          "(text format 0.0.4, or OpenMetrics when asked for), and\n.Ql rnodectl metrics\nshows them.\n"
          "Times are in seconds, sizes in bytes.\n"
          "Buckets of histograms are 50 microseconds times powers of four,\nup to 13 seconds.\n"
          "No label ever holds a pid or a registered name.\n.Bl -tag -width Ds")
    seen = None
    for _, name, kind, labels, help_text in rows(path, "METRIC", 5):
        if name == seen:
            continue
        seen = name
        label = labels.split("=")[0]
        prefix = "" if name.startswith("process_") else "rnode_"
        print(f".It Ic {prefix}{name} Pq {kinds[kind]}{', by ' + label if label else ''}\n"
              f"{text(help_text[:1].upper() + help_text[1:])}.")
    print(PROGRAMS)
    print(".Sh SEE ALSO\n.Xr rnodectl 1 ,\n.Xr rnoded.conf 5 ,\n.Xr rnoded 8")


def errors(explain, plain):
    head("rnode-errors", "codes of errors and what to do about them")
    print("Each error of\n.Xr rnoded 8\nand\n.Xr rnodectl 1\nhas a code that does not change.\n"
          ".Ql rnodectl explain CODE\nshows the same text.\n.Bl -tag -width Ds")
    explained = rows(explain, "EXPLAIN", 4)
    known = {row[0] for row in explained}
    short = [(row[2], row[3]) for row in rows(plain, "ERR", 4) if row[2] not in known]
    entries = [(code, title, body, hint) for code, title, body, hint in explained]
    entries += [(code, title, "", "") for code, title in short]
    for code, title, body, hint in sorted(entries):
        print(f".It Ic {code} Pq {title}")
        print(text(body) if body else text(title[:1].upper() + title[1:] + "."))
        if hint:
            print(f".Pp\nTry: {text(hint)}")
    print(".El\n.Sh SEE ALSO\n.Xr rnodectl 1 ,\n.Xr rnoded 8")


if sys.argv[1] == "metrics":
    metrics(sys.argv[2])
else:
    errors(sys.argv[2], sys.argv[3])
