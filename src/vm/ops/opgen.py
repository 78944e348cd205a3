#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""opgen.py - make the C tables and the interpreter's bodies from the *.op files

Usage: opgen.py OUTDIR FILE.op...

Writes OUTDIR/op_ids.h (the enum of operations and their variants), OUTDIR/op_table.inc (what the
loader and the disassembler know of each) and OUTDIR/op_interp.inc (bodies for engine.c).

An .op file holds, besides comments (#):

  op NAME(type operand, ...) { body } [slow { body }]
  fuse NAME(kinds ...) NAME(kinds ...) ...
  only NAME(kinds ...)                        # restricts the variants of an op

Types: s[:kinds] source, d[:kinds] destination, f label, u unsigned 16 bits, n signed 32 bits,
h unsigned 32 bits, w signed 32 bits (words, given in words, kept in bytes), l float register,
p 64 bits, a any source, r any destination (both one 64-bit word), t table of words at the end.
Kinds of a source: x y registers, i small in 32 bits, c any constant in 32 bits, q constant in 64.

In bodies: SET(d, value), JUMP(f), LABEL(f), SLOW, BOTH_SMALL(a, b), IS_SMALL(a),
EITHER_IMM(a, b), RET (address of the next instruction), DISP(r) (a register's displacement).
A body that does not end with a jump goes on with the next instruction.
"""
import itertools
import os
import re
import sys

ENDS = re.compile(r'#ends\b')
FRAME = re.compile(r'\bREFUSE\b')
PLACE = re.compile(r'\b(RET|RAISE2?|ARITH_FAILED|GUARD_BADARG[12]|goto (raise|bad|bif|function|undefined)\w*)\b')
SIZES = {'x': 2, 'y': 2, 'i': 4, 'c': 4, 'q': 8, 'f': 4, 'u': 2, 'n': 4, 'h': 4, 'w': 4, 'l': 2,
         'p': 8, 'a': 8, 'r': 8}


class Op:
    def __init__(self, name, params, hot, slow, ends):
        self.name, self.params, self.hot, self.slow, self.ends = name, params, hot, slow, ends
        self.only = None

    def place(self):
        """What must be known of the instruction's place: its line and frame, its frame, nothing."""
        text = self.hot + ' ' + self.slow
        return 'LINE' if PLACE.search(text) else 'FRAME' if FRAME.search(text) else 'NOWHERE'


def balanced(s, at, opening, closing):
    depth = 0
    for j in range(at, len(s)):
        if s[j] == opening:
            depth += 1
        elif s[j] == closing:
            depth -= 1
            if depth == 0:
                return j
    raise SystemExit('opgen: unbalanced %s near: %s' % (opening, s[at:at + 60]))


def parse(text, ops, fuses):
    text = re.sub(r'(?m)^\s*#.*$', '', text)
    at = 0
    head = re.compile(r'\s*(op|fuse|only)\s+')
    while text[at:].strip():
        m = head.match(text, at)
        if not m:
            raise SystemExit('opgen: cannot read: ' + text[at:at + 80].strip())
        at = m.end()
        if m.group(1) in ('fuse', 'only'):
            end = text.find('\n', at)
            end = len(text) if end < 0 else end
            parts = []
            for q in re.finditer(r'(\w+)(?:\(([^)]*)\))?', text[at:end]):
                parts.append((q.group(1), (q.group(2) or '').split()))
            if m.group(1) == 'fuse':
                fuses.append(parts)
            else:
                op = ops[parts[0][0]]
                op.only = (op.only or []) + [parts[0][1]]
            at = end
            continue
        q = re.compile(r'(\w+)\s*\(').match(text, at)
        name = q.group(1)
        close = balanced(text, q.end() - 1, '(', ')')
        params = []
        for p in text[q.end():close].split(','):
            if not p.strip():
                continue
            t, pn = p.split()
            kinds = None
            if ':' in t:
                t, kinds = t.split(':')
            if t in 'sd' and kinds is None:
                kinds = 'xy'
            params.append((t, pn, kinds))
        m2 = re.compile(r'\s*(ends)?\s*\{').match(text, close + 1)
        end = balanced(text, m2.end() - 1, '{', '}')
        hot, slow = text[m2.end():end], ''
        m3 = re.compile(r'\s*slow\s*\{').match(text, end + 1)
        if m3:
            e2 = balanced(text, m3.end() - 1, '{', '}')
            slow, end = text[m3.end():e2], e2
        if name in ops:
            raise SystemExit('opgen: two ops named ' + name)
        ops[name] = Op(name, params, hot.strip(), slow.strip(), bool(m2.group(1)))
        at = end + 1


def op_kind_sets(op, limits=None):
    """One set of kinds for each operand."""
    sets, regs = [], 0
    for t, _, kinds in op.params:
        if t in 'sd':
            k = kinds
            if limits:
                k = limits[regs] if regs < len(limits) else kinds
            regs += 1
            sets.append(k)
        else:
            sets.append(t)
    return sets


class Variant:
    """One body: a sequence of ops with the kind of each operand fixed."""

    def __init__(self, ident, parts, kinds, owner):
        self.ident, self.parts, self.kinds, self.owner = ident, parts, kinds, owner
        self.layout()

    def operands(self):
        i = 0
        for c, op in enumerate(self.parts):
            for t, name, _ in op.params:
                yield i, c, t, name, self.kinds[i]
                i += 1

    def layout(self):
        self.where, at = {}, 4
        flat = [(i, k) for i, _, _, _, k in self.operands() if k != 't']
        rest = sorted(flat, key=lambda e: SIZES[e[1]])
        if not any(SIZES[k] == 2 for _, k in flat) and any(SIZES[k] == 4 for _, k in flat):
            pass
        for i, k in rest:
            n = SIZES[k]
            at = (at + n - 1) // n * n
            self.where[i] = at
            at += n
        at = (at + 7) // 8 * 8
        self.table = None
        for i, _, _, _, k in self.operands():
            if k == 't':
                self.where[i] = at
                self.table = i
        self.size = at

    def fetch(self, i, t, k):
        off = self.where[i]
        if k == 'x':
            return 'XREG(U16(%d))' % off
        if k == 'y':
            return 'YREG(U16(%d))' % off
        if k in 'ic':
            return '((term)(int64_t)S32(%d))' % off
        if k == 'q':
            return 'U64(%d)' % off
        if k == 'u':
            return '((unsigned)U16(%d))' % off
        if k in 'nwf':
            return '((int64_t)S32(%d))' % off
        if k == 'h':
            return '((term)U32(%d))' % off
        if k == 'l':
            return 'FREG(U16(%d))' % off
        if k == 'p':
            return 'U64(%d)' % off
        if k == 'a':
            return 'ANY(U64(%d))' % off
        if k == 'r':
            return 'ANY_REF(U64(%d))' % off
        if k == 't':
            return '((const term *)(I + %d))' % off
        raise SystemExit('opgen: kind ' + k)

    def body(self, part, slow):
        op = self.parts[part]
        known, decl = {}, []
        for i, c, t, name, k in self.operands():
            if c != part:
                continue
            known[name] = (i, t, k)
            f = self.fetch(i, t, k)
            if t in 'sa':
                decl.append('const term %s = %s;' % (name, f))
            elif t in 'unwh' or t == 'p':
                ctype = {'u': 'unsigned', 'n': 'int64_t', 'w': 'int64_t', 'h': 'term', 'p': 'uint64_t'}[t]
                decl.append('const %s %s = %s;' % (ctype, name, f))
            elif t == 't':
                decl.append('const term *const %s = %s;' % (name, f))
            elif t == 'r':
                decl.append('term *const %s = %s;' % (name, f))
        text = op.slow if slow else op.hot
        used = lambda n: re.search(r'\b%s\b' % n, text)
        lines = [d for d in decl if used(re.search(r'(\w+) =', d).group(1))]
        text = self.expand(text, known)
        text = re.sub(r'\bSLOW;', 'goto v%d_slow%d;' % (self.ident, part), text)
        text = re.sub(r'\bNEXT;', 'do { I += %d; DISPATCH(); } while (0);' % self.size, text)
        text = re.sub(r'\bRET\b', '((term)(uintptr_t)(I + %d))' % self.size, text)
        return '{ ' + ' '.join(lines) + ' ' + re.sub(r'\s+', ' ', text) + ' }'

    def expand(self, text, known):
        def calls(text, fname, fn):
            out, at = '', 0
            pat = re.compile(r'\b' + fname + r'\(')
            while True:
                m = pat.search(text, at)
                if not m:
                    return out + text[at:]
                e = balanced(text, m.end() - 1, '(', ')')
                out += text[at:m.start()] + fn(text[m.end():e])
                at = e + 1

        def place(name):
            i, t, k = known[name.strip()]
            return self.fetch(i, t, k) if k != 'r' else '*' + self.fetch(i, t, k)

        def set_(args):
            name, value = args.split(',', 1)
            return '%s = (%s)' % (place(name), value.strip())

        def const(name):
            return name.strip() in known and known[name.strip()][2] in 'icq'

        def small(name):
            return name.strip() in known and known[name.strip()][2] == 'i'

        def both(args):
            a, b = args.split(',')
            if small(a) and small(b):
                return '1'
            if small(a):
                return 'is_small(%s)' % b.strip()
            if small(b):
                return 'is_small(%s)' % a.strip()
            return 'both_small(%s, %s)' % (a.strip(), b.strip())

        def either(args):
            a, b = args.split(',')
            for n in (a, b):
                if n.strip() in known and known[n.strip()][2] in 'ic':
                    return '1'
            return '(!is_ptr(%s) || !is_ptr(%s))' % (a.strip(), b.strip())

        text = calls(text, 'SET', set_)
        text = calls(text, 'GET', place)
        text = calls(text, 'FSET', set_)
        text = calls(text, 'FGET', place)
        text = calls(text, 'JUMP', lambda a: 'do { I += %s; DISPATCH(); } while (0)' % place(a))
        text = calls(text, 'LABEL', lambda a: '(I + %s)' % place(a))
        text = calls(text, 'HAS_LABEL', lambda a: '(%s != 0)' % place(a))
        text = calls(text, 'DISP', lambda a: 'U16(%d)' % self.where[known[a.strip()][0]])
        text = calls(text, 'BOTH_SMALL', both)
        text = calls(text, 'IS_SMALL', lambda a: '1' if small(a) else 'is_small(%s)' % a.strip())
        text = calls(text, 'EITHER_IMM', either)
        return text

    def emit(self, out):
        label = '+'.join(p.name for p in self.parts)
        out.append('v%d: /* %s %s */' % (self.ident, label, self.kinds))
        tail = '' if self.parts[-1].ends else ' I += %d; DISPATCH();' % self.size
        hot = ' '.join(self.body(c, False) for c in range(len(self.parts)))
        out.append('    ' + hot + tail)
        for c, op in enumerate(self.parts):
            if re.search(r'\bSLOW;', op.hot) or re.search(r'\bSLOW;', op.slow):
                rest = ' '.join(self.body(d, False) for d in range(c + 1, len(self.parts)))
                out.append('v%d_slow%d:' % (self.ident, c))
                out.append('    REFETCH(); ' + self.body(c, True) + ' ' + rest + tail)


def variants_of(op):
    done = []
    for limits in (op.only or [None]):
        for kinds in itertools.product(*op_kind_sets(op, limits)):
            k = ''.join(kinds)
            if k not in done:
                done.append(k)
    return done


def main():
    outdir, files = sys.argv[1], sys.argv[2:]
    ops, fuses = {}, []
    for f in files:
        with open(f) as h:
            parse(h.read(), ops, fuses)
    variants, groups = [], []
    for op in ops.values():
        first = len(variants)
        for k in variants_of(op):
            variants.append(Variant(len(variants), [op], k, op.name))
        groups.append((op.name, first, len(variants) - first, op.place()))
    fused = {}
    for parts in fuses:
        key = tuple(p[0] for p in parts)
        for n in key:
            if n not in ops:
                raise SystemExit('opgen: fuse of unknown op ' + n)
        sets = [s for n, lim in parts for s in op_kind_sets(ops[n], lim or None)]
        ks = fused.setdefault(key, [])
        for kinds in itertools.product(*sets):
            if ''.join(kinds) not in ks:
                ks.append(''.join(kinds))
    fuse_rows = []
    for key, kinds in fused.items():
        first = len(variants)
        for k in kinds:
            variants.append(Variant(len(variants), [ops[n] for n in key], k, '_'.join(key)))
        groups.append(('FUSED_' + '_'.join(key), first, len(kinds), 'NOWHERE'))
        fuse_rows.append((key, 'FUSED_' + '_'.join(key)))
    fuse_rows.sort(key=lambda r: -len(r[0]))

    head = '/* made by opgen.py; do not edit */\n'
    with open(os.path.join(outdir, 'op_ids.h'), 'w') as h:
        h.write(head + 'enum op_id {\n')
        for name, _, _, _ in groups:
            h.write('    OP_%s,\n' % name)
        h.write('    OP_COUNT,\n    OP_VARIANTS = %d,\n    OP_FUSES = %d,\n};\n' %
                (len(variants), len(fuse_rows)))
    with open(os.path.join(outdir, 'op_table.inc'), 'w') as h:
        h.write(head + 'const struct op_group op_groups[OP_COUNT] = {\n')
        for name, first, n, place in groups:
            h.write('    { "%s", %d, %d, PLACE_%s },\n' % (name, first, n, place))
        h.write('};\nconst struct op_variant op_variants[OP_VARIANTS] = {\n')
        for v in variants:
            types = ''.join(t for _, _, t, _, _ in v.operands())
            offs = ', '.join(str(v.where[i]) for i, _, _, _, _ in v.operands())
            h.write('    { "%s", "%s", "%s", %d, { %s } },\n' %
                    ('+'.join(p.name for p in v.parts), v.kinds, types, v.size, offs or '0'))
        h.write('};\nconst struct op_fuse op_fuses[OP_FUSES + 1] = {\n')
        for key, name in fuse_rows:
            h.write('    { %d, { %s }, OP_%s },\n' % (len(key), ', '.join('OP_' + k for k in key), name))
        h.write('    { 0, { 0 }, 0 },\n};\n')
    out = [head]
    for v in variants:
        v.emit(out)
    with open(os.path.join(outdir, 'op_interp.inc'), 'w') as h:
        h.write('\n'.join(out) + '\n')
    with open(os.path.join(outdir, 'op_labels.inc'), 'w') as h:
        h.write(head)
        for v in variants:
            h.write('    (int32_t)((const char *)&&v%d - (const char *)&&v0),\n' % v.ident)
    longest = max(len(v.kinds) for v in variants)
    with open(os.path.join(outdir, 'op_ids.h'), 'a') as h:
        h.write('#define OP_OPERANDS_MAX %d\n' % longest)
        h.write('#define OP_FUSE_MAX %d\n' % max([4] + [len(k) for k in fused]))


if __name__ == '__main__':
    main()
