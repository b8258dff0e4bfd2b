// SPDX-License-Identifier: BSD-3-Clause
// Filter, fold and sort the rows of a page's tables. Rows say by data-depth how many rows are
// around them.
for (const table of document.querySelectorAll(".fasttime table:has(tr[data-depth])")) {
  const body = table.tBodies[0];
  const root = {children: [], depth: -1};
  const nodes = [];
  const open = [root];
  for (const row of body.rows) {
    const node = {row, depth: +row.dataset.depth, children: [], folded: false, filtered: false, place: nodes.length};
    open.length = node.depth + 1;
    node.parent = open[node.depth];
    node.parent.children.push(node);
    open.push(node);
    nodes.push(node);
  }
  const show = () => {
    for (const node of nodes) {  // parents come before their children
      const above = node.depth > 0 && (node.parent.folded || node.parent.row.hidden);
      const hidden = above || node.filtered;
      if (node.row.hidden !== hidden) node.row.hidden = hidden;
    }
  };
  const arrange = () => {
    const rows = [];
    const waiting = [root];
    while (waiting.length) {
      const node = waiting.pop();
      if (node.row) rows.push(node.row);
      for (let i = node.children.length; i--;) waiting.push(node.children[i]);
    }
    // Take all rows out first: some browsers need time per following row to move a single row.
    body.replaceChildren();
    body.append(...rows);
  };
  // The filter shows rows whose path contains the text, with the rows around them.
  const filter = document.createElement("input");
  filter.type = "search";
  filter.placeholder = "Filter";
  filter.setAttribute("aria-label", "show only rows whose path contains this text");
  filter.oninput = () => {
    const text = filter.value.toLowerCase();
    for (const node of nodes) {
      node.filtered = !node.row.cells[0].title.toLowerCase().includes(text);
      if (!node.filtered) for (let up = node.parent; up.row; up = up.parent) up.filtered = false;
    }
    show();
  };
  if (nodes.length >= 8) {
    const place = document.createElement("p");
    place.className = "filter";
    place.append(filter);
    table.parentElement.before(place);
  }
  for (const node of nodes) {
    if (!node.children.length) continue;
    const button = document.createElement("button");
    button.setAttribute("aria-expanded", "true");
    button.setAttribute("aria-label", "rows inside " + node.row.cells[0].textContent);
    button.onclick = () => {
      node.folded = !node.folded;
      button.setAttribute("aria-expanded", String(!node.folded));
      show();
    };
    node.row.cells[0].prepend(button);
  }
  // Put the heads in the order of the cells below them. Some heads span both rows of the heading.
  const heads = [];
  const [upper, lower] = [...table.tHead.rows].map((row) => [...row.cells]);
  for (const head of upper) {
    heads.push(...(lower && head.rowSpan === 1 ? lower.splice(0, head.colSpan) : [head]));
  }
  heads.forEach((head, column) => {
    if (column && !("sortable" in head.dataset)) return;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const down = column > 0 && head.getAttribute("aria-sort") !== "descending";
      for (const other of heads) other.removeAttribute("aria-sort");
      if (column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (node) => column ? +(node.row.cells[column].dataset.value ?? -Infinity) : node.place;
      for (const node of [root, ...nodes]) {
        node.children.sort((a, b) => (down ? -1 : 1) * (key(a) - key(b)) || a.place - b.place);
      }
      arrange();
    };
  });
}
