// The observer page: one script for all addresses. Every text goes in as a text node; what is shown
// comes from /live/PAGE, an event a second with whole rows once and changed rows after that.
'use strict';

// noun: what a row is; empty: what to say when there are none.
const pages = {
  '/': { title: 'Overview', live: 'status' },
  '/processes': { title: 'Processes', live: 'processes', noun: 'process', sorts: ['reds', 'msgq', 'heap', 'pid', 'name', 'state'] },
  '/tree': { title: 'Tree', live: 'tree', noun: 'process' },
  '/tables': { title: 'Tables', live: 'tables', noun: 'table', empty: 'No shared tables: ets:new/2 makes one.' },
  '/code': { title: 'Code', live: 'modules', noun: 'module',
    second: { title: 'Deployments', live: 'history', noun: 'deployment', empty: 'Nothing deployed yet: rnodectl deploy FILE.beam' } },
  '/cluster': { title: 'Cluster', live: 'nodes', noun: 'member' },
  '/traces': { title: 'Traces', live: 'traces', noun: 'trace', empty: 'No trace runs: rnodectl trace M:F starts one.' },
  '/logs': { title: 'Logs', live: 'logs', noun: 'record', newestFirst: true },
};
const graphs = ['busy', 'processes', 'messages', 'mailboxes', 'memory', 'reductions', 'collections', 'peers'];
const main = document.getElementById('main');
const live = document.getElementById('live');
const query = new URLSearchParams(location.search);

function element(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

// --- values for people -------------------------------------------------------------------------

function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return (i === 0 || n >= 10 ? n.toFixed(0) : n.toFixed(1)) + ' ' + units[i];
}

function age(seconds) {
  if (seconds < 60) return seconds.toFixed(seconds < 10 ? 1 : 0) + ' s';
  if (seconds < 3600) return Math.floor(seconds / 60) + ' min';
  if (seconds < 86400) return Math.floor(seconds / 3600) + ' h ' + Math.floor(seconds % 3600 / 60) + ' min';
  return Math.floor(seconds / 86400) + ' d ' + Math.floor(seconds % 86400 / 3600) + ' h';
}

const numeric = new Set(['count', 'bytes', 'rate', 'seconds']);

function text(value, kind) {
  if (value === null || value === undefined) return '-';
  if (kind === 'bytes') return bytes(value);
  if (kind === 'seconds') return age(value);
  if (kind === 'flag') return value ? 'yes' : 'no';
  if (typeof value === 'number') return value < 0 ? '-' : value.toLocaleString('en');
  return String(value);
}

const words = name => name.replace(/_/g, ' ');

const say = word => { live.textContent = word; };

// --- tables that change in place -----------------------------------------------------------------

