/* How cells of the grid are drawn and numbers in it written. The names are those in the pages' column definitions. */
(function () {
  "use strict";
  const make = (...parts) => window.React.createElement(...parts);

  function scientific(value) {
    const [figures, power] = value.toExponential(2).split("e");
    const raised = [...String(Number(power))].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]).join("");
    return figures.replace("-", "−") + " × 10" + raised;
  }

  /* As backend/formats.py: at most three significant figures, a real minus, a dash for nothing. */
  function figures(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "—";
    if (value === 0) return "0";
    if (Math.abs(value) < 1e-4) return scientific(value);
    const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
    const text = value.toFixed(decimals).replace("-", "−");
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  }

  /* A share of 1, p or q: three decimals below each other. */
  function share(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "—";
    return value > 0 && value < 0.0005 ? "< 0.001" : value.toFixed(3).replace("-", "−");
  }

  function cell(value) {
    return value === null || value === undefined ? "not observed" : value.toFixed(4).replace("-", "−");
  }

  function ordinal(n) {
    const tens = n % 100;
    const ending = tens >= 10 && tens <= 20 ? "th" : { 1: "st", 2: "nd", 3: "rd" }[n % 10] || "th";
    return String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f") + ending;
  }

  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  functions.figures = figures;
  functions.share = share;
  functions.cell = cell;

  /* A ratio to even use, with its sign. */
  const times = (value) => (value === null || value === undefined ? "—" : figures(value) + " ×");

  /* The selection that every view of a run shares, which static/js/selection.js keeps. A row that is not loaded yet has no
     data, in the functions below as in the cells. */
  let chosen = null;
  const keeper = () => window.expertscope && window.expertscope.selection;
  const place = (data) => data.layer + "." + data.name.split("E")[1];
  const isChosen = (data) => {
    if (chosen === null) chosen = new Set(keeper() ? keeper().get().experts : []);
    return Boolean(data && data.name) && chosen.has(place(data));
  };

  document.addEventListener("expertscope:selection", ({ detail }) => {
    chosen = new Set(detail.experts);
    const asked = document.getElementById("experts-table") && window.dash_ag_grid;
    if (!asked) return;
    window.dash_ag_grid.getApiAsync("experts-table").then((api) => api.redrawRows());
  });

  Object.assign(functions, { times, lit: isChosen, tabLeaves: () => false });

  /* What cells of many columns show is text with a drawing behind it: a component in each of them takes several times as long,
     which whoever scrolls feels. */

  /* A score and its rank, over a bar from 0 on the criterion's own scale, `least` to `most`. */
  functions.awaited = ({ rowNode }) => !rowNode.data;

  functions.score = ({ value, data }, rank) => (data ? figures(value) + (data[rank] ? "\u2002" + ordinal(data[rank]) : "") : "");

  functions.scoreBar = ({ value }, least, most) => {
    const width = most - least;
    if (value === null || value === undefined || !width) return null;
    return { "--from": (Math.min(value, 0) - least) / width, "--to": (Math.max(value, 0) - least) / width };
  };

  /* `rungs` has one bit for each step that is passed, the first the lowest. */
  const passed = (data, names) => names.filter((_, step) => data.rungs & (1 << step));

  functions.ladder = ({ data }, names) => (data ? passed(data, names).length + " of " + names.length : "");

  functions.ladderWords = ({ data }, names) => data && "Evidence " + passed(data, names).length + " of " + names.length + ": " + (passed(data, names).join(", ") || "none");

  functions.ladderSteps = ({ data }, names) => {
    if (!data) return "";
    return ["ladder-cell", ...names.map((_, step) => (data.rungs & (1 << step) ? "step-" + step : "")), data.flagged ? "flagged-ladder" : ""].filter(Boolean);
  };

  functions.effect = ({ data }) => (data ? data.effect_text || "—" : "");

  /* Zero, the null's band, the interval and the dot, in percent of the strip. */
  functions.effectStrip = ({ data }) => {
    const strip = data && data.strip;
    if (!strip) return null;
    const box = (name, from, to) => (from === null || to === null ? {} : { ["--" + name + "-from"]: from / 100, ["--" + name + "-long"]: Math.max(to - from, 0.6) / 100 });
    return { "--zero": strip.zero / 100, "--dot": strip.dot / 100, ...box("null", strip.null_from, strip.null_to), ...box("interval", strip.from, strip.to) };
  };

  functions.effectKind = ({ data }) => (!data ? "" : !data.strip ? "dim" : data.flagged ? ["strip-cell", "flagged-strip"] : ["strip-cell"]);

  /* What a new filter finds begins at its first row, however far somebody had scrolled before. Once more after the table has
     become as short as what was found: it then restores the place at which it was cut. */
  function toTop(id) {
    const api = window.dash_ag_grid && window.dash_ag_grid.getApi(id);
    const up = () => api && !api.isDestroyed() && api.getDisplayedRowCount() && api.getFirstDisplayedRowIndex() > 0 && api.ensureIndexVisible(0, "top");
    up();
    requestAnimationFrame(() => requestAnimationFrame(up));
  }

  window.expertscope = Object.assign(window.expertscope || {}, { toTop });

  /* The table of experts asks for its rows itself. What it shows of them, and the line below it, wait for nothing else. */
  function address(asked, { startRow, endRow, sortModel, filterModel }) {
    const query = new URLSearchParams({ start: startRow, end: endRow, sort: JSON.stringify(sortModel), filter: JSON.stringify(filterModel || {}), criteria: asked.criteria.join(",") });
    if (asked.topic) query.set("topic", asked.topic);
    return `/ui/runs/${asked.run}/experts/rows?${query}`;
  }

  async function read(from) {
    try {
      const answer = await fetch(from);
      if (answer.ok && answer.status !== 204) return await answer.json();
      return { rows: [], count: 0, text: "No expert", fault: (await answer.json()).error.message };
    } catch {
      return null; // the server is silent, or nobody is signed in any more, which the page says already
    }
  }

  function serve(asked) {
    window.dash_ag_grid.getApiAsync("experts-table").then((api) => {
      // The component puts in a source of its own once the grid is ready, which this one takes the place of.
      if (api.isDestroyed() || !api.getGridOption("datasource")) return requestAnimationFrame(() => serve(asked));
      let first = { startRow: 0, sortModel: [] }, ahead = {}, soon, moved = 0;

      const show = (params, found) => {
        if (api.isDestroyed()) return;
        if (!found) return params.failCallback();
        params.successCallback(found.rows, found.count);
        const line = document.getElementById("experts-count");
        if (line && line.textContent !== found.text) line.textContent = found.text;
        if (found.fault) window.expertscope.say(found.fault);
      };

      const answer = (params) => {
        const from = address(asked, params), { known, coming } = ahead.from === from ? ahead : {};
        if (params.startRow === 0) first = params;
        ahead = {};
        // At once where it is there already: the rows before it are then changed for it, not for empty ones.
        if (known) show(params, known);
        else (coming || read(from)).then((found) => show(params, found));
      };

      // Whoever drags the bar passes hundreds of blocks; those that are in sight when it rests are asked for, the others when
      // they come into sight.
      const waiting = new Map();
      const inSight = ({ startRow, endRow }) => startRow === 0 || (startRow <= api.getLastDisplayedRowIndex() && endRow > api.getFirstDisplayedRowIndex());
      const catchUp = () => {
        if (api.isDestroyed()) return;
        for (const [start, params] of waiting) {
          if (!inSight(params)) continue;
          waiting.delete(start);
          answer(params);
        }
      };
      const getRows = (params) => {
        const since = performance.now() - moved, dragged = since > 5 && since < 50;
        moved += since;
        waiting.set(params.startRow, params);
        if (dragged) setTimeout(catchUp, 50);
        else catchUp();
      };

      // The grid waits a moment for the next key, and then forgets all rows: what it will ask for is on its way by then.
      const foresee = ({ column, filterInstance }) => {
        const model = filterInstance.getModelFromUi(), { [column.getColId()]: _, ...others } = api.getFilterModel();
        const from = address(asked, { ...first, filterModel: model ? { ...others, [column.getColId()]: model } : others });
        const mine = (ahead = { from, coming: read(from) });
        mine.coming.then((found) => (mine.known = found));
      };

      const later = () => {
        clearTimeout(soon);
        soon = setTimeout(() => api.isDestroyed() || remember(api), AFTER);
      };

      api.setGridOption("datasource", { getRows });
      api.addEventListener("bodyScrollEnd", catchUp);
      api.addEventListener("filterModified", foresee);
      api.addEventListener("filterChanged", () => toTop("experts-table"));
      for (const event of ["filterChanged", "sortChanged"]) api.addEventListener(event, later);
    });
  }

  /* Order and filters stand in the address, once nobody types any more: the rows come first. Milliseconds. */
  const AFTER = 300;

  function remember(api) {
    const sorted = api.getColumnState().find((column) => column.sort), filters = api.getFilterModel();
    const order = sorted ? sorted.colId + "." + sorted.sort : null;
    window.expertscope.remember({ sort: order === "rank.asc" ? null : order, filter: Object.keys(filters).length ? JSON.stringify(filters) : null });
  }

  const clientside = (window.dash_clientside = window.dash_clientside || {});
  clientside.expertscope = Object.assign(clientside.expertscope || {}, {
    serveExperts(asked) {
      serve(asked);
      return window.dash_clientside.no_update;
    },
  });

  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});

  cells.Awaited = () => make("span", { className: "awaited" }, "…");

  cells.Mark = function (props) {
    if (!props.data) return null;
    const on = isChosen(props.data);
    const name = (on ? "Deselect " : "Select ") + props.data.name;
    const toggle = (event) => {
      event.stopPropagation();
      if (keeper()) keeper().toggle(place(props.data));
    };
    return make("button", { type: "button", className: "mark", tabIndex: -1, "aria-pressed": on, "aria-label": name, onClick: toggle }, make("span", { "aria-hidden": true }));
  };

  cells.Place = function (props) {
    if (!props.data) return null;
    const href = props.data.href || props.base + "/" + place(props.data).replace(".", "/");
    const open = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      window.expertscopeVisit(keeper() ? keeper().carry(href) : href);
    };
    return make("a", { href, onClick: open, className: "row-link num", tabIndex: -1 }, props.data.name);
  };

  /* The space bar on a cell selects the row's expert, as the box before it does. */
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || !event.target.classList.contains("ag-cell") || !event.target.closest("#experts-table")) return;
    const row = event.target.closest(".ag-row").getAttribute("row-index");
    const mark = event.target.closest(".ag-root").querySelector(`.ag-row[row-index="${row}"] .mark`);
    event.preventDefault();
    if (mark) mark.click();
  });
})();
