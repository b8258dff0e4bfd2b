# SPDX-License-Identifier: BSD-3-Clause
"""How the HTML report looks, and the little that it does when clicked."""

from __future__ import annotations

# Everything is below .fasttime, so that a notebook can show it among other things. It brings its
# own background along with its colours: a notebook's theme need not be the system's.
STYLE = """
.fasttime{--page:#fff;--card:#f6f7f9;--line:#dde1e7;--ink:#1b2129;--soft:#566070;--own:#1d7a72;
--below:#a5d6cf;--device:#2459b8;--host:#b45f06;--doubt:#fff6e0;--doubt-line:#c58b13;--hover:#eef3fc;
--picture:#fff;color-scheme:light;background:var(--page);color:var(--ink);
font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
@media (prefers-color-scheme:dark){.fasttime{--page:#14171c;--card:#1d2229;--line:#343c47;
--ink:#e7eaef;--soft:#a3aebd;--own:#4cc4b4;--below:#24615a;--device:#6ea0ff;--host:#f0a04b;
--doubt:#2b2413;--doubt-line:#b98a2c;--hover:#222a36;--picture:#0d1117;
color-scheme:dark}}
.fasttime *{box-sizing:border-box}
.fasttime.piece{padding:.6rem}
.fasttime .vh{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.fasttime header,.fasttime main{max-width:96rem;margin:0 auto;padding:0 1.5rem}
.fasttime h1{font-size:1.55rem;line-height:1.2;margin:0;padding-top:1.6rem;letter-spacing:-.01em}
.fasttime h2{font-size:1.05rem;margin:1.8rem 0 .5rem}
.fasttime p{margin:.35rem 0}
.fasttime .soft{color:var(--soft)}
.fasttime dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;
margin:1.1rem 0}
.fasttime dl div{background:var(--card);border:1px solid var(--line);border-radius:.6rem;
padding:.6rem .9rem}
.fasttime dt{color:var(--soft);font-size:.82rem}
.fasttime dd{margin:0;font-size:1.3rem;font-weight:600;font-variant-numeric:tabular-nums}
.fasttime dd small{font-size:.82rem;font-weight:400;color:var(--soft);display:block}
.fasttime .scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.6rem}
.fasttime table{border-collapse:separate;border-spacing:0;width:100%;margin:0;font-size:.87rem;
font-variant-numeric:tabular-nums;color:inherit;background:none}
.fasttime th,.fasttime td{padding:.36rem .55rem;text-align:right;white-space:nowrap;border:0;
border-bottom:1px solid var(--line);font-weight:400;background:var(--page);color:inherit}
.fasttime tbody tr:last-child>*{border-bottom:0}
.fasttime thead th{background:var(--card);font-weight:600;vertical-align:bottom}
.fasttime thead [colspan]{padding-bottom:0;border-bottom:0;color:var(--soft);font-weight:400;
font-size:.8rem;text-align:left}
.fasttime thead [colspan] span{display:block;border-bottom:1px solid var(--line)}
.fasttime .left,.fasttime tr:first-child>th:first-child,.fasttime tbody th{text-align:left}
.fasttime tbody th,.fasttime tr:first-child>th:first-child{position:sticky;left:0;z-index:1;
border-right:1px solid var(--line)}
.fasttime tbody tr:hover>*{background:var(--hover)}
.fasttime tbody th{max-width:28rem;overflow:hidden;text-overflow:ellipsis;
padding-left:calc(1.75rem + min(var(--d),12)*1.05rem)}
.fasttime .deep{color:var(--soft);font-size:.78rem}
.fasttime button{all:unset;cursor:pointer;border-radius:.2rem}
.fasttime button:focus-visible,.fasttime .scroll:focus-visible{outline:2px solid var(--device)}
.fasttime tbody th button{float:left;width:1.1rem;margin-left:-1.2rem;color:var(--soft);
text-align:center}
.fasttime tbody th button::before{content:"\\25BE"}
.fasttime tbody th button[aria-expanded=false]::before{content:"\\25B8"}
.fasttime thead button:hover{text-decoration:underline}
.fasttime [aria-sort=descending] button::after{content:" \\2193"}
.fasttime [aria-sort=ascending] button::after{content:" \\2191"}
.fasttime .bar,.fasttime .pair i{display:block;border-radius:2px;min-width:0}
.fasttime .share{min-width:9rem}
.fasttime .share>span{display:flex;align-items:center;gap:.6rem;justify-content:flex-end}
.fasttime .bar{flex:1;display:flex;height:.62rem;background:var(--card);overflow:hidden;
box-shadow:inset 0 0 0 1px var(--line)}
.fasttime .bar i,.fasttime .key i{background:var(--below)}
.fasttime .bar .own,.fasttime .key .own{background:var(--own)}
.fasttime .share b{font-weight:400;min-width:3.2rem}
.fasttime .pair{min-width:5rem}
.fasttime .pair i{height:.3rem;background:var(--host)}
.fasttime .pair i+i{margin-top:.16rem}
.fasttime .pair .device,.fasttime .key .device{background:var(--device)}
.fasttime .key .host{background:var(--host)}
.fasttime .key{font-size:.82rem;color:var(--soft)}
.fasttime .key i{display:inline-block;width:.75rem;height:.62rem;border-radius:2px;
margin-right:.3rem}
.fasttime .key span{display:inline-block;margin-right:.9rem;white-space:nowrap}
.fasttime .tag{display:inline-flex;align-items:center;gap:.45rem}
.fasttime .tag::before{content:"";width:.65rem;height:.65rem;border-radius:50%;
border:2px solid var(--soft)}
.fasttime .device-bound::before{background:var(--device);border-color:var(--device)}
.fasttime .host-bound::before{background:var(--host);border-color:var(--host)}
.fasttime .doubts{background:var(--doubt);border-left:4px solid var(--doubt-line);
border-radius:.3rem;padding:.7rem 1rem;margin:1rem 0}
.fasttime .doubts h2{margin:0 0 .3rem}
.fasttime .doubts ul{margin:0;padding-left:1.2rem}
.fasttime .doubts li{overflow-wrap:anywhere}
.fasttime .picture{background:var(--picture);border:1px solid var(--line);border-radius:.6rem;
padding:.5rem;overflow-x:auto}
.fasttime .picture img{display:block;width:100%;min-width:40rem;max-width:76rem;height:auto;
margin:auto}
@media (max-width:45rem){.fasttime header,.fasttime main{padding:0 .8rem}
.fasttime dl{grid-template-columns:1fr 1fr}.fasttime dd{font-size:1rem}
.fasttime tbody th{max-width:44vw;padding-left:calc(1.5rem + min(var(--d),6)*.6rem)}
.fasttime th,.fasttime td{padding:.42rem .55rem}.fasttime .share{min-width:8rem}}
@media print{.fasttime{font-size:8.5pt;--page:#fff;--card:#f6f7f9;--ink:#000;--soft:#444;
--line:#bbb;--own:#1d7a72;--below:#a5d6cf;--device:#2459b8;--host:#b45f06;--doubt:#fff6e0;
--picture:#fff;color-scheme:light;print-color-adjust:exact;-webkit-print-color-adjust:exact}
.fasttime header,.fasttime main{max-width:none;padding:0}
.fasttime .scroll{overflow:visible;border:0}
.fasttime table{font-size:7pt}.fasttime th,.fasttime td{padding:.15rem .3rem}
.fasttime tr>th:first-child{position:static!important}
.fasttime tbody th{max-width:none;white-space:normal}
.fasttime .share{min-width:6rem}.fasttime .pair{min-width:3rem}
.fasttime tr,.fasttime .doubts{break-inside:avoid}.fasttime .picture img{min-width:0}}
"""