class Table {
  constructor(title, options) {
    this.options = options || {};
    this.rows = new Map();
    this.caption = element('caption', {}, title);
    this.head = element('tr');
    this.body = element('tbody');
    this.table = element('table', {}, this.caption, element('thead', {}, this.head), this.body);
    this.node = element('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': title }, this.table);
    this.title = title;
  }

  setColumns(columns) {
    if (this.columns) return;
    this.columns = columns.filter(c => !c.wide);
    for (const c of this.columns) {
      const th = element('th', { scope: 'col', class: numeric.has(c.kind) ? 'number' : 'text' });
      if (this.options.sorts && this.options.sorts.includes(c.name)) {
        const sorted = (query.get('sort') || 'reds') === c.name;
        if (sorted) th.setAttribute('aria-sort', 'descending');
        const button = element('button', { type: 'button' }, words(c.name) + (sorted ? ' ▾' : ''));
        button.addEventListener('click', () => go({ sort: c.name }));
        th.append(button);
      } else {
        th.append(words(c.name));
      }
      this.head.append(th);
    }
  }

  fill(tr, row) {
    this.columns.forEach((c, i) => {
      let td = tr.children[i];
      if (!td) { td = element('td', { class: numeric.has(c.kind) ? 'number' : 'text' }); tr.append(td); }
      const shown = text(row[c.name], c.kind);
      if (td.textContent === shown && td.firstChild) return;
      if (c.name === 'pid' && location.pathname !== '/process' && shown !== '-' && shown !== '')
        td.replaceChildren(element('a', { href: '/process?pid=' + encodeURIComponent(shown) }, shown));
      else
        td.replaceChildren(shown);
      if (c.name === 'level') tr.className = 'level-' + shown;
    });
  }

  update(message) {
    if (message.columns) this.setColumns(message.columns);
    for (const key of message.gone || []) {
      const tr = this.rows.get(key);
      if (tr) tr.remove();
      this.rows.delete(key);
    }
    for (const [key, row] of message.rows || []) {
      let tr = this.rows.get(key);
      if (!tr) { tr = element('tr'); this.rows.set(key, tr); }
      this.fill(tr, row);
    }
    if (message.order) {
      const order = this.options.newestFirst ? message.order.slice().reverse() : message.order;
      const wanted = order.map(key => this.rows.get(key)).filter(Boolean);
      wanted.forEach((tr, i) => { if (this.body.children[i] !== tr) this.body.insertBefore(tr, this.body.children[i] || null); });
    }
    const n = this.rows.size, all = n + (message.left_out || 0);
    this.table.classList.toggle('empty', n === 0);
    this.caption.textContent = n === 0 && this.options.empty ? this.options.empty
      : (all > n ? n + ' of ' + all.toLocaleString('en') : n) + ' ' +
        this.options.noun + (all === 1 ? '' : this.options.noun.endsWith('s') ? 'es' : 's') +
        (all > n ? ', the first ones in this order' : '');
  }
}

// One row shown as a list of names and values; those in hidden are not.
class Record {
  constructor(hidden) {
    this.hidden = new Set(hidden);
    this.node = element('dl', { class: 'tiles' });
    this.items = new Map();
    this.notes = element('pre', { class: 'warning', hidden: '' });
  }

  update(message) {
    this.columns = message.columns || this.columns;
    for (const [, row] of message.rows || []) {
      for (const c of this.columns) {
        if (c.name === 'warnings') {
          this.notes.textContent = row[c.name];
          this.notes.hidden = !row[c.name];
          continue;
        }
        if (this.hidden.has(c.name)) continue;
        let dd = this.items.get(c.name);
        if (!dd) {
          dd = element('dd');
          this.items.set(c.name, dd);
          this.node.append(element('div', {}, element('dt', {}, words(c.name)), dd));
        }
        const shown = text(row[c.name], c.kind) + (c.name === 'busy' ? ' %' : '');
        if (dd.textContent === shown) continue;
        dd.textContent = shown;
        dd.parentNode.className = shown.length > 72 ? 'long' : shown.length > 24 ? 'half' : '';
      }
      if (row.node) { document.getElementById('node').textContent = row.node; }
    }
  }
}

// --- the stream ------------------------------------------------------------------------------------

function follow(name, view, parameters) {
  const where = element('p', { class: 'error', hidden: '' });
  const source = new EventSource('/live/' + name + '?' + new URLSearchParams(parameters || {}));
  source.addEventListener('rows', event => {
    const message = JSON.parse(event.data);
    where.hidden = !message.error;
    if (message.error) where.textContent = message.error.message + ' (' + message.error.code + ')';
    else view.update(message);
    if (message.node) document.getElementById('node').textContent = message.node;
    say('live');
  });
  source.addEventListener('error', () => say('not connected, trying again'));
  return where;
}

function go(changes) {
  for (const [key, value] of Object.entries(changes)) query.set(key, value);
  location.search = query;
}

// --- pages -------------------------------------------------------------------------------------------

function graphGrid() {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const range = query.get('range') || '10m';
  const images = graphs.map(name => [name, element('img', { alt: '', width: '480', height: '140' })]);
  const refresh = () => {
    if (document.hidden) return;
    for (const [name, img] of images)
      img.src = '/plot/' + name + '.svg?range=' + range + (dark.matches ? '&theme=dark' : '') + '&at=' + Math.floor(Date.now() / 1000);
  };
  for (const [name, img] of images) img.alt = 'graph of ' + name;
  refresh();
  setInterval(refresh, 2000);
  dark.addEventListener('change', refresh);
  const choice = element('select', {}, ...['1m', '10m', '1h'].map(r => element('option', r === range ? { value: r, selected: '' } : { value: r }, r)));
  choice.addEventListener('change', () => go({ range: choice.value }));
  return [element('h2', {}, 'Graphs'),
    element('div', { class: 'tools' }, element('label', {}, 'time', choice)),
    element('div', { class: 'graphs' }, ...images.map(([name, img]) =>
      element('a', { href: '/plot/' + name + '.svg?range=' + range, 'aria-label': name + ' as a picture' }, img)))];
}

