'use strict';
// Sorting, searching and details of the layer table. Text reaches the page as text alone, never as markup.
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const table = document.getElementById('layers');
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const search = document.getElementById('search');
  const only = document.getElementById('only');
  const count = document.getElementById('count');
  const chosen = document.getElementById('chosen');

  // What turns around the text beside it is spelled out.
  const plain = text => text.replace(/[\u202a-\u202e\u2066-\u2069]/g, c => `\\u{${c.charCodeAt(0).toString(16)}}`);
  const make = (name, text, className) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = plain(String(text));
    if (className) element.className = className;
    return element;
  };
  const shown = value => {
    if (value === null || value === undefined) return '?';
    const size = Math.abs(value);
    return value === 0 || (size >= 1e-3 && size < 1e4) ? String(+value.toFixed(4)) : value.toExponential(2);
  };

  const bars = histogram => {
    const space = 'http://www.w3.org/2000/svg';
    const svg = document.createElementNS(space, 'svg');
    svg.setAttribute('width', 224);
    svg.setAttribute('height', 64);
    svg.setAttribute('aria-hidden', 'true');
    const most = Math.max(1, ...histogram);
    histogram.forEach((n, i) => {
      if (!n) return;
      const height = Math.max(1, n / most * 62);
      const rect = document.createElementNS(space, 'rect');
      for (const [key, value] of Object.entries({ x: i * 7, y: 64 - height, width: 6, height })) rect.setAttribute(key, value);
      svg.append(rect);
    });
    return svg;
  };

  const tensor = weights => {
    const card = make('div', undefined, 'tensor');
    card.append(make('h3', weights.name));
    if (weights.histogram && weights.histogram.length) card.append(bars(weights.histogram));
    const list = make('dl');
    const facts = [['shape', `${weights.dtype} [${weights.shape.join(', ')}]`]];
    if (weights.error) facts.push(['cannot be read', weights.error]);
    else {
      facts.push(['range', `${shown(weights.min)} to ${shown(weights.max)}`], ['mean', shown(weights.mean)]);
      facts.push(['deviation', shown(weights.std)], ['zeros', weights.zeros.toLocaleString('en')]);
      if (weights.non_finite) facts.push(['NaN or infinite', weights.non_finite.toLocaleString('en')]);
    }
    for (const [key, value] of facts) list.append(make('dt', key), make('dd', value));
    card.append(list);
    return card;
  };

  const details = row => {
    const index = Number(row.dataset.index);
    const layer = data.layers[index];
    const box = make('div', undefined, 'tensors');
    for (const finding of data.findings) {
      if (finding.node !== layer.name) continue;
      const card = make('div', undefined, `tensor ${finding.level}`);
      card.append(make('span', `${finding.level} ${finding.code}`, 'badge'), make('p', finding.message));
      box.append(card);
    }
    for (const weights of data.weights[index] || []) box.append(tensor(weights));
    if (!box.childElementCount) box.append(make('span', 'This layer holds no weights.'));
    const cell = make('td');
    cell.colSpan = heads.length;
    cell.append(box);
    const line = make('tr', undefined, 'details');
    line.append(cell);
    return line;
  };

  const close = row => {
    const next = row.nextElementSibling;
    if (next && next.classList.contains('details')) next.remove();
    row.querySelector('.more').setAttribute('aria-expanded', 'false');
  };
  const toggle = row => {
    const button = row.querySelector('.more');
    if (button.getAttribute('aria-expanded') === 'true') return close(row);
    button.setAttribute('aria-expanded', 'true');
    row.after(details(row));
  };

  const words = rows.map(row => {
    const layer = data.layers[Number(row.dataset.index)];
    return [layer.name, layer.op, layer.part || '', ...layer.findings].join('\n').toLowerCase();
  });
  // Blocks that were chosen in the drawing; null where none are.
  let parts = null;
  const filter = () => {
    const wanted = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let visible = 0;
    rows.forEach((row, i) => {
      const index = Number(row.dataset.index);
      const layer = data.layers[index];
      const hit = wanted.every(word => words[i].includes(word))
        && (!only.checked || layer.findings.length > 0) && (!parts || parts.has(layer.part));
      if (!hit) close(row);
      row.hidden = !hit;
      visible += hit;
    });
    count.textContent = visible === rows.length ? `${rows.length} layers` : `${visible} of ${rows.length} layers`;
  };

  const choose = stack => {
    for (const other of document.querySelectorAll('.d-stack[aria-pressed]')) other.removeAttribute('aria-pressed');
    parts = stack && new Set(stack.dataset.parts.split(' '));
    chosen.hidden = !stack;
    if (stack) {
      stack.setAttribute('aria-pressed', 'true');
      chosen.textContent = `${stack.dataset.name} ×`;
    }
    filter();
    if (stack) chosen.focus();
  };

  const sort = head => {
    const column = heads.indexOf(head);
    const numeric = head.dataset.kind === 'number';
    const now = head.getAttribute('aria-sort');
    // Once up, once down, then as the model has them; numbers begin with the largest.
    const cycle = numeric ? [null, 'descending', 'ascending'] : [null, 'ascending', 'descending'];
    const next = cycle[(cycle.indexOf(now) + 1) % 3];
    for (const other of heads) other.removeAttribute('aria-sort');
    if (next) head.setAttribute('aria-sort', next);
    for (const row of rows) close(row);
    const key = row => numeric ? Number(row.cells[column].dataset.key) : row.cells[column].textContent.trim();
    const sign = next === 'descending' ? -1 : 1;
    const order = rows.map(row => [next ? key(row) : Number(row.dataset.index), row]);
    order.sort(([a], [b]) => sign * (typeof a === 'number' ? a - b : a.localeCompare(b, 'en', { numeric: true })));
    body.append(...order.map(([, row]) => row));
  };

  search.addEventListener('input', filter);
  only.addEventListener('change', filter);
  for (const head of heads.filter(head => head.dataset.kind)) head.firstElementChild.addEventListener('click', () => sort(head));
  body.addEventListener('click', event => {
    const button = event.target.closest('.more');
    if (button) toggle(button.closest('tr'));
  });
  chosen.addEventListener('click', () => choose(null));
  for (const stack of document.querySelectorAll('.d-stack[role=button]')) {
    stack.addEventListener('click', () => choose(stack));
    stack.addEventListener('keydown', event => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      choose(stack);
    });
  }
})();