# A table that is longer than the window scrolls in itself, below its heading: a sticky heading
# follows the nearest box that scrolls, and a wide table needs that one to be the table's.
PAGE_STYLE = "html{background:#fff}body{margin:0;padding-bottom:2rem;min-height:100vh}\
@media screen{main .scroll{max-height:calc(100vh - 1rem);scroll-padding-top:4.5rem}\
main thead{position:sticky;top:0;z-index:2}}\
@media (prefers-color-scheme:dark){html{background:#14171c}}@page{size:landscape;margin:12mm}\
@media print{html{background:#fff}}"

# Rows fold away below their parents, and siblings sort by a column. The buttons are made here: a
# reader without scripts sees the whole table, and no buttons that do nothing.
SCRIPT = """
for (const table of document.querySelectorAll(".fasttime table")) {
  const body = table.tBodies[0];
  const root = {children: [], depth: -1};
  const nodes = [];
  const open = [root];
  for (const row of body.rows) {
    const node = {row, depth: +row.dataset.depth, children: [], folded: false, place: nodes.length};
    open.length = node.depth + 1;
    node.parent = open[node.depth];
    node.parent.children.push(node);
    open.push(node);
    nodes.push(node);
  }
  const show = () => {
    for (const node of nodes) {  // parents come before their children
      const hidden = node.depth > 0 && (node.parent.folded || node.parent.row.hidden);
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
    // Emptied first: of browsers some take as long to move one row as there are rows after it.
    body.replaceChildren();
    body.append(...rows);
  };
  for (const node of nodes) {
    if (!node.children.length) continue;
    const button = document.createElement("button");
    button.setAttribute("aria-expanded", "true");
    button.setAttribute("aria-label", "sites inside " + node.row.cells[0].textContent);
    button.onclick = () => {
      node.folded = !node.folded;
      button.setAttribute("aria-expanded", String(!node.folded));
      show();
    };
    node.row.cells[0].prepend(button);
  }
  // Which cell of a row a head stands above: heads come in two rows, and some span both.
  const heads = [];
  const [upper, lower] = [...table.tHead.rows].map((row) => [...row.cells]);
  for (const head of upper) {
    heads.push(...(head.rowSpan === 2 ? [head] : lower.splice(0, head.colSpan)));
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
      const key = (node) => column ? +(node.row.cells[column].dataset.value ?? -1) : node.place;
      for (const node of [root, ...nodes]) {
        node.children.sort((a, b) => (down ? -1 : 1) * (key(a) - key(b)) || a.place - b.place);
      }
      arrange();
    };
  });
}
"""
