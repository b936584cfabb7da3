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

  function span(name, style) {
    return make("span", { className: name, style });
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

  /* What a new filter finds begins at its first row, however far somebody had scrolled before. Once more after the table has
     become as short as what was found: it then restores the place at which it was cut. */
  function toTop(id) {
    const api = window.dash_ag_grid && window.dash_ag_grid.getApi(id);
    const up = () => api && !api.isDestroyed() && api.getDisplayedRowCount() && api.ensureIndexVisible(0, "top");
    up();
    requestAnimationFrame(() => requestAnimationFrame(up));
  }

  window.expertscope = Object.assign(window.expertscope || {}, { toTop });

  /* The table of experts asks for its rows itself. What it shows of them, and the line below it, wait for nothing else. */
  async function ask(asked, params) {
    const query = new URLSearchParams({ start: params.startRow, end: params.endRow, sort: JSON.stringify(params.sortModel), filter: JSON.stringify(params.filterModel || {}), criteria: asked.criteria.join(",") });
    if (asked.topic) query.set("topic", asked.topic);
    let answer;
    try {
      answer = await fetch(`/ui/runs/${asked.run}/experts/rows?${query}`);
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
      api.setGridOption("datasource", {
        async getRows(params) {
          const found = await ask(asked, params);
          if (api.isDestroyed()) return;
          if (!found) return params.failCallback();
          params.successCallback(found.rows, found.count);
          const line = document.getElementById("experts-count");
          if (line && line.textContent !== found.text) window.dash_clientside.set_props("experts-count", { children: found.text });
          if (found.fault) window.expertscope.say(found.fault);
        },
      });
    });
  }

  const clientside = (window.dash_clientside = window.dash_clientside || {});
  clientside.expertscope = Object.assign(clientside.expertscope || {}, {
    serveExperts(asked) {
      serve(asked);
      return window.dash_clientside.no_update;
    },
  });

  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});

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

  /* `rungs` has one bit for each step that is passed, the first the lowest. */
  cells.Ladder = function (props) {
    const data = props.data;
    if (!data) return null;
    const passed = props.names.filter((_, step) => data.rungs & (1 << step));
    const text = `Evidence ${passed.length} of ${props.names.length}: ${passed.join(", ") || "none"}`;
    return make(
      "span",
      { className: data.flagged ? "ladder flagged-ladder" : "ladder", role: "img", "aria-label": text, title: text },
      props.names.map((name, step) => make("span", { key: name, className: data.rungs & (1 << step) ? "step passed" : "step" })),
    );
  };

  cells.Effect = function (props) {
    if (!props.data) return null;
    const { strip, effect_text: text, flagged } = props.data;
    if (!strip) return make("span", { className: "dim" }, "—");
    const box = (name, from, to) =>
      from === null || to === null ? null : span(name, { left: from + "%", width: Math.max(to - from, 0.6) + "%" });
    return make(
      "span",
      { className: "effect-cell" },
      make(
        "span",
        { className: flagged ? "strip flagged-strip" : "strip", "aria-hidden": true },
        span("strip-zero", { left: strip.zero + "%" }),
        box("strip-null", strip.null_from, strip.null_to),
        box("strip-interval", strip.from, strip.to),
        span("strip-dot", { left: strip.dot + "%" }),
      ),
      make("span", { className: "num" }, text),
    );
  };

  /* A score and its rank over a bar from 0 on the criterion's own scale, `least` to `most`. */
  cells.Score = function (props) {
    if (!props.data) return null;
    const rank = props.data[props.rank], width = props.most - props.least;
    const value = props.value === undefined ? null : props.value;
    const left = value === null || !width ? null : (100 * (Math.min(value, 0) - props.least)) / width;
    return make(
      "span",
      { className: "score-cell" },
      left === null ? null : make("span", { className: "score-bar", "aria-hidden": true, style: { left: left + "%", width: (100 * Math.abs(value)) / width + "%" } }),
      make("span", { className: "num" }, figures(value), rank ? make("span", { className: "ci" }, " " + ordinal(rank)) : null),
    );
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