function filterTools(page) {
  const limit = element('select', {}, ...['20', '100', '500'].map(n =>
    element('option', n === (query.get('limit') || '100') ? { value: n, selected: '' } : { value: n }, n)));
  limit.addEventListener('change', () => go({ limit: limit.value }));
  const twin = element('a', { href: location.pathname + '?format=json' + (query.get('sort') ? '&sort=' + query.get('sort') : '') }, 'as JSON');
  return element('div', { class: 'tools' }, element('label', {}, 'rows', limit), twin);
}

function parameters() {
  const p = { limit: query.get('limit') || '100' };
  if (query.get('sort')) p.sort = query.get('sort');
  return p;
}

function showOverview() {
  const record = new Record(['node', 'role', 'user', 'socket', 'pid', 'slabs']);
  const trouble = follow('status', record);
  main.append(element('h1', {}, 'Overview'), trouble, record.notes, record.node, ...graphGrid());
}

// gc, kill and restart, where http.actions and the role allow them: the pid is typed again, and the token
// shows that it is this page that asks.
async function addActions(pid, place) {
  const reply = await fetch('/action');
  const allowed = reply.ok ? await reply.json() : {};
  if (!allowed.actions) return;
  const input = element('input', { id: 'typed', autocomplete: 'off', spellcheck: 'false', size: '20' });
  const result = element('p', { role: 'status' });
  const act = async what => {
    const answer = await fetch('/action', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': allowed.csrf },
      body: JSON.stringify({ do: what, what: pid, typed: input.value.trim() }),
    });
    const body = await answer.json();
    result.className = answer.ok ? '' : 'error';
    result.textContent = answer.ok ? body.message || 'done' : body.error.message;
    input.value = '';
  };
  const buttons = ['gc', 'kill', 'restart'].map(what => {
    const button = element('button', { type: 'button' }, what);
    button.addEventListener('click', () => act(what));
    return button;
  });
  place.append(element('h2', {}, 'Actions'),
    element('div', { class: 'tools' }, element('label', { for: 'typed' }, 'type ' + pid + ' again'), input, ...buttons), result);
}

function showProcess() {
  const pid = query.get('pid') || '';
  const record = new Record();
  const trouble = follow('inspect', record, { arg: pid });
  const actions = element('section');
  main.append(element('h1', {}, 'Process ' + pid), trouble, record.node, actions,
    element('p', {}, element('a', { href: '/processes' }, 'all processes')));
  addActions(pid, actions);
}

function showTable(page) {
  const table = new Table(page.title, page);
  main.append(element('h1', {}, page.title), filterTools(page), follow(page.live, table, parameters()), table.node);
  if (page.second) {
    const second = new Table(page.second.title, page.second);
    main.append(element('h2', {}, page.second.title), follow(page.second.live, second), second.node);
  }
}

async function start() {
  const token = new URLSearchParams(location.hash.slice(1)).get('t');
  if (token) {
    history.replaceState(null, '', location.pathname + location.search);
    const reply = await fetch('/session', { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: token });
    if (!reply.ok) {
      main.append(element('p', { class: 'error' }, 'This address has been used or is too old. Ask for another: rnodectl web'));
      return;
    }
  }
  for (const a of document.querySelectorAll('nav a'))
    if (a.getAttribute('href') === location.pathname || (location.pathname === '/process' && a.getAttribute('href') === '/processes'))
      a.setAttribute('aria-current', 'page');
  const page = pages[location.pathname];
  say('connecting');
  if (location.pathname === '/') showOverview();
  else if (location.pathname === '/process') showProcess();
  else if (page) showTable(page);
  document.title = (page ? page.title : 'Process') + ' · rnode';
}

start();
