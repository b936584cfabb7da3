/* What every chart offers beside its picture: the same numbers as a table for the keyboard, and a file for a paper. */
(function () {
  "use strict";
  const MOST_ROWS = 400;

  /* Dash names a file with every kind of chart there is, three times as long; static/vendor has the kinds that are used. */
  Object.defineProperty(window, "_dashPlotlyJSURL", { get: () => "/ui/assets/vendor/plotly-cartesian.min.js?v=4.1.1", set: () => {} });

  const plotOf = (box) => box.querySelector(".js-plotly-plot");

  function number(value) {
    if (typeof value !== "number") return value === null || value === undefined ? "—" : String(value);
    return Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value).replace("-", "−") : window.dashAgGridFunctions.figures(value);
  }

  /* Plotly's markup for lines and emphasis has no place in a table. */
  const plain = (text) => String(text === null || text === undefined ? "" : text).replace(/<br\s*\/?>/g, " ").replace(/<[^>]+>/g, "").trim();

  function title(layout, axis, fallback) {
    const found = axis && layout[axis.replace(/^([xy])/, "$1axis")];
    return plain(found && found.title && found.title.text) || fallback;
  }

  /* The ends of an interval: error bars, or what the figure keeps in meta where it draws a band instead. */
  function ends(trace, row) {
    const bar = [trace.error_x, trace.error_y].find((one) => one && one.visible !== false && one.array && one.array.length);
    if (bar) {
      const value = bar === trace.error_x ? trace.x[row] : trace.y[row];
      return [value - bar.arrayminus[row], value + bar.array[row]];
    }
    const meta = trace.meta || {};
    return meta.low ? [meta.low[row], meta.high[row]] : null;
  }

  /* What a figure calls its columns (meta.columns); null leaves one out, as does an axis that is not drawn. */
  function columnName(layout, key, axis, fallback) {
    const named = (layout.meta || {}).columns || {}, found = axis && layout[axis.replace(/^([xy])/, "$1axis")];
    if (key in named) return named[key];
    return found && found.visible === false ? null : title(layout, axis || "", fallback);
  }

  function heatmapTable(trace, layout) {
    const rows = Array.from(trace.z, (values, row) => ({ cells: [trace.y ? trace.y[row] : row, ...Array.from(values)] }));
    const across = trace.x ? Array.from(trace.x) : Array.from(trace.z[0] || [], (_, at) => at);
    return { columns: [columnName(layout, "y", trace.yaxis || "y", "row"), ...across], rows };
  }

  function pointTable(traces, layout) {
    const first = traces[0], words = traces.every((trace) => typeof trace.y[0] === "string");
    const series = (trace) => plain(trace.name && !/^trace \d+$/.test(trace.name) ? trace.name : "");
    const several = traces.length > 1 && traces.some(series);
    const texts = (trace) => trace.type !== "bar" && Array.isArray(trace.text); // a bar's text is its length again
    const named = traces.some((trace) => texts(trace) || (trace.customdata && !Array.isArray(trace.customdata[0])));
    const interval = traces.some((trace) => trace.x.length && ends(trace, 0));
    const x = columnName(layout, "x", first.xaxis || "x", "x"), y = columnName(layout, "y", first.yaxis || "y", "y");
    const columns = [several ? columnName(layout, "series", null, "Series") : null, named ? columnName(layout, "name", null, "Name") : null, words ? y : x, words ? x : y, interval ? "low" : null, interval ? "high" : null];
    const kept = (cells) => cells.filter((_, at) => columns[at] !== null);
    const rows = [];
    for (const trace of traces) {
      for (let row = 0; row < trace.x.length; row++) {
        const name = texts(trace) ? trace.text[row] : trace.customdata && !Array.isArray(trace.customdata[row]) ? trace.customdata[row] : "";
        const [low, high] = (interval && ends(trace, row)) || [null, null];
        const place = trace.customdata && Array.isArray(trace.customdata[row]) ? trace.customdata[row].slice(0, 2).join(".") : null;
        const values = [plainValue(trace.x[row]), plainValue(trace.y[row])];
        rows.push({ cells: kept([series(trace), plain(name), ...(words ? values.reverse() : values), low, high]), place });
      }
    }
    return { columns: kept(columns), rows };
  }

  const plainValue = (value) => (typeof value === "string" ? plain(value) : value);

  function numbers(plot) {
    const shown = plot._fullData.filter((trace) => trace.visible === true && trace.hoverinfo !== "skip" && trace.hovertemplate !== "");
    const heat = shown.find((trace) => trace.type === "heatmap");
    if (heat) return heatmapTable(heat, plot._fullLayout);
    const points = shown.filter((trace) => trace.x && trace.y && trace.x.length);
    return points.length ? pointTable(points, plot._fullLayout) : { columns: ["Nothing to show"], rows: [] };
  }

  function cell(tag, text, properties) {
    const made = document.createElement(tag);
    made.textContent = text;
    made.tabIndex = -1;
    for (const [name, value] of Object.entries(properties || {})) made.setAttribute(name, value);
    return made;
  }

  function tableRow({ cells, place }) {
    const row = document.createElement("tr");
    cells.forEach((value, at) => {
      const numeric = typeof value === "number" && at > 0;
      row.append(cell(at ? "td" : "th", number(value), at ? { class: numeric ? "right num" : "" } : { scope: "row" }));
    });
    if (place) row.dataset.place = place;
    return row;
  }

  function build(box) {
    const { columns, rows } = numbers(plotOf(box));
    const table = document.createElement("table");
    table.setAttribute("role", "grid");
    table.setAttribute("aria-label", box.getAttribute("aria-label"));
    const head = table.createTHead().insertRow();
    columns.forEach((name, at) => head.append(cell("th", number(name), { scope: "col", class: at ? "right" : "" })));
    table.createTBody().append(...rows.slice(0, MOST_ROWS).map(tableRow));
    const note = document.createElement("p");
    note.className = "dim small";
    note.textContent = (rows.length > MOST_ROWS ? `The first ${MOST_ROWS} of ${rows.length} rows. ` : "") + "Arrow keys move through the cells." + (rows.some((row) => row.place) ? " Enter selects a row's expert." : "");
    const holder = box.querySelector(".graph-table");
    const scroller = document.createElement("div");
    scroller.className = "table-box";
    scroller.append(table);
    holder.replaceChildren(scroller, note);
    rest(table, table.querySelector("tbody th, thead th"));
    const { experts } = window.expertscope.selection.get();
    for (const row of table.querySelectorAll("[data-place]")) row.classList.toggle("lit", experts.includes(row.dataset.place));
  }

  /* One cell of the table is in the tab order at a time. */
  function rest(table, target) {
    for (const other of table.querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
    if (target) target.tabIndex = 0;
  }

  function swap(box, show) {
    const holder = box.querySelector(".graph-table"), picture = box.querySelector(".graph");
    const button = box.querySelector("[data-chart=table]");
    if (show) build(box);
    holder.hidden = !show;
    picture.hidden = show;
    button.setAttribute("aria-pressed", String(show));
    if (!show) window.Plotly.Plots.resize(plotOf(box));
  }

  function words(element) {
    if (!element) return "";
    const copy = element.cloneNode(true);
    for (const tip of copy.querySelectorAll("button, .info-box, .sr-only")) tip.remove();
    return copy.textContent.replace(/\s+/g, " ").trim();
  }

  function wrapped(text, width) {
    const lines = [""];
    for (const word of text.split(" ")) {
      if (lines[lines.length - 1] && (lines[lines.length - 1] + " " + word).length > width) lines.push("");
      lines[lines.length - 1] += (lines[lines.length - 1] ? " " : "") + word;
    }
    return lines;
  }

  /* A saved figure is black on white whatever the page's theme: the light ones of static/css/10-tokens.css. */
  const LIGHT = { "--topic-text": "#00714f", "--harmful-text": "#a84a00", "--benign-text": "#0067a1", "--flagged-text": "#9c3f74", "--ink-2": "#454c59", "--ink-3": "#626a78" };
  const painted = (text) => text.replace(/var\((--[a-z0-9-]+)\)/g, (_, name) => LIGHT[name] || "#15181d");

  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  /* The figure with its title above it and, below it, its caption and where it comes from; black on white. */
  function forPaper(box) {
    const plot = plotOf(box), width = 960;
    const section = box.closest("section, .routing-main, .page");
    const heading = words(section && section.querySelector("h2, h3, h1"));
    const after = box.nextElementSibling;
    const caption = after && after.matches("p.dim") ? words(after) : box.getAttribute("aria-label");
    const origin = document.getElementById("provenance");
    const lines = [...wrapped(caption, 140), ...wrapped(origin ? origin.dataset.text : "ExpertScope", 140)];
    const layout = JSON.parse(JSON.stringify(plot.layout));
    const margin = { ...plot._fullLayout._size }, top = heading ? 44 : 12, below = 56 + 18 * lines.length;
    const inner = (plot._fullLayout.height || 400) - margin.t - margin.b;
    layout.width = width;
    layout.height = inner + margin.t + top + margin.b + below;
    layout.autosize = false;
    layout.margin = { l: Math.max(64, margin.l), r: Math.max(24, margin.r), t: margin.t + top, b: margin.b + below, pad: 0 };
    layout.paper_bgcolor = layout.plot_bgcolor = "#ffffff";
    if (heading) layout.title = { text: escaped(heading), x: 0, xref: "container", xanchor: "left", pad: { l: 12 }, y: 1, yref: "container", yanchor: "top", yshift: 0, font: { size: 16, color: "#15181d" } };
    if (heading) layout.title.pad.t = 14;
    const annotation = { text: lines.map(escaped).join("<br>"), xref: "paper", yref: "paper", x: 0, y: 0, xanchor: "left", yanchor: "top", xshift: 12 - layout.margin.l, yshift: -(margin.b + 8), align: "left", showarrow: false, font: { size: 11, color: "#454c59" } };
    const own = (layout.annotations || []).map((one) => ({ ...one, text: painted(one.text || "") }));
    layout.annotations = [...own, annotation];
    return { data: plot.data, layout, config: { staticPlot: true } };
  }

  function save(box, format) {
    const figure = forPaper(box);
    const { width, height } = figure.layout;
    window.Plotly.downloadImage(figure, { format, width, height, scale: format === "png" ? 3 : 1, filename: box.dataset.name || "figure" });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("button[data-chart]");
    if (!button) return;
    const box = button.closest(".graph-box");
    if (!plotOf(box)) return;
    if (button.dataset.chart === "table") swap(box, button.getAttribute("aria-pressed") !== "true");
    else save(box, button.dataset.chart);
  });

  function target(current, key, far) {
    const row = current.parentElement, table = current.closest("table");
    const rows = [...table.rows], cells = [...row.cells];
    const across = cells.indexOf(current), down = rows.indexOf(row);
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], PageUp: [-10, 0], PageDown: [10, 0], Home: [far ? -down : 0, -across], End: [far ? rows.length : 0, cells.length] };
    const [by, to] = steps[key];
    const next = rows[Math.min(rows.length - 1, Math.max(0, down + by))];
    return next.cells[Math.min(next.cells.length - 1, Math.max(0, across + to))];
  }

  /* Arrow keys in a table that has one stop for the tab key. */
  document.addEventListener("keydown", (event) => {
    const current = event.target.closest && event.target.closest(".graph-table table[role=grid] th, .graph-table table[role=grid] td");
    if (!current || event.altKey || event.metaKey) return;
    if (/^(Arrow|Page|Home|End)/.test(event.key)) {
      const next = target(current, event.key, event.ctrlKey);
      rest(current.closest("table"), next);
      next.focus();
      event.preventDefault();
    } else if ((event.key === "Enter" || event.key === " ") && current.parentElement.dataset.place) {
      window.expertscope.selection.toggle(current.parentElement.dataset.place);
      event.preventDefault();
    }
  });

  /* Whoever draws a chart anew while its table is open sees the new numbers there. */
  function follow(plot) {
    plot.on("plotly_afterplot", () => {
      const box = plot.closest(".graph-box");
      const holder = box && box.querySelector(".graph-table");
      if (holder && !holder.hidden && !holder.contains(document.activeElement)) build(box);
    });
  }

  const begun = new WeakSet();
  new MutationObserver(() => {
    for (const plot of document.querySelectorAll(".graph-box .js-plotly-plot")) {
      if (begun.has(plot) || !plot._fullLayout || !plot.on) continue;
      begun.add(plot);
      follow(plot);
      document.dispatchEvent(new CustomEvent("expertscope:chart", { detail: plot }));
    }
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
