"""How the report looks, in light and dark, on wide screens and phones; and how its tables sort."""

STYLE = """
:root{color-scheme:light dark;--page:#f6f7f8;--card:#fff;--ink:#1f2328;--muted:#57606a;
--grid:#e4e6e9;--rule:#d5d9de;--code:#eff1f3;--link:#0a5a9c;--yes:#11632f;--yes-back:#dff3e5;
--no:#9b1c1c;--no-back:#fde5e3;--unknown:#4b535c;--unknown-back:#e9ecef;--note:#6b4a00;
--note-back:#fdf3d7}
@media (prefers-color-scheme:dark){:root{--page:#121417;--card:#1a1d21;--ink:#e6e8eb;
--muted:#a3abb4;--grid:#2d3238;--rule:#383e45;--code:#262b31;--link:#7ab8f0;--yes:#86dba6;
--yes-back:#173524;--no:#ff9e98;--no-back:#451d1d;--unknown:#bcc3ca;--unknown-back:#2d3238;
--note:#ecc870;--note-back:#352b12}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,sans-serif;overflow-wrap:break-word}
main{max-width:1160px;margin:0 auto;padding:40px 24px 80px}
h1{font-size:30px;line-height:1.2;margin:0 0 20px;letter-spacing:-.01em}
h2{font-size:22px;line-height:1.3;margin:0 0 6px}
h3{font-size:17px;line-height:1.35;margin:0 0 4px}
h4{font-size:14px;line-height:1.35;margin:0 0 4px;font-weight:600}
p{margin:0 0 12px;max-width:72ch}
a{color:var(--link)}
section{margin-top:56px}
.lead{color:var(--muted)}
.about{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:14px 28px;
margin:0;padding:18px 20px;background:var(--card);border:1px solid var(--rule);border-radius:8px}
.about dt{font-size:13px;color:var(--muted)}
.about dd{margin:0}
.about .long{grid-column:1/-1;max-width:72ch}
nav ul{display:flex;flex-wrap:wrap;gap:4px 22px;margin:20px 0 0;padding:0;list-style:none}
nav a{text-decoration:none;display:inline-block;padding:4px 0}
nav a:hover{text-decoration:underline}
table{border-collapse:collapse;font-size:15px;font-variant-numeric:tabular-nums}
th{text-align:left;font-size:13px;font-weight:600;color:var(--muted);vertical-align:bottom}
td{vertical-align:top}
code{font:13px/1.5 ui-monospace,monospace;background:var(--code);border-radius:4px;
padding:2px 5px;-webkit-box-decoration-break:clone;box-decoration-break:clone;
overflow-wrap:anywhere}
code span{white-space:nowrap}
pre{overflow-x:auto}
pre code{background:none;padding:0;overflow-wrap:normal}
.ledger{width:100%;background:var(--card);border:1px solid var(--rule);border-radius:8px;
border-collapse:separate;border-spacing:0}
.ledger th,.ledger td{padding:11px 14px;border-bottom:1px solid var(--grid)}
.ledger tr:last-child td{border-bottom:0}
.ledger td:first-child{width:36%}
.held{display:inline-block;padding:1px 10px;border-radius:11px;font-size:14px;font-weight:600;
white-space:nowrap;color:var(--unknown);background:var(--unknown-back)}
.held.yes{color:var(--yes);background:var(--yes-back)}
.held.no{color:var(--no);background:var(--no-back)}
.note{display:block;margin-top:3px;font-size:14px;color:var(--muted)}
.missing{padding:9px 14px;border-radius:6px;color:var(--note);background:var(--note-back)}
.blocks{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:20px;margin-top:22px}
.block{grid-column:1/-1;margin:0;padding:20px;background:var(--card);border:1px solid var(--rule);
border-radius:8px}
.block.half{grid-column:auto}
.block p{color:var(--muted)}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0 0 14px;padding:0;list-style:none;
font-size:14px}
.legend li{display:flex;align-items:center;gap:7px}
.key{width:30px;height:14px;flex:none}
.panels{display:grid;grid-template-columns:repeat(var(--columns),minmax(0,1fr));gap:20px 16px;
max-width:calc(var(--columns)*330px)}
.panels.single{max-width:540px}
.nothing{margin:12px 0 0;font-size:14px}
.panels svg{display:block;width:100%;height:auto;overflow:visible;color:var(--ink)}
.panels svg *{stroke-linejoin:round;stroke-linecap:butt}
details{margin-top:14px}
summary{cursor:pointer;font-size:14px;color:var(--link);width:fit-content;padding:4px 0}
.scroll{overflow-x:auto;max-width:100%}
details .scroll{max-height:420px;overflow-y:auto;margin-top:6px}
.sortable th{padding:0;border-bottom:1px solid var(--rule);white-space:nowrap;position:sticky;
top:0;background:var(--card)}
.sortable td{padding:6px 14px;border-bottom:1px solid var(--grid);white-space:nowrap}
.sortable td.long{white-space:normal;min-width:240px}
.sortable [data-numbers]{text-align:right}
.sortable td[data-missing]{color:var(--muted)}
.sortable tbody tr:hover td{background:var(--page)}
.sortable button{all:unset;box-sizing:border-box;cursor:pointer;width:100%;padding:7px 14px;
font:inherit;color:inherit}
.sortable button::after{content:"";display:inline-block;width:0;margin-left:7px;
border:4px solid transparent}
.sortable [data-numbers] button::after{margin-right:-15px}
[aria-sort=ascending] button::after{border-bottom-color:currentColor;transform:translateY(-4px)}
[aria-sort=descending] button::after{border-top-color:currentColor;transform:translateY(2px)}
.sortable button:hover{color:var(--ink)}
:focus-visible,.sortable button:focus-visible{outline:2px solid var(--link);outline-offset:-2px}
@media (max-width:900px){.panels:not(.single){grid-template-columns:repeat(2,minmax(0,1fr))}
.block.half{grid-column:1/-1}}
@media (max-width:720px){
main{padding:24px 16px 56px}
h1{font-size:25px}
section{margin-top:44px}
.block{padding:16px 14px}
.sortable th{white-space:normal;min-width:110px}
.sortable td,.sortable button{padding-left:10px;padding-right:10px}
.ledger,.ledger tbody,.ledger tr,.ledger td{display:block}
.ledger thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.ledger tr{padding:14px;border-bottom:1px solid var(--rule)}
.ledger tr:last-child{border-bottom:0}
.ledger td,.ledger td:first-child{display:grid;grid-template-columns:84px minmax(0,1fr);width:auto;
padding:3px 0;border:0;justify-items:start}
.ledger td::before{content:attr(data-label);font-size:13px;line-height:24px;color:var(--muted)}
.ledger td:first-child{display:block;font-weight:600;padding-bottom:6px}
.ledger td:first-child::before{content:none}
.note{font-weight:400}}
@media (max-width:560px){.panels:not(.single){grid-template-columns:minmax(0,1fr)}}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
"""

# Rows without a value come last, whichever way the others go.
SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const rising = head.getAttribute("aria-sort") !== "ascending";
    const numbers = head.hasAttribute("data-numbers");
    const key = row => {
      const cell = row.cells[column];
      if (cell.hasAttribute("data-missing")) return null;
      return numbers ? Number(cell.dataset.sort) : cell.textContent;
    };
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      const order = numbers ? x - y : x.localeCompare(y, "en", {numeric: true});
      return rising ? order : -order;
    };
    body.append(...[...body.rows].sort(compare));
    for (const other of heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
  }));
}
"""
