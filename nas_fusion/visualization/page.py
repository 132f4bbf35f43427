"""The page of the report: typography and skeleton, without a framework and without anything from elsewhere."""

from __future__ import annotations

from string import Template

# The policy makes a browser refuse every request: the file is complete in itself, or visibly broken.
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="$policy">
<title>$title</title>
<style>
$style
</style>
<script>$plotly</script>
</head>
<body>
<main>
$body
</main>
<script>
addEventListener("beforeprint", () => document.querySelectorAll(".js-plotly-plot").forEach(p => Plotly.Plots.resize(p)));
addEventListener("afterprint", () => document.querySelectorAll(".js-plotly-plot").forEach(p => Plotly.Plots.resize(p)));
</script>
</body>
</html>
""")

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"

STYLE = """
:root { color-scheme: light; --ink: #222; --soft: #5a6169; --line: #dfe3e6;
  --good: #00694e; --note: #0072b2; --warning: #a84300; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; -webkit-text-size-adjust: 100%;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .5rem; padding-top: .9rem; border-top: 1px solid var(--line); }
p { margin: .4rem 0; max-width: 46rem; }
.about, figcaption, .foot { color: var(--soft); font-size: .92rem; }
.verdict { font-size: 1.15rem; line-height: 1.5; margin: 1.2rem 0; padding: .9rem 1.1rem; border-left: .35rem solid;
  background: #f6f8f9; }
.finding { margin: 1rem 0 1.2rem; padding-left: 1rem; border-left: .25rem solid; }
.good { border-color: var(--good); } .note { border-color: var(--note); } .warning { border-color: var(--warning); }
.level { font-size: .78rem; font-weight: 700; letter-spacing: .04em; text-transform: uppercase; }
.good .level { color: var(--good); } .note .level { color: var(--note); } .warning .level { color: var(--warning); }
.finding ul { margin: .3rem 0; padding-left: 1.2rem; }
code, pre { font: .86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { margin: .4rem 0; padding: .55rem .7rem; background: #f3f5f6; white-space: pre-wrap; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .6rem 0 1rem; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .35rem .5rem; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; vertical-align: bottom; border-bottom: 2px solid #b8bec4; }
th:first-child, td:first-child, .words { text-align: left; }
td { white-space: nowrap; }
td:first-child, td.words { white-space: normal; min-width: 7.5rem; }
td small { display: block; color: var(--soft); white-space: normal; }
tr.search td:first-child { font-weight: 600; }
tr.first-of-kind td { border-top: 2px solid #b8bec4; }
figure { margin: .5rem 0 0; }
.facts td { text-align: left; overflow-wrap: anywhere; white-space: normal; }
.facts td:first-child { width: 14rem; color: var(--soft); }
@media (hover: none), (max-width: 48rem) { .modebar { display: none !important; } }
@media (max-width: 40rem) { main { padding: 1rem .8rem 3rem; } h1 { font-size: 1.35rem; } .verdict { font-size: 1.02rem; }
  .facts td:first-child { width: 8rem; } }
@media print { main { max-width: none; padding: 0; } body { font-size: 10.5pt; } h2 { break-after: avoid; }
  figure, .finding, .verdict, tr { break-inside: avoid; } .scroll { overflow: visible; } table { font-size: 7.5pt; }
  th, td { padding: .2rem .25rem; } .modebar { display: none; } }
"""
